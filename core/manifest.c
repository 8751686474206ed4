/*
 * manifest.c - read a module's descriptor from its file without running a line of it.
 *
 * The head (magic, ABI, sizes) is judged before anything after it is believed; then every pointer,
 * string and array that can be reached is followed once. What passes can be read by everybody else
 * like ordinary memory, without a check.
 */
#include "config.h"

#include "manifest.h"
#include "manifest_judge.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <postern/service.h>

/* What a module of 1.0 has; later fields are asked for with PSTN_HAS. */
#define MODULE_SIZE_MIN (offsetof(struct pstn_module, stop) + sizeof(void (*)(void *)))
#define MODULE_SIZE_MAX 65536
#define CONF_SIZE_MAX   (1u << 20)
#define ROWS_MAX        1024

/* A module of an older minor version may have shorter rows; less than this nobody ever compiled. */
#define OPTION_SIZE_MIN offsetof(struct pstn_option, item_size)
#define METRIC_SIZE_MIN offsetof(struct pstn_metric, help)
#define OFFER_SIZE_MIN  sizeof(struct pstn_offer)
#define NEED_SIZE_MIN   offsetof(struct pstn_need, flags)
#define STRIDE_MAX      4096

struct manifest {
	struct elf_image image;
	const struct pstn_module *module;
};

bool judge_fail(struct judge *j, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(j->err, j->errlen, fmt, ap);
	va_end(ap);
	return false;
}

bool judge_text(struct judge *j, const char *s, size_t max, const char *what)
{
	if (elf_image_has_string(j->image, s, max))
		return true;
	return judge_fail(j, "%s is no text inside the file (or over %zu octets): build it again",
			  what, max);
}

