/*
 * test_conf_value.c - what a user writes, as numbers, truth values and addresses.
 */
#include "config.h"

#include "conf_value.h"

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void test_bool(void)
{
	static const struct {
		const char *text;
		int is; /* -1: refused */
	} rows[] = {{"true", 1},  {"yes", 1}, {"on", 1},  {"y", 1},    {"TRUE", 1},   {"Yes", 1},
		    {"false", 0}, {"no", 0},  {"off", 0}, {"n", 0},    {"False", 0},  {"OFF", 0},
		    {"", -1},     {"1", -1},  {"0", -1},  {"tru", -1}, {"truee", -1}, {" yes", -1}};

	for (size_t i = 0; i < COUNT(rows); i++) {
		bool out = rows[i].is != 1;
		bool good = value_bool(rows[i].text, &out);
		CU_ASSERT_EQUAL(good, rows[i].is >= 0);
		if (good)
			CU_ASSERT_EQUAL(out, rows[i].is);
	}
}

static void test_int(void)
{
	static const struct {
		const char *text;
		bool good;
		int64_t is;
	} rows[] = {{"0", true, 0},
		    {"42", true, 42},
		    {"-7", true, -7},
		    {"+7", true, 7},
		    {"007", true, 7},
		    {"9223372036854775807", true, INT64_MAX},
		    {"-9223372036854775808", true, INT64_MIN},
		    {"9223372036854775808", false, 0},
		    {"-9223372036854775809", false, 0},
		    {"99999999999999999999999", false, 0},
		    {"", false, 0},
		    {"-", false, 0},
		    {"1.5", false, 0},
		    {"0x10", false, 0},
		    {"1 ", false, 0},
		    {"ten", false, 0}};

	for (size_t i = 0; i < COUNT(rows); i++) {
		int64_t out = 0;
		CU_ASSERT_EQUAL(value_int(rows[i].text, &out), rows[i].good);
		if (rows[i].good)
			CU_ASSERT_EQUAL(out, rows[i].is);
	}
}

static void test_bytes(void)
{
	static const struct {
		const char *text;
		bool good;
		uint64_t is;
	} rows[] = {{"512", true, 512},
		    {"0", true, 0},
		    {"1B", true, 1},
		    {"64KiB", true, 65536},
		    {"1 MiB", true, 1048576},
		    {"2GiB", true, UINT64_C(2) << 30},
		    {"1TiB", true, UINT64_C(1) << 40},
		    {"10kB", true, 10000},
		    {"10MB", true, 10000000},
		    {"1GB", true, 1000000000},
		    {"8k", true, 8192},
		    {"1g", true, UINT64_C(1) << 30},
		    {"64kib", true, 65536},
		    {"16777215TiB", true, UINT64_C(16777215) << 40},
		    {"16777216TiB", false, 0},
		    {"-1", false, 0},
		    {"1.5MiB", false, 0},
		    {"KiB", false, 0},
		    {"64 Ki", false, 0},
		    {"10 m b", false, 0},
		    {"", false, 0}};

	for (size_t i = 0; i < COUNT(rows); i++) {
		uint64_t out = 0;
		CU_ASSERT_EQUAL(value_bytes(rows[i].text, &out), rows[i].good);
		if (rows[i].good)
			CU_ASSERT_EQUAL(out, rows[i].is);
	}
}

static void test_duration(void)
{
	static const struct {
		const char *text;
		bool good;
		uint64_t is;
	} rows[] = {{"0", true, 0},
		    {"0s", true, 0},
		    {"250ms", true, 250},
		    {"10s", true, 10000},
		    {"10 s", true, 10000},
		    {"10m", true, 600000},
		    {"1h", true, 3600000},
		    {"7d", true, 604800000},
		    {"1h30m", true, 5400000},
		    {"1m 30s", true, 90000},
		    {"10", false, 0},
		    {"10sec", false, 0},
		    {"s", false, 0},
		    {"-1s", false, 0},
		    {"1.5h", false, 0},
		    {"1h30", false, 0},
		    {"999999999999999d", false, 0},
		    {"", false, 0}};

	for (size_t i = 0; i < COUNT(rows); i++) {
		uint64_t out = 0;
		CU_ASSERT_EQUAL(value_duration(rows[i].text, &out), rows[i].good);
		if (rows[i].good)
			CU_ASSERT_EQUAL(out, rows[i].is);
	}
}

