/*
 * control_call.c - host->call: a command's arguments, and its answer built as JSON.
 *
 * All functions run on the job thread of their command and may block for a slow client, though only
 * as long as the socket's send timeout says.
 */
#include "config.h"

#include "control_call.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <jansson.h>

#include "base64.h"
#include "control_failure.h"
#include "host.h"
#include "json_text.h"

#define PROGRESS_EVERY 200   /* ms */
#define BYTES_PIECE    24576 /* octets of raw output a line; a multiple of 3 */

static atomic_bool cancelled;

void calls_cancel(void)
{
	atomic_store(&cancelled, true);
}

bool calls_are_cancelled(void)
{
	return atomic_load(&cancelled);
}

/* ---- to the client ----------------------------------------------------------------------------- */

static void send_line(struct pstn_call *c, const char *text, size_t n)
{
	while (n > 0 && !c->gone) {
		ssize_t sent = send(c->client, text, n, MSG_NOSIGNAL);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent <= 0) {
			c->gone = true;
			return;
		}
		text += sent;
		n -= (size_t)sent;
	}
}

void call_send(struct pstn_call *c, json_t *value)
{
	char *text = value ? json_dumps(value, JSON_COMPACT) : NULL;

	json_decref(value);
	if (text) {
		send_line(c, text, strlen(text));
		send_line(c, "\n", 1);
	} else {
		static const char sorry[] = "{\"ok\":false,\"error\":\"no memory for the answer\","
					    "\"status\":\"" CONTROL_STATUS_NO_MEMORY "\"}\n";
		send_line(c, sorry, sizeof(sorry) - 1);
	}
	free(text);
}

void call_answer(struct pstn_call *c)
{
	if (c->failure) {
		call_send(c, control_failure(c->failure, c->failed_as));
	} else if (c->misbuilt) {
		call_send(c, control_failure("the answer could not be built; the log of the server "
					     "may tell more",
					     PSTN_E_TEMPORARY));
	} else {
		json_t *result = c->root ? json_incref(c->root) : json_null();
		call_send(c, json_pack("{s:b, s:o}", "ok", 1, "result", result));
	}
}

void call_clear(struct pstn_call *c)
{
	control_request_clear(&c->request);
	json_decref(c->root);
	for (unsigned i = 0; i < c->nfiles; i++)
		close(c->files[i]);
	close(c->client);
	free(c->failure);
	if (c->text)
		explicit_bzero(c->text, strlen(c->text)); /* it may have been a password */
	free(c->text);
	free(c);
}

/* ---- arguments --------------------------------------------------------------------------------- */

static const char *call_arg(struct pstn_call *c, const char *name)
{
	return control_request_arg(&c->request, name);
}

static int call_fd(struct pstn_call *c, const char *name)
{
	for (unsigned i = 0; i < c->request.nfiles && i < c->nfiles; i++)
		if (strcmp(c->request.files[i], name) == 0)
			return c->files[i];
	return -1;
}

static uint32_t call_uid(struct pstn_call *c)
{
	return c->who;
}

/* ---- the answer -------------------------------------------------------------------------------- */

/* Takes over the value. */
static void place_value(struct pstn_call *c, const char *key, json_t *value)
{
	json_t *in = c->depth > 0 ? c->open[c->depth - 1] : NULL;
	int status = -1;

	if (!value || c->has_bytes)
		json_decref(value);
	else if (!in && !c->root)
		status = ((c->root = value), 0);
	else if (in && json_is_array(in))
		status = json_array_append_new(in, value);
	else if (in && key)
		status = json_object_set_new(in, key, value);
	else
		json_decref(value);
	c->misbuilt = c->misbuilt || status < 0;
}

static void open_value(struct pstn_call *c, const char *key, json_t *value)
{
	if (!value || c->depth == CALL_DEPTH_MAX) {
		json_decref(value);
		c->misbuilt = true;
		return;
	}
	/* Held by its parent, which stays until call_clear(). */
	place_value(c, key, value);
	if (!c->misbuilt)
		c->open[c->depth++] = value;
}

