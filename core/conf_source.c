/*
 * conf_source.c - the text of one configuration file, line by line, cleaned of what YAML forbids.
 */
#include "config.h"

#include "conf_source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_SIZE_MAX (1 << 20)
#define LINES_MAX     20000

/* ---- reading ------------------------------------------------------------------------------ */

static bool refuse(struct reports *r, struct place from, const char *path, const char *why)
{
	if (from.file)
		report_error(r, from, "include: %s: %s", path, why);
	else
		report_error(r, (struct place){.file = path}, "%s", why);
	return false;
}

static bool read_all(int fd, char *buf, size_t size, size_t *got)
{
	*got = 0;
	while (*got < size) {
		ssize_t n = read(fd, buf + *got, size - *got);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		if (!n)
			break;
		*got += (size_t)n;
	}
	return true;
}

static bool read_file(int fd, const char *path, struct place from, char **text, size_t *size,
		      struct reports *r)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return refuse(r, from, path, strerror(errno));
	if (S_ISDIR(st.st_mode))
		return refuse(r, from, path, "is a directory; name a file in it");
	if (!S_ISREG(st.st_mode))
		return refuse(r, from, path, "is not a regular file");
	if (st.st_mode & S_IWOTH) /* it names the code that is to run */
		return refuse(r, from, path, "may be written by everybody: chmod o-w it");
	*text = arena_must(malloc(FILE_SIZE_MAX + 1));
	if (!read_all(fd, *text, FILE_SIZE_MAX + 1, size))
		return refuse(r, from, path, strerror(errno));
	if (*size > FILE_SIZE_MAX)
		return refuse(r, from, path,
			      "is larger than 1 MiB: no configuration; is it the right file?");
	return true;
}

static const char *why_not_opened(int error, struct place from, char *why, size_t n)
{
	if (error == ENOENT && !from.file)
		snprintf(why, n,
			 "%s; \"posternd --print sample\" prints one to begin with, --config and "
			 "--directory name another place",
			 strerror(error));
	else if (error == EACCES)
		snprintf(why, n, "%s: the user with id %ju may not read it or reach it",
			 strerror(error), (uintmax_t)geteuid());
	else
		snprintf(why, n, "%s", strerror(error));
	return why;
}

static bool open_and_read(const char *path, struct place from, char **text, size_t *size,
			  struct reports *r)
{
	char why[256];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (fd < 0)
		return refuse(r, from, path, why_not_opened(errno, from, why, sizeof(why)));
	bool good = read_file(fd, path, from, text, size, r);
	close(fd);
	return good;
}

/* ---- what no YAML file may contain -------------------------------------------------------- */

