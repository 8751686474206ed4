/*
 * test_plan.c - configurations and modules together: values, needs, listeners, order, differences.
 */
#include "config.h"

#include "conf_doc.h"
#include "config_rig.h"
#include "plan_boot.h"

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct good_conf { /* as in tests/modules/good.c */
	bool loud;
	int64_t repeat;
	uint64_t room;
	uint64_t patience;
	const char *greeting;
	const char *directory;
	const char *peer;
	int32_t mood;
	const char *password;
	struct {
		int64_t low, high;
	} marks;
	struct pstn_list words;
	struct pstn_list limits;
};

struct good_limit {
	const char *network;
	int64_t sessions;
};

static struct plan *plan_of(const char *text)
{
	rig_text("postern.yaml", text);
	return rig_plan("postern.yaml", TEST_MODULES);
}

static void test_defaults(void)
{
	struct plan *plan = plan_of("modules:\n  good:\n");

	CU_ASSERT_PTR_NOT_NULL_FATAL(plan);
	CU_ASSERT_EQUAL(rig_count(), 0);
	CU_ASSERT_STRING_EQUAL(plan->server.user, "postern");
	CU_ASSERT_STRING_EQUAL(plan->server.module_directory, TEST_MODULES);
	CU_ASSERT_EQUAL(plan->server.job_threads.max, 16);
	CU_ASSERT_EQUAL(plan->server.ready_deadline, 20000);
	CU_ASSERT_EQUAL(plan->server.output_limit, 262144);
	CU_ASSERT_STRING_EQUAL(plan->server.control.group, "");
	CU_ASSERT_EQUAL_FATAL(plan->nmodules, 1);
	const struct plan_module *m = &plan->modules[0];
	CU_ASSERT_STRING_EQUAL(m->name, "good");
	CU_ASSERT_EQUAL(m->nlisteners, 1);
	CU_ASSERT_STRING_EQUAL(m->listeners[0].address, "127.0.0.1:7777");
	CU_ASSERT_EQUAL(m->listeners[0].fd, -1);
	const struct good_conf *c = m->conf;
	CU_ASSERT_FALSE(c->loud);
	CU_ASSERT_EQUAL(c->repeat, 1);
	CU_ASSERT_EQUAL(c->room, 4096);
	CU_ASSERT_EQUAL(c->patience, 600000);
	CU_ASSERT_STRING_EQUAL(c->greeting, "hello");
	CU_ASSERT_STRING_EQUAL(c->directory + strlen(c->directory) - 11, "/state/good");
	CU_ASSERT_STRING_EQUAL(c->peer, "127.0.0.1:7");
	CU_ASSERT_EQUAL(c->mood, 0);
	CU_ASSERT_STRING_EQUAL(c->password, "");
	CU_ASSERT_EQUAL(c->marks.high, 20);
	CU_ASSERT_EQUAL_FATAL(c->words.count, 2);
	CU_ASSERT_STRING_EQUAL(((const char *const *)c->words.items)[1], "two");
	CU_ASSERT_EQUAL(c->limits.count, 0);
	plan_free(&plan);
	CU_ASSERT_PTR_NULL(plan);
}

