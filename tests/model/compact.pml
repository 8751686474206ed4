/*
 * compact.pml - how compaction gives space back, for spin.
 *
 * A writer delivers messages and removes them; a compactor empties a segment, marks it, takes a
 * checkpoint, removes the file, then its row. The power can fail between any two steps. The index is
 * brought forward from the checkpoint by the segments that are there, or made anew from them alone.
 * docs/storage-format.md section 5 says why nothing comes back then and nothing is lost; here it is
 * asserted. tests/model/run checks this text, and that each mutation below is found out.
 *
 * What stands for what:
 *	record i	a message or the expunge of one; i is its sequence. `says`: it tells itself
 *			that its message was expunged
 *	row[m]		what the index knows of message m, and at[m] the record it points to
 *	stale, gone	flags of a segment's row; `listed`: it has one
 *	saved		the checkpoint: all of that as it was after record saved.used - 1
 *
 * A group is one step, for commit.pml is about what is inside of one. A tombstone may have expired
 * or not at each moment, as sessions come and go. Changes of flags are left out: they go with
 * messages like expunges do, and take nothing away.
 *
 * Mutations, each of which spin must find a fault in:
 *	LEAVES_STALE		others are emptied before a segment that is stale has gone,
 *	LEAVES_GONE		or before the file of one that is gone has
 *	NEVER_STALE		recovery does not mark a segment again from which messages were moved
 *	REMOVES_UNSAVED		the file goes before a checkpoint that does not need it
 *	DROPS_EXPUNGE		an expunge goes although its message's record stays
 *	MOVES_AS_IT_WAS		a message that is moved does not say that it was expunged
 *	TRUSTS_FIRST_LOOK	what was read without the write lock is not looked up again under it
 *	FORGETS_ROW_FIRST	the row goes before the file is gone for sure
 */

#ifndef MESSAGES
#define MESSAGES 1
#endif
#define SEGMENTS 4
#ifndef RECORDS
#define RECORDS 7
#endif

#define NONE 0
#define LIVE 1
#define TOMB 2

#define THERE    1
#define UNSYNCED 2 /* removed; back after a power cut, or not */

#define MESSAGE 0
#define EXPUNGE 1

/* The segments, which are all that is for sure. */
bit kind[RECORDS], says[RECORDS], moved[RECORDS];
byte whose[RECORDS], place[RECORDS], used;
byte file[SEGMENTS];
byte log; /* the segment that is written to; numbers are given once */

/* The index. */
typedef index {
	byte row[MESSAGES], at[MESSAGES];
	bit stale[SEGMENTS], gone[SEGMENTS], listed[SEGMENTS];
	byte used
}
index current, saved;

/* What people were told. */
byte delivered;
bit removed[MESSAGES];

bool dead;
byte cuts;

#define points_to(i)  (current.row[whose[i]] != NONE && current.at[whose[i]] == (i))
#define in_use(s, m)  (current.row[m] != NONE && place[current.at[m]] == (s))

/* ---- apply.c ---- */

inline apply(i, m) {
	m = whose[i];
	if
	:: kind[i] == MESSAGE ->
#ifndef NEVER_STALE
		/* It was moved from there, and what else went is not known. */
		if
		:: current.row[m] != NONE && moved[i] && place[current.at[m]] != place[i] ->
			current.stale[place[current.at[m]]] = 1
		:: else
		fi;
#endif
		current.at[m] = i;
		if
		:: says[i] -> current.row[m] = TOMB
		:: !says[i] && current.row[m] == NONE -> current.row[m] = LIVE
		:: else
		fi
	:: kind[i] == EXPUNGE && current.row[m] == LIVE -> current.row[m] = TOMB
	:: else
	fi;
	m = 0
}

inline append(k, m, said, again) {
	kind[used] = k;
	whose[used] = m;
	says[used] = said;
	moved[used] = again;
	place[used] = log;
	current.listed[log] = 1;
	used++;
	current.used = used
}

