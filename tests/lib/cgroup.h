/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Memory, hugetlb, I/O and cpuset cgroups (v2), below the root: to put a tenant into one, and to
 * read what was charged to it.
 */
#ifndef TESTS_LIB_CGROUP_H
#define TESTS_LIB_CGROUP_H

#include <stdbool.h>
#include <sys/types.h>

#define CGROUP_ROOT	"/sys/fs/cgroup"

/** cgroup_use() - controllers, as in "+memory +io"; bails out when there are none */
void cgroup_use(const char *controllers);

/** cgroup_has() - whether the kernel has a controller, as in "cpu" */
bool cgroup_has(const char *controller);

/** cgroup_make() - make a cgroup; one that is there already will do */
void cgroup_make(const char *name);

/** cgroup_remove() - remove it; its processes have ended, or are about to */
void cgroup_remove(const char *name);

/** cgroup_try() - write to a file of it; 0 or a negative errno */
int cgroup_try(const char *name, const char *file, const char *text);

/** cgroup_set() - the same, bails out on failure */
void cgroup_set(const char *name, const char *file, const char *text);

/** cgroup_enter() - the calling process, with all its threads, goes there; NULL: to the root */
void cgroup_enter(const char *name);

/** cgroup_read() - the number in a file of it; -1 when there is none ("max") */
long cgroup_read(const char *name, const char *file);

/** cgroup_field() - the number after a word in a file of it, as in memory.stat; -1: not there */
long cgroup_field(const char *name, const char *file, const char *field);

/** cgroup_io() - a field of its io.stat for a disk, as in "rbytes"; 0: not there */
long cgroup_io(const char *name, dev_t disk, const char *field);

/** cgroup_disk() - the disk that a file is on, as io.max names it; @text has room for 32 bytes */
dev_t cgroup_disk(int fd, char *text);

#endif /* TESTS_LIB_CGROUP_H */
