/*
 * storage.c - the module: options, metrics, what it offers and needs, start to stop.
 */
#include "command/commands.h"
#include "delivery/delivery.h"
#include "maildrop/maildrop.h"
#include "open/facts.h"
#include "open/selftest.h"
#include "store.h"

#include <postern/commands.h>

static const struct pstn_option percent_item[] = {
    {.name = "", .type = PSTN_INT, .item_size = sizeof(int64_t), .min = "1", .max = "100"},
    {0},
};

static const struct pstn_option options[] = {
    PSTN_OPT_PATH(struct store_options, path, .def = "", .flags = PSTN_AT_BOOT,
		  .help = "Directory of the store, made if missing. Without it: the instance's "
			  "name in the state directory."),
    PSTN_OPT_ENUM(struct store_options, durability, .def = "full", .choices = durability_names,
		  .help = "full: mail is acknowledged when it is on disk. relaxed: the disk "
			  "follows within seconds. none: when the system likes. The weaker ones "
			  "can lose acknowledged mail in a power cut."),
    PSTN_OPT_BYTES(struct store_options, segment_size, .def = "64MiB", .min = "1MiB", .max = "4GiB",
		   .help = "A segment file is ended and a new one begun at about this size."),
    PSTN_OPT_BYTES(struct store_options, message_size_limit, .def = "256MiB", .min = "64KiB",
		   .max = "64GiB", .help = "Larger messages are refused."),
    PSTN_OPT_BYTES(struct store_options, stream_threshold, .def = "1MiB", .min = "64KiB",
		   .max = "16MiB",
		   .help = "Messages up to this size are gathered in memory; larger ones go to a "
			   "segment of their own while they arrive."),
    PSTN_OPT_BYTES(struct store_options, index_map_size, .def = "64GiB", .min = "16MiB",
		   .max = "16TiB",
		   .help = "Address space set aside for the index; it takes no memory or disk. "
			   "It grows by itself."),
    PSTN_OPT_DURATION(struct store_options, checkpoint_interval, .def = "5s", .min = "100ms",
		      .max = "10m",
		      .help = "How often the index is brought to disk. What came after is read "
			      "from the segments when the server starts after a crash."),
    PSTN_OPT_LIST(struct store_options, quota_warnings, percent_item, .def = "80, 95", .max = "16",
		  .help = "The log is told once when a delivery takes an account or a domain over "
			  "so many percent of its quota."),
    PSTN_OPT_DURATION(struct store_options, retention, .def = "7d", .min = "0", .max = "3650d",
		      .help = "How long deleted mail stays in the store and can be brought back. "
			      "After that its disk space is given back. 0: at once."),
    PSTN_OPT_DURATION(
	struct store_options, compaction_interval, .def = "1h", .min = "0", .max = "30d",
	.help = "How often it is looked whether disk space can be given back. 0: only "
		"when `posternctl storage compact` asks for it."),
    PSTN_OPT_BYTES(struct store_options, compaction_rate, .def = "32MiB", .min = "64KiB",
		   .max = "1TiB",
		   .help = "At most so many octets of segments are gone through in a second when "
			   "disk space is given back, so that reading and delivering mail stay "
			   "fast."),
    PSTN_OPT_INT(struct store_options, compaction_threshold, .def = "25", .min = "1", .max = "100",
		 .help = "A segment is rewritten when so many per cent of it would be given back. "
			 "Less saves disk space, more saves writing."),
    PSTN_OPT_DURATION(struct store_options, scrub_interval, .def = "7d", .min = "0", .max = "365d",
		      .help = "How often everything that is stored is read and verified in the "
			      "background; 0: never. `storage scrub` does it at once."),
    PSTN_OPT_BYTES(struct store_options, scrub_rate, .def = "8MiB", .min = "4KiB", .max = "64GiB",
		   .help = "Octets that the background verification reads in a second."),
    {0},
};

