/*
 * quote.c - the quote of the day (RFC 865), as a small service module.
 *
 * The example of docs/module-author.md: options, metrics, a service, a command of posternctl and a
 * self-test, in one file. A client that connects gets one quotation and the connection ends; with
 * `interactive: yes` each further line brings another one until the client says "quit".
 */
#include <postern/commands.h>
#include <postern/service.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define QUOTE_MAX 512 /* RFC 865: "should be limited to less than 512 characters" */

/* ---- what an administrator can set ---- */

struct quote_conf {
	const char *quotes_file;
	bool interactive;
	uint64_t idle_timeout;
};

static const struct pstn_option options[] = {
    PSTN_OPT_PATH(struct quote_conf, quotes_file, .def = "",
		  .help = "Quotations, one a line. Without it a built-in one is served."),
    PSTN_OPT_BOOL(struct quote_conf, interactive, .def = "no",
		  .help = "Keep the connection and answer each line with another quotation."),
    PSTN_OPT_DURATION(struct quote_conf, idle_timeout, .def = "1m", .min = "1s", .max = "1h",
		      .help = "An interactive client that is silent for so long is let go."),
    {0},
};

/* ---- what is counted ---- */

enum { METRIC_SERVED };

static const struct pstn_metric metrics[] = {
    [METRIC_SERVED] = {"quotes_served_total", PSTN_COUNTER, "Quotations sent to clients."},
    {0},
};

/* ---- one instance: the configuration and the quotations read at start ---- */

struct quote {
	struct pstn_self *self;
	const struct pstn_host *host;
	const struct quote_conf *conf;
	char *text; /* lines, each ended by '\0' */
	size_t length;
	uint32_t count;
};

struct quote_session {
	uint32_t next; /* the number of the quotation to send */
};

static const char *quote_at(const struct quote *q, uint32_t n)
{
	const char *line = q->text;

	for (n %= q->count; n; n--)
		line += strlen(line) + 1;
	return line;
}

/* ---- the service ---- */

static void send_quote(struct quote *q, struct pstn_session *s, struct quote_session *state)
{
	q->host->print(s, "%.*s\r\n", QUOTE_MAX - 3, quote_at(q, state->next++));
	q->host->count(q->self, METRIC_SERVED, 1);
}

static void on_open(void *inst, struct pstn_session *s, void *state)
{
	struct quote *q = inst;
	struct quote_session *session = state;

	session->next = (uint32_t)(q->host->now() / 1000);
	send_quote(q, s, session);
	if (q->conf->interactive)
		q->host->idle_limit(s, q->conf->idle_timeout);
	else
		q->host->finish(s, "served");
}

static void on_line(void *inst, struct pstn_session *s, void *state, char *line, size_t n)
{
	struct quote *q = inst;

	if (n == 4 && !strncasecmp(line, "quit", 4))
		q->host->finish(s, "quit");
	else
		send_quote(q, s, state);
}

static void on_overlong(void *inst, struct pstn_session *s, void *state)
{
	struct quote *q = inst;

	(void)state;
	q->host->drop(s, "line too long");
}

static void on_close(void *inst, struct pstn_session *s, void *state, const char *why)
{
	struct quote *q = inst;

	(void)state;
	q->host->log(PSTN_EVENT(q->self, s, PSTN_INFO, "closed", PSTN_S("why", why)));
}

static const struct pstn_service service = {
    .size = sizeof(struct pstn_service),
    .session_size = sizeof(struct quote_session),
    .protocol = "quote",
    .default_listener = "127.0.0.1:17",
    .line_limit = 512,
    .open = on_open,
    .line = on_line,
    .overlong = on_overlong,
    .close = on_close,
    .refusal = "Too many readers, come back later.\r\n",
};

/* ---- a command: posternctl quote show N ---- */

static void run_show(void *inst, struct pstn_call *call)
{
	struct quote *q = inst;
	const struct pstn_call_ops *answer = q->host->call;
	const char *text = answer->arg(call, "number");
	uint32_t n = 0;

	if (sscanf(text, "%u", &n) != 1 || n < 1 || n > q->count) {
		answer->fail(call, "There is no quotation %s: they are numbered 1 to %u.", text,
			     q->count);
		return;
	}
	answer->open_object(call, NULL);
	answer->integer(call, "number", n);
	answer->text(call, "text", quote_at(q, n - 1));
	answer->close(call);
}

