/*
 * test_storage_recall.c - mail that was deleted comes back: undelete, restore at a moment, and what
 * they stand on.
 */
#include "storage_rig.h"
#include "suite.h"

#include "modules/storage/command/commands.h"
#include "modules/storage/delivery/uidl_set.h"
#include "modules/storage/recall/when.h"

#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ANN "ann@example.org"

static uint64_t account_id(const char *name)
{
	struct pstn_account account;

	rig_account(&account, name);
	return account.id;
}

/* ---- which unique ids are there ---- */

static void knows_unique_ids(void)
{
	struct rig r;
	struct rig_listing l;
	struct pstn_maildrop *d;
	struct uidl_set set;
	bool held;
	int status;

	rig_begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	for (int i = 0; i < 600; i++)
		rig_deliver_bytes(&r, ANN, i % 2 ? "Other" : "INBOX", "x\n", 2,
				  i == 100 ? "brought" : NULL, &status);
	d = rig_drop(&r, ANN, &status);
	rig_list(d, &l);
	CU_ASSERT_EQUAL(rig_expunge(d, (uint32_t[]){4}, 1), PSTN_OK);
	maildrop_table.close(d);
	CU_ASSERT_EQUAL(uidl_set_fill(&set, r.store, account_id(ANN), "inbox"), PSTN_OK);
	CU_ASSERT_EQUAL(set.count, 298);
	for (uint32_t i = 0; i < l.count; i++) {
		CU_ASSERT_EQUAL(uidl_set_assigned(&set, l.rows[i].uidl), i != 3 && i != 50);
		CU_ASSERT_EQUAL(uidl_set_holds(&set, l.rows[i].uidl, &held), PSTN_OK);
		CU_ASSERT_EQUAL(held, i != 3);
	}
	CU_ASSERT_EQUAL(uidl_set_holds(&set, "other", &held), PSTN_OK);
	CU_ASSERT_FALSE(held);
	uidl_set_free(&set);
	CU_ASSERT_EQUAL(uidl_set_fill(&set, r.store, account_id(ANN), "None"), PSTN_OK);
	CU_ASSERT_EQUAL(set.folder, 0);
	CU_ASSERT_EQUAL(uidl_set_holds(&set, l.rows[0].uidl, &held), PSTN_OK);
	CU_ASSERT_FALSE(held);
	uidl_set_free(&set);
	rig_end(&r);
}

/* ---- commands with any arguments: name, value, ..., NULL ---- */

static char answer[1 << 17];
static bool failed;

static const char *command(struct rig *r, const char *name, ...)
{
	struct pstn_call *c = fake_call();
	const char *arg, *error;
	va_list ap;

	va_start(ap, name);
	while ((arg = va_arg(ap, const char *)))
		fake_call_arg(c, arg, va_arg(ap, const char *));
	va_end(ap);
	fake_call_run(c, &commands_table, name, r->store);
	error = fake_call_error(c);
	failed = error != NULL;
	snprintf(answer, sizeof(answer), "%s", error ? error : fake_call_answer(c));
	fake_call_free(c);
	return answer;
}

static bool says(const char *key, long value)
{
	char text[64];

	snprintf(text, sizeof(text), "\"%s\":%ld", key, value);
	if (!failed && strstr(answer, text))
		return true;
	fprintf(stderr, "  no %s in %s\n", text, answer);
	return false;
}

static bool tells(const char *text)
{
	if (strstr(answer, text))
		return true;
	fprintf(stderr, "  no \"%s\" in %s\n", text, answer);
	return false;
}

/* ---- a folder as text: everything that has to come back, in the order of unique ids ---- */

#define DUMP_SIZE 32768

static int by_line(const void *x, const void *y)
{
	return strcmp(*(char *const *)x, *(char *const *)y);
}

