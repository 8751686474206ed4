/*
 * test_control.c - requests as clients send them, good and bad; answers as commands build them.
 */
#include "config.h"

#include "control_call.h"
#include "control_failure.h"
#include "control_input.h"
#include "control_request.h"
#include "control_rows.h"
#include "host.h"

#include <CUnit/Basic.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void good_requests(void)
{
	static const struct {
		const char *text, *command;
		unsigned nfiles;
		uint64_t generation;
		const char *user; /* the argument of that name */
	} cases[] = {
	    {"{\"version\":1,\"command\":\"status\"}", "status", 0, 0, NULL},
	    {" {\"command\":\"a b\",\"args\":{},\"files\":[],\"version\":1 } ", "a b", 0, 0, NULL},
	    {"{\"version\":1,\"command\":\"x\",\"args\":{\"user\":\"a@b\"}}", "x", 0, 0, "a@b"},
	    {"{\"version\":1,\"command\":\"x\",\"args\":{\"user\":true}}", "x", 0, 0, ""},
	    {"{\"version\":1,\"command\":\"x\",\"args\":{\"user\":false}}", "x", 0, 0, NULL},
	    {"{\"version\":1,\"command\":\"x\",\"files\":[\"a\",\"b\"],\"generation\":7}", "x", 2,
	     7, NULL},
	    {"{\"version\":1,\"command\":\"x\",\"args\":{\"user\":\"[[[[{{{{\\\"[[[[[[[[[[[[[[[[[[["
	     "[["
	     "[[[[[[[[[[[\"}}",
	     "x", 0, 0, "[[[[{{{{\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["},
	    {"{\"version\":1,\"command\":\"x\",\"later\":{\"added\":[1]}}", "x", 0, 0, NULL},
	};
	struct control_request r;
	char err[256];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int status = control_request_parse(&r, cases[i].text, strlen(cases[i].text), err,
						   sizeof(err));
		CU_ASSERT_EQUAL_FATAL(status, 0);
		CU_ASSERT_STRING_EQUAL(r.command, cases[i].command);
		CU_ASSERT_EQUAL(r.nfiles, cases[i].nfiles);
		CU_ASSERT_EQUAL(r.generation, cases[i].generation);
		const char *user = control_request_arg(&r, "user");
		CU_ASSERT_EQUAL(user != NULL, cases[i].user != NULL);
		if (user && cases[i].user)
			CU_ASSERT_STRING_EQUAL(user, cases[i].user);
		control_request_clear(&r);
	}
}

static void refuse(const char *text, size_t n, const char *why)
{
	struct control_request r;
	char err[256] = "";

	CU_ASSERT_EQUAL(control_request_parse(&r, text, n, err, sizeof(err)), -1);
	CU_ASSERT_PTR_NOT_NULL(strstr(err, why));
	if (!strstr(err, why))
		printf("%.60s: %s\n", text, err);
}

