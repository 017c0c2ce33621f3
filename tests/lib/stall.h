/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Accesses to user space's memory that don't end until the test says so: each of those that the
 * ioctls of a container make, by a userfaultfd; memory that is pinned, by a file system in user
 * space (FUSE). And the check that nobody else waits for them.
 */
#ifndef TESTS_LIB_STALL_H
#define TESTS_LIB_STALL_H

#include "rig.h"

/* Devices that are needed: the owner's, the others', one that is unbound, one that joins. */
#define STALL_DEVICES	4

/**
 * stall_open() - the owner's container, device 0, and its memory; the file system
 * @r: out
 */
void stall_open(struct rig *r);

/** stall_close() - the end of it */
void stall_close(struct rig *r);

/** stall_count() - how many accesses there are */
unsigned int stall_count(void);

/** stall_name() - what an access is called */
const char *stall_name(unsigned int i);

/** stall_known() - whether an ioctl has an entry */
bool stall_known(unsigned long cmd);

/** stall_prepare() - have all that an access needs, before any memory is held that gets pinned */
void stall_prepare(struct rig *r, unsigned int i);

/** stall_begin() - have an access made by a thread, and wait until it is held; whether it is */
bool stall_begin(unsigned int i);

/** stall_release() - let it go on */
void stall_release(unsigned int i);

/** stall_end() - let it go on; what the ioctl returned, or a negative errno */
int stall_end(unsigned int i);

/** stall_want() - what it should return */
int stall_want(unsigned int i);

/** stall_reports() - whether it is in a report of dirty pages, of which there is one at a time */
bool stall_reports(unsigned int i);

/** stall_alone() - whether it takes all of the container's memory, also what others hold */
bool stall_alone(unsigned int i);

/** stall_joins() - whether it is a group that joins, device 3 */
bool stall_joins(unsigned int i);

/**
 * stall_others() - whether nobody waits for what is held
 * @r: the owner's
 * @seconds: after that somebody does
 *
 * Another thread of the owner asks about its container, an administrator writes to a file of that;
 * another process opens another device in another container, maps memory, has the device
 * fault, reads all of the backend's files, closes it, unbinds a third device and binds it again.
 */
bool stall_others(struct rig *r, unsigned int seconds);

/** stall_unbind_prepare() - have a process that can unbind a device, before anything is held */
void stall_unbind_prepare(const char *bdf);

/** stall_unbind() - it begins to */
void stall_unbind(void);

/** stall_unbound() - whether it has done so within some seconds */
bool stall_unbound(unsigned int seconds);

/** stall_over() - whether an access ends within some seconds, though it is not let go */
bool stall_over(unsigned int i, unsigned int seconds);

#endif /* TESTS_LIB_STALL_H */
