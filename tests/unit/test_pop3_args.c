/*
 * test_pop3_args.c - command lines taken apart.
 */
#include "modules/pop3/args.h"

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <string.h>

#define TEXT(s) (s), sizeof(s) - 1

static void test_lines(void)
{
	static const struct {
		const char *text;
		size_t n;
		const char *keyword; /* NULL: no command line */
		const char *rest;
		size_t rest_length;
	} cases[] = {
	    {TEXT("NOOP"), "NOOP", NULL, 0},
	    {TEXT("noop"), "NOOP", NULL, 0},
	    {TEXT("Top 1 2"), "TOP", TEXT("1 2")},
	    {TEXT("PASS "), "PASS", TEXT("")},
	    {TEXT("PASS  a b "), "PASS", TEXT(" a b ")},
	    {TEXT("PASS a\0b"), "PASS", TEXT("a\0b")},
	    {TEXT("UTF8"), "UTF8", NULL, 0},
	    {TEXT(""), NULL, NULL, 0},
	    {TEXT(" NOOP"), NULL, NULL, 0},
	    {TEXT("NOOPS"), NULL, NULL, 0},
	    {TEXT("NO\tP"), NULL, NULL, 0},
	    {TEXT("NO\0P"), NULL, NULL, 0},
	    {TEXT("\xc3\xa4"), NULL, NULL, 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[64];
		struct pop3_line line;
		bool good;

		memcpy(text, cases[i].text, cases[i].n + 1);
		good = pop3_args_line(text, cases[i].n, &line);
		CU_ASSERT_EQUAL(good, cases[i].keyword != NULL);
		if (!good || !cases[i].keyword)
			continue;
		CU_ASSERT_STRING_EQUAL(line.keyword, cases[i].keyword);
		CU_ASSERT_EQUAL(line.rest == NULL, cases[i].rest == NULL);
		CU_ASSERT_EQUAL(line.rest_length, cases[i].rest_length);
		if (line.rest && cases[i].rest)
			CU_ASSERT_EQUAL(memcmp(line.rest, cases[i].rest, line.rest_length), 0);
	}
}

static void test_words(void)
{
	static const struct {
		const char *text;
		size_t n;
		int count;
		const char *first, *second;
	} cases[] = {
	    {TEXT(""), 0, NULL, NULL},      {TEXT("   "), 0, NULL, NULL},
	    {TEXT("1"), 1, "1", NULL},      {TEXT("1 2"), 2, "1", "2"},
	    {TEXT("1 2  "), 2, "1", "2"},   {TEXT(" 1"), -1, NULL, NULL},
	    {TEXT("1  2"), -1, NULL, NULL}, {TEXT("1 2 3"), -1, NULL, NULL},
	    {TEXT("1\t2"), -1, NULL, NULL}, {TEXT("1\0"), -1, NULL, NULL},
	    {TEXT("\x80"), -1, NULL, NULL}, {TEXT("1 \x7f"), -1, NULL, NULL},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[32], *words[POP3_WORDS_MAX];
		int count;

		memcpy(text, cases[i].text, cases[i].n + 1);
		count = pop3_args_words(text, cases[i].n, words);
		CU_ASSERT_EQUAL(count, cases[i].count);
		if (count > 0)
			CU_ASSERT_STRING_EQUAL(words[0], cases[i].first);
		if (count > 1)
			CU_ASSERT_STRING_EQUAL(words[1], cases[i].second);
	}
}

static void test_numbers(void)
{
	static const struct {
		const char *word;
		bool good;
		uint32_t value;
	} cases[] = {
	    {"0", true, 0},
	    {"1", true, 1},
	    {"007", true, 7},
	    {"4294967294", true, 4294967294u},
	    {"4294967295", true, UINT32_MAX},
	    {"4294967297", true, UINT32_MAX},
	    {"18446744073709551617", true, UINT32_MAX},
	    {"99999999999999999999999999999999999999999", true, UINT32_MAX},
	    {"", false, 0},
	    {"-1", false, 0},
	    {"+1", false, 0},
	    {"1a", false, 0},
	    {"0x1", false, 0},
	    {"1.", false, 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint32_t value = 0;
		bool good = pop3_args_number(cases[i].word, &value);

		CU_ASSERT_EQUAL(good, cases[i].good);
		if (good)
			CU_ASSERT_EQUAL(value, cases[i].value);
	}
}

static CU_TestInfo tests[] = {
    {"lines", test_lines}, {"words", test_words}, {"numbers", test_numbers}, CU_TEST_INFO_NULL};
static CU_SuiteInfo suites[] = {{"pop3 args", NULL, NULL, NULL, NULL, tests}, CU_SUITE_INFO_NULL};

int main(void)
{
	unsigned failed = 1;

	if (CU_initialize_registry() == CUE_SUCCESS && CU_register_suites(suites) == CUE_SUCCESS) {
		CU_basic_set_mode(CU_BRM_VERBOSE);
		CU_basic_run_tests();
		failed = CU_get_number_of_failures();
	}
	CU_cleanup_registry();
	return failed ? 1 : 0;
}