static void test_values(void)
{
	struct plan *plan = plan_of("server:\n"
				    "  max_sessions: 7\n"
				    "  reactors: {min: 1, max: 2}\n"
				    "  control: {group: staff}\n"
				    "modules:\n"
				    "  echo:\n"
				    "    file: good.so\n"
				    "    loud: yes\n"
				    "    repeat: 5\n"
				    "    room: 64 KiB\n"
				    "    patience: 1h30m\n"
				    "    greeting: 'it''s me'\n"
				    "    directory: notes\n"
				    "    peer: \"[0::1]:9\"\n"
				    "    mood: grumpy\n"
				    "    marks: {low: 1}\n"
				    "    words: []\n"
				    "    limits:\n"
				    "      - 10.0.0.0/8\n"
				    "      - {network: 127/8, sessions: 3}\n"
				    "    listeners:\n"
				    "      - 127.0.0.1:7001\n"
				    "      - {address: \"unix:{run}/echo\", backlog: 5}\n");

	CU_ASSERT_PTR_NOT_NULL_FATAL(plan);
	CU_ASSERT_EQUAL(plan->server.max_sessions, 7);
	CU_ASSERT_EQUAL(plan->server.reactors.max, 2);
	CU_ASSERT_STRING_EQUAL(plan->server.control.group, "staff");
	const struct plan_module *m = &plan->modules[0];
	const struct good_conf *c = m->conf;
	CU_ASSERT_STRING_EQUAL(m->name, "echo");
	CU_ASSERT_TRUE(c->loud);
	CU_ASSERT_EQUAL(c->room, 65536);
	CU_ASSERT_EQUAL(c->patience, 5400000);
	CU_ASSERT_STRING_EQUAL(c->greeting, "it's me");
	CU_ASSERT_STRING_EQUAL(c->directory, rig_path("notes"));
	CU_ASSERT_STRING_EQUAL(c->peer, "[::1]:9");
	CU_ASSERT_EQUAL(c->mood, 2);
	CU_ASSERT_EQUAL(c->marks.low, 1);
	CU_ASSERT_EQUAL(c->marks.high, 20);
	CU_ASSERT_EQUAL(c->words.count, 0);
	CU_ASSERT_EQUAL_FATAL(c->limits.count, 2);
	const struct good_limit *limits = c->limits.items;
	CU_ASSERT_STRING_EQUAL(limits[0].network, "10.0.0.0/8");
	CU_ASSERT_EQUAL(limits[0].sessions, 10);
	CU_ASSERT_EQUAL(limits[1].sessions, 3);
	CU_ASSERT_EQUAL_FATAL(m->nlisteners, 2);
	CU_ASSERT_EQUAL(m->listeners[0].backlog, 511);
	CU_ASSERT_EQUAL(m->listeners[1].backlog, 5);
	CU_ASSERT_STRING_EQUAL(m->listeners[1].address + strlen(m->listeners[1].address) - 9,
			       "/run/echo");
	plan_free(&plan);
}

/* An option of the module, what the report says, in which line (counted from the option's). */
static void test_value_errors(void)
{
	static const struct {
		const char *text, *says;
	} rows[] = {
	    {"repeat: 6", "good.repeat: found \"6\", expected a whole number from 1 to 5"},
	    {"repeat: one", "found \"one\""},
	    {"repeat:", "found no value"},
	    {"repeat: ~", "found no value"},
	    {"repeat: [1]", "found a list, expected a whole number"},
	    {"repeat: {a: 1}", "found a mapping, expected a whole number"},
	    {"loud: maybe", "expected true or false"},
	    {"room: 1TiB", "from 512 to 1MiB"},
	    {"room: 12 bottles", "expected a size"},
	    {"patience: 90", "a unit is missing"},
	    {"patience: 0", "from 1s to 1d"},
	    {"directory: '{home}/x'", "{home} is no directory of an instance"},
	    {"directory: '{state}x'", "no directory of an instance"},
	    {"peer: 127.0.0.1", "has no port"},
	    {"peer: '::1:7'", "IPv6 address without brackets"},
	    {"peer: example.org:7", "names are not looked up"},
	    {"mood: happy", "one of calm, cheerful, grumpy"},
	    {"mood: gumpy", "did you mean \"grumpy\"?"},
	    {"marks: 7", "expected a mapping"},
	    {"marks: {low: -1}", "good.marks.low: found \"-1\""},
	    {"marks: {lwo: 1}", "did you mean \"low\"?"},
	    {"words: one", "expected a list"},
	    {"words: [a, '']", "good.words[1]"},
	    {"words: [a,b,c,d,e,f,g,h,i]", "at most 8 items"},
	    {"words: [a, [b]]", "good.words[1]: found a list"},
	    {"limits: [{sessions: 1}]", "good.limits[0].network is missing"},
	    {"limits: [{network: a, x: 1}]", "good.limits[0].x: unknown key"},
	    {"pateince: 1s", "did you mean \"patience\"?"},
	    {"listener: []", "did you mean \"listeners\"?"},
	    {"max_sessions: 7", "there is server.max_sessions"},
	    {"zzz: 7", "unknown key"},
	    {"enabled: perhaps", "good.enabled: found \"perhaps\""},
	    {"uses: {a.b: c}", "needs no such interface"},
	    {"uses: x", "expected interfaces and modules"},
	    {"listeners: 127.0.0.1:1", "expected a list"},
	    {"listeners: [1]", "good.listeners[0].address"},
	    {"listeners: [{backlog: 1}]", "address is missing"},
	    {"listeners: [{address: '127.0.0.1:1', backlog: 0}]", "from 1 to 65535"},
	    {"listeners: ['127.0.0.1:1', '127.0.0.1:1']", "cannot be bound"},
	    {"listeners: ['127.0.0.1:1', '0.0.0.0:1']", "cannot be bound"},
	};
	char text[256];

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		snprintf(text, sizeof text, "modules:\n  good:\n    %s\n", rows[i].text);
		CU_ASSERT_FALSE(rig_judge(text));
		CU_ASSERT_TRUE(rig_said_at(3, rows[i].says));
		CU_ASSERT_EQUAL(rig_count(), 1);
	}
}

