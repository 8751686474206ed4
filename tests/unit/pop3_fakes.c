/*
 * pop3_fakes.c - the scripted directory and store.
 *
 * Accounts: ann (password "secret"), bob ("two words "), one (limit 1), two (limit 2); temp cannot
 * be checked, odd is no name.
 */
#include "pop3_fakes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct pstn_maildrop {
	struct pop3_fake *fake;
	struct pstn_session *session;
	bool busy; /* a call is under way */
};

struct wait {
	struct pop3_fake *fake;
	struct pstn_maildrop *drop;
	pstn_done *done;
	void *arg;
	/* what to fill before done */
	int status;
	void *out;
	size_t size;
	uint32_t *count, found;
	struct pstn_content content; /* to be released if nobody comes for it */
	struct pstn_maildrop *opened;
	_Alignas(16) char bytes[];
};

static void must(bool condition, const char *what)
{
	if (condition)
		return;
	fprintf(stderr, "pop3_fakes: %s\n", what);
	abort();
}

/* ---- answering at once or later ---- */

static void wait_done(void *arg, int status)
{
	struct wait *w = arg;
	struct pstn_self *self = w->fake->self;

	if (w->drop)
		w->drop->busy = false;
	if (status == PSTN_OK && w->out)
		memcpy(w->out, w->bytes, w->size);
	if (status == PSTN_OK && w->count)
		*w->count = w->found;
	w->done(w->arg, status);
	fake_host()->free(self, w);
}

static void drop_close(struct pstn_maildrop *drop);

static void wait_orphan(void *arg)
{
	struct wait *w = arg;

	if (w->content.release)
		w->content.release(w->content.ref);
	if (w->opened)
		drop_close(w->opened);
	fake_host()->free(w->fake->self, w);
}

static int wait_work(void *arg)
{
	return ((struct wait *)arg)->status;
}

struct answer {
	enum pop3_fake_call call;
	int status;
	const void *bytes; /* what goes to out if the status is PSTN_OK */
	void *out;
	size_t size;
	uint32_t *count, found;
	struct pstn_content content;
	struct pstn_maildrop *opened;
};

static int answer_now(const struct answer *a)
{
	if (a->status == PSTN_OK && a->out)
		memcpy(a->out, a->bytes, a->size);
	if (a->status == PSTN_OK && a->count)
		*a->count = a->found;
	return a->status;
}

static int no_memory(const struct answer *a)
{
	if (a->content.release)
		a->content.release(a->content.ref);
	if (a->opened)
		drop_close(a->opened);
	return PSTN_E_NO_MEMORY;
}

static int answer(struct pop3_fake *f, struct pstn_session *s, struct pstn_maildrop *drop,
		  const struct answer *a, pstn_done *done, void *arg)
{
	struct wait *w;

	if (!f->later[a->call])
		return answer_now(a);
	w = fake_host()->alloc(f->self, sizeof(*w) + a->size);
	if (!w)
		return no_memory(a);
	*w = (struct wait){.fake = f,
			   .drop = drop,
			   .done = done,
			   .arg = arg,
			   .status = a->status,
			   .out = a->out,
			   .size = a->size,
			   .count = a->count,
			   .found = a->found,
			   .content = a->content,
			   .opened = a->opened};
	if (a->status == PSTN_OK && a->size)
		memcpy(w->bytes, a->bytes, a->size);
	if (!fake_host()->job(f->self, s, wait_work, wait_done, wait_orphan, w)) {
		fake_host()->free(f->self, w);
		return no_memory(a);
	}
	if (drop)
		drop->busy = true;
	return PSTN_LATER;
}

/* ---- directory ---- */

static const struct {
	const char *name, *password;
	uint64_t id;
	uint32_t limit;
} accounts[] = {
    {"ann", "secret", 7, 0}, {"bob", "two words ", 8, 0}, {"one", "1", 9, 1}, {"two", "2", 10, 2}};

