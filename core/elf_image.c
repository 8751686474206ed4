/*
 * elf_image.c - a shared object's loadable segments, copied to the heap and relocated there.
 *
 * The view is the dynamic linker's: program headers and the dynamic table, not sections, so that
 * what is judged here is what dlopen() will use. Every length is checked against the file: a file
 * that is shorter than its headers say would kill a process that maps it (SIGBUS).
 */
#include "config.h"

#include "elf_image.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define IMAGE_MAX   ((uint64_t)256 << 20)
#define SYMBOLS_MAX 100000

#if defined __x86_64__ && defined __LP64__
enum { MACHINE = EM_X86_64, RELATIVE = R_X86_64_RELATIVE, ABSOLUTE = R_X86_64_64 };
#elif defined __aarch64__
enum { MACHINE = EM_AARCH64, RELATIVE = R_AARCH64_RELATIVE, ABSOLUTE = R_AARCH64_ABS64 };
#elif defined __riscv && __riscv_xlen == 64
enum { MACHINE = EM_RISCV, RELATIVE = R_RISCV_RELATIVE, ABSOLUTE = R_RISCV_64 };
#elif defined __powerpc64__
enum { MACHINE = EM_PPC64, RELATIVE = R_PPC64_RELATIVE, ABSOLUTE = R_PPC64_ADDR64 };
#elif defined __s390x__
enum { MACHINE = EM_S390, RELATIVE = R_390_RELATIVE, ABSOLUTE = R_390_64 };
#elif defined __i386__
enum { MACHINE = EM_386, RELATIVE = R_386_RELATIVE, ABSOLUTE = R_386_32 };
#elif defined __arm__
enum { MACHINE = EM_ARM, RELATIVE = R_ARM_RELATIVE, ABSOLUTE = R_ARM_ABS32 };
#else
#error "name this machine's two relocation types here"
#endif

#if __SIZEOF_POINTER__ == 8
#define RELOC_TYPE(info)   ELF64_R_TYPE(info)
#define RELOC_SYMBOL(info) ELF64_R_SYM(info)
enum { CLASS = ELFCLASS64 };
#else
#define RELOC_TYPE(info)   ELF32_R_TYPE(info)
#define RELOC_SYMBOL(info) ELF32_R_SYM(info)
enum { CLASS = ELFCLASS32 };
#endif

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
enum { DATA = ELFDATA2LSB };
#else
enum { DATA = ELFDATA2MSB };
#endif

#define TRUNCATED \
	"the file is shorter than its own headers say (truncated?): copy or build it again"

typedef ElfW(Addr) word_t;

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

/* ---- the dynamic table -------------------------------------------------------------------- */

static const void *at(const struct elf_image *image, uint64_t offset, size_t size)
{
	if (offset > image->size || size > image->size - offset)
		return NULL;
	return image->bytes + offset;
}

static void note_entry(struct elf_dynamic *d, const struct elf_image *image,
		       const ElfW(Dyn) * entry)
{
	uint64_t value = entry->d_un.d_val, offset = value - image->low;

	switch (entry->d_tag) {
	case DT_STRTAB:
		d->strings = offset;
		break;
	case DT_SYMTAB:
		d->symbols = offset;
		break;
	case DT_HASH:
		d->hash = offset;
		break;
	case DT_GNU_HASH:
		d->gnu_hash = offset;
		break;
	case DT_RELA:
		d->rela = offset;
		break;
	case DT_RELASZ:
		d->rela_size = value;
		break;
	case DT_REL:
		d->rel = offset;
		break;
	case DT_RELSZ:
		d->rel_size = value;
		break;
	case 36: /* DT_RELR, not in every elf.h */
		d->relr = offset;
		break;
	case 35: /* DT_RELRSZ */
		d->relr_size = value;
		break;
	default:
		break;
	}
}

static int read_dynamic(const struct elf_image *image, uint64_t address, struct elf_dynamic *d)
{
	uint64_t offset = address - image->low;

	memset(d, 0, sizeof *d);
	for (unsigned i = 0; i < 1000; i++) {
		ElfW(Dyn) entry;
		const void *p = at(image, offset + i * sizeof entry, sizeof entry);
		if (!p)
			return -1;
		memcpy(&entry, p, sizeof entry);
		if (entry.d_tag == DT_NULL)
			return d->strings && d->symbols ? 0 : -1;
		note_entry(d, image, &entry);
	}
	return -1;
}

/* ---- relocations -------------------------------------------------------------------------- */

static bool get_symbol(const struct elf_image *image, const struct elf_dynamic *d, uint64_t index,
		       ElfW(Sym) * out)
{
	const void *p =
	    index > SYMBOLS_MAX ? NULL : at(image, d->symbols + index * sizeof *out, sizeof *out);

	if (p)
		memcpy(out, p, sizeof *out);
	return p != NULL;
}

static word_t place_in_copy(const struct elf_image *image, uint64_t address)
{
	return (word_t)((uintptr_t)image->bytes + (uintptr_t)(address - image->low));
}