static void test_server_errors(void)
{
	static const struct {
		const char *text, *says;
	} rows[] = {
	    {"max_sessions: none", "server.max_sessions: found \"none\""},
	    {"reactors: {min: 5, max: 2}", "min (5) is greater than max (2)"},
	    {"job_threads: {max: 1}", "min (2) is greater than max (1)"},
	    {"watchdog: 2h", "from 0 to 1h"},
	    {"patience: 1s", "there is good.patience"},
	    {"low: 1", "there is good.marks.low"},
	    {"usr: x", "did you mean \"user\"?"},
	};
	char text[256];

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		snprintf(text, sizeof text, "modules: {good: {}}\nserver:\n  %s\n", rows[i].text);
		CU_ASSERT_FALSE(rig_judge(text));
		CU_ASSERT_TRUE(rig_said_at(3, rows[i].says));
		CU_ASSERT_EQUAL(rig_count(), 1);
	}
	CU_ASSERT_FALSE(rig_judge("modules: {good: {}}\nserver: 7\n"));
	CU_ASSERT_TRUE(rig_said_at(2, "server: found \"7\""));
	CU_ASSERT_FALSE(rig_judge("modules: {good: {}}\nserver: {user: nobody-at-all}\n") &&
			!geteuid());
}

static void test_top_errors(void)
{
	static const struct {
		const char *text;
		unsigned line;
		const char *says;
	} rows[] = {
	    {"server: {}\n", 0, "modules: is missing"},
	    {"modules:\n", 1, "modules: found no value"},
	    {"modules: []\n", 1, "modules: found a list"},
	    {"modules: {}\n", 1, "nothing would run"},
	    {"modules: {good: {enabled: no}}\n", 1, "nothing would run"},
	    {"modules: {good: {}}\nmodule: {}\n", 2, "did you mean \"modules\"?"},
	    {"modules: {good: {}}\nxyz: {}\n", 2, "expected include, modules or server"},
	    {"modules:\n  goood: {}\n", 2, "did you mean \"good\"?"},
	    {"modules:\n  nothing_like_it: {}\n", 2, "older"},
	    {"modules:\n  Good: {}\n", 2, "not a name for a module"},
	    {"modules:\n  server: {}\n", 2, "not a name for a module"},
	    {"modules:\n  good: 7\n", 2, "good: found \"7\""},
	    {"modules:\n  x: {file: /nowhere/x.so}\n", 2, "no module file /nowhere/x.so"},
	    {"modules:\n  x:\n    file: sub/x.so\n", 3, "no module file"},
	    {"modules:\n  x:\n    file: [good.so]\n", 3, "x.file: found a list"},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		CU_ASSERT_FALSE(rig_judge(rows[i].text));
		CU_ASSERT_TRUE(rows[i].line ? rig_said_at(rows[i].line, rows[i].says)
					    : rig_said(rows[i].says));
		CU_ASSERT_EQUAL(rig_count(), 1);
	}
}

