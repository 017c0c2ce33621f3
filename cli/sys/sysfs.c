// SPDX-License-Identifier: GPL-2.0-only
/*
 * sysfs below a root: see sysfs.h.
 *
 * Files may vanish at any moment: a container ends, a device is unplugged. Then the functions
 * return -ENOENT or -ENODEV, and the caller treats the file as absent.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../print/message.h"
#include "sysfs.h"

/* Maximum size of a file. The largest is the device table with the origin of each rule. */
#define SYSFS_MAX	(1024 * 1024)

static const char *root = "/sys";

/**
 * sysfs_set_root() - use a directory instead of /sys
 * @dir: the directory; the caller keeps the string
 */
void sysfs_set_root(const char *dir)
{
	root = dir;
}

/** sysfs_root() - the root directory */
const char *sysfs_root(void)
{
	return root;
}

static int make_path(char path[PATH_MAX], const char *fmt, va_list args)
{
	int n = snprintf(path, PATH_MAX, "%s/", root);

	if (n < PATH_MAX)
		n += vsnprintf(path + n, PATH_MAX - n, fmt, args);
	return n < PATH_MAX ? 0 : -ENAMETOOLONG;
}

/* Makes a path from fmt and the arguments behind it. Returns 0 or a negative errno. */
#define PATH_FROM(path) ({					\
	va_list args_;						\
	int ret_;						\
								\
	va_start(args_, fmt);					\
	ret_ = make_path(path, fmt, args_);			\
	va_end(args_);						\
	ret_;							\
})

/** sysfs_there() - whether the path exists */
bool sysfs_there(const char *fmt, ...)
{
	char path[PATH_MAX];

	return !PATH_FROM(path) && !access(path, F_OK);
}

/** sysfs_writable() - whether this user may write to the path */
bool sysfs_writable(const char *fmt, ...)
{
	char path[PATH_MAX];

	return !PATH_FROM(path) && !access(path, W_OK);
}

static int read_fd(int fd, char *buf, size_t size, size_t *len)
{
	*len = 0;
	while (*len < size) {
		ssize_t n = read(fd, buf + *len, size - *len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			return 0;
		*len += n;
	}
	return -EFBIG;
}

static int read_path(const char *path, char *buf, size_t size, size_t *len)
{
	/* Do not wait for a writer if the file is a pipe. */
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC), ret;

	if (fd < 0)
		return -errno;
	ret = read_fd(fd, buf, size, len);
	close(fd);
	return ret;
}

/* Reads a line of text without its newline, and appends a NUL. */
static int read_line(const char *path, char *buf, size_t size, size_t *len)
{
	int ret = read_path(path, buf, size, len);

	if (ret)
		*len = 0;
	while (*len && buf[*len - 1] == '\n')
		--*len;
	buf[*len] = 0;
	return ret;
}

/* Reads a line as read_line() does. A file that contains a NUL is an error. */
static int read_text(const char *path, char *buf, size_t size)
{
	size_t len;
	int ret = read_line(path, buf, size, &len);

	if (!ret && strlen(buf) != len)
		ret = -EINVAL;
	if (ret)
		buf[0] = 0;
	return ret;
}

/**
 * sysfs_read() - read the text of a small file, without the newline at its end
 * @buf: out: the text; "" on failure
 * @size: size of @buf
 * @fmt: path
 *
 * Return: 0 or a negative errno; -EINVAL: the file contains a NUL
 */
int sysfs_read(char *buf, size_t size, const char *fmt, ...)
{
	char path[PATH_MAX];
	int ret = PATH_FROM(path);

	buf[0] = 0;
	return ret ? ret : read_text(path, buf, size);
}

static int parse_u64(const char *text, uint64_t *value)
{
	char *end;

	/* strtoull() accepts a sign, and blanks. */
	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	*value = strtoull(text, &end, 0);
	return errno ? -errno : *end ? -EINVAL : 0;
}

/**
 * sysfs_read_u64() - read a number
 * @value: out: the number; 0 on failure
 * @fmt: path
 *
 * Return: 0 or a negative errno; -EINVAL: the file contains something else
 */
int sysfs_read_u64(uint64_t *value, const char *fmt, ...)
{
	char path[PATH_MAX], text[64];
	int ret = PATH_FROM(path);

	if (!ret)
		ret = read_text(path, text, sizeof(text));
	*value = 0;
	return ret ? ret : parse_u64(text, value);
}

/**
 * sysfs_read_all() - read a whole file of any size
 * @text: out: the text and a NUL; the caller frees it, except on failure
 * @len: out: its length
 * @fmt: path
 *
 * Return: 0 or a negative errno
 */
int sysfs_read_all(char **text, size_t *len, const char *fmt, ...)
{
	char path[PATH_MAX];
	int ret = PATH_FROM(path);

	if (ret)
		return ret;
	*text = malloc(SYSFS_MAX + 1);
	if (!*text)
		return -ENOMEM;
	ret = read_path(path, *text, SYSFS_MAX, len);
	if (ret)
		free(*text);
	else
		(*text)[*len] = 0;
	return ret;
}

/* sysfs accepts a value in one write(), and a text page by page. */
static int write_path(const char *path, const char *text, size_t len)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC | O_TRUNC), ret = 0;

	if (fd < 0)
		return -errno;
	while (len && !ret) {
		ssize_t n = write(fd, text, len);

		if (n > 0) {
			text += n;
			len -= n;
		} else if (!n || errno != EINTR) {
			ret = n ? -errno : -EIO;
		}
	}
	if (close(fd) && !ret)
		ret = -errno;
	return ret;
}

/**
 * sysfs_write() - write a value and a newline
 * @text: the value
 * @fmt: path
 *
 * Return: 0 or a negative errno: the kernel's, if the kernel rejects the value
 */
