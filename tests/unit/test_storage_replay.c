/*
 * test_storage_replay.c - power cuts: whatever subset of what was not synced has reached the disk,
 * the store opens, has what was acknowledged, and goes on.
 */
#include "disk_suite.h"
#include "replay.h"

#include "modules/storage/recall/when.h"

#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void checkpoint(struct rig *r)
{
	store_checkpoint_soon(r->store);
	fake_settle();
}

/* ---- workloads ---- */

/* Deliveries one by one, in several folders, some with unique ids of their own. */
static void deliver_and_remove(struct rig *r)
{
	for (uint32_t n = 0; n < 14; n++) {
		CU_ASSERT_EQUAL(ledger_deliver(r, n), PSTN_OK);
		if (n == 4 || n == 10)
			checkpoint(r);
		if (n == 6)
			CU_ASSERT_EQUAL(ledger_remove(r, 1), PSTN_OK);
		if (n == 8)
			ledger_flag(r, 0, PSTN_SEEN, 0);
	}
	CU_ASSERT_EQUAL(ledger_remove(r, 10), PSTN_OK);
	CU_ASSERT_EQUAL(ledger_remove(r, 5), PSTN_OK);
	ledger_flag(r, 0, PSTN_FLAGGED, PSTN_SEEN);
	fake_settle();
	CU_ASSERT_EQUAL(ledger_deliver(r, 14), PSTN_OK);
}

static void deliver_groups(struct rig *r)
{
	ledger_deliver_group(r, 0, 12);
	ledger_deliver_group(r, 12, 30);
	CU_ASSERT_EQUAL(ledger_remove(r, 3), PSTN_OK);
	checkpoint(r);
	ledger_deliver_group(r, 42, 10);
	CU_ASSERT_EQUAL(ledger_remove(r, 44), PSTN_OK);
}

/* Messages with segments of their own, alone and with others in a group. */
static void deliver_large(struct rig *r)
{
	CU_ASSERT_EQUAL(ledger_deliver(r, 49), PSTN_OK);
	CU_ASSERT_EQUAL(ledger_deliver(r, 50), PSTN_OK);
	ledger_deliver_group(r, 97, 4);
	CU_ASSERT_EQUAL(ledger_remove(r, 49), PSTN_OK);
	checkpoint(r);
	ledger_deliver_group(r, 148, 3);
	CU_ASSERT_EQUAL(ledger_deliver(r, 199), PSTN_OK);
	CU_ASSERT_EQUAL(ledger_remove(r, 149), PSTN_OK);
}

static void roll_segments(struct rig *r)
{
	for (uint32_t n = 9; n < 160; n += 10) {
		CU_ASSERT_EQUAL(ledger_deliver(r, n), PSTN_OK);
		if (n == 79)
			CU_ASSERT_EQUAL(ledger_remove(r, 9), PSTN_OK);
		if (n == 109)
			checkpoint(r);
	}
}

static void tiny_segments(struct store_options *o)
{
	o->segment_size = 24 << 10;
}

/* Deaths and stops in between: what recovery and closing write is cut off as well. */
static void die_and_recover(struct rig *r)
{
	ledger_deliver_group(r, 0, 6);
	rig_crash(r);
	CU_ASSERT_FATAL(rig_open(r));
	CU_ASSERT_EQUAL(ledger_deliver(r, 6), PSTN_OK);
	CU_ASSERT_EQUAL(ledger_remove(r, 2), PSTN_OK);
	CU_ASSERT_FATAL(rig_reopen(r));
	CU_ASSERT_EQUAL(ledger_deliver(r, 7), PSTN_OK);
	CU_ASSERT_EQUAL(ledger_deliver(r, 49), PSTN_OK);
	rig_crash(r);
	CU_ASSERT_FATAL(rig_open(r));
	CU_ASSERT_EQUAL(ledger_deliver(r, 8), PSTN_OK);
}

static void lose_the_index(struct rig *r)
{
	ledger_deliver_group(r, 0, 9);
	CU_ASSERT_EQUAL(ledger_remove(r, 4), PSTN_OK);
	rig_command(r, "storage rebuild-index", NULL, NULL, NULL, NULL, -1);
	CU_ASSERT_FATAL(rig_reopen(r));
	CU_ASSERT_TRUE(r->store->rebuilt);
	CU_ASSERT_EQUAL(ledger_deliver(r, 9), PSTN_OK);
	rig_close(r);
	unlink(rig_path(r, "index/checkpoint"));
	CU_ASSERT_FATAL(rig_open(r));
	CU_ASSERT_TRUE(r->store->rebuilt);
	CU_ASSERT_EQUAL(ledger_deliver(r, 10), PSTN_OK);
	CU_ASSERT_EQUAL(ledger_remove(r, 9), PSTN_OK);
}