static void test_bad_modules(void)
{
	static const struct {
		const char *name, *says;
	} rows[] = {{"newer_minor", "upgrade the core first"},
		    {"other_major", "build the module against"},
		    {"wrong_magic", "wrong magic number"},
		    {"no_symbol", "no symbol pstn_module"}};
	char text[128];

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		snprintf(text, sizeof text, "modules:\n  good:\n  %s:\n", rows[i].name);
		CU_ASSERT_FALSE(rig_judge(text));
		CU_ASSERT_TRUE(rig_said_at(3, rows[i].says));
	}
	rig_copy_module("good", "mine.so");
	CU_ASSERT_EQUAL(chmod(rig_path("mine.so"), 0777), 0);
	snprintf(text, sizeof text, "modules:\n  good:\n    file: %s\n", rig_path("mine.so"));
	CU_ASSERT_FALSE(rig_judge(text));
	CU_ASSERT_TRUE(rig_said_at(3, "may be written by others"));
	CU_ASSERT_EQUAL(chmod(rig_path("mine.so"), 0755), 0);
	CU_ASSERT_TRUE(rig_judge(text));
	CU_ASSERT_EQUAL(truncate(rig_path("mine.so"), 9000), 0);
	CU_ASSERT_FALSE(rig_judge(text));
	CU_ASSERT_TRUE(rig_said_at(3, "truncated"));
}

static void test_needs(void)
{
	struct plan *plan = plan_of("modules:\n  unmet_need:\n  good:\n  provider:\n");

	CU_ASSERT_PTR_NOT_NULL_FATAL(plan);
	CU_ASSERT_EQUAL_FATAL(plan->nmodules, 3);
	CU_ASSERT_STRING_EQUAL(plan->modules[0].name, "good");
	CU_ASSERT_STRING_EQUAL(plan->modules[1].name, "provider");
	CU_ASSERT_STRING_EQUAL(plan->modules[2].name, "unmet_need");
	CU_ASSERT_EQUAL(plan->modules[2].needs[0].module, 1);
	CU_ASSERT_EQUAL(plan->modules[2].needs[0].offer, 0);
	CU_ASSERT_EQUAL(plan->modules[2].needs[1].module, -1);
	plan_free(&plan);

	CU_ASSERT_FALSE(rig_judge("modules:\n  unmet_need:\n"));
	CU_ASSERT_TRUE(rig_said_at(2, "unmet_need needs the interface test.store 1.0"));
	CU_ASSERT_TRUE(rig_said("add one of these under modules: provider"));
	CU_ASSERT_FALSE(rig_judge("modules:\n  provider:\n  later_need:\n"));
	CU_ASSERT_TRUE(rig_said_at(3, "test.store 2.0"));
	CU_ASSERT_TRUE(rig_said("provider offers version 1.1 only"));
	CU_ASSERT_FALSE(rig_judge("modules:\n  unmet_need:\n  provider: {enabled: false}\n"));
	CU_ASSERT_FALSE(rig_judge("modules:\n  circle_a:\n  good:\n  circle_b:\n"));
	CU_ASSERT_TRUE(rig_said("circle_a needs test.circle_b of circle_b, "
				"circle_b needs test.circle_a of circle_a"));
}

static void test_uses(void)
{
	CU_ASSERT_FALSE(rig_judge("modules:\n  unmet_need:\n  provider:\n"
				  "  second: {file: provider.so}\n"));
	CU_ASSERT_TRUE(rig_said_at(2, "provider and second offer it: say which with uses:"));
	struct plan *plan = plan_of("modules:\n  unmet_need: {uses: {test.store: second}}\n"
				    "  provider:\n  second: {file: provider.so}\n");
	CU_ASSERT_PTR_NOT_NULL_FATAL(plan);
	const struct plan_module *m = &plan->modules[2];
	CU_ASSERT_STRING_EQUAL(plan->modules[m->needs[0].module].name, "second");
	plan_free(&plan);
	CU_ASSERT_FALSE(rig_judge("modules:\n  unmet_need:\n    uses:\n"
				  "      test.stor: second\n  provider:\n"));
	CU_ASSERT_TRUE(rig_said_at(4, "did you mean \"test.store\"?"));
	CU_ASSERT_FALSE(rig_judge("modules:\n  unmet_need:\n    uses:\n"
				  "      test.store: provide\n  provider:\n"));
	CU_ASSERT_TRUE(rig_said_at(4, "did you mean \"provider\"?"));
	CU_ASSERT_FALSE(rig_judge("modules:\n  unmet_need:\n    uses:\n"
				  "      test.store: good\n  provider:\n  good:\n"));
	CU_ASSERT_TRUE(rig_said_at(4, "does not offer version 1.0"));
}