int sysfs_write(const char *text, const char *fmt, ...)
{
	char path[PATH_MAX], *line;
	int ret, len;

	ret = PATH_FROM(path);
	if (ret)
		return ret;
	len = asprintf(&line, "%s\n", text);
	if (len < 0)
		return -ENOMEM;
	ret = write_path(path, line, len);
	free(line);
	return ret;
}

/**
 * sysfs_write_all() - write a text unchanged
 * @text: the text
 * @len: its length
 * @fmt: path
 *
 * Return: 0 or a negative errno: the kernel's, if the kernel rejects the text
 */
int sysfs_write_all(const char *text, size_t len, const char *fmt, ...)
{
	char path[PATH_MAX];
	int ret = PATH_FROM(path);

	return ret ? ret : write_path(path, text, len);
}

/**
 * sysfs_link() - read the last component of the target of a symbolic link
 * @buf: out: the component; "" on failure
 * @size: size of @buf
 * @fmt: path
 *
 * Return: 0 or a negative errno
 */
int sysfs_link(char *buf, size_t size, const char *fmt, ...)
{
	char path[PATH_MAX], target[PATH_MAX];
	int ret = PATH_FROM(path);
	const char *name;
	ssize_t n;

	buf[0] = 0;
	if (ret)
		return ret;
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return -errno;
	target[n] = 0;
	name = strrchr(target, '/');
	name = name ? name + 1 : target;
	if (strlen(name) >= size)
		return -ENAMETOOLONG;
	memcpy(buf, name, strlen(name) + 1);
	return 0;
}

/**
 * sysfs_number() - read a number, or the word "max", as a JSON value
 * @fmt: path
 *
 * Return: a number or a string; NULL, JSON's null: the file is absent or contains something else
 */
struct json_object *sysfs_number(const char *fmt, ...)
{
	char path[PATH_MAX], text[64];
	uint64_t value;
	int ret = PATH_FROM(path);

	if (!ret)
		ret = read_text(path, text, sizeof(text));
	if (ret)
		return NULL;
	if (!strcmp(text, "max"))
		return json_object_new_string(text);
	return parse_u64(text, &value) ? NULL : json_object_new_uint64(value);
}

/**
 * sysfs_flag() - read a flag as a JSON value
 * @fmt: path
 *
 * Return: a boolean; NULL: the file is absent
 */
struct json_object *sysfs_flag(const char *fmt, ...)
{
	char path[PATH_MAX], text[64];
	int ret = PATH_FROM(path);

	if (!ret)
		ret = read_text(path, text, sizeof(text));
	return ret ? NULL : json_object_new_boolean(strcmp(text, "0") && strcmp(text, "N"));
}

/**
 * sysfs_text() - read a line of text as a JSON value
 * @fmt: path
 *
 * Return: a string of any bytes; NULL: the file is absent
 */
struct json_object *sysfs_text(const char *fmt, ...)
{
	char path[PATH_MAX], text[1024];
	size_t len;
	int ret = PATH_FROM(path);

	if (!ret)
		ret = read_line(path, text, sizeof(text), &len);
	return ret ? NULL : json_object_new_string_len(text, (int)len);
}

/**
 * sysfs_list() - list the entries of a directory that do not begin with a dot
 * @names: out: the names; sysfs_list_free() frees them, except on failure
 * @fmt: path
 *
 * Return: 0 or a negative errno
 */
int sysfs_list(struct sysfs_names *names, const char *fmt, ...)
{
	char path[PATH_MAX];
	struct dirent **found;
	int ret = PATH_FROM(path), n;

	*names = (struct sysfs_names){ 0 };
	if (ret)
		return ret;
	n = scandir(path, &found, NULL, versionsort);
	if (n < 0)
		return -errno;
	names->name = calloc(n + 1, sizeof(*names->name));
	ret = names->name ? 0 : -ENOMEM;
	for (int i = 0; i < n; i++) {
		if (!ret && found[i]->d_name[0] != '.') {
			names->name[names->nr] = strdup(found[i]->d_name);
			if (names->name[names->nr])
				names->nr++;
			else
				ret = -ENOMEM;
		}
		free(found[i]);
	}
	free(found);
	if (ret)
		sysfs_list_free(names);
	return ret;
}

/** sysfs_list_free() - free the names from sysfs_list() */
void sysfs_list_free(struct sysfs_names *names)
{
	for (unsigned int i = 0; i < names->nr; i++)
		free(names->name[i]);
	free(names->name);
	*names = (struct sysfs_names){ 0 };
}

/**
 * sysfs_need_module() - check that the module is loaded, and report if it is not
 *
 * Return: CTL_OK or CTL_NO_MODULE
 */
int sysfs_need_module(void)
{
	if (sysfs_there(SYSFS_IOPF))
		return CTL_OK;
	return ctl_fail(CTL_NO_MODULE,
			"the module vfio_iommu_iopf is not loaded (there is no %s/%s); run: modprobe vfio_iommu_iopf",
			root, SYSFS_IOPF);
}

/**
 * sysfs_check_name() - check that an argument can be the name of a directory
 * @name: the argument
 *
 * Return: 0; -EINVAL: it would lead to another directory
 */
int sysfs_check_name(const char *name)
{
	return *name && *name != '.' && !strchr(name, '/') && strlen(name) <= NAME_MAX ? 0
										      : -EINVAL;
}

/**
 * sysfs_check_number() - check that an argument can be the number of a container
 * @name: the argument
 *
 * Return: 0 or -EINVAL
 */
int sysfs_check_number(const char *name)
{
	size_t len = strlen(name);

	return len && len < 20 && strspn(name, "0123456789") == len ? 0 : -EINVAL;
}
