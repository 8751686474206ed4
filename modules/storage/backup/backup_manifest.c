/*
 * backup_manifest.c - what a snapshot consists of: lines of text, the last one their checksum.
 *
 * What is read is accepted only if it would be written exactly so.
 */
#include "backup.h"

#include "store.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TITLE     "postern snapshot\n"
#define FORMAT    1
#define LINE_ROOM 160

/* ---- memory ---- */

static bool make_room(struct store *st, void **array, size_t *room, size_t count, size_t size)
{
	size_t more = *room ? *room * 2 : 64;
	void *larger;

	if (count < *room)
		return true;
	larger = store_alloc(st, more * size);
	if (!larger)
		return false;
	if (count)
		memcpy(larger, *array, count * size);
	store_free(st, *array);
	*array = larger;
	*room = more;
	return true;
}

void manifest_begin(struct manifest *m, struct store *st)
{
	*m = (struct manifest){.store = st};
}

void manifest_clear(struct manifest *m)
{
	if (!m->store)
		return;
	store_free(m->store, m->segments);
	store_free(m->store, m->accounts);
	store_free(m->store, m->damage);
	manifest_begin(m, m->store);
}

int manifest_add(struct manifest *m, const struct backup_segment *s)
{
	void *array = m->segments;

	if (!make_room(m->store, &array, &m->segments_room, m->nsegments, sizeof(*s)))
		return PSTN_E_NO_MEMORY;
	m->segments = array;
	m->segments[m->nsegments++] = *s;
	return PSTN_OK;
}

int manifest_add_damage(struct manifest *m, uint32_t segment, uint64_t offset, uint64_t octets)
{
	void *array = m->damage;

	if (!make_room(m->store, &array, &m->damage_room, m->ndamage, sizeof(*m->damage)))
		return PSTN_E_NO_MEMORY;
	m->damage = array;
	m->damage[m->ndamage++] = (struct backup_damage){segment, offset, octets};
	return PSTN_OK;
}

int manifest_add_account(struct manifest *m, uint64_t id)
{
	void *array = m->accounts;

	if (!make_room(m->store, &array, &m->accounts_room, m->naccounts, sizeof(*m->accounts)))
		return PSTN_E_NO_MEMORY;
	m->accounts = array;
	m->accounts[m->naccounts++] = id;
	return PSTN_OK;
}

static int by_number(const void *x, const void *y)
{
	uint64_t a, b;

	memcpy(&a, x, sizeof(a));
	memcpy(&b, y, sizeof(b));
	return a < b ? -1 : a > b;
}

void manifest_sort_accounts(struct manifest *m)
{
	if (m->naccounts)
		qsort(m->accounts, m->naccounts, sizeof(*m->accounts), by_number);
}

bool manifest_has_account(const struct manifest *m, uint64_t id)
{
	return m->naccounts && bsearch(&id, m->accounts, m->naccounts, sizeof(id), by_number);
}

