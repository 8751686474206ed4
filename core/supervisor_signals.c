/*
 * supervisor_signals.c - signals, read in the loop like everything else.
 */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "supervisor.h"

/* Whatever the process that started us did with them: a SIGCHLD that is ignored is never sent, and
 * who reads our standard error may be gone. */
static void set_dispositions(void)
{
	(void)signal(SIGCHLD, SIG_DFL);
	(void)signal(SIGPIPE, SIG_IGN);
}

int signals_open(struct supervisor *sv, char *err, size_t errlen)
{
	static const int ours[] = {SIGHUP, SIGINT, SIGTERM, SIGQUIT, SIGUSR1, SIGCHLD};
	sigset_t set;

	set_dispositions();
	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		sigaddset(&set, ours[i]);
	if (pthread_sigmask(SIG_BLOCK, &set, NULL) != 0)
		sv->signals = -1;
	else
		sv->signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (sv->signals < 0) {
		snprintf(err, errlen, "cannot wait for signals: %s", strerror(errno));
		return -1;
	}
	return 0;
}

static void reopen_logs(struct supervisor *sv)
{
	supervisor_log_reopen(sv);
	for (struct child *c = sv->children; c; c = c->next)
		child_tell(sv, c, LINK_REOPEN);
	supervisor_log(sv, PSTN_INFO, "reopen", "log files opened anew");
}

static void act(struct supervisor *sv, int sig)
{
	switch (sig) {
	case SIGHUP:
		reload_request(sv);
		break;
	case SIGTERM:
		supervisor_stop(sv, sv->stopping != RUNNING);
		break;
	case SIGINT:
	case SIGQUIT:
		supervisor_stop(sv, true);
		break;
	case SIGUSR1:
		reopen_logs(sv);
		break;
	default:
		children_reap(sv);
	}
}

void signals_read(struct supervisor *sv)
{
	struct signalfd_siginfo info;

	while (read(sv->signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
		act(sv, (int)info.ssi_signo);
}
