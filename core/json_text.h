/*
 * json_text.h - text that may hold any octets, as JSON, which is UTF-8.
 */
#ifndef CORE_JSON_TEXT_H
#define CORE_JSON_TEXT_H

struct json_t;

/* Where the octets are no UTF-8 all those beyond ASCII become '?'. null for NULL; NULL: no memory. */
struct json_t *json_text(const char *);

#endif
