/*
 * missing.c - segments that the index needs and the directory does not have whole.
 *
 * The store opens without reading segments, so a lost file would be met only when somebody asks
 * for one of its messages. A look at each file's size tells it at the start.
 */
#include "missing.h"

#include "format/bytes.h"
#include "format/rows.h"
#include "index/index.h"
#include "segment/segment.h"
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static void tell(struct store *st, const char *name, const char *what,
		 const struct segment_row *row)
{
	st->host->log(PSTN_EVENT(
	    st->self, NULL, PSTN_CRITICAL, "segment-missing", PSTN_S("path", st->path),
	    PSTN_S("segment", name), PSTN_S("what", what), PSTN_U("octets_of_messages", row->live),
	    PSTN_S("hint", "Stop the server, restore the file from a backup into the directory "
			   "segments and start again; `storage check` lists the messages.")));
}

static void judge(struct store *st, uint32_t id, const struct segment_row *row)
{
	char name[SEGMENT_NAME];
	struct stat file;

	segment_name(name, id);
	if (row->live == 0)
		return;
	if (fstatat(st->segment_dir, name, &file, AT_SYMLINK_NOFOLLOW) != 0)
		tell(st, name, strerror(errno), row);
	else if ((uint64_t)file.st_size < row->end)
		tell(st, name, "it is shorter than it was", row);
}

void missing_tell(struct store *st)
{
	struct segment_row row;
	MDB_cursor *c;
	MDB_val k, v;
	MDB_txn *txn;

	if (index_read(&st->index, &txn) != 0)
		return;
	if (mdb_cursor_open(txn, st->index.segments, &c) == 0) {
		while (mdb_cursor_get(c, &k, &v, MDB_NEXT) == 0) {
			uint32_t id = k.mv_size == 4 ? get32be(k.mv_data) : 0;

			if (id && segment_row_get(&row, id, v.mv_data, v.mv_size))
				judge(st, id, &row);
		}
		mdb_cursor_close(c);
	}
	index_read_end(&st->index, txn);
}