static void dump(struct rig *r, const char *user, const char *folder, char out[DUMP_SIZE])
{
	struct rig_listing *l = calloc(1, sizeof(*l));
	char *lines[512];
	struct pstn_maildrop *d;
	int status;

	out[0] = '\0';
	d = rig_folder(r, user, folder, &status);
	if (d) {
		rig_list(d, l);
		for (uint32_t i = 0; i < l->count; i++) {
			const struct pstn_message *m = &l->rows[i];
			size_t n;
			const char *text = rig_text(d, i + 1, &n, &status);

			CU_ASSERT_EQUAL(n, m->octets);
			CU_ASSERT(asprintf(&lines[i], "%s %u %llu %llu %.20s\n", m->uidl, m->flags,
					   (unsigned long long)m->received,
					   (unsigned long long)m->octets, text ? text : "-") > 0);
		}
		qsort(lines, l->count, sizeof(*lines), by_line);
		for (uint32_t i = 0; i < l->count; i++) {
			strncat(out, lines[i], DUMP_SIZE - strlen(out) - 1);
			free(lines[i]);
		}
		maildrop_table.close(d);
	}
	free(l);
}

static const char *at(uint64_t ms)
{
	static char text[WHEN_TEXT];

	when_text(ms, text);
	return text;
}

static void flag(struct rig *r, const char *user, const char *folder, uint32_t number, uint32_t add,
		 uint32_t remove)
{
	int status;
	struct pstn_maildrop *d = rig_folder(r, user, folder, &status);

	CU_ASSERT_PTR_NOT_NULL_FATAL(d);
	maildrop_table.flag(d, number, add, remove);
	maildrop_table.close(d);
	fake_settle();
}

static void expunge(struct rig *r, const char *user, const char *folder, const uint32_t *numbers,
		    uint32_t n)
{
	int status;
	struct pstn_maildrop *d = rig_folder(r, user, folder, &status);

	CU_ASSERT_PTR_NOT_NULL_FATAL(d);
	CU_ASSERT_EQUAL(rig_expunge(d, numbers, n), PSTN_OK);
	maildrop_table.close(d);
}

static void expunge_all(struct rig *r, const char *user, const char *folder)
{
	uint32_t numbers[512], n = 0;
	struct rig_listing *l = calloc(1, sizeof(*l));
	int status;
	struct pstn_maildrop *d = rig_folder(r, user, folder, &status);

	rig_list(d, l);
	for (; n < l->count; n++)
		numbers[n] = n + 1;
	CU_ASSERT_EQUAL(rig_expunge(d, numbers, n), PSTN_OK);
	maildrop_table.close(d);
	free(l);
}

/* ---- undelete ---- */

static void fill(struct rig *r, int from, int to, const char *folder)
{
	char text[200], uidl[16];
	int status;

	for (int i = from; i < to; i++) {
		snprintf(text, sizeof(text), "%d\n.dot\nbare\rcr\nlast %.*s", i, i,
			 "abcdefghijklmnopqrstuvwxyz");
		snprintf(uidl, sizeof(uidl), "brought-%d", i);
		rig_deliver_bytes(r, ANN, folder, text, strlen(text), i % 4 == 3 ? uidl : NULL,
				  &status);
		CU_ASSERT_EQUAL(status, PSTN_OK);
	}
}

