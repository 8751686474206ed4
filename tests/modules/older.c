/*
 * older.c - built against headers of long ago: its rows are shorter than today's.
 */
#include "minimal.h"

/* The rows as they might have been before they grew. */
struct old_option {
	const char *name;
	uint32_t type, flags, offset, item_size;
	const char *def, *min, *max;
};
struct old_metric {
	const char *name;
	uint32_t kind;
};

struct older_conf {
	int64_t count;
	const char *text;
};

static const struct old_option options[] = {{.name = "count",
					     .type = PSTN_INT,
					     .offset = offsetof(struct older_conf, count),
					     .def = "7",
					     .min = "1",
					     .max = "9"},
					    {.name = "text",
					     .type = PSTN_STRING,
					     .offset = offsetof(struct older_conf, text),
					     .def = "old"},
					    {0}};

static const struct old_metric metrics[] = {{"things_total", PSTN_COUNTER}, {0}};

PSTN_EXPORT const struct pstn_module pstn_module = {
    .magic = PSTN_MAGIC,
    .abi_major = PSTN_ABI_MAJOR,
    .abi_minor = 0,
    .size = sizeof(struct pstn_module),
    .option_size = sizeof(struct old_option),
    .metric_size = sizeof(struct old_metric),
    .offer_size = sizeof(struct pstn_offer),
    .need_size = sizeof(struct pstn_need),
    .name = "older",
    .version = "0.9",
    .summary = "Built long ago.",
    .conf_size = sizeof(struct older_conf),
    .options = (const void *)options,
    .metrics = (const void *)metrics,
    .start = MINIMAL_START,
    .self_test = MINIMAL_SELF_TEST,
    .stop = minimal_stop,
};
