/*
 * test_storage_backup.c - snapshots of a store: made while it is used, verified, restored, pruned;
 * and what is damaged, killed or cancelled in between.
 */
#include "storage_rig.h"
#include "suite.h"

#include "modules/storage/backup/backup.h"
#include "modules/storage/command/commands.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define ANN "ann@example.org"
#define BOB "bob@example.org"

/* ---- a directory of accounts that can be copied ---- */

static struct {
	char names[8][64];
	unsigned count;
	uint64_t shift; /* of ids: other accounts of the same names */
} people;

static void person(struct pstn_account *a, const char *name)
{
	rig_account(a, name);
	a->id += people.shift;
}

static int look_up(void *inst, const char *name, struct pstn_account *out)
{
	(void)inst;
	for (unsigned i = 0; i < people.count; i++)
		if (strcasecmp(people.names[i], name) == 0) {
			person(out, people.names[i]);
			return PSTN_OK;
		}
	return strchr(name, '@') ? PSTN_E_NOT_FOUND : PSTN_E_INVALID;
}

static int each_person(void *inst, bool (*each)(void *arg, const struct pstn_account *), void *arg)
{
	struct pstn_account a;

	(void)inst;
	for (unsigned i = 0; i < people.count; i++) {
		person(&a, people.names[i]);
		if (!each(arg, &a))
			break;
	}
	return PSTN_OK;
}

static int save_people(void *inst, int fd)
{
	(void)inst;
	return write(fd, people.names, sizeof(people.names)) == (ssize_t)sizeof(people.names)
		   ? PSTN_OK
		   : PSTN_E_FULL;
}

static int load_people(void *inst, int fd, const char *name, uint64_t *added, uint64_t *refused)
{
	char names[8][64];
	struct pstn_account a;

	(void)inst;
	*added = *refused = 0;
	if (pread(fd, names, sizeof(names), 0) != (ssize_t)sizeof(names))
		return PSTN_E_DAMAGED;
	for (unsigned i = 0; i < 8; i++)
		if (*names[i] && look_up(NULL, names[i], &a) == PSTN_E_NOT_FOUND &&
		    (!name || strcmp(name, names[i]) == 0)) {
			memcpy(people.names[people.count++], names[i], 64);
			++*added;
		}
	return PSTN_OK;
}

static const struct pstn_directory directory = {.size = sizeof(directory),
						.lookup = look_up,
						.each = each_person,
						.save = save_people,
						.load = load_people};

static void begin(struct rig *r)
{
	memset(&people, 0, sizeof(people));
	strcpy(people.names[0], ANN);
	strcpy(people.names[1], BOB);
	people.count = 2;
	rig_begin(r);
	fake_need(r->self, 0, &directory, NULL);
	r->options.segment_size = 1 << 20;
}

/* Another store, beside the first one. */
static void move_to_new_store(struct rig *r)
{
	static char path[512];

	rig_close(r);
	snprintf(path, sizeof(path), "%s/other", fake_directory());
	r->options.path = path;
	CU_ASSERT_FATAL(rig_open(r));
}

static void end(struct rig *r)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/other", fake_directory());
	rig_close(r);
	rig_remove_store(path);
	rig_end(r);
}

/* ---- commands ---- */

static char answer[4096], notes[8192];

static const char *place(const char *name)
{
	static char path[2][600];
	static int turn;

	turn = !turn;
	snprintf(path[turn], sizeof(path[turn]), "%s/backup%s%s", fake_directory(),
		 *name ? "/" : "", name);
	return path[turn];
}

/* Options and values, then NULL. */
static bool run(struct rig *r, const char *command, bool cancelled, va_list ap)
{
	struct pstn_call *c = fake_call();
	const char *option, *error;

	mkdir(place(""), 0700);
	fake_call_arg(c, "directory", place(""));
	while ((option = va_arg(ap, const char *)))
		fake_call_arg(c, option, va_arg(ap, const char *));
	if (cancelled)
		fake_call_cancel(c);
	fake_call_run(c, &commands_table, command, r->store);
	error = fake_call_error(c);
	snprintf(answer, sizeof(answer), "%s", error ? error : fake_call_answer(c));
	snprintf(notes, sizeof(notes), "%s", fake_call_notes(c));
	fake_call_free(c);
	return !error;
}

static bool backup(struct rig *r, const char *command, ...)
{
	va_list ap;
	bool good;

	va_start(ap, command);
	good = run(r, command, false, ap);
	va_end(ap);
	return good;
}

static bool cancelled(struct rig *r, const char *command, ...)
{
	va_list ap;
	bool good;

	va_start(ap, command);
	good = run(r, command, true, ap);
	va_end(ap);
	return good;
}

static long long number(const char *key)
{
	char text[64];
	const char *at;

	snprintf(text, sizeof(text), "\"%s\":", key);
	at = strstr(answer, text);
	return at ? atoll(at + strlen(text)) : -1;
}