static void undeletes(void)
{
	struct rig r;
	char before[DUMP_SIZE], after[DUMP_SIZE], ids[200];
	struct rig_listing *l = calloc(1, sizeof(*l));
	struct pstn_maildrop *d;
	uint64_t middle;
	int status;

	rig_begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	fill(&r, 0, 10, "INBOX");
	fill(&r, 10, 14, "Other");
	flag(&r, ANN, "INBOX", 2, PSTN_SEEN | PSTN_FLAGGED, 0);
	flag(&r, ANN, "INBOX", 4, PSTN_ANSWERED, 0);
	dump(&r, ANN, "INBOX", before);
	d = rig_drop(&r, ANN, &status);
	rig_list(d, l);
	maildrop_table.close(d);
	expunge(&r, ANN, "INBOX", (uint32_t[]){1, 2, 3, 4}, 4);
	middle = rig_moment();
	expunge(&r, ANN, "INBOX", (uint32_t[]){1, 2}, 2);
	expunge_all(&r, ANN, "Other");
	/* Nothing happens in a dry run. */
	command(&r, "mailbox undelete", "user", ANN, "dry-run", "", "since", at(middle), NULL);
	CU_ASSERT_TRUE(says("restored", 2));
	CU_ASSERT_TRUE(tells(l->rows[5].uidl));
	CU_ASSERT_PTR_NULL(strstr(answer, l->rows[3].uidl));
	command(&r, "mailbox undelete", "user", ANN, "dry-run", "", "limit", "1", NULL);
	CU_ASSERT_TRUE(says("restored", 6));
	CU_ASSERT_PTR_NULL(strstr(answer, l->rows[1].uidl));
	/* Some, some more, then the rest. */
	snprintf(ids, sizeof(ids), "%s no-such %s", l->rows[1].uidl, l->rows[3].uidl);
	command(&r, "mailbox undelete", "user", ANN, "uidl", ids, NULL);
	CU_ASSERT_TRUE(says("restored", 2));
	CU_ASSERT_TRUE(tells("\"not_found\":[{\"uidl\":\"no-such\"}]"));
	command(&r, "mailbox undelete", "user", ANN, "since", at(middle), NULL);
	CU_ASSERT_TRUE(says("restored", 2));
	CU_ASSERT_TRUE(says("kept", 0));
	command(&r, "mailbox undelete", "user", ANN, NULL);
	CU_ASSERT_TRUE(says("restored", 2));
	CU_ASSERT_TRUE(says("kept", 4));
	dump(&r, ANN, "INBOX", after);
	CU_ASSERT_STRING_EQUAL(after, before);
	dump(&r, ANN, "Other", after);
	CU_ASSERT_STRING_EQUAL(after, "");
	command(&r, "mailbox undelete", "user", ANN, "all-folders", "", NULL);
	CU_ASSERT_TRUE(says("restored", 0));
	CU_ASSERT_TRUE(says("restored", 4));
	/* The same holds when the segments are all there is. */
	rig_close(&r);
	rig_remove_store(rig_path(&r, "index"));
	CU_ASSERT_FATAL(rig_open(&r));
	dump(&r, ANN, "INBOX", after);
	CU_ASSERT_STRING_EQUAL(after, before);
	command(&r, "mailbox undelete", "user", ANN, "all-folders", "", NULL);
	CU_ASSERT_TRUE(says("kept", 6));
	CU_ASSERT_TRUE(says("kept", 4));
	rig_end(&r);
	free(l);
}

/* Deleted, brought back, changed, deleted again: as it was at last, and once. */
static void undeletes_again_and_again(void)
{
	struct rig r;
	char before[DUMP_SIZE], after[DUMP_SIZE];

	rig_begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	fill(&r, 0, 8, "INBOX");
	for (uint32_t round = 0; round < 5; round++) {
		flag(&r, ANN, "INBOX", 1 + round, 1U << round, PSTN_SEEN);
		dump(&r, ANN, "INBOX", before);
		expunge_all(&r, ANN, "INBOX");
		command(&r, "mailbox undelete", "user", ANN, NULL);
		CU_ASSERT_TRUE(says("restored", 8));
		CU_ASSERT_TRUE(says("kept", 0));
		dump(&r, ANN, "INBOX", after);
		CU_ASSERT_STRING_EQUAL(after, before);
	}
	rig_end(&r);
}

/* ---- restore ---- */

#define MOMENTS 24

struct model {
	struct rig rig;
	uint64_t at[MOMENTS];
	char inbox[MOMENTS][DUMP_SIZE], other[MOMENTS][DUMP_SIZE];
	unsigned random;
};

static unsigned any(struct model *m, unsigned n)
{
	m->random = m->random * 1103515245U + 12345U;
	return (m->random >> 16) % n;
}

static uint32_t count_of(struct rig *r, const char *user, const char *folder)
{
	struct pstn_maildrop_totals t = {0};
	int status;
	struct pstn_maildrop *d = rig_folder(r, user, folder, &status);

	if (!d)
		return 0;
	maildrop_table.totals(d, &t, NULL, NULL);
	maildrop_table.close(d);
	return t.messages;
}

static void change_something(struct model *m, int *next)
{
	const char *folder = any(m, 4) ? "INBOX" : "Other";
	uint32_t n = count_of(&m->rig, ANN, folder), number = n ? 1 + any(m, n) : 0;

	switch (any(m, 7)) {
	case 0:
	case 1:
	case 2:
		fill(&m->rig, *next, *next + 1 + (int)any(m, 3), folder);
		*next += 3;
		break;
	case 3:
	case 4:
		if (n)
			flag(&m->rig, ANN, folder, number, 1U << any(m, 5), 1U << any(m, 5));
		break;
	case 5:
		if (n)
			expunge(&m->rig, ANN, folder, &number, 1);
		break;
	default:
		if (n)
			command(&m->rig, "mailbox undelete", "user", ANN, "folder", folder, NULL);
	}
}