static bool relocate_one(struct elf_image *image, const struct elf_dynamic *d, uint64_t offset,
			 uint64_t info, const uint64_t *addend)
{
	char *target = (char *)(uintptr_t)at(image, offset - image->low, sizeof(word_t));
	uint64_t type = RELOC_TYPE(info);
	ElfW(Sym) symbol;
	word_t value;

	if (type != RELATIVE && type != ABSOLUTE)
		return true;
	if (!target)
		return false;
	memcpy(&value, target, sizeof value);
	if (addend)
		value = (word_t)*addend;
	if (type == RELATIVE) {
		value = place_in_copy(image, value);
	} else {
		if (!get_symbol(image, d, RELOC_SYMBOL(info), &symbol))
			return false;
		value = symbol.st_shndx == SHN_UNDEF
			    ? (word_t)(uintptr_t)(image->bytes + image->size)
			    : place_in_copy(image, symbol.st_value + value);
	}
	memcpy(target, &value, sizeof value);
	return true;
}

static bool relocate_rela(struct elf_image *image, const struct elf_dynamic *d)
{
	for (uint64_t i = 0; i < d->rela_size / sizeof(ElfW(Rela)); i++) {
		ElfW(Rela) r;
		const void *p = at(image, d->rela + i * sizeof r, sizeof r);
		if (!p)
			return false;
		memcpy(&r, p, sizeof r);
		uint64_t addend = (uint64_t)r.r_addend;
		if (!relocate_one(image, d, r.r_offset, r.r_info, &addend))
			return false;
	}
	return true;
}

static bool relocate_rel(struct elf_image *image, const struct elf_dynamic *d)
{
	for (uint64_t i = 0; i < d->rel_size / sizeof(ElfW(Rel)); i++) {
		ElfW(Rel) r;
		const void *p = at(image, d->rel + i * sizeof r, sizeof r);
		if (!p)
			return false;
		memcpy(&r, p, sizeof r);
		if (!relocate_one(image, d, r.r_offset, r.r_info, NULL))
			return false;
	}
	return true;
}

static bool relocate_word(struct elf_image *image, uint64_t offset)
{
	char *target = (char *)(uintptr_t)at(image, offset, sizeof(word_t));
	word_t value;

	if (!target)
		return false;
	memcpy(&value, target, sizeof value);
	value = place_in_copy(image, value);
	memcpy(target, &value, sizeof value);
	return true;
}

/* An even entry is an address; an odd one a bitmap of the words that follow it. */
static bool relocate_relr(struct elf_image *image, const struct elf_dynamic *d)
{
	uint64_t where = 0;

	for (uint64_t i = 0; i < d->relr_size / sizeof(word_t); i++) {
		word_t entry;
		const void *p = at(image, d->relr + i * sizeof entry, sizeof entry);
		if (!p)
			return false;
		memcpy(&entry, p, sizeof entry);
		if (!(entry & 1)) {
			where = entry - image->low;
			if (!relocate_word(image, where))
				return false;
			where += sizeof entry;
			continue;
		}
		for (unsigned bit = 1; bit < 8 * sizeof entry; bit++)
			if ((entry >> bit & 1) &&
			    !relocate_word(image, where + (bit - 1) * sizeof entry))
				return false;
		where += (8 * sizeof entry - 1) * sizeof entry;
	}
	return true;
}

/* ---- symbols ------------------------------------------------------------------------------ */

static bool get_u32(const struct elf_image *image, uint64_t offset, uint32_t *out)
{
	const void *p = at(image, offset, sizeof *out);

	if (p)
		memcpy(out, p, sizeof *out);
	return p != NULL;
}

/* A GNU hash table does not say how many symbols there are: the last chain's end does. */
static uint32_t count_gnu(const struct elf_image *image, uint64_t table)
{
	uint32_t buckets, first, words, last = 0, value;

	if (!get_u32(image, table, &buckets) || !get_u32(image, table + 4, &first) ||
	    !get_u32(image, table + 8, &words))
		return 0;
	uint64_t bucket = table + 16 + (uint64_t)words * sizeof(word_t);
	for (uint32_t i = 0; i < buckets && i < SYMBOLS_MAX; i++) {
		if (!get_u32(image, bucket + 4 * (uint64_t)i, &value))
			return 0;
		if (value > last)
			last = value;
	}
	if (last < first)
		return first;
	uint64_t chain = bucket + 4 * (uint64_t)buckets;
	while (last < SYMBOLS_MAX && get_u32(image, chain + 4 * (uint64_t)(last - first), &value)) {
		last++;
		if (value & 1)
			break;
	}
	return last;
}

static uint32_t count_symbols(const struct elf_image *image, const struct elf_dynamic *d)
{
	uint32_t count = 0;

	if (d->hash)
		get_u32(image, d->hash + 4, &count);
	else if (d->gnu_hash)
		count = count_gnu(image, d->gnu_hash);
	return count < SYMBOLS_MAX ? count : SYMBOLS_MAX;
}

const void *elf_image_symbol(const struct elf_image *image, const char *name, size_t size)
{
	const struct elf_dynamic *d = &image->dynamic;
	uint32_t count = count_symbols(image, d);

	for (uint32_t i = 0; i < count; i++) {
		ElfW(Sym) symbol;
		if (!get_symbol(image, d, i, &symbol))
			return NULL;
		const char *s = at(image, d->strings + symbol.st_name, 1);
		if (symbol.st_shndx == SHN_UNDEF || !s || !elf_image_has_string(image, s, 4096) ||
		    strcmp(s, name))
			continue;
		return at(image, symbol.st_value - image->low, size);
	}
	return NULL;
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
	if (dynamic == UINT64_MAX || read_dynamic(image, dynamic, &image->dynamic))
		return fail(err, errlen, "no dynamic symbol table: link it as a shared object");
	if (!relocate_rela(image, &image->dynamic) || !relocate_rel(image, &image->dynamic) ||
	    !relocate_relr(image, &image->dynamic))
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
