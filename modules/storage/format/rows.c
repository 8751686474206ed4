/*
 * rows.c - keys and values of the index to bytes and back.
 */
#include "rows.h"

#include "bytes.h"
#include "checksum.h"

/* ---- keys: big-endian, so that they sort as numbers ---- */

void key_account(unsigned char k[KEY_ACCOUNT], uint64_t account)
{
	put64be(k, account);
}

void key_folder(unsigned char k[KEY_FOLDER], uint64_t account, uint32_t folder)
{
	put64be(k, account);
	put32be(k + 8, folder);
}

void key_message(unsigned char k[KEY_MESSAGE], uint64_t account, uint32_t folder, uint32_t uid)
{
	key_folder(k, account, folder);
	put32be(k + 12, uid);
}

void key_change(unsigned char k[KEY_CHANGE], uint64_t account, uint32_t folder, uint64_t change,
		uint32_t uid)
{
	key_folder(k, account, folder);
	put64be(k + 12, change);
	put32be(k + 20, uid);
}

void key_import(unsigned char k[KEY_IMPORT], uint64_t account, const unsigned char import_key[16])
{
	put64be(k, account);
	memcpy(k + 8, import_key, 16);
}

size_t key_name(unsigned char k[KEY_NAME_MAX], uint64_t account, const char *folder)
{
	size_t n = strnlen(folder, FOLDER_NAME_MAX);

	put64be(k, account);
	memcpy(k + KEY_ACCOUNT, folder, n);
	return KEY_ACCOUNT + n;
}

size_t key_uidl(unsigned char k[KEY_UIDL_MAX], uint64_t account, uint32_t folder, const char *uidl)
{
	size_t n = strnlen(uidl, UIDL_MAX);

	key_folder(k, account, folder);
	memcpy(k + KEY_FOLDER, uidl, n);
	return KEY_FOLDER + n;
}

/* ---- values: each begins with a check of the rest ---- */

static void seal(unsigned char *row, size_t n, uint64_t seed)
{
	put32(row, (uint32_t)checksum(row + 4, n - 4, seed));
}

static bool sealed(const unsigned char *row, size_t n, uint64_t seed)
{
	return get32(row) == (uint32_t)checksum(row + 4, n - 4, seed);
}

/* A name fills the end of its row, without a zero octet. */
static bool get_name(char *name, size_t max, const unsigned char *p, size_t n)
{
	if (n > max || memchr(p, '\0', n))
		return false;
	memcpy(name, p, n);
	name[n] = '\0';
	return true;
}

void state_row_put(const struct state_row *r, unsigned char out[ROW_STATE])
{
	memset(out, 0, ROW_STATE);
	put32(out + 4, r->format);
	put32(out + 8, r->tag);
	put32(out + 12, r->building);
	memcpy(out + 16, r->store, 16);
	put64(out + 32, r->sequence);
	put64(out + 40, r->serial);
	put32(out + 48, r->segment);
	put64(out + 56, r->lost);
	seal(out, ROW_STATE, 0);
}

bool state_row_get(struct state_row *r, const void *row, size_t n)
{
	const unsigned char *p = row;

	if (n != ROW_STATE || !sealed(p, n, 0))
		return false;
	r->format = get32(p + 4);
	r->tag = get32(p + 8);
	r->building = get32(p + 12) != 0;
	memcpy(r->store, p + 16, 16);
	r->sequence = get64(p + 32);
	r->serial = get64(p + 40);
	r->segment = get32(p + 48);
	r->lost = get64(p + 56);
	return true;
}

void segment_row_put(const struct segment_row *r, uint32_t id, unsigned char out[ROW_SEGMENT])
{
	memset(out, 0, ROW_SEGMENT);
	put32(out + 4, r->kind);
	put32(out + 8, r->flags);
	put64(out + 16, r->end);
	put64(out + 24, r->live);
	put64(out + 32, r->dead);
	put64(out + 40, r->other);
	put64(out + 48, r->last);
	put64(out + 56, r->died);
	seal(out, ROW_SEGMENT, id);
}

bool segment_row_get(struct segment_row *r, uint32_t id, const void *row, size_t n)
{
	const unsigned char *p = row;

	if (n != ROW_SEGMENT || !sealed(p, n, id))
		return false;
	r->kind = get32(p + 4);
	r->flags = get32(p + 8);
	r->end = get64(p + 16);
	r->live = get64(p + 24);
	r->dead = get64(p + 32);
	r->other = get64(p + 40);
	r->last = get64(p + 48);
	r->died = get64(p + 56);
	return true;
}