static void live_through(struct model *m)
{
	int next = 0;

	for (unsigned i = 0; i < MOMENTS; i++) {
		for (unsigned k = any(m, 8) + (i == 0 ? 10 : 0); k > 0; k--)
			change_something(m, &next);
		if (i == MOMENTS / 2)
			CU_ASSERT_FATAL(rig_reopen(&m->rig));
		m->at[i] = rig_moment();
		dump(&m->rig, ANN, "INBOX", m->inbox[i]);
		dump(&m->rig, ANN, "Other", m->other[i]);
	}
}

static void compare(struct model *m, const char *user, unsigned i)
{
	static char now[DUMP_SIZE];

	dump(&m->rig, user, "INBOX", now);
	CU_ASSERT_STRING_EQUAL(now, m->inbox[i]);
	if (strcmp(now, m->inbox[i]) != 0)
		fprintf(stderr, "moment %u of %s: now\n%sthen\n%s", i, user, now, m->inbox[i]);
	dump(&m->rig, user, "Other", now);
	CU_ASSERT_STRING_EQUAL(now, m->other[i]);
}

/* Whatever happened before, and however often it was restored since. */
static void restores_exactly(void)
{
	struct model *m = calloc(1, sizeof(*m));

	for (unsigned seed = 1; seed <= 3; seed++) {
		m->random = seed;
		rig_begin(&m->rig);
		CU_ASSERT_FATAL(rig_open(&m->rig));
		live_through(m);
		for (unsigned k = 0; k < 12; k++) {
			unsigned i = any(m, MOMENTS);
			char user[40];

			snprintf(user, sizeof(user), "copy%u@example.org", k);
			command(&m->rig, "mailbox restore", "user", ANN, "at", at(m->at[i]), "into",
				user, NULL);
			CU_ASSERT_FALSE(failed);
			compare(m, user, i);
			command(&m->rig, "mailbox restore", "user", ANN, "at", at(m->at[i]), "into",
				user, NULL);
			compare(m, user, i);
			command(&m->rig, "mailbox restore", "user", ANN, "at", at(m->at[i]),
				"exact", "", NULL);
			CU_ASSERT_FALSE(failed);
			compare(m, ANN, i);
			rig_moment();
		}
		rig_end(&m->rig);
	}
	free(m);
}

static void restores_additively(void)
{
	struct rig r;
	char then[DUMP_SIZE], now[DUMP_SIZE];
	uint64_t good;

	rig_begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	fill(&r, 0, 6, "INBOX");
	flag(&r, ANN, "INBOX", 2, PSTN_SEEN, 0);
	dump(&r, ANN, "INBOX", then);
	good = rig_moment();
	flag(&r, ANN, "INBOX", 2, PSTN_DELETED, PSTN_SEEN);
	expunge(&r, ANN, "INBOX", (uint32_t[]){1, 2, 6}, 3);
	fill(&r, 6, 8, "INBOX");
	command(&r, "mailbox restore", "user", ANN, "at", at(good), "dry-run", "", "exact", "",
		NULL);
	CU_ASSERT_TRUE(says("restored", 3));
	CU_ASSERT_TRUE(says("removed", 2));
	CU_ASSERT_EQUAL(count_of(&r, ANN, "INBOX"), 5);
	command(&r, "mailbox restore", "user", ANN, "at", at(good), NULL);
	CU_ASSERT_TRUE(says("restored", 3));
	CU_ASSERT_TRUE(says("kept", 3));
	CU_ASSERT_TRUE(says("removed", 0));
	CU_ASSERT_EQUAL(count_of(&r, ANN, "INBOX"), 8);
	command(&r, "mailbox restore", "user", ANN, "at", at(good), NULL);
	CU_ASSERT_TRUE(says("restored", 0));
	CU_ASSERT_TRUE(says("kept", 6));
	command(&r, "mailbox restore", "user", ANN, "at", at(good), "exact", "", NULL);
	CU_ASSERT_TRUE(says("removed", 2));
	dump(&r, ANN, "INBOX", now);
	CU_ASSERT_STRING_EQUAL(now, then);
	/* That, too, can be undone. */
	command(&r, "mailbox undelete", "user", ANN, NULL);
	CU_ASSERT_TRUE(says("restored", 2));
	CU_ASSERT_EQUAL(count_of(&r, ANN, "INBOX"), 8);
	rig_end(&r);
}

