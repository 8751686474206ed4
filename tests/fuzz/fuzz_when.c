/*
 * fuzz_when.c - any text as a moment: what is taken for one can be shown and read again, and what
 * was long ago is never later than now.
 */
#include "modules/storage/recall/when.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOW UINT64_C(1795514400000)

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t n);

static void must(bool condition, const char *what)
{
	if (condition)
		return;
	fprintf(stderr, "fuzz_when: %s\n", what);
	abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t n)
{
	char text[80], shown[WHEN_TEXT];
	uint64_t moment, again;

	if (n >= sizeof(text))
		return 0;
	memcpy(text, octets, n);
	text[n] = '\0';
	if (!when_parse(text, NOW, &moment))
		return 0;
	must(strlen(text) >= 2, "a single character is no moment");
	must(!strchr("smhdwo", text[strlen(text) - 1]) || moment <= NOW, "a later moment ago");
	when_text(moment, shown);
	/* The last hours of the year 9999 west of here are none that could be written. */
	if (strlen(shown) == 24)
		must(when_parse(shown, NOW, &again) && again == moment,
		     "what is shown is another moment");
	return 0;
}