static const struct pstn_arg show_args[] = {
    {"number", PSTN_ARG_NUMBER, 0, "which one, from 1"},
    {0},
};

static const struct pstn_command command_rows[] = {
    {.name = "quote show", .help = "Show a quotation.", .args = show_args, .run = run_show},
    {0},
};

static const struct pstn_commands commands = {
    .size = sizeof(struct pstn_commands),
    .command_size = sizeof(struct pstn_command),
    .arg_size = sizeof(struct pstn_arg),
    .rows = command_rows,
};

/* ---- start and stop ---- */

static int read_file(struct quote *q, FILE *in, char *err, size_t errlen)
{
	const long limit = 1 << 20;
	long size = fseek(in, 0, SEEK_END) ? -1 : ftell(in);

	if (size < 0 || size > limit || fseek(in, 0, SEEK_SET)) {
		snprintf(err, errlen, "cannot use file %s: %s", q->conf->quotes_file,
			 size > limit ? "it is larger than 1 MiB" : "it is no plain file");
		return -1;
	}
	q->text = q->host->alloc(q->self, (size_t)size + 1);
	if (!q->text) {
		snprintf(err, errlen, "no memory for the quotations");
		return -1;
	}
	q->length = fread(q->text, 1, (size_t)size, in);
	if (ferror(in)) {
		snprintf(err, errlen, "cannot read file %s: %s", q->conf->quotes_file,
			 strerror(errno));
		return -1;
	}
	if (q->length && q->text[q->length - 1] == '\n')
		q->length--;
	q->text[q->length] = '\0';
	q->count = 1;
	for (size_t i = 0; i < q->length; i++) {
		if (q->text[i] == '\n') {
			q->text[i] = '\0';
			q->count++;
		}
	}
	return 0;
}

static int load(struct quote *q, char *err, size_t errlen)
{
	static const char built_in[] =
	    "Be conservative in what you send, be liberal in what you accept.";
	FILE *in;
	int rc;

	if (!*q->conf->quotes_file)
		in = fmemopen((void *)(uintptr_t)built_in, sizeof(built_in) - 1, "r");
	else
		in = fopen(q->conf->quotes_file, "re");
	if (!in) {
		snprintf(err, errlen, "cannot open file %s: %s", q->conf->quotes_file,
			 strerror(errno));
		return -1;
	}
	rc = read_file(q, in, err, errlen);
	fclose(in);
	return rc;
}

static void stop(void *inst)
{
	struct quote *q = inst;
	const struct pstn_host *host = q->host;

	host->free(q->self, q->text);
	host->free(q->self, q);
}

static void *start(struct pstn_self *self, const struct pstn_host *host, const void *conf,
		   char *err, size_t errlen)
{
	struct quote *q = host->alloc(self, sizeof(*q));

	if (!q) {
		snprintf(err, errlen, "no memory");
		return NULL;
	}
	q->self = self;
	q->host = host;
	q->conf = conf;
	if (load(q, err, errlen)) {
		stop(q);
		return NULL;
	}
	return q;
}

static int self_test(void *inst, char *err, size_t errlen)
{
	struct quote *q = inst;

	for (uint32_t i = 0; i < q->count; i++) {
		if (strlen(quote_at(q, i)) > QUOTE_MAX - 3) {
			snprintf(err, errlen,
				 "%s line %u has more than %d octets: shorten it (RFC 865)",
				 q->conf->quotes_file, i + 1, QUOTE_MAX - 3);
			return -1;
		}
	}
	return 0;
}

/* ---- the descriptor: the one symbol that the core looks for ---- */

static const struct pstn_offer offers[] = {
    {PSTN_SERVICE_STREAM, 1, 0, &service},
    {PSTN_CONTROL_COMMANDS, 1, 0, &commands},
    {0},
};

PSTN_EXPORT extern const struct pstn_module pstn_module;
const struct pstn_module pstn_module = {
    PSTN_MODULE_HEAD,
    .name = "quote",
    .version = "1.0.0",
    .summary = "Quote of the day (RFC 865); the example of the module author's guide",
    .conf_size = sizeof(struct quote_conf),
    .options = options,
    .metrics = metrics,
    .offers = offers,
    .start = start,
    .self_test = self_test,
    .stop = stop,
};
