/*
 * conf_value.h - what a user writes, as numbers, truth values and addresses. Pure functions.
 *
 * Option rows carry defaults and bounds as a user would write them; these functions read those,
 * the values of a configuration file, and write values back in the same form.
 */
#ifndef CORE_CONF_VALUE_H
#define CORE_CONF_VALUE_H

#include <postern/module.h>

bool value_bool(const char *text, bool *out);         /* true false yes no on off y n */
bool value_int(const char *text, int64_t *out);       /* decimal */
bool value_bytes(const char *text, uint64_t *out);    /* 512, 64KiB, 1 MiB, 10MB */
bool value_duration(const char *text, uint64_t *out); /* milliseconds: 250ms, 1h30m, 0 */
bool value_enum(const char *text, const char *const *choices, int32_t *out);

struct value_address {
	int family; /* AF_INET, AF_INET6, AF_UNIX */
	uint16_t port;
	uint8_t ip[16];
	char text[128]; /* in its one canonical form */
};
/* NULL, or what is wrong with the text: "has no port". */
const char *value_address(const char *text, struct value_address *out);
/* Whether both cannot be bound at once: the same, or one is all addresses of the other's family. */
bool value_addresses_overlap(const struct value_address *, const struct value_address *);

/* Any of the scalar types, judged by its row with its bounds. */
union value {
	bool boolean;
	int64_t number;
	uint64_t amount; /* bytes, milliseconds */
	int32_t choice;
};
bool value_scalar(const struct pstn_option *row, const char *text, union value *out);
/* What a row expects, as in "expected %s": "a whole number from 1 to 64". */
void value_expected(const struct pstn_option *row, char *buf, size_t n);
/* Without the bounds: "a whole number". */
const char *value_type_name(uint32_t type);

/* The shortest exact form: "64KiB", "10m". At least 24 octets of room. */
void value_print_bytes(uint64_t amount, char *buf, size_t n);
void value_print_duration(uint64_t ms, char *buf, size_t n);

#endif