/* Two processes by turns, until one of them dies and the other goes on. */
static void other_process(struct rig *r, int from, int to)
{
	struct rig other = *r;
	char turn;

	other.store = NULL;
	if (!rig_open(&other))
		_exit(1);
	while (write(to, "", 1) == 1 && read(from, &turn, 1) == 1) {
		if (ledger_deliver(&other, (uint32_t)turn) != PSTN_OK)
			_exit(1);
		if (turn == 45)
			checkpoint(&other);
	}
	_exit(0);
}

static void take_turns(struct rig *r)
{
	int there[2], back[2], status;
	char turn;
	pid_t child;

	CU_ASSERT_EQUAL_FATAL(pipe(there), 0);
	CU_ASSERT_EQUAL_FATAL(pipe(back), 0);
	/* Jobs that wait would be done by both. */
	fake_settle();
	child = fork();
	if (child == 0) {
		close(there[1]);
		other_process(r, there[0], back[1]);
	}
	close(there[0]);
	close(back[1]);
	CU_ASSERT_EQUAL(read(back[0], &turn, 1), 1);
	for (uint32_t n = 0; n < 8; n++) {
		CU_ASSERT_EQUAL(ledger_deliver(r, n), PSTN_OK);
		turn = (char)(40 + n);
		CU_ASSERT_EQUAL(write(there[1], &turn, 1), 1);
		CU_ASSERT_EQUAL(read(back[0], &turn, 1), 1);
		if (n == 3)
			CU_ASSERT_EQUAL(ledger_remove(r, 41), PSTN_OK);
	}
	close(there[1]);
	waitpid(child, &status, 0);
	CU_ASSERT_EQUAL(status, 0);
	CU_ASSERT_EQUAL(ledger_deliver(r, 8), PSTN_OK);
	close(back[0]);
}

static void lower(struct rig *r)
{
	disk_mark(LEDGER_WEAK, 0);
	ledger_deliver_group(r, 0, 8);
	CU_ASSERT_EQUAL(ledger_deliver(r, 49), PSTN_OK);
	checkpoint(r);
	disk_mark(LEDGER_SYNCED, 0);
	for (uint32_t n = 8; n < 14; n++)
		CU_ASSERT_EQUAL(ledger_deliver(r, n), PSTN_OK);
	CU_ASSERT_EQUAL(ledger_remove(r, 3), PSTN_OK);
	CU_ASSERT_EQUAL(ledger_remove(r, 9), PSTN_OK);
	checkpoint(r);
	disk_mark(LEDGER_SYNCED, 0);
	ledger_deliver_group(r, 14, 4);
	CU_ASSERT_EQUAL(ledger_deliver(r, 99), PSTN_OK);
	CU_ASSERT_EQUAL(ledger_remove(r, 0), PSTN_OK);
	rig_close(r);
	disk_mark(LEDGER_SYNCED, 0);
}

static void relaxed(struct store_options *o)
{
	o->stream_threshold = 8 << 10;
	o->segment_size = 24 << 10;
	o->durability = DURABILITY_RELAXED;
}

static void none(struct store_options *o)
{
	relaxed(o);
	o->durability = DURABILITY_NONE;
}

static void compact(struct rig *r)
{
	rig_command(r, "storage compact", NULL, "retention", "0", NULL, -1);
	CU_ASSERT_FALSE(rig_command_failed());
	fake_settle();
}

/* Segments are emptied and removed; then the index is made anew from what is left. */
static void give_space_back(struct rig *r)
{
	for (uint32_t n = 9; n < 90; n += 10)
		CU_ASSERT_EQUAL(ledger_deliver(r, n), PSTN_OK);
	for (uint32_t n = 9; n < 80; n += 20)
		CU_ASSERT_EQUAL(ledger_remove(r, n), PSTN_OK);
	compact(r);
	CU_ASSERT_EQUAL(ledger_deliver(r, 90), PSTN_OK);
	CU_ASSERT_EQUAL(ledger_remove(r, 19), PSTN_OK);
	compact(r);
	rig_command(r, "storage rebuild-index", NULL, NULL, NULL, NULL, -1);
	CU_ASSERT_FATAL(rig_reopen(r));
	CU_ASSERT_EQUAL(ledger_remove(r, 39), PSTN_OK);
	compact(r);
}

/* ---- commands that bring messages ---- */

static void all(const uint32_t *messages, size_t n, struct rig *r,
		void (*each)(struct rig *, uint32_t n))
{
	for (size_t i = 0; i < n; i++)
		each(r, messages[i]);
}

static void is_coming(struct rig *r, uint32_t n)
{
	(void)r;
	ledger_coming(n);
}

static void remove_one(struct rig *r, uint32_t n)
{
	CU_ASSERT_EQUAL(ledger_remove(r, n), PSTN_OK);
}

/* One of them large, one of two pages. */
static const uint32_t imported[] = {12, 9, 13, 49, 15, 16, 18, 19, 21};

