/*
 * test_storage_space.c - how much space compaction takes while it gives space back.
 */
#include "storage_rig.h"
#include "suite.h"

#include "modules/storage/open/maintenance.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
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

static const struct suite_case cases[] = {
    {"compaction takes the space of one segment", takes_little_space},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
	if (!getenv("TMPDIR") && access("/dev/shm", W_OK) == 0)
		setenv("TMPDIR", "/dev/shm", 1);
	return suite_run("storage_space", cases, argc > 1 ? argv[1] : NULL);
}
