/*
 * elf_image.c - a shared object's loadable segments, copied to the heap and relocated there.
 *
 * The view is the dynamic linker's: program headers and the dynamic table, not sections, so that
 * what is judged here is what dlopen() will use. Every length is checked against the file: a file
 * that is shorter than its headers say would kill a process that maps it (SIGBUS).
 */
#include "config.h"

#include "elf_image.h"
#include "elf_machine.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define IMAGE_MAX ((uint64_t)256 << 20)

#define TRUNCATED \
	"the file is shorter than its own headers say (truncated?): copy or build it again"

static int fail(char *err, size_t errlen, const char *why)
{
	snprintf(err, errlen, "%s", why);
	return -1;
}

bool elf_image_has(const struct elf_image *image, const void *p, size_t size)
{
	uintptr_t at = (uintptr_t)p, begin = (uintptr_t)image->bytes;

	return at >= begin && at - begin <= image->size && size <= image->size - (at - begin);
}

bool elf_image_has_string(const struct elf_image *image, const char *s, size_t max)
{
	if (!elf_image_has(image, s, 1))
		return false;
	size_t room = image->size - (size_t)(s - image->bytes);
	return memchr(s, '\0', room < max + 1 ? room : max + 1) != NULL;
}

bool elf_image_has_code(const struct elf_image *image, const void *p)
{
	if (p == image->bytes + image->size)
		return true; /* a function of another library */
	if (!elf_image_has(image, p, 1))
		return false;
	uint64_t at = (uint64_t)((const char *)p - image->bytes);
	for (unsigned i = 0; i < image->ncode; i++)
		if (at >= image->code[i].begin && at < image->code[i].end)
			return true;
	return false;
}

/* ---- segments ----------------------------------------------------------------------------- */

static int check_header(Elf *elf, GElf_Ehdr *header, char *err, size_t errlen)
{
	if (elf_kind(elf) != ELF_K_ELF || !gelf_getehdr(elf, header))
		return fail(err, errlen,
			    "not a shared object (no ELF file): is it the right file?");
	if (header->e_ident[EI_CLASS] != CLASS || header->e_ident[EI_DATA] != DATA ||
	    header->e_machine != MACHINE)
		return fail(err, errlen,
			    "built for another kind of machine: take the build for this one");
	if (header->e_type != ET_DYN)
		return fail(err, errlen,
			    "an ELF file but not a shared object: link it with -shared");
	return 0;
}

static bool segment_fits(const GElf_Phdr *p, uint64_t file_size)
{
	return p->p_offset <= file_size && p->p_filesz <= file_size - p->p_offset;
}

/* The span of all segments: fills low and size. */
static int measure(Elf *elf, struct elf_image *image, uint64_t file_size, char *err, size_t errlen)
{
	size_t count;
	uint64_t low = UINT64_MAX, high = 0;
	unsigned loads = 0;

	if (elf_getphdrnum(elf, &count) || !count || count > 64)
		return fail(err, errlen, "no usable program headers: damaged, build it again");
	for (size_t i = 0; i < count; i++) {
		GElf_Phdr p;
		if (!gelf_getphdr(elf, (int)i, &p))
			return fail(err, errlen, TRUNCATED);
		if (p.p_type == PT_NOTE || p.p_type == PT_DYNAMIC || p.p_type == PT_LOAD)
			if (!segment_fits(&p, file_size))
				return fail(err, errlen, TRUNCATED);
		if (p.p_type != PT_LOAD || !p.p_memsz)
			continue;
		if (++loads > ELF_SEGMENTS_MAX || p.p_filesz > p.p_memsz || p.p_memsz > IMAGE_MAX ||
		    p.p_vaddr > UINT64_MAX - p.p_memsz)
			return fail(err, errlen, "absurd segment sizes: damaged, build it again");
		if (p.p_vaddr < low)
			low = p.p_vaddr;
		if (p.p_vaddr + p.p_memsz > high)
			high = p.p_vaddr + p.p_memsz;
	}
	if (!loads || high - low > IMAGE_MAX)
		return fail(err, errlen, "absurd segment sizes: damaged, build it again");
	image->low = low;
	image->size = (size_t)(high - low);
	return 0;
}

static bool read_fully(int fd, char *to, size_t n, uint64_t offset)
{
	while (n) {
		ssize_t got = pread(fd, to, n, (off_t)offset);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		to += got;
		n -= (size_t)got;
		offset += (uint64_t)got;
	}
	return true;
}

static int copy_segments(Elf *elf, int fd, struct elf_image *image, uint64_t *dynamic, char *err,
			 size_t errlen)
{
	size_t count = 0;

	elf_getphdrnum(elf, &count);
	for (size_t i = 0; i < count; i++) {
		GElf_Phdr p;
		if (!gelf_getphdr(elf, (int)i, &p))
			return fail(err, errlen, TRUNCATED);
		if (p.p_type == PT_DYNAMIC)
			*dynamic = p.p_vaddr;
		if (p.p_type != PT_LOAD || !p.p_memsz)
			continue;
		uint64_t at = p.p_vaddr - image->low;
		if (!read_fully(fd, image->bytes + at, (size_t)p.p_filesz, p.p_offset))
			return fail(err, errlen, TRUNCATED);
		if (p.p_flags & PF_X) {
			image->code[image->ncode].begin = at;
			image->code[image->ncode++].end = at + p.p_memsz;
		}
	}
	return 0;
}

/* ---- the file ----------------------------------------------------------------------------- */

static int load(struct elf_image *image, Elf *elf, int fd, uint64_t size, char *err, size_t errlen)
{
	GElf_Ehdr header;
	uint64_t dynamic = UINT64_MAX;

	if (check_header(elf, &header, err, errlen) || measure(elf, image, size, err, errlen))
		return -1;
	image->bytes = calloc(1, image->size + 1);
	if (!image->bytes)
		return fail(err, errlen, "out of memory while reading the file");
	if (copy_segments(elf, fd, image, &dynamic, err, errlen))
		return -1;
	if (dynamic == UINT64_MAX || elf_dynamic_read(image, dynamic))
		return fail(err, errlen, "no dynamic symbol table: link it as a shared object");
	if (!elf_dynamic_relocate(image))
		return fail(err, errlen, "relocations that lead out of the file: build it again");
	return 0;
}

static int load_fd(struct elf_image *image, int fd, char *err, size_t errlen)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return fail(err, errlen, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return fail(err, errlen, "not a regular file");
	if (st.st_size == 0)
		return fail(err, errlen, "the file is empty: copy or build it again");
	if (elf_version(EV_CURRENT) == EV_NONE)
		return fail(err, errlen, "libelf is too old for this program");
	Elf *elf = elf_begin(fd, ELF_C_READ, NULL);
	if (!elf)
		return fail(err, errlen,
			    "not a shared object (no ELF file): is it the right file?");
	int result = load(image, elf, fd, (uint64_t)st.st_size, err, errlen);
	elf_end(elf);
	return result;
}

int elf_image_load(struct elf_image *image, const char *path, char *err, size_t errlen)
{
	memset(image, 0, sizeof *image);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0) {
		snprintf(err, errlen, "cannot be opened: %s", strerror(errno));
		return -1;
	}
	int result = load_fd(image, fd, err, errlen);
	close(fd);
	if (result)
		elf_image_clear(image);
	return result;
}

void elf_image_clear(struct elf_image *image)
{
	free(image->bytes);
	memset(image, 0, sizeof *image);
}
