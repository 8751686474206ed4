/*
 * message.c - one message: mailbox deliver, mailbox fetch.
 */
#include "commands.h"
#include "delivery/intake.h"
#include "maildrop/view.h"
#include "segment/fetch.h"
#include "store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE        ((size_t)64 << 10)
#define ROWS_AT_ONCE 256

/* ---- mailbox deliver ---- */

static int read_message(struct store *st, struct pstn_call *c, struct pstn_delivery *d)
{
	int fd = st->host->call->fd(c, "message");
	char *piece = store_alloc(st, PIECE);
	int status = piece ? PSTN_OK : PSTN_E_NO_MEMORY;

	while (status == PSTN_OK) {
		ssize_t n = read(fd, piece, PIECE);

		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0)
			break;
		status = n < 0 ? PSTN_E_TEMPORARY : delivery_write(d, piece, (size_t)n);
		if (status == PSTN_OK && st->host->call->cancelled(c))
			status = PSTN_E_CANCELLED;
	}
	store_free(st, piece);
	return status;
}

static void answer_delivered(struct store *st, struct pstn_call *c,
			     const struct pstn_account *account, const struct record *r)
{
	const struct pstn_call_ops *call = st->host->call;

	call->open_object(c, NULL);
	call->text(c, "account", account->name);
	call->integer(c, "uid", r->uid);
	call->text(c, "uidl", r->uidl);
	call->integer(c, "octets", (int64_t)r->octets);
	call->close(c);
}

static void answer_refused(struct store *st, struct pstn_call *c,
			   const struct pstn_account *account, const struct quota *quota,
			   int status)
{
	char sentence[QUOTA_SENTENCE], size[QUOTA_SIZE];

	if (status == PSTN_E_QUOTA) {
		quota_sentence(quota, account->name, sentence);
		st->host->call->fail_as(c, status, "%s", sentence);
		return;
	}
	quota_size(st->options.message_size_limit, size);
	if (status == PSTN_E_TOO_LARGE)
		st->host->call->fail_as(
		    c, status,
		    "The message was not delivered: it is larger than message_size_limit (%s).",
		    size);
	else
		st->host->call->fail_as(c, status, "The message was not delivered: %s.",
					command_reason(status));
}

/* Of a file it is known beforehand, and a refusal needs no reading. */
static uint64_t expected_octets(int fd)
{
	struct stat info;
	off_t at = lseek(fd, 0, SEEK_CUR);

	if (at < 0 || fstat(fd, &info) != 0 || !S_ISREG(info.st_mode) || info.st_size < at)
		return 0;
	return (uint64_t)(info.st_size - at);
}

void command_deliver(void *inst, struct pstn_call *c)
{
	struct store *st = inst;
	struct pstn_account account;
	struct pstn_delivery_request q = {.size = sizeof(q), .account = &account};
	struct pstn_delivery *d;
	struct pending *p = NULL;
	int status;

	q.folder = command_folder(st, c);
	if (!q.folder || !command_account(st, c, &account))
		return;
	q.expected = expected_octets(st->host->call->fd(c, "message"));
	status = delivery_begin(st, &q, NULL, &d);
	if (status != PSTN_OK) {
		answer_refused(st, c, &account, NULL, status);
		return;
	}
	status = delivery_expect(d, q.expected);
	if (status == PSTN_OK)
		status = read_message(st, c, d);
	if (status == PSTN_OK)
		p = delivery_seal(d, &status);
	if (p) {
		command_origin(st, c, "deliver", p->origin);
		commit_wait(st, p);
		status = p->status;
	}
	if (status == PSTN_OK) {
		delivery_committed(d);
		answer_delivered(st, c, &account, &p->deliver.record);
	} else {
		answer_refused(st, c, &account, &d->pending.quota, status);
	}
	delivery_free(d);
}

/* ---- mailbox fetch ---- */

