/*
 * copy_file.h - the file that a copy of the accounts is: rows in their order, a checksum at the end.
 *
 * Functions return an enum pstn_status. docs/accounts-format.md has every octet.
 */
#ifndef ACCOUNTS_COPY_FILE_H
#define ACCOUNTS_COPY_FILE_H

#include <postern/module.h>

#include <openssl/evp.h>

enum copy_kind { COPY_END = 0, COPY_DOMAIN = 1, COPY_ACCOUNT = 2 };

enum { COPY_KEY_MAX = 512, COPY_VALUE_MAX = 8192, COPY_BUFFER = 65536, COPY_SUM = 32 };

struct copy_file { /* some 80 KiB: not for the stack */
	int fd;
	uint64_t at; /* of the buffer in the file */
	EVP_MD_CTX *digest;
	uint64_t rows;
	size_t used, start; /* of the buffer: filled; when reading, already taken */
	unsigned char buffer[COPY_BUFFER];
	/* the row read last */
	enum copy_kind kind;
	size_t key_length, value_length;
	unsigned char key[COPY_KEY_MAX + 1]; /* and a zero */
	unsigned char value[COPY_VALUE_MAX];
};

int copy_write_begin(struct copy_file *, int fd);
int copy_write(struct copy_file *, enum copy_kind, const void *key, size_t key_length,
	       const void *value, size_t value_length);
/* The end, and all of it to disk. */
int copy_write_end(struct copy_file *);

int copy_read_begin(struct copy_file *, int fd);
/* kind is COPY_END when all rows were read and the checksum is right. */
int copy_read(struct copy_file *);

void copy_clear(struct copy_file *); /* wipes it: it held verifiers */

#endif
