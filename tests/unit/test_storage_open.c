/*
 * test_storage_open.c - what an opening makes of a log that is older than the index, of what a lowered
 * durability had not synced, of reads that fail; and what checkpoints and groups leave for it.
 */
#include "disk_parts.h"
#include "disk_suite.h"
#include "trial.h"

#include "modules/storage/commit/group.h"
#include "modules/storage/delivery/intake.h"
#include "modules/storage/format/checksum.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define ANN "ann@example.org"

static const char *segment_path(struct rig *r, uint32_t id)
{
	char name[40];

	snprintf(name, sizeof(name), "segments/%08u.seg", id);
	return rig_path(r, name);
}

/* What message `number` of ann's reads as; NULL and *status. */
static const char *text_of(struct rig *r, uint32_t number, int *status)
{
	static char text[256];
	struct pstn_maildrop *d = rig_drop(r, ANN, status);
	const char *got;
	size_t n;

	CU_ASSERT_PTR_NOT_NULL_FATAL(d);
	got = rig_text(d, number, &n, status);
	if (got)
		snprintf(text, sizeof(text), "%s", got);
	maildrop_table.close(d);
	return got ? text : NULL;
}

static void expect_text(struct rig *r, uint32_t number, const char *expected)
{
	int status;
	const char *got = text_of(r, number, &status);

	CU_ASSERT_PTR_NOT_NULL_FATAL(got);
	CU_ASSERT_STRING_EQUAL(got, expected);
}

static uint32_t count_messages(struct rig *r)
{
	struct pstn_maildrop_totals t = {0};
	int status;
	struct pstn_maildrop *d = rig_drop(r, ANN, &status);

	CU_ASSERT_PTR_NOT_NULL_FATAL(d);
	maildrop_table.totals(d, &t, NULL, NULL);
	maildrop_table.close(d);
	return t.messages;
}

static void deliver(struct rig *r, const char *text)
{
	int status;

	CU_ASSERT_NOT_EQUAL(rig_deliver(r, ANN, text, &status), 0);
	CU_ASSERT_EQUAL_FATAL(status, PSTN_OK);
}

static void expect_check(struct rig *r, const char *faults)
{
	CU_ASSERT_TRUE(
	    rig_says(rig_command(r, "storage check", NULL, NULL, NULL, NULL, -1), faults));
}

/* ---- a log that is older than the index ---- */

/* Somebody has put back the file as it was: cut at its last record, or with the space that a log
 * has behind it. Nothing is written over what it should hold, and with the right file all is there. */
static void older_log(bool with_space)
{
	struct rig r;
	char *old, *new;
	size_t old_size, new_size;
	int status;

	rig_begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	deliver(&r, "one\n");
	deliver(&r, "two\n");
	if (!with_space)
		old_size = r.store->log.end;
	rig_close(&r);
	old = rig_read_file(segment_path(&r, 1), &new_size);
	if (with_space)
		old_size = new_size;
	CU_ASSERT_FATAL(rig_open(&r));
	deliver(&r, "three\n");
	rig_close(&r);
	new = rig_read_file(segment_path(&r, 1), &new_size);
	rig_write_file(segment_path(&r, 1), old, old_size);
	fake_log_clear();
	CU_ASSERT_FATAL(rig_open(&r));
	CU_ASSERT_EQUAL(fake_log_contains("it is shorter than it was"), !with_space);
	CU_ASSERT_EQUAL(count_messages(&r), 3);
	expect_text(&r, 2, "two\r\n");
	CU_ASSERT_PTR_NULL(text_of(&r, 3, &status));
	CU_ASSERT_EQUAL(status, PSTN_E_DAMAGED);
	expect_check(&r, "\"uid\":3");
	deliver(&r, "four\n");
	expect_text(&r, 4, "four\r\n");
	CU_ASSERT_EQUAL(r.store->log.id, with_space ? 1 : 2);
	rig_close(&r);
	if (!with_space) {
		rig_write_file(segment_path(&r, 1), new, new_size);
		CU_ASSERT_FATAL(rig_open(&r));
		expect_text(&r, 3, "three\r\n");
		expect_text(&r, 4, "four\r\n");
		expect_check(&r, "\"faults\":0");
	}
	rig_end(&r);
	free(old);
	free(new);
}

static void opens_with_an_older_log(void)
{
	older_log(false);
	older_log(true);
}

/* ---- checkpoints by durability ---- */

struct order {
	unsigned log_syncs;  /* of the segment, or of the whole file system */
	int all_before_slot; /* the whole file system, before the checkpoint counts */
	unsigned slots;      /* written */
};

static struct order order_of(uint32_t log, uint32_t slots)
{
	struct disk_history h;
	struct order o = {0};
	bool all = false;

