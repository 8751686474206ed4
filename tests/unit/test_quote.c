/*
 * test_quote.c - the module author's example, tested as an author would: against the fake host.
 */
#include "fake_host.h"

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <stdio.h>
#include <string.h>

struct quote_conf { /* as in modules/quote/quote.c */
	const char *quotes_file;
	bool interactive;
	uint64_t idle_timeout;
};

extern const struct pstn_module pstn_module;

static const struct pstn_service *service;
static const struct pstn_commands *commands;
static struct pstn_self *self;
static char err[256];

static void find_offers(void)
{
	service = pstn_module.offers[0].table;
	commands = pstn_module.offers[1].table;
}

static void *begin(struct quote_conf *conf)
{
	fake_begin();
	self = fake_self("quote");
	return pstn_module.start(self, fake_host(), conf, err, sizeof(err));
}

static char *write_quotes(char *path, size_t size, const char *text)
{
	FILE *out;

	snprintf(path, size, "%s/quotes", fake_directory());
	out = fopen(path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(out);
	fputs(text, out);
	fclose(out);
	return path;
}

static void test_one_quote_and_close(void)
{
	struct quote_conf conf = {.quotes_file = ""};
	void *quote = begin(&conf);
	struct pstn_session *s = fake_connect(self, service, quote);

	fake_settle();
	CU_ASSERT_PTR_NOT_NULL(strstr(fake_output(s), "Be conservative in what you send"));
	CU_ASSERT_STRING_EQUAL(fake_ended(s), "served");
	CU_ASSERT_EQUAL(fake_metric(self, 0), 1);
	CU_ASSERT_PTR_NOT_NULL(fake_log_find("closed"));
	pstn_module.stop(quote);
	CU_ASSERT_EQUAL(fake_end(), 0);
}

static void test_interactive(void)
{
	struct quote_conf conf = {.quotes_file = "", .interactive = true, .idle_timeout = 5000};
	void *quote = begin(&conf);
	struct pstn_session *s = fake_connect(self, service, quote);

	CU_ASSERT_EQUAL(fake_idle_limit(s), 5000);
	fake_line(s, "another");
	fake_line(s, "QUIT");
	fake_settle();
	CU_ASSERT_EQUAL(fake_metric(self, 0), 2);
	CU_ASSERT_STRING_EQUAL(fake_ended(s), "quit");
	pstn_module.stop(quote);
	CU_ASSERT_EQUAL(fake_end(), 0);
}

static void test_file_and_command(void)
{
	struct quote_conf conf = {.quotes_file = ""};
	static const struct {
		const char *number, *answer, *error;
	} cases[] = {
	    {"1", "{\"number\":1,\"text\":\"first\"}", NULL},
	    {"2", "{\"number\":2,\"text\":\"second\"}", NULL},
	    {"3", NULL, "There is no quotation 3: they are numbered 1 to 2."},
	    {"x", NULL, "There is no quotation x: they are numbered 1 to 2."},
	};
	char path[512];
	void *quote;

	fake_begin();
	self = fake_self("quote");
	conf.quotes_file = write_quotes(path, sizeof(path), "first\nsecond\n");
	quote = pstn_module.start(self, fake_host(), &conf, err, sizeof(err));
	CU_ASSERT_PTR_NOT_NULL_FATAL(quote);
	CU_ASSERT_EQUAL(pstn_module.self_test(quote, err, sizeof(err)), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct pstn_call *call = fake_call();

		fake_call_arg(call, "number", cases[i].number);
		fake_call_run(call, commands, "quote show", quote);
		if (cases[i].error)
			CU_ASSERT_STRING_EQUAL(fake_call_error(call), cases[i].error);
		if (cases[i].answer)
			CU_ASSERT_STRING_EQUAL(fake_call_answer(call), cases[i].answer);
		fake_call_free(call);
	}
	pstn_module.stop(quote);
	CU_ASSERT_EQUAL(fake_end(), 0);
}

static void test_refusals(void)
{
	struct quote_conf conf = {.quotes_file = "/nonexistent/quotes"};
	char path[512], text[700];
	void *quote = begin(&conf);

	CU_ASSERT_PTR_NULL(quote);
	CU_ASSERT_PTR_NOT_NULL(strstr(err, "/nonexistent/quotes"));
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	conf.quotes_file = write_quotes(path, sizeof(path), text);
	quote = pstn_module.start(self, fake_host(), &conf, err, sizeof(err));
	CU_ASSERT_PTR_NOT_NULL_FATAL(quote);
	CU_ASSERT_EQUAL(pstn_module.self_test(quote, err, sizeof(err)), -1);
	CU_ASSERT_PTR_NOT_NULL(strstr(err, "line 1"));
	pstn_module.stop(quote);
	CU_ASSERT_EQUAL(fake_end(), 0);
}

static void test_every_allocation_fails(void)
{
	struct quote_conf conf = {.quotes_file = ""};

	fake_begin();
	self = fake_self("quote");
	for (unsigned long n = 1;; n++) {
		void *quote;

		fake_fail_alloc(n);
		quote = pstn_module.start(self, fake_host(), &conf, err, sizeof(err));
		if (!fake_alloc_failed()) {
			CU_ASSERT_PTR_NOT_NULL_FATAL(quote);
			pstn_module.stop(quote);
			break;
		}
		CU_ASSERT_PTR_NULL(quote);
	}
	fake_fail_alloc(0);
	CU_ASSERT_EQUAL(fake_end(), 0);
}

int main(void)
{
	unsigned failures;
	CU_pSuite suite;

	if (CU_initialize_registry())
		return 1;
	suite = CU_add_suite("quote", NULL, NULL);
	find_offers();
	if (!CU_ADD_TEST(suite, test_one_quote_and_close) ||
	    !CU_ADD_TEST(suite, test_interactive) || !CU_ADD_TEST(suite, test_file_and_command) ||
	    !CU_ADD_TEST(suite, test_refusals) || !CU_ADD_TEST(suite, test_every_allocation_fails))
		return 1;
	CU_basic_run_tests();
	failures = CU_get_number_of_failures();
	CU_cleanup_registry();
	return failures != 0;
}
