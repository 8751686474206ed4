/*
 * test_conf_read.c - files to nodes: syntax errors and how reading goes on, encodings, includes.
 */
#include "config.h"

#include "conf_node.h"
#include "config_rig.h"

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static struct arena *arena;

/* The root of postern.yaml as it is in the scratch directory. */
static struct conf_node *read_again(void)
{
	struct reports *reports = reports_new();

	arena_free(&arena);
	arena = arena_new();
	struct conf_node *root = conf_read(rig_path("postern.yaml"), arena, reports);
	rig_collect(reports);
	reports_free(&reports);
	return root;
}

static struct conf_node *read_text(const char *text)
{
	rig_text("postern.yaml", text);
	return read_again();
}

static const char *text_of(const struct conf_node *root, const char *map, const char *key)
{
	const struct conf_node *n = conf_node_find(conf_node_find(root, map), key);

	return n && n->kind == CONF_TEXT ? n->text : "(none)";
}

static void test_places(void)
{
	const struct conf_node *root = read_text("a:\n  b: 1\n  c: [x, \"y\"]\n  d: {e: f}\n");

	CU_ASSERT_EQUAL(rig_count(), 0);
	const struct conf_node *a = conf_node_find(root, "a");
	CU_ASSERT_PTR_NOT_NULL_FATAL(a);
	CU_ASSERT_EQUAL(a->key_place.line, 1);
	const struct conf_node *b = conf_node_find(a, "b");
	CU_ASSERT_EQUAL(b->key_place.line, 2);
	CU_ASSERT_EQUAL(b->key_place.column, 3);
	CU_ASSERT_EQUAL(b->place.column, 6);
	const struct conf_node *c = conf_node_find(a, "c");
	CU_ASSERT_EQUAL(c->kind, CONF_LIST);
	CU_ASSERT_EQUAL(conf_node_count(c), 2);
	CU_ASSERT_TRUE(c->first->next->quoted);
	CU_ASSERT_EQUAL(c->first->next->place.column, 10);
	CU_ASSERT_STRING_EQUAL(conf_node_find(conf_node_find(a, "d"), "e")->text, "f");
	CU_ASSERT_PTR_NULL(conf_node_find(a, "nothing"));
	CU_ASSERT_PTR_NULL(conf_node_find(NULL, "a"));
}

/* One fault a row: it is named in its line, and what stands behind it is read all the same. */
static void test_syntax_errors(void)
{
	static const struct {
		const char *text;
		unsigned line;
		const char *says;
		const char *after; /* the value of a.z; NULL: not asked */
	} rows[] = {
	    {"a:\n  b 1\n  z: 9\n", 2, "the colon", "9"},
	    {"a:\n  b:1\n  z: 9\n", 2, "the colon", "9"},
	    {"a:\n  b: 1\n  c:1\n", 3, "the colon", NULL},
	    {"a:\n  b: \"1\n  z: 9\n", 2, "never closed", "9"},
	    {"a:\n  b: '1\n  y: 'x'\n  z: 9\n", 2, "not closed on its line", "9"},
	    {"a:\n  b: [1, 2\n  z: 9\n", 2, "not closed", "9"},
	    {"a:\n  b: {c: 2\n  z: 9\n", 2, "not closed", "9"},
	    {"a:\n  b: [1, 2]]\n  z: 9\n", 2, "nothing more", "9"},
	    {"a:\n  b: [1\n    2\n  ]\n  z: 9\n", 2, "not closed", "9"},
	    {"a:\n  b: c: d\n  z: 9\n", 2, "a second \": \"", "9"},
	    {"a:\n  b: 1\n    c: 2\n  z: 9\n", 3, "indentation", "9"},
	    {"a:\n  b: 1\n c: 2\n  z: 9\n", 3, "indentation", "9"},
	    {"a:\n\tb: 1\n  z: 9\n", 2, "a tab", "9"},
	    {"a:\n  b: 1\n  \tc: 2\n  z: 9\n", 3, "a tab", "9"},
	    {"a:\n  b: @x\n  z: 9\n", 2, "cannot begin", "9"},
	    {"a:\n  b: %x\n  z: 9\n", 2, "cannot begin", "9"},
	    {"a:\n  b: `x`\n  z: 9\n", 2, "cannot begin", "9"},
	    {"a:\n  b: *:110\n  z: 9\n", 2, "put in quotes", "9"},
	    {"a:\n  b: *x\n  z: 9\n", 2, "alias", "9"},
	    {"a:\n  b: &x 1\n  z: 9\n", 2, "anchor", "9"},
	    {"a:\n  b: !!int 1\n  z: 9\n", 2, "tag", "9"},
	    {"a:\n  b: \"\\q\"\n  z: 9\n", 2, "escape", "9"},
	    {"a:\n  b: \"x\" y\n  z: 9\n", 2, "nothing more", "9"},
	    {"a:\n  b: 1\n  junk\n  z: 9\n", 3, "colon", "9"},
	    {"a:\n  b: 1\n  b: 2\n  z: 9\n", 3, "set here and in line 2", "9"},
	    {"a:\n  b: - 1\n  z: 9\n", 2, "list item", "9"},
	    {"a:\n  ? [x]\n  : 1\n  z: 9\n", 2, "plain name", "9"},
	    {"a:\n  \"\": 1\n  z: 9\n", 2, "plain name", "9"},
	    {"a:\n  b: one\n    two\n  z: 9\n", 3, "continue", "9"},
	    {"a:\n  b: \"one\n    two\"\n  z: 9\n", 2, "not closed on its line", "9"},
	    {"a:\n  z: 9\n---\nb:\n", 3, "second document", "9"},
	    {"a:\n  z: 9\n...\nb: 1\n", 4, "", NULL},
	    {"- a\n- b\n", 1, "key: value", NULL},
	    {"just a text\n", 1, "key: value", NULL},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const struct conf_node *root = read_text(rows[i].text);
		bool named = rig_said_at(rows[i].line, rows[i].says);
		bool went_on =
		    !rows[i].after || (root && !strcmp(text_of(root, "a", "z"), rows[i].after));
		CU_ASSERT_TRUE(named);
		CU_ASSERT_TRUE(went_on);
		CU_ASSERT_EQUAL(rig_count(), 1);
		if (!named || !went_on || rig_count() != 1)
			fprintf(stderr, "in row %zu:\n%s", i, rig_reports());
	}
}

