/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A table of the accesses to user space's memory that the ioctls of a container make: blocked.c.
 * An entry names the ioctl, and the place of the access in its structure or in its data.
 */
#ifndef TESTS_LIB_ACCESS_H
#define TESTS_LIB_ACCESS_H

#include <pthread.h>
#include <semaphore.h>

#include "rig.h"

#define BLOCKED_LEN	(2 * MiB)
#define OTHER_IOVA	(RIG_IOVA + 64 * MiB)	/* mapped to be unmapped */
#define FUSE_LEN	(16 * MEM_PAGE)	/* memory of the file system, of each access */

enum held {
	HEAD,		/* the kernel reads the first part of the structure */
	TAIL,		/* it reads the second part */
	OUT,		/* it writes to the first part */
	OUT_TAIL,	/* it writes to the second part */
	DATA,		/* it reads or writes the data that the structure points to */
	PINNED,		/* it pins memory of the file system */
};

struct blocked;

/**
 * struct access - an access
 * @what: its name
 * @cmd: the ioctl; 0: something else
 * @size: size of the structure
 * @split: size of its first part; 0: it has one part
 * @held: the access that is held
 * @fill: fills in the structure
 * @run: what is done instead of the ioctl
 * @want: the expected result
 * @reports: it makes a report of dirty pages
 * @joins: device 3 joins
 */
struct access {
	const char *what;
	unsigned long cmd;
	size_t size;
	size_t split;
	enum held held;
	void (*fill)(struct blocked *s, void *p);
	int (*run)(struct blocked *s);
	int want;
	bool reports;
	bool joins;
};

/* The table. The last entry has no name. */
extern const struct access blocked_accesses[];

/**
 * struct blocked - an access that is held
 * @a: the access
 * @r: the owner's rig
 * @thread: the thread that makes the access
 * @start: posted when the thread may begin
 * @page: two pages for the structure, two for data
 * @copy: the content of these pages
 * @held: the page that is held
 * @uffd: the userfaultfd that holds it
 * @mem: memory of the file system
 * @nr: number of the access
 * @released: the access is not held any more
 * @over: the access has ended
 * @result: result of the ioctl
 * @id: id of a request or lock that the access needs
 */
struct blocked {
	const struct access *a;
	struct rig *r;
	pthread_t thread;
	sem_t start;
	char *page;
	char *copy;
	char *held;
	int uffd;
	void *mem;
	unsigned int nr;
	bool released;
	bool over;
	int result;
	uint64_t id;
};

/* Memory of the owner: the first is for its device, the second is mapped to be unmapped. */
extern struct simbuf blocked_own, blocked_other;

/** access_fuse_iova() - the address at which memory of the file system is mapped for an access */
uint64_t access_fuse_iova(const struct blocked *s);

#endif /* TESTS_LIB_ACCESS_H */
