/*
 * json_text.c - see json_text.h. Names of files, what mail brings and sentences that were cut within
 * a character are not always UTF-8; an answer that has one of them is an answer all the same.
 */
#include "config.h"

#include "json_text.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

json_t *json_text(const char *value)
{
	json_t *text = json_string(value);
	char *copy;

	if (text || !value)
		return text ? text : json_null();
	copy = strdup(value);
	for (char *p = copy; p && *p; p++)
		if ((unsigned char)*p >= 0x80)
			*p = '?';
	text = copy ? json_string(copy) : NULL;
	free(copy);
	return text;
}
