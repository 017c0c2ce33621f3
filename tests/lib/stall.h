/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Accesses to user space's memory that do not end until the test releases them. A userfaultfd holds
 * each access that an ioctl of a container makes. A file system in user space (FUSE) holds memory
 * that is being pinned. Meanwhile the test checks that nobody else waits.
 */
#ifndef TESTS_LIB_STALL_H
#define TESTS_LIB_STALL_H

#include "rig.h"

/* Devices: one of the owner, one of another process, one to unbind, one to join. */
#define STALL_DEVICES	4

/**
 * stall_open() - open the owner's container with device 0, map memory, mount the file system
 * @r: out
 */
void stall_open(struct rig *r);

/** stall_close() - undo stall_open() */
void stall_close(struct rig *r);

/** stall_count() - number of accesses */
unsigned int stall_count(void);

/** stall_name() - name of an access */
const char *stall_name(unsigned int i);

/** stall_known() - whether the table has an ioctl */
bool stall_known(unsigned long cmd);

/** stall_prepare() - prepare an access, before memory that is being pinned is held */
void stall_prepare(struct rig *r, unsigned int i);

/** stall_begin() - let a thread make an access, and wait until it is held; true: it is held */
bool stall_begin(unsigned int i);

/** stall_release() - let an access go on */
void stall_release(unsigned int i);

/** stall_end() - let an access end; return the result of the ioctl, or a negative errno */
int stall_end(unsigned int i);

/** stall_want() - the result that stall_end() should return */
int stall_want(unsigned int i);

/** stall_reports() - whether it is part of a report of dirty pages; only one can be under way */
bool stall_reports(unsigned int i);

/** stall_alone() - whether it pins all memory of the container, also memory that is held */
bool stall_alone(unsigned int i);

/** stall_joins() - whether device 3 joins the container */
bool stall_joins(unsigned int i);

/**
 * stall_others() - whether nobody waits for the accesses that are held
 * @r: the owner's rig
 * @seconds: a longer wait is a failure
 *
 * A child of the owner queries the container, and writes to a file of it in sysfs. Then it opens
 * another device in another container, maps memory, lets the device fault, reads all files of the
 * backend, closes the device, unbinds a third device and binds it again.
 */
bool stall_others(struct rig *r, unsigned int seconds);

/** stall_unbind_prepare() - fork a process that can unbind a device, before anything is held */
void stall_unbind_prepare(const char *bdf);

/** stall_unbind() - let that process begin */
void stall_unbind(void);

/** stall_unbound() - whether it succeeds within some seconds */
bool stall_unbound(unsigned int seconds);

/** stall_over() - whether an access ends within some seconds, although it is held */
bool stall_over(unsigned int i, unsigned int seconds);

#endif /* TESTS_LIB_STALL_H */
