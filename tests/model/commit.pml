/*
 * commit.pml - the commit, checkpoint and recovery protocol of the store, for spin.
 *
 * Two worker processes share one store and commit groups of one record each. A process can be
 * killed between any two steps, the power can fail between any two steps, a sync and an index
 * commit can fail. What holds at each moment is asserted; docs/storage-format.md section 4 says
 * why it should. tests/model/run checks this text, and that each of the mutations at the end of
 * this comment is found out.
 *
 * What stands for what:
 *	record r	one group: uid, sequence, segment, and where its octets are (`file`)
 *	index		committed rows: which records are in them (`known`), next uid, LMDB's
 *			transaction number. Rows are never synced, except by a checkpoint.
 *	slot		a slot of the file `checkpoint`: a state of the index
 *	note		struct shared in store.h: the segment that a group is being written to
 *	pin		the read transaction that keeps pages of a state from being used again
 *
 * Steps name the functions they model. Not modelled: the queue and its leader (commit.c; one
 * thread leads, so a process is one sequence of groups; its timer's checkpoints come between them,
 * while they really run beside them), large messages (their segment is noted and
 * removed like the tail of a log), segments that are sealed, lower durability, damage by the disk.
 *
 * Mutations, each of which spin must find a fault in:
 *	ACK_BEFORE_SYNC		the deliverer is told before the segment is synced
 *	COMMIT_BEFORE_SYNC	the index is committed before the segment is synced
 *	NO_HEAL			what a dead process left in its segment is not cut
 *	HEAL_UNSYNCED		it is cut, but not durably, before others write
 *	CLEARS_ANY_NOTE		a process clears the note whoever wrote it
 *	LEAVES_UNCUT		a process writes on behind a group that it could not take back
 *	NO_WAIT			a living process that is cutting is not waited for
 *	RESUMES_NOTED		a process appends to a segment that the note names
 *	NO_PIN			a checkpoint's pages may be used again at once
 *	SLOT_BEFORE_DATA	the slot is written before data.mdb is synced
 *	TRUSTS_FOUND_SLOT	a slot that another process wrote counts as synced
 *	RECOVERS_UNPINNED	recovery changes the index before it has pinned where it began
 *	RECOVERS_UNSYNCED	recovery does not sync the records that it has put into the index
 */

#define WORKERS  2
#define SEGMENTS 3
#ifndef RECORDS
#define RECORDS 2 /* groups in a run; the last one expunges the message of the first */
#endif
#ifndef CHECKPOINTS
#define CHECKPOINTS 1 /* besides those of opening */
#endif

#define NOBODY 9
#define NONE   255

/* Where the octets of a record are. */
#define ABSENT 0
#define CACHED 1 /* written, not synced: gone or there after a power cut */
#define SYNCED 2
#define CUT    3 /* cut off, not synced: gone for readers, gone or there after a power cut */

byte file[RECORDS], segment[RECORDS], uid[RECORDS], sequence[RECORDS];
byte used;                /* records begun so far */
byte acknowledged;        /* bit r: somebody was told that r is safe */
byte given[RECORDS + 1];  /* which record was seen with this uid, plus 1 */

/* The index as LMDB shows it to all processes. */
byte known, next_uid = 1, last_sequence, txn;
byte synced_txn;          /* every page of this state is on disk */

typedef slot {
	byte state;       /* ABSENT, CACHED, SYNCED */
	byte known, next_uid, last_sequence, txn;
	bool overwritten  /* a page of it was used for something else */
}
slot slots[2];
byte newest;              /* the slot with the higher number */

byte pin[WORKERS], next_pin[WORKERS];
byte write_lock = NOBODY; /* LMDB's: robust, let go when its holder dies */
byte opener = NOBODY;     /* holds octet 0 of `lock` exclusively */
bool shares[WORKERS];     /* holds it shared: has the store open */
byte writer[SEGMENTS];    /* OFD lock of the segment */
byte slot_lock = NOBODY;  /* of the file `checkpoint` */
byte note = NONE, note_end; /* the segment, and the record behind which it ends then */
bool dead[WORKERS];
byte kills, cuts, failures; /* how many there may be: from the environment of the checker */
byte checkpoints = CHECKPOINTS;