static void test_address(void)
{
	static const struct {
		const char *text, *canonical; /* NULL: refused */
	} rows[] = {{"127.0.0.1:110", "127.0.0.1:110"},
		    {"0.0.0.0:65535", "0.0.0.0:65535"},
		    {"[::1]:110", "[::1]:110"},
		    {"[0:0::0:1]:110", "[::1]:110"},
		    {"[2001:DB8::1]:1", "[2001:db8::1]:1"},
		    {"unix:/run/x.sock", "unix:/run/x.sock"},
		    {"unix:x.sock", NULL},
		    {"unix:", NULL},
		    {"/run/x.sock", NULL},
		    {"127.0.0.1", NULL},
		    {"127.0.0.1:0", NULL},
		    {"127.0.0.1:65536", NULL},
		    {"127.0.0.1:pop3", NULL},
		    {"127.0.0.1:", NULL},
		    {"::1:110", NULL},
		    {"[::1]", NULL},
		    {"[::1:110", NULL},
		    {"[::1]110", NULL},
		    {"[127.0.0.1]:110", NULL},
		    {"*:110", NULL},
		    {"localhost:110", NULL},
		    {"256.0.0.1:110", NULL},
		    {"[fe80::1%lo]:110", NULL},
		    {":110", NULL},
		    {"", NULL}};
	struct value_address out;

	for (size_t i = 0; i < COUNT(rows); i++) {
		const char *wrong = value_address(rows[i].text, &out);
		CU_ASSERT_EQUAL(wrong == NULL, rows[i].canonical != NULL);
		if (!wrong && rows[i].canonical)
			CU_ASSERT_STRING_EQUAL(out.text, rows[i].canonical);
	}
	char longest[200];
	snprintf(longest, sizeof longest, "unix:/%0150d", 1);
	CU_ASSERT_PTR_NOT_NULL(value_address(longest, &out));
	snprintf(longest, sizeof longest, "%0150d:110", 1);
	CU_ASSERT_PTR_NOT_NULL(value_address(longest, &out));
}

static void test_overlap(void)
{
	static const struct {
		const char *a, *b;
		bool overlap;
	} rows[] = {{"127.0.0.1:110", "127.0.0.1:110", true},
		    {"127.0.0.1:110", "127.0.0.1:111", false},
		    {"127.0.0.1:110", "127.0.0.2:110", false},
		    {"0.0.0.0:110", "127.0.0.1:110", true},
		    {"[::]:110", "[::1]:110", true},
		    {"[::]:110", "127.0.0.1:110", false},
		    {"[::1]:110", "[0::1]:110", true},
		    {"unix:/a", "unix:/a", true},
		    {"unix:/a", "unix:/b", false},
		    {"unix:/a", "127.0.0.1:110", false}};
	struct value_address a, b;

	for (size_t i = 0; i < COUNT(rows); i++) {
		CU_ASSERT_PTR_NULL(value_address(rows[i].a, &a));
		CU_ASSERT_PTR_NULL(value_address(rows[i].b, &b));
		CU_ASSERT_EQUAL(value_addresses_overlap(&a, &b), rows[i].overlap);
		CU_ASSERT_EQUAL(value_addresses_overlap(&b, &a), rows[i].overlap);
	}
}