bool judge_name(struct judge *j, const char *s, const char *extra, const char *what)
{
	if (!judge_text(j, s, JUDGE_NAME_MAX, what))
		return false;
	if (*s >= 'a' && *s <= 'z') {
		const char *p = s;
		while ((*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') || *p == '_' ||
		       (*p && strchr(extra, *p)))
			p++;
		if (!*p)
			return true;
	}
	return judge_fail(
	    j, "%s is not in lower_case_with_underscores: correct the module's source", what);
}

/* Whether row i can be read at all; *end is set at the row without a name. */
bool judge_row(struct judge *j, const void *rows, unsigned i, size_t stride, const char *what,
	       bool *end)
{
	const char *row = (const char *)((uintptr_t)rows + i * stride);
	const char *name;

	if (i >= ROWS_MAX || (uintptr_t)row % _Alignof(void *) ||
	    !elf_image_has(j->image, row, stride))
		return judge_fail(j,
				  "%s rows lie outside the file or have no end row: "
				  "end the array with an empty row and build again",
				  what);
	memcpy(&name, row, sizeof name);
	*end = !name;
	return true;
}

/* ---- the head ----------------------------------------------------------------------------- */

static bool judge_abi(struct judge *j, const struct pstn_module *m)
{
	if (m->magic != PSTN_MAGIC)
		return judge_fail(j,
				  "pstn_module has a wrong magic number: it is no Postern module, "
				  "or does not begin with PSTN_MODULE_HEAD");
	if (m->abi_major != PSTN_ABI_MAJOR)
		return judge_fail(j,
				  "built for module ABI %u.%u, this core has %u.%u: build the "
				  "module against this core's headers",
				  m->abi_major, m->abi_minor, PSTN_ABI_MAJOR, PSTN_ABI_MINOR);
	if (m->abi_minor > PSTN_ABI_MINOR)
		return judge_fail(j,
				  "built for module ABI %u.%u, this core has only %u.%u: upgrade "
				  "the core first, or build the module against its headers",
				  m->abi_major, m->abi_minor, PSTN_ABI_MAJOR, PSTN_ABI_MINOR);
	return true;
}

static bool judge_stride(struct judge *j, uint32_t stride, size_t min, const char *what)
{
	if (stride >= min && stride <= STRIDE_MAX && stride % _Alignof(void *) == 0)
		return true;
	return judge_fail(j,
			  "a size of %u octets for %s rows cannot be: begin the descriptor with "
			  "PSTN_MODULE_HEAD",
			  stride, what);
}

static bool judge_sizes(struct judge *j, const struct pstn_module *m)
{
	if (m->size < MODULE_SIZE_MIN || m->size > MODULE_SIZE_MAX ||
	    !elf_image_has(j->image, m, m->size))
		return judge_fail(j,
				  "pstn_module says it has %u octets, which cannot be: begin it "
				  "with PSTN_MODULE_HEAD",
				  m->size);
	if (m->conf_size > CONF_SIZE_MAX)
		return judge_fail(j, "a configuration of %u octets is absurd (at most %u)",
				  m->conf_size, CONF_SIZE_MAX);
	return judge_stride(j, m->option_size, OPTION_SIZE_MIN, "option") &&
	       judge_stride(j, m->metric_size, METRIC_SIZE_MIN, "metric") &&
	       judge_stride(j, m->offer_size, OFFER_SIZE_MIN, "offer") &&
	       judge_stride(j, m->need_size, NEED_SIZE_MIN, "need");
}

/* ---- what the rows point to --------------------------------------------------------------- */

static bool judge_metrics(struct judge *j, const struct pstn_module *m)
{
	struct pstn_metric row;
	bool end = !m->metrics;

	for (unsigned i = 0; !end; i++) {
		if (!judge_row(j, m->metrics, i, m->metric_size, "metric", &end))
			return false;
		if (end || !manifest_metric(m, i, &row))
			break;
		if (!judge_name(j, row.name, "", "a metric's name"))
			return false;
		if (row.help && !judge_text(j, row.help, JUDGE_HELP_MAX, "a metric's help"))
			return false;
		if (row.kind > PSTN_MICROSECONDS)
			return judge_fail(j, "metric %s is of an unknown kind (%u)", row.name,
					  row.kind);
	}
	return true;
}

/* A service's table is read as data too: its default listener is needed before it runs. */
static bool judge_service(struct judge *j, const struct pstn_service *s)
{
	if (!PSTN_HAS(struct pstn_service, s, close))
		return judge_fail(j, "its %s table is too short: begin it with .size = sizeof",
				  PSTN_SERVICE_STREAM);
	if (!judge_name(j, s->protocol, "-", "the service's protocol name"))
		return false;
	if (s->default_listener &&
	    !judge_text(j, s->default_listener, 127, "the service's default listener"))
		return false;
	return !PSTN_HAS(struct pstn_service, s, refusal) || !s->refusal ||
	       judge_text(j, s->refusal, 510, "the service's refusal line");
}

static bool judge_table(struct judge *j, const struct pstn_offer *offer)
{
	const uint32_t *size = offer->table;

	if ((uintptr_t)size % _Alignof(void *) == 0 &&
	    elf_image_has(j->image, size, sizeof(void *)) && *size >= sizeof *size &&
	    *size <= MODULE_SIZE_MAX && elf_image_has(j->image, size, *size))
		return strcmp(offer->name, PSTN_SERVICE_STREAM) != 0 ||
		       judge_service(j, offer->table);
	return judge_fail(j,
			  "the table behind its offer %s has no believable size: begin it with "
			  ".size = sizeof",
			  offer->name);
}

static bool judge_offers(struct judge *j, const struct pstn_module *m)
{
	struct pstn_offer row;
	bool end = !m->offers;

	for (unsigned i = 0; !end; i++) {
		if (!judge_row(j, m->offers, i, m->offer_size, "offer", &end))
			return false;
		if (end || !manifest_offer(m, i, &row))
			break;
		if (!judge_name(j, row.name, ".", "an offer's name") || !judge_table(j, &row))
			return false;
	}
	return true;
}

static bool judge_needs(struct judge *j, const struct pstn_module *m)
{
	struct pstn_need row;
	bool end = !m->needs;

	for (unsigned i = 0; !end; i++) {
		if (!judge_row(j, m->needs, i, m->need_size, "need", &end))
			return false;
		if (end || !manifest_need(m, i, &row))
			break;
		if (!judge_name(j, row.name, ".", "a need's name"))
			return false;
	}
	return true;
}

static bool judge_functions(struct judge *j, const struct pstn_module *m)
{
	if (!elf_image_has_code(j->image, (const void *)(uintptr_t)m->start) ||
	    !elf_image_has_code(j->image, (const void *)(uintptr_t)m->self_test) ||
	    !elf_image_has_code(j->image, (const void *)(uintptr_t)m->stop) ||
	    (m->drain && !elf_image_has_code(j->image, (const void *)(uintptr_t)m->drain)))
		return judge_fail(j, "start, self_test and stop (and drain, if there) have to be "
				     "functions: correct the module's source");
	return true;
}

static bool judge_module(struct judge *j, const struct pstn_module *m)
{
	return judge_abi(j, m) && judge_sizes(j, m) && judge_name(j, m->name, "-", "its name") &&
	       judge_text(j, m->version, JUDGE_NAME_MAX, "its version") &&
	       judge_text(j, m->summary, JUDGE_HELP_MAX, "its summary") && judge_functions(j, m) &&
	       judge_options(j, m) && judge_metrics(j, m) && judge_offers(j, m) &&
	       judge_needs(j, m);
}

/* ---- the file ----------------------------------------------------------------------------- */

static bool find_module(struct manifest *manifest, char *err, size_t errlen)
{
	struct judge j = {.image = &manifest->image, .err = err, .errlen = errlen};
	const struct pstn_module *m =
	    elf_image_symbol(&manifest->image, "pstn_module", MODULE_SIZE_MIN);

	if (!m)
		return judge_fail(&j,
				  "no symbol pstn_module: it is no Postern module, or the symbol "
				  "is not marked PSTN_EXPORT");
	if ((uintptr_t)m % _Alignof(struct pstn_module))
		return judge_fail(&j, "pstn_module is not aligned: build it again");
	manifest->module = m;
	return judge_module(&j, m);
}

struct manifest *manifest_read(const char *path, char *err, size_t errlen)
{
	struct manifest *manifest = calloc(1, sizeof *manifest);

	if (!manifest) {
		snprintf(err, errlen, "out of memory while reading the file");
		return NULL;
	}
	if (elf_image_load(&manifest->image, path, err, errlen) ||
	    !find_module(manifest, err, errlen))
		manifest_free(&manifest);
	return manifest;
}

const struct pstn_module *manifest_module(const struct manifest *manifest)
{
	return manifest->module;
}

bool manifest_is_code(const struct manifest *manifest, const void *p)
{
	return elf_image_has_code(&manifest->image, p);
}

void manifest_free(struct manifest **manifest)
{
	if (!*manifest)
		return;
	elf_image_clear(&(*manifest)->image);
	free(*manifest);
	*manifest = NULL;
}

/* ---- rows by stride ----------------------------------------------------------------------- */

/* Copies what both sides know; false at the end row. */
static bool copy_row(const void *rows, unsigned i, size_t stride, void *out, size_t size)
{
	const char *name;

	memset(out, 0, size);
	if (!rows)
		return false;
	memcpy(out, (const char *)rows + i * stride, stride < size ? stride : size);
	memcpy(&name, out, sizeof name);
	return name != NULL;
}

bool manifest_option(const struct pstn_module *m, const struct pstn_option *rows, unsigned i,
		     struct pstn_option *out)
{
	return copy_row(rows, i, m->option_size, out, sizeof *out);
}

bool manifest_metric(const struct pstn_module *m, unsigned i, struct pstn_metric *out)
{
	return copy_row(m->metrics, i, m->metric_size, out, sizeof *out);
}

bool manifest_offer(const struct pstn_module *m, unsigned i, struct pstn_offer *out)
{
	return copy_row(m->offers, i, m->offer_size, out, sizeof *out);
}

bool manifest_need(const struct pstn_module *m, unsigned i, struct pstn_need *out)
{
	return copy_row(m->needs, i, m->need_size, out, sizeof *out);
}