#define EXPECT(condition)                                                                   \
	do {                                                                                \
		bool holds_ = (condition);                                                  \
		CU_ASSERT_TRUE(holds_);                                                     \
		if (!holds_)                                                                \
			printf("  line %d: %s\n  %s\n  %s\n", __LINE__, #condition, answer, \
			       notes);                                                      \
	} while (0)

static const char *snapshot_name(void)
{
	static char name[BACKUP_NAME];
	const char *at = strstr(answer, "\"snapshot\":\"");

	snprintf(name, sizeof(name), "%.16s", at ? at + 12 : "");
	return name;
}

/* ---- mail ---- */

static void deliver(struct rig *r, const char *user, const char *folder, const char *text)
{
	struct pstn_account account;
	struct pstn_delivery_request q = {.size = sizeof(q),
					  .account = &account,
					  .folder = folder,
					  .flags = strlen(text) % 2 ? PSTN_SEEN : 0,
					  .received = 1000000000 + strlen(text)};
	struct pstn_delivered delivered;
	struct pstn_delivery *d;

	person(&account, user);
	CU_ASSERT_EQUAL_FATAL(delivery_table.begin(r->store, NULL, &q, &d, NULL, NULL), PSTN_OK);
	CU_ASSERT_EQUAL(delivery_table.write(d, text, strlen(text), NULL, NULL), PSTN_OK);
	CU_ASSERT_EQUAL(delivery_table.commit(d, &delivered, NULL, NULL), PSTN_OK);
}

static void list(struct rig *r, const char *user, const char *folder, struct rig_listing *l)
{
	struct pstn_account account;
	struct pstn_maildrop *d = NULL;

	person(&account, user);
	l->count = 0;
	if (maildrop_table.open(r->store, NULL, &account, folder, &d, NULL, NULL) != PSTN_OK)
		return;
	rig_list(d, l);
	maildrop_table.close(d);
}

static void expunge(struct rig *r, const char *user, uint32_t n)
{
	struct pstn_account account;
	struct pstn_maildrop *d = NULL;

	person(&account, user);
	CU_ASSERT_EQUAL_FATAL(
	    maildrop_table.open(r->store, NULL, &account, "INBOX", &d, NULL, NULL), PSTN_OK);
	CU_ASSERT_EQUAL(rig_expunge(d, &n, 1), PSTN_OK);
	maildrop_table.close(d);
}

static bool same_rows(const struct rig_listing *a, const struct rig_listing *b)
{
	if (a->count != b->count)
		return false;
	for (uint32_t i = 0; i < a->count; i++)
		if (strcmp(a->rows[i].uidl, b->rows[i].uidl) != 0 ||
		    a->rows[i].flags != b->rows[i].flags ||
		    a->rows[i].received != b->rows[i].received ||
		    a->rows[i].octets != b->rows[i].octets)
			return false;
	return true;
}

/* Three in ann's INBOX, of which the second is deleted; one in a folder; one of bob's. */
static void fill(struct rig *r)
{
	deliver(r, ANN, "INBOX", "Subject: one\n\n.first text\n");
	deliver(r, ANN, "INBOX", "Subject: two\n\ndeleted\n");
	deliver(r, ANN, "INBOX", "Subject: three\n\nthird text\n");
	deliver(r, ANN, "Archive", "Subject: four\n\nin a folder\n");
	deliver(r, BOB, "INBOX", "Subject: five\n\nof bob\n");
	expunge(r, ANN, 2);
}

/* The segment file of the backup. */
static const char *backed_up_segment(void)
{
	static char path[700];
	DIR *dir = opendir(place("segments"));
	struct dirent *e;

	path[0] = '\0';
	while (dir && (e = readdir(dir)))
		if (e->d_name[0] != '.')
			snprintf(path, sizeof(path), "%s/%s", place("segments"), e->d_name);
	if (dir)
		closedir(dir);
	return path;
}

static void flip(const char *path, const char *text)
{
	size_t n;
	char *bytes = rig_read_file(path, &n), *at;

	CU_ASSERT_PTR_NOT_NULL_FATAL(bytes);
	at = memmem(bytes, n, text, strlen(text));
	CU_ASSERT_PTR_NOT_NULL_FATAL(at);
	*at ^= 1;
	rig_write_file(path, bytes, n);
	free(bytes);
}

/* ---- manifests ---- */

