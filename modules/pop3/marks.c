/*
 * marks.c - the deletion marks of a session.
 */
#include "marks.h"

static size_t words(const struct pop3_session *p)
{
	return ((size_t)p->messages + 63) / 64;
}

bool pop3_marked(const struct pop3_session *p, uint32_t number)
{
	uint32_t bit = number - 1;

	return p->marks && (p->marks[bit / 64] >> (bit % 64) & 1);
}

bool pop3_mark(struct pop3_session *p, uint32_t number, uint64_t octets)
{
	uint32_t bit = number - 1;

	if (!p->marks)
		p->marks = pop3_host(p)->alloc(p->pop3->self, words(p) * sizeof(*p->marks));
	if (!p->marks)
		return false;
	p->marks[bit / 64] |= UINT64_C(1) << (bit % 64);
	p->marked++;
	p->marked_octets += octets;
	return true;
}

void pop3_unmark_all(struct pop3_session *p)
{
	pop3_host(p)->free(p->pop3->self, p->marks);
	p->marks = NULL;
	p->marked = 0;
	p->marked_octets = 0;
}

uint32_t pop3_next_marked(const struct pop3_session *p, uint32_t from)
{
	uint32_t bit = from - 1;
	size_t n = words(p);

	if (!p->marks || from > p->messages)
		return 0;
	for (size_t i = bit / 64; i < n; i++) {
		uint64_t word = p->marks[i];

		if (i == bit / 64)
			word &= UINT64_MAX << (bit % 64);
		if (word)
			return (uint32_t)(i * 64) + (uint32_t)__builtin_ctzll(word) + 1;
	}
	return 0;
}
