/*
 * wire_model.h - what modules/storage/wire.c has to do, said in the plainest way: one octet after
 * the other, everything in memory. The unit test and the fuzzer compare both.
 */
#ifndef TESTS_WIRE_MODEL_H
#define TESTS_WIRE_MODEL_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct wire_model {
	unsigned char *text;
	size_t length, header;
	uint64_t *dots;
	size_t ndots;
};

static void wire_model_make(struct wire_model *m, const unsigned char *in, size_t n)
{
	*m = (struct wire_model){.text = malloc(n * 2 + 2),
				 .dots = malloc((n + 1) * sizeof(uint64_t))};
	for (size_t i = 0; i < n; i++) {
		if (in[i] == '\n' && (i == 0 || in[i - 1] != '\r'))
			m->text[m->length++] = '\r';
		m->text[m->length++] = in[i];
	}
	if (m->length > 0 && (m->length < 2 || memcmp(m->text + m->length - 2, "\r\n", 2) != 0)) {
		memcpy(m->text + m->length, "\r\n", 2);
		m->length += 2;
	}
	for (size_t i = 0, line = 0; i < m->length; i++) {
		if (i == line && m->text[i] == '.')
			m->dots[m->ndots++] = i;
		if (m->text[i] != '\n' || i == 0 || m->text[i - 1] != '\r')
			continue;
		if (i - line == 1 && m->header == 0)
			m->header = i + 1;
		line = i + 1;
	}
	if (m->header == 0)
		m->header = m->length;
}

static void wire_model_free(struct wire_model *m)
{
	free(m->text);
	free(m->dots);
}

#endif
