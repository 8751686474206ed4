/*
 * replay.c - every power cut of a workload: images are written out, opened, checked.
 */
#include "replay.h"

#include "disk_image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define RANDOM_SHORT  8
#define RANDOM_LONG   200
#define FAILURES_MAX  5
#define IMAGE_SECONDS 60
#define NEW_MESSAGES  990 /* of the ledger, delivered to an image */

struct progress {
	uint32_t images, variant, failures;
	char what[256];
};

struct replay {
	const struct workload *workload;
	struct rig *rig;
	struct disk_history history;
	struct cuts *cuts;
	struct image *image;
	uint64_t seed;
	uint32_t total, keep; /* keep of total variants */
	uint32_t only_cut, only_variant;
	bool one;
	char directory[600], path[640];
	struct progress *progress; /* shared with the child that opens images */
};

static bool is_long(void)
{
	return getenv("STORAGE_LONG") != NULL;
}

/* ---- one image ---- */

static const char *reopen(struct rig *r)
{
	static char sentence[600];

	if (rig_open(r))
		return NULL;
	snprintf(sentence, sizeof(sentence), "it does not open: %s", r->error);
	return sentence;
}

/* Opened, looked at, written to, cut off once more. */
static const char *judge(struct rig *r, bool indexed)
{
	const unsigned failures = CU_get_number_of_failures();
	const char *bad = reopen(r);

	if (!bad && indexed && r->store->rebuilt)
		bad = "the index had to be made anew";
	if (!bad)
		bad = ledger_check(r);
	if (!bad)
		bad = ledger_continue(r, NEW_MESSAGES);
	if (!bad)
		bad = ledger_check(r);
	if (r->store)
		rig_crash(r);
	if (!bad)
		bad = reopen(r);
	if (!bad)
		bad = ledger_check(r);
	rig_close(r);
	if (!bad && CU_get_number_of_failures() > failures)
		bad = "an assertion failed";
	return bad;
}

static void tell(const struct replay *p, const struct cut *cut, uint32_t v, const char *bad)
{
	fprintf(stderr,
		"\n  %s: %s\n    power cut before op %u, on disk: %s\n    again: STORAGE_SEED=%llu "
		"STORAGE_IMAGE=%u:%u %s\n",
		p->workload->name, bad, cut->before, p->progress->what, (unsigned long long)p->seed,
		cut->before, v, p->workload->name);
}

static void look(struct replay *p, const struct cut *cut, uint32_t v)
{
	const char *bad;

	p->progress->variant = v;
	p->progress->images++;
	cuts_choose(p->cuts, cut, v, p->seed, p->image, p->progress->what,
		    sizeof(p->progress->what));
	image_write(p->image, p->directory);
	if (p->one) {
		char kept[700];

		snprintf(kept, sizeof(kept), "%s.kept", p->directory);
		image_write(p->image, kept);
		disk_print(&p->history, cut->before);
		fprintf(stderr, "\n  the image is in %s\n", kept);
	}
	ledger_at(&p->history, cut->before);
	fake_log_clear();
	alarm(IMAGE_SECONDS);
	bad = judge(p->rig, ledger_indexed() && !p->workload->loses_index);
	alarm(0);
	if (!bad)
		return;
	tell(p, cut, v, bad);
	p->progress->failures++;
	_exit(1);
}

/* ---- the images of a cut ---- */

static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

static bool chosen(const struct replay *p, const struct cut *cut, uint32_t v)
{
	if (p->one)
		return cut->before == p->only_cut && v == p->only_variant;
	return v < 2 || p->keep >= p->total ||
	       mix(p->seed ^ ((uint64_t)cut->before << 32 | v)) % p->total < p->keep;
}

static uint32_t variants(const struct cut *cut)
{
	return cut->variants + (is_long() ? RANDOM_LONG : RANDOM_SHORT);
}

/* In a child: a store that crashes its process fails one cut, not the test. */
static void look_at_cut(struct replay *p, const struct cut *cut)
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		for (uint32_t v = 0; v < variants(cut); v++) {
			if (chosen(p, cut, v))
				look(p, cut, v);
		}
		_exit(0);
	}
	waitpid(child, &status, 0);
	if (status == 0)
		return;
	if (WIFSIGNALED(status)) {
		tell(p, cut, p->progress->variant,
		     WTERMSIG(status) == SIGALRM ? "it hangs" : "the process was killed");
		p->progress->failures++;
	}
	CU_FAIL("a store does not outlast a power cut");
}

static void each_cut(struct replay *p, void (*each)(struct replay *, const struct cut *))
{
	struct cut cut;

	p->cuts = cuts_new(&p->history);
	while (p->progress->failures < FAILURES_MAX && cuts_next(p->cuts, &cut))
		each(p, &cut);
	cuts_free(p->cuts);
}

static void count_variants(struct replay *p, const struct cut *cut)
{
	p->total += variants(cut);
}

/* ---- a workload ---- */

static void small_segments(struct store_options *o)
{
	o->segment_size = 64 << 10;
	o->stream_threshold = 8 << 10;
}

static void record(struct replay *p)
{
	static const char *const except[] = {"lock", "lock.mdb", NULL};
	const char *state = fake_host()->directory(p->rig->self, PSTN_DIR_STATE);
	char difference[200] = "";
	struct image *all;

	ledger_begin();
	disk_record(state);
	CU_ASSERT_FATAL(rig_open(p->rig));
	disk_mark(LEDGER_INDEXED, 0);
	p->workload->run(p->rig);
	if (p->rig->store)
		rig_crash(p->rig);
	disk_stop(&p->history);
	/* Nothing escaped: what was recorded makes the same store. */
	all = image_new(&p->history);
	for (uint32_t i = 0; i < p->history.count; i++)
		image_apply(all, &p->history.ops[i], 0, NULL, NULL);
	if (!image_same(all, state, except, difference, sizeof(difference))) {
		fprintf(stderr, "\n  %s: %s\n", p->workload->name, difference);
		CU_FAIL("the history is not what happened");
	}
	image_free(all);
}

static void prepare(struct replay *p)
{
	const char *one = getenv("STORAGE_IMAGE"), *seed = getenv("STORAGE_SEED");

	p->seed = seed ? strtoull(seed, NULL, 10) : 1;
	p->one = one && sscanf(one, "%u:%u", &p->only_cut, &p->only_variant) == 2;
	p->progress = mmap(NULL, sizeof(*p->progress), PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (p->progress == MAP_FAILED)
		abort();
	snprintf(p->directory, sizeof(p->directory), "%s/image", fake_directory());
	snprintf(p->path, sizeof(p->path), "%s/storage", p->directory);
	p->image = image_new(&p->history);
}

void replay(const struct workload *w)
{
	struct rig r;
	struct replay p = {.workload = w, .rig = &r};

	rig_begin(&r);
	ledger_accounts(&r);
	(w->options ? w->options : small_segments)(&r.options);
	record(&p);
	prepare(&p);
	each_cut(&p, count_variants);
	p.keep = is_long() ? p.total : w->images;
	r.options.path = p.path;
	disk_sparse(true);
	each_cut(&p, look_at_cut);
	disk_sparse(false);
	printf("    %u of %u images of %u operations, seed %llu\n", p.progress->images, p.total,
	       p.history.count, (unsigned long long)p.seed);
	image_free(p.image);
	rig_remove_store(p.directory);
	munmap(p.progress, sizeof(*p.progress));
	r.options.path = "";
	rig_end(&r);
}
