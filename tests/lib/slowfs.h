/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A file system in user space (FUSE) with one file. Reads of the file wait until the test releases
 * them. So a fault on a mapping of the file also waits.
 *
 * Needs the module fuse (vm: --module fuse).
 */
#ifndef TESTS_LIB_SLOWFS_H
#define TESTS_LIB_SLOWFS_H

#include <stdbool.h>
#include <stddef.h>

/** slowfs_start() - mount the file system; it answers reads at once, with zeros */
void slowfs_start(void);

/** slowfs_stop() - stop the file system; reads that wait get an error */
void slowfs_stop(void);

/** slowfs_mem() - a private mapping of the @nr-th part of @len bytes of the file, untouched */
void *slowfs_mem(unsigned int nr, size_t len);

/** slowfs_hold() - let reads wait from now on */
void slowfs_hold(void);

/** slowfs_held() - wait until one more read waits; returns whether a read waits */
bool slowfs_held(void);

/** slowfs_release() - answer the reads that wait, and all later ones */
void slowfs_release(void);

#endif /* TESTS_LIB_SLOWFS_H */
