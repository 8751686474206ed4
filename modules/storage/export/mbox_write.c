/*
 * mbox_write.c - messages to an mbox file. Pure.
 */
#include "mbox_write.h"

#include <postern/maildrop.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const char from[] = "From ";

static bool out(struct mbox_writer *w, const char *bytes, size_t n)
{
	if (!w->stopped && n > 0 && !w->out(w->arg, bytes, n))
		w->stopped = true;
	return !w->stopped;
}

/* The last second that can be written with four digits. */
static time_t date_of(uint64_t received)
{
	return received > UINT64_C(253402300799) ? (time_t)253402300799 : (time_t)received;
}

/* The next line of keywords, as many as it holds; 0: there are none left. */
static size_t keyword_line(const char **at, char line[MBOX_LINE])
{
	size_t used = 0, n;

	for (const char *next = *at;; *at = next) {
		const char *name = keyword_next(&next, &n);

		/* A line of MBOX_LINE octets would be taken for one that goes on. */
		if (n == 0 || used + n + 3 > MBOX_LINE)
			break;
		used += (size_t)snprintf(line + used, MBOX_LINE - used, "%s %.*s",
					 used ? "" : "X-Keywords:", (int)n, name);
	}
	if (used)
		line[used++] = '\n';
	return used;
}

static unsigned keyword_lines(const struct keyword_list *keywords)
{
	const char *at = keywords->text;
	char line[MBOX_LINE];
	unsigned lines = 0;

	while (keyword_line(&at, line) > 0)
		lines++;
	return lines;
}

static bool write_keywords(struct mbox_writer *w, const struct keyword_list *keywords)
{
	const char *at = keywords->text;
	char line[MBOX_LINE];
	size_t n;

	while ((n = keyword_line(&at, line)) > 0)
		out(w, line, n);
	return !w->stopped;
}

bool mbox_write_begin(struct mbox_writer *w, uint64_t received, uint32_t flags, const char *uidl,
		      const struct keyword_list *keywords)
{
	time_t when = date_of(received);
	char date[64], head[512];
	struct tm tm;
	int n;

	gmtime_r(&when, &tm);
	strftime(date, sizeof(date), "%a %b %e %H:%M:%S %Y", &tm);
	n = snprintf(head, sizeof(head),
		     "From postern %s\nX-Postern: 1 received=%" PRIu64 " uidl=%s status=%u\n"
		     "Status: %sO\nX-Status: %s%s%s%s\n",
		     date, received, uidl, 2 + keyword_lines(keywords),
		     flags & PSTN_SEEN ? "R" : "", flags & PSTN_ANSWERED ? "A" : "",
		     flags & PSTN_FLAGGED ? "F" : "", flags & PSTN_DELETED ? "D" : "",
		     flags & PSTN_DRAFT ? "T" : "");
	w->line_start = true;
	w->quotes = w->matched = 0;
	return out(w, head, (size_t)n) && write_keywords(w, keywords);
}

static bool write_quotes(struct mbox_writer *w)
{
	static const char quotes[] =
	    ">>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>";

	while (w->quotes > 0 && !w->stopped) {
		size_t n = w->quotes < sizeof(quotes) - 1 ? (size_t)w->quotes : sizeof(quotes) - 1;

		out(w, quotes, n);
		w->quotes -= n;
	}
	return !w->stopped;
}

/* What was held back of a line's begin, with one ">" more if it is a quoted or bare "From ". */
static bool release(struct mbox_writer *w)
{
	size_t n = w->matched;

	w->quotes += n == sizeof(from) - 1;
	w->matched = 0;
	w->line_start = false;
	return write_quotes(w) && out(w, from, n);
}

bool mbox_write_text(struct mbox_writer *w, const char *bytes, size_t n)
{
	for (size_t i = 0; i < n && !w->stopped;) {
		const char *lf;
		size_t piece;

		if (w->line_start && w->matched == 0 && bytes[i] == '>') {
			w->quotes++;
			i++;
		} else if (w->line_start && w->matched < sizeof(from) - 1 &&
			   bytes[i] == from[w->matched]) {
			w->matched++;
			i++;
		} else {
			if (w->line_start && !release(w))
				break;
			lf = memchr(bytes + i, '\n', n - i);
			piece = lf ? (size_t)(lf - bytes) - i + 1 : n - i;
			out(w, bytes + i, piece);
			w->line_start = lf != NULL;
			i += piece;
		}
	}
	return !w->stopped;
}

bool mbox_write_end(struct mbox_writer *w)
{
	if (w->line_start)
		release(w);
	return out(w, "\n", 1);
}