static int judge(const char *name, const char *password, struct pstn_account *out)
{
	if (strcmp(name, "temp") == 0)
		return PSTN_E_TEMPORARY;
	if (strcmp(name, "odd") == 0)
		return PSTN_E_INVALID;
	for (size_t i = 0; i < sizeof(accounts) / sizeof(accounts[0]); i++) {
		if (strcmp(accounts[i].name, name) != 0)
			continue;
		if (strcmp(accounts[i].password, password) != 0)
			return PSTN_E_DENIED;
		out->id = accounts[i].id;
		out->session_limit = accounts[i].limit;
		snprintf(out->name, sizeof(out->name), "%s@example.org", name);
		return PSTN_OK;
	}
	return PSTN_E_DENIED;
}

static int verify(void *inst, struct pstn_session *s, const char *service, const char *name,
		  const char *password, struct pstn_account *out, pstn_done *done, void *arg)
{
	struct pop3_fake *f = inst;
	struct pstn_account account = {0};
	struct answer a = {
	    .call = FAKE_VERIFY, .bytes = &account, .out = out, .size = sizeof(account)};
	size_t n = strlen(f->names);

	f->calls[FAKE_VERIFY]++;
	snprintf(f->names + n, sizeof(f->names) - n, "%s/%s/%s\n", service, name, password);
	a.status = f->fail[FAKE_VERIFY] ? f->fail[FAKE_VERIFY] : judge(name, password, &account);
	return answer(f, s, NULL, &a, done, arg);
}

const struct pstn_directory pop3_fake_directory = {.size = sizeof(pop3_fake_directory),
						   .verify = verify};

/* ---- maildrop ---- */

static struct pop3_fake *enter(struct pstn_maildrop *drop, enum pop3_fake_call call)
{
	must(!drop->busy, "two calls on one maildrop at a time");
	drop->fake->calls[call]++;
	return drop->fake;
}

static uint64_t octets(const struct pop3_fake *f, uint32_t number)
{
	const struct pop3_fake_message *m;

	if (f->synthetic)
		return 1000 + number;
	m = &f->messages[number - 1];
	return m->zombie ? 0 : m->length ? m->length : strlen(m->text);
}

static int drop_open(void *inst, struct pstn_session *s, const struct pstn_account *account,
		     const char *folder, struct pstn_maildrop **out, pstn_done *done, void *arg)
{
	struct pop3_fake *f = inst;
	struct pstn_maildrop *drop = NULL;
	struct answer a = {.call = FAKE_OPEN,
			   .status = f->fail[FAKE_OPEN],
			   .bytes = &drop,
			   .out = out,
			   .size = sizeof(drop)};

	must(strcmp(folder, "INBOX") == 0 && account->id, "opens something else than an INBOX");
	f->calls[FAKE_OPEN]++;
	if (a.status == PSTN_OK) {
		drop = fake_host()->alloc(f->self, sizeof(*drop));
		if (!drop)
			return PSTN_E_NO_MEMORY;
		*drop = (struct pstn_maildrop){.fake = f, .session = s};
		f->maildrops++;
		a.opened = drop;
	}
	return answer(f, s, NULL, &a, done, arg);
}

static int drop_totals(struct pstn_maildrop *drop, struct pstn_maildrop_totals *out,
		       pstn_done *done, void *arg)
{
	struct pop3_fake *f = enter(drop, FAKE_TOTALS);
	struct pstn_maildrop_totals totals = {.messages = f->count};
	struct answer a = {.call = FAKE_TOTALS,
			   .status = f->fail[FAKE_TOTALS],
			   .bytes = &totals,
			   .out = out,
			   .size = sizeof(totals)};

	for (uint32_t i = 1; i <= f->count; i++) {
		totals.octets += octets(f, i);
		totals.zombies += !f->synthetic && f->messages[i - 1].zombie;
	}
	return answer(f, drop->session, drop, &a, done, arg);
}