static void test_several(void)
{
	const struct conf_node *root = read_text("a:\n"
						 "  b \"1\"\n"
						 "  c: [x, y\n"
						 "  d: 4\n"
						 "\te: 5\n"
						 "f:\n"
						 "  g: \"open\n"
						 "  h: 8\n"
						 "   i: 9\n"
						 "j:\n"
						 "  k: 11\n");

	CU_ASSERT_TRUE(rig_said_at(2, "colon"));
	CU_ASSERT_TRUE(rig_said_at(3, "the list that begins here"));
	CU_ASSERT_TRUE(rig_said_at(5, "tab"));
	CU_ASSERT_TRUE(rig_said_at(7, "quotation mark"));
	CU_ASSERT_TRUE(rig_said_at(9, "indentation"));
	CU_ASSERT_EQUAL(rig_count(), 5);
	CU_ASSERT_STRING_EQUAL(text_of(root, "a", "d"), "4");
	CU_ASSERT_STRING_EQUAL(text_of(root, "a", "e"), "5");
	CU_ASSERT_STRING_EQUAL(text_of(root, "f", "h"), "8");
	CU_ASSERT_STRING_EQUAL(text_of(root, "f", "i"), "9");
	CU_ASSERT_STRING_EQUAL(text_of(root, "j", "k"), "11");
}

static void write_and_read(const void *bytes, size_t n)
{
	rig_write("postern.yaml", bytes, n, 0600);
	read_again();
}

static void test_octets(void)
{
	static const char nul[] = "a: 1\nb: x\0y\nc: 3\n";
	static const char latin[] = "a: 1\nb: gr\xfc\xdf\nc: 3\n";
	static const char utf16[] = "\xff\xfe"
				    "a\0:\0 \0"
				    "1\0\n\0";
	static const char control[] = "a: 1\nb: \"x\x07y\"\n";
	static const char surrogate[] = "a: \xed\xa0\x80\n";

	write_and_read(nul, sizeof nul - 1);
	CU_ASSERT_TRUE(rig_said_at(2, "NUL"));
	CU_ASSERT_EQUAL(rig_count(), 1);
	write_and_read(latin, sizeof latin - 1);
	CU_ASSERT_TRUE(rig_said_at(2, "not UTF-8"));
	CU_ASSERT_EQUAL(rig_count(), 1);
	write_and_read(utf16, sizeof utf16 - 1);
	CU_ASSERT_TRUE(rig_said_at(1, "not UTF-8"));
	write_and_read(control, sizeof control - 1);
	CU_ASSERT_TRUE(rig_said_at(2, "control character"));
	write_and_read(surrogate, sizeof surrogate - 1);
	CU_ASSERT_TRUE(rig_said_at(1, "not UTF-8"));

	const struct conf_node *root = read_text("\xef\xbb\xbf"
						 "a:\r\n  b: gr\xc3\xbc\xc3\x9f\r\n");
	CU_ASSERT_EQUAL(rig_count(), 0);
	CU_ASSERT_STRING_EQUAL(text_of(root, "a", "b"), "gr\xc3\xbc\xc3\x9f");
}