/* ---- what cannot be brought back ---- */

/* Whatever its size: what fails its checksum is named, the others come. */
static void leaves_out_damage(void)
{
	static const size_t sizes[] = {1000, 100000, 3 << 20};
	static char text[3 << 20];

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		struct rig r;
		char path[600], *bytes, *found;
		size_t n;
		int status;

		rig_begin(&r);
		CU_ASSERT_FATAL(rig_open(&r));
		rig_deliver(&r, ANN, "first\n", &status);
		memset(text, 'x', sizeof(text));
		memcpy(text + sizes[i] / 2, "needle", 6);
		rig_deliver_bytes(&r, ANN, "INBOX", text, sizes[i], "large", &status);
		CU_ASSERT_EQUAL(status, PSTN_OK);
		rig_deliver(&r, ANN, "third\n", &status);
		expunge_all(&r, ANN, "INBOX");
		rig_close(&r);
		snprintf(path, sizeof(path), "%s/segments/%08d.seg", r.path, i == 2 ? 2 : 1);
		bytes = rig_read_file(path, &n);
		found = memmem(bytes, n, "needle", 6);
		CU_ASSERT_PTR_NOT_NULL_FATAL(found);
		*found = 'N';
		rig_write_file(path, bytes, n);
		free(bytes);
		CU_ASSERT_FATAL(rig_open(&r));
		command(&r, "mailbox undelete", "user", ANN, NULL);
		CU_ASSERT_TRUE(says("restored", 2));
		CU_ASSERT_TRUE(says("not_restored", 1));
		CU_ASSERT_TRUE(tells("\"uidl\":\"large\",\"reason\":\"the data is damaged"));
		CU_ASSERT_TRUE(fake_log_contains("message-damaged"));
		CU_ASSERT_EQUAL(count_of(&r, ANN, "INBOX"), 2);
		rig_end(&r);
	}
}

static void brings_large_ones_back(void)
{
	static char text[3 << 20];
	struct rig r;
	struct pstn_maildrop *d;
	struct pstn_content c;
	char *got = malloc(4 << 20);
	int status;

	rig_begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = i % 79 == 78 ? '\n' : i % 79 == 0 ? '.' : 'a' + (char)(i % 23);
	rig_deliver_bytes(&r, ANN, "INBOX", text, sizeof(text), NULL, &status);
	CU_ASSERT_EQUAL(status, PSTN_OK);
	for (int i = 0; i < 2; i++) {
		d = rig_drop(&r, ANN, &status);
		CU_ASSERT_EQUAL_FATAL(maildrop_table.read(d, 1, &c, NULL, NULL), PSTN_OK);
		CU_ASSERT_EQUAL(
		    pread(c.fd, got + i * (2 << 20), 2 << 20, (off_t)c.offset + 1000000), 2 << 20);
		CU_ASSERT_EQUAL(c.ndots, sizeof(text) / 79 + 1);
		c.release(c.ref);
		maildrop_table.close(d);
		expunge_all(&r, ANN, "INBOX");
		command(&r, "mailbox undelete", "user", ANN, NULL);
		CU_ASSERT_TRUE(says("restored", 1));
	}
	CU_ASSERT_EQUAL(memcmp(got, got + (2 << 20), 2 << 20), 0);
	rig_end(&r);
	free(got);
}

static void forget_until_now(struct rig *r)
{
	struct index *ix = &r->store->index;
	struct folder_row row;
	MDB_txn *txn;

	CU_ASSERT_EQUAL_FATAL(index_write(ix, &txn), 0);
	CU_ASSERT_EQUAL(index_folder(ix, txn, account_id(ANN), FOLDER_INBOX, &row), 0);
	row.forgotten = row.change;
	CU_ASSERT_EQUAL(index_put_folder(ix, txn, account_id(ANN), FOLDER_INBOX, &row), 0);
	CU_ASSERT_EQUAL(index_commit(ix, txn), 0);
}