/* A fault elsewhere is no reason to call a need unmet: its provider may be what is at fault. */
static void test_no_consequences(void)
{
	CU_ASSERT_FALSE(rig_judge("modules:\n  unmet_need:\n  providr:\n"));
	CU_ASSERT_EQUAL(rig_count(), 1);
	CU_ASSERT_FALSE(rig_judge("modules:\n  unmet_need:\n  provider {}\n  good:\n"));
	CU_ASSERT_TRUE(rig_said_at(3, "colon"));
	CU_ASSERT_EQUAL(rig_count(), 1);
	CU_ASSERT_FALSE(rig_judge("modules:\n  good:\n    limits:\n    - {network: \"x\"\n"));
	CU_ASSERT_EQUAL(rig_count(), 1);
}

static void test_listeners_overlap(void)
{
	CU_ASSERT_FALSE(rig_judge("modules:\n"
				  "  good:\n"
				  "    listeners: ['127.0.0.1:7', '[::1]:7']\n"
				  "  twin:\n"
				  "    file: good.so\n"
				  "    listeners:\n"
				  "      - 127.0.0.1:8\n"
				  "      - 0.0.0.0:7\n"));
	CU_ASSERT_TRUE(rig_said_at(8, "twin: listener 0.0.0.0:7 cannot be bound: good listens on "
				      "127.0.0.1:7 already"));
	CU_ASSERT_TRUE(rig_said("postern.yaml:3)"));
	CU_ASSERT_FALSE(rig_judge("modules:\n  good:\n  twin:\n    file: good.so\n"));
	CU_ASSERT_TRUE(rig_said_at(3, "cannot be bound"));
	CU_ASSERT_TRUE(rig_judge("modules:\n  good:\n  twin: {file: good.so, listeners: []}\n"));
	CU_ASSERT_FALSE(rig_judge("modules:\n  provider:\n    listeners: [127.0.0.1:7]\n"));
	CU_ASSERT_TRUE(rig_said_at(3, "serves no clients"));
}

static void test_secrets(void)
{
	char text[256];

	rig_write("password", "sesame\nmore\n", 12, 0600);
	struct plan *plan = plan_of("modules:\n  good:\n    password: {file: password}\n");
	CU_ASSERT_PTR_NOT_NULL_FATAL(plan);
	CU_ASSERT_STRING_EQUAL(((struct good_conf *)plan->modules[0].conf)->password, "sesame");
	char *shown = plan_show(plan);
	CU_ASSERT_PTR_NULL(strstr(shown, "sesame"));
	CU_ASSERT_PTR_NOT_NULL(strstr(shown, "password: '***'"));
	free(shown);
	plan_free(&plan);

	rig_write("password", "sesame\n", 7, 0644);
	CU_ASSERT_FALSE(rig_judge("modules:\n  good:\n    password: {file: password}\n"));
	CU_ASSERT_TRUE(rig_said_at(3, "chmod 600"));
	rig_write("password", "\n", 1, 0600);
	CU_ASSERT_FALSE(rig_judge("modules:\n  good:\n    password: {file: password}\n"));
	CU_ASSERT_TRUE(rig_said_at(3, "does not hold a secret"));
	CU_ASSERT_FALSE(rig_judge("modules:\n  good:\n    password: {file: nothing}\n"));
	CU_ASSERT_TRUE(rig_said_at(3, "No such file"));
	CU_ASSERT_FALSE(rig_judge("modules:\n  good:\n    password: {fill: nothing}\n"));
	CU_ASSERT_TRUE(rig_said_at(3, "{file: PATH}"));
	CU_ASSERT_FALSE(rig_judge("modules:\n  good:\n    password: [sesame]\n"));
	CU_ASSERT_PTR_NULL(strstr(rig_reports(), "sesame"));

	snprintf(text, sizeof text, "modules:\n  good:\n    password: sesame\n");
	rig_write("postern.yaml", text, strlen(text), 0644);
	plan = rig_plan("postern.yaml", TEST_MODULES);
	CU_ASSERT_PTR_NOT_NULL(plan); /* a warning does not refuse */
	CU_ASSERT_TRUE(rig_said("warning: "));
	CU_ASSERT_PTR_NULL(strstr(rig_reports(), "sesame"));
	plan_free(&plan);
}

