/*
 * import_message.c - one message of an import: its key, its text, its unique id, and the bundle it is
 * committed in.
 */
#include "command/commands.h"
#include "import.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void import_fail(struct import *im, const char *fmt, ...)
{
	va_list ap;

	if (im->status != PSTN_OK)
		return;
	im->status = PSTN_E_INVALID;
	va_start(ap, fmt);
	vsnprintf(im->fault, sizeof(im->fault), fmt, ap);
	va_end(ap);
}

/* ---- committing ---- */

void import_settled(void *arg, const struct pending *p, uint64_t tag)
{
	struct import *im = arg;

	(void)tag;
	if (p->status == PSTN_OK) {
		im->imported++;
		im->octets += p->deliver.record.octets;
		im->with_uidl += p->deliver.named;
		import_keywords_settled(im, p);
	} else if (p->status == PSTN_E_EXISTS &&
		   import_is_there(im, p->deliver.record.import_key)) {
		im->skipped++;
	} else if (p->status == PSTN_E_EXISTS) {
		/* Somebody else brought the unique id meanwhile: the next run gives a new one. */
		im->refused++;
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

static int last_serial(struct import *im)
{
	struct state_row state;
	int rc = index_state_now(&im->store->index, &state);

	if (rc == 0)
		im->serial = state.serial;
	return index_status(rc);
}

bool import_folder(struct import *im, const char *name)
{
	import_flush(im);
	uidl_set_free(&im->held);
	if (im->status == PSTN_OK)
		im->status = last_serial(im);
	if (im->status != PSTN_OK)
		return false;
	im->status = uidl_set_fill(&im->held, im->store, im->account.id, name);
	/* An empty one comes along as well. */
	if (im->status == PSTN_OK && im->held.folder == 0) {
		im->status = delivery_folder(im->store, &im->account, name);
		if (im->status == PSTN_OK)
			im->status = uidl_set_fill(&im->held, im->store, im->account.id, name);
	}
	snprintf(im->folder, sizeof(im->folder), "%s", name);
	im->folders++;
	return im->status == PSTN_OK;
}

/* ---- unique ids ---- */

static bool in_bundle(const struct import *im, const char *uidl)
{
	for (unsigned i = 0; i < im->bundle.count; i++) {
		const struct pending *p = im->bundle.pending[i];

		if (p->deliver.named && strcmp(p->deliver.record.uidl, uidl) == 0)
			return true;
	}
	return false;
}

/* The serial if the id is one of this store's. */
static uint64_t own_serial(const struct import *im, const char *uidl)
{
	return uidl_serial(uidl, im->store->index.tag);
}

/* The id if the message can have it. */
static const char *free_uidl(struct import *im, const char *uidl)
{
	bool held = false;

	im->refused_uidl = NULL;
	if (!uidl)
		return NULL;
	if (!uidl_valid(uidl, strlen(uidl)) || in_bundle(im, uidl) ||
	    !uidl_serial_near(own_serial(im, uidl), im->serial))
		held = true;
	else
		im->status = uidl_set_holds(&im->held, uidl, &held);
	if (held)
		im->refused_uidl = uidl;
	return held ? NULL : uidl;
}

static void tell_refused_uidl(struct import *im)
{
	if (im->new_uidl++ < IMPORT_TOLD)
		im->store->host->call->note(
		    im->call,
		    "Another message of %s has the unique id \"%s\" or may get it, or it is none: "
		    "a "
		    "message gets a new one, and clients will download it again.",
		    im->folder, im->refused_uidl);
}

/* ---- one message ---- */

bool import_begin(struct import *im, const struct import_message *m)
{
	const char *uidl = free_uidl(im, m->uidl);
	struct pstn_delivery_request q = {.size = sizeof(q),
					  .account = &im->account,
					  .folder = im->folder,
					  .received = m->received,
					  .flags = m->flags,
					  .uidl = uidl};
	int status = im->status;

	if (status == PSTN_OK)
		status = delivery_begin(im->store, &q, NULL, &im->current);
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

static void refuse(struct import *im, int status)
{
	im->refused++;
	if (status != PSTN_E_TOO_LARGE)
		im->status = status;
	else if (im->refused <= IMPORT_TOLD)
		im->store->host->call->note(im->call, "A message of %s is left out: %s.",
					    im->folder, command_reason(status));
}

bool import_end(struct import *im, const unsigned char key[16], uint32_t flags,
		const struct keyword_list *keywords)
{
	struct pending *p = NULL;
	bool full;
	int status;

	if (import_is_there(im, key)) {
		im->skipped++;
		import_drop(im);
		return true;
	}
	status = import_keywords_take(im, keywords);
	if (status == PSTN_OK)
		p = delivery_seal(im->current, &status);
	if (!p) {
		refuse(im, status);
		import_drop(im);
		return im->status == PSTN_OK;
	}
	if (im->refused_uidl)
		tell_refused_uidl(im);
	memcpy(p->deliver.record.import_key, key, 16);
	p->deliver.record.message_flags |= flags;
	/* What came since the folder was looked at may have an id that was not given then. */
	p->deliver.known_free = own_serial(im, p->deliver.record.uidl) <= im->serial;
	memcpy(p->origin, im->origin, sizeof(p->origin));
	full = bundle_add(&im->bundle, im->current, p, 0);
	im->current = NULL;
	if (full)
		import_flush(im);
	return im->status == PSTN_OK;
}