static void manifests(void)
{
	struct rig r;
	struct manifest m, again;
	char *text, *bad;
	size_t n;

	begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	manifest_begin(&m, r.store);
	strcpy(m.name, "20261124T184012Z");
	m.time = 1795545612345;
	m.sequence = 77;
	m.accounts_sum = UINT64_MAX;
	for (uint32_t i = 1; i < 200; i += 2)
		manifest_add(&m, &(struct backup_segment){i, 1, i * 77777777777777, 5000 + i});
	manifest_add_account(&m, 9);
	manifest_add_account(&m, 3);
	manifest_sort_accounts(&m);
	manifest_add_damage(&m, 3, 100, 50);
	text = manifest_encode(&m, &n);
	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	manifest_begin(&again, r.store);
	CU_ASSERT_EQUAL(manifest_decode(&again, text, n), PSTN_OK);
	CU_ASSERT_EQUAL(again.nsegments, 100);
	CU_ASSERT_EQUAL(manifest_find(&again, 197)->length, 5197);
	CU_ASSERT_PTR_NULL(manifest_find(&again, 198));
	CU_ASSERT_TRUE(manifest_knows_damage(&again, 3, 149));
	CU_ASSERT_FALSE(manifest_knows_damage(&again, 3, 150));
	CU_ASSERT_TRUE(manifest_has_account(&again, 9) && !manifest_has_account(&again, 4));
	manifest_clear(&again);
	bad = malloc(n + 1);
	for (size_t i = 0; i < n; i++) {
		memcpy(bad, text, n + 1);
		bad[i] ^= 1;
		CU_ASSERT_NOT_EQUAL(manifest_decode(&again, bad, n), PSTN_OK);
		manifest_clear(&again);
		bad[i] = '\0';
		CU_ASSERT_NOT_EQUAL(manifest_decode(&again, bad, i), PSTN_OK);
		manifest_clear(&again);
	}
	free(bad);
	store_free(r.store, text);
	manifest_clear(&m);
	end(&r);
}

/* ---- create ---- */

static void copies_what_is_new(void)
{
	struct rig r;
	char first[BACKUP_NAME];
	long long all;

	begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	fill(&r);
	EXPECT(backup(&r, "backup create", NULL));
	snprintf(first, sizeof(first), "%s", snapshot_name());
	EXPECT(number("messages") == 4 && number("accounts") == 2);
	EXPECT(number("damaged_in_store") == 0 && !*notes);
	all = number("octets_copied");
	EXPECT(all > 0 && number("octets_reused") == SEGMENT_HEAD);
	EXPECT(backup(&r, "backup create", NULL));
	EXPECT(number("octets_copied") == 0 && number("octets_reused") == all + SEGMENT_HEAD);
	deliver(&r, ANN, "INBOX", "Subject: six\n\nnew\n");
	EXPECT(backup(&r, "backup create", NULL));
	EXPECT(number("octets_copied") > 0 && number("octets_copied") < 400);
	EXPECT(number("messages") == 5);
	EXPECT(backup(&r, "backup list", NULL));
	EXPECT(strstr(answer, first) && strstr(answer, snapshot_name()));
	EXPECT(backup(&r, "backup verify", NULL));
	EXPECT(number("snapshots") == 3 && number("segments") == 1);
	EXPECT(backup(&r, "backup verify", "snapshot", first, NULL));
	EXPECT(number("snapshots") == 1);
	/* After a new start of the store as well. */
	CU_ASSERT_FATAL(rig_reopen(&r));
	deliver(&r, ANN, "INBOX", "Subject: seven\n\nnew\n");
	EXPECT(backup(&r, "backup create", "rate", "900M", NULL));
	EXPECT(number("octets_copied") < 1000);
	EXPECT(backup(&r, "backup verify", NULL));
	end(&r);
}

static void many_segments(void)
{
	static char text[700000];
	struct rig r;
	struct rig_listing before, after;

	begin(&r);
	r.options.stream_threshold = 64 << 10;
	CU_ASSERT_FATAL(rig_open(&r));
	memset(text, 'x', sizeof(text) - 1);
	for (size_t i = 70; i < sizeof(text) - 1; i += 70)
		text[i] = '\n';
	for (int i = 0; i < 6; i++) {
		text[sizeof(text) - 2 - (size_t)i] = '.';
		deliver(&r, ANN, "INBOX", text + (i % 3) * 320000);
		deliver(&r, ANN, "INBOX", "Subject: small\n\n");
	}
	/* A message of the first log is expunged in a later one. */
	for (int i = 0; i < 25; i++)
		deliver(&r, ANN, "INBOX", text + 640000);
	expunge(&r, ANN, 2);
	EXPECT(backup(&r, "backup create", NULL));
	EXPECT(backup(&r, "backup verify", NULL));
	EXPECT(number("segments") == 6);
	list(&r, ANN, "INBOX", &before);
	CU_ASSERT_EQUAL(before.count, 36);
	move_to_new_store(&r);
	EXPECT(backup(&r, "backup restore", NULL));
	EXPECT(number("restored") == 36);
	list(&r, ANN, "INBOX", &after);
	CU_ASSERT_TRUE(same_rows(&before, &after));
	end(&r);
}

