/*
 * test_line.c - cutting lines: the same result however the octets arrive.
 */
#include "line_model.h"

#include "suite.h"

static const struct {
	const char *bytes;
	size_t n;
	uint32_t limit;
	const char *story;
} cases[] = {
#define CASE(bytes, limit, story)                      \
	{                                              \
		bytes, sizeof(bytes) - 1, limit, story \
	}
    CASE("", 10, ""),
    CASE("NOOP\r\n", 10, "[NOOP]"),
    CASE("NOOP\n", 10, "[NOOP]"),
    CASE("\r\n\n\r\r\n", 10, "[][][\r]"),
    CASE("A\rB\r\n", 10, "[A\rB]"),
    CASE("A\r\r\n", 10, "[A\r]"),
    CASE("NO", 10, ""),
    CASE("12345678\r\nX\r\n", 10, "[12345678][X]"),
    CASE("123456789\nX\n", 10, "[123456789][X]"),
    CASE("123456789\r\nX\r\n", 10, "![X]"),
    CASE("1234567890\nX\n", 10, "![X]"),
    CASE("a very long line indeed\r\nanother too long\r\nX\r\n", 10, "!![X]"),
    CASE("endless without an end", 10, ""),
    CASE("STAT\r\nLIST\r\nQUIT\r\n", 10, "[STAT][LIST][QUIT]"),
    CASE("1\r\n\r", 2, "!"),
};

static void check_split(const char *bytes, size_t n, uint32_t limit, size_t step, size_t first,
			const struct line_story *expected)
{
	struct line_reader r = {.cutter.limit = limit};
	size_t at = 0;

	while (at < n) {
		size_t part = at == 0 && first ? first : step;

		if (part > n - at)
			part = n - at;
		CU_ASSERT(line_feed(&r, bytes + at, part));
		at += part;
	}
	CU_ASSERT(story_equal(&r.story, expected));
	line_reader_clear(&r);
}

static void every_split(const char *bytes, size_t n, uint32_t limit,
			const struct line_story *expected)
{
	for (size_t first = 0; first <= n; first++)
		for (size_t step = 1; step <= n; step++)
			check_split(bytes, n, limit, step, first, expected);
}

static void test_table(void)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct line_story expected = {.text = (char *)cases[i].story,
					      .n = strlen(cases[i].story)};
		struct line_story model = {0};

		line_model(cases[i].bytes, cases[i].n, cases[i].limit, &model);
		CU_ASSERT(story_equal(&model, &expected));
		every_split(cases[i].bytes, cases[i].n, cases[i].limit, &expected);
		free(model.text);
	}
}

static void test_zero_octets_inside(void)
{
	static const char bytes[] = "A\0B\r\n\0\n";
	struct line_story expected = {.text = (char *)"[A\0B][\0]", .n = 8};

	every_split(bytes, sizeof(bytes) - 1, 10, &expected);
}

static void test_random(void)
{
	static const char alphabet[] = "\n\n\r\r\0ab";
	unsigned seed = 1;

	for (unsigned round = 0; round < 3000; round++) {
		uint32_t limit = 2 + (unsigned)rand_r(&seed) % 12;
		size_t n = (unsigned)rand_r(&seed) % 60;
		struct line_story model = {0};
		char bytes[60];

		for (size_t i = 0; i < n; i++)
			bytes[i] = alphabet[(unsigned)rand_r(&seed) % (sizeof(alphabet) - 1)];
		line_model(bytes, n, limit, &model);
		for (size_t step = 1; step < 8; step++)
			check_split(bytes, n, limit, step, (unsigned)rand_r(&seed) % 8, &model);
		free(model.text);
	}
}

int main(int argc, char **argv)
{
	static const struct suite_case suite[] = {{"table, in every split", test_table},
						  {"zero octets", test_zero_octets_inside},
						  {"random against the model", test_random},
						  {NULL, NULL}};

	return suite_run("line", suite, argc > 1 ? argv[1] : NULL);
}
