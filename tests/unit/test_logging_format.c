/*
 * test_logging_format.c - events as lines: whatever is in the values, one line comes out.
 */
#include "modules/logging/format.h"

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof(*(a)))

/* 2026-11-23T17:01:02.123456789Z */
#define WHEN  UINT64_C(1795453262123456789)
#define STAMP "2026-11-23T17:01:02.123456Z"

static struct pstn_log_event event_of(const struct pstn_field *fields, uint32_t n)
{
	return (struct pstn_log_event){.size = sizeof(struct pstn_log_event),
				       .level = PSTN_INFO,
				       .time = WHEN,
				       .service = "pop3",
				       .session = "8.K3F2",
				       .event = "login",
				       .generation = 8,
				       .nfields = n,
				       .fields = fields};
}

static const char *format(format_line *how, const struct pstn_log_event *e)
{
	static char line[FORMAT_LINE_MAX + 1];
	size_t n = how(e, line);

	CU_ASSERT_TRUE_FATAL(n > 0 && n <= FORMAT_LINE_MAX);
	line[n] = '\0';
	CU_ASSERT_EQUAL(strlen(line), n);
	CU_ASSERT_PTR_EQUAL(strchr(line, '\n'), line + n - 1);
	return line;
}

/* One string value in both formats. */
static const struct value_case {
	const char *value, *text, *json;
} value_cases[] = {
    {"a@b", "a@b", "a@b"},
    {"", "\"\"", ""},
    {"two words", "\"two words\"", "two words"},
    {"a=b", "\"a=b\"", "a=b"},
    {"say \"hi\"", "\"say \\\"hi\\\"\"", "say \\\"hi\\\""},
    {"back\\slash", "\"back\\\\slash\"", "back\\\\slash"},
    {"x\r\n2026 info forged", "\"x\\x0d\\x0a2026 info forged\"", "x\\u000d\\u000a2026 info forged"},
    {"\x1b[31m", "\"\\x1b[31m\"", "\\u001b[31m"},
    {"\x7f", "\"\\x7f\"", "\\u007f"},
    {"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f"},
    {"\xf0\x9f\x93\xac", "\xf0\x9f\x93\xac", "\xf0\x9f\x93\xac"},
    {"\xff\xfe", "\"\\xff\\xfe\"", "\\ufffd\\ufffd"},
    {"\xc3", "\"\\xc3\"", "\\ufffd"},
    {"\xc0\xaf", "\"\\xc0\\xaf\"", "\\ufffd\\ufffd"},
    {"\xed\xa0\x80", "\"\\xed\\xa0\\x80\"", "\\ufffd\\ufffd\\ufffd"},
    {"\xc2\x85", "\"\\xc2\\x85\"", "\\u0085"},
    {"\xe2\x80\xa8", "\"\\xe2\\x80\\xa8\"", "\\u2028"},
    {"\xe2\x80\xae"
     "abc",
     "\"\\xe2\\x80\\xae"
     "abc\"",
     "\\u202eabc"},
    {"\xf3\xa0\x81\x81", "\"\\xf3\\xa0\\x81\\x81\"", "\\udb40\\udc41"},
};

static void test_values(void)
{
	char expected[512];

	for (size_t i = 0; i < COUNT(value_cases); i++) {
		const struct pstn_field field = PSTN_S("user", value_cases[i].value);
		struct pstn_log_event e = event_of(&field, 1);

		snprintf(expected, sizeof(expected),
			 STAMP " info pop3 session=8.K3F2 login user=%s\n", value_cases[i].text);
		CU_ASSERT_STRING_EQUAL(format(format_text, &e), expected);
		CU_ASSERT_STRING_EQUAL(format(format_syslog, &e), expected + sizeof(STAMP " info"));
		snprintf(expected, sizeof(expected),
			 "{\"time\":\"" STAMP "\",\"level\":\"info\",\"service\":\"pop3\","
			 "\"session\":\"8.K3F2\",\"event\":\"login\",\"generation\":8,"
			 "\"user\":\"%s\"}\n",
			 value_cases[i].json);
		CU_ASSERT_STRING_EQUAL(format(format_json, &e), expected);
	}
}

static void test_numbers_and_nul(void)
{
	static const struct pstn_field fields[] = {
	    PSTN_I("least", INT64_MIN),
	    PSTN_U("most", UINT64_MAX),
	    {.key = "nul", .kind = PSTN_F_STR, .length = 3, .str = "a\0b"},
	};
	struct pstn_log_event e = event_of(fields, COUNT(fields));

	e.session = "";
	e.service = "core";
	e.level = PSTN_CRITICAL;
	e.event = "start";
	CU_ASSERT_STRING_EQUAL(format(format_text, &e),
			       STAMP " critical core start least=-9223372036854775808 "
				     "most=18446744073709551615 nul=\"a\\x00b\"\n");
	CU_ASSERT_STRING_EQUAL(
	    format(format_json, &e),
	    "{\"time\":\"" STAMP
	    "\",\"level\":\"critical\",\"service\":\"core\",\"event\":\"start\","
	    "\"generation\":8,\"least\":-9223372036854775808,\"most\":18446744073709551615,"
	    "\"nul\":\"a\\u0000b\"}\n");
}

