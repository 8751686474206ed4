/*
 * alloc_fails.h - makes the n-th allocation of the calling thread fail, and only that one.
 *
 * The program is linked with -Wl,--wrap=calloc,--wrap=malloc,--wrap=reallocarray; include this in
 * one file. What the C library allocates for itself is not affected.
 */
#ifndef TESTS_ALLOC_FAILS_H
#define TESTS_ALLOC_FAILS_H

#include <stdbool.h>
#include <stddef.h>

void *__real_calloc(size_t n, size_t size);
void *__real_malloc(size_t size);
void *__real_reallocarray(void *p, size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_reallocarray(void *p, size_t n, size_t size);

static _Thread_local unsigned alloc_fail_in; /* 0: none fails */
static _Thread_local bool alloc_failed;

static bool alloc_fails(void)
{
	if (alloc_fail_in == 0 || --alloc_fail_in > 0)
		return false;
	alloc_failed = true;
	return true;
}

void *__wrap_calloc(size_t n, size_t size)
{
	return alloc_fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_malloc(size_t size)
{
	return alloc_fails() ? NULL : __real_malloc(size);
}

void *__wrap_reallocarray(void *p, size_t n, size_t size)
{
	return alloc_fails() ? NULL : __real_reallocarray(p, n, size);
}

/* For a loop over n = 1, 2, ... until alloc_fail_end() says that there were fewer than n. */
static void alloc_fail_begin(unsigned n)
{
	alloc_failed = false;
	alloc_fail_in = n;
}

static bool alloc_fail_end(void)
{
	alloc_fail_in = 0;
	return alloc_failed;
}

#endif