/* Octets of the UTF-8 character at p, 0 if there is none (RFC 3629 section 4). */
static unsigned utf8_length(const unsigned char *p, size_t n)
{
	unsigned length = *p < 0x80   ? 1
			  : *p < 0xc2 ? 0
			  : *p < 0xe0 ? 2
			  : *p < 0xf0 ? 3
			  : *p < 0xf5 ? 4
				      : 0;

	if (length > n)
		return 0;
	for (unsigned i = 1; i < length; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if ((*p == 0xe0 && p[1] < 0xa0) || (*p == 0xed && p[1] > 0x9f) ||
	    (*p == 0xf0 && p[1] < 0x90) || (*p == 0xf4 && p[1] > 0x8f))
		return 0;
	return length;
}

/* C0 and C1 controls, U+FEFF and the two non-characters: YAML 1.1 section 5.1. */
static bool is_unprintable(const unsigned char *p, unsigned length)
{
	if (length == 1)
		return (*p < 0x20 && *p != '\t') || *p == 0x7f;
	if (length == 2)
		return p[0] == 0xc2 && p[1] < 0xa0 && p[1] != 0x85;
	return length == 3 && p[0] == 0xef &&
	       ((p[1] == 0xbb && p[2] == 0xbf) || (p[1] == 0xbf && p[2] >= 0xbe));
}

static bool report_octet(const struct conf_source *s, unsigned line, unsigned column,
			 unsigned char octet, bool utf8, struct reports *r)
{
	struct place place = {s->path, line, column};

	if (!octet)
		report_error(r, place, "a NUL octet: is the file text in UTF-8?");
	else if (utf8)
		report_error(r, place, "a control character that YAML does not allow: remove it");
	else
		report_error(r, place, "octet 0x%02x is not UTF-8: save the file as UTF-8", octet);
	return true;
}

/* Replaces what cannot be there, reports the first of a line; size is the line's. */
static void clean_line(struct conf_source *s, unsigned line, size_t size, struct reports *r)
{
	unsigned char *p = (unsigned char *)s->lines[line - 1];
	bool reported = false;

	for (unsigned column = 1; size; column++) {
		unsigned length = utf8_length(p, size);
		if (!length || is_unprintable(p, length)) {
			if (!reported)
				reported = report_octet(s, line, column, *p, length > 0, r);
			length = length ? length : 1;
			memset(p, '?', length);
		}
		p += length;
		size -= length;
	}
	if (reported)
		conf_source_mend(s, line, false);
}

/* ---- lines -------------------------------------------------------------------------------- */

static size_t line_length(const char *p, const char *end)
{
	const char *newline = memchr(p, '\n', (size_t)(end - p));

	return (size_t)((newline ? newline : end) - p);
}

static unsigned count_lines(const char *text, size_t size)
{
	unsigned n = size && text[size - 1] != '\n';

	for (size_t i = 0; i < size; i++)
		n += text[i] == '\n';
	return n;
}

static bool split(struct conf_source *s, char *text, size_t size, struct place from,
		  struct reports *r)
{
	const char *end = text + size;
	unsigned count = count_lines(text, size);

	if (count > LINES_MAX)
		return refuse(r, from, s->path, "has more than 20000 lines: no configuration");
	s->lines = arena_array(s->arena, count + 1, sizeof *s->lines);
	s->states = arena_array(s->arena, count + 1, sizeof *s->states);
	s->suspect = arena_array(s->arena, count + 1, sizeof *s->suspect);
	s->lost = arena_array(s->arena, count + 1, sizeof *s->lost);
	s->shifts = arena_array(s->arena, count + 1, sizeof *s->shifts);
	for (const char *p = text; p < end;) {
		size_t length = line_length(p, end);
		size_t kept = length && p[length - 1] == '\r' ? length - 1 : length;
		s->lines[s->nlines++] = arena_strndup(s->arena, p, kept);
		clean_line(s, s->nlines, kept, r);
		p += length + 1;
	}
	return true;
}

static bool says_something(const struct conf_source *s)
{
	for (unsigned line = 1; line <= s->nlines; line++)
		if (!conf_source_is_empty(s, line))
			return true;
	return false;
}

bool conf_source_load(struct conf_source *s, const char *path, struct place from,
		      struct arena *arena, struct reports *r)
{
	char *text = NULL;
	size_t size = 0, skip;

	*s = (struct conf_source){.path = path, .arena = arena};
	bool good = open_and_read(path, from, &text, &size, r);
	if (good) {
		skip = size >= 3 && !memcmp(text, "\xef\xbb\xbf", 3) ? 3 : 0;
		good = split(s, text + skip, size - skip, from, r);
	}
	free(text);
	if (!good)
		return false;
	if (!from.file && !says_something(s))
		return refuse(r, from, path,
			      "is empty: expected \"modules:\" and the modules to run");
	conf_source_check_tabs(s, r);
	return true;
}

char *conf_source_text(const struct conf_source *s, size_t *size)
{
	size_t n = 0;

	for (unsigned i = 0; i < s->nlines; i++)
		n += strlen(s->lines[i]) + 1;
	char *text = arena_must(malloc(n + 1)), *p = text;
	for (unsigned i = 0; i < s->nlines; i++) {
		p = stpcpy(p, s->lines[i]);
		*p++ = '\n';
	}
	*size = n;
	return text;
}

struct place conf_source_place(const struct conf_source *s, size_t line, size_t column)
{
	struct place place = {s->path, (unsigned)line + 1, (unsigned)column + 1};

	if (line < s->nlines && s->shifts[line] < (int)column)
		place.column = (unsigned)((int)column - s->shifts[line]) + 1;
	return place;
}