static void refuses_clearly(void)
{
	static const struct {
		const char *command, *name[2], *value[2], *says;
	} cases[] = {
	    {"mailbox undelete", {"since"}, {"yesterday"}, "is no moment; write 2026-"},
	    {"mailbox undelete", {"folder"}, {"None"}, "no such folder"},
	    {"mailbox undelete", {"folder"}, {"a/b"}, "must not contain"},
	    {"mailbox undelete", {"folder", "all-folders"}, {"INBOX", ""}, "exclude each other"},
	    {"mailbox undelete", {"limit"}, {"x"}, "takes a number"},
	    {"mailbox restore", {NULL}, {NULL}, "Say which moment with --at"},
	    {"mailbox restore", {"at"}, {"2040-01-01"}, "is still to come"},
	    {"mailbox restore", {"at"}, {"soon"}, "is no moment"},
	    {"mailbox restore",
	     {"at", "into"},
	     {"1h", "nobody@example.org"},
	     "no account \"nobody"},
	    {"mailbox restore", {"at", "into"}, {"1h", ANN}, "is the account itself"},
	    {"mailbox restore", {"at", "folder"}, {"1h", "None"}, "no such folder"},
	    {"mailbox restore", {"at"}, {"1h"}, "The earliest moment is 2"},
	    {"mailbox history", {"limit"}, {"0"}, "--limit can be 1 to"},
	    {"mailbox history", {"limit"}, {"100001"}, "--limit can be 1 to"},
	    {"mailbox history", {"folder"}, {"None"}, "no such folder"},
	    {"mailbox history", {"since"}, {"x"}, "is no moment"},
	};
	struct rig r;

	rig_begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	fill(&r, 0, 4, "INBOX");
	expunge(&r, ANN, "INBOX", (uint32_t[]){1}, 1);
	forget_until_now(&r);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		command(&r, cases[i].command, "user", ANN, cases[i].name[0], cases[i].value[0],
			cases[i].name[0] ? cases[i].name[1] : NULL, cases[i].value[1], NULL);
		CU_ASSERT_TRUE(failed);
		CU_ASSERT_TRUE(tells(cases[i].says));
	}
	command(&r, "mailbox restore", "user", ANN, "at", "0s", "into", "x@example.org", "exact",
		"", NULL);
	CU_ASSERT_TRUE(tells("--exact"));
	/* What is not known goes back to the first thing after the last that was forgotten. */
	rig_moment();
	fill(&r, 4, 5, "INBOX");
	command(&r, "mailbox restore", "user", ANN, "at", at(rig_moment()), NULL);
	CU_ASSERT_FALSE(failed);
	forget_until_now(&r);
	rig_moment();
	flag(&r, ANN, "INBOX", 1, PSTN_SEEN, 0);
	command(&r, "mailbox restore", "user", ANN, "at", at(rig_moment()), NULL);
	CU_ASSERT_FALSE(failed);
	rig_end(&r);
}

/* A quota stops it; with a higher one it goes on. */
static void goes_on_after_a_quota(void)
{
	struct rig r;
	char before[DUMP_SIZE], after[DUMP_SIZE];

	rig_begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	fill(&r, 0, 10, "INBOX");
	dump(&r, ANN, "INBOX", before);
	expunge_all(&r, ANN, "INBOX");
	rig_quota((struct pstn_quota){.messages = 4}, (struct pstn_quota){0});
	command(&r, "mailbox undelete", "user", ANN, NULL);
	CU_ASSERT_TRUE(failed);
	CU_ASSERT_TRUE(tells("holds as much as it may"));
	CU_ASSERT_TRUE(tells("Brought back: 4, there already: 0"));
	rig_quota((struct pstn_quota){0}, (struct pstn_quota){0});
	command(&r, "mailbox undelete", "user", ANN, NULL);
	CU_ASSERT_TRUE(says("restored", 6));
	CU_ASSERT_TRUE(says("kept", 4));
	dump(&r, ANN, "INBOX", after);
	CU_ASSERT_STRING_EQUAL(after, before);
	rig_end(&r);
}

/* ---- history ---- */

