/*
 * elf_machine.h - this machine, as ELF files name it. Private to elf_*.c.
 */
#ifndef CORE_ELF_MACHINE_H
#define CORE_ELF_MACHINE_H

#include <elf.h>

/* The relocations that occur in constants: an own address, and a symbol's. */
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

#endif