/* The uid of the message with this unique id; 0: none. */
static int find_uidl(struct store *st, struct view *v, const char *uidl, uint32_t *number)
{
	struct pstn_message *rows = store_alloc(st, ROWS_AT_ONCE * sizeof(*rows));
	uint32_t count = 0;
	int status = rows ? PSTN_OK : PSTN_E_NO_MEMORY;

	*number = 0;
	for (uint32_t first = 1; status == PSTN_OK && *number == 0; first += count) {
		status = view_list(v, first, rows, ROWS_AT_ONCE, true, &count);
		if (status != PSTN_OK || count == 0)
			break;
		for (uint32_t i = 0; i < count; i++) {
			if (strcmp(rows[i].uidl, uidl) == 0)
				*number = rows[i].number;
		}
	}
	store_free(st, rows);
	return status;
}

static int find_message(struct store *st, struct view *v, const char *what, uint32_t *number)
{
	char *end;
	unsigned long n;
	int status = view_map(v, true);

	if (status == PSTN_OK)
		status = find_uidl(st, v, what, number);
	if (status != PSTN_OK || *number)
		return status;
	n = strtoul(what, &end, 10);
	if (*end || n == 0 || n > v->messages)
		return PSTN_E_NOT_FOUND;
	*number = (uint32_t)n;
	return PSTN_OK;
}

static int send_file(struct store *st, struct pstn_call *c, const struct pstn_content *content)
{
	char *piece = store_alloc(st, PIECE);
	uint64_t done = 0;
	int status = piece ? PSTN_OK : PSTN_E_NO_MEMORY;

	while (status == PSTN_OK && done < content->length) {
		uint64_t left = content->length - done;
		ssize_t n = pread(content->fd, piece, left < PIECE ? (size_t)left : PIECE,
				  (off_t)(content->offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0 || st->host->call->cancelled(c)) {
			status = n <= 0 ? PSTN_E_TEMPORARY : PSTN_E_CANCELLED;
			break;
		}
		st->host->call->bytes(c, piece, (size_t)n);
		done += (uint64_t)n;
	}
	store_free(st, piece);
	return status;
}

static int send_message(struct store *st, struct pstn_call *c, struct view *v, uint32_t number)
{
	struct fetch_key key = {v->account, v->folder, view_uid(v, number)};
	struct message_row row;
	struct pstn_content content;
	MDB_txn *txn;
	int status, rc = index_read(&st->index, &txn);

	if (rc != 0)
		return index_status(rc);
	rc = index_message(&st->index, txn, key.account, key.folder, key.uid, &row);
	index_read_end(&st->index, txn);
	if (rc != 0)
		return rc == MDB_NOTFOUND ? PSTN_E_GONE : index_status(rc);
	status = fetch(st, &key, &row, true, &content);
	if (status != PSTN_OK)
		return status;
	if (content.bytes)
		st->host->call->bytes(c, content.bytes, (size_t)content.length);
	else
		status = send_file(st, c, &content);
	content.release(content.ref);
	return status;
}

void command_fetch(void *inst, struct pstn_call *c)
{
	struct store *st = inst;
	const char *what = st->host->call->arg(c, "message");
	const char *folder = command_folder(st, c);
	struct pstn_account account;
	struct view v;
	uint32_t number;
	int status;

	if (!folder || !command_account(st, c, &account))
		return;
	status = view_open(&v, st, account.id, folder);
	if (status == PSTN_OK)
		status = find_message(st, &v, what ? what : "", &number);
	if (status == PSTN_OK)
		status = send_message(st, c, &v, number);
	if (status == PSTN_E_NOT_FOUND)
		st->host->call->fail(
		    c, "%s has no message \"%s\" in %s; `mailbox show %s` lists them.",
		    account.name, what ? what : "", folder, account.name);
	else if (status != PSTN_OK)
		st->host->call->fail_as(c, status, "The message could not be read: %s.",
					command_reason(status));
	view_close(&v);
}
