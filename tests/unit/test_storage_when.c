/*
 * test_storage_when.c - moments as administrators write them.
 */
#include "suite.h"

#include "modules/storage/recall/when.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Tuesday, in a zone that is one hour ahead of UTC then, and two in summer. */
#define ZONE "CET-1CEST,M3.5.0,M10.5.0/3"
#define NOW  UINT64_C(1795514400000) /* 2026-11-24T10:00:00Z */
#define S    UINT64_C(1000)
#define H    (3600 * S)
#define D    (24 * H)

static void reads_moments(void)
{
	static const struct {
		const char *text;
		uint64_t is;
	} cases[] = {
	    {"2026-11-24T10:00:00Z", NOW},
	    {"2026-11-24t10:00:00z", NOW},
	    {"2026-11-24 10:00:00Z", NOW},
	    {"2026-11-24T10:00Z", NOW},
	    {"2026-11-24T10:00:00+00:00", NOW},
	    {"2026-11-24T10:00:00-00:00", NOW},
	    {"2026-11-24T12:00:00+02:00", NOW},
	    {"2026-11-24T04:30:00-05:30", NOW},
	    {"2026-11-25T00:00:00+14:00", NOW},
	    {"2026-11-24T10:00:00.5Z", NOW + 500},
	    {"2026-11-24T10:00:00.123456789Z", NOW + 123},
	    {"2026-11-24T10:00:60Z", NOW + 60 * S},
	    {"2026-11-24T11:00:00", NOW},
	    {"2026-11-24 11:00", NOW},
	    {"2026-11-24T11:00:00.25", NOW + 250},
	    {"2026-11-24", NOW - 11 * H},
	    {"2026-07-01", NOW - 146 * D - 12 * H},
	    {"2024-02-29T00:00:00Z", UINT64_C(1709164800000)},
	    {"1970-01-01T00:00:00Z", 0},
	    {"9999-12-31T23:59:59Z", UINT64_C(253402300799000)},
	    {"11:00", NOW},
	    {"11:00:30", NOW + 30 * S},
	    {"00:00", NOW - 11 * H},
	    {"23:59", NOW + 12 * H + 59 * 60 * S},
	    {"0s", NOW},
	    {"90s", NOW - 90 * S},
	    {"30m", NOW - 1800 * S},
	    {"2h", NOW - 2 * H},
	    {"2h ago", NOW - 2 * H},
	    {"3d", NOW - 3 * D},
	    {"1w", NOW - 7 * D},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		uint64_t got = 1;

		if (when_parse(cases[i].text, NOW, &got) && got == cases[i].is)
			continue;
		fprintf(stderr, "  %s: %lld, not %lld\n", cases[i].text, (long long)got,
			(long long)cases[i].is);
		CU_FAIL("a moment was misread");
	}
}

static void refuses_others(void)
{
	static const char *const cases[] = {
	    "",
	    " ",
	    "yesterday",
	    "now",
	    "2026",
	    "2026-11",
	    "2026-11-",
	    "2026-13-01",
	    "2026-00-01",
	    "2026-11-31",
	    "2026-02-29",
	    "2100-02-29",
	    "1969-12-31",
	    "1970-01-01T00:00:00+01:00",
	    "26-11-24",
	    "2026-11-24T",
	    "2026-11-24Z",
	    "2026-11-24T10",
	    "2026-11-24T24:00",
	    "2026-11-24T10:60",
	    "2026-11-24T10:00:61Z",
	    "2026-11-24T10:00:00.",
	    "2026-11-24T10:00:00.Z",
	    "2026-11-24T10:00:00+1",
	    "2026-11-24T10:00:00+24:00",
	    "2026-11-24T10:00:00+01:60",
	    "2026-11-24T10:00:00Zx",
	    "2026-11-24T10:00:00Z ",
	    " 2026-11-24",
	    "2026-11-24  10:00",
	    "10",
	    "10:0",
	    "1:00",
	    "10:00Z",
	    "10:00+01:00",
	    "2",
	    "h",
	    "-2h",
	    "2x",
	    "2hours",
	    "2h ",
	    "2h agoo",
	    "1000000000s",
	    "999999999w",
	    "99999999999999999999999999d",
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		uint64_t got;

		if (!when_parse(cases[i], NOW, &got))
			continue;
		fprintf(stderr, "  \"%s\": %lld\n", cases[i], (long long)got);
		CU_FAIL("what is no moment was taken for one");
	}
}

/* What is shown can be given back. */
static void shows_what_it_reads(void)
{
	static const uint64_t moments[] = {0, NOW, NOW + 7, UINT64_C(4102444800000),
					   UINT64_C(951782400000)};
	char text[WHEN_TEXT];
	uint64_t got;

	for (size_t i = 0; i < sizeof(moments) / sizeof(*moments); i++) {
		when_text(moments[i], text);
		CU_ASSERT_TRUE(when_parse(text, NOW, &got));
		CU_ASSERT_EQUAL(got, moments[i]);
	}
	when_text(NOW, text);
	CU_ASSERT_STRING_EQUAL(text, "2026-11-24T10:00:00.000Z");
}

static const struct suite_case cases[] = {
    {"moments in all their forms", reads_moments},
    {"what is no moment", refuses_others},
    {"what is shown can be read", shows_what_it_reads},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
	setenv("TZ", ZONE, 1);
	tzset();
	return suite_run("storage_when", cases, argc > 1 ? argv[1] : NULL);
}