static void fill_row(const struct pop3_fake *f, uint32_t number, struct pstn_message *row)
{
	*row = (struct pstn_message){
	    .number = number, .uid = 100 + number, .octets = octets(f, number)};
	if (!f->synthetic) {
		row->flags = f->messages[number - 1].flags;
		row->zombie = f->messages[number - 1].zombie;
	}
	snprintf(row->uidl, sizeof(row->uidl), "id%u", number);
	if (number == 2) /* as long as an id may be */
		memset(row->uidl, '~', PSTN_UIDL_MAX);
}

static int drop_list(struct pstn_maildrop *drop, uint32_t first, struct pstn_message *rows,
		     uint32_t max, uint32_t *count, pstn_done *done, void *arg)
{
	struct pop3_fake *f = enter(drop, FAKE_LIST);
	uint32_t n = 0;
	struct pstn_message *found;
	struct answer a = {
	    .call = FAKE_LIST, .status = f->fail[FAKE_LIST], .out = rows, .count = count};
	int status;

	must(first >= 1 && max >= 1, "list of nothing");
	if (fake_host()->queued(drop->session) > f->most_queued)
		f->most_queued = fake_host()->queued(drop->session);
	if (fake_live_bytes() > f->most_bytes)
		f->most_bytes = fake_live_bytes();
	if (first <= f->count)
		n = f->count - first + 1 < max ? f->count - first + 1 : max;
	found = calloc(n ? n : 1, sizeof(*found));
	must(found, "out of memory");
	for (uint32_t i = 0; i < n; i++)
		fill_row(f, first + i, &found[i]);
	a.bytes = found;
	a.size = n * sizeof(*found);
	a.found = n;
	status = answer(f, drop->session, drop, &a, done, arg);
	free(found);
	return status;
}

/* ---- texts ---- */

struct text {
	struct pop3_fake *fake;
	uint64_t dots[16];
	FILE *file;
	char *bytes;
};

static void text_release(void *ref)
{
	struct text *t = ref;

	t->fake->contents--;
	must(t->fake->contents >= 0, "a text is released twice");
	if (t->file)
		fclose(t->file);
	free(t->bytes);
	free(t);
}

static void find_dots(struct text *t, struct pstn_content *c, const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (text[i] == '.' && (i == 0 || text[i - 1] == '\n')) {
			must(c->ndots < 16, "too many dots for a fake text");
			t->dots[c->ndots++] = i;
		}
	c->dots = t->dots;
}

static uint32_t header_length(const char *text, size_t n)
{
	const char *end = n >= 2 && memcmp(text, "\r\n", 2) == 0 ? text : NULL;

	if (end)
		return 2;
	end = memmem(text, n, "\r\n\r\n", 4);
	return end ? (uint32_t)(end - text) + 4 : (uint32_t)n;
}

static struct pstn_content make_content(struct pop3_fake *f, const struct pop3_fake_message *m)
{
	size_t n = m->length ? m->length : strlen(m->text);
	struct text *t = calloc(1, sizeof(*t));
	struct pstn_content c = {.size = sizeof(c),
				 .fd = -1,
				 .length = n,
				 .header_length = header_length(m->text, n),
				 .release = text_release,
				 .ref = t};

	must(t, "out of memory");
	t->fake = f;
	f->contents++;
	if (f->no_header && c.header_length == n)
		c.header_length = 0;
	find_dots(t, &c, m->text, n);
	if (f->files) {
		t->file = tmpfile();
		must(t->file && fwrite("before", 1, 6, t->file) == 6 &&
			 fwrite(m->text, 1, n, t->file) == n &&
			 fwrite("after", 1, 5, t->file) == 5 && fflush(t->file) == 0,
		     "cannot write a text");
		c.fd = fileno(t->file);
		c.offset = 6;
	} else {
		t->bytes = malloc(n + 1); /* of its own, so that a use after release is seen */
		must(t->bytes, "out of memory");
		memcpy(t->bytes, m->text, n);
		c.bytes = t->bytes;
	}
	return c;
}

