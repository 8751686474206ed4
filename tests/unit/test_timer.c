/*
 * test_timer.c - the wheel: nothing fires early, late or twice, however time jumps.
 */
#include "timer.h"

#include <stdlib.h>
#include <string.h>

#include "suite.h"

enum { MANY = 2000 };

static struct wheel wheel;
static uint64_t now;

static struct probe {
	struct timer timer;
	unsigned fired;
	uint64_t fired_at;
} probes[MANY];

/* timer_set() is the reactor's; the wheel itself is what is tested. */
static void set(struct probe *p, uint64_t ms)
{
	wheel_set(&wheel, &p->timer, now + ms);
}

static void fire(struct timer *t)
{
	struct probe *p = (struct probe *)t;

	p->fired++;
	p->fired_at = now;
}

static void begin(uint64_t start)
{
	now = start;
	memset(probes, 0, sizeof(probes));
	for (unsigned i = 0; i < MANY; i++)
		probes[i].timer.fire = fire;
	wheel_init(&wheel, now);
}

static void run_to(uint64_t t)
{
	now = t;
	wheel_run(&wheel, now);
}

static void test_each_distance(void)
{
	static const uint64_t distances[] = {
	    1,    2,    63,     64,     65,       127,        128,         1000,       4095,
	    4096, 4097, 262143, 600000, 16777216, 1073741824, 34359738368, 50000000000};

	for (size_t i = 0; i < sizeof(distances) / sizeof(distances[0]); i++) {
		for (uint64_t start = 0; start < 5000; start += 37) {
			begin(start);
			set(&probes[0], distances[i]);
			run_to(start + distances[i] - 1);
			CU_ASSERT_EQUAL(probes[0].fired, 0);
			run_to(start + distances[i]);
			CU_ASSERT_EQUAL(probes[0].fired, 1);
			CU_ASSERT_EQUAL(wheel_wait(&wheel, now), UINT64_MAX);
		}
	}
}

static void test_zero_fires_next_tick(void)
{
	begin(100);
	set(&probes[0], 0);
	run_to(100);
	CU_ASSERT_EQUAL(probes[0].fired, 0);
	run_to(101);
	CU_ASSERT_EQUAL(probes[0].fired, 1);
}

static void test_clear_and_move(void)
{
	begin(5);
	set(&probes[0], 10);
	set(&probes[1], 10);
	set(&probes[2], 10);
	timer_clear(&probes[1].timer);
	timer_clear(&probes[1].timer);
	set(&probes[2], 700);
	run_to(500);
	CU_ASSERT_EQUAL(probes[0].fired, 1);
	CU_ASSERT_EQUAL(probes[1].fired, 0);
	CU_ASSERT_EQUAL(probes[2].fired, 0);
	run_to(705);
	CU_ASSERT_EQUAL(probes[2].fired, 1);
}

static void fire_and_clear_other(struct timer *t)
{
	fire(t);
	timer_clear(&probes[t == &probes[0].timer ? 1 : 0].timer);
}

static void fire_and_set_again(struct timer *t)
{
	fire(t);
	set((struct probe *)t, 10);
}

static void test_firing_changes_timers(void)
{
	begin(0);
	probes[0].timer.fire = probes[1].timer.fire = fire_and_clear_other;
	set(&probes[0], 50);
	set(&probes[1], 50);
	run_to(60);
	CU_ASSERT_EQUAL(probes[0].fired + probes[1].fired, 1);

	begin(0);
	probes[0].timer.fire = fire_and_set_again;
	set(&probes[0], 10);
	for (uint64_t t = 1; t <= 1000; t++)
		run_to(t);
	CU_ASSERT_EQUAL(probes[0].fired, 100);
}

static uint64_t some(unsigned *seed)
{
	static const uint64_t spans[] = {2, 64, 100, 5000, 300000, 40000000};
	uint64_t span = spans[(unsigned)rand_r(seed) % 6];

	return (uint64_t)rand_r(seed) % span;
}

/* Against the plain definition: fires in the first run at or after it is due. */
static void test_random(void)
{
	unsigned seed = 4711;

	begin(123456789);
	for (unsigned round = 0; round < 3000; round++) {
		uint64_t before = now, next;

		for (unsigned i = 0; i < 20; i++) {
			struct probe *p = &probes[(unsigned)rand_r(&seed) % MANY];

			if ((unsigned)rand_r(&seed) % 4 == 0) {
				timer_clear(&p->timer);
			} else {
				set(p, some(&seed) + 1);
				p->fired = 0;
			}
		}
		next = wheel_wait(&wheel, now);
		for (unsigned i = 0; i < MANY; i++)
			if (probes[i].timer.prev && probes[i].timer.due < now + next)
				CU_FAIL("would sleep too long");
		run_to(before + some(&seed));
		for (unsigned i = 0; i < MANY; i++) {
			struct probe *p = &probes[i];

			if (p->timer.prev && p->timer.due <= now)
				CU_FAIL("late");
			if (p->fired > 1 || (p->fired && p->timer.due > p->fired_at))
				CU_FAIL("early or twice");
		}
	}
}

static void test_long_sleep(void)
{
	begin(0);
	for (unsigned i = 0; i < MANY; i++)
		set(&probes[i], 1 + i * 7919ull);
	run_to(UINT64_C(1) << 40);
	for (unsigned i = 0; i < MANY; i++)
		CU_ASSERT_EQUAL(probes[i].fired, 1);
}

int main(int argc, char **argv)
{
	static const struct suite_case cases[] = {
	    {"each distance", test_each_distance},
	    {"zero fires at the next tick", test_zero_fires_next_tick},
	    {"clear and move", test_clear_and_move},
	    {"firing changes timers", test_firing_changes_timers},
	    {"random against the definition", test_random},
	    {"long sleep", test_long_sleep},
	    {NULL, NULL}};

	return suite_run("timer", cases, argc > 1 ? argv[1] : NULL);
}