static void refuses_directories(void)
{
	struct rig r;
	struct flock lock = {.l_type = F_WRLCK, .l_len = 1};
	int fd;

	begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	fill(&r);
	mkdir(place(""), 0700);
	EXPECT(!backup(&r, "backup list", NULL) && strstr(answer, "holds no backup"));
	rig_write_file(place("letter"), "x", 1);
	EXPECT(!backup(&r, "backup create", NULL) && strstr(answer, "is not empty"));
	unlink(place("letter"));
	EXPECT(backup(&r, "backup create", NULL));
	EXPECT(!backup(&r, "backup create", "rate", "fast", NULL) && strstr(answer, "20M"));
	EXPECT(!backup(&r, "backup verify", "snapshot", "20200101T000000Z", NULL) &&
	       strstr(answer, "no such snapshot"));
	EXPECT(!backup(&r, "backup verify", "snapshot", "../x", NULL) &&
	       strstr(answer, "is no snapshot"));
	EXPECT(!backup(&r, "backup restore", "into", BOB, NULL) && strstr(answer, "needs --user"));
	EXPECT(!backup(&r, "backup restore", "user", ANN, "into", "none@example.org", NULL) &&
	       strstr(answer, "no account"));
	EXPECT(!backup(&r, "backup restore", "user", "none@example.org", NULL) &&
	       strstr(answer, "no mail"));
	EXPECT(!backup(&r, "backup prune", NULL) && strstr(answer, "--keep"));
	EXPECT(!backup(&r, "backup prune", "keep", "0", NULL) && strstr(answer, "1 or more"));
	EXPECT(!backup(&r, "backup prune", "older-than", "soon", NULL));
	fd = open(place("lock"), O_RDWR);
	CU_ASSERT_EQUAL(fcntl(fd, F_OFD_SETLK, &lock), 0);
	EXPECT(!backup(&r, "backup create", NULL) && strstr(answer, "another command"));
	EXPECT(!backup(&r, "backup prune", "keep", "1", NULL) && strstr(answer, "another command"));
	EXPECT(backup(&r, "backup verify", NULL));
	close(fd);
	move_to_new_store(&r);
	EXPECT(!backup(&r, "backup create", NULL) && strstr(answer, "another store"));
	EXPECT(backup(&r, "backup verify", NULL));
	end(&r);
}

/* What a run that was cut short has left is used if it is sound, and replaced if not. */
static void goes_on_after_a_break(void)
{
	struct rig r;
	char path[700], remove[700], *bytes;
	long long all;
	size_t n;

	begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	for (int i = 0; i < 50; i++)
		fill(&r);
	EXPECT(!cancelled(&r, "backup create", NULL) && strstr(answer, "Cancelled"));
	EXPECT(!backup(&r, "backup verify", NULL) && strstr(answer, "no snapshot"));
	EXPECT(backup(&r, "backup create", NULL));
	all = number("octets_copied") + number("octets_reused");
	snprintf(path, sizeof(path), "%s", backed_up_segment());
	bytes = rig_read_file(path, &n);
	CU_ASSERT_EQUAL((long long)n, all);
	/* Half of it is there, with rubbish behind, and no snapshot names it. */
	memset(bytes + n / 2, 0x55, n / 2);
	rig_write_file(path, bytes, n);
	snprintf(remove, sizeof(remove), "rm %s/*.snapshot", place("snapshots"));
	CU_ASSERT_EQUAL(system(remove), 0);
	EXPECT(backup(&r, "backup create", NULL));
	EXPECT(number("octets_reused") > (long long)n / 2 - 1000);
	EXPECT(number("octets_copied") + number("octets_reused") == all);
	EXPECT(backup(&r, "backup verify", NULL));
	/* A text that nobody has vouched for yet. */
	CU_ASSERT_EQUAL(system(remove), 0);
	flip(path, "in a folder");
	EXPECT(backup(&r, "backup create", NULL) && number("octets_copied") > (long long)n / 2);
	EXPECT(backup(&r, "backup verify", NULL));
	/* The file is gone, or too short for what the snapshot says. */
	unlink(path);
	EXPECT(!backup(&r, "backup verify", NULL) && strstr(notes, "No such file"));
	EXPECT(backup(&r, "backup create", NULL));
	EXPECT(backup(&r, "backup verify", NULL));
	CU_ASSERT_EQUAL(truncate(path, (off_t)n / 3), 0);
	EXPECT(!backup(&r, "backup verify", NULL) && strstr(notes, "are needed"));
	EXPECT(backup(&r, "backup create", NULL));
	EXPECT(number("octets_reused") > 0);
	EXPECT(backup(&r, "backup verify", NULL));
	free(bytes);
	end(&r);
}