	disk_stop(&h);
	for (uint32_t i = h.first; i < h.count; i++) {
		const struct disk_op *op = &h.ops[i];

		o.log_syncs += op->kind == DISK_SYNC && op->object == log;
		o.log_syncs += op->kind == DISK_SYNC_ALL;
		all |= op->kind == DISK_SYNC_ALL;
		if (op->kind == DISK_WRITE && op->object == slots) {
			o.slots++;
			o.all_before_slot += all;
		}
	}
	return o;
}

static void records(struct rig *r, struct order *o, void (*what)(struct rig *))
{
	uint32_t log, slots;

	disk_record(fake_directory());
	log = disk_object(r->store->log.fd);
	slots = disk_object(r->store->checkpoint.fd);
	CU_ASSERT_TRUE(log > 0 && slots > 0);
	what(r);
	fake_settle();
	*o = order_of(log, slots);
}

static void deliver_one(struct rig *r)
{
	deliver(r, "text\n");
}

static void take_checkpoint(struct rig *r)
{
	CU_ASSERT_EQUAL(checkpoint_take(&r->store->checkpoint, &r->store->index), 0);
}

static void wait_for_timer(struct rig *r)
{
	fake_advance(r->options.checkpoint_interval);
}

/* The index on disk must not know of more than the segments on disk have. */
static void syncs_before_a_checkpoint(void)
{
	static const struct {
		int durability;
		bool groups_sync, checkpoint_syncs, timer_checkpoints;
	} cases[] = {{DURABILITY_FULL, true, false, true},
		     {DURABILITY_RELAXED, false, true, true},
		     {DURABILITY_NONE, false, true, false}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct rig r;
		struct order o;

		rig_begin(&r);
		r.options.durability = cases[i].durability;
		CU_ASSERT_FATAL(rig_open(&r));
		fake_settle();
		records(&r, &o, deliver_one);
		CU_ASSERT_EQUAL(o.log_syncs > 0, cases[i].groups_sync);
		CU_ASSERT_EQUAL(o.slots, 0);
		records(&r, &o, take_checkpoint);
		CU_ASSERT_EQUAL(o.slots, 1);
		CU_ASSERT_EQUAL(o.all_before_slot, cases[i].checkpoint_syncs);
		deliver_one(&r);
		records(&r, &o, wait_for_timer);
		CU_ASSERT_EQUAL(o.slots, cases[i].timer_checkpoints);
		rig_end(&r);
	}
}

/* What the sync before it failed for may not be on disk: such a checkpoint must not count. */
static void a_checkpoints_first_sync_fails(void)
{
	struct trial t = {.fault = {.at = 1, .times = 1, .error = EIO}};
	struct checkpoint_state before, after;
	char path[600];

	trial_begin(&t, 1 << 20, 3);
	rig_close(&t.rig);
	t.rig.options.durability = DURABILITY_RELAXED;
	CU_ASSERT_FATAL(rig_open(&t.rig));
	fake_settle();
	snprintf(path, sizeof(path), "%s", rig_path(&t.rig, "index"));
	CU_ASSERT_EQUAL(ledger_deliver(&t.rig, 3), PSTN_OK);
	CU_ASSERT_EQUAL(checkpoint_read(path, &before), 0);
	trial_fail(&t);
	CU_ASSERT_EQUAL(checkpoint_take(&t.rig.store->checkpoint, &t.rig.store->index), EIO);
	trial_heal(&t);
	CU_ASSERT_EQUAL(t.hit, 1);
	CU_ASSERT_EQUAL(checkpoint_read(path, &after), 0);
	CU_ASSERT_EQUAL(after.number, before.number);
	CU_ASSERT_EQUAL(ledger_deliver(&t.rig, 4), PSTN_E_TEMPORARY);
	CU_ASSERT_TRUE(trial_says_broken());
	ledger_refused(4);
	trial_open_anew(&t);
	trial_end(&t);
}

/* ---- making the index anew, when it is asked for ---- */

/* Whether the directory is synced after that name was made in it, or was its new name. */
static bool name_is_safe(const struct disk_history *h, enum disk_kind kind, const char *name)
{
	const struct disk_op *made = NULL;

	for (uint32_t i = h->first; i < h->count; i++) {
		const struct disk_op *op = &h->ops[i];

		if (op->kind == kind && strcmp(kind == DISK_RENAME ? op->to : op->name, name) == 0)
			made = op;
		else if (made && op->kind == DISK_SYNC && op->object == made->directory)
			return true;
	}
	return false;
}

