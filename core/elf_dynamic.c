/*
 * elf_dynamic.c - the dynamic table of a copied shared object: its relocations and symbols.
 */
#include "config.h"

#include "elf_image.h"
#include "elf_machine.h"

#include <link.h>
#include <string.h>

#define SYMBOLS_MAX 100000

typedef ElfW(Addr) word_t;

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

int elf_dynamic_read(struct elf_image *image, uint64_t address)
{
	struct elf_dynamic *d = &image->dynamic;
	uint64_t offset = address - image->low;

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

bool elf_dynamic_relocate(struct elf_image *image)
{
	const struct elf_dynamic *d = &image->dynamic;

	return relocate_rela(image, d) && relocate_rel(image, d) && relocate_relr(image, d);
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