/* What is shown can be read back, and is then the same plan. */
static void test_show(void)
{
	struct plan *plan = plan_of("server: {max_sessions: 9}\nmodules:\n"
				    "  unmet_need:\n  provider:\n  older: {count: 3}\n"
				    "  good:\n    greeting: \"it's: # odd\"\n"
				    "    limits: [{network: 'a, b', sessions: 2}]\n"
				    "    patience: 90s\n    room: 1000\n    words: ['null', '']\n");

	CU_ASSERT_PTR_NULL(plan); /* an empty word is refused: say so before the rest is judged */
	plan = plan_of("server: {max_sessions: 9}\nmodules:\n"
		       "  unmet_need:\n  provider:\n  older: {count: 3}\n"
		       "  good:\n    greeting: \"it's: # odd\"\n"
		       "    limits: [{network: 'a, b', sessions: 2}]\n"
		       "    patience: 90s\n    room: 1000\n    words: ['null', '~', '1']\n");
	CU_ASSERT_PTR_NOT_NULL_FATAL(plan);
	char *shown = plan_show(plan);
	struct plan *again = plan_of(shown);
	/* server.user is written out now, and has to exist if root reads it */
	if (!again && !geteuid()) {
		char *user = strstr(shown, "user: postern");
		CU_ASSERT_PTR_NOT_NULL_FATAL(user);
		memcpy(user, "user: root   ", 13);
		again = plan_of(shown);
	}
	CU_ASSERT_PTR_NOT_NULL_FATAL(again);
	CU_ASSERT(plan_diff(plan, again, NULL, NULL) <= 1);
	char *twice = plan_show(again);
	CU_ASSERT_PTR_NOT_NULL(strstr(twice, "greeting: 'it''s: # odd'"));
	CU_ASSERT_PTR_NOT_NULL(strstr(twice, "uses: {test.store: provider}"));
	free(shown);
	free(twice);
	plan_free(&plan);
	plan_free(&again);
}

/* good.directory is such an option. */
static void test_boot(void)
{
	struct reports *reports = reports_new();
	struct plan *plan = plan_of("modules:\n  good:\n    directory: /a\n");

	CU_ASSERT_PTR_NOT_NULL_FATAL(plan);
	char *lines = plan_boot(plan);
	CU_ASSERT_STRING_EQUAL(lines, "good.directory\t/a\n");
	plan_check_boot(plan, lines, reports);
	plan_check_boot(plan, "", reports);
	plan_check_boot(plan, "other.thing\t1\ngood.dir\t2\nno tab\n", reports);
	CU_ASSERT_EQUAL(reports_errors(reports), 0);
	plan_check_boot(plan, "x.y\t1\ngood.directory\t/b", reports);
	rig_collect(reports);
	CU_ASSERT_TRUE(rig_said_at(3, "good.directory: a reload cannot change it from /b to /a"));
	free(lines);
	plan_free(&plan);
	reports_free(&reports);
}

static void append(void *arg, const char *line)
{
	char *text = arg;
	size_t used = strlen(text);

	snprintf(text + used, 2048 - used, "%s\n", line);
}

