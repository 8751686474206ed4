/*
 * odd.c - descriptors that lie: with -DODD=n the n-th way. Judged, never run.
 */
#include <postern/service.h>

#ifndef ODD
#define ODD 0
#endif

struct conf {
	int64_t number;
	const char *text;
	struct pstn_list list;
};

static const char *const no_choices[] = {NULL};
/* One list option is enough for most of the lies. */
static const struct pstn_option item[] = {
    {.name = "", .type = PSTN_INT, .item_size = ODD == 1 ? 0 : sizeof(int64_t)}, {0}};

#if ODD == 2
static const struct pstn_option circle[];
static const struct pstn_option circle[] = {
    {.name = "again", .type = PSTN_MAP, .child = circle, .help = "Its own child."}, {0}};
#endif

static const struct pstn_option options[] = {
#if ODD == 2
    {.name = "circle", .type = PSTN_MAP, .child = circle},
#elif ODD == 3
    {.name = "number", .type = PSTN_INT, .offset = sizeof(struct conf)},
#elif ODD == 4
    {.name = "number", .type = PSTN_INT, .offset = 4},
#elif ODD == 5
    {.name = "number", .type = PSTN_INT, .def = "10", .max = "9"},
#elif ODD == 6
    {.name = "number", .type = PSTN_INT, .max = "nine"},
#elif ODD == 7
    {.name = "number", .type = PSTN_INT},
    {.name = "number", .type = PSTN_INT},
#elif ODD == 8
    {.name = "listeners", .type = PSTN_INT},
#elif ODD == 9
    {.name = "number", .type = 77},
#elif ODD == 10
    {.name = "number", .type = PSTN_ENUM, .choices = no_choices},
#elif ODD == 11
    {.name = "number", .type = PSTN_ENUM},
#elif ODD == 12
    {.name = (const char *)&options, .type = PSTN_INT},
#elif ODD == 13
    {.name = (const char *)16, .type = PSTN_INT},
#elif ODD == 14
    {.name = "Number", .type = PSTN_INT},
#elif ODD == 15
    {.name = "map", .type = PSTN_MAP},
#elif ODD == 16
    {.name = "number", .type = PSTN_INT, .help = (const char *)UINTPTR_MAX},
#endif
    {.name = "list", .type = PSTN_LIST, .offset = offsetof(struct conf, list), .child = item},
    {0}};

static const struct pstn_service service = {
    .size = ODD == 17   ? 3
	    : ODD == 18 ? 1000000
	    : ODD == 19 ? 16
			: sizeof service,
    .protocol = ODD == 20 ? (const char *)1 : "odd",
};

static const struct pstn_offer offers[] = {{PSTN_SERVICE_STREAM, 1, 0, ODD == 21 ? NULL : &service},
					   {0}};

static const struct pstn_metric metrics[] = {
    {.name = "things", .kind = ODD == 22 ? 9 : PSTN_COUNTER}, {0}};

static void *start(struct pstn_self *self, const struct pstn_host *host, const void *conf,
		   char *err, size_t errlen)
{
	(void)host;
	(void)conf;
	(void)err;
	(void)errlen;
	return self;
}

static int self_test(void *inst, char *err, size_t errlen)
{
	(void)inst;
	(void)err;
	(void)errlen;
	return 0;
}

static void stop(void *inst)
{
	(void)inst;
}

PSTN_EXPORT const struct pstn_module pstn_module = {
    .magic = PSTN_MAGIC,
    .abi_major = PSTN_ABI_MAJOR,
    .abi_minor = PSTN_ABI_MINOR,
    .size = ODD == 23   ? 20
	    : ODD == 24 ? 2000000000
			: sizeof(struct pstn_module),
    .option_size = ODD == 25   ? 8
		   : ODD == 26 ? 90
		   : ODD == 27 ? 8192
			       : sizeof(struct pstn_option),
    .metric_size = sizeof(struct pstn_metric),
    .offer_size = sizeof(struct pstn_offer),
    .need_size = ODD == 28 ? 0 : sizeof(struct pstn_need),
    .name = ODD == 29 ? NULL : "odd",
    .version = ODD == 30 ? NULL : "1.0",
    .summary = "Lies about itself.",
    .conf_size = ODD == 31 ? 1u << 30 : sizeof(struct conf),
    .options = options,
    .metrics = metrics,
    .offers = offers,
    .start = ODD == 32   ? NULL
	     : ODD == 33 ? (void *)(uintptr_t)&service
			 : start,
    .self_test = self_test,
    .stop = ODD == 34 ? NULL : stop,
};
