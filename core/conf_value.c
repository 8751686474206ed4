/*
 * conf_value.c - what a user writes, as numbers, truth values and addresses.
 */
#include "config.h"

#include "conf_value.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>

struct unit {
	const char *name;
	uint64_t factor;
};

/* For printing: greatest first, one name a factor. The bare letters are those of other daemons. */
static const struct unit byte_units[] = {
    {"TiB", UINT64_C(1) << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1},
};
static const struct unit other_byte_units[] = {
    {"kB", 1000},   {"MB", 1000000}, {"GB", 1000000000}, {"TB", UINT64_C(1000000000000)},
    {"K", 1 << 10}, {"M", 1 << 20},  {"G", 1 << 30},     {"T", UINT64_C(1) << 40},
};
static const struct unit time_units[] = {
    {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1},
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

bool value_bool(const char *text, bool *out)
{
	static const char *const yes[] = {"true", "yes", "on", "y"};
	static const char *const no[] = {"false", "no", "off", "n"};

	for (size_t i = 0; i < COUNT(yes); i++) {
		*out = !strcasecmp(text, yes[i]);
		if (*out || !strcasecmp(text, no[i]))
			return true;
	}
	return false;
}

/* Digits at *text, which is moved behind them; false if there are none or too many. */
static bool digits(const char **text, uint64_t *out)
{
	const char *p = *text;
	uint64_t n = 0;

	for (; *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(n, (uint64_t)10, &n) ||
		    __builtin_add_overflow(n, (uint64_t)(*p - '0'), &n))
			return false;
	if (p == *text)
		return false;
	*text = p;
	*out = n;
	return true;
}

bool value_int(const char *text, int64_t *out)
{
	bool negative = *text == '-';
	uint64_t n;

	if (*text == '-' || *text == '+')
		text++;
	if (!digits(&text, &n) || *text || n > (uint64_t)INT64_MAX + negative)
		return false;
	*out = negative ? (int64_t)(0 - n) : (int64_t)n;
	return true;
}

static const struct unit *find_unit(const struct unit *units, size_t count, const char *name,
				    size_t length)
{
	for (size_t i = 0; i < count; i++)
		if (strlen(units[i].name) == length && !strncasecmp(units[i].name, name, length))
			return &units[i];
	return NULL;
}

static const char *skip_blanks(const char *p)
{
	return p + strspn(p, " ");
}

bool value_bytes(const char *text, uint64_t *out)
{
	uint64_t n;

	if (!digits(&text, &n))
		return false;
	text = skip_blanks(text);
	size_t length = strlen(text);
	const struct unit *unit = find_unit(byte_units, COUNT(byte_units), text, length);
	if (!unit)
		unit = find_unit(other_byte_units, COUNT(other_byte_units), text, length);
	if (!unit && length)
		return false;
	return !__builtin_mul_overflow(n, unit ? unit->factor : 1, out);
}

bool value_duration(const char *text, uint64_t *out)
{
	uint64_t n, part, total = 0;

	if (!strcmp(text, "0")) {
		*out = 0;
		return true;
	}
	do {
		if (!digits(&text, &n))
			return false;
		text = skip_blanks(text);
		size_t length = strcspn(text, "0123456789 ");
		const struct unit *unit = find_unit(time_units, COUNT(time_units), text, length);
		if (!unit || __builtin_mul_overflow(n, unit->factor, &part) ||
		    __builtin_add_overflow(total, part, &total))
			return false;
		text = skip_blanks(text + length);
	} while (*text);
	*out = total;
	return true;
}

bool value_enum(const char *text, const char *const *choices, int32_t *out)
{
	for (int32_t i = 0; choices[i]; i++)
		if (!strcmp(text, choices[i])) {
			*out = i;
			return true;
		}
	return false;
}

/* ---- addresses ---------------------------------------------------------------------------- */

static const char *unix_address(const char *path, struct value_address *out)
{
	if (path[0] != '/')
		return "needs an absolute path after unix:";
	if (strlen(path) >= sizeof(((struct sockaddr_un *)0)->sun_path))
		return "has a path longer than a socket's name can be (107 octets)";
	out->family = AF_UNIX;
	snprintf(out->text, sizeof out->text, "unix:%s", path);
	return NULL;
}

static const char *set_port(const char *text, struct value_address *out)
{
	uint64_t port;

	if (!digits(&text, &port) || *text)
		return "has a port that is not a number";
	if (port < 1 || port > 65535)
		return "has a port that is not within 1 to 65535";
	out->port = (uint16_t)port;
	return NULL;
}

static const char *set_host(const char *host, int family, struct value_address *out)
{
	char canonical[INET6_ADDRSTRLEN];

	out->family = family;
	if (inet_pton(family, host, out->ip) != 1)
		return family == AF_INET6
			   ? "has no IPv6 address between its brackets"
			   : "is not an IP address with a port (names are not looked up here)";
	inet_ntop(family, out->ip, canonical, sizeof canonical);
	snprintf(out->text, sizeof out->text, family == AF_INET6 ? "[%s]:%u" : "%s:%u", canonical,
		 out->port);
	return NULL;
}

const char *value_address(const char *text, struct value_address *out)
{
	char host[INET6_ADDRSTRLEN];
	bool bracket = text[0] == '[';

	memset(out, 0, sizeof *out);
	if (!strncmp(text, "unix:", 5))
		return unix_address(text + 5, out);
	if (text[0] == '/')
		return "is a path: write unix: before it";
	if (text[0] == '*')
		return "has no address: write 0.0.0.0 or [::] for all of them";
	const char *begin = text + bracket;
	const char *end = bracket ? strchr(text, ']') : strrchr(text, ':');
	if (!end)
		return bracket ? "has no closing bracket" : "has no port";
	if (!bracket && memchr(text, ':', (size_t)(end - text)))
		return "is an IPv6 address without brackets: write [address]:port";
	if (bracket && end[1] != ':')
		return "has no port";
	if ((size_t)(end - begin) >= sizeof host)
		return "is not an IP address with a port (names are not looked up here)";
	snprintf(host, sizeof host, "%.*s", (int)(end - begin), begin);
	const char *wrong = set_port(end + 1 + bracket, out);
	return wrong ? wrong : set_host(host, bracket ? AF_INET6 : AF_INET, out);
}

static bool is_any(const struct value_address *a)
{
	static const uint8_t zero[16];

	return !memcmp(a->ip, zero, sizeof zero);
}

bool value_addresses_overlap(const struct value_address *a, const struct value_address *b)
{
	if (a->family != b->family || a->port != b->port)
		return false;
	if (!strcmp(a->text, b->text))
		return true;
	return a->family != AF_UNIX && (is_any(a) || is_any(b));
}

/* ---- by row ------------------------------------------------------------------------------- */

static bool has_control_octets(const char *text)
{
	for (const unsigned char *p = (const unsigned char *)text; *p; p++)
		if (*p < 0x20 || *p == 0x7f)
			return true;
	return false;
}

static bool text_within(const struct pstn_option *row, const char *text)
{
	int64_t length = (int64_t)strlen(text), bound;

	if (has_control_octets(text))
		return false;
	if (row->min && value_int(row->min, &bound) && length < bound)
		return false;
	return !(row->max && value_int(row->max, &bound) && length > bound);
}

static bool int_within(const struct pstn_option *row, int64_t n)
{
	int64_t bound;

	if (row->min && value_int(row->min, &bound) && n < bound)
		return false;
	return !(row->max && value_int(row->max, &bound) && n > bound);
}

static bool amount_within(const struct pstn_option *row, uint64_t n,
			  bool (*read)(const char *, uint64_t *))
{
	uint64_t bound;

	if (row->min && read(row->min, &bound) && n < bound)
		return false;
	return !(row->max && read(row->max, &bound) && n > bound);
}

bool value_scalar(const struct pstn_option *row, const char *text, union value *out)
{
	struct value_address address;

	switch (row->type) {
	case PSTN_BOOL:
		return value_bool(text, &out->boolean);
	case PSTN_INT:
		return value_int(text, &out->number) && int_within(row, out->number);
	case PSTN_BYTES:
		return value_bytes(text, &out->amount) &&
		       amount_within(row, out->amount, value_bytes);
	case PSTN_DURATION:
		return value_duration(text, &out->amount) &&
		       amount_within(row, out->amount, value_duration);
	case PSTN_ENUM:
		return value_enum(text, row->choices, &out->choice);
	case PSTN_ADDRESS:
		return !value_address(text, &address);
	case PSTN_STRING:
	case PSTN_PATH:
		return text_within(row, text);
	default:
		return false;
	}
}

const char *value_type_name(uint32_t type)
{
	static const char *const names[] = {
	    [PSTN_BOOL] = "true or false",
	    [PSTN_INT] = "a whole number",
	    [PSTN_BYTES] = "a size such as 512, 64KiB or 10MB",
	    [PSTN_DURATION] = "a duration such as 250ms, 30s, 10m or 1h",
	    [PSTN_STRING] = "a text",
	    [PSTN_PATH] = "a path",
	    [PSTN_ADDRESS] = "an address such as 127.0.0.1:110, [::1]:110 or unix:/path",
	    [PSTN_ENUM] = "one of a few words",
	    [PSTN_MAP] = "a mapping (\"key: value\" lines, indented)",
	    [PSTN_LIST] = "a list ([a, b] or \"- item\" lines)",
	};

	return type >= 1 && type < COUNT(names) ? names[type] : "something unknown";
}

static void expected_choice(const struct pstn_option *row, char *buf, size_t n)
{
	size_t used = (size_t)snprintf(buf, n, "one of");

	for (unsigned i = 0; row->choices[i] && used < n; i++)
		used +=
		    (size_t)snprintf(buf + used, n - used, "%s %s", i ? "," : "", row->choices[i]);
}

void value_expected(const struct pstn_option *row, char *buf, size_t n)
{
	const char *of = row->type == PSTN_STRING ? " octets long"
			 : row->type == PSTN_LIST ? " items long"
						  : "";
	const char *what = value_type_name(row->type), *comma = row->type == PSTN_INT ? "" : ",";

	if (row->type == PSTN_ENUM && row->choices)
		expected_choice(row, buf, n);
	else if (row->min && row->max)
		snprintf(buf, n, "%s%s from %s to %s%s", what, comma, row->min, row->max, of);
	else if (row->min)
		snprintf(buf, n, "%s%s at least %s%s", what, comma, row->min, of);
	else if (row->max)
		snprintf(buf, n, "%s%s at most %s%s", what, comma, row->max, of);
	else
		snprintf(buf, n, "%s", what);
}

static void print_amount(uint64_t amount, const struct unit *units, size_t count, char *buf,
			 size_t n)
{
	size_t i = 0;

	while (i + 1 < count && amount % units[i].factor)
		i++;
	snprintf(buf, n, "%" PRIu64 "%s", amount / units[i].factor, units[i].name);
}

void value_print_bytes(uint64_t amount, char *buf, size_t n)
{
	if (!amount)
		snprintf(buf, n, "0");
	else
		print_amount(amount, byte_units, COUNT(byte_units), buf, n);
}

void value_print_duration(uint64_t ms, char *buf, size_t n)
{
	if (!ms)
		snprintf(buf, n, "0");
	else
		print_amount(ms, time_units, COUNT(time_units), buf, n);
}
