// SPDX-License-Identifier: GPL-2.0-only
/*
 * The administrator's file: see conf.h.
 *
 * Two commands that change it at once: a file beside it is locked from reading to writing. Only
 * who may change the file can open that one, so nobody else can keep it locked. Even so nobody
 * waits for long. An editor does not know of that lock; it is warned by nobody, as with any file.
 *
 * The name may be a symbolic link. It is followed once, when the lock is taken: what is read and
 * what is replaced is the same file, whatever becomes of the link meanwhile.
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

#include "../core/devtable.h"
#include "cmd.h"
#include "conf.h"

#define LINKS_MAX	40
/* For how long somebody else may have the lock, and how often we look. */
#define LOCK_WAIT_MS	5000
#define LOCK_NAP_MS	50

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

/*
 * Find the file itself where its name is a symbolic link, which is to stay one; also where that
 * points to nothing. @links is how many there were.
 */
static int resolve(char path[PATH_MAX], unsigned int *links)
{
	char target[PATH_MAX], dir[PATH_MAX];
	ssize_t n;
	int len = snprintf(path, PATH_MAX, "%s", ctl.config);

	for (*links = 0; *links <= LINKS_MAX; ++*links) {
		if (len >= PATH_MAX)
			return -ENAMETOOLONG;
		n = readlink(path, target, sizeof(target) - 1);
		if (n < 0)
			/* No link, or nothing at all. */
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

/* See that @path is, or can become, a file that may be replaced. Returns an exit status. */
static int check_path(const char *path, unsigned int links)
{
	char copy[PATH_MAX];
	struct stat st;

	if (!stat(path, &st) && !S_ISREG(st.st_mode))
		return ctl_fail(CTL_FAILED, "%s is no regular file; --config gives another", path);
	snprintf(copy, sizeof(copy), "%s", path);
	if (links && access(dirname(copy), F_OK))
		return ctl_fail(CTL_FAILED,
				"%s is a symbolic link to %s, whose directory is not there; make that, or remove the link",
				ctl.config, path);
	if (!links && mkdir(dirname(copy), 0755) && errno != EEXIST)
		return ctl_fail_errno(-errno, "making the directory of %s", path);
	return CTL_OK;
}

/* Say who has the lock. Returns an exit status. */
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
				"somebody else is changing %s, and keeps %s locked; try again later",
				ctl.config, file);
	return ctl_fail(CTL_FAILED,
			"process %d (%s) is changing %s, and keeps %s locked; try again when it has ended",
			(int)pid, comm, ctl.config, file);
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
 * conf_lock() - keep other commands from changing the file; make its directory if there is none
 * @lock: out: to be given to conf_unlock() in any case
 *
 * Return: CTL_OK; or what it said is wrong.
 */
int conf_lock(struct conf_lock *lock)
{
	char file[PATH_MAX], dir[PATH_MAX], base[PATH_MAX];
	unsigned int links;
	int ret = resolve(lock->path, &links), status;

	lock->fd = -1;
	if (ret)
		return ctl_fail_errno(ret, "finding %s", ctl.config);
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

/** conf_unlock() - the reverse */
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

/* A new file with the old one's mode and owner, complete and on disk. Closes @fd. */
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
 * conf_write() - replace the file
 * @lock: of the file
 * @text: what is to be in it
 * @len: its length
 *
 * Return: 0; or a negative errno, and the file is as it was.
 */
int conf_write(const struct conf_lock *lock, const char *text, size_t len)
{
	char temp[PATH_MAX];
	int fd, ret;

	if (snprintf(temp, sizeof(temp), "%s.XXXXXX", lock->path) >= (int)sizeof(temp))
		return -ENAMETOOLONG;
	/* A name that nobody knew before, and a file that is new: no link is followed. */
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
	/* The name is on disk as well. It is in place in any case. */
	fd = directory_of(lock->path);
	if (fd >= 0) {
		fsync(fd);
		close(fd);
	}
	return 0;
}
