// SPDX-License-Identifier: GPL-2.0-only
/*
 * The administrator's file: see conf.h.
 *
 * Concurrent changes: a command that changes the file locks it before it reads, until it has
 * written. The lock is on a second file beside the first. Only users who may change the file can
 * open the second file. So no other user can hold the lock. A command waits LOCK_WAIT_MS for the
 * lock. Editors ignore it.
 *
 * Symbolic links: the file's name may be a link. conf_lock() resolves it, once. So a command reads
 * and replaces the same file, even if the link changes meanwhile.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../../core/devtable.h"
#include "../print/message.h"
#include "conf.h"

#define LINKS_MAX	40
/* How long a command waits for the lock, and the interval between two attempts. */
#define LOCK_WAIT_MS	5000
#define LOCK_NAP_MS	50

static const char *file_name = CONF_FILE;

/**
 * conf_set_file() - use a file instead of CONF_FILE
 * @file: its name; the caller keeps the string
 */
void conf_set_file(const char *file)
{
	file_name = file;
}

/** conf_file() - the name of the file */
const char *conf_file(void)
{
	return file_name;
}

static int read_all(int fd, struct conf *conf)
{
	/* One byte more than the maximum: the parser must see that a text is too long. */
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
 * @conf: out: its contents; the caller frees @conf->text, except on failure
 * @file: its name
 *
 * Return: an exit status, after a message on failure; CTL_OK, too, if there is no such file
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
	return conf_read_file(conf, file_name);
}

/*
 * Resolve the file's name. It may be a symbolic link, whose target need not exist. @links: out: the
 * number of links.
 */
static int resolve(char path[PATH_MAX], unsigned int *links)
{
	char target[PATH_MAX], dir[PATH_MAX];
	ssize_t n;
	int len = snprintf(path, PATH_MAX, "%s", file_name);

	for (*links = 0; *links <= LINKS_MAX; ++*links) {
		if (len >= PATH_MAX)
			return -ENAMETOOLONG;
		n = readlink(path, target, sizeof(target) - 1);
		if (n < 0)
			/* It is no link, or does not exist. */
			return errno == EINVAL || errno == ENOENT ? 0 : -errno;
		target[n] = 0;
		memcpy(dir, path, PATH_MAX);
		len = *target == '/' ? snprintf(path, PATH_MAX, "%s", target)
				     : snprintf(path, PATH_MAX, "%s/%s", dirname(dir), target);
	}
	return -ELOOP;
}