/* The file with its first n messages; `known` of them were there before. */
static void import(struct rig *r, size_t n, size_t known)
{
	ledger_write_mbox(imported, n);
	all(imported + known, n - known, r, is_coming);
	CU_ASSERT_PTR_NOT_NULL(strstr(ledger_import(r), "\"account\""));
	all(imported + known, n - known, r, ledger_came);
}

static void import_mail(struct rig *r)
{
	ledger_deliver_group(r, 0, 4);
	import(r, 7, 0);
	checkpoint(r);
	CU_ASSERT_EQUAL(ledger_remove(r, 49), PSTN_OK);
	import(r, 9, 7);
	CU_ASSERT_EQUAL(ledger_remove(r, 12), PSTN_OK);
}

static void backup(struct rig *r, const char *command)
{
	mkdir(ledger_scratch("backup"), 0700);
	rig_command(r, command, NULL, "directory", ledger_scratch("backup"), NULL, -1);
	CU_ASSERT_FALSE(rig_command_failed());
}

static void create_backup(struct rig *r)
{
	backup(r, "backup create");
}

/* Of ann's, in her INBOX. */
static const uint32_t own[] = {0, 1, 4, 6, 9};

static void back_up_and_restore(struct rig *r)
{
	ledger_deliver_group(r, 0, 10);
	ledger_deliver_while(r, 40, 6, create_backup);
	CU_ASSERT_EQUAL(ledger_remove(r, 3), PSTN_OK);
	ledger_deliver_while(r, 47, 4, create_backup);
	backup(r, "backup verify");
	all(own, 5, r, remove_one);
	checkpoint(r);
	all(own, 5, r, is_coming);
	backup(r, "backup restore");
	all(own, 5, r, ledger_came);
	CU_ASSERT_EQUAL(ledger_remove(r, 4), PSTN_OK);
}

static void bring_back(struct rig *r)
{
	char when[WHEN_TEXT];

	ledger_deliver_group(r, 0, 12);
	when_text(rig_moment(), when);
	all(own, 5, r, remove_one);
	all(own, 5, r, is_coming);
	rig_command(r, "mailbox undelete", "ann@example.org", NULL, NULL, NULL, -1);
	CU_ASSERT_FALSE(rig_command_failed());
	all(own, 5, r, ledger_came);
	checkpoint(r);
	all(own, 3, r, remove_one);
	all(own, 3, r, is_coming);
	rig_command(r, "mailbox restore", "ann@example.org", "at", when, NULL, -1);
	CU_ASSERT_FALSE(rig_command_failed());
	all(own, 3, r, ledger_came);
	CU_ASSERT_EQUAL(ledger_remove(r, 0), PSTN_OK);
}

/* ---- cases ---- */

#define REPLAYS(name, sentence, options, run, images, loses_index)                              \
	static void name(void)                                                                  \
	{                                                                                       \
		static const struct workload w = {sentence, options, run, images, loses_index}; \
                                                                                                \
		replay(&w);                                                                     \
	}

REPLAYS(replays_single, "deliveries and removals", NULL, deliver_and_remove, 70, false)
REPLAYS(replays_groups, "groups", NULL, deliver_groups, 70, false)
REPLAYS(replays_large, "large messages", NULL, deliver_large, 70, false)
REPLAYS(replays_rolls, "segments that are full", tiny_segments, roll_segments, 70, false)
REPLAYS(replays_deaths, "deaths and recoveries", NULL, die_and_recover, 70, false)
REPLAYS(replays_rebuild, "an index that is made anew", NULL, lose_the_index, 70, true)
REPLAYS(replays_turns, "two processes by turns", NULL, take_turns, 70, false)
REPLAYS(replays_relaxed, "relaxed durability", relaxed, lower, 70, false)
REPLAYS(replays_none, "no durability", none, lower, 40, false)
REPLAYS(replays_compaction, "space that is given back", tiny_segments, give_space_back, 70, true)
REPLAYS(replays_import, "import", NULL, import_mail, 40, false)
REPLAYS(replays_backup, "backup and restore", NULL, back_up_and_restore, 40, false)
REPLAYS(replays_recall, "undelete and restore", NULL, bring_back, 40, false)

static const struct suite_case cases[] = {
    {"deliveries and removals", replays_single},
    {"groups", replays_groups},
    {"large messages", replays_large},
    {"segments that are full", replays_rolls},
    {"deaths and recoveries", replays_deaths},
    {"an index that is made anew", replays_rebuild},
    {"two processes by turns", replays_turns},
    {"relaxed durability", replays_relaxed},
    {"no durability", replays_none},
    {"space that is given back", replays_compaction},
    {"import", replays_import},
    {"backup and restore", replays_backup},
    {"undelete and restore", replays_recall},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
	return disk_suite_run("storage_replay", cases, argc, argv);
}