inline copy_index(to, from, j) {
	j = 0;
	do
	:: j < MESSAGES -> to.row[j] = from.row[j]; to.at[j] = from.at[j]; j++
	:: else -> break
	od;
	j = 0;
	do
	:: j < SEGMENTS ->
		to.stale[j] = from.stale[j];
		to.gone[j] = from.gone[j];
		to.listed[j] = from.listed[j];
		j++
	:: else -> break
	od;
	j = 0;
	to.used = from.used
}

/* ---- sessions and deliverers ---- */

proctype writer()
{
	byte m;

end_writer:
	do
	:: atomic { !dead && delivered < MESSAGES && used < RECORDS ->
		append(MESSAGE, delivered, 0, 0);
		current.row[delivered] = LIVE;
		current.at[delivered] = used - 1;
		delivered++ }
	:: atomic { !dead && used < RECORDS ->
		m = 0;
		do
		:: m < MESSAGES && current.row[m] != LIVE -> m++
		:: else -> break
		od;
		if
		:: m < MESSAGES ->
			append(EXPUNGE, m, 0, 0);
			current.row[m] = TOMB;
			removed[m] = 1
		:: else
		fi;
		m = 0 }
	/* log_roll() */
	:: atomic { !dead && current.listed[log] && log < SEGMENTS - 1 ->
		log++;
		file[log] = THERE;
		current.listed[log] = 1 }
	od
}

/* ---- compaction ---- */

#ifdef LEAVES_STALE
#define is_stale(s) false
#else
#define is_stale(s) current.stale[s]
#endif
#ifdef LEAVES_GONE
#define is_gone(s) false
#else
#define is_gone(s) current.gone[s]
#endif
#define is_begun(s)  (is_stale(s) || is_gone(s))
#define any_is_begun (is_begun(0) || is_begun(1) || is_begun(2) || is_begun(3))
#define may_begin(s) (s < log && current.listed[s] && (!any_is_begun || is_begun(s)))

/* move.c: record i of segment s, in a group of its own */
inline move(i, s, m, looked) {
	m = whose[i];
	if
	:: kind[i] == MESSAGE && points_to(i) && current.row[m] == LIVE ->
		append(MESSAGE, m, 0, 1);
		current.at[m] = used - 1;
		current.stale[s] = 1
#ifdef TRUSTS_FIRST_LOOK
	:: kind[i] == MESSAGE && points_to(i) && looked == LIVE && current.row[m] == TOMB ->
		append(MESSAGE, m, 0, 1);
		current.at[m] = used - 1;
		current.stale[s] = 1
#endif
	:: kind[i] == MESSAGE && points_to(i) && current.row[m] == TOMB ->
#ifdef MOVES_AS_IT_WAS
		append(MESSAGE, m, 0, 1);
#else
		append(MESSAGE, m, 1, 1);
#endif
		current.at[m] = used - 1;
		current.stale[s] = 1
	/* It has expired. */
	:: kind[i] == MESSAGE && points_to(i) && current.row[m] == TOMB ->
		current.row[m] = NONE;
		current.stale[s] = 1
#ifndef DROPS_EXPUNGE
	:: kind[i] == EXPUNGE && current.row[m] == TOMB && !says[current.at[m]] &&
	   place[current.at[m]] != s ->
		append(EXPUNGE, m, 0, 1);
		current.stale[s] = 1
#endif
	:: else ->
		if
		:: kind[i] == EXPUNGE -> current.stale[s] = 1
		:: else
		fi
	fi;
	m = 0
}

