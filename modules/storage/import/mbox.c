/*
 * mbox.c - an mbox file to messages.
 */
#include "mbox.h"

#include <postern/maildrop.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

/* ---- the "From " line ---- */

static int month_of(const char *name)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

	for (int i = 0; i < 12; i++) {
		if (strncmp(months + i * 3, name, 3) == 0)
			return i;
	}
	return -1;
}

static bool is_weekday(const char *p)
{
	static const char days[] = "MonTueWedThuFriSatSun";

	for (int i = 0; i < 7; i++) {
		if (strncmp(days + i * 3, p, 3) == 0 && p[3] == ' ')
			return true;
	}
	return false;
}

/* "Thu Aug 22 12:36:23 2002", also without seconds, with a zone before or after the year. */
static bool parse_date(const char *p, uint64_t *received)
{
	char month[4] = "";
	int day, hour, minute, second = 0, used = 0, year = 0;
	struct tm t = {.tm_isdst = 0};
	time_t when;

	if (!is_weekday(p) ||
	    sscanf(p + 4, "%3s %2d %2d:%2d%n", month, &day, &hour, &minute, &used) < 4)
		return false;
	p += 4 + used;
	if (*p == ':' && sscanf(p + 1, "%2d%n", &second, &used) == 1)
		p += 1 + used;
	while (*p) {
		p += strcspn(p, " ");
		p += strspn(p, " ");
		if (sscanf(p, "%4d%n", &year, &used) == 1 && used == 4 && year >= 1970)
			break;
		year = 0;
	}
	t.tm_mon = month_of(month);
	if (t.tm_mon < 0 || year == 0 || day < 1 || day > 31 || hour > 23 || minute > 59)
		return false;
	t.tm_mday = day;
	t.tm_hour = hour;
	t.tm_min = minute;
	t.tm_sec = second;
	t.tm_year = year - 1900;
	when = timegm(&t);
	*received = when > 0 ? (uint64_t)when : 0;
	return true;
}

bool mbox_is_from(const char *line, size_t n, uint64_t *received)
{
	char copy[MBOX_LINE + 1];

	*received = 0;
	if (n < 5 || n > MBOX_LINE || memcmp(line, "From ", 5) != 0)
		return false;
	memcpy(copy, line, n);
	copy[n] = '\0';
	for (const char *p = copy + 4; p; p = strchr(p + 1, ' ')) {
		if (parse_date(p + 1, received))
			return true;
	}
	return false;
}

/* ---- lines ---- */

static bool begin_text(struct mbox *m)
{
	if (m->begun)
		return true;
	m->begun = true;
	return m->begin(m->arg, &m->message);
}

static bool emit(struct mbox *m, const char *bytes, size_t n)
{
	return n == 0 || (begin_text(m) && m->text(m->arg, bytes, n));
}

static bool emit_quotes(struct mbox *m, uint64_t n)
{
	static const char quotes[] =
	    ">>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>";

	while (n > 0) {
		size_t piece = n < sizeof(quotes) - 1 ? (size_t)n : sizeof(quotes) - 1;

		if (!emit(m, quotes, piece))
			return false;
		n -= piece;
	}
	return true;
}

static bool release_blank(struct mbox *m)
{
	size_t n = m->blank_length;

	m->blank_length = 0;
	m->blank_before = false;
	return emit(m, m->blank, n);
}

static bool end_message(struct mbox *m)
{
	m->blank_length = 0;
	m->in_message = false;
	return begin_text(m) && m->end(m->arg, &m->message);
}

static bool begin_message(struct mbox *m, uint64_t received)
{
	if (m->in_message && !end_message(m))
		return false;
	m->message = (struct mbox_message){
	    .offset = m->line_offset, .received = received, .keywords = &m->keywords};
	keyword_list_clear(&m->keywords);
	m->in_message = m->in_header = m->first_line = true;
	m->begun = m->written = m->blank_before = false;
	m->added = 0;
	return true;
}

static void read_status(struct mbox *m, const char *p, size_t n)
{
	static const struct {
		char letter;
		uint32_t flag;
	} letters[] = {{'R', PSTN_SEEN},
		       {'A', PSTN_ANSWERED},
		       {'F', PSTN_FLAGGED},
		       {'D', PSTN_DELETED},
		       {'T', PSTN_DRAFT}};
	const char *colon = memchr(p, ':', n);

	if (!colon || !((colon - p == 6 && strncasecmp(p, "Status", 6) == 0) ||
			(colon - p == 8 && strncasecmp(p, "X-Status", 8) == 0)))
		return;
	for (const char *c = colon + 1; c < p + n; c++) {
		for (size_t i = 0; i < sizeof(letters) / sizeof(*letters); i++) {
			if (*c == letters[i].letter)
				m->message.flags |= letters[i].flag;
		}
	}
}

/* "X-Keywords: NAME NAME"; of a line that was cut, the last name may be cut, too. */
static void read_keywords(struct mbox *m, const char *line, size_t n, bool cut)
{
	static const char title[] = "X-Keywords:";
	size_t at = sizeof(title) - 1;

	if (n < at || strncasecmp(line, title, at) != 0)
		return;
	while (at < n) {
		size_t length = 0;

		while (at < n && (line[at] == ' ' || line[at] == '\t'))
			at++;
		while (at + length < n && line[at + length] != ' ' && line[at + length] != '\t')
			length++;
		if (cut && length > 0 && at + length == n)
			m->keywords.lost++;
		else
			keyword_list_add(&m->keywords, line + at, length);
		at += length;
	}
}