static void killed_in_the_middle(void)
{
	struct rig r;
	struct rig_listing before, after;

	begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	for (int i = 0; i < 60; i++)
		fill(&r);
	list(&r, ANN, "INBOX", &before);
	EXPECT(backup(&r, "backup create", NULL));
	for (int i = 0; i < 60; i++)
		deliver(&r, ANN, "Archive", "Subject: more\n\n");
	rig_close(&r);
	for (int round = 0; round < 8; round++) {
		pid_t child = fork();

		if (child == 0) {
			if (!rig_open(&r))
				_exit(1);
			for (;;)
				backup(&r, "backup create", NULL);
		}
		poll(NULL, 0, 3 + 5 * round);
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
		CU_ASSERT_FATAL(rig_open(&r));
		EXPECT(backup(&r, "backup verify", NULL));
		rig_close(&r);
	}
	CU_ASSERT_FATAL(rig_open(&r));
	EXPECT(backup(&r, "backup create", NULL));
	move_to_new_store(&r);
	rig_close(&r);
	for (int round = 0; round < 8; round++) {
		pid_t child = fork();

		if (child == 0) {
			if (rig_open(&r))
				backup(&r, "backup restore", NULL);
			_exit(0);
		}
		poll(NULL, 0, 5 * round);
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
	}
	CU_ASSERT_FATAL(rig_open(&r));
	EXPECT(backup(&r, "backup restore", NULL));
	EXPECT(backup(&r, "backup restore", NULL));
	EXPECT(number("restored") == 0 && number("there_already") == 60 * 5);
	list(&r, ANN, "INBOX", &after);
	CU_ASSERT_TRUE(same_rows(&before, &after));
	end(&r);
}

static void full_disk(void)
{
	struct rlimit limit, old;
	struct rig r;

	begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	fill(&r);
	EXPECT(backup(&r, "backup create", NULL));
	for (int i = 0; i < 50; i++)
		fill(&r);
	/* Only what is written here is that small: the store's index is larger already. */
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	limit = (struct rlimit){.rlim_cur = 10000, .rlim_max = old.rlim_max};
	setrlimit(RLIMIT_FSIZE, &limit);
	CU_ASSERT_FALSE(backup(&r, "backup create", NULL));
	setrlimit(RLIMIT_FSIZE, &old);
	signal(SIGXFSZ, SIG_DFL);
	EXPECT(strstr(answer, "too large") || strstr(answer, "full"));
	EXPECT(backup(&r, "backup verify", NULL) && number("snapshots") == 1);
	EXPECT(backup(&r, "backup create", NULL));
	EXPECT(number("octets_reused") > 5000);
	EXPECT(backup(&r, "backup verify", NULL) && number("snapshots") == 2);
	end(&r);
}

/* The store was put back from an older copy and went on otherwise. */
static void store_set_back(void)
{
	struct rig r;
	char copy[600];

	begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	fill(&r);
	rig_close(&r);
	snprintf(copy, sizeof(copy), "%s/copy", fake_directory());
	rig_copy_store(r.path, copy);
	CU_ASSERT_FATAL(rig_open(&r));
	deliver(&r, ANN, "INBOX", "Subject: lost\n\n");
	EXPECT(backup(&r, "backup create", NULL));
	rig_close(&r);
	rig_remove_store(r.path);
	rig_copy_store(copy, r.path);
	rig_remove_store(copy);
	CU_ASSERT_FATAL(rig_open(&r));
	deliver(&r, ANN, "INBOX", "Subject: another one, that is longer\n\n");
	EXPECT(!backup(&r, "backup create", NULL) && strstr(answer, "was set back"));
	EXPECT(backup(&r, "backup verify", NULL));
	end(&r);
}

/* ---- damage ---- */

static void finds_damage(void)
{
	static const char *const texts[] = {"first text", "third text", "in a folder", "PREC",
					    "Archive"};
	struct rig r;
	char path[700], mended[20];

	begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	fill(&r);
	EXPECT(backup(&r, "backup create", NULL));
	snprintf(path, sizeof(path), "%s", backed_up_segment());
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		flip(path, texts[i]);
		EXPECT(!backup(&r, "backup verify", NULL) && strstr(answer, "damaged in 1 places"));
		EXPECT(strstr(notes, strrchr(path, '/')));
		snprintf(mended, sizeof(mended), "%s", texts[i]);
		mended[0] ^= 1;
		flip(path, mended);
		EXPECT(backup(&r, "backup verify", NULL));
	}
	EXPECT(backup(&r, "backup list", NULL));
	snprintf(path, sizeof(path), "%s/%s.accounts", place("snapshots"), snapshot_name());
	flip(path, "ann");
	EXPECT(!backup(&r, "backup verify", NULL) && strstr(notes, ".accounts"));
	snprintf(path, sizeof(path), "%s/%s.snapshot", place("snapshots"), snapshot_name());
	EXPECT(backup(&r, "backup list", NULL));
	snprintf(path, sizeof(path), "%s/%s.snapshot", place("snapshots"), snapshot_name());
	flip(path, "sequence");
	EXPECT(!backup(&r, "backup verify", NULL) && strstr(notes, ".snapshot"));
	EXPECT(backup(&r, "backup list", NULL) && strstr(answer, "cannot be used"));
	EXPECT(!backup(&r, "backup restore", NULL) && strstr(answer, "is damaged"));
	/* Nothing can be known to be unneeded. */
	EXPECT(!backup(&r, "backup prune", "keep", "1", NULL) &&
	       strstr(answer, "nothing is removed"));
	EXPECT(backup(&r, "backup create", NULL) && strstr(notes, "is damaged"));
	end(&r);
}

