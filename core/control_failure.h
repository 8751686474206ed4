/*
 * control_failure.h - the last line of an answer that is a failure.
 */
#ifndef CORE_CONTROL_FAILURE_H
#define CORE_CONTROL_FAILURE_H

struct json_t;

/* status: what kind of failure it is, of enum pstn_status; 0: none in particular. NULL: no memory. */
struct json_t *control_failure(const char *sentence, int status);
/* For "status"; NULL if it has no word. */
const char *control_status_word(int status);

#endif
