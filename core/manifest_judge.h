/*
 * manifest_judge.h - what the halves of judging a descriptor share. Private to manifest*.c.
 */
#ifndef CORE_MANIFEST_JUDGE_H
#define CORE_MANIFEST_JUDGE_H

#include "elf_image.h"

#define JUDGE_NAME_MAX 64
#define JUDGE_HELP_MAX 4096

struct judge {
	const struct elf_image *image;
	char *err;
	size_t errlen;
	unsigned rows; /* option rows seen so far, shared children counted each time */
};

/* All return true if good; judge_fail() notes the sentence and returns false. */
bool judge_fail(struct judge *, const char *fmt, ...) PSTN_PRINTF(2, 3);
bool judge_text(struct judge *, const char *s, size_t max, const char *what);
bool judge_name(struct judge *, const char *s, const char *extra, const char *what);
bool judge_row(struct judge *, const void *rows, unsigned i, size_t stride, const char *what,
	       bool *end);
bool judge_options(struct judge *, const struct pstn_module *);

#endif