size_t account_row_put(const struct account_row *r, const unsigned char key[KEY_ACCOUNT],
		       unsigned char out[ROW_ACCOUNT_MAX])
{
	size_t name = strlen(r->name);

	memset(out, 0, 32);
	put32(out + 4, r->next_folder);
	put32(out + 8, r->last_uidvalidity);
	put64(out + 16, r->messages);
	put64(out + 24, r->octets);
	memcpy(out + 32, r->name, name);
	seal(out, 32 + name, checksum(key, KEY_ACCOUNT, 0));
	return 32 + name;
}

bool account_row_get(struct account_row *r, const unsigned char key[KEY_ACCOUNT], const void *row,
		     size_t n)
{
	const unsigned char *p = row;

	if (n < 32 || !sealed(p, n, checksum(key, KEY_ACCOUNT, 0)) ||
	    !get_name(r->name, ROW_NAME_MAX, p + 32, n - 32))
		return false;
	r->next_folder = get32(p + 4);
	r->last_uidvalidity = get32(p + 8);
	r->messages = get64(p + 16);
	r->octets = get64(p + 24);
	return true;
}

void domain_row_put(const struct domain_row *r, const char *domain, unsigned char out[ROW_DOMAIN])
{
	memset(out, 0, ROW_DOMAIN);
	put64(out + 8, r->messages);
	put64(out + 16, r->octets);
	seal(out, ROW_DOMAIN, checksum(domain, strlen(domain), 0));
}

bool domain_row_get(struct domain_row *r, const char *domain, const void *row, size_t n)
{
	const unsigned char *p = row;

	if (n != ROW_DOMAIN || !sealed(p, n, checksum(domain, strlen(domain), 0)))
		return false;
	r->messages = get64(p + 8);
	r->octets = get64(p + 16);
	return true;
}

size_t folder_row_put(const struct folder_row *r, const unsigned char key[KEY_FOLDER],
		      unsigned char out[ROW_FOLDER_MAX])
{
	size_t name = strlen(r->name);

	memset(out, 0, 88);
	put32(out + 4, r->flags);
	put32(out + 8, r->uidvalidity);
	put32(out + 12, r->uidnext);
	put64(out + 16, r->change);
	put64(out + 24, r->expunge_change);
	put64(out + 32, r->messages);
	put64(out + 40, r->octets);
	put64(out + 48, r->unseen);
	put64(out + 56, r->tombstones);
	put64(out + 64, r->tombstone_octets);
	put64(out + 72, r->forgotten);
	memcpy(out + 88, r->name, name);
	seal(out, 88 + name, checksum(key, KEY_FOLDER, 0));
	return 88 + name;
}

bool folder_row_get(struct folder_row *r, const unsigned char key[KEY_FOLDER], const void *row,
		    size_t n)
{
	const unsigned char *p = row;

	if (n < 88 || !sealed(p, n, checksum(key, KEY_FOLDER, 0)) ||
	    !get_name(r->name, FOLDER_NAME_MAX, p + 88, n - 88))
		return false;
	r->flags = get32(p + 4);
	r->uidvalidity = get32(p + 8);
	r->uidnext = get32(p + 12);
	r->change = get64(p + 16);
	r->expunge_change = get64(p + 24);
	r->messages = get64(p + 32);
	r->octets = get64(p + 40);
	r->unseen = get64(p + 48);
	r->tombstones = get64(p + 56);
	r->tombstone_octets = get64(p + 64);
	r->forgotten = get64(p + 72);
	return true;
}

/* Of a message that is there the row ends before the two fields of its expunge. */
size_t message_row_put(const struct message_row *r, const unsigned char key[KEY_MESSAGE],
		       unsigned char out[ROW_MESSAGE_MAX])
{
	size_t head = r->expunged_change ? ROW_TOMBSTONE : ROW_MESSAGE;
	size_t uidl = r->serial ? 0 : strlen(r->uidl);

	memset(out, 0, head);
	put32(out + 4, r->flags);
	put64(out + 8, r->keywords);
	put32(out + 16, r->segment);
	put32(out + 20, r->state);
	put64(out + 24, r->offset);
	put64(out + 32, r->octets);
	put64(out + 40, r->header_octets);
	put32(out + 48, r->dots);
	put32(out + 52, r->expunged_change != 0);
	put64(out + 56, r->received);
	put64(out + 64, r->stored);
	put64(out + 72, r->change);
	put64(out + 80, r->serial);
	if (r->expunged_change) {
		put64(out + ROW_MESSAGE, r->expunged_change);
		put64(out + ROW_MESSAGE + 8, r->expunged_at);
	}
	memcpy(out + head, r->uidl, uidl);
	seal(out, head + uidl, checksum(key, KEY_MESSAGE, 0));
	return head + uidl;
}