#define bit(r)    (1 << (r))
#define is_in(r, set) (((set) & bit(r)) != 0)
#define there(r)  (file[r] == CACHED || file[r] == SYNCED)
#define EXPUNGE   (RECORDS - 1)
#define everybody_else_dead(p) (!shares[1 - (p)] && opener != 1 - (p))

/* ---- what happens to files ---- */

/* segment_sync(): fdatasync of segment s. */
inline sync_segment(s, i) {
	i = 0;
	do
	:: i < RECORDS ->
		if
		:: segment[i] == s && file[i] == CACHED -> file[i] = SYNCED
		:: segment[i] == s && file[i] == CUT -> file[i] = ABSENT
		:: else
		fi;
		i++
	:: else -> break
	od;
	i = 0
}

/* ftruncate() to `end`: whatever the index does not know goes, for now only in memory. */
inline truncate_segment(s, i) {
	i = 0;
	do
	:: i < RECORDS ->
		if
		:: segment[i] == s && there(i) && !is_in(i, known) -> file[i] = CUT
		:: else
		fi;
		i++
	:: else -> break
	od;
	i = 0
}

/* LMDB takes pages for a new state that no reader can see and that an older commit freed. */
inline use_pages() {
	if
	:: slots[0].state != ABSENT &&
	   !((pin[0] != NONE && pin[0] <= slots[0].txn) || (pin[1] != NONE && pin[1] <= slots[0].txn) ||
	     (next_pin[0] != NONE && next_pin[0] <= slots[0].txn) ||
	     (next_pin[1] != NONE && next_pin[1] <= slots[0].txn)) -> slots[0].overwritten = true
	:: else
	fi;
	if
	:: slots[1].state != ABSENT &&
	   !((pin[0] != NONE && pin[0] <= slots[1].txn) || (pin[1] != NONE && pin[1] <= slots[1].txn) ||
	     (next_pin[0] != NONE && next_pin[0] <= slots[1].txn) ||
	     (next_pin[1] != NONE && next_pin[1] <= slots[1].txn)) -> slots[1].overwritten = true
	:: else
	fi
}

/* apply_end() with a record: all processes see it from here on. */
inline commit_index(r) {
	use_pages();
	assert(!is_in(r, known));
	/* An expunge comes after its message. */
	assert(r != EXPUNGE || is_in(0, known));
	known = known | bit(r);
	if
	:: uid[r] >= next_uid -> next_uid = uid[r] + 1
	:: else
	fi;
	last_sequence = sequence[r];
	txn++
}

/* Sessions can see record r: no uid is ever seen with two messages. */
inline reveal(r) {
	assert(given[uid[r]] == 0 || given[uid[r]] == r + 1);
	given[uid[r]] = r + 1
}

/* ---- a process that dies ---- */

inline forget(p, i) {
	shares[p] = false;
	pin[p] = NONE;
	next_pin[p] = NONE;
	if
	:: write_lock == p -> write_lock = NOBODY
	:: else
	fi;
	if
	:: opener == p -> opener = NOBODY
	:: else
	fi;
	i = 0;
	do
	:: i < SEGMENTS ->
		if
		:: writer[i] == p -> writer[i] = NOBODY
		:: else
		fi;
		i++
	:: else -> break
	od;
	i = 0
}

/* ---- checkpoint_take() ---- */

inline sync_slot() {
	atomic {
		if
		:: slots[newest].state == CACHED -> slots[newest].state = SYNCED
		:: else
		fi
	}
}

