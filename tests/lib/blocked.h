/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Accesses to user space's memory that block until the test releases them. A userfaultfd holds
 * each access that an ioctl of a container makes. A file system in user space (FUSE) holds memory
 * that is being pinned. Meanwhile the test checks that no other process waits.
 */
#ifndef TESTS_LIB_BLOCKED_H
#define TESTS_LIB_BLOCKED_H

#include "rig.h"

/* Devices: one of the owner, one of another process, one to unbind, one to join. */
#define BLOCKED_DEVICES	4

/**
 * blocked_open() - open the owner's container with device 0, map memory, mount the file system
 * @r: out
 */
void blocked_open(struct rig *r);

/** blocked_close() - undo blocked_open() */
void blocked_close(struct rig *r);

/** blocked_count() - number of accesses */
unsigned int blocked_count(void);

/** blocked_name() - name of an access */
const char *blocked_name(unsigned int i);

/** blocked_known() - whether the table has an ioctl */
bool blocked_known(unsigned long cmd);

/** blocked_prepare() - prepare an access, before memory that is being pinned is held */
void blocked_prepare(struct rig *r, unsigned int i);

/** blocked_begin() - let a thread make an access, and wait until it is held; true: it is held */
bool blocked_begin(unsigned int i);

/** blocked_release() - let an access go on */
void blocked_release(unsigned int i);

/** blocked_end() - let an access end; return the result of the ioctl, or a negative errno */
int blocked_end(unsigned int i);

/** blocked_want() - the result that blocked_end() should return */
int blocked_want(unsigned int i);

/** blocked_reports() - whether the access is part of a report of dirty pages, one at a time */
bool blocked_reports(unsigned int i);

/** blocked_alone() - whether the access pins all memory of the container, also held memory */
bool blocked_alone(unsigned int i);

/** blocked_joins() - whether device 3 joins the container */
bool blocked_joins(unsigned int i);

/**
 * blocked_others() - whether other processes do not wait for the accesses that are held
 * @r: the owner's rig
 * @seconds: a longer wait is a failure
 *
 * A child of the owner queries the container, and writes to a file of it in sysfs. Then it opens
 * another device in another container, maps memory, lets the device fault, reads all files of the
 * backend, closes the device, unbinds a third device and binds it again.
 */
bool blocked_others(struct rig *r, unsigned int seconds);

/** blocked_unbind_prepare() - fork a process that can unbind a device, before anything is held */
void blocked_unbind_prepare(const char *bdf);

/** blocked_unbind() - let the process of blocked_unbind_prepare() begin */
void blocked_unbind(void);

/** blocked_unbound() - whether that process succeeds within some seconds */
bool blocked_unbound(unsigned int seconds);

/** blocked_over() - whether an access ends within some seconds, although it is held */
bool blocked_over(unsigned int i, unsigned int seconds);

#endif /* TESTS_LIB_BLOCKED_H */
