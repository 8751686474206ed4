/*
 * good.c - a module with nothing wrong: a service that greets, echoes lines and says goodbye.
 *
 * GOOD_CHANGED makes the version of it that may not take its place: options removed, added,
 * narrowed, a metric gone. It is judged only, never run.
 */
#include <postern/service.h>

#include <stdio.h>
#include <string.h>

#ifndef GOOD_GREETING
#define GOOD_GREETING "hello"
#endif
#ifdef GOOD_CHANGED
#define REPEAT_MAX "3"
#else
#define REPEAT_MAX "5"
#endif

struct good_limit {
	const char *network;
	int64_t sessions;
};

struct good_conf {
	bool loud;
	int64_t repeat;
	uint64_t room;
	uint64_t patience;
	const char *greeting;
	const char *directory;
	const char *peer;
#ifdef GOOD_CHANGED
	const char *owner;
#else
	int32_t mood;
#endif
	const char *password;
	struct {
		int64_t low, high;
	} marks;
	struct pstn_list words;  /* of const char * */
	struct pstn_list limits; /* of struct good_limit */
};
#define MARKS __typeof__(((struct good_conf *)0)->marks)

struct good {
	struct pstn_self *self;
	const struct pstn_host *host;
	const struct good_conf *conf;
};

#ifndef GOOD_CHANGED
static const char *const moods[] = {"calm", "cheerful", "grumpy", NULL};
#endif

static const struct pstn_option mark_rows[] = {
    PSTN_OPT_INT(MARKS, low, .def = "10", .min = "0", .help = "Where work begins again."),
    PSTN_OPT_INT(MARKS, high, .def = "20", .min = "0", .help = "Where work pauses."),
    {0}};

static const struct pstn_option word_item = {
    .name = "", .type = PSTN_STRING, .item_size = sizeof(const char *), .min = "1"};

static const struct pstn_option limit_rows[] = {
    PSTN_OPT_STRING(struct good_limit, network, .flags = PSTN_REQUIRED, .help = "Whose sessions."),
    PSTN_OPT_INT(struct good_limit, sessions, .def = "10", .min = "1", .help = "How many."),
    {0}};

static const struct pstn_option limit_item = {
    .name = "", .type = PSTN_MAP, .item_size = sizeof(struct good_limit), .child = limit_rows};

static const struct pstn_option options[] = {
    PSTN_OPT_BOOL(struct good_conf, loud, .def = "false", .help = "Answer in capitals."),
    PSTN_OPT_INT(struct good_conf, repeat, .def = "1", .min = "1", .max = REPEAT_MAX,
		 .help = "How often a line is echoed."),
    PSTN_OPT_BYTES(struct good_conf, room, .def = "4KiB", .min = "512", .max = "1MiB",
		   .help = "Room for a line."),
    PSTN_OPT_DURATION(struct good_conf, patience, .def = "10m", .min = "1s", .max = "1d",
		      .help = "How long a silent client is kept."),
    PSTN_OPT_STRING(struct good_conf, greeting, .def = GOOD_GREETING, .max = "100",
		    .help = "The first line that a client gets."),
    PSTN_OPT_PATH(struct good_conf, directory, .def = "{state}/good", .flags = PSTN_AT_BOOT,
		  .help = "Where notes go."),
    PSTN_OPT_ADDRESS(struct good_conf, peer, .def = "127.0.0.1:7", .help = "Another echo server."),
#ifdef GOOD_CHANGED
    PSTN_OPT_STRING(struct good_conf, owner, .flags = PSTN_REQUIRED, .help = "Whose server."),
#else
    PSTN_OPT_ENUM(struct good_conf, mood, .def = "calm", .choices = moods,
		  .help = "The tone of answers."),
#endif
    PSTN_OPT_STRING(struct good_conf, password, .flags = PSTN_SECRET, .help = "Kept to itself."),
    PSTN_OPT_MAP(struct good_conf, marks, mark_rows, .help = "When output pauses."),
    PSTN_OPT_LIST(struct good_conf, words, &word_item, .def = "one, two", .max = "8",
		  .help = "Words to say."),
    PSTN_OPT_LIST(struct good_conf, limits, &limit_item, .help = "Limits for networks."),
    {0}};

static const struct pstn_metric metrics[] = {
    {.name = "lines_total", .kind = PSTN_COUNTER, .help = "Lines echoed."},
#ifndef GOOD_CHANGED
    {.name = "sessions", .kind = PSTN_GAUGE, .help = "Sessions now."},
#endif
    {0}};

static void service_open(void *inst, struct pstn_session *s, void *state)
{
	struct good *g = inst;

	(void)state;
	g->host->count(g->self, 1, 1);
	g->host->idle_limit(s, g->conf->patience);
	g->host->print(s, "%s\r\n", g->conf->greeting);
}

static void service_line(void *inst, struct pstn_session *s, void *state, char *line, size_t n)
{
	struct good *g = inst;

	(void)state;
	g->host->count(g->self, 0, 1);
	if (n == 3 && !memcmp(line, "bye", 3)) {
		g->host->finish(s, "said bye");
		return;
	}
	g->host->write(s, line, n);
	g->host->write(s, "\r\n", 2);
}

static void service_overlong(void *inst, struct pstn_session *s, void *state)
{
	struct good *g = inst;

	(void)state;
	g->host->print(s, "too long\r\n");
}

static void service_close(void *inst, struct pstn_session *s, void *state, const char *why)
{
	struct good *g = inst;

	(void)s;
	(void)state;
	(void)why;
	g->host->count(g->self, 1, -1);
}

static const struct pstn_service service = {
    .size = sizeof(struct pstn_service),
    .session_size = 16,
    .protocol = "echo",
    .default_listener = "127.0.0.1:7777",
    .line_limit = 1024,
    .open = service_open,
    .line = service_line,
    .overlong = service_overlong,
    .close = service_close,
    .refusal = "busy\r\n",
};

static const struct pstn_offer offers[] = {{PSTN_SERVICE_STREAM, 1, 0, &service}, {0}};

static void *start(struct pstn_self *self, const struct pstn_host *host, const void *conf,
		   char *err, size_t errlen)
{
	struct good *g = host->alloc(self, sizeof *g);

	if (!g) {
		snprintf(err, errlen, "no memory");
		return NULL;
	}
	*g = (struct good){.self = self, .host = host, .conf = conf};
	return g;
}

static int self_test(void *inst, char *err, size_t errlen)
{
	const struct good *g = inst;

	if (g->conf->repeat > 0)
		return 0;
	snprintf(err, errlen, "repeat is not positive");
	return -1;
}

static void stop(void *inst)
{
	struct good *g = inst;

	g->host->free(g->self, g);
}

PSTN_EXPORT const struct pstn_module pstn_module = {
    PSTN_MODULE_HEAD,
    .name = "good",
    .version = "1.0",
    .summary = "Greets, echoes lines, says goodbye.",
    .conf_size = sizeof(struct good_conf),
    .options = options,
    .metrics = metrics,
    .offers = offers,
    .start = start,
    .self_test = self_test,
    .stop = stop,
};
