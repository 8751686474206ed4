/*
 * copy_file.c - see copy_file.h.
 */
#include "copy_file.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define MAGIC "PSTNACC1"
enum { MAGIC_SIZE = 8, ROW_HEAD = 8 };

static int begin(struct copy_file *c, int fd)
{
	memset(c, 0, sizeof(*c));
	c->fd = fd;
	c->digest = EVP_MD_CTX_new();
	return c->digest && EVP_DigestInit_ex(c->digest, EVP_sha256(), NULL) == 1
		   ? PSTN_OK
		   : PSTN_E_NO_MEMORY;
}

void copy_clear(struct copy_file *c)
{
	EVP_MD_CTX_free(c->digest);
	explicit_bzero(c, sizeof(*c));
	c->fd = -1;
}

/* ---- writing ---- */

static int flush(struct copy_file *c)
{
	for (size_t done = 0; done < c->used;) {
		ssize_t n = pwrite(c->fd, c->buffer + done, c->used - done, (off_t)(c->at + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n == 0 || errno == ENOSPC || errno == EDQUOT || errno == EFBIG
				   ? PSTN_E_FULL
				   : PSTN_E_TEMPORARY;
		done += (size_t)n;
	}
	c->at += c->used;
	c->used = 0;
	return PSTN_OK;
}

static int put(struct copy_file *c, const void *octets, size_t n)
{
	int status = c->used + n > COPY_BUFFER ? flush(c) : PSTN_OK;

	if (status != PSTN_OK || n == 0)
		return status;
	memcpy(c->buffer + c->used, octets, n);
	c->used += n;
	return PSTN_OK;
}

static int put_summed(struct copy_file *c, const void *octets, size_t n)
{
	if (EVP_DigestUpdate(c->digest, octets, n) != 1)
		return PSTN_E_TEMPORARY;
	return put(c, octets, n);
}

int copy_write_begin(struct copy_file *c, int fd)
{
	int status = begin(c, fd);

	return status == PSTN_OK ? put_summed(c, MAGIC, MAGIC_SIZE) : status;
}

int copy_write(struct copy_file *c, enum copy_kind kind, const void *key, size_t key_length,
	       const void *value, size_t value_length)
{
	unsigned char head[ROW_HEAD] = {
	    (unsigned char)kind,         0,
	    (unsigned char)key_length,   (unsigned char)(key_length >> 8),
	    (unsigned char)value_length, (unsigned char)(value_length >> 8),
	};
	int status;

	if (key_length > COPY_KEY_MAX || value_length > COPY_VALUE_MAX)
		return PSTN_E_DAMAGED;
	status = put_summed(c, head, sizeof(head));
	if (status == PSTN_OK)
		status = put_summed(c, key, key_length);
	if (status == PSTN_OK)
		status = put_summed(c, value, value_length);
	c->rows++;
	return status;
}

static void put_number(unsigned char out[8], uint64_t value)
{
	for (size_t i = 0; i < 8; i++)
		out[i] = (unsigned char)(value >> (8 * i));
}

int copy_write_end(struct copy_file *c)
{
	unsigned char rows[8], sum[COPY_SUM];
	int status;

	put_number(rows, c->rows);
	status = copy_write(c, COPY_END, NULL, 0, rows, sizeof(rows));
	if (status == PSTN_OK && EVP_DigestFinal_ex(c->digest, sum, NULL) != 1)
		status = PSTN_E_TEMPORARY;
	if (status == PSTN_OK)
		status = put(c, sum, sizeof(sum));
	if (status == PSTN_OK)
		status = flush(c);
	if (status == PSTN_OK && fsync(c->fd) != 0)
		status = errno == ENOSPC || errno == EDQUOT ? PSTN_E_FULL : PSTN_E_TEMPORARY;
	return status;
}

/* ---- reading ---- */

static int fill(struct copy_file *c)
{
	memmove(c->buffer, c->buffer + c->start, c->used - c->start);
	c->used -= c->start;
	c->start = 0;
	for (;;) {
		ssize_t n = pread(c->fd, c->buffer + c->used, COPY_BUFFER - c->used, (off_t)c->at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return PSTN_E_TEMPORARY;
		if (n == 0)
			return PSTN_E_DAMAGED;
		c->used += (size_t)n;
		c->at += (uint64_t)n;
		return PSTN_OK;
	}
}

static int take(struct copy_file *c, void *out, size_t n)
{
	while (c->used - c->start < n) {
		int status = fill(c);

		if (status != PSTN_OK)
			return status;
	}
	memcpy(out, c->buffer + c->start, n);
	c->start += n;
	return PSTN_OK;
}

static int take_summed(struct copy_file *c, void *out, size_t n)
{
	int status = take(c, out, n);

	if (status == PSTN_OK && EVP_DigestUpdate(c->digest, out, n) != 1)
		status = PSTN_E_TEMPORARY;
	return status;
}

int copy_read_begin(struct copy_file *c, int fd)
{
	unsigned char magic[MAGIC_SIZE];
	int status = begin(c, fd);

	if (status == PSTN_OK)
		status = take_summed(c, magic, sizeof(magic));
	if (status == PSTN_OK && memcmp(magic, MAGIC, MAGIC_SIZE) != 0)
		status = PSTN_E_DAMAGED;
	return status;
}

static int check_end(struct copy_file *c)
{
	unsigned char rows[8], sum[COPY_SUM], found[COPY_SUM];
	int status;

	put_number(rows, c->rows);
	if (c->value_length != sizeof(rows) || memcmp(c->value, rows, sizeof(rows)) != 0)
		return PSTN_E_DAMAGED;
	if (EVP_DigestFinal_ex(c->digest, sum, NULL) != 1)
		return PSTN_E_TEMPORARY;
	status = take(c, found, sizeof(found));
	if (status == PSTN_OK && memcmp(found, sum, sizeof(sum)) != 0)
		status = PSTN_E_DAMAGED;
	return status;
}

int copy_read(struct copy_file *c)
{
	unsigned char head[ROW_HEAD];
	int status = take_summed(c, head, sizeof(head));

	if (status != PSTN_OK)
		return status;
	c->kind = head[0];
	c->key_length = head[2] | (size_t)head[3] << 8;
	c->value_length = head[4] | (size_t)head[5] << 8;
	if (c->kind > COPY_ACCOUNT || c->key_length > COPY_KEY_MAX ||
	    c->value_length > COPY_VALUE_MAX)
		return PSTN_E_DAMAGED;
	status = take_summed(c, c->key, c->key_length);
	if (status == PSTN_OK)
		status = take_summed(c, c->value, c->value_length);
	if (status != PSTN_OK)
		return status;
	c->key[c->key_length] = '\0';
	if (c->kind == COPY_END)
		return check_end(c);
	c->rows++;
	return PSTN_OK;
}
