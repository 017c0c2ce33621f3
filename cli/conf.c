// SPDX-License-Identifier: GPL-2.0-only
/*
 * The administrator's file: see conf.h.
 *
 * Two commands that change it at once: the directory is locked from reading to writing. An editor
 * does not know of that lock; it is warned by nobody, as with any file.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../core/devtable.h"
#include "cmd.h"
#include "conf.h"

static int read_all(int fd, struct conf *conf)
{
	/* One more than the greatest: what is too long is to be noticed, not cut. */
	const size_t room = IOPF_DEVTABLE_MAX_TEXT + 1;

	conf->text = malloc(room + 1);
	if (!conf->text)
		return -ENOMEM;
	conf->len = 0;
	while (conf->len < room) {
		ssize_t n = read(fd, conf->text + conf->len, room - conf->len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			break;
		conf->len += n;
	}
	conf->text[conf->len] = 0;
	return 0;
}

/**
 * conf_read_file() - read a file of rules
 * @conf: out: the file; @conf->text is to be freed if CTL_OK is returned
 * @file: its name
 *
 * Return: CTL_OK, also when there is none; or what it said is wrong.
 */
int conf_read_file(struct conf *conf, const char *file)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC), ret;

	*conf = (struct conf){ 0 };
	if (fd < 0 && errno != ENOENT)
		return ctl_fail_errno(-errno, "reading %s", file);
	if (fd < 0) {
		conf->missing = true;
		conf->text = calloc(1, 1);
		return conf->text ? CTL_OK : ctl_fail_errno(-ENOMEM, "reading %s", file);
	}
	ret = read_all(fd, conf);
	close(fd);
	if (!ret)
		return CTL_OK;
	free(conf->text);
	return ctl_fail_errno(ret, "reading %s", file);
}

/** conf_read() - conf_read_file() of the administrator's file */
int conf_read(struct conf *conf)
{
	return conf_read_file(conf, ctl.config);
}

/* The file itself, where it is a symbolic link: that is to stay one. */
static int resolve(char path[PATH_MAX])
{
	if (realpath(ctl.config, path))
		return 0;
	if (errno != ENOENT)
		return -errno;
	return snprintf(path, PATH_MAX, "%s", ctl.config) < PATH_MAX ? 0 : -ENAMETOOLONG;
}

static int directory_of(const char *path)
{
	char copy[PATH_MAX];
	int fd;

	snprintf(copy, sizeof(copy), "%s", path);
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/**
 * conf_lock() - keep other commands from changing the file; make its directory if there is none
 *
 * Return: a descriptor for conf_unlock(); or a negative errno.
 */
int conf_lock(void)
{
	char path[PATH_MAX], copy[PATH_MAX];
	int fd, ret = resolve(path);

	if (ret)
		return ret;
	snprintf(copy, sizeof(copy), "%s", path);
	if (mkdir(dirname(copy), 0755) && errno != EEXIST)
		return -errno;
	fd = directory_of(path);
	if (fd < 0)
		return fd;
	if (flock(fd, LOCK_EX)) {
		ret = -errno;
		close(fd);
		return ret;
	}
	return fd;
}

/** conf_unlock() - the reverse */
void conf_unlock(int lock)
{
	close(lock);
}

static int write_all(int fd, const char *text, size_t len)
{
	while (len) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		text += n;
		len -= n;
	}
	return fsync(fd) ? -errno : 0;
}

/* A new file with the old one's mode and owner, complete and on disk. */
static int write_new(const char *temp, int fd, const char *path, const char *text, size_t len)
{
	struct stat st = { .st_mode = 0644 };
	int ret;

	if (!stat(path, &st) && fchown(fd, st.st_uid, st.st_gid))
		return -errno;
	if (fchmod(fd, st.st_mode & 0777))
		return -errno;
	ret = write_all(fd, text, len);
	if (ret)
		return ret;
	return rename(temp, path) ? -errno : 0;
}

/**
 * conf_write() - replace the file, under conf_lock()
 * @text: what is to be in it
 * @len: its length
 *
 * Return: 0; or a negative errno, and the file is as it was.
 */
int conf_write(const char *text, size_t len)
{
	char path[PATH_MAX], temp[PATH_MAX];
	int fd, ret = resolve(path);

	if (ret)
		return ret;
	if (snprintf(temp, sizeof(temp), "%s.XXXXXX", path) >= (int)sizeof(temp))
		return -ENAMETOOLONG;
	fd = mkostemp(temp, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = write_new(temp, fd, path, text, len);
	close(fd);
	if (ret) {
		unlink(temp);
		return ret;
	}
	/* The name is on disk as well. It is in place in any case. */
	fd = directory_of(path);
	if (fd >= 0) {
		fsync(fd);
		close(fd);
	}
	return 0;
}
