/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * sysfs: reads and writes below a root. The root is /sys by default. Tests set it to a tree of
 * plain files.
 *
 * Paths are printf formats, relative to the root. SYSFS_IOPF is the module's directory.
 */
#ifndef CLI_SYSFS_H
#define CLI_SYSFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <json-c/json.h>

#define SYSFS_IOPF		"kernel/vfio_iopf"
#define SYSFS_CONTAINERS	SYSFS_IOPF "/containers"
#define SYSFS_DEVICES		SYSFS_IOPF "/devices"
#define SYSFS_TABLE		SYSFS_IOPF "/device_table"
#define SYSFS_PCI		"bus/pci/devices"

#define SYSFS_PRINTF(fmt, args)	__attribute__((format(printf, fmt, args)))

void sysfs_set_root(const char *root);
const char *sysfs_root(void);

bool sysfs_there(const char *fmt, ...) SYSFS_PRINTF(1, 2);
bool sysfs_writable(const char *fmt, ...) SYSFS_PRINTF(1, 2);
int sysfs_read(char *buf, size_t size, const char *fmt, ...) SYSFS_PRINTF(3, 4);
int sysfs_read_u64(uint64_t *value, const char *fmt, ...) SYSFS_PRINTF(2, 3);
int sysfs_read_all(char **text, size_t *len, const char *fmt, ...) SYSFS_PRINTF(3, 4);
int sysfs_write(const char *text, const char *fmt, ...) SYSFS_PRINTF(2, 3);
int sysfs_write_all(const char *text, size_t len, const char *fmt, ...) SYSFS_PRINTF(3, 4);
int sysfs_link(char *buf, size_t size, const char *fmt, ...) SYSFS_PRINTF(3, 4);
struct json_object *sysfs_number(const char *fmt, ...) SYSFS_PRINTF(1, 2);
struct json_object *sysfs_flag(const char *fmt, ...) SYSFS_PRINTF(1, 2);
struct json_object *sysfs_text(const char *fmt, ...) SYSFS_PRINTF(1, 2);

/**
 * struct sysfs_names - the entries of a directory, in the order of versionsort()
 * @nr: number of names
 * @name: the names
 */
struct sysfs_names {
	unsigned int nr;
	char **name;
};

int sysfs_list(struct sysfs_names *names, const char *fmt, ...) SYSFS_PRINTF(2, 3);
void sysfs_list_free(struct sysfs_names *names);

int sysfs_need_module(void);
int sysfs_check_name(const char *name);
int sysfs_check_number(const char *name);

#endif /* CLI_SYSFS_H */
