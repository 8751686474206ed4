/*
 * daemonize.h - leave the terminal, while the process that was started waits for the outcome.
 */
#ifndef CORE_DAEMONIZE_H
#define CORE_DAEMONIZE_H

/*
 * Returns in the daemon, with a descriptor: what is written there the waiting parent prints to
 * standard error; a final '\0' lets it end with 0, end-of-file without it with 1. Standard input
 * and output lead to /dev/null afterwards. -1: it did not work, and nothing has changed.
 */
int daemonize(void);

#endif