inline checkpoint_take(p) {
	/* pin_and_copy() */
	atomic {
		from.txn = txn;
		from.known = known;
		from.next_uid = next_uid;
		from.last_sequence = last_sequence;
#ifndef NO_PIN
		next_pin[p] = txn
#endif
	};
#ifndef SLOT_BEFORE_DATA
	/* take(): fdatasync(data) */
	atomic {
		if
		:: from.txn > synced_txn -> synced_txn = from.txn
		:: else
		fi
	};
#endif
	/* write_newer(): under the lock of the file, which a process that dies lets go */
	atomic { slot_lock == NOBODY -> slot_lock = p };
#ifndef TRUSTS_FOUND_SLOT
	/* fdatasync(fd), for what a process wrote that was killed then */
	sync_slot();
#endif
	if
	:: slots[newest].state != ABSENT && slots[newest].txn >= from.txn
	:: else ->
		atomic {
			newest = 1 - newest;
			slots[newest].txn = from.txn;
			slots[newest].known = from.known;
			slots[newest].next_uid = from.next_uid;
			slots[newest].last_sequence = from.last_sequence;
			slots[newest].overwritten = false;
			slots[newest].state = CACHED
		};
		sync_slot()
	fi;
	slot_lock = NOBODY;
#ifdef SLOT_BEFORE_DATA
	atomic {
		if
		:: from.txn > synced_txn -> synced_txn = from.txn
		:: else
		fi
	};
#endif
	atomic {
		pin[p] = next_pin[p];
		next_pin[p] = NONE;
		from.txn = 0; from.known = 0; from.next_uid = 0; from.last_sequence = 0
	}
}

/* ---- log_heal(); under the write lock. blocked: the writer lives and is not through ---- */

inline log_heal(p, log, i) {
	blocked = false;
	noted = note;
#ifndef NO_HEAL
	if
	:: uncut ->
		/* cut_own() */
#ifndef LEAVES_UNCUT
		atomic { truncate_segment(log, i) };
		atomic { sync_segment(log, i) };
#endif
		atomic { note = NONE; note_end = 0; uncut = false }
	:: !uncut && (noted == NONE || noted == log)
	:: else ->
		if
		:: writer[noted] == NOBODY ->
			/* cut_log() */
			atomic { truncate_segment(noted, i) };
#ifndef HEAL_UNSYNCED
			atomic { sync_segment(noted, i) };
#endif
			atomic { note = NONE; note_end = 0 }
		:: else ->
			/* owner_is_through() */
			blocked = !is_in(note_end, known)
		fi
	fi
#endif
}

/* Waits outside the lock, as take_lock() does. */
#ifdef NO_WAIT
#define may_go_on (true)
#else
#define may_go_on (!blocked)
#endif

inline take_lock(p, log, i) {
	do
	:: true ->
		atomic { write_lock == NOBODY -> write_lock = p };
		log_heal(p, log, i);
		if
		:: may_go_on -> noted = 0; break
		:: else ->
			write_lock = NOBODY;
			/* until something has changed about it */
			(note != noted || writer[noted] == NOBODY);
			noted = 0
		fi
	od
}

/* ---- store_open() ---- */

#ifdef RESUMES_NOTED
#define may_resume(s) (writer[s] == NOBODY)
#else
#define may_resume(s) (writer[s] == NOBODY && note != (s))
#endif

/* log_ready(): a segment that nobody writes, and that no dead group is in; else a new one. */
inline log_ready(p, log, i) {
	atomic {
		if
		:: may_resume(0) -> log = 0
		:: else ->
			if
			:: may_resume(1) -> log = 1
			:: else -> log = 2
			fi
		fi;
		assert(writer[log] == NOBODY);
		writer[log] = p;
		/* segment_resume() cuts to `end`, without a sync */
		truncate_segment(log, i)
	}
}

/* restore_index() and recover(): from the checkpoint on, in the order of sequence numbers. */
inline recover(p, r, i) {
	atomic {
		assert(slots[newest].state != ABSENT);
		assert(!slots[newest].overwritten);
		known = slots[newest].known;
		next_uid = slots[newest].next_uid;
		last_sequence = slots[newest].last_sequence;
		txn = slots[newest].txn;
		synced_txn = txn;
		/* home_lock() of the first process: a new page */
		note = NONE;
		note_end = 0
	};
#ifndef RECOVERS_UNPINNED
	checkpoint_take(p);
#endif
	do
	:: true ->
		/* first_of() */
		atomic {
			r = NONE;
			i = 0;
			do
			:: i < RECORDS ->
				if
				:: there(i) && !is_in(i, known) &&
				   (r == NONE || sequence[i] < sequence[r]) -> r = i
				:: else
				fi;
				i++
			:: else -> break
			od;
			i = 0
		};
		if
		:: r == NONE -> break
		:: else -> atomic { commit_index(r) }
		fi
	od;
#ifndef RECOVERS_UNSYNCED
	/* finish_source() */
	atomic { sync_segment(0, i) };
	atomic { sync_segment(1, i) };
	atomic { sync_segment(2, i) };
#endif
	checkpoint_take(p);
	r = 0
}