/* Who was told that it will be made has not to ask again; and once it is, the old one stays away. */
static void remembers_what_was_asked_for(void)
{
	struct rig r;
	struct disk_history h;

	rig_begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	deliver(&r, "text\n");
	disk_record(fake_directory());
	rig_command(&r, "storage rebuild-index", NULL, NULL, NULL, NULL, -1);
	CU_ASSERT_FALSE(rig_command_failed());
	disk_stop(&h);
	CU_ASSERT_TRUE(name_is_safe(&h, DISK_ENTER, "rebuild"));
	rig_close(&r);
	disk_record(fake_directory());
	CU_ASSERT_FATAL(rig_open(&r));
	CU_ASSERT_TRUE(r.store->rebuilt);
	disk_stop(&h);
	CU_ASSERT_TRUE(name_is_safe(&h, DISK_RENAME, "index.damaged"));
	CU_ASSERT_TRUE(name_is_safe(&h, DISK_ENTER, "index"));
	expect_text(&r, 1, "text\r\n");
	rig_end(&r);
}

/* ---- what a lowered durability had not synced ---- */

static void flip(struct rig *r, const char *text)
{
	size_t n;
	char *bytes = rig_read_file(segment_path(r, 1), &n), *at;

	at = memmem(bytes, n, text, strlen(text));
	CU_ASSERT_PTR_NOT_NULL_FATAL(at);
	*at ^= 1;
	rig_write_file(segment_path(r, 1), bytes, n);
	free(bytes);
}

/* A power cut: the second message is torn, a later group is whole. With full durability the second
 * one was safe once; of any other nothing behind the checkpoint was. */
static void tear_behind_checkpoint(int durability, bool at_checkpoint)
{
	bool was_safe = durability == DURABILITY_FULL;
	struct rig r;
	int status;

	rig_begin(&r);
	r.options.durability = durability;
	CU_ASSERT_FATAL(rig_open(&r));
	deliver(&r, "first\n");
	if (!at_checkpoint)
		take_checkpoint(&r);
	deliver(&r, "second\n");
	if (at_checkpoint)
		take_checkpoint(&r);
	deliver(&r, "third\n");
	rig_crash(&r);
	flip(&r, "second");
	fake_log_clear();
	CU_ASSERT_FATAL(rig_open(&r));
	if (at_checkpoint) {
		/* It is not looked at in a start, and was synced: the disk has damaged it. */
		CU_ASSERT_PTR_NULL(text_of(&r, 2, &status));
		CU_ASSERT_EQUAL(status, PSTN_E_DAMAGED);
		was_safe = true;
	} else {
		CU_ASSERT_EQUAL(fake_log_find("record-damaged") != NULL, was_safe);
		CU_ASSERT_EQUAL(fake_log_find("record-incomplete") != NULL, !was_safe);
	}
	CU_ASSERT_EQUAL(count_messages(&r), was_safe ? 3 : 2);
	expect_text(&r, was_safe ? 3 : 2, "third\r\n");
	if (!was_safe)
		expect_check(&r, "octets in a segment are no sound record");
	rig_end(&r);
}

static void leaves_out_what_was_not_synced(void)
{
	static const int levels[] = {DURABILITY_FULL, DURABILITY_RELAXED, DURABILITY_NONE};

	for (size_t i = 0; i < sizeof(levels) / sizeof(*levels); i++) {
		tear_behind_checkpoint(levels[i], false);
		tear_behind_checkpoint(levels[i], true);
	}
}

/* ---- reads that fail while the index is made anew ---- */

/* Of what is in them; without the zeros at their ends, which are space. */
static uint64_t sum_of_segments(struct rig *r)
{
	uint64_t sum = 0;

	for (uint32_t id = 1; id < 40; id++) {
		size_t n;
		char *bytes = rig_read_file(segment_path(r, id), &n);

		while (n > 0 && bytes[n - 1] == 0)
			n--;
		sum = sum * 31 + checksum(bytes, n, id);
		free(bytes);
	}
	return sum;
}

/* A start that is refused changes no segment: what cannot be read just now is not judged. */
static bool try_to_make_anew(struct trial *t)
{
	uint64_t sum;
	bool opened;

	trial_begin(t, 12 << 10, 4);
	CU_ASSERT_EQUAL(ledger_deliver(&t->rig, 49), PSTN_OK); /* large */
	rig_close(&t->rig);
	rig_remove_store(rig_path(&t->rig, "index"));
	sum = sum_of_segments(&t->rig);
	trial_fail(t);
	opened = rig_open(&t->rig);
	trial_heal(t);
	if (!opened && strlen(t->rig.error) < 10)
		trial_complain(t, "no reason is given");
	if (!opened && sum_of_segments(&t->rig) != sum)
		trial_complain(t, "a segment was changed");
	if (opened)
		trial_look(t, "opened");
	trial_open_anew(t);
	expect_check(&t->rig, "\"faults\":0");
	trial_end(t);
	return opened;
}