static void test_files(void)
{
	CU_ASSERT_PTR_NULL(read_text(""));
	CU_ASSERT_TRUE(rig_said("is empty"));
	CU_ASSERT_PTR_NULL(read_text("# only\n\n   # comments\n"));
	CU_ASSERT_TRUE(rig_said("is empty"));
	rig_remove("postern.yaml");
	CU_ASSERT_PTR_NULL(read_again());
	CU_ASSERT_TRUE(rig_said("No such file"));
	CU_ASSERT_EQUAL(mkdir(rig_path("postern.yaml"), 0700), 0);
	CU_ASSERT_PTR_NULL(read_again());
	CU_ASSERT_TRUE(rig_said("is a directory"));
	rig_remove("postern.yaml");
	CU_ASSERT_EQUAL(mkfifo(rig_path("postern.yaml"), 0600), 0);
	CU_ASSERT_PTR_NULL(read_again());
	CU_ASSERT_TRUE(rig_said("not a regular file"));
	rig_remove("postern.yaml");
	rig_write("postern.yaml", "a: 1\n", 5, 0666);
	CU_ASSERT_PTR_NULL(read_again());
	CU_ASSERT_TRUE(rig_said("chmod o-w"));
	rig_remove("postern.yaml");
}

/* Bounded time and memory for whatever somebody feeds in. */
static void test_sizes(void)
{
	size_t n = 3 << 20;
	char *text = malloc(n);

	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	memset(text, 'x', n);
	write_and_read(text, n);
	CU_ASSERT_TRUE(rig_said("larger than 1 MiB"));
	memset(text, '\n', n);
	write_and_read(text, 1000000);
	CU_ASSERT_TRUE(rig_said("more than 20000 lines"));
	memset(text, '[', n);
	write_and_read(text, 1000000);
	CU_ASSERT_TRUE(rig_said("levels"));
	memcpy(text, "a: [", 4);
	for (size_t i = 4; i + 2 <= 1000000; i += 2)
		memcpy(text + i, "x,", 2);
	write_and_read(text, 1000000);
	CU_ASSERT_TRUE(rig_said("values"));
	free(text);
	read_text("a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\n");
	CU_ASSERT_TRUE(rig_said_at(3, "aliases are not supported"));
}

static void test_includes(void)
{
	CU_ASSERT_EQUAL(mkdir(rig_path("conf.d"), 0700), 0);
	rig_text("conf.d/10.yaml", "a:\n  c: 2\n");
	rig_text("conf.d/20.yaml", "b:\n  d: 3\ninclude: ../last.yaml\n");
	rig_text("last.yaml", "e:\n  f: 4\n");
	rig_text("nothing.yaml", "# nothing\n");
	const struct conf_node *root =
	    read_text("include: [conf.d/*.yaml, none/*.yaml, nothing.yaml]\na:\n  b: 1\n");
	CU_ASSERT_EQUAL(rig_count(), 0);
	CU_ASSERT_STRING_EQUAL(text_of(root, "a", "b"), "1");
	CU_ASSERT_STRING_EQUAL(text_of(root, "a", "c"), "2");
	CU_ASSERT_STRING_EQUAL(text_of(root, "b", "d"), "3");
	CU_ASSERT_STRING_EQUAL(text_of(root, "e", "f"), "4");

	rig_text("conf.d/10.yaml", "a:\n  b: 2\n");
	read_text("a:\n  b: 1\ninclude: conf.d/10.yaml\n");
	CU_ASSERT_TRUE(rig_said("conf.d/10.yaml:2:3: b is set here and in"));
	CU_ASSERT_TRUE(rig_said("postern.yaml:2"));

	rig_text("conf.d/10.yaml", "include: ../postern.yaml\n");
	read_text("include: conf.d/10.yaml\n");
	CU_ASSERT_TRUE(rig_said("includes itself"));

	read_text("include:\n  - missing.yaml\n  - [x]\n  - conf.d\na:\n  b: 1\n");
	CU_ASSERT_TRUE(rig_said_at(2, "No such file"));
	CU_ASSERT_TRUE(rig_said_at(3, "expected a file name"));
	CU_ASSERT_TRUE(rig_said_at(4, "is a directory"));
	CU_ASSERT_EQUAL(rig_count(), 3);

	for (unsigned i = 0; i < 12; i++) {
		char name[20], text[40];
		snprintf(name, sizeof name, "deep%u.yaml", i);
		snprintf(text, sizeof text, "include: deep%u.yaml\n", i + 1);
		rig_text(name, text);
	}
	read_text("include: deep0.yaml\n");
	CU_ASSERT_TRUE(rig_said("files 8 deep"));
}

static int end(void)
{
	arena_free(&arena);
	return rig_end();
}

int main(void)
{
	if (CU_initialize_registry())
		return 1;
	CU_pSuite suite = CU_add_suite("conf_read", rig_begin, end);
	if (!CU_ADD_TEST(suite, test_places) || !CU_ADD_TEST(suite, test_syntax_errors) ||
	    !CU_ADD_TEST(suite, test_several) || !CU_ADD_TEST(suite, test_octets) ||
	    !CU_ADD_TEST(suite, test_files) || !CU_ADD_TEST(suite, test_sizes) ||
	    !CU_ADD_TEST(suite, test_includes))
		return 1;
	CU_basic_run_tests();
	unsigned failures = CU_get_number_of_failures();
	CU_cleanup_registry();
	return failures != 0;
}