inline store_open(p, log, r, i) {
	/* home_lock(): the first one has it for itself until it is done */
	atomic {
		opener == NOBODY ->
		if
		:: everybody_else_dead(p) -> opener = p
		:: else -> shares[p] = true
		fi
	};
	if
	:: opener == p ->
		recover(p, r, i);
		assert((acknowledged & ~known) == 0);
		/* home_share() */
		atomic {
			i = 0;
			do
			:: i < RECORDS ->
				if
				:: is_in(i, known) -> reveal(i)
				:: else
				fi;
				i++
			:: else -> break
			od;
			i = 0;
			opener = NOBODY;
			shares[p] = true
		}
	:: else ->
		checkpoint_take(p);
		/* recover_litter() */
		take_lock(p, NONE, i);
		write_lock = NOBODY
	fi;
	log_ready(p, log, i)
}

/* ---- a group: group_run() ---- */

/* log_take_back(); what cannot be cut now is cut by log_heal(). If the sync fails the process is
 * broken and writes nothing more. */
inline take_back(log, i) {
	if
	:: atomic { truncate_segment(log, i) };
		if
		:: atomic { sync_segment(log, i) }
		:: failures > 0 -> atomic { failures--; broken = true }
		fi
	:: uncut = true
	fi
}

/* clear_inflight() */
inline clear_note(log) {
#ifdef CLEARS_ANY_NOTE
	atomic { note = NONE; note_end = 0 }
#else
	atomic {
		if
		:: note == log -> note = NONE; note_end = 0
		:: else
		fi
	}
#endif
}

#define acknowledge(r) \
	atomic { \
		acknowledged = acknowledged | bit(r); \
		/* Invariant B */ \
		assert(file[r] == SYNCED) \
	}

inline group(p, log, r, i) {
	take_lock(p, log, i);
	/* prepare_all(): an expunge of a message that is not there makes no record */
	atomic {
		if
		:: used < RECORDS && (used != EXPUNGE || is_in(0, known)) ->
			r = used;
			used++;
			uid[r] = next_uid;
			sequence[r] = last_sequence + 1;
			segment[r] = log
		:: else -> r = NONE
		fi
	};
	if
	:: r == NONE -> atomic { write_lock = NOBODY; r = 0 }
	:: else ->
		/* group_write() */
		atomic { note_end = r; note = log };
		atomic {
			file[r] = CACHED;
			/* What was cut off there is overwritten. Invariant A: nothing else, in no
			 * segment, is or can come to be behind what the index knows. */
			i = 0;
			do
			:: i < RECORDS ->
				if
				:: i != r && segment[i] == log && file[i] == CUT -> file[i] = ABSENT
				:: else
				fi;
				assert(i == r || file[i] == ABSENT || is_in(i, known));
				i++
			:: else -> break
			od;
			i = 0
		};
#ifdef ACK_BEFORE_SYNC
		atomic { acknowledged = acknowledged | bit(r) };
#endif
#ifdef COMMIT_BEFORE_SYNC
		atomic { commit_index(r); reveal(r); write_lock = NOBODY };
		atomic { sync_segment(log, i) };
		clear_note(log);
		acknowledge(r)
#else
		if
		:: atomic { sync_segment(log, i) };
			if
			:: atomic { commit_index(r); reveal(r); write_lock = NOBODY };
				clear_note(log);
				acknowledge(r)
			:: failures > 0 ->
				/* LMDB's commit failed: the lock is gone already */
				atomic { failures--; write_lock = NOBODY };
				take_back(log, i);
				if
				:: !broken && !uncut -> clear_note(log)
				:: else
				fi
			fi
		:: failures > 0 ->
			failures--;
			take_back(log, i);
			write_lock = NOBODY;
			if
			:: !broken && !uncut -> clear_note(log)
			:: else
			fi
		fi;
#endif
		r = 0
	fi
}