static void test_diff(void)
{
	char text[2048] = "";
	struct plan *old = plan_of("server: {max_sessions: 9}\nmodules:\n"
				   "  good: {password: one, words: [a]}\n  older:\n");
	struct plan *new = plan_of("modules:\n  good: {password: two, words: [a, b]}\n"
				   "  provider:\n");

	CU_ASSERT_PTR_NOT_NULL_FATAL(old);
	CU_ASSERT_PTR_NOT_NULL_FATAL(new);
	CU_ASSERT_EQUAL(plan_diff(old, old, append, text), 0);
	CU_ASSERT_EQUAL(plan_diff(old, new, append, text), 5);
	CU_ASSERT_STRING_EQUAL(text, "server.max_sessions: 9 -> 0\n"
				     "good.password: '***' -> '***'\n"
				     "good.words: [a] -> [a, b]\n"
				     "older: removed\n"
				     "provider: added\n");
	plan_free(&old);
	plan_free(&new);
}

static void test_explain(void)
{
	struct plan *plan = plan_of("server:\n  watchdog: 5s\nmodules:\n  good:\n    repeat: 2\n");
	static const struct {
		const char *key, *says;
	} rows[] = {{"good.repeat", "postern.yaml:5"},
		    {"good.repeat", "good.repeat: 2"},
		    {"good.repeat", "from 1 to 5; default 1"},
		    {"good.loud", "this is the default"},
		    {"good.marks.low", "good.marks.low: 10"},
		    {"good.limits.network", "required"},
		    {"good.listeners", "127.0.0.1:7777"},
		    {"good.listeners.backlog", "from 1 to 65535"},
		    {"good.file", "good.so"},
		    {"good", "Greets"},
		    {"server.watchdog", "postern.yaml:2"},
		    {"server.reactors.max", "one per processor core"}};
	char *nearest = NULL;

	CU_ASSERT_PTR_NOT_NULL_FATAL(plan);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char *text = plan_explain(plan, rows[i].key, &nearest);
		CU_ASSERT_PTR_NOT_NULL_FATAL(text);
		CU_ASSERT_PTR_NOT_NULL(strstr(text, rows[i].says));
		CU_ASSERT_PTR_NULL(nearest);
		free(text);
	}
	CU_ASSERT_PTR_NULL(plan_explain(plan, "good.repeta", &nearest));
	CU_ASSERT_STRING_EQUAL(nearest, "good.repeat");
	free(nearest);
	CU_ASSERT_PTR_NULL(plan_explain(plan, "patience", &nearest));
	CU_ASSERT_STRING_EQUAL(nearest, "good.patience");
	free(nearest);
	CU_ASSERT_PTR_NULL(plan_explain(plan, "watchdogg", &nearest));
	CU_ASSERT_STRING_EQUAL(nearest, "server.watchdog");
	free(nearest);
	CU_ASSERT_PTR_NULL(plan_explain(plan, "quite something else", &nearest));
	CU_ASSERT_PTR_NULL(nearest);
	CU_ASSERT_PTR_NULL(plan_explain(plan, "", NULL));
	plan_free(&plan);
}

static char *page(const char *what, const struct dirs *dirs)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	CU_ASSERT_PTR_NOT_NULL_FATAL(out);
	CU_ASSERT_EQUAL(conf_doc_print(what, dirs, out), 0);
	fclose(out);
	return text;
}

/* The sample is valid as it stands; the other pages name every key. */
static void test_pages(void)
{
	static const char *const pages[] = {"reference", "man", "schema"};
	struct dirs dirs;

	CU_ASSERT_EQUAL(mkdir(rig_path("some"), 0755), 0);
	rig_copy_module("good", "some/good.so");
	rig_copy_module("older", "some/older.so");
	rig_copy_module("provider", "some/provider.so");
	CU_ASSERT_EQUAL_FATAL(dirs_init(&dirs, rig_path("."), NULL), 0);
	free(dirs.modules);
	dirs.modules = strdup(rig_path("some"));
	char *sample = page("sample", &dirs);
	char *user = strstr(sample, "  user: postern");
	CU_ASSERT_PTR_NOT_NULL_FATAL(user);
	memcpy(user, "  user: root   ", 15);
	rig_text("postern.yaml", sample);
	free(sample);
	struct plan *plan = rig_plan("postern.yaml", rig_path("some"));
	CU_ASSERT_PTR_NOT_NULL(plan);
	CU_ASSERT_TRUE(plan || rig_said("nothing"));
	plan_free(&plan);
	for (size_t i = 0; i < 3; i++) {
		char *text = page(pages[i], &dirs);
		CU_ASSERT_PTR_NOT_NULL(strstr(text, "ready_deadline"));
		CU_ASSERT_PTR_NOT_NULL(strstr(text, "patience"));
		CU_ASSERT_PTR_NOT_NULL(strstr(text, "backlog"));
		free(text);
	}
	CU_ASSERT_EQUAL(conf_doc_print("novel", &dirs, stdout), -1);
	dirs_clear(&dirs);
}

