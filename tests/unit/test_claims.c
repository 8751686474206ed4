/*
 * test_claims.c - places counted over processes; a process that is killed leaves none behind.
 */
#include "claims.h"

#include "log.h"
#include "metrics.h"
#include "metrics_shared.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "suite.h"

static unsigned full_events;

void log_event(const char *service, const char *session, int level, const char *event,
	       const struct pstn_field *fields, size_t n)
{
	(void)service;
	(void)session;
	(void)level;
	(void)fields;
	(void)n;
	full_events += strcmp(event, "claims-full") == 0;
}

static void private_counts(void)
{
	uint32_t a, b, c;
	CU_ASSERT_FALSE(claims_take("mary", 1, &a));
	CU_ASSERT_EQUAL_FATAL(claims_attach(-1, 0), 0);
	CU_ASSERT_EQUAL(claims_attach(-1, 0), -1);
	CU_ASSERT_FALSE(claims_take("mary", 0, &a));
	CU_ASSERT_TRUE(claims_take("mary", 2, &a));
	CU_ASSERT_TRUE(claims_take("mary", 2, &b));
	CU_ASSERT_FALSE(claims_take("mary", 2, &c));
	CU_ASSERT_TRUE(claims_take("mary", 3, &c));
	CU_ASSERT_TRUE(claims_take("joe", 1, &c));
	claims_give(a);
	CU_ASSERT_FALSE(claims_take("joe", 1, &a));
	CU_ASSERT_TRUE(claims_take("mary", 3, &a));
	claims_detach();
	claims_detach();
	CU_ASSERT_EQUAL(claims_attach(-1, CLAIMS_SLOTS), -1);
}

/* A worker of its own: does what it is told, then says so on the pipe and waits to be killed. */
struct child {
	pid_t pid;
	int says;
};

