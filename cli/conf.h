/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The administrator's device table, a file that people edit as well: read as a whole, and replaced
 * as a whole, so that whoever reads it sees the old one or the new one.
 */
#ifndef CLI_CONF_H
#define CLI_CONF_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

/**
 * struct conf - the file
 * @text: what is in it, with a NUL after it; to be freed
 * @len: its length
 * @missing: there is no such file; @text is empty
 */
struct conf {
	char *text;
	size_t len;
	bool missing;
};

/**
 * struct conf_lock - the right to change the file
 * @fd: holds the lock; -1: there is none
 * @path: the file, behind all symbolic links
 */
struct conf_lock {
	int fd;
	char path[PATH_MAX];
};

int conf_read(struct conf *conf);
int conf_read_file(struct conf *conf, const char *file);
int conf_write(const struct conf_lock *lock, const char *text, size_t len);
int conf_lock(struct conf_lock *lock);
void conf_unlock(struct conf_lock *lock);

#endif /* CLI_CONF_H */
