/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A file system in user space (FUSE) with a file whose reads wait until the test says so: memory
 * that is read from it takes as long as the test likes.
 *
 * Needs the module fuse (vm: --module fuse).
 */
#ifndef TESTS_LIB_SLOWFS_H
#define TESTS_LIB_SLOWFS_H

#include <stdbool.h>
#include <stddef.h>

/** slowfs_start() - mount it; reads are answered at once, with zeros */
void slowfs_start(void);

/** slowfs_stop() - the end of it; who waits gets an error */
void slowfs_stop(void);

/** slowfs_mem() - a private mapping of @len bytes, the @nr-th of such parts, not read yet */
void *slowfs_mem(unsigned int nr, size_t len);

/** slowfs_hold() - reads wait from now on */
void slowfs_hold(void);

/** slowfs_held() - wait until one more read waits; whether there is one */
bool slowfs_held(void);

/** slowfs_release() - answer those that wait, and all that come */
void slowfs_release(void);

#endif /* TESTS_LIB_SLOWFS_H */
