/*
 * elf_image.h - a shared object's loadable segments, copied to the heap and relocated there.
 *
 * Used for reading constants only: nothing of it is ever executed.
 */
#ifndef CORE_ELF_IMAGE_H
#define CORE_ELF_IMAGE_H

#include <postern/module.h>

#define ELF_SEGMENTS_MAX 16

/* What the dynamic table says, as offsets into the image; 0 = not there. */
struct elf_dynamic {
	uint64_t strings, symbols, hash, gnu_hash;
	uint64_t rela, rela_size, rel, rel_size, relr, relr_size;
};

struct elf_image {
	char *bytes; /* size octets; one more stands for everything outside the file */
	size_t size;
	uint64_t low; /* the file's virtual address of bytes[0] */
	struct {
		uint64_t begin, end; /* offsets of executable segments */
	} code[ELF_SEGMENTS_MAX];
	unsigned ncode;
	struct elf_dynamic dynamic;
};

/* 0, or -1 and in err what is wrong with the file and what to do. */
int elf_image_load(struct elf_image *, const char *path, char *err, size_t errlen);
void elf_image_clear(struct elf_image *);
/* The dynamic symbol's address in the copy, with at least `size` octets behind it; or NULL. */
const void *elf_image_symbol(const struct elf_image *, const char *name, size_t size);

bool elf_image_has(const struct elf_image *, const void *p, size_t size);
/* A NUL-terminated string of at most max octets that lies inside. */
bool elf_image_has_string(const struct elf_image *, const char *s, size_t max);
bool elf_image_has_code(const struct elf_image *, const void *p);

/* ---- elf_dynamic.c ---- */
int elf_dynamic_read(struct elf_image *, uint64_t address);
bool elf_dynamic_relocate(struct elf_image *);

#endif