static struct child fork_child(int fd, unsigned slot, void (*fn)(void))
{
	int ends[2];
	struct child c = {.pid = -1};
	if (pipe(ends))
		return c;
	c.pid = fork();
	if (c.pid == 0) {
		if (claims_attach(fd, slot))
			_exit(1);
		fn();
		if (write(ends[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ends[1]);
	c.says = ends[0];
	return c;
}

static bool has_said(struct child *c)
{
	char octet;
	return read(c->says, &octet, 1) == 1;
}

static void end_child(struct child *c)
{
	kill(c->pid, SIGKILL);
	waitpid(c->pid, NULL, 0);
	close(c->says);
}

static void take_three(void)
{
	uint32_t ticket;
	for (int i = 0; i < 3; i++)
		claims_take("mary", 10, &ticket);
}

static void two_processes(void)
{
	uint32_t ticket, other;
	int fd = claims_create();
	CU_ASSERT_TRUE_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(ftruncate(fd, 0), -1); /* a worker cannot pull it from under the others */
	struct child c = fork_child(fd, 5, take_three);
	CU_ASSERT_TRUE_FATAL(has_said(&c));
	CU_ASSERT_EQUAL(claims_attach(fd, 6), 0);
	CU_ASSERT_FALSE(claims_take("mary", 3, &ticket));
	CU_ASSERT_TRUE(claims_take("mary", 4, &ticket));
	end_child(&c);
	CU_ASSERT_FALSE(claims_take("mary", 4, &other));
	claims_clear_slot(fd, 5);
	CU_ASSERT_FALSE(claims_take("mary", 1, &other));
	claims_give(ticket);
	CU_ASSERT_TRUE(claims_take("mary", 1, &other));
	claims_detach();
	close(fd);
}

/* Without the supervisor's clearing the slot's next owner finds it empty as well. */
static void next_owner_clears(void)
{
	uint32_t ticket;
	int fd = claims_create();
	struct child c = fork_child(fd, 0, take_three);
	CU_ASSERT_TRUE_FATAL(has_said(&c));
	end_child(&c);
	claims_attach(fd, 0);
	CU_ASSERT_TRUE(claims_take("mary", 1, &ticket));
	claims_detach();
	claims_clear_slot(fd, 0);
	claims_clear_slot(fd, CLAIMS_SLOTS);
	claims_clear_slot(-1, 0);
	close(fd);
}

static void take_and_give_forever(void)
{
	uint32_t tickets[64];
	char key[16];
	unsigned held = 0;
	for (unsigned i = 0; i < 100000000; i++) {
		snprintf(key, sizeof(key), "k%u", i % 97);
		if (held == 64)
			while (held > 0)
				claims_give(tickets[--held]);
		if (claims_take(key, 1000, &tickets[held]))
			held++;
	}
}

/* Killed at any instruction, the lock held or not: the others go on, and no place is lost. */
static void killed_anywhere(void)
{
	char key[16];
	uint32_t ticket;
	int fd = claims_create();
	for (int round = 0; round < 40; round++) {
		pid_t pid = fork();
		if (pid == 0) {
			if (claims_attach(fd, 2) == 0)
				take_and_give_forever();
			_exit(1);
		}
		claims_attach(fd, 1);
		for (int i = 0; i < 200 * round; i++)
			if (claims_take("k1", 2000, &ticket))
				claims_give(ticket);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		claims_clear_slot(fd, 2);
		claims_detach(); /* a child that inherited the slot could not let go of it alone */
	}
	claims_attach(fd, 1);
	for (unsigned i = 0; i < 97; i++) {
		snprintf(key, sizeof(key), "k%u", i);
		CU_ASSERT_TRUE(claims_take(key, 1, &ticket));
	}
	claims_detach();
	close(fd);
}

/* More keys than there is room for: refused and told once, and usable again afterwards. */
static void full_table(void)
{
	char key[24];
	uint32_t ticket, *tickets = calloc(600000, sizeof(*tickets));
	unsigned n = 0;
	full_events = 0;
	claims_attach(-1, 3);
	for (; n < 600000; n++) {
		snprintf(key, sizeof(key), "account-%u", n);
		if (!claims_take(key, 1, &tickets[n]))
			break;
	}
	CU_ASSERT_TRUE(n > 400000 && n < 600000);
	CU_ASSERT_FALSE(claims_take(key, 1, &ticket));
	CU_ASSERT_EQUAL(full_events, 1);
	CU_ASSERT_FALSE(claims_take("account-7", 1, &ticket));
	CU_ASSERT_TRUE(claims_take("account-7", 2, &ticket));
	claims_give(ticket);
	while (n > 0)
		claims_give(tickets[--n]);
	CU_ASSERT_TRUE(claims_take(key, 1, &ticket));
	claims_detach();
	free(tickets);
}

/* Against counts kept in an array: many keys, taken and given at random. */
static void like_a_model(void)
{
	enum { KEYS = 50, HELD = 300 };
	uint32_t tickets[HELD], counts[KEYS] = {0};
	unsigned key_of[HELD], held = 0, wrong = 0;
	char key[16];
	srand(1);
	claims_attach(-1, 0);
	for (unsigned i = 0; i < 200000; i++) {
		unsigned k = (unsigned)rand() % KEYS, limit = 1 + (unsigned)rand() % 9;
		if (held == HELD || (held > 0 && rand() % 3 == 0)) {
			unsigned at = (unsigned)rand() % held;
			claims_give(tickets[at]);
			counts[key_of[at]]--;
			held--;
			tickets[at] = tickets[held];
			key_of[at] = key_of[held];
			continue;
		}
		snprintf(key, sizeof(key), "key%u", k);
		bool taken = claims_take(key, limit, &tickets[held]);
		wrong += taken != (counts[k] < limit);
		if (taken) {
			key_of[held++] = k;
			counts[k]++;
		}
	}
	CU_ASSERT_EQUAL(wrong, 0);
	claims_detach();
}

/* What a worker counted is kept when it has ended; what it measured is not. */
static int counter, gauge;

static void count_some(void)
{
	metrics_share(counter, "pop3", "logins_total", false);
	metrics_share(gauge, "pop3", "sessions", true);
	metrics_add(counter, 10);
	metrics_add(gauge, 3);
	metrics_publish();
}

static void metrics_over_generations(void)
{
	int fd = claims_create();
	counter = metrics_reserve(1);
	gauge = metrics_reserve(1);
	struct child c = fork_child(fd, 0, count_some);
	CU_ASSERT_TRUE_FATAL(has_said(&c));
	claims_attach(fd, 1);
	/* in this worker they are declared in another order, among others */
	metrics_share(metrics_reserve(1), "pop3", "other", false);
	metrics_share(gauge, "pop3", "sessions", true);
	metrics_share(counter, "pop3", "logins_total", false);
	metrics_add(counter, 1);
	metrics_add(gauge, 1);
	CU_ASSERT_EQUAL(metrics_read(counter) + metrics_elsewhere(counter), 11);
	CU_ASSERT_EQUAL(metrics_read(gauge) + metrics_elsewhere(gauge), 4);
	metrics_publish();
	CU_ASSERT_EQUAL(metrics_read(counter) + metrics_elsewhere(counter), 11);
	end_child(&c);
	claims_clear_slot(fd, 0);
	CU_ASSERT_EQUAL(metrics_read(counter) + metrics_elsewhere(counter), 11);
	CU_ASSERT_EQUAL(metrics_read(gauge) + metrics_elsewhere(gauge), 1);
	claims_detach();
	CU_ASSERT_EQUAL(metrics_elsewhere(counter), 0);
	close(fd);
}

static const struct suite_case cases[] = {
    {"private counts", private_counts},
    {"two processes", two_processes},
    {"next owner clears", next_owner_clears},
    {"killed anywhere", killed_anywhere},
    {"full table", full_table},
    {"like a model", like_a_model},
    {"metrics over generations", metrics_over_generations},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
	return suite_run("claims", cases, argc > 1 ? argv[1] : NULL);
}