/* What the store has lost already is told, and does not keep the rest from being backed up. */
static void damage_of_the_store(void)
{
	struct rig r;
	struct rig_listing l;

	begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	fill(&r);
	rig_close(&r);
	flip(rig_path(&r, "segments/00000001.seg"), "third text");
	CU_ASSERT_FATAL(rig_open(&r));
	EXPECT(backup(&r, "backup create", NULL));
	EXPECT(number("damaged_in_store") == 1 && strstr(notes, "00000001.seg"));
	EXPECT(backup(&r, "backup verify", NULL));
	EXPECT(number("damaged_in_store") == 1 && strstr(notes, "in the store already"));
	deliver(&r, ANN, "INBOX", "Subject: later\n\n");
	EXPECT(backup(&r, "backup create", NULL) && number("damaged_in_store") == 1);
	move_to_new_store(&r);
	EXPECT(!backup(&r, "backup restore", NULL));
	EXPECT(strstr(answer, "4 messages were restored") && strstr(answer, "1 are damaged"));
	list(&r, ANN, "INBOX", &l);
	CU_ASSERT_EQUAL(l.count, 2);
	end(&r);
}

/* A record whose head is unreadable is not even known to be a message. */
static void damaged_heads(void)
{
	struct rig r;

	begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	fill(&r);
	EXPECT(backup(&r, "backup create", NULL));
	flip(backed_up_segment(), "PREC");
	move_to_new_store(&r);
	EXPECT(!backup(&r, "backup restore", NULL));
	EXPECT(strstr(answer, "1 places in it") && strstr(notes, "are damaged and left out"));
	end(&r);
}

/* ---- restore ---- */

static void restores_everything(void)
{
	struct rig r;
	struct rig_listing before[3], after[3];
	size_t n;
	int status;

	begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	fill(&r);
	EXPECT(backup(&r, "backup create", NULL));
	list(&r, ANN, "INBOX", &before[0]);
	list(&r, ANN, "Archive", &before[1]);
	list(&r, BOB, "INBOX", &before[2]);
	CU_ASSERT_EQUAL(before[0].count, 2);
	move_to_new_store(&r);
	people.count = 0; /* a new machine */
	EXPECT(backup(&r, "backup restore", "dry-run", "", NULL) && number("restored") == 4);
	CU_ASSERT_EQUAL(people.count, 0);
	EXPECT(backup(&r, "backup restore", NULL));
	EXPECT(number("accounts_added") == 2 && number("restored") == 4);
	EXPECT(number("there_already") == 0 && number("left_out") == 0);
	list(&r, ANN, "INBOX", &after[0]);
	list(&r, ANN, "Archive", &after[1]);
	list(&r, BOB, "INBOX", &after[2]);
	for (int i = 0; i < 3; i++)
		CU_ASSERT_TRUE(same_rows(&before[i], &after[i]));
	struct pstn_maildrop *d = rig_drop(&r, ANN, &status);
	CU_ASSERT_STRING_EQUAL(rig_text(d, 1, &n, &status), "Subject: one\r\n\r\n.first text\r\n");
	maildrop_table.close(d);
	EXPECT(backup(&r, "backup restore", NULL));
	EXPECT(number("restored") == 0 && number("there_already") == 4);
	EXPECT(backup(&r, "backup restore", "dry-run", "", NULL) && number("restored") == 0);
	end(&r);
}

static void restores_a_part(void)
{
	struct rig r;
	struct rig_listing before, after;

	begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	fill(&r);
	list(&r, ANN, "INBOX", &before);
	EXPECT(backup(&r, "backup create", NULL));
	expunge(&r, ANN, 1);
	expunge(&r, ANN, 1);
	expunge(&r, BOB, 1);
	deliver(&r, ANN, "INBOX", "Subject: stays\n\n");
	EXPECT(backup(&r, "backup restore", "user", "Ann@Example.org", "message",
		      before.rows[1].uidl, NULL));
	EXPECT(number("restored") == 1);
	list(&r, ANN, "INBOX", &after);
	CU_ASSERT_EQUAL(after.count, 2);
	CU_ASSERT_STRING_EQUAL(after.rows[1].uidl, before.rows[1].uidl);
	EXPECT(backup(&r, "backup restore", "user", ANN, NULL) && number("restored") == 1);
	EXPECT(number("there_already") == 2);
	list(&r, BOB, "INBOX", &after);
	CU_ASSERT_EQUAL(after.count, 0);
	EXPECT(backup(&r, "backup restore", "user", ANN, "into", BOB, NULL));
	EXPECT(number("restored") == 3);
	list(&r, BOB, "INBOX", &after);
	CU_ASSERT_TRUE(same_rows(&before, &after));
	EXPECT(!backup(&r, "backup restore", "message", "nothing-like-it", NULL) &&
	       strstr(answer, "has no message"));
	/* One account that is gone comes back alone. */
	people.count = 0;
	EXPECT(backup(&r, "backup restore", "user", BOB, NULL));
	EXPECT(number("accounts_added") == 1 && people.count == 1);
	end(&r);
}