static void test_fixed_members_are_not_doubled(void)
{
	const struct pstn_field fields[] = {PSTN_S("level", "x"), PSTN_S("time", "y")};
	struct pstn_log_event e = event_of(fields, COUNT(fields));

	CU_ASSERT_PTR_NOT_NULL(
	    strstr(format(format_json, &e), ",\"level_\":\"x\",\"time_\":\"y\"}"));
}

/* Names that nobody should have chosen do no harm either. */
static void test_odd_names(void)
{
	const struct pstn_field field = PSTN_S("a b\n\"", "x");
	struct pstn_log_event e = event_of(&field, 1);

	e.service = "two\nlines";
	e.session = "x y";
	e.event = "";
	e.level = 77;
	CU_ASSERT_STRING_EQUAL(format(format_text, &e),
			       STAMP " unknown \"two\\x0alines\" session=\"x y\" \"\" "
				     "\"a b\\x0a\\\"\"=x\n");
	CU_ASSERT_PTR_NOT_NULL(strstr(format(format_json, &e), "\"a b\\u000a\\\"\":\"x\"}"));
}

static bool is_json(const char *line)
{
	json_t *value = json_loads(line, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
	bool object = json_is_object(value);

	json_decref(value);
	return object;
}

/* All kinds of length: never more than a line, and the line says that something is missing. */
static void test_too_long(void)
{
	static const char fillers[] = {'a', '\n', '\xff', '"', '\xe2'};
	static char long_value[20000];
	struct pstn_field fields[12];
	const char *line;

	for (size_t f = 0; f < sizeof(fillers); f++) {
		memset(long_value, fillers[f], sizeof(long_value) - 1);
		for (size_t length = 0; length < sizeof(long_value); length += 97) {
			struct pstn_log_event e = event_of(fields, COUNT(fields));

			for (size_t i = 0; i < COUNT(fields); i++) {
				static const char *const keys[] = {"a", "b", "c", "d", "e", "f",
								   "g", "h", "i", "j", "k", "l"};

				fields[i] = (struct pstn_field){.key = keys[i],
								.kind = PSTN_F_STR,
								.length = (uint32_t)length,
								.str = long_value};
			}
			line = format(format_text, &e);
			if (length >= 1800)
				CU_ASSERT_PTR_NOT_NULL(strstr(line, " truncated=yes\n"));
			line = format(format_json, &e);
			CU_ASSERT_TRUE(is_json(line));
			if (length >= 1800)
				CU_ASSERT_PTR_NOT_NULL(strstr(line, ",\"truncated\":true}\n"));
		}
	}
}

static void test_long_value_is_cut_between_characters(void)
{
	static char value[FORMAT_VALUE_MAX + 100];
	struct pstn_field field = {.key = "v", .kind = PSTN_F_STR, .str = value};
	struct pstn_log_event e = event_of(&field, 1);

	memset(value, 'x', sizeof(value));
	memcpy(value + FORMAT_VALUE_MAX - 1, "\xc3\xbc", 2);
	field.length = sizeof(value);
	CU_ASSERT_PTR_NOT_NULL(strstr(format(format_json, &e), "xxx...\"}\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(format(format_text, &e), "xxx\"...\n"));
}

static void test_long_names(void)
{
	static char name[5000];
	const struct pstn_field field = {.key = name, .kind = PSTN_F_UINT};
	struct pstn_log_event e = event_of(&field, 1);

	memset(name, '\x01', sizeof(name) - 1);
	e.service = e.session = e.event = name;
	CU_ASSERT_TRUE(is_json(format(format_json, &e)));
	format(format_text, &e);
}

int main(void)
{
	CU_TestInfo tests[] = {
	    {"values", test_values},
	    {"numbers and NUL", test_numbers_and_nul},
	    {"fixed members are not doubled", test_fixed_members_are_not_doubled},
	    {"odd names", test_odd_names},
	    {"too long", test_too_long},
	    {"cut between characters", test_long_value_is_cut_between_characters},
	    {"long names", test_long_names},
	    CU_TEST_INFO_NULL,
	};
	CU_SuiteInfo suites[] = {{"logging: format", NULL, NULL, NULL, NULL, tests},
				 CU_SUITE_INFO_NULL};

	if (CU_initialize_registry() != CUE_SUCCESS || CU_register_suites(suites) != CUE_SUCCESS)
		return 1;
	CU_basic_run_tests();
	unsigned failures = CU_get_number_of_failures();
	CU_cleanup_registry();
	return failures ? 1 : 0;
}