static void tells_history(void)
{
	static const char *const expected[] = {
	    "\"event\":\"delivered\",\"flags\":\"\",\"uid\":1,",
	    "\"event\":\"delivered\",\"flags\":\"\",\"uid\":2,",
	    "\"event\":\"flags\",\"flags\":\"seen flagged\",\"uid\":2,",
	    "\"event\":\"flags\",\"flags\":\"deleted, not seen\",\"uid\":2,",
	    "\"event\":\"expunged\",\"flags\":\"\",\"uid\":1,",
	    "\"event\":\"expunged\",\"flags\":\"\",\"uid\":2,",
	    "\"folder\":\"Other\",\"event\":\"delivered\",\"flags\":\"\",\"uid\":1,",
	    "\"folder\":\"INBOX\",\"event\":\"restored\",\"flags\":\"\",\"uid\":3,",
	    "\"event\":\"restored\",\"flags\":\"\",\"uid\":4,",
	};
	struct rig r;
	struct rig_listing l;
	struct pstn_maildrop *d;
	const char *from = answer;
	uint64_t middle;
	int status;

	rig_begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	fill(&r, 0, 2, "INBOX");
	d = rig_drop(&r, ANN, &status);
	rig_list(d, &l);
	maildrop_table.close(d);
	flag(&r, ANN, "INBOX", 2, PSTN_SEEN | PSTN_FLAGGED, 0);
	rig_moment();
	flag(&r, ANN, "INBOX", 2, PSTN_DELETED, PSTN_SEEN);
	middle = rig_moment();
	expunge(&r, ANN, "INBOX", (uint32_t[]){1, 2}, 2);
	rig_moment();
	fill(&r, 3, 4, "Other");
	rig_moment();
	command(&r, "mailbox undelete", "user", ANN, NULL);
	command(&r, "mailbox history", "user", ANN, NULL);
	for (size_t i = 0; i < sizeof(expected) / sizeof(*expected); i++) {
		from = strstr(from, expected[i]);
		CU_ASSERT_PTR_NOT_NULL(from);
		if (!from) {
			fprintf(stderr, "  no %s in %s\n", expected[i], answer);
			break;
		}
	}
	CU_ASSERT_TRUE(tells("\"session\":\"ctl:0 undelete\""));
	CU_ASSERT_TRUE(tells("\"uidl\":\"brought-3\""));
	/* The newest, those since, those of one message. */
	command(&r, "mailbox history", "user", ANN, "limit", "2", NULL);
	CU_ASSERT_PTR_NULL(strstr(answer, "Other"));
	CU_ASSERT_PTR_NOT_NULL(strstr(answer, "\"uid\":3"));
	CU_ASSERT_PTR_NOT_NULL(strstr(answer, "\"uid\":4"));
	command(&r, "mailbox history", "user", ANN, "limit", "2", "folder", "Other", NULL);
	CU_ASSERT_PTR_NULL(strstr(answer, "INBOX"));
	command(&r, "mailbox history", "user", ANN, "since", at(middle), NULL);
	CU_ASSERT_PTR_NULL(strstr(answer, "\"event\":\"flags\""));
	CU_ASSERT_PTR_NOT_NULL(strstr(answer, "\"event\":\"expunged\",\"flags\":\"\",\"uid\":1"));
	command(&r, "mailbox history", "user", ANN, "uidl", l.rows[1].uidl, NULL);
	CU_ASSERT_PTR_NULL(strstr(answer, "\"uid\":1,"));
	CU_ASSERT_PTR_NULL(strstr(answer, "\"uid\":3,"));
	CU_ASSERT_PTR_NOT_NULL(strstr(answer, "\"event\":\"flags\""));
	CU_ASSERT_PTR_NOT_NULL(strstr(answer, "\"event\":\"expunged\""));
	CU_ASSERT_PTR_NOT_NULL(strstr(answer, "\"event\":\"restored\""));
	command(&r, "mailbox history", "user", "empty@example.org", NULL);
	CU_ASSERT_STRING_EQUAL(answer, "[]");
	rig_end(&r);
}

/* A range of uids may name one that another session had removed before. */
static void tells_each_expunge_once(void)
{
	struct rig r;
	struct pstn_maildrop *late;
	const char *at_all;
	int status, count = 0;

	rig_begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	fill(&r, 0, 3, "INBOX");
	late = rig_drop(&r, ANN, &status);
	expunge(&r, ANN, "INBOX", (uint32_t[]){2}, 1);
	CU_ASSERT_EQUAL(rig_expunge(late, (uint32_t[]){1, 2, 3}, 3), PSTN_OK);
	maildrop_table.close(late);
	at_all = command(&r, "mailbox history", "user", ANN, NULL);
	while ((at_all = strstr(at_all, "\"expunged\""))) {
		at_all++;
		count++;
	}
	CU_ASSERT_EQUAL(count, 3);
	rig_end(&r);
}