static void test_rows(void)
{
	static const char *const colours[] = {"red", "green", NULL};
	static const struct {
		struct pstn_option row;
		const char *text;
		bool good;
	} rows[] = {
	    {{.type = PSTN_INT, .min = "1", .max = "9"}, "1", true},
	    {{.type = PSTN_INT, .min = "1", .max = "9"}, "9", true},
	    {{.type = PSTN_INT, .min = "1", .max = "9"}, "0", false},
	    {{.type = PSTN_INT, .min = "1", .max = "9"}, "10", false},
	    {{.type = PSTN_INT}, "-5", true},
	    {{.type = PSTN_BYTES, .max = "1KiB"}, "1024", true},
	    {{.type = PSTN_BYTES, .max = "1KiB"}, "1025", false},
	    {{.type = PSTN_DURATION, .min = "1m"}, "60s", true},
	    {{.type = PSTN_DURATION, .min = "1m"}, "59s", false},
	    {{.type = PSTN_STRING, .min = "1", .max = "3"}, "abc", true},
	    {{.type = PSTN_STRING, .min = "1", .max = "3"}, "", false},
	    {{.type = PSTN_STRING, .min = "1", .max = "3"}, "abcd", false},
	    {{.type = PSTN_STRING}, "two\nlines", false},
	    {{.type = PSTN_ENUM, .choices = colours}, "green", true},
	    {{.type = PSTN_ENUM, .choices = colours}, "blue", false},
	    {{.type = PSTN_ENUM, .choices = colours}, "Green", false},
	    {{.type = PSTN_MAP}, "x", false},
	    {{.type = 99}, "x", false},
	};
	union value value;

	for (size_t i = 0; i < COUNT(rows); i++)
		CU_ASSERT_EQUAL(value_scalar(&rows[i].row, rows[i].text, &value), rows[i].good);
}

static void test_expected(void)
{
	static const char *const colours[] = {"red", "green", NULL};
	static const struct {
		struct pstn_option row;
		const char *text;
	} rows[] = {
	    {{.type = PSTN_INT, .min = "1", .max = "9"}, "a whole number from 1 to 9"},
	    {{.type = PSTN_INT, .min = "1"}, "a whole number at least 1"},
	    {{.type = PSTN_STRING, .max = "3"}, "a text, at most 3 octets long"},
	    {{.type = PSTN_BOOL}, "true or false"},
	    {{.type = PSTN_ENUM, .choices = colours}, "one of red, green"},
	};
	char text[200];

	for (size_t i = 0; i < COUNT(rows); i++) {
		value_expected(&rows[i].row, text, sizeof text);
		CU_ASSERT_STRING_EQUAL(text, rows[i].text);
	}
	value_expected(&rows[4].row, text, 8); /* too small: cut, not overrun */
	CU_ASSERT_EQUAL(strlen(text), 7);
}

/* What is printed reads back as what it was. */
static void test_print(void)
{
	static const struct {
		uint64_t amount;
		const char *bytes, *duration;
	} rows[] = {{0, "0", "0"},
		    {1, "1B", "1ms"},
		    {1000, "1000B", "1s"},
		    {1024, "1KiB", "1024ms"},
		    {3600000, NULL, "1h"},
		    {5400000, NULL, "90m"},
		    {UINT64_MAX, "18446744073709551615B", NULL}};
	char text[32];

	for (size_t i = 0; i < COUNT(rows); i++) {
		uint64_t again = 1;
		value_print_bytes(rows[i].amount, text, sizeof text);
		CU_ASSERT_TRUE(value_bytes(text, &again) && again == rows[i].amount);
		if (rows[i].bytes)
			CU_ASSERT_STRING_EQUAL(text, rows[i].bytes);
		value_print_duration(rows[i].amount, text, sizeof text);
		CU_ASSERT_TRUE(value_duration(text, &again) && again == rows[i].amount);
		if (rows[i].duration)
			CU_ASSERT_STRING_EQUAL(text, rows[i].duration);
	}
}

int main(void)
{
	if (CU_initialize_registry())
		return 1;
	CU_pSuite suite = CU_add_suite("conf_value", NULL, NULL);
	if (!CU_ADD_TEST(suite, test_bool) || !CU_ADD_TEST(suite, test_int) ||
	    !CU_ADD_TEST(suite, test_bytes) || !CU_ADD_TEST(suite, test_duration) ||
	    !CU_ADD_TEST(suite, test_address) || !CU_ADD_TEST(suite, test_overlap) ||
	    !CU_ADD_TEST(suite, test_rows) || !CU_ADD_TEST(suite, test_expected) ||
	    !CU_ADD_TEST(suite, test_print))
		return 1;
	CU_basic_run_tests();
	unsigned failures = CU_get_number_of_failures();
	CU_cleanup_registry();
	return failures != 0;
}
