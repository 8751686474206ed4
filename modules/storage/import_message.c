/*
 * import_message.c - one message of an import: its key, its text, and the bundle it is committed in.
 */
#include "commands.h"
#include "import.h"

#include <string.h>

/* ---- committing ---- */

void import_settled(void *arg, const struct pending *p, uint64_t tag)
{
	struct import *im = arg;

	(void)tag;
	if (p->status == PSTN_OK) {
		im->imported++;
		im->octets += p->deliver.record.octets;
	} else if (p->status == PSTN_E_EXISTS) {
		im->skipped++;
	} else if (im->status == PSTN_OK) {
		im->status = p->status;
	}
}

void import_flush(struct import *im)
{
	bundle_commit(&im->bundle);
	im->store->host->call->progress(im->call, im->done, im->total, im->unit);
	if (im->status == PSTN_OK && im->store->host->call->cancelled(im->call))
		im->status = PSTN_E_CANCELLED;
}

/* ---- one message ---- */

bool import_begin(struct import *im, uint64_t received, uint32_t flags)
{
	struct pstn_delivery_request q = {.size = sizeof(q),
					  .account = &im->account,
					  .folder = im->folder,
					  .received = received,
					  .flags = flags};
	int status = delivery_begin(im->store, &q, NULL, &im->current);

	XXH3_128bits_reset(im->hash);
	if (status != PSTN_OK)
		im->status = status;
	return status == PSTN_OK;
}

bool import_text(struct import *im, const char *bytes, size_t n)
{
	int status = delivery_write(im->current, bytes, n);

	XXH3_128bits_update(im->hash, bytes, n);
	/* A message that is too large is left out; the others are not its fault. */
	if (status == PSTN_OK || status == PSTN_E_TOO_LARGE)
		return true;
	im->status = status;
	return false;
}

void import_drop(struct import *im)
{
	if (im->current)
		delivery_free(im->current);
	im->current = NULL;
}

bool import_is_there(struct import *im, const unsigned char import_key[16])
{
	unsigned char key[KEY_IMPORT];
	MDB_val k = {.mv_size = sizeof(key), .mv_data = key}, v;
	MDB_txn *txn;
	int rc = index_read(&im->store->index, &txn);

	if (rc != 0)
		return false; /* the commit looks again */
	key_import(key, im->account.id, import_key);
	rc = mdb_get(txn, im->store->index.imports, &k, &v);
	index_read_end(&im->store->index, txn);
	return rc == 0;
}

void import_key(struct import *im, const void *identity, size_t n, unsigned char out[16])
{
	XXH128_canonical_t canonical;

	XXH3_128bits_update(im->hash, identity, n);
	XXH3_128bits_update(im->hash, im->folder, strlen(im->folder));
	XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(im->hash));
	memcpy(out, canonical.digest, 16);
	out[0] |= 1; /* never all zero: that means not imported */
}

bool import_end(struct import *im, const unsigned char key[16], uint32_t flags)
{
	struct pending *p;
	bool full;
	int status;

	if (import_is_there(im, key)) {
		im->skipped++;
		import_drop(im);
		return true;
	}
	p = delivery_seal(im->current, &status);
	if (!p) {
		im->refused++;
		if (status != PSTN_E_TOO_LARGE)
			im->status = status;
		import_drop(im);
		return im->status == PSTN_OK;
	}
	memcpy(p->deliver.record.import_key, key, 16);
	p->deliver.record.message_flags |= flags;
	memcpy(p->origin, im->origin, sizeof(p->origin));
	full = bundle_add(&im->bundle, im->current, p, 0);
	im->current = NULL;
	if (full)
		import_flush(im);
	return im->status == PSTN_OK;
}
