/*
 * test_manifest.c - module files, good, foreign and damaged, as manifest_read() and image_open()
 * judge them.
 */
#include "config.h"

#include "config_rig.h"
#include "image.h"
#include "manifest.h"

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char err[512];

static bool reads(const char *path)
{
	struct manifest *manifest = manifest_read(path, err, sizeof err);
	bool good = manifest != NULL;

	manifest_free(&manifest);
	return good;
}

static void test_good(void)
{
	struct manifest *manifest = manifest_read(rig_module("good"), err, sizeof err);
	struct pstn_option option;
	struct pstn_metric metric;
	struct pstn_offer offer;
	struct pstn_need need;

	CU_ASSERT_PTR_NOT_NULL_FATAL(manifest);
	const struct pstn_module *m = manifest_module(manifest);
	CU_ASSERT_STRING_EQUAL(m->name, "good");
	CU_ASSERT_TRUE(manifest_option(m, m->options, 1, &option));
	CU_ASSERT_STRING_EQUAL(option.name, "repeat");
	CU_ASSERT_STRING_EQUAL(option.max, "5");
	CU_ASSERT_TRUE(manifest_metric(m, 1, &metric));
	CU_ASSERT_STRING_EQUAL(metric.name, "sessions");
	CU_ASSERT_FALSE(manifest_metric(m, 2, &metric));
	CU_ASSERT_TRUE(manifest_offer(m, 0, &offer));
	CU_ASSERT_STRING_EQUAL(offer.name, "service.stream");
	CU_ASSERT_FALSE(manifest_need(m, 0, &need));
	CU_ASSERT_TRUE(manifest_is_code(manifest, (const void *)(uintptr_t)m->start));
	CU_ASSERT_FALSE(manifest_is_code(manifest, m->name));
	CU_ASSERT_FALSE(manifest_is_code(manifest, NULL));
	manifest_free(&manifest);
	CU_ASSERT_PTR_NULL(manifest);
}

/* Rows that are shorter than ours: what they do not have is zero. */
static void test_older(void)
{
	struct manifest *manifest = manifest_read(rig_module("older"), err, sizeof err);
	struct pstn_option option;
	struct pstn_metric metric;

	CU_ASSERT_PTR_NOT_NULL_FATAL(manifest);
	const struct pstn_module *m = manifest_module(manifest);
	CU_ASSERT(m->option_size < sizeof(struct pstn_option));
	CU_ASSERT_TRUE(manifest_option(m, m->options, 1, &option));
	CU_ASSERT_STRING_EQUAL(option.name, "text");
	CU_ASSERT_STRING_EQUAL(option.def, "old");
	CU_ASSERT_PTR_NULL(option.child);
	CU_ASSERT_PTR_NULL(option.help);
	CU_ASSERT_FALSE(manifest_option(m, m->options, 2, &option));
	CU_ASSERT_TRUE(manifest_metric(m, 0, &metric));
	CU_ASSERT_PTR_NULL(metric.help);
	manifest_free(&manifest);
}

static void test_refused(void)
{
	static const struct {
		const char *name, *why;
	} rows[] = {{"newer_minor", "upgrade the core first"},
		    {"other_major", "build the module against this core's headers"},
		    {"wrong_magic", "wrong magic number"},
		    {"no_symbol", "no symbol pstn_module"},
		    {"does_not_exist", "cannot be opened: No such file"}};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		CU_ASSERT_FALSE(reads(rig_module(rows[i].name)));
		CU_ASSERT_PTR_NOT_NULL(strstr(err, rows[i].why));
	}
}