static void bad_requests(void)
{
	static const struct {
		const char *text, *why;
	} cases[] = {
	    {"", "not JSON"},
	    {"GET / HTTP/1.0", "not JSON"},
	    {"{\"version\":1,\"command\":\"status\"", "not JSON"},
	    {"{\"version\":1,\"command\":\"x\"} {}", "not JSON"},
	    {"{\"version\":1,\"command\":\"x\",\"command\":\"y\"}", "not JSON"},
	    {"{\"version\":1,\"command\":\"\\u0000\"}", "not JSON"},
	    {"{\"version\":1,\"command\":\"\xff\"}", "not JSON"},
	    {"[]", "a JSON object"},
	    {"[1]", "a JSON object"},
	    {"{}", "no \"version\""},
	    {"{\"version\":\"1\",\"command\":\"x\"}", "no \"version\""},
	    {"{\"version\":2,\"command\":\"x\"}", "of version 2"},
	    {"{\"version\":1}", "no \"command\""},
	    {"{\"version\":1,\"command\":7}", "no \"command\""},
	    {"{\"version\":1,\"command\":\"x\",\"args\":[]}", "\"args\""},
	    {"{\"version\":1,\"command\":\"x\",\"args\":{\"n\":1}}", "argument \"n\""},
	    {"{\"version\":1,\"command\":\"x\",\"args\":{\"n\":null}}", "argument \"n\""},
	    {"{\"version\":1,\"command\":\"x\",\"files\":{}}", "\"files\""},
	    {"{\"version\":1,\"command\":\"x\",\"files\":[1]}", "\"files\""},
	    {"{\"version\":1,\"command\":\"x\",\"files\":[\"a\",\"a\",\"a\",\"a\",\"a\"]}",
	     "at most"},
	    {"{\"version\":1,\"command\":\"x\",\"generation\":0}", "\"generation\""},
	    {"{\"version\":1,\"command\":\"x\",\"generation\":-3}", "\"generation\""},
	    {"{\"version\":1,\"command\":\"x\",\"generation\":\"3\"}", "\"generation\""},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		refuse(cases[i].text, strlen(cases[i].text), cases[i].why);
}

static void deep_requests(void)
{
	static char text[CONTROL_REQUEST_MAX];

	memset(text, '[', sizeof(text));
	refuse(text, sizeof(text), "nested too deeply");
	for (size_t i = 0; i + 5 <= sizeof(text); i += 5)
		memcpy(text + i, "{\"a\":", 5);
	refuse(text, sizeof(text) - sizeof(text) % 5, "nested too deeply");
	memset(text, ' ', sizeof(text));
	refuse(text, sizeof(text), "not JSON");
}

/* In any pieces, up to the limit, descriptors with the first octet. */
static void input(void)
{
	static char request[CONTROL_REQUEST_MAX + 1];
	struct control_input in;
	char err[128] = "";
	int ends[2];

	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	CU_ASSERT_EQUAL_FATAL(control_input_open(&in), 0);
	CU_ASSERT_EQUAL(control_input_read(&in, ends[0], MSG_DONTWAIT, err, sizeof(err)),
			CONTROL_PART);
	for (const char *p = "{\"a\":1}"; *p; p++) {
		CU_ASSERT_EQUAL(write(ends[1], p, 1), 1);
		CU_ASSERT_EQUAL(control_input_read(&in, ends[0], 0, err, sizeof(err)),
				CONTROL_PART);
	}
	CU_ASSERT_EQUAL(write(ends[1], "\nrest", 5), 5);
	CU_ASSERT_EQUAL(control_input_read(&in, ends[0], 0, err, sizeof(err)), CONTROL_WHOLE);
	CU_ASSERT_STRING_EQUAL(in.text, "{\"a\":1}");
	control_input_clear(&in);

	CU_ASSERT_EQUAL_FATAL(control_input_open(&in), 0);
	memset(request, 'x', sizeof(request));
	CU_ASSERT_EQUAL(write(ends[1], request, sizeof(request)), (ssize_t)sizeof(request));
	enum control_got got = CONTROL_PART;
	while (got == CONTROL_PART)
		got = control_input_read(&in, ends[0], 0, err, sizeof(err));
	CU_ASSERT_EQUAL(got, CONTROL_BAD);
	CU_ASSERT_PTR_NOT_NULL(strstr(err, "longer than"));
	control_input_clear(&in);

	CU_ASSERT_EQUAL_FATAL(control_input_open(&in), 0);
	CU_ASSERT_EQUAL(read(ends[0], request, sizeof(request)), 1);
	CU_ASSERT_EQUAL(write(ends[1], "{}\0\n", 4), 4);
	CU_ASSERT_EQUAL(control_input_read(&in, ends[0], 0, err, sizeof(err)), CONTROL_BAD);
	close(ends[1]);
	CU_ASSERT_EQUAL(control_input_read(&in, ends[0], 0, err, sizeof(err)), CONTROL_GONE);
	control_input_clear(&in);
	close(ends[0]);
}

static struct pstn_call *new_call(int *peer)
{
	struct pstn_call *c = calloc(1, sizeof(*c));
	int ends[2];

	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	c->client = ends[0];
	*peer = ends[1];
	return c;
}

static void expect_answer(struct pstn_call *c, int peer, const char *expected)
{
	char text[4096];
	size_t n = 0;
	ssize_t more;

	call_answer(c);
	call_clear(c);
	while ((more = read(peer, text + n, sizeof(text) - 1 - n)) > 0)
		n += (size_t)more;
	text[n] = '\0';
	CU_ASSERT_STRING_EQUAL(text, expected);
	if (strcmp(text, expected) != 0)
		printf("%s", text);
	close(peer);
}

static void answers(void)
{
	struct pstn_call *c;
	int peer;

	c = new_call(&peer);
	expect_answer(c, peer, "{\"ok\":true,\"result\":null}\n");
	c = new_call(&peer);
	call_ops.open_array(c, NULL);
	call_ops.open_object(c, NULL);
	call_ops.text(c, "name", "a\"b\n");
	call_ops.integer(c, "n", INT64_MIN);
	call_ops.boolean(c, "yes", true);
	call_ops.text(c, "none", NULL);
	call_ops.open_array(c, "list");
	call_ops.integer(c, NULL, 1);
	call_ops.close(c);
	call_ops.close(c);
	call_ops.text(c, NULL, "not \xff utf-8");
	call_ops.close(c);
	expect_answer(c, peer,
		      "{\"ok\":true,\"result\":[{\"name\":\"a\\\"b\\n\",\"n\":-9223372036854775808,"
		      "\"yes\":true,\"none\":null,\"list\":[1]},\"not ? utf-8\"]}\n");
	c = new_call(&peer);
	call_ops.text(c, NULL, "half an answer");
	call_ops.fail(c, "mailbox %s is full; raise its quota", "a@b");
	call_ops.fail(c, "something that follows from it");
	expect_answer(c, peer,
		      "{\"ok\":false,\"error\":\"mailbox a@b is full; raise its quota\"}\n");
	c = new_call(&peer);
	call_ops.fail(c, "there is no command \"%.3s\"", "ab\u00e4");
	expect_answer(c, peer, "{\"ok\":false,\"error\":\"there is no command \\\"ab?\\\"\"}\n");
	c = new_call(&peer);
	call_ops.progress(c, 1, 2, "messages");
	call_ops.bytes(c, "foobar", 6);
	expect_answer(c, peer,
		      "{\"progress\":{\"done\":1,\"total\":2,\"unit\":\"messages\"}}\n"
		      "{\"bytes\":\"Zm9vYmFy\"}\n{\"ok\":true,\"result\":null}\n");
}

static void failures(void)
{
	struct pstn_call *c;
	int peer;

	c = new_call(&peer);
	call_ops.fail_as(c, PSTN_E_QUOTA, "%s holds %d of %d messages", "a@b", 2, 2);
	call_ops.fail_as(c, PSTN_E_FULL, "something that follows from it");
	expect_answer(c, peer,
		      "{\"ok\":false,\"error\":\"a@b holds 2 of 2 messages\","
		      "\"status\":\"quota\"}\n");
	c = new_call(&peer);
	call_ops.fail(c, "of no kind");
	call_ops.fail_as(c, PSTN_E_FULL, "something that follows from it");
	expect_answer(c, peer, "{\"ok\":false,\"error\":\"of no kind\"}\n");
	for (int status = PSTN_E_QUOTA; status < 0; status++)
		CU_ASSERT_PTR_NOT_NULL(control_status_word(status));
	CU_ASSERT_PTR_NULL(control_status_word(PSTN_OK));
	CU_ASSERT_PTR_NULL(control_status_word(PSTN_LATER));
	CU_ASSERT_PTR_NULL(control_status_word(PSTN_E_QUOTA - 1));
}

/* A module's mistakes become an error, not a crash. */
static void misbuilt_answers(void)
{
	static const char sorry[] = "{\"ok\":false,\"error\":\"the answer could not be built; the "
				    "log of the server may tell more\",\"status\":\"temporary\"}\n";
	struct pstn_call *c;
	int peer;

	c = new_call(&peer);
	call_ops.close(c);
	expect_answer(c, peer, sorry);
	c = new_call(&peer);
	call_ops.integer(c, NULL, 1);
	call_ops.integer(c, NULL, 2);
	expect_answer(c, peer, sorry);
	c = new_call(&peer);
	call_ops.open_object(c, NULL);
	call_ops.integer(c, NULL, 1);
	expect_answer(c, peer, sorry);
	c = new_call(&peer);
	for (int i = 0; i < 100; i++)
		call_ops.open_array(c, NULL);
	expect_answer(c, peer, sorry);
}

static void cancelled(void)
{
	struct pstn_call *c;
	int peer;

	c = new_call(&peer);
	CU_ASSERT_FALSE(call_ops.cancelled(c));
	close(peer);
	CU_ASSERT_TRUE(call_ops.cancelled(c));
	call_answer(c); /* to nobody */
	call_clear(c);
	c = new_call(&peer);
	calls_cancel();
	CU_ASSERT_TRUE(call_ops.cancelled(c));
	close(peer);
	call_clear(c);
}

/* A table compiled with shorter rows: what it lacks reads as zero. */
static void short_rows(void)
{
	struct old_arg {
		const char *name;
		uint32_t kind, flags;
	};
	struct old_command {
		const char *name, *help;
		const void *args;
	};
	static const struct old_arg args[] = {
	    {"user", PSTN_ARG_TEXT, 0}, {"x", PSTN_ARG_SWITCH, PSTN_ARG_OPTIONAL}, {0}};
	static const struct old_command rows[] = {{"one", "first", args}, {"two", NULL, NULL}, {0}};
	struct pstn_commands table = {.size = sizeof(table),
				      .command_size = sizeof(rows[0]),
				      .arg_size = sizeof(args[0]),
				      .rows = (const void *)rows};
	json_t *array = json_array();
	char *text;

	CU_ASSERT_EQUAL(control_rows_json(array, &table), 0);
	text = json_dumps(array, JSON_COMPACT);
	CU_ASSERT_STRING_EQUAL(
	    text, "[{\"name\":\"one\",\"help\":\"first\",\"args\":[{\"name\":\"user\",\"kind\":"
		  "\"text\",\"optional\":false,\"confirm\":false,\"writes\":false,\"file\":false,"
		  "\"or_directory\":false,\"help\":\"\"},{"
		  "\"name\":\"x\","
		  "\"kind\":\"switch\",\"optional\":true,\"confirm\":false,\"writes\":false,"
		  "\"file\":false,\"or_directory\":false,"
		  "\"help\":\"\"}],"
		  "\"each_generation\":false,\"changes\":false},{\"name\":\"two\",\"help\":\"\","
		  "\"args\":[],\"each_generation\":false,\"changes\":false}]");
	free(text);
	json_decref(array);
}

int main(void)
{
	CU_TestInfo tests[] = {{"good requests", good_requests},
			       {"bad requests", bad_requests},
			       {"deep requests", deep_requests},
			       {"input", input},
			       {"answers", answers},
			       {"failures", failures},
			       {"misbuilt answers", misbuilt_answers},
			       {"cancelled", cancelled},
			       {"short rows", short_rows},
			       CU_TEST_INFO_NULL};
	CU_SuiteInfo suites[] = {{"control", NULL, NULL, NULL, NULL, tests}, CU_SUITE_INFO_NULL};

	if (CU_initialize_registry() || CU_register_suites(suites))
		return 2;
	CU_basic_run_tests();
	unsigned failed = CU_get_number_of_failures();
	CU_cleanup_registry();
	return failed ? 1 : 0;
}
