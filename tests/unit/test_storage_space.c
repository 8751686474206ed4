/*
 * test_storage_space.c - how much space compaction takes while it gives space back, and what it does
 * without.
 */
#include "storage_rig.h"
#include "suite.h"

#include "modules/storage/open/maintenance.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define ANN          "ann@example.org"
#define MESSAGES     480u
#define OCTETS       ((size_t)64 << 10)
#define SEGMENT_SIZE ((uint64_t)4 << 20)

/* docs/storage-format.md, section 5: what is needed of one segment, and what the log takes ahead. */
#define BOUND (SEGMENT_SIZE + SEGMENT_STEP + SEGMENT_RESERVE)

static uint64_t allocated(struct rig *r, const char *directory)
{
	char path[1024];
	DIR *dir = opendir(rig_path(r, directory));
	struct dirent *e;
	struct stat info;
	uint64_t octets = 0;

	while (dir && (e = readdir(dir)) != NULL) {
		snprintf(path, sizeof(path), "%s/%s", rig_path(r, directory), e->d_name);
		if (stat(path, &info) == 0 && S_ISREG(info.st_mode))
			octets += (uint64_t)info.st_blocks * 512;
	}
	if (dir)
		closedir(dir);
	return octets;
}

static uint64_t allocated_by_all(struct rig *r)
{
	return allocated(r, "segments") + allocated(r, "index");
}

static void fill(struct rig *r)
{
	char *text = malloc(OCTETS);
	int status = PSTN_OK;

	memset(text, 'x', OCTETS);
	for (uint32_t i = 0; i < MESSAGES && status == PSTN_OK; i++)
		rig_deliver_bytes(r, ANN, "INBOX", text, OCTETS, NULL, &status);
	CU_ASSERT_EQUAL_FATAL(status, PSTN_OK);
	free(text);
}

/* Two of three stay: all segments are worth it, and most of each has to be moved. */
static void remove_each_third(struct rig *r)
{
	uint32_t numbers[MESSAGES], n = 0;
	struct pstn_maildrop *d;
	int status;

	d = rig_drop(r, ANN, &status);
	CU_ASSERT_PTR_NOT_NULL_FATAL(d);
	for (uint32_t i = 1; i <= MESSAGES; i += 3)
		numbers[n++] = i;
	CU_ASSERT_EQUAL(rig_expunge(d, numbers, n), PSTN_OK);
	maildrop_table.close(d);
}

static void takes_little_space(void)
{
	struct rig r;
	struct compactor c;
	uint64_t before, peak = 0, after;
	bool more = true;

	rig_begin(&r);
	r.options.segment_size = SEGMENT_SIZE;
	CU_ASSERT_FATAL(rig_open(&r));
	fill(&r);
	remove_each_third(&r);
	CU_ASSERT_EQUAL(store_checkpoint_now(r.store), 0);
	before = allocated_by_all(&r);
	CU_ASSERT_TRUE_FATAL(maintenance_try(r.store));
	compactor_begin(&c, r.store, 0, true);
	while (more) {
		more = compactor_step(&c);
		after = allocated_by_all(&r);
		peak = after > peak ? after : peak;
	}
	printf("    %llu KiB before, at most %llu KiB more, %llu KiB in the end; %llu KiB moved\n",
	       (unsigned long long)before >> 10,
	       (unsigned long long)(peak > before ? peak - before : 0) >> 10,
	       (unsigned long long)after >> 10, (unsigned long long)c.tally.moved >> 10);
	/* Much more was moved than there was space for at any moment. */
	CU_ASSERT_TRUE(c.tally.moved > BOUND * 3 / 2);
	CU_ASSERT_TRUE(peak <= before + BOUND);
	CU_ASSERT_TRUE(after < before);
	compactor_end(&c);
	maintenance_end(r.store);
	rig_end(&r);
}

/* ---- a disk without room for what has to be moved ---- */

static bool fill_disk(struct rig *r, uint64_t octets)
{
	int fd = open(rig_path(r, "filler"), O_WRONLY | O_CREAT, 0600);
	bool filled = fd >= 0 && posix_fallocate(fd, 0, (off_t)octets) == 0;

	close(fd);
	return filled;
}

static void let_compaction_run(struct rig *r)
{
	for (int i = 0; i < 2000; i++) {
		fake_advance(i % 200 ? 10 : r->options.compaction_interval);
		fake_settle();
	}
}

static bool all_there(struct rig *r)
{
	struct pstn_maildrop_totals totals = {0};
	struct pstn_maildrop *d;
	int status;

	d = rig_drop(r, ANN, &status);
	if (!d)
		return false;
	maildrop_table.totals(d, &totals, NULL, NULL);
	maildrop_table.close(d);
	return totals.messages == MESSAGES / 3 * 2 &&
	       strstr(rig_command(r, "storage check", NULL, NULL, NULL, NULL, -1),
		      "\"faults\":0") != NULL;
}

/* In a child with a mount namespace of its own; the step that failed, 77: none can be had. */
static int compact_on_small_disk(struct rig *r)
{
	const struct fake_event *e;

	mkdir(r->path, 0700);
	if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
	    mount("none", r->path, "tmpfs", 0, "size=96m") != 0)
		return 77;
	r->options.segment_size = SEGMENT_SIZE;
	r->options.retention = 0;
	r->options.compaction_interval = 5000;
	if (!rig_open(r))
		return 1;
	fill(r);
	remove_each_third(r);
	if (!fill_disk(r, 24 << 20))
		return 2;
	let_compaction_run(r);
	e = fake_log_find("compaction-blocked");
	if (!e || !strstr(e->fields, "the disk has no space for what is needed of it"))
		return 3;
	if (fake_metric(r->self, METRIC_COMPACTED) != 0 || !all_there(r))
		return 4;
	unlink(rig_path(r, "filler"));
	let_compaction_run(r);
	if (fake_metric(r->self, METRIC_COMPACTED) < 5 || !all_there(r))
		return 5;
	return 0;
}

static void waits_for_space(void)
{
	struct rig r;
	int status;
	pid_t child;

	rig_begin(&r);
	child = fork();
	if (child == 0)
		_exit(compact_on_small_disk(&r));
	waitpid(child, &status, 0);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		fprintf(stderr, "  (no mount namespace here: skipped)\n");
	else if (status != 0)
		fprintf(stderr, "  a small disk: step %d\n", WEXITSTATUS(status));
	CU_ASSERT_TRUE(status == 0 || WEXITSTATUS(status) == 77);
	rig_end(&r);
}

static const struct suite_case cases[] = {
    {"compaction takes the space of one segment", takes_little_space},
    {"compaction waits for space and goes on by itself", waits_for_space},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
	return suite_run_in_memory("storage_space", cases, argc > 1 ? argv[1] : NULL);
}
