/*
 * when.c - a moment, as an administrator writes it.
 */
#include "when.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define MINUTE INT64_C(60)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

#define LONG_AGO_DIGITS 9

struct moment {
	struct tm tm;   /* as it was written */
	uint32_t ms;    /* of its second */
	bool zoned;     /* with an offset from UTC: */
	int64_t offset; /* s */
};

/* ---- pieces; each moves *at behind what it took ---- */

static bool take(const char **at, char c)
{
	if (**at != c)
		return false;
	(*at)++;
	return true;
}

/* Exactly n digits, and a number from least to most. */
static bool number(const char **at, unsigned n, int least, int most, int *out)
{
	*out = 0;
	for (; n > 0; n--, (*at)++) {
		if (**at < '0' || **at > '9')
			return false;
		*out = *out * 10 + (**at - '0');
	}
	return *out >= least && *out <= most;
}

static int days_of(int year, int month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && leap);
}

static bool date(const char **at, struct tm *t)
{
	int year, month, day;

	if (!number(at, 4, 1970, 9999, &year) || !take(at, '-') || !number(at, 2, 1, 12, &month) ||
	    !take(at, '-') || !number(at, 2, 1, days_of(year, month), &day))
		return false;
	t->tm_year = year - 1900;
	t->tm_mon = month - 1;
	t->tm_mday = day;
	return true;
}

/* A fraction of a second has any number of digits; the first three count. */
static bool fraction(const char **at, uint32_t *ms)
{
	uint32_t weight = 100;

	if (**at < '0' || **at > '9')
		return false;
	for (; **at >= '0' && **at <= '9'; (*at)++, weight /= 10)
		*ms += (uint32_t)(**at - '0') * weight;
	return true;
}

static bool time_of_day(const char **at, struct moment *m)
{
	if (!number(at, 2, 0, 23, &m->tm.tm_hour) || !take(at, ':') ||
	    !number(at, 2, 0, 59, &m->tm.tm_min))
		return false;
	if (!take(at, ':'))
		return true;
	/* 60: a leap second, which is the next minute's first. */
	if (!number(at, 2, 0, 60, &m->tm.tm_sec))
		return false;
	return !take(at, '.') || fraction(at, &m->ms);
}

static bool zone(const char **at, struct moment *m)
{
	bool east = **at == '+';
	int hours, minutes;

	if (**at == '\0')
		return true;
	m->zoned = true;
	if (take(at, 'Z') || take(at, 'z'))
		return true;
	if (!take(at, '+') && !take(at, '-'))
		return false;
	if (!number(at, 2, 0, 23, &hours) || !take(at, ':') || !number(at, 2, 0, 59, &minutes))
		return false;
	m->offset = (hours * HOUR + minutes * MINUTE) * (east ? 1 : -1);
	return true;
}

/* ---- the three ways to write it ---- */

static bool settle(struct moment *m, uint64_t *out)
{
	int64_t seconds;

	m->tm.tm_isdst = -1;
	seconds = m->zoned ? (int64_t)timegm(&m->tm) - m->offset : (int64_t)mktime(&m->tm);
	if (seconds < 0)
		return false;
	*out = (uint64_t)seconds * 1000 + m->ms;
	return true;
}

static bool calendar(const char *text, uint64_t *out)
{
	struct moment m = {.ms = 0};

	if (!date(&text, &m.tm))
		return false;
	if (*text == '\0')
		return settle(&m, out);
	if (!take(&text, 'T') && !take(&text, 't') && !take(&text, ' '))
		return false;
	return time_of_day(&text, &m) && zone(&text, &m) && *text == '\0' && settle(&m, out);
}

static bool today(const char *text, uint64_t now, uint64_t *out)
{
	struct moment m = {.ms = 0};
	time_t seconds = (time_t)(now / 1000);
	struct tm t;

	if (!time_of_day(&text, &m) || *text != '\0' || !localtime_r(&seconds, &t))
		return false;
	m.tm.tm_year = t.tm_year;
	m.tm.tm_mon = t.tm_mon;
	m.tm.tm_mday = t.tm_mday;
	return settle(&m, out);
}

static bool ago(const char *text, uint64_t now, uint64_t *out)
{
	static const struct {
		char letter;
		int64_t seconds;
	} units[] = {{'s', 1}, {'m', MINUTE}, {'h', HOUR}, {'d', DAY}, {'w', 7 * DAY}};
	size_t digits = strspn(text, "0123456789");
	uint64_t n = 0;

	if (digits == 0 || digits > LONG_AGO_DIGITS)
		return false;
	for (size_t i = 0; i < digits; i++)
		n = n * 10 + (uint64_t)(text[i] - '0');
	text += digits;
	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++) {
		uint64_t ms = n * (uint64_t)units[i].seconds * 1000;

		if (*text != units[i].letter)
			continue;
		*out = now - ms;
		return ms <= now && (text[1] == '\0' || strcmp(text + 1, " ago") == 0);
	}
	return false;
}

bool when_parse(const char *text, uint64_t now, uint64_t *out)
{
	return calendar(text, out) || today(text, now, out) || ago(text, now, out);
}

void when_text(uint64_t ms, char out[WHEN_TEXT])
{
	time_t seconds = (time_t)(ms / 1000);
	struct tm t;
	size_t n;

	out[0] = '\0';
	if (!gmtime_r(&seconds, &t))
		return;
	n = strftime(out, WHEN_TEXT, "%Y-%m-%dT%H:%M:%S", &t);
	snprintf(out + n, WHEN_TEXT - n, ".%03uZ", (unsigned)(ms % 1000));
}