static void call_open_object(struct pstn_call *c, const char *key)
{
	open_value(c, key, json_object());
}

static void call_open_array(struct pstn_call *c, const char *key)
{
	open_value(c, key, json_array());
}

static void call_close(struct pstn_call *c)
{
	if (c->depth > 0)
		c->depth--;
	else
		c->misbuilt = true;
}

static void call_text(struct pstn_call *c, const char *key, const char *value)
{
	place_value(c, key, json_text(value));
}

static void call_integer(struct pstn_call *c, const char *key, int64_t value)
{
	place_value(c, key, json_integer(value));
}

static void call_boolean(struct pstn_call *c, const char *key, bool value)
{
	place_value(c, key, json_boolean(value));
}

static void call_bytes(struct pstn_call *c, const void *bytes, size_t n)
{
	static const char before[] = "{\"bytes\":\"", after[] = "\"}\n";
	char *coded = malloc(BASE64_SIZE(BYTES_PIECE));
	const char *at = bytes;

	if (c->root || !coded)
		c->misbuilt = true;
	c->has_bytes = true;
	while (n > 0 && !c->misbuilt && !c->gone) {
		size_t piece = n < BYTES_PIECE ? n : BYTES_PIECE;
		size_t size = base64_encode(at, piece, coded);
		send_line(c, before, sizeof(before) - 1);
		send_line(c, coded, size);
		send_line(c, after, sizeof(after) - 1);
		at += piece;
		n -= piece;
	}
	free(coded);
}

static void call_progress(struct pstn_call *c, uint64_t done, uint64_t total, const char *unit)
{
	uint64_t now = reactor_now();

	if (done != total && now - c->progress_at < PROGRESS_EVERY)
		return;
	c->progress_at = now;
	call_send(c, json_pack("{s:{s:I, s:I, s:s}}", "progress", "done", (json_int_t)done, "total",
			       (json_int_t)total, "unit", unit ? unit : ""));
}

PSTN_PRINTF(2, 3)
static void call_note(struct pstn_call *c, const char *fmt, ...)
{
	char *text;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	if (text)
		call_send(c, json_pack("{s:o}", "note", json_text(text)));
	free(text);
}

PSTN_PRINTF(3, 0)
static void set_failure(struct pstn_call *c, int status, const char *fmt, va_list ap)
{
	/* The first failure is the cause of those that follow. */
	if (c->failure)
		return;
	if (vasprintf(&c->failure, fmt, ap) < 0)
		c->failure = NULL;
	c->failed_as = status;
	c->misbuilt = c->misbuilt || !c->failure;
}

PSTN_PRINTF(2, 3)
static void call_fail(struct pstn_call *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	set_failure(c, 0, fmt, ap);
	va_end(ap);
}

PSTN_PRINTF(3, 4)
static void call_fail_as(struct pstn_call *c, int status, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	set_failure(c, status, fmt, ap);
	va_end(ap);
}

static bool call_cancelled(struct pstn_call *c)
{
	struct pollfd p = {.fd = c->client, .events = POLLRDHUP};

	if (calls_are_cancelled() || c->gone)
		return true;
	return poll(&p, 1, 0) == 1 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR));
}

static bool call_start_again(struct pstn_call *c)
{
	c->starts_again = c->can_start_again;
	return c->starts_again;
}

const struct pstn_call_ops call_ops = {
    .size = sizeof(call_ops),
    .arg = call_arg,
    .fd = call_fd,
    .open_object = call_open_object,
    .open_array = call_open_array,
    .close = call_close,
    .text = call_text,
    .integer = call_integer,
    .boolean = call_boolean,
    .bytes = call_bytes,
    .progress = call_progress,
    .fail = call_fail,
    .cancelled = call_cancelled,
    .uid = call_uid,
    .file = call_file,
    .rename = call_rename,
    .remove = call_remove,
    .note = call_note,
    .start_again = call_start_again,
    .fail_as = call_fail_as,
};