const struct backup_segment *manifest_find(const struct manifest *m, uint32_t id)
{
	size_t low = 0, high = m->nsegments;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (m->segments[middle].id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low < m->nsegments && m->segments[low].id == id ? &m->segments[low] : NULL;
}

bool manifest_knows_damage(const struct manifest *m, uint32_t segment, uint64_t offset)
{
	for (size_t i = 0; i < m->ndamage; i++) {
		const struct backup_damage *d = &m->damage[i];

		if (d->segment == segment && offset >= d->offset && offset - d->offset < d->octets)
			return true;
	}
	return false;
}

/* ---- writing ---- */

struct text {
	struct store *store;
	char *bytes;
	size_t n, room;
	bool failed;
};

__attribute__((format(printf, 2, 3))) static void put(struct text *t, const char *fmt, ...)
{
	char line[LINE_ROOM];
	size_t n;
	va_list ap;

	va_start(ap, fmt);
	n = (size_t)vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (t->n + n >= t->room) {
		size_t room = (t->room + n) * 2 + 4096;
		char *larger = t->failed ? NULL : store_alloc(t->store, room);

		if (larger && t->n)
			memcpy(larger, t->bytes, t->n);
		t->failed = !larger;
		if (t->failed)
			return;
		store_free(t->store, t->bytes);
		t->bytes = larger;
		t->room = room;
	}
	memcpy(t->bytes + t->n, line, n + 1);
	t->n += n;
}

char *manifest_encode(const struct manifest *m, size_t *n)
{
	struct text t = {.store = m->store};

	put(&t, TITLE "format %d\nid ", FORMAT);
	for (size_t i = 0; i < sizeof(m->id); i++)
		put(&t, "%02x", m->id[i]);
	put(&t, "\nname %s\ntime %" PRIu64 "\nsequence %" PRIu64 "\n", m->name, m->time,
	    m->sequence);
	put(&t, "messages %" PRIu64 " octets %" PRIu64 "\n", m->messages, m->octets);
	put(&t, "accounts octets %" PRIu64 " sum %016" PRIx64 "\n", m->accounts_length,
	    m->accounts_sum);
	for (size_t i = 0; i < m->naccounts; i++)
		put(&t, "account %" PRIu64 "\n", m->accounts[i]);
	for (size_t i = 0; i < m->nsegments; i++) {
		const struct backup_segment *s = &m->segments[i];

		put(&t,
		    "segment %" PRIu32 " seed %016" PRIx64 " kind %" PRIu32 " octets %" PRIu64 "\n",
		    s->id, s->seed, s->kind, s->length);
	}
	for (size_t i = 0; i < m->ndamage; i++)
		put(&t, "damaged %" PRIu32 " offset %" PRIu64 " octets %" PRIu64 "\n",
		    m->damage[i].segment, m->damage[i].offset, m->damage[i].octets);
	if (!t.failed)
		put(&t, "check %016" PRIx64 "\n", record_sum(t.bytes, t.n, 0));
	if (t.failed) {
		store_free(m->store, t.bytes);
		return NULL;
	}
	*n = t.n;
	return t.bytes;
}

/* ---- reading ---- */

static bool parse_id(const char *hex, unsigned char id[16])
{
	for (int i = 0; i < 16; i++) {
		unsigned v;

		if (sscanf(hex + i * 2, "%2x", &v) != 1)
			return false;
		id[i] = (unsigned char)v;
	}
	return true;
}

/* Behind the title. NULL: it is none; *at moves on to the segments. */
static bool parse_head(struct manifest *m, const char *text, const char **at)
{
	char id[33];
	int used = 0;

	if (sscanf(text,
		   "id %32[0-9a-f]\nname %16s\ntime %" SCNu64 "\nsequence %" SCNu64
		   "\nmessages %" SCNu64 " octets %" SCNu64 "\naccounts octets %" SCNu64
		   " sum %" SCNx64 "\n%n",
		   id, m->name, &m->time, &m->sequence, &m->messages, &m->octets,
		   &m->accounts_length, &m->accounts_sum, &used) != 8 ||
	    used == 0 || strlen(id) != 32 || !parse_id(id, m->id))
		return false;
	*at = text + used;
	return true;
}

static int parse_line(struct manifest *m, const char *line)
{
	const struct backup_segment *last = m->nsegments ? &m->segments[m->nsegments - 1] : NULL;
	struct backup_segment s;
	struct backup_damage d;
	uint64_t account;

	if (sscanf(line, "segment %" SCNu32 " seed %" SCNx64 " kind %" SCNu32 " octets %" SCNu64,
		   &s.id, &s.seed, &s.kind, &s.length) == 4)
		return s.id > (last ? last->id : 0) && s.length >= SEGMENT_HEAD
			   ? manifest_add(m, &s)
			   : PSTN_E_DAMAGED;
	if (sscanf(line, "damaged %" SCNu32 " offset %" SCNu64 " octets %" SCNu64, &d.segment,
		   &d.offset, &d.octets) == 3)
		return manifest_add_damage(m, d.segment, d.offset, d.octets);
	if (sscanf(line, "account %" SCNu64, &account) == 1)
		return manifest_add_account(m, account);
	return strncmp(line, "check ", 6) == 0 ? PSTN_OK : PSTN_E_DAMAGED;
}

/* One line at a time: scanf measures its whole input. */
static int parse_lines(struct manifest *m, const char *at)
{
	int status = PSTN_OK;

	for (const char *end; status == PSTN_OK && (end = strchr(at, '\n')); at = end + 1) {
		char line[LINE_ROOM];

		if ((size_t)(end - at) >= sizeof(line))
			return PSTN_E_DAMAGED;
		memcpy(line, at, (size_t)(end - at));
		line[end - at] = '\0';
		status = parse_line(m, line);
	}
	manifest_sort_accounts(m);
	return status;
}

int manifest_decode(struct manifest *m, const char *text, size_t n)
{
	const char *at;
	unsigned format;
	char *same;
	size_t length = 0;
	int status;

	if (strlen(text) != n || sscanf(text, TITLE "format %u\n", &format) != 1)
		return PSTN_E_DAMAGED;
	if (format != FORMAT)
		return format > FORMAT ? PSTN_E_INVALID : PSTN_E_DAMAGED;
	at = strstr(text, "\nid ");
	if (!at || !parse_head(m, at + 1, &at))
		return PSTN_E_DAMAGED;
	status = parse_lines(m, at);
	if (status != PSTN_OK)
		return status;
	same = manifest_encode(m, &length);
	if (!same)
		return PSTN_E_NO_MEMORY;
	status = length == n && memcmp(same, text, n) == 0 ? PSTN_OK : PSTN_E_DAMAGED;
	store_free(m->store, same);
	return status;
}

/* ---- names ---- */

void backup_segment_path(const struct backup_segment *s, char out[BACKUP_PATH])
{
	snprintf(out, BACKUP_PATH, "segments/%08" PRIu32 "-%016" PRIx64 ".seg", s->id, s->seed);
}

void backup_snapshot_path(const char *name, const char *suffix, char out[BACKUP_PATH])
{
	snprintf(out, BACKUP_PATH, "snapshots/%.16s%s", name, suffix);
}