proctype compactor()
{
	byte s, i, m, looked;
	bit more;

	do
	:: {
		do
		:: true ->
			/* choose() */
end_idle:
			atomic {
				if
				:: may_begin(0) -> s = 0
				:: may_begin(1) -> s = 1
				:: may_begin(2) -> s = 2
				fi;
				i = 0
			};
			do
			:: true ->
				/* next_record(), and what is asked of the index without the lock */
				atomic {
					do
					:: i < used && place[i] != s -> i++
					:: else -> break
					od;
					more = i < used && !current.gone[s];
					if
					:: more -> looked = current.row[whose[i]]
					:: else
					fi
				};
				if
				:: !more -> break
				:: more ->
end_full:				atomic { used < RECORDS ->
						move(i, s, m, looked);
						looked = 0;
						i++
					}
				fi
			od;
			/* prepare_segments(): SEGMENT_TO_GO */
			atomic {
				looked = 0;
				m = 0;
				do
				:: m < MESSAGES && !in_use(s, m) -> m++
				:: else -> break
				od;
				if
				:: m == MESSAGES -> current.gone[s] = 1; current.stale[s] = 0
				:: else -> i = 0
				fi;
				m = 0
			};
			if
			:: current.gone[s] ->
#ifndef REMOVES_UNSAVED
				atomic { copy_index(saved, current, m) };
#endif
				atomic { file[s] = (file[s] == THERE -> UNSYNCED : file[s]) };
#ifdef FORGETS_ROW_FIRST
				atomic { current.listed[s] = 0; current.gone[s] = 0; copy_index(saved, current, m) };
#endif
				atomic { file[s] = NONE };
				atomic { current.listed[s] = 0; current.gone[s] = 0 }
			:: else
			fi
		od
	   } unless { dead };
	   atomic { dead = false; s = 0; i = 0; m = 0; looked = 0; more = 0 }
	od
}

/* The timer's. */
proctype checkpoints()
{
	byte j;

end_checkpoints:
	do
	:: atomic { !dead && saved.used != current.used -> copy_index(saved, current, j) }
	od
}

/* ---- a power cut, and what is made of what it leaves ---- */

inline nothing_lost(j) {
	j = 0;
	do
	:: j < delivered ->
		assert(removed[j] || current.row[j] == LIVE);
		assert(!removed[j] || current.row[j] != LIVE);
		assert(current.row[j] == NONE || file[place[current.at[j]]] == THERE);
		j++
	:: else -> break
	od;
	j = 0
}

inline forget_index(j) {
	j = 0;
	do
	:: j < MESSAGES -> current.row[j] = NONE; current.at[j] = 0; j++
	:: else -> break
	od;
	j = 0;
	do
	:: j < SEGMENTS -> current.stale[j] = 0; current.gone[j] = 0; current.listed[j] = 0; j++
	:: else -> break
	od;
	j = 0;
	current.used = 0
}

#define is_read(s) (file[s] == THERE && !current.gone[s])

inline replay(i, m) {
	i = 0;
	do
	:: i < used ->
		if
		:: is_read(place[i]) && (i >= current.used || !current.listed[place[i]]) -> apply(i, m)
		:: else
		fi;
		i++
	:: else -> break
	od;
	i = 0;
	do
	:: i < SEGMENTS ->
		if
		:: file[i] == THERE -> current.listed[i] = 1
		:: else
		fi;
		i++
	:: else -> break
	od;
	i = 0;
	current.used = used
}

proctype fate()
{
	byte i, m;

end_fate:
	do
	:: atomic { cuts > 0 && !dead ->
		cuts--;
		dead = true;
		i = 0;
		do
		:: i < SEGMENTS ->
			if
			:: file[i] == UNSYNCED -> file[i] = THERE
			:: file[i] == UNSYNCED -> file[i] = NONE
			:: else
			fi;
			i++
		:: else -> break
		od;
		i = 0;
		if
		:: copy_index(current, saved, i)
		:: forget_index(i)
		fi;
		replay(i, m);
		nothing_lost(i);
		copy_index(saved, current, i) }
	od
}

c_code {
static uchar cuts_there_may_be(void)
{
	const char *text = getenv("CUTS");

	return text ? (uchar)atoi(text) : 1;
}
};

init {
	c_code { now.cuts = cuts_there_may_be(); };
	atomic {
		file[0] = THERE;
		current.listed[0] = 1;
		saved.listed[0] = 1;
		run writer();
		run compactor();
		run checkpoints();
		run fate()
	}
}
