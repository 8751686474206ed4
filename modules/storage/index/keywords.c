/*
 * keywords.c - which bits of a folder's messages have which names.
 */
#include "keywords.h"

#include "format/bytes.h"

#include <string.h>

int keywords_read(struct index *ix, MDB_txn *txn, uint64_t account, uint32_t folder,
		  struct keywords *out)
{
	unsigned char prefix[KEY_MESSAGE];
	MDB_val k = {.mv_size = sizeof(prefix), .mv_data = prefix}, v;
	MDB_cursor *c;
	int rc = mdb_cursor_open(txn, ix->keywords, &c);

	memset(out, 0, sizeof(*out));
	if (rc != 0)
		return rc;
	key_message(prefix, account, folder, 0);
	rc = mdb_cursor_get(c, &k, &v, MDB_SET_RANGE);
	while (rc == 0 && k.mv_size == KEY_MESSAGE && memcmp(k.mv_data, prefix, KEY_FOLDER) == 0) {
		uint32_t bit = get32be((unsigned char *)k.mv_data + KEY_FOLDER);

		if (bit < KEYWORDS_MAX)
			out->taken |= UINT64_C(1) << bit;
		if (bit < KEYWORDS_MAX && !keyword_fault(v.mv_data, v.mv_size))
			memcpy(out->names[bit], v.mv_data, v.mv_size);
		rc = mdb_cursor_get(c, &k, &v, MDB_NEXT);
	}
	mdb_cursor_close(c);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

int keywords_find(const struct keywords *known, const char *name, size_t n)
{
	for (int bit = 0; bit < KEYWORDS_MAX; bit++) {
		if (keyword_same(known->names[bit], strlen(known->names[bit]), name, n))
			return bit;
	}
	return -1;
}

void keywords_list(const struct keywords *known, uint64_t bits, struct keyword_list *out)
{
	keyword_list_clear(out);
	for (int bit = 0; bit < KEYWORDS_MAX; bit++) {
		if (bits >> bit & 1)
			keyword_list_add(out, known->names[bit], strlen(known->names[bit]));
	}
}