/* ---- lack of memory, sudden death ---- */

static void bears_lack_of_memory(void)
{
	static const char *const commands[] = {"mailbox undelete", "mailbox restore",
					       "mailbox history"};
	struct rig r;
	char then[DUMP_SIZE], now[DUMP_SIZE];
	uint64_t good;

	rig_begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	fill(&r, 0, 70, "INBOX");
	flag(&r, ANN, "INBOX", 2, PSTN_SEEN, 0);
	dump(&r, ANN, "INBOX", then);
	good = rig_moment();
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
		bool lacked = true;

		for (unsigned long n = 1; lacked; n++) {
			if (n == 1) {
				rig_moment();
				expunge_all(&r, ANN, "INBOX");
				fill(&r, 70, 74, "INBOX");
				flag(&r, ANN, "INBOX", 2, PSTN_SEEN, 0);
			}
			fake_fail_alloc(n);
			command(&r, commands[i], "user", ANN, i == 1 ? "at" : "since",
				at(i == 1 ? good : 0), i == 1 ? "exact" : "uidl",
				i == 1 ? "" : "brought-3", NULL);
			lacked = fake_alloc_failed();
			fake_fail_alloc(0);
			CU_ASSERT_TRUE(!failed || lacked);
			CU_ASSERT_TRUE_FATAL(n < 2000);
		}
		command(&r, "mailbox restore", "user", ANN, "at", at(good), "exact", "", NULL);
		CU_ASSERT_FALSE(failed);
		dump(&r, ANN, "INBOX", now);
		CU_ASSERT_STRING_EQUAL(now, then);
	}
	rig_end(&r);
}

#define MANY 1500

/* Killed again and again in the middle, it comes to the end with each message once. */
static void survives_kill(void)
{
	static uint32_t numbers[MANY];
	struct rig r;
	uint64_t good;

	rig_begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	fill(&r, 0, MANY, "INBOX");
	good = rig_moment();
	for (uint32_t i = 0; i < MANY; i++)
		numbers[i] = i + 1;
	expunge(&r, ANN, "INBOX", numbers, MANY);
	fill(&r, MANY, MANY + 10, "INBOX");
	rig_close(&r);
	for (int round = 1; round <= 6; round++) {
		pid_t child = fork();

		if (child == 0) {
			if (!rig_open(&r))
				_exit(1);
			command(&r, "mailbox restore", "user", ANN, "at", at(good), "exact", "",
				NULL);
			_exit(0);
		}
		poll(NULL, 0, 6 * round);
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
	}
	CU_ASSERT_FATAL(rig_open(&r));
	command(&r, "mailbox restore", "user", ANN, "at", at(good), "exact", "", NULL);
	CU_ASSERT_FALSE(failed);
	CU_ASSERT_EQUAL(count_of(&r, ANN, "INBOX"), MANY);
	command(&r, "mailbox restore", "user", ANN, "at", at(good), "exact", "", NULL);
	CU_ASSERT_TRUE(says("restored", 0));
	CU_ASSERT_TRUE(says("removed", 0));
	rig_end(&r);
}

static const struct suite_case cases[] = {
    {"which unique ids a folder has", knows_unique_ids},
    {"deleted messages come back", undeletes},
    {"deleted and brought back again and again", undeletes_again_and_again},
    {"a mailbox exactly as it was, in place and elsewhere", restores_exactly},
    {"what is gone is added to what is there", restores_additively},
    {"damaged messages are left out", leaves_out_damage},
    {"large messages come back", brings_large_ones_back},
    {"what cannot be done is said clearly", refuses_clearly},
    {"a quota stops it", goes_on_after_a_quota},
    {"the history of a mailbox", tells_history},
    {"an expunge is told once", tells_each_expunge_once},
    {"every allocation fails once", bears_lack_of_memory},
    {"a restore killed in the middle", survives_kill},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
	return suite_run_in_memory("storage_recall", cases, argc > 1 ? argv[1] : NULL);
}
