/*
 * host.c - the function table that modules call the core through.
 */
#include "config.h"

#include "host.h"

#include "instance.h"
#include "log.h"
#include "op.h"
#include "reactor.h"
#include "session.h"
#include "told.h"

static void host_log(struct pstn_self *self, struct pstn_session *s, int level, const char *event,
		     const struct pstn_field *fields, size_t n)
{
	if (level <= instance_log_level(self))
		log_event(instance_name(self), s ? session_id(s) : "", level, event, fields, n);
}

static bool host_logs(struct pstn_self *self, int level)
{
	return level <= instance_log_level(self);
}

static const char *host_name(struct pstn_self *self)
{
	return instance_name(self);
}

static const char *host_directory(struct pstn_self *self, int kind)
{
	const struct dirs *dirs = instance_dirs(self);
	switch (kind) {
	case PSTN_DIR_CONFIG:
		return dirs->config;
	case PSTN_DIR_STATE:
		return dirs->state;
	case PSTN_DIR_RUN:
		return dirs->run;
	case PSTN_DIR_LOG:
		return dirs->log;
	default:
		return NULL;
	}
}

static const void *host_need(struct pstn_self *self, uint32_t i, void **inst)
{
	return instance_need(self, i, inst);
}

static void host_tell(struct pstn_self *self, const char *key, const char *value)
{
	told_fact(instance_told(self), key, value);
}

static void host_progress(struct pstn_self *self, const char *what, uint64_t done, uint64_t total)
{
	told_progress(instance_name(self), what, done, total);
}

const struct pstn_host host_table = {
    .size = sizeof(struct pstn_host),
    .abi_major = PSTN_ABI_MAJOR,
    .abi_minor = PSTN_ABI_MINOR,
    .alloc = instance_alloc,
    .free = instance_free,
    .log = host_log,
    .logs = host_logs,
    .count = instance_count,
    .name = host_name,
    .directory = host_directory,
    .need = host_need,
    .now = reactor_now,
    .after = op_after,
    .job = op_job,
    .pend = op_pend,
    .post = op_post,
    .cancel = op_cancel,
    .write = session_write,
    .print = session_printf,
    .send = session_send,
    .queued = session_queued,
    .want_drained = session_want_drained,
    .hold = session_hold,
    .resume = session_resume,
    .raw = session_raw,
    .line_limit = session_line_limit,
    .idle_limit = session_idle_limit,
    .finish = session_finish,
    .drop = session_drop,
    .id = session_id,
    .peer = session_peer,
    .set_account = session_set_account,
    .set_state = session_set_state,
    .claim = session_claim,
    .call = &call_ops,
    .tell = host_tell,
    .progress = host_progress,
};