static const struct pstn_metric metrics[] = {
    [METRIC_DELIVERED] = {"messages_delivered_total", PSTN_COUNTER, "Messages stored."},
    [METRIC_DELIVERED_OCTETS] = {"octets_delivered_total", PSTN_COUNTER,
				 "Octets of messages stored."},
    [METRIC_EXPUNGED] = {"messages_expunged_total", PSTN_COUNTER, "Messages removed."},
    [METRIC_READ] = {"messages_read_total", PSTN_COUNTER, "Messages handed out."},
    [METRIC_READ_OCTETS] = {"octets_read_total", PSTN_COUNTER, "Octets of messages handed out."},
    [METRIC_GROUPS] = {"groups_total", PSTN_COUNTER, "Groups committed with one sync each."},
    [METRIC_GROUPED] = {"changes_total", PSTN_COUNTER,
			"Deliveries, removals and flag changes in those groups."},
    [METRIC_SYNC_TIME] = {"write_time", PSTN_MICROSECONDS,
			  "Time spent writing and syncing segments."},
    [METRIC_CHECKPOINTS] = {"checkpoints_total", PSTN_COUNTER,
			    "Times the index was brought to disk."},
    [METRIC_DAMAGED] = {"damaged_total", PSTN_COUNTER, "Damaged records met."},
    [METRIC_REFUSED_FULL] = {"refused_full_total", PSTN_COUNTER,
			     "Changes refused because the disk was full."},
    [METRIC_REFUSED_QUOTA] = {"refused_quota_total", PSTN_COUNTER,
			      "Messages refused because a quota was reached."},
    [METRIC_COMPACTED] = {"segments_compacted_total", PSTN_COUNTER,
			  "Segments emptied and removed."},
    [METRIC_RECLAIMED_OCTETS] = {"octets_reclaimed_total", PSTN_COUNTER,
				 "Disk space given back by that."},
    [METRIC_MOVED_OCTETS] = {"octets_moved_total", PSTN_COUNTER, "Octets written again for that."},
    [METRIC_SCRUB_OCTETS] = {"scrub_octets_total", PSTN_COUNTER,
			     "Octets read by the background verification."},
    [METRIC_SCRUB_FAULTS] = {"scrub_faults_total", PSTN_COUNTER,
			     "Faults found by the background verification."},
    [METRIC_SCRUB_BAD] = {"scrub_faults", PSTN_GAUGE,
			  "Faults that the last complete background verification found."},
    {0},
};

static const struct pstn_offer offers[] = {
    {PSTN_STORAGE_MAILDROP, 1, 0, &maildrop_table},
    {PSTN_STORAGE_DELIVERY, 1, 0, &delivery_table},
    {PSTN_CONTROL_COMMANDS, 1, 2, &commands_table},
    {0},
};

static const struct pstn_need needs[] = {
    {PSTN_ACCOUNTS_DIRECTORY, 2, 0, 0},
    {0},
};

static void *start(struct pstn_self *self, const struct pstn_host *host, const void *conf,
		   char *err, size_t errlen)
{
	struct store *st = store_open(self, host, conf, err, errlen);

	if (st)
		st->directory = host->need(self, 0, &st->directory_inst);
	return st;
}

static int self_test(void *inst, char *err, size_t errlen)
{
	return selftest_run(inst, err, errlen);
}

static void drain(void *inst)
{
	store_checkpoint_soon(inst);
	compaction_drain(inst);
	scrub_stop(inst);
}

static void stop(void *inst)
{
	store_close(inst);
}

PSTN_EXPORT const struct pstn_module pstn_module = {
    PSTN_MODULE_HEAD,
    .name = "storage",
    .version = "0.1.0",
    .summary = "Messages in append-only segments, found through an LMDB index",
    .conf_size = sizeof(struct store_options),
    .options = options,
    .metrics = metrics,
    .offers = offers,
    .needs = needs,
    .start = start,
    .self_test = self_test,
    .drain = drain,
    .stop = stop,
};