/* Whoever has the name later does not get the mail of somebody who was gone. */
static void mail_of_the_gone(void)
{
	struct rig r;
	struct rig_listing l;

	begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	deliver(&r, ANN, "INBOX", "Subject: of the first ann\n\n");
	people.shift = 1000;
	deliver(&r, ANN, "INBOX", "Subject: of the second ann, longer\n\n");
	EXPECT(backup(&r, "backup create", NULL));
	people.shift = 2000;
	EXPECT(backup(&r, "backup restore", NULL));
	EXPECT(number("restored") == 1 && number("left_out") == 1);
	list(&r, ANN, "INBOX", &l);
	CU_ASSERT_EQUAL_FATAL(l.count, 1);
	CU_ASSERT_EQUAL(l.rows[0].octets, strlen("Subject: of the second ann, longer\r\n\r\n"));
	/* If nobody of the name was there, only by name. */
	strcpy(people.names[0], "carol@example.org");
	EXPECT(backup(&r, "backup create", NULL));
	strcpy(people.names[0], ANN);
	people.shift = 3000;
	EXPECT(backup(&r, "backup restore", NULL) && number("restored") == 0);
	EXPECT(backup(&r, "backup restore", "user", ANN, NULL) && number("restored") == 1);
	end(&r);
}

/* ---- prune ---- */

static bool is_there(const char *name)
{
	return access(place(name), F_OK) == 0;
}

static void prunes(void)
{
	struct rig r;
	char first[BACKUP_NAME], second[BACKUP_NAME], path[100];

	begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	fill(&r);
	EXPECT(backup(&r, "backup create", NULL));
	snprintf(first, sizeof(first), "%s", snapshot_name());
	EXPECT(backup(&r, "backup create", NULL));
	snprintf(second, sizeof(second), "%s", snapshot_name());
	rig_write_file(place("segments/00000099-0123456789abcdef.seg"), "x", 1);
	rig_write_file(place("segments/notes"), "x", 1);
	EXPECT(backup(&r, "backup prune", "older-than", "1d", NULL));
	EXPECT(number("snapshots_removed") == 0 && number("segments_removed") == 1);
	CU_ASSERT_FALSE(is_there("segments/00000099-0123456789abcdef.seg"));
	CU_ASSERT_TRUE(is_there("segments/notes"));
	EXPECT(backup(&r, "backup prune", "keep", "1", NULL));
	EXPECT(number("snapshots_removed") == 1 && number("snapshots_left") == 1);
	EXPECT(number("segments_removed") == 0);
	snprintf(path, sizeof(path), "snapshots/%s.accounts", first);
	CU_ASSERT_FALSE(is_there(path));
	EXPECT(backup(&r, "backup verify", "snapshot", second, NULL));
	EXPECT(backup(&r, "backup prune", "older-than", "2100-01-01", NULL));
	EXPECT(number("snapshots_left") == 1);
	end(&r);
}

/* Segments go from the store, and from the backup with the last snapshot that needs them. */
static void after_compaction(void)
{
	static char text[60000];
	struct rig r;
	struct rig_listing before, after;

	begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	memset(text, 'x', sizeof(text) - 2);
	for (int i = 0; i < 60; i++) {
		text[sizeof(text) - 2 - (size_t)i] = '\n';
		deliver(&r, ANN, "INBOX", text);
	}
	EXPECT(backup(&r, "backup create", NULL));
	for (int i = 0; i < 50; i++)
		expunge(&r, ANN, 3);
	CU_ASSERT_FATAL(rig_reopen(&r));
	rig_command(&r, "storage compact", NULL, "retention", "0", NULL, -1);
	CU_ASSERT_FALSE(rig_command_failed());
	list(&r, ANN, "INBOX", &before);
	CU_ASSERT_EQUAL(before.count, 10);
	EXPECT(backup(&r, "backup create", NULL) && number("messages") == 10);
	EXPECT(backup(&r, "backup verify", NULL));
	EXPECT(backup(&r, "backup prune", "keep", "1", NULL) && number("segments_removed") > 0);
	EXPECT(backup(&r, "backup verify", NULL) && number("damaged_in_store") == 0);
	move_to_new_store(&r);
	EXPECT(backup(&r, "backup restore", NULL) && number("restored") == 10);
	list(&r, ANN, "INBOX", &after);
	CU_ASSERT_TRUE(same_rows(&before, &after));
	end(&r);
}

/* ---- memory ---- */

