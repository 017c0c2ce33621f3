/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Memory, hugetlb, I/O and cpuset cgroups (v2), below the root. A test puts a tenant into a cgroup,
 * and reads its charges.
 */
#ifndef TESTS_LIB_CGROUP_H
#define TESTS_LIB_CGROUP_H

#include <stdbool.h>
#include <sys/types.h>

#define CGROUP_ROOT	"/sys/fs/cgroup"

/** cgroup_use() - enable controllers, such as "+memory +io"; bails out on failure */
void cgroup_use(const char *controllers);

/** cgroup_has() - whether the kernel has a controller, as in "cpu" */
bool cgroup_has(const char *controller);

/** cgroup_make() - make a cgroup, unless it exists */
void cgroup_make(const char *name);

/** cgroup_remove() - remove a cgroup; its processes have ended, or end soon */
void cgroup_remove(const char *name);

/** cgroup_try() - write to a file of a cgroup; 0 or a negative errno */
int cgroup_try(const char *name, const char *file, const char *text);

/** cgroup_set() - the same, bails out on failure */
void cgroup_set(const char *name, const char *file, const char *text);

/** cgroup_enter() - move this process with all its threads into a cgroup; NULL: into the root */
void cgroup_enter(const char *name);

/** cgroup_read() - read a number from a file of a cgroup; -1: it is not a number ("max") */
long cgroup_read(const char *name, const char *file);

/** cgroup_field() - read the number after a word in a file, such as memory.stat; -1: absent */
long cgroup_field(const char *name, const char *file, const char *field);

/** cgroup_io() - read a field of io.stat for a disk, such as "rbytes"; 0: absent */
long cgroup_io(const char *name, dev_t disk, const char *field);

/** cgroup_disk() - the disk of a file, named as in io.max; @text has room for 32 bytes */
dev_t cgroup_disk(int fd, char *text);

#endif /* TESTS_LIB_CGROUP_H */