static void makes_anew_with_reads_that_fail(void)
{
	uint32_t hit = 1, refused = 0, n = 1;

	for (; hit > 0 && n < TRIAL_CALLS; n++) {
		hit = 0;
		for (uint32_t times = 0; times < 2; times++) {
			struct trial t = {
			    .fault = {.at = n, .times = times, .error = EIO, .reads = true}};

			refused += !try_to_make_anew(&t);
			hit += t.hit;
		}
	}
	printf("    %u trials, %u starts that were refused\n", 2 * (n - 1), refused);
	CU_ASSERT_TRUE(refused > 3);
}

/* ---- a large message in a group that could not be cut back ---- */

static struct pending *wait_with(struct rig *r, struct pstn_delivery **d, const char *text,
				 size_t n)
{
	struct pstn_account account;
	struct pstn_delivery_request q = {
	    .size = sizeof(q), .account = &account, .folder = "INBOX"};
	struct pending *p;
	int status;

	rig_account(&account, ANN);
	CU_ASSERT_EQUAL_FATAL(delivery_begin(r->store, &q, NULL, d), PSTN_OK);
	CU_ASSERT_EQUAL(delivery_write(*d, text, n), PSTN_OK);
	p = delivery_seal(*d, &status);
	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	return p;
}

/* Two small messages and a large one in one group, of which the disk fails. Their status. */
static int run_group(struct trial *t)
{
	static char text[20000];
	static const size_t sizes[] = {10, 3000, sizeof(text)};
	struct pstn_delivery *d[3];
	struct pending *p[3];
	int status;

	memset(text, 'x', sizeof(text));
	for (int i = 2; i >= 0; i--) {
		p[i] = wait_with(&t->rig, &d[i], text, sizes[i]);
		p[i]->next = i < 2 ? p[i + 1] : NULL;
	}
	CU_ASSERT_PTR_NOT_NULL(p[2]->deliver.large);
	trial_fail(t);
	group_run(t->rig.store, p[0]);
	status = p[0]->status;
	for (int i = 0; i < 3; i++) {
		CU_ASSERT_EQUAL(p[i]->status, status);
		if (status == PSTN_OK)
			delivery_committed(d[i]);
		delivery_free(d[i]);
	}
	trial_heal(t);
	return status;
}

/* Their uids are given to other mail: neither file nor an index made anew may bring them back. */
static void drop_with_next_group(struct trial *t, uint32_t large)
{
	struct stat info;

	CU_ASSERT_EQUAL(stat(segment_path(&t->rig, large), &info), 0);
	CU_ASSERT_EQUAL(ledger_deliver(&t->rig, 20), PSTN_OK);
	CU_ASSERT_FALSE(t->rig.store->commit.uncut);
	CU_ASSERT_EQUAL(stat(segment_path(&t->rig, large), &info), -1);
	trial_look(t, "after the next group");
	rig_crash(&t->rig);
	rig_remove_store(rig_path(&t->rig, "index"));
	trial_open_anew(t);
}

/* From the first call of the group on, until one by which it is on disk. */
static void drops_a_large_message_that_was_not_cut(void)
{
	int status = PSTN_E_TEMPORARY;
	uint32_t found = 0;

	for (uint32_t n = 1; status != PSTN_OK && n < TRIAL_CALLS; n++) {
		struct trial t = {.fault = {.at = n, .error = EIO}};
		uint32_t large;

		trial_begin(&t, 1 << 20, 4);
		status = run_group(&t);
		large = (uint32_t)atomic_load(&t.rig.store->shared->inflight_large);
		if (t.rig.store->commit.uncut && large && !t.broken) {
			drop_with_next_group(&t, large);
			found++;
		}
		trial_end(&t);
	}
	CU_ASSERT_EQUAL(status, PSTN_OK);
	CU_ASSERT_TRUE(found > 1);
}

static const struct suite_case cases[] = {
    {"a log that is older than the index", opens_with_an_older_log},
    {"what is synced before a checkpoint", syncs_before_a_checkpoint},
    {"that sync fails", a_checkpoints_first_sync_fails},
    {"making the index anew is asked for", remembers_what_was_asked_for},
    {"torn behind a checkpoint", leaves_out_what_was_not_synced},
    {"making the index anew with reads that fail", makes_anew_with_reads_that_fail},
    {"a large message in a group that is not cut", drops_a_large_message_that_was_not_cut},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
	return disk_suite_run("storage_open", cases, argc, argv);
}
