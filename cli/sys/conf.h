/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The administrator's device table: a file that people also edit by hand. iopfctl reads and
 * replaces the whole file. A reader sees either the old file or the new one.
 */
#ifndef CLI_CONF_H
#define CLI_CONF_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

/* The file, by default. */
#define CONF_FILE	"/etc/vfio-iopf/devices.conf"

/**
 * struct conf - the contents of the file
 * @text: the text and a NUL; the caller frees it
 * @len: its length
 * @missing: the file does not exist; @text is empty
 */
struct conf {
	char *text;
	size_t len;
	bool missing;
};

/**
 * struct conf_lock - the right to change the file
 * @fd: the open file that holds the lock; -1: none
 * @path: the file, without symbolic links
 */
struct conf_lock {
	int fd;
	char path[PATH_MAX];
};

void conf_set_file(const char *file);
const char *conf_file(void);
int conf_read(struct conf *conf);
int conf_read_file(struct conf *conf, const char *file);
char *conf_for_sysfs(const struct conf *conf, size_t *len);
int conf_write(const struct conf_lock *lock, const char *text, size_t len);
int conf_lock(struct conf_lock *lock);
void conf_unlock(struct conf_lock *lock);

#endif /* CLI_CONF_H */