static int drop_read(struct pstn_maildrop *drop, uint32_t number, struct pstn_content *out,
		     pstn_done *done, void *arg)
{
	struct pop3_fake *f = enter(drop, FAKE_READ);
	struct pstn_content content = {0};
	struct answer a = {.call = FAKE_READ,
			   .status = f->fail[FAKE_READ],
			   .bytes = &content,
			   .out = out,
			   .size = sizeof(content)};

	must(out->size == sizeof(content), "a content that does not tell its size");
	must(number >= 1 && number <= f->count, "read of a number that is not there");
	if (!a.status && f->messages[number - 1].zombie)
		a.status = PSTN_E_GONE;
	if (!a.status && f->messages[number - 1].damaged)
		a.status = PSTN_E_DAMAGED;
	if (!a.status)
		a.content = content = make_content(f, &f->messages[number - 1]);
	return answer(f, drop->session, drop, &a, done, arg);
}

static void drop_flag(struct pstn_maildrop *drop, uint32_t number, uint32_t add, uint32_t remove)
{
	struct pop3_fake_message *m = &drop->fake->messages[number - 1];

	m->flags = (m->flags | add) & ~remove;
}

static int drop_expunge(struct pstn_maildrop *drop, const uint32_t *numbers, uint32_t n,
			pstn_done *done, void *arg)
{
	struct pop3_fake *f = enter(drop, FAKE_EXPUNGE);
	struct answer a = {.call = FAKE_EXPUNGE, .status = f->fail[FAKE_EXPUNGE]};
	int status = answer(f, drop->session, drop, &a, done, arg);

	for (uint32_t i = 0; i < n; i++) {
		must(numbers[i] >= 1 && numbers[i] <= f->count, "expunge of a number not there");
		must(i == 0 || numbers[i] > numbers[i - 1], "numbers do not ascend");
		if (!a.status && status >= 0 && !f->synthetic)
			f->messages[numbers[i] - 1].expunged = true;
	}
	if (!a.status && status >= 0)
		f->expunged += n;
	return status;
}

static void drop_close(struct pstn_maildrop *drop)
{
	drop->fake->maildrops--;
	fake_host()->free(drop->fake->self, drop);
}

const struct pstn_maildrops pop3_fake_maildrops = {
    .size = sizeof(pop3_fake_maildrops),
    .open = drop_open,
    .totals = drop_totals,
    .list = drop_list,
    .read = drop_read,
    .flag = drop_flag,
    .expunge = drop_expunge,
    .close = drop_close,
};

/* ---- the usual messages ---- */

static char long_text[60000];

static size_t make_long_text(void)
{
	size_t n = (size_t)snprintf(long_text, sizeof(long_text), "Subject: long\r\n\r\n");

	for (int i = 0; i < 5000; i++)
		n += (size_t)snprintf(long_text + n, sizeof(long_text) - n, "line %d\r\n", i);
	return n;
}

void pop3_fake_begin(struct pop3_fake *f)
{
	static const struct pop3_fake_message messages[] = {
	    {.text = "Subject: one\r\n\r\nfirst\r\nsecond\r\n"},
	    {.text = ".dot\r\n\r\n.\r\n..a\r\nb\r\n"},
	    {.text = "Subject: no empty line\r\n"},
	    {.text = long_text},
	    {.text = "\r\nno header\r\n"},
	    {.text = "Subject: NUL\r\n\r\na\0b\r\n", .length = 21, .flags = PSTN_SEEN},
	};

	*f = (struct pop3_fake){.self = fake_self("fakes"), .count = 6};
	f->messages = calloc(6, sizeof(*f->messages));
	must(f->messages, "out of memory");
	memcpy(f->messages, messages, sizeof(messages));
	f->messages[3].length = make_long_text();
}

void pop3_fake_end(struct pop3_fake *f)
{
	must(f->maildrops == 0, "a maildrop is still open");
	must(f->contents == 0, "a text was not released");
	free(f->messages);
}

void pop3_fake_all_later(struct pop3_fake *f, bool later)
{
	for (int i = 0; i < FAKE_CALLS; i++)
		f->later[i] = later;
}