/* ---- the processes ---- */

proctype worker(byte p)
{
	byte log, r, i, noted;
	bool blocked, broken, uncut;
	slot from;

	do
	:: {
		store_open(p, log, r, i);
		do
		:: used < RECORDS && !broken -> group(p, log, r, i)
		:: !broken && checkpoints > 0 && txn > pin[p] -> checkpoints--; checkpoint_take(p)
		/* Idle from now on, with the store open: nobody else may need it for anything. */
		:: !uncut -> goto idle
		/* log_cut_now(): others may wait for it */
		:: uncut -> take_lock(p, log, i); write_lock = NOBODY
		od;
idle:
end_idle:
		false
	   } unless { dead[p] };
	   atomic {
		dead[p] = false;
		log = 0; r = 0; i = 0; noted = 0;
		blocked = false; broken = false; uncut = false;
		from.txn = 0; from.known = 0; from.next_uid = 0; from.last_sequence = 0
	   }
	od
}

/* What a power cut leaves of each file: any mixture of what was not synced. */
inline lose_power(i) {
	i = 0;
	do
	:: i < RECORDS ->
		if
		:: file[i] == CACHED -> file[i] = SYNCED
		:: file[i] == CACHED -> file[i] = ABSENT
		:: file[i] == CUT -> file[i] = SYNCED
		:: file[i] == CUT -> file[i] = ABSENT
		:: else
		fi;
		i++
	:: else -> break
	od;
	i = 0;
	if
	:: slots[newest].state == CACHED -> slots[newest].state = SYNCED
	:: slots[newest].state == CACHED -> slots[newest].state = ABSENT; newest = 1 - newest
	:: else
	fi;
	/* The state to recover from is whole, */
	assert(slots[newest].state == SYNCED);
	assert(!slots[newest].overwritten);
	assert(slots[newest].txn <= synced_txn);
	/* knows nothing that the segments do not hold, */
	do
	:: i < RECORDS ->
		assert(!is_in(i, slots[newest].known) || file[i] == SYNCED);
		/* and with what they hold nothing is missing that somebody was told of. */
		assert(!is_in(i, acknowledged) || file[i] == SYNCED);
		i++
	:: else -> break
	od;
	i = 0
}

proctype fate()
{
	byte i;

end_fate:
	do
	:: kills > 0 -> atomic {
		kills--;
		if
		:: !dead[0] -> forget(0, i); dead[0] = true;
			if
			:: slot_lock == 0 -> slot_lock = NOBODY
			:: else
			fi
		:: !dead[1] -> forget(1, i); dead[1] = true;
			if
			:: slot_lock == 1 -> slot_lock = NOBODY
			:: else
			fi
		fi
	   }
	:: cuts > 0 -> atomic {
		cuts--;
		forget(0, i);
		forget(1, i);
		dead[0] = true;
		dead[1] = true;
		slot_lock = NOBODY;
		note = NONE;
		note_end = 0;
		lose_power(i)
	   }
	od
}

c_code {
static uchar from_environment(const char *name)
{
	const char *text = getenv(name);

	return text ? (uchar)atoi(text) : 1;
}
};

init {
	c_code {
		now.kills = from_environment("KILLS");
		now.cuts = from_environment("CUTS");
		now.failures = from_environment("FAILURES");
	};
	atomic {
		byte i;

		pin[0] = NONE; pin[1] = NONE;
		next_pin[0] = NONE; next_pin[1] = NONE;
		writer[0] = NOBODY; writer[1] = NOBODY; writer[2] = NOBODY;
		/* The empty store's first checkpoint. */
		slots[0].state = SYNCED;
		slots[0].next_uid = 1;
		i = 0;
		do
		:: i < RECORDS -> segment[i] = NONE; i++
		:: else -> break
		od;
		run worker(0);
		run worker(1);
		run fate()
	}
}