/* "X-Postern: 1 received=SECONDS uidl=UIDL status=LINES": as mbox_write.h writes it, or it is a line
 * as any other. */
static bool read_own(struct mbox *m, const char *line, size_t n)
{
	char copy[MBOX_LINE + 1], uidl[UIDL_MAX + 1] = "", number[21] = "";
	unsigned lines = 0;
	int used = 0;

	memcpy(copy, line, n);
	copy[n] = '\0';
	if (sscanf(copy, "X-Postern: 1 received=%20[0-9] uidl=%70[!-~] status=%2u%n", number, uidl,
		   &lines, &used) != 3 ||
	    (size_t)used != n)
		return false;
	m->message.received = strtoull(number, NULL, 10);
	memcpy(m->message.uidl, uidl, sizeof(uidl));
	m->added = lines;
	m->written = true;
	return true;
}

static bool is_status(const char *line, size_t n)
{
	return (n > 7 && memcmp(line, "Status: ", 8) == 0) ||
	       (n > 9 && memcmp(line, "X-Status: ", 10) == 0) ||
	       (n > 11 && memcmp(line, "X-Keywords: ", 12) == 0);
}

/* A line that is not the message's, though it stands in it. */
static bool take_own(struct mbox *m, const char *line, size_t n, size_t body)
{
	bool first = m->first_line;

	m->first_line = false;
	if (m->quotes || n == body)
		return false;
	if (first && read_own(m, line, body))
		return true;
	if (m->added == 0 || !is_status(line, body)) {
		m->added = 0;
		return false;
	}
	m->added--;
	read_status(m, line, body);
	read_keywords(m, line, body, false);
	return true;
}

/* A line, or its begin if it is longer than what is looked at, without the ">" that it begins with.
 * `body` leaves the line end out. */
static bool take_line(struct mbox *m, const char *line, size_t n, size_t body)
{
	uint64_t received = 0, quotes = m->quotes;
	bool first = m->line_offset == 0;
	bool from = quotes == 0 && (first || m->blank_before || !m->in_message) &&
		    (mbox_is_from(line, body, &received) ||
		     (first && body >= 5 && memcmp(line, "From ", 5) == 0));

	if (from)
		return begin_message(m, received);
	if (!m->in_message || take_own(m, line, n, body))
		return true;
	if (!release_blank(m))
		return false;
	if (body == 0 && quotes == 0 && n <= sizeof(m->blank)) {
		m->in_header = false;
		memcpy(m->blank, line, n);
		m->blank_length = n;
		m->blank_before = true;
		return true;
	}
	if (m->in_header && quotes == 0 && !m->written) {
		read_status(m, line, body);
		read_keywords(m, line, body, n == MBOX_LINE && body == n);
	}
	if (quotes && body >= 5 && memcmp(line, "From ", 5) == 0)
		quotes--;
	return emit_quotes(m, quotes) && emit(m, line, n);
}

static size_t without_end(const char *line, size_t n)
{
	if (n > 0 && line[n - 1] == '\n')
		n--;
	if (n > 0 && line[n - 1] == '\r')
		n--;
	return n;
}

static bool end_line(struct mbox *m)
{
	size_t n = m->length;

	bool good = take_line(m, m->line, n, without_end(m->line, n));

	m->length = 0;
	m->quotes = 0;
	return good;
}

/* The rest of a line whose begin has been taken. */
static bool pass_on(struct mbox *m, const char *p, size_t n)
{
	m->passing = p[n - 1] != '\n';
	return !m->in_message || emit(m, p, n);
}

static bool gather(struct mbox *m, const char *p, size_t n)
{
	if (m->length == 0 && m->quotes == 0)
		m->line_offset = m->offset;
	memcpy(m->line + m->length, p, n);
	m->length += n;
	if (m->line[m->length - 1] == '\n')
		return end_line(m);
	if (m->length < MBOX_LINE)
		return true;
	m->passing = true;
	return end_line(m);
}

/* ">" at the begin of a line are counted: there may be any number of them. */
static size_t count_quotes(struct mbox *m, const char *bytes, size_t n)
{
	size_t quotes = 0;

	if (m->passing || m->length > 0)
		return 0;
	if (m->quotes == 0)
		m->line_offset = m->offset;
	while (quotes < n && bytes[quotes] == '>')
		quotes++;
	m->quotes += quotes;
	m->offset += quotes;
	return quotes;
}

bool mbox_feed(struct mbox *m, const char *bytes, size_t n)
{
	while (n > 0 && !m->stopped) {
		size_t quotes = count_quotes(m, bytes, n);
		const char *lf;
		size_t piece;

		bytes += quotes;
		n -= quotes;
		if (n == 0)
			break;
		lf = memchr(bytes, '\n', n);
		piece = lf ? (size_t)(lf - bytes) + 1 : n;

		if (!m->passing && piece > MBOX_LINE - m->length)
			piece = MBOX_LINE - m->length;
		m->stopped = m->passing ? !pass_on(m, bytes, piece) : !gather(m, bytes, piece);
		m->offset += piece;
		bytes += piece;
		n -= piece;
	}
	return !m->stopped;
}

bool mbox_end(struct mbox *m)
{
	if ((m->length > 0 || m->quotes > 0) && !m->stopped)
		m->stopped = !end_line(m);
	if (m->in_message && !m->stopped)
		m->stopped = !end_message(m);
	return !m->stopped;
}