static void test_reports(void)
{
	struct reports *r = reports_new();
	struct place none = {0}, one = {"b", 2, 1}, two = {"a", 9, 0}, three = {"b", 1, 5};

	report_error(r, none, "loose");
	report_error(r, one, "second %d", 2);
	report_warning(r, two, "other file");
	report_error(r, three, "first");
	report_error(r, three, "first");
	report_error(r, (struct place){"b", 0, 0}, "whole file");
	rig_collect(r);
	CU_ASSERT_STRING_EQUAL(rig_reports(), "b: whole file\nb:1:5: first\nb:2:1: second 2\n"
					      "warning: a:9: other file\nloose\n");
	CU_ASSERT_EQUAL(reports_errors(r), 4);
	for (unsigned i = 0; i < 1000; i++)
		report_error(r, none, "number %u", i);
	rig_collect(r);
	CU_ASSERT_EQUAL(rig_count(), 501);
	CU_ASSERT_TRUE(rig_said("505 more"));
	reports_free(&r);
	CU_ASSERT_PTR_NULL(r);
}

static void test_dirs(void)
{
	struct dirs dirs;

	CU_ASSERT_EQUAL_FATAL(dirs_init(&dirs, "/a//b/./c/", NULL), 0);
	CU_ASSERT_STRING_EQUAL(dirs.config_file, "/a/b/c/postern.yaml");
	CU_ASSERT_STRING_EQUAL(dirs.config, "/a/b/c");
	CU_ASSERT_STRING_EQUAL(dirs.state, "/a/b/c/state");
	dirs_clear(&dirs);
	CU_ASSERT_EQUAL_FATAL(dirs_init(&dirs, "x", "/y.yaml"), 0);
	CU_ASSERT_STRING_EQUAL(dirs.config, "/");
	CU_ASSERT_EQUAL(dirs.run[0], '/');
	CU_ASSERT_STRING_EQUAL(dirs.run + strlen(dirs.run) - 6, "/x/run");
	dirs_clear(&dirs);
	CU_ASSERT_EQUAL_FATAL(dirs_init(&dirs, NULL, NULL), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(dirs.config_file, "/postern/postern.yaml"));
	dirs_clear(&dirs);
}

int main(void)
{
	if (CU_initialize_registry())
		return 1;
	CU_pSuite suite = CU_add_suite("plan", rig_begin, rig_end);
	if (!CU_ADD_TEST(suite, test_defaults) || !CU_ADD_TEST(suite, test_values) ||
	    !CU_ADD_TEST(suite, test_value_errors) || !CU_ADD_TEST(suite, test_server_errors) ||
	    !CU_ADD_TEST(suite, test_top_errors) || !CU_ADD_TEST(suite, test_bad_modules) ||
	    !CU_ADD_TEST(suite, test_needs) || !CU_ADD_TEST(suite, test_uses) ||
	    !CU_ADD_TEST(suite, test_no_consequences) ||
	    !CU_ADD_TEST(suite, test_listeners_overlap) || !CU_ADD_TEST(suite, test_secrets) ||
	    !CU_ADD_TEST(suite, test_show) || !CU_ADD_TEST(suite, test_boot) ||
	    !CU_ADD_TEST(suite, test_diff) || !CU_ADD_TEST(suite, test_explain) ||
	    !CU_ADD_TEST(suite, test_pages) || !CU_ADD_TEST(suite, test_reports) ||
	    !CU_ADD_TEST(suite, test_dirs))
		return 1;
	CU_basic_run_tests();
	unsigned failures = CU_get_number_of_failures();
	CU_cleanup_registry();
	return failures != 0;
}
