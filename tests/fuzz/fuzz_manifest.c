/*
 * fuzz_manifest.c - whatever is found where a module file should be.
 *
 * Begin with modules as built: fuzz_manifest -max_len=65536 DIR BUILD/tests/modules/.libs. With
 * libFuzzer, or compiled with -DREPLAY to run given files.
 */
#include "manifest.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t total; /* so that reading is not optimised away */

static void walk(const struct pstn_module *m, const struct pstn_option *rows)
{
	struct pstn_option row;

	for (unsigned i = 0; manifest_option(m, rows, i, &row); i++) {
		total += strlen(row.name) + (row.def ? strlen(row.def) : 0) +
			 (row.help ? strlen(row.help) : 0);
		for (unsigned k = 0; row.type == PSTN_ENUM && row.choices[k]; k++)
			total += strlen(row.choices[k]);
		if (row.type == PSTN_MAP)
			walk(m, row.child);
		if (row.type == PSTN_LIST) {
			struct pstn_option item;
			if (!manifest_option(m, row.child, 0, &item) || !item.item_size)
				abort();
			if (item.type == PSTN_MAP)
				walk(m, item.child);
		}
	}
}

/* All that others may rely on once a file has passed. */
static void use(const struct manifest *manifest)
{
	const struct pstn_module *m = manifest_module(manifest);
	struct pstn_metric metric;
	struct pstn_offer offer;
	struct pstn_need need;

	if (m->magic != PSTN_MAGIC || !manifest_is_code(manifest, (void *)(uintptr_t)m->start))
		abort();
	total += strlen(m->name) + strlen(m->version) + strlen(m->summary);
	walk(m, m->options);
	for (unsigned i = 0; manifest_metric(m, i, &metric); i++)
		total += strlen(metric.name) + (metric.help ? strlen(metric.help) : 0);
	for (unsigned i = 0; manifest_offer(m, i, &offer); i++)
		total += strlen(offer.name) + *(const uint32_t *)offer.table;
	for (unsigned i = 0; manifest_need(m, i, &need); i++)
		total += strlen(need.name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char path[64], err[512] = "";
	int fd = memfd_create("module", MFD_CLOEXEC);

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	struct manifest *manifest = manifest_read(path, err, sizeof err);
	if (manifest)
		use(manifest);
	else if (!*err)
		abort();
	manifest_free(&manifest);
	close(fd);
	return 0;
}

#ifdef REPLAY
int main(int argc, char **argv)
{
	static uint8_t bytes[8 << 20];

	for (int i = 1; i < argc; i++) {
		FILE *in = fopen(argv[i], "rb");
		if (!in) {
			perror(argv[i]);
			return 1;
		}
		LLVMFuzzerTestOneInput(bytes, fread(bytes, 1, sizeof bytes, in));
		fclose(in);
	}
	return 0;
}
#endif
