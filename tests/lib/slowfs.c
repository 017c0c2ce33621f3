// SPDX-License-Identifier: GPL-2.0-only
/*
 * A file system in user space (FUSE): see slowfs.h. A separate process serves its one file.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mem.h"
#include "slowfs.h"
#include "tap.h"

/* FUSE's error for a request that the file system does not know. */
#define FUSE_MISSING	38
#define SLOWFS_DIR	"/tmp/slowfs"

static pid_t fuse_pid;
/* Pipes: the process reports reads that wait, and gets commands. */
static int fuse_reads, fuse_go;

static void fuse_reply(int fd, uint64_t unique, int error, const void *data, size_t len)
{
	char buf[sizeof(struct fuse_out_header) + 65536];
	struct fuse_out_header head = {
		.len = (uint32_t)(sizeof(head) + len),
		.error = error,
		.unique = unique,
	};

	memcpy(buf, &head, sizeof(head));
	if (len)
		memcpy(buf + sizeof(head), data, len);
	if (write(fd, buf, head.len) < 0 && errno != ENOENT)
		_exit(3);
}

static struct fuse_attr fuse_attr(uint64_t node)
{
	return (struct fuse_attr){
		.ino = node,
		.nlink = 1,
		.blksize = MEM_PAGE,
		.mode = node == 1 ? S_IFDIR | 0755 : S_IFREG | 0666,
		.size = node == 1 ? 0 : 8 * MiB,
	};
}

/* The reads that wait. */
static struct {
	uint64_t unique;
	uint32_t size;
} fuse_waits[64];
static unsigned int fuse_nr;
static bool fuse_hold;

static void fuse_read(int fd, uint64_t unique, uint32_t size)
{
	static const char zero[65536];

	fuse_reply(fd, unique, 0, zero, size);
}

static void fuse_answer(int fd, const struct fuse_in_header *in, int told)
{
	const struct fuse_read_in *rd = (const void *)(in + 1);
	struct fuse_init_out init = {
		.major = 7,
		.minor = 31,
		.max_write = MEM_PAGE,
		.max_background = 16,
		.congestion_threshold = 12,
	};
	struct fuse_entry_out entry = {
		.nodeid = 2,
		.attr_valid = 1000,
		.entry_valid = 1000,
		.attr = fuse_attr(2),
	};
	struct fuse_attr_out attr = { .attr_valid = 1000, .attr = fuse_attr(in->nodeid) };
	struct fuse_open_out opened = { .fh = 1 };
	char c = 0;

	switch (in->opcode) {
	case FUSE_INIT:
		fuse_reply(fd, in->unique, 0, &init, sizeof(init));
		break;
	case FUSE_LOOKUP:
		fuse_reply(fd, in->unique, 0, &entry, sizeof(entry));
		break;
	case FUSE_GETATTR:
		fuse_reply(fd, in->unique, 0, &attr, sizeof(attr));
		break;
	case FUSE_OPEN:
		fuse_reply(fd, in->unique, 0, &opened, sizeof(opened));
		break;
	case FUSE_READ:
		if (!fuse_hold) {
			fuse_read(fd, in->unique, rd->size);
			break;
		}
		if (fuse_nr == sizeof(fuse_waits) / sizeof(*fuse_waits) || write(told, &c, 1) != 1)
			_exit(2);
		fuse_waits[fuse_nr].unique = in->unique;
		fuse_waits[fuse_nr++].size = rd->size;
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		break;
	default:
		fuse_reply(fd, in->unique, -FUSE_MISSING, NULL, 0);
	}
}

/* Execute a command. 'h': hold later reads; otherwise: answer held reads and later reads. */
static void fuse_command(int fd, int go)
{
	char c;

	if (read(go, &c, 1) != 1)
		_exit(0);
	fuse_hold = c == 'h';
	if (fuse_hold)
		return;
	while (fuse_nr) {
		fuse_nr--;
		fuse_read(fd, fuse_waits[fuse_nr].unique, fuse_waits[fuse_nr].size);
	}
}

static void fuse_serve(int fd, int told, int go)
{
	static char buf[1 << 17];
	struct pollfd fds[2] = { { .fd = go, .events = POLLIN }, { .fd = fd, .events = POLLIN } };

	for (;;) {
		if (poll(fds, 2, -1) < 0)
			continue;
		if (fds[0].revents)
			fuse_command(fd, go);
		else if (read(fd, buf, sizeof(buf)) >= (ssize_t)sizeof(struct fuse_in_header))
			fuse_answer(fd, (void *)buf, told);
		else if (errno == ENODEV)
			_exit(0);
		else if (errno == EPERM)
			/* The file system is not mounted yet. */
			usleep(1000);
	}
}

void slowfs_start(void)
{
	int told[2], go[2], fd;
	char options[128];

	fd = must_sys(open("/dev/fuse", O_RDWR));
	must_sys(pipe(told));
	must_sys(pipe(go));
	fuse_pid = must_sys(fork());
	if (!fuse_pid) {
		close(go[1]);
		close(told[0]);
		fuse_serve(fd, told[1], go[0]);
	}
	snprintf(options, sizeof(options), "fd=%d,rootmode=40755,user_id=0,group_id=0", fd);
	(void)mkdir(SLOWFS_DIR, 0755);
	must_sys(mount("slowfs", SLOWFS_DIR, "fuse", 0, options));
	close(fd);
	close(told[1]);
	close(go[0]);
	fuse_reads = told[0];
	fuse_go = go[1];
}

void slowfs_stop(void)
{
	must_sys(umount2(SLOWFS_DIR, MNT_DETACH));
	kill(fuse_pid, SIGKILL);
	waitpid(fuse_pid, NULL, 0);
	close(fuse_reads);
	close(fuse_go);
}

void *slowfs_mem(unsigned int nr, size_t len)
{
	off_t at = (off_t)(nr * len);
	void *mem;
	int fd;

	fd = must_sys(open(SLOWFS_DIR "/f", O_RDWR));
	mem = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, at);
	must_be(mem != MAP_FAILED);
	must_be(!posix_fadvise(fd, at, (off_t)len, POSIX_FADV_DONTNEED));
	close(fd);
	return mem;
}

void slowfs_hold(void)
{
	struct pollfd told = { .fd = fuse_reads, .events = POLLIN };
	char c;

	/* Drop earlier reports of reads. */
	while (poll(&told, 1, 0) == 1)
		must_be(read(fuse_reads, &c, 1) == 1);
	c = 'h';
	must_be(write(fuse_go, &c, 1) == 1);
}

bool slowfs_held(void)
{
	char c;

	return read(fuse_reads, &c, 1) == 1;
}

void slowfs_release(void)
{
	char c = 'g';

	must_be(write(fuse_go, &c, 1) == 1);
}
