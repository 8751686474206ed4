/*
 * dirs.h - where an instance keeps what is its own.
 *
 * `--directory DIR` puts everything below DIR: DIR/postern.yaml, DIR/state, DIR/run, DIR/log.
 * Without it: the configured prefix' etc/postern/postern.yaml, /var/lib/postern, /run/postern,
 * /var/log/postern. All paths are absolute.
 */
#ifndef CORE_DIRS_H
#define CORE_DIRS_H

struct dirs {
	char *config_file; /* the YAML file */
	char *config;      /* the directory it is in */
	char *state, *run, *log;
	char *modules; /* where module files are looked for; server.module_directory overrides */
};

/* directory and config_file may be NULL; a relative path counts from the working directory. */
int dirs_init(struct dirs *, const char *directory, const char *config_file);
void dirs_clear(struct dirs *);

#endif
