/*
 * conf_secret.c - values that are never shown, and files that hold them.
 */
#include "config.h"

#include "conf_secret.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECRET_MAX 4096

static const char *refuse(const struct conf_check *c, const struct conf_node *node,
			  const char *path, const char *file, const char *why)
{
	report_error(c->reports, node->place, "%s: %s %s", path, file, why);
	return NULL;
}

static const char *first_line(const struct conf_check *c, int fd, const struct conf_node *node,
			      const char *path, const char *file)
{
	char text[SECRET_MAX + 1];
	struct stat st;

	if (fstat(fd, &st) < 0)
		return refuse(c, node, path, file, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return refuse(c, node, path, file, "is not a regular file");
	if (st.st_mode & (S_IROTH | S_IWGRP | S_IWOTH))
		return refuse(c, node, path, file,
			      "may be read by everybody or written by others: chmod 600 it");
	ssize_t n = read(fd, text, SECRET_MAX + 1);
	if (n < 0)
		return refuse(c, node, path, file, strerror(errno));
	if (n > SECRET_MAX || memchr(text, '\0', (size_t)n))
		n = 0;
	text[n] = '\0';
	size_t length = strcspn(text, "\r\n");
	if (!length)
		return refuse(c, node, path, file,
			      "does not hold a secret: expected one line of text");
	const char *secret = arena_strndup(c->arena, text, length);
	explicit_bzero(text, sizeof text);
	return secret;
}

const char *conf_secret_file(const struct conf_check *c, struct conf_node *map, const char *path)
{
	struct conf_node *node = map->first;
	const char *word;

	if (!node || node->next || strcmp(node->key, "file") || node->kind != CONF_TEXT) {
		report_error(c->reports, map->place,
			     "%s: expected the secret, or {file: PATH} and nothing else", path);
		return NULL;
	}
	const char *file = conf_path(c->arena, c->dirs, node->text, node->place.file, &word);
	if (!file)
		return refuse(c, node, path, word, "is no directory of an instance");
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return refuse(c, node, path, file,
			      arena_printf(c->arena, "cannot be read: %s", strerror(errno)));
	const char *secret = first_line(c, fd, node, path, file);
	close(fd);
	return secret;
}

void conf_secret_inline(const struct conf_check *c, const struct conf_node *node, const char *path)
{
	struct stat st;

	if (node->place.file && !stat(node->place.file, &st) && (st.st_mode & S_IROTH))
		report_warning(c->reports, node->place,
			       "%s: this secret can be read by everybody: chmod 640 the file, or "
			       "write {file: PATH}",
			       path);
}