static void test_no_module_file(void)
{
	static const char garbage[] = "#!/bin/sh\necho this is no module\n";

	rig_write("script.so", garbage, sizeof garbage - 1, 0755);
	CU_ASSERT_FALSE(reads(rig_path("script.so")));
	CU_ASSERT_PTR_NOT_NULL(strstr(err, "not a shared object"));
	rig_write("empty.so", "", 0, 0755);
	CU_ASSERT_FALSE(reads(rig_path("empty.so")));
	CU_ASSERT_PTR_NOT_NULL(strstr(err, "empty"));
	CU_ASSERT_FALSE(reads(rig_path(".")));
	CU_ASSERT_PTR_NOT_NULL(strstr(err, "not a regular file"));
	CU_ASSERT_FALSE(reads("/proc/self/exe"));
	CU_ASSERT_PTR_NOT_NULL(strstr(err, "no symbol pstn_module"));
	CU_ASSERT_EQUAL(mkfifo(rig_path("pipe.so"), 0700), 0);
	CU_ASSERT_FALSE(reads(rig_path("pipe.so"))); /* and does not wait for a writer */
}

static size_t load(const char *path, unsigned char **bytes)
{
	FILE *in = fopen(path, "rb");

	CU_ASSERT_PTR_NOT_NULL_FATAL(in);
	*bytes = malloc(4 << 20);
	CU_ASSERT_PTR_NOT_NULL_FATAL(*bytes);
	size_t n = fread(*bytes, 1, 4 << 20, in);
	fclose(in);
	return n;
}

/* Wherever a copy was cut off, it is either refused or still whole as far as it is loaded. */
static void test_truncated(void)
{
	unsigned char *bytes;
	size_t size = load(rig_module("good"), &bytes);
	unsigned refused = 0, tried = 0;

	for (size_t n = 0; n < size; n += n < 4096 ? 61 : 509, tried++) {
		rig_write("cut.so", bytes, n, 0755);
		if (reads(rig_path("cut.so")))
			continue;
		refused++;
		CU_ASSERT(strlen(err) > 10);
	}
	CU_ASSERT(refused > tried / 4);
	rig_write("cut.so", bytes, size / 3, 0755);
	CU_ASSERT_FALSE(reads(rig_path("cut.so")));
	CU_ASSERT_PTR_NOT_NULL(strstr(err, "truncated"));
	free(bytes);
}

/* Octets changed at random places, the same ones each time: refused or read, never a crash. */
static void test_damaged(void)
{
	unsigned char *bytes;
	size_t size = load(rig_module("good"), &bytes);
	uint32_t seed = 20260801;

	for (unsigned i = 0; i < 3000; i++) {
		unsigned char before[8];
		size_t places[8];
		unsigned changes = 1 + i % 8;
		for (unsigned k = 0; k < changes; k++) {
			seed = seed * 1664525 + 1013904223;
			/* every other file: only headers and what they point to first */
			places[k] = (seed >> 8) % (i % 2 && size > 4096 ? 4096 : size);
			before[k] = bytes[places[k]];
			seed = seed * 1664525 + 1013904223;
			bytes[places[k]] = (unsigned char)(seed >> 16);
		}
		rig_write("bad.so", bytes, size, 0755);
		reads(rig_path("bad.so"));
		for (unsigned k = changes; k--;)
			bytes[places[k]] = before[k];
	}
	rig_write("bad.so", bytes, size, 0755);
	CU_ASSERT_TRUE(reads(rig_path("bad.so")));
	free(bytes);
}

