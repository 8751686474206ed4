/*
 * fuzz_conf.c - whatever stands in a configuration file: reading, mending, checking by rows.
 *
 * Begin with: fuzz_conf -dict=tests/fuzz/conf.dict DIR tests/fuzz/conf. With libFuzzer, or compiled
 * with -DREPLAY to run given files. Includes are left out: they would read the machine's files.
 */
#include "conf_check.h"
#include "conf_rows.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

extern const struct pstn_module pstn_module; /* tests/modules/good.c */

static void judge_report(void *arg, bool is_error, const char *text)
{
	(void)arg;
	(void)is_error;
	for (const unsigned char *p = (const unsigned char *)text; *p; p++)
		if (*p < 0x20 || *p == 0x7f)
			abort(); /* what the file contains must not steer a terminal */
}

static void check_map(struct arena *arena, struct reports *reports, const struct dirs *dirs,
		      const struct pstn_module *module, struct conf_node *map)
{
	struct conf_check check = {
	    .arena = arena, .reports = reports, .dirs = dirs, .module = module};
	void *conf = arena_alloc(arena, module->conf_size);

	if (map && map->kind != CONF_MAP)
		map = NULL;
	conf_check_map(&check, module->options, map, (struct place){0}, conf, module->name, NULL);
}

static void read_and_check(const char *path, const struct dirs *dirs)
{
	struct arena *arena = arena_new();
	struct reports *reports = reports_new();
	struct conf_node *root = conf_read(path, arena, reports);

	if (!root && !reports_errors(reports))
		abort();
	check_map(arena, reports, dirs, &conf_server, conf_node_find(root, "server"));
	check_map(arena, reports, dirs, &pstn_module, conf_node_find(root, "good"));
	reports_each(reports, judge_report, NULL);
	reports_free(&reports);
	arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dirs dirs;
	char path[64];

	if (memmem(data, size, "include", 7) || memmem(data, size, "file", 4))
		return 0;
	int fd = memfd_create("conf", MFD_CLOEXEC);
	if (fd < 0 || write(fd, data, size) != (ssize_t)size || dirs_init(&dirs, "/x", NULL))
		abort();
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	read_and_check(path, &dirs);
	dirs_clear(&dirs);
	close(fd);
	return 0;
}

#ifdef REPLAY
int main(int argc, char **argv)
{
	static uint8_t bytes[2 << 20];

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