static bool get_uidl(struct message_row *r, uint32_t tag, const unsigned char *p, size_t n)
{
	if (r->serial) {
		uidl_format(r->uidl, tag, r->serial);
		return n == 0;
	}
	if (!uidl_valid((const char *)p, n))
		return false;
	memcpy(r->uidl, p, n);
	r->uidl[n] = '\0';
	return true;
}

bool message_row_get(struct message_row *r, const unsigned char key[KEY_MESSAGE], uint32_t tag,
		     const void *row, size_t n)
{
	const unsigned char *p = row;
	size_t head;

	if (n < ROW_MESSAGE || n > ROW_MESSAGE_MAX || !sealed(p, n, checksum(key, KEY_MESSAGE, 0)))
		return false;
	head = get32(p + 52) ? ROW_TOMBSTONE : ROW_MESSAGE;
	if (n < head)
		return false;
	r->flags = get32(p + 4);
	r->keywords = get64(p + 8);
	r->segment = get32(p + 16);
	r->state = get32(p + 20);
	r->offset = get64(p + 24);
	r->octets = get64(p + 32);
	r->header_octets = get64(p + 40);
	r->dots = get32(p + 48);
	r->received = get64(p + 56);
	r->stored = get64(p + 64);
	r->change = get64(p + 72);
	r->serial = get64(p + 80);
	r->expunged_change = head == ROW_TOMBSTONE ? get64(p + ROW_MESSAGE) : 0;
	r->expunged_at = head == ROW_TOMBSTONE ? get64(p + ROW_MESSAGE + 8) : 0;
	return get_uidl(r, tag, p + head, n - head);
}

bool message_row_is_of(const struct message_row *row, const unsigned char key[KEY_MESSAGE],
		       const struct record *r)
{
	return r->type == RECORD_MESSAGE && r->account == get64be(key) &&
	       r->folder == get32be(key + 8) && r->uid == get32be(key + 12) &&
	       r->octets == row->octets && r->header_octets == row->header_octets &&
	       r->count == row->dots && strcmp(r->uidl, row->uidl) == 0;
}

static bool is_one_octet(uint32_t difference)
{
	while (difference && !(difference & 0xff))
		difference >>= 8;
	return difference <= 0xff;
}

bool message_row_correct(const unsigned char key[KEY_MESSAGE], unsigned char *row, size_t n)
{
	uint64_t seed = checksum(key, KEY_MESSAGE, 0);
	uint32_t sum;

	if (n < ROW_MESSAGE || n > ROW_MESSAGE_MAX)
		return false;
	sum = (uint32_t)checksum(row + 4, n - 4, seed);
	if (is_one_octet(sum ^ get32(row))) {
		put32(row, sum);
		return true;
	}
	for (size_t i = 4; i < n; i++) {
		for (unsigned other = 1; other < 256; other++) {
			row[i] ^= (unsigned char)other;
			if (sealed(row, n, seed))
				return true;
			row[i] ^= (unsigned char)other;
		}
	}
	return false;
}

void change_row_put(const struct change_row *r, const unsigned char key[KEY_CHANGE],
		    unsigned char out[ROW_CHANGE])
{
	memset(out, 0, ROW_CHANGE);
	put32(out + 4, r->kind);
	put32(out + 8, r->count);
	put32(out + 12, r->before);
	put32(out + 16, r->after);
	put64(out + 24, r->time);
	put64(out + 32, r->keywords_before);
	memcpy(out + 40, r->origin, strnlen(r->origin, ORIGIN_MAX));
	seal(out, ROW_CHANGE, checksum(key, KEY_CHANGE, 0));
}

bool change_row_get(struct change_row *r, const unsigned char key[KEY_CHANGE], const void *row,
		    size_t n)
{
	const unsigned char *p = row;

	if (n != ROW_CHANGE || !sealed(p, n, checksum(key, KEY_CHANGE, 0)))
		return false;
	r->kind = get32(p + 4);
	r->count = get32(p + 8);
	r->before = get32(p + 12);
	r->after = get32(p + 16);
	r->time = get64(p + 24);
	r->keywords_before = get64(p + 32);
	memcpy(r->origin, p + 40, ORIGIN_MAX);
	r->origin[ORIGIN_MAX] = '\0';
	return r->count != 0;
}