static void test_owner_and_mode(void)
{
	rig_copy_module("good", "mode.so");
	CU_ASSERT_EQUAL(image_check_file(rig_path("mode.so"), err, sizeof err), 0);
	CU_ASSERT_EQUAL(chmod(rig_path("mode.so"), 0775), 0);
	bool private_group = geteuid() && getegid() == geteuid();
	CU_ASSERT_EQUAL(image_check_file(rig_path("mode.so"), err, sizeof err),
			private_group ? 0 : -1);
	CU_ASSERT_EQUAL(chmod(rig_path("mode.so"), 0757), 0);
	CU_ASSERT_EQUAL(image_check_file(rig_path("mode.so"), err, sizeof err), -1);
	CU_ASSERT_PTR_NOT_NULL(strstr(err, "may be written by others"));
	CU_ASSERT_EQUAL(chmod(rig_path("mode.so"), 0644), 0);
	CU_ASSERT_EQUAL(image_check_file(rig_path("mode.so"), err, sizeof err), 0);
	CU_ASSERT_EQUAL(mkdir(rig_path("open"), 0700), 0);
	CU_ASSERT_EQUAL(chmod(rig_path("open"), 0777), 0);
	rig_copy_module("good", "open/good.so");
	CU_ASSERT_EQUAL(image_check_file(rig_path("open/good.so"), err, sizeof err), -1);
	CU_ASSERT_PTR_NOT_NULL(strstr(err, "directory"));
	CU_ASSERT_EQUAL(image_check_file(rig_path("nothing.so"), err, sizeof err), -1);
	CU_ASSERT_EQUAL(image_check_file(rig_path("."), err, sizeof err), -1);
	if (geteuid())
		return; /* only root can give a file away */
	CU_ASSERT_EQUAL(chown(rig_path("mode.so"), 65534, 0), 0);
	CU_ASSERT_EQUAL(image_check_file(rig_path("mode.so"), err, sizeof err), -1);
	CU_ASSERT_PTR_NOT_NULL(strstr(err, "belongs to uid 65534"));
}

static void test_open(void)
{
	const struct pstn_module *m = image_open(rig_module("good"), err, sizeof err);

	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	CU_ASSERT_STRING_EQUAL(m->name, "good");
	CU_ASSERT_PTR_NOT_NULL(m->start);
	CU_ASSERT_PTR_EQUAL(image_open(rig_module("good"), err, sizeof err), m);
	CU_ASSERT_PTR_NULL(image_open(rig_path("nothing.so"), err, sizeof err));
}

/* libltdl says "file not found" for everything; the linker's own reason has to come through. */
static void test_open_fails(void)
{
	CU_ASSERT_TRUE(reads(rig_module("undefined")));
	CU_ASSERT_PTR_NULL(image_open(rig_module("undefined"), err, sizeof err));
	CU_ASSERT_PTR_NOT_NULL(strstr(err, "undefined symbol: nowhere_to_be_found"));
	CU_ASSERT_PTR_NULL(image_open(rig_module("newer_minor"), err, sizeof err));
	CU_ASSERT_PTR_NOT_NULL(strstr(err, "not the module that was judged"));
}

/* Judging it does no harm; opening it ends the process that does, which is why a candidate does. */
static void test_crash_while_loading(void)
{
	int status = 0;

	CU_ASSERT_TRUE(reads(rig_module("crash_load")));
	fflush(NULL);
	pid_t child = fork();
	CU_ASSERT(child >= 0);
	if (!child) {
		image_open(rig_module("crash_load"), err, sizeof err);
		_exit(0);
	}
	CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
	CU_ASSERT_TRUE(WIFSIGNALED(status) || WEXITSTATUS(status) != 0);
}

int main(void)
{
	if (CU_initialize_registry())
		return 1;
	CU_pSuite suite = CU_add_suite("manifest", rig_begin, rig_end);
	if (!CU_ADD_TEST(suite, test_good) || !CU_ADD_TEST(suite, test_older) ||
	    !CU_ADD_TEST(suite, test_refused) || !CU_ADD_TEST(suite, test_no_module_file) ||
	    !CU_ADD_TEST(suite, test_truncated) || !CU_ADD_TEST(suite, test_damaged) ||
	    !CU_ADD_TEST(suite, test_owner_and_mode) || !CU_ADD_TEST(suite, test_open) ||
	    !CU_ADD_TEST(suite, test_open_fails) || !CU_ADD_TEST(suite, test_crash_while_loading))
		return 1;
	CU_basic_run_tests();
	unsigned failures = CU_get_number_of_failures();
	CU_cleanup_registry();
	return failures != 0;
}
