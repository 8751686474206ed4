/*
 * abi-check.c - tells whether a module file can take another's place without anybody noticing.
 *
 * abi-check OLD.so NEW.so: exit 0 if the swap is safe, 1 if not, 2 if a file cannot be used. What is
 * compared is what others rely on: the ABI, interfaces offered and needed, options, metrics.
 */
#include "config.h"

#include "conf_value.h"
#include "manifest.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_ROOM 256

struct swap {
	const struct pstn_module *old, *new;
	unsigned faults;
};

static void unsafe(struct swap *s, const char *fmt, ...) PSTN_PRINTF(2, 3);
static void compare_options(struct swap *, const struct pstn_option *old,
			    const struct pstn_option *new, const char *path);

static void unsafe(struct swap *s, const char *fmt, ...)
{
	va_list ap;

	s->faults++;
	fputs("unsafe: ", stdout);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

static void note(const char *fmt, ...) PSTN_PRINTF(1, 2);
static void note(const char *fmt, ...)
{
	va_list ap;

	fputs("note: ", stdout);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

/* ---- interfaces --------------------------------------------------------------------------- */

static void compare_offers(struct swap *s)
{
	struct pstn_offer old, new;

	for (unsigned i = 0; manifest_offer(s->old, i, &old); i++) {
		bool named = false, met = false;
		for (unsigned k = 0; manifest_offer(s->new, k, &new); k++) {
			if (strcmp(old.name, new.name))
				continue;
			named = true;
			met |= new.major == old.major &&new.minor >= old.minor;
		}
		if (!named)
			unsafe(s, "it no longer offers %s %u.%u: modules that need it cannot start",
			       old.name, old.major, old.minor);
		else if (!met)
			unsafe(s, "it offers %s, but not in a version that meets %u.%u", old.name,
			       old.major, old.minor);
	}
}

static bool was_needed(const struct pstn_module *m, const struct pstn_need *need)
{
	struct pstn_need old;

	for (unsigned i = 0; manifest_need(m, i, &old); i++)
		if (!strcmp(old.name, need->name) && old.major == need->major &&
		    old.minor >= need->minor && !(old.flags & PSTN_OPTIONAL))
			return true;
	return false;
}

static void compare_needs(struct swap *s)
{
	struct pstn_need new;

	for (unsigned i = 0; manifest_need(s->new, i, &new); i++) {
		if (was_needed(s->old, &new))
			continue;
		if (new.flags & PSTN_OPTIONAL)
			note("it can use %s %u.%u", new.name, new.major, new.minor);
		else
			unsafe(s,
			       "it needs %s %u.%u, which the old one did not: a module that offers "
			       "it has to be there first",
			       new.name, new.major, new.minor);
	}
}

/* ---- options ------------------------------------------------------------------------------ */

static bool find_option(const struct pstn_module *m, const struct pstn_option *rows,
			const char *name, struct pstn_option *out)
{
	for (unsigned i = 0; manifest_option(m, rows, i, out); i++)
		if (!strcmp(out->name, name))
			return true;
	return false;
}

/* A bound as a number that can be compared; false: there is none. */
static bool bound(const struct pstn_option *row, const char *text, long double *out)
{
	int64_t number;
	uint64_t amount = 0;

	if (!text)
		return false;
	if (row->type == PSTN_BYTES && value_bytes(text, &amount))
		*out = (long double)amount;
	else if (row->type == PSTN_DURATION && value_duration(text, &amount))
		*out = (long double)amount;
	else if (value_int(text, &number))
		*out = (long double)number;
	else
		return false;
	return true;
}

static void compare_bounds(struct swap *s, const struct pstn_option *old,
			   const struct pstn_option *new, const char *path)
{
	long double was, is;

	if (bound(new, new->min, &is) && (!bound(old, old->min, &was) || is > was))
		unsafe(s,
		       "option %s has to be at least %s now (was %s): a file that was good may be "
		       "refused",
		       path, new->min, old->min ? old->min : "unbounded");
	if (bound(new, new->max, &is) && (!bound(old, old->max, &was) || is < was))
		unsafe(s,
		       "option %s may be at most %s now (was %s): a file that was good may be "
		       "refused",
		       path, new->max, old->max ? old->max : "unbounded");
}

static void compare_choices(struct swap *s, const struct pstn_option *old,
			    const struct pstn_option *new, const char *path)
{
	int32_t index;

	for (unsigned i = 0; old->choices[i]; i++)
		if (!value_enum(old->choices[i], new->choices, &index))
			unsafe(s, "option %s can no longer be \"%s\"", path, old->choices[i]);
}

static void compare_defaults(const struct pstn_option *old, const struct pstn_option *new,
			     const char *path)
{
	const char *was = old->def ? old->def : "", *is = new->def ? new->def : "";

	if (strcmp(was, is))
		note("the default of option %s is \"%s\" now (was \"%s\")", path, is, was);
}

static void compare_items(struct swap *s, const struct pstn_option *old,
			  const struct pstn_option *new, const char *path)
{
	struct pstn_option was, is;

	if (!manifest_option(s->old, old->child, 0, &was) ||
	    !manifest_option(s->new, new->child, 0, &is))
		return;
	if (was.type != is.type)
		unsafe(s, "items of option %s are of another type now", path);
	else if (is.type == PSTN_MAP)
		compare_options(s, was.child, is.child, path);
	else
		compare_bounds(s, &was, &is, path);
}

static void compare_option(struct swap *s, const struct pstn_option *old,
			   const struct pstn_option *new, const char *path)
{
	if (old->type != new->type) {
		unsafe(s, "option %s is %s now (was %s)", path, value_type_name(new->type),
		       value_type_name(old->type));
		return;
	}
	if ((new->flags &PSTN_REQUIRED) && !(old->flags & PSTN_REQUIRED))
		unsafe(s, "option %s is required now: a file without it will be refused", path);
	compare_bounds(s, old, new, path);
	compare_defaults(old, new, path);
	if (old->type == PSTN_ENUM)
		compare_choices(s, old, new, path);
	if (old->type == PSTN_MAP)
		compare_options(s, old->child, new->child, path);
	if (old->type == PSTN_LIST)
		compare_items(s, old, new, path);
}

static void join(char *to, const char *path, const char *name)
{
	snprintf(to, PATH_ROOM, "%s%s%s", path, *path ? "." : "", name);
}

static void compare_options(struct swap *s, const struct pstn_option *old,
			    const struct pstn_option *new, const char *path)
{
	struct pstn_option row, other;
	char whole[PATH_ROOM];

	for (unsigned i = 0; manifest_option(s->old, old, i, &row); i++) {
		join(whole, path, row.name);
		if (find_option(s->new, new, row.name, &other))
			compare_option(s, &row, &other, whole);
		else
			unsafe(s, "option %s is gone: a file that sets it will be refused", whole);
	}
	for (unsigned i = 0; manifest_option(s->new, new, i, &row); i++) {
		if (find_option(s->old, old, row.name, &other))
			continue;
		join(whole, path, row.name);
		if (row.flags & PSTN_REQUIRED)
			unsafe(s, "option %s is new and required: every file lacks it", whole);
		else
			note("option %s is new", whole);
	}
}

/* ---- the rest ----------------------------------------------------------------------------- */

static void compare_metrics(struct swap *s)
{
	struct pstn_metric old, new;

	for (unsigned i = 0; manifest_metric(s->old, i, &old); i++) {
		bool found = false;
		for (unsigned k = 0; !found && manifest_metric(s->new, k, &new); k++)
			found = !strcmp(old.name, new.name);
		if (!found)
			unsafe(s, "metric %s is gone: graphs and alarms lose it", old.name);
		else if (old.kind != new.kind)
			unsafe(s, "metric %s is of another kind now", old.name);
	}
}

static void compare_heads(struct swap *s)
{
	if (strcmp(s->old->name, s->new->name))
		unsafe(s, "it is another module: %s, not %s", s->new->name, s->old->name);
	if (s->old->abi_minor != s->new->abi_minor)
		note("built for module ABI %u.%u (was %u.%u)", s->new->abi_major, s->new->abi_minor,
		     s->old->abi_major, s->old->abi_minor);
	if (strcmp(s->old->version, s->new->version))
		note("version %s (was %s)", s->new->version, s->old->version);
}

static int compare(const char *old_path, const char *new_path, const struct pstn_module *old,
		   const struct pstn_module *new)
{
	struct swap s = {.old = old, .new = new};

	compare_heads(&s);
	compare_offers(&s);
	compare_needs(&s);
	compare_options(&s, old->options, new->options, "");
	compare_metrics(&s);
	if (s.faults)
		printf("%s cannot safely replace %s: %u reason%s\n", new_path, old_path, s.faults,
		       s.faults == 1 ? "" : "s");
	else
		printf(
		    "%s can replace %s: copy it beside the old file, rename it over it, reload\n",
		    new_path, old_path);
	return s.faults != 0;
}

static struct manifest *read_or_say(const char *path)
{
	char err[512];
	struct manifest *manifest = manifest_read(path, err, sizeof err);

	if (!manifest)
		fprintf(stderr, "abi-check: %s: %s\n", path, err);
	return manifest;
}

static int usage(FILE *out, int code)
{
	fputs("usage: abi-check OLD.so NEW.so\n"
	      "Tells whether NEW can take OLD's place in a running server.\n"
	      "Exit status: 0 safe, 1 not safe, 2 a file cannot be used.\n",
	      out);
	return code;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
	    {"help", no_argument, NULL, 'h'}, {"version", no_argument, NULL, 'V'}, {0}};

	for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		if (c == 'V')
			return printf("abi-check %s\n", PACKAGE_VERSION) < 0;
		return c == 'h' ? usage(stdout, 0) : usage(stderr, 2);
	}
	if (argc - optind != 2)
		return usage(stderr, 2);
	struct manifest *old = read_or_say(argv[optind]);
	struct manifest *new = read_or_say(argv[optind + 1]);
	int result = 2;
	if (old && new)
		result = compare(argv[optind], argv[optind + 1], manifest_module(old),
				 manifest_module(new));
	manifest_free(&old);
	manifest_free(&new);
	return fflush(stdout) || ferror(stdout) ? 2 : result;
}
