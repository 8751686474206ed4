/*
 * control_failure.c - see control_failure.h.
 */
#include "config.h"

#include "control_failure.h"

#include "json_text.h"

#include <postern/control.h>
#include <postern/module.h>

#include <jansson.h>

const char *control_status_word(int status)
{
	static const char *const words[] = {
	    [-PSTN_E_NOT_FOUND] = CONTROL_STATUS_NOT_FOUND,
	    [-PSTN_E_GONE] = CONTROL_STATUS_GONE,
	    [-PSTN_E_DENIED] = CONTROL_STATUS_DENIED,
	    [-PSTN_E_BUSY] = CONTROL_STATUS_BUSY,
	    [-PSTN_E_FULL] = CONTROL_STATUS_FULL,
	    [-PSTN_E_TEMPORARY] = CONTROL_STATUS_TEMPORARY,
	    [-PSTN_E_DAMAGED] = CONTROL_STATUS_DAMAGED,
	    [-PSTN_E_INVALID] = CONTROL_STATUS_INVALID,
	    [-PSTN_E_NO_MEMORY] = CONTROL_STATUS_NO_MEMORY,
	    [-PSTN_E_TOO_LARGE] = CONTROL_STATUS_TOO_LARGE,
	    [-PSTN_E_EXISTS] = CONTROL_STATUS_EXISTS,
	    [-PSTN_E_CANCELLED] = CONTROL_STATUS_CANCELLED,
	    [-PSTN_E_QUOTA] = CONTROL_STATUS_QUOTA,
	};
	const int n = (int)(sizeof(words) / sizeof(words[0]));

	return status < 0 && status > -n ? words[-status] : NULL;
}

json_t *control_failure(const char *sentence, int status)
{
	json_t *line = json_pack("{s:b, s:o}", "ok", 0, "error", json_text(sentence));
	const char *word = control_status_word(status);

	if (!line || !word || json_object_set_new(line, "status", json_string(word)) == 0)
		return line;
	json_decref(line);
	return NULL;
}
