/*
 * export_keywords.c - keywords of messages that are exported, and the files that name them in a
 * Maildir: Dovecot's, whose letters in file names are 26, and Courier's, which has all of them.
 */
#include "export.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LETTERS 26
#define COURIER "courierimapkeywords"

typedef void base_name(const struct export *, const struct pstn_message *, char out[EXPORT_NAME]);

int export_keywords_read(struct export *ex)
{
	struct index *ix = &ex->store->index;
	MDB_txn *txn;
	int rc = index_read(ix, &txn);

	if (rc != 0)
		return index_status(rc);
	rc = keywords_read(ix, txn, ex->view.account, ex->view.folder, &ex->keywords);
	index_read_end(ix, txn);
	return index_status(rc);
}

static bool is_named(const struct export *ex, int bit)
{
	return ex->keywords.names[bit][0] != '\0';
}

bool export_keywords_of(struct export *ex, const struct pstn_message *m, uint64_t *bits)
{
	struct index *ix = &ex->store->index;
	struct message_row row = {.keywords = 0};
	MDB_txn *txn;
	int rc;

	*bits = 0;
	if (!ex->keywords.taken)
		return true;
	rc = index_read(ix, &txn);
	if (rc == 0) {
		rc = index_message(ix, txn, ex->view.account, ex->view.folder, m->uid, &row);
		index_read_end(ix, txn);
	}
	/* One that has just been removed has none, and of a damaged one nobody knows. */
	if (rc != 0 && rc != MDB_NOTFOUND && rc != MDB_CORRUPTED)
		ex->status = index_status(rc);
	for (int bit = 0; rc == 0 && bit < KEYWORDS_MAX; bit++) {
		if (is_named(ex, bit))
			*bits |= row.keywords & UINT64_C(1) << bit;
	}
	ex->with_keywords += *bits != 0;
	return ex->status == PSTN_OK;
}

void export_keyword_letters(uint64_t bits, char out[32])
{
	size_t n = 0;

	for (int bit = 0; bit < LETTERS; bit++) {
		if (bits >> bit & 1)
			out[n++] = (char)('a' + bit);
	}
	out[n] = '\0';
}

/* ---- the files ---- */

/* A file gets its name when it is whole. */
static bool finish(struct export *ex, bool good, const char *unfinished, const char *path)
{
	if (!good) {
		export_abandon(ex);
		return false;
	}
	return export_close(ex, 0) && export_rename(ex, unfinished, path);
}

static bool write_dovecot(struct export *ex, const char *directory)
{
	char path[PATH_MAX], unfinished[PATH_MAX], line[KEYWORD_MAX + 16];
	bool good = true;

	snprintf(path, sizeof(path), "%sdovecot-keywords", directory);
	snprintf(unfinished, sizeof(unfinished), "%sdovecot-keywords.part", directory);
	if (!export_create(ex, unfinished))
		return false;
	for (int bit = 0; bit < KEYWORDS_MAX && good; bit++) {
		int n = snprintf(line, sizeof(line), "%d %s\n", bit, ex->keywords.names[bit]);

		good = !is_named(ex, bit) || export_write(ex, line, (size_t)n);
	}
	return finish(ex, good, unfinished, path);
}

struct listing {
	base_name *base;
	int ordinal[KEYWORDS_MAX]; /* of a bit's name in the list */
};

static bool list_message(struct export *ex, void *arg, const struct pstn_message *m)
{
	const struct listing *l = arg;
	char line[EXPORT_NAME + 4 * KEYWORDS_MAX];
	size_t n;
	uint64_t bits;

	if (!export_keywords_of(ex, m, &bits))
		return false;
	ex->with_keywords -= bits != 0; /* it was counted with its file */
	ex->beyond_letters += bits >> LETTERS != 0;
	if (!bits)
		return true;
	l->base(ex, m, line);
	n = strlen(line);
	for (int bit = 0, separator = ':'; bit < KEYWORDS_MAX; bit++) {
		if (!(bits >> bit & 1))
			continue;
		n += (size_t)snprintf(line + n, sizeof(line) - n, "%c%d", separator,
				      l->ordinal[bit]);
		separator = ' ';
	}
	line[n++] = '\n';
	return export_write(ex, line, n);
}

static bool list_names(struct export *ex, struct listing *l)
{
	int count = 0;

	for (int bit = 0; bit < KEYWORDS_MAX; bit++) {
		const char *name = ex->keywords.names[bit];

		if (!is_named(ex, bit))
			continue;
		l->ordinal[bit] = count++;
		if (!export_write(ex, name, strlen(name)) || !export_write(ex, "\n", 1))
			return false;
	}
	return export_write(ex, "\n", 1);
}

static bool write_courier(struct export *ex, const char *directory, base_name *base)
{
	char path[PATH_MAX], unfinished[PATH_MAX];
	struct listing l = {.base = base};

	snprintf(path, sizeof(path), "%s" COURIER, directory);
	if (!export_directory(ex, path))
		return false;
	snprintf(path, sizeof(path), "%s" COURIER "/:list", directory);
	snprintf(unfinished, sizeof(unfinished), "%s" COURIER "/:list.part", directory);
	if (!export_create(ex, unfinished))
		return false;
	return finish(ex, list_names(ex, &l) && export_each(ex, list_message, &l), unfinished,
		      path);
}

bool export_keyword_files(struct export *ex, const char *path, base_name *base)
{
	char directory[EXPORT_NAME + 1];

	if (!ex->keywords.taken)
		return true;
	snprintf(directory, sizeof(directory), "%s%s", path, *path ? "/" : "");
	return write_dovecot(ex, directory) && write_courier(ex, directory, base);
}