static void bears_lack_of_memory(void)
{
	static const char *const commands[] = {"backup create", "backup list", "backup verify",
					       "backup restore"};
	struct rig_listing l;
	struct rig r;

	begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	fill(&r);
	EXPECT(backup(&r, "backup create", NULL));
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
		bool failed = true;

		for (unsigned long n = 1; failed && n < 200; n++) {
			bool good;

			if (i == 0)
				deliver(&r, BOB, "INBOX", "Subject: more\n\n");
			list(&r, BOB, "INBOX", &l);
			if (i == 3 && l.count > 0)
				expunge(&r, BOB, 1);
			fake_fail_alloc(n);
			good = i == 3 ? backup(&r, commands[i], "user", BOB, NULL)
				      : backup(&r, commands[i], NULL);
			failed = fake_alloc_failed();
			fake_fail_alloc(0);
			EXPECT(good || strlen(answer) > 5);
			if (i == 0)
				unlink(place("backup.new"));
		}
		CU_ASSERT_FALSE(failed);
	}
	EXPECT(backup(&r, "backup create", NULL));
	EXPECT(backup(&r, "backup verify", NULL));
	end(&r);
}

/* ---- keywords, empty folders, quotas ---- */

static void deliver_labelled(struct rig *r, const char *user, const char *text,
			     const char *keywords)
{
	struct pstn_account account;
	struct pstn_delivery_request q = {
	    .size = sizeof(q), .account = &account, .folder = "INBOX"};
	struct pstn_delivery *d;
	struct pending *p;
	int status;

	person(&account, user);
	CU_ASSERT_EQUAL_FATAL(delivery_begin(r->store, &q, NULL, &d), PSTN_OK);
	CU_ASSERT_EQUAL(delivery_write(d, text, strlen(text)), PSTN_OK);
	CU_ASSERT_EQUAL(delivery_keywords(d, keywords), PSTN_OK);
	p = delivery_seal(d, &status);
	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	commit_wait(r->store, p);
	CU_ASSERT_EQUAL(p->status, PSTN_OK);
	delivery_free(d);
}

/* Bits are a folder's own: there the same name has another one. */
static void keywords_and_empty_folders_come_back(void)
{
	struct rig r;
	struct pstn_account account;

	begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	deliver_labelled(&r, ANN, "one\n", "Work\n$Junk\n");
	person(&account, ANN);
	CU_ASSERT_EQUAL(delivery_folder(r.store, &account, "Empty"), PSTN_OK);
	EXPECT(backup(&r, "backup create", NULL));
	move_to_new_store(&r);
	deliver_labelled(&r, ANN, "two\n", "x\nwork\n");
	EXPECT(backup(&r, "backup restore", "dry-run", "", NULL));
	EXPECT(number("folders_added") == 1);
	EXPECT(backup(&r, "backup restore", NULL));
	EXPECT(number("folders_added") == 1 && number("restored") == 1);
	EXPECT(backup(&r, "mailbox show", "user", ANN, NULL));
	EXPECT(strstr(answer, "\"folder\":\"Empty\"") != NULL);
	EXPECT(strstr(answer, "\"keywords\":\"x work\"") != NULL);
	EXPECT(strstr(answer, "\"keywords\":\"work $Junk\"") != NULL);
	EXPECT(backup(&r, "backup restore", NULL));
	EXPECT(number("folders_added") == 0 && number("restored") == 0);
	end(&r);
}

static void comes_back_over_quota(void)
{
	struct rig r;

	begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	fill(&r);
	EXPECT(backup(&r, "backup create", NULL));
	move_to_new_store(&r);
	rig_quota((struct pstn_quota){.messages = 1}, (struct pstn_quota){0});
	EXPECT(!backup(&r, "backup restore", NULL));
	EXPECT(strstr(notes, "--over-quota") != NULL);
	EXPECT(backup(&r, "backup restore", "over-quota", "", NULL));
	EXPECT(number("restored") == 2);
	rig_quota((struct pstn_quota){0}, (struct pstn_quota){0});
	end(&r);
}

static const struct suite_case cases[] = {
    {"manifests", manifests},
    {"only what is new is copied", copies_what_is_new},
    {"many segments, large messages", many_segments},
    {"what cannot be is said clearly", refuses_directories},
    {"a break, and on", goes_on_after_a_break},
    {"killed in the middle", killed_in_the_middle},
    {"a full disk", full_disk},
    {"a store that was set back", store_set_back},
    {"damage is found", finds_damage},
    {"damage of the store", damage_of_the_store},
    {"damaged heads of records", damaged_heads},
    {"everything is restored", restores_everything},
    {"a part is restored", restores_a_part},
    {"mail of those who are gone", mail_of_the_gone},
    {"old snapshots go", prunes},
    {"segments were compacted", after_compaction},
    {"every allocation fails once", bears_lack_of_memory},
    {"keywords and empty folders", keywords_and_empty_folders_come_back},
    {"over quota", comes_back_over_quota},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
	return suite_run_in_memory("storage_backup", cases, argc > 1 ? argv[1] : NULL);
}