static int directory_of(const char *path)
{
	char copy[PATH_MAX];
	int fd;

	snprintf(copy, sizeof(copy), "%s", path);
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* Check that @path is a regular file, or can become one. Returns an exit status. */
static int check_path(const char *path, unsigned int links)
{
	char copy[PATH_MAX];
	struct stat st;

	if (!stat(path, &st) && !S_ISREG(st.st_mode))
		return ctl_fail(CTL_FAILED, "%s is no regular file; --config names another", path);
	snprintf(copy, sizeof(copy), "%s", path);
	if (links && access(dirname(copy), F_OK))
		return ctl_fail(CTL_FAILED,
				"%s is a symbolic link to %s, whose directory does not exist; make the directory, or remove the link",
				file_name, path);
	if (!links && mkdir(dirname(copy), 0755) && errno != EEXIST)
		return ctl_fail_errno(-errno, "making the directory of %s", path);
	return CTL_OK;
}

/* Report which process holds the lock. Returns an exit status. */
static int say_held(const char *file, pid_t pid)
{
	char path[64], comm[64] = "";
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	fd = pid > 0 ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	if (fd >= 0) {
		n = read(fd, comm, sizeof(comm) - 1);
		comm[n > 0 ? n - 1 : 0] = 0;
		close(fd);
	}
	if (pid <= 0)
		return ctl_fail(CTL_FAILED,
				"another process is changing %s, and holds a lock on %s; try again later",
				file_name, file);
	return ctl_fail(CTL_FAILED,
			"process %d (%s) is changing %s, and holds a lock on %s; try again after it has exited",
			(int)pid, comm, file_name, file);
}

static int take_lock(int fd, const char *file)
{
	const struct timespec nap = { .tv_nsec = LOCK_NAP_MS * 1000000 };
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	for (unsigned int waited = 0; fcntl(fd, F_SETLK, &lock); waited += LOCK_NAP_MS) {
		if (errno != EAGAIN && errno != EACCES && errno != EINTR)
			return ctl_fail_errno(-errno, "locking %s", file);
		if (waited >= LOCK_WAIT_MS) {
			lock.l_pid = 0;
			fcntl(fd, F_GETLK, &lock);
			return say_held(file, lock.l_pid);
		}
		nanosleep(&nap, NULL);
	}
	return CTL_OK;
}

/**
 * conf_lock() - lock the file against other commands, and make its directory if there is none
 * @lock: out: the lock; the caller calls conf_unlock(), even after a failure
 *
 * Return: an exit status, after a message on failure
 */
int conf_lock(struct conf_lock *lock)
{
	char file[PATH_MAX], dir[PATH_MAX], base[PATH_MAX];
	unsigned int links;
	int ret = resolve(lock->path, &links), status;

	lock->fd = -1;
	if (ret)
		return ctl_fail_errno(ret, "finding %s", file_name);
	status = check_path(lock->path, links);
	if (status != CTL_OK)
		return status;
	memcpy(dir, lock->path, PATH_MAX);
	memcpy(base, lock->path, PATH_MAX);
	if (snprintf(file, sizeof(file), "%s/.%s.lock", dirname(dir), basename(base)) >= PATH_MAX)
		return ctl_fail_errno(-ENAMETOOLONG, "locking %s", lock->path);
	lock->fd = open(file, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	if (lock->fd < 0)
		return ctl_fail_errno(-errno, "making %s", file);
	return take_lock(lock->fd, file);
}

/** conf_unlock() - release the lock */
void conf_unlock(struct conf_lock *lock)
{
	if (lock->fd >= 0)
		close(lock->fd);
	lock->fd = -1;
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

/* Write the new file to disk, with mode and owner of the old one. Closes @fd. */
static int write_new(const char *path, int fd, const char *text, size_t len)
{
	struct stat st = { .st_mode = 0644 };
	int ret = 0;

	if (!stat(path, &st) && fchown(fd, st.st_uid, st.st_gid))
		ret = -errno;
	if (!ret && fchmod(fd, st.st_mode & 0777))
		ret = -errno;
	if (!ret)
		ret = write_all(fd, text, len);
	if (close(fd) && !ret)
		ret = -errno;
	return ret;
}

/**
 * conf_for_sysfs() - the text in the form that the module accepts
 * @conf: the text
 * @len: out: the length of the result
 *
 * The module takes a write of less than a page as the end of a text. So the last write must not be
 * a whole page. Where it would be, this function removes or appends a newline.
 *
 * Return: the text, which the caller frees; NULL: out of memory
 */
char *conf_for_sysfs(const struct conf *conf, size_t *len)
{
	char *text = malloc(conf->len + 1);

	if (!text)
		return NULL;
	memcpy(text, conf->text, conf->len);
	*len = conf->len;
	if (*len % sysconf(_SC_PAGESIZE))
		return text;
	if (*len && text[*len - 1] == '\n')
		--*len;
	else
		text[(*len)++] = '\n';
	return text;
}

/**
 * conf_write() - replace the file
 * @lock: of the file
 * @text: its new contents
 * @len: their length
 *
 * Return: 0; or a negative errno, and the file is unchanged
 */
int conf_write(const struct conf_lock *lock, const char *text, size_t len)
{
	char temp[PATH_MAX];
	int fd, ret;

	if (snprintf(temp, sizeof(temp), "%s.XXXXXX", lock->path) >= (int)sizeof(temp))
		return -ENAMETOOLONG;
	/* mkostemp() makes a new file under a new name: it follows no link. */
	fd = mkostemp(temp, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = write_new(lock->path, fd, text, len);
	if (!ret && rename(temp, lock->path))
		ret = -errno;
	if (ret) {
		unlink(temp);
		return ret;
	}
	/* Write the name to disk, too. The new file is already in place. */
	fd = directory_of(lock->path);
	if (fd >= 0) {
		fsync(fd);
		close(fd);
	}
	return 0;
}
