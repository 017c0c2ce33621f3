/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Processes that must not wait while an owner's access is held. They are forked before an access is
 * held, and wait until the test lets them run.
 */
#ifndef TESTS_LIB_OTHERS_H
#define TESTS_LIB_OTHERS_H

#include "rig.h"

/** others_fork() - fork the process of others_run(), unless it exists already */
void others_fork(struct rig *owner);

/** others_run() - see blocked_others() */
bool others_run(struct rig *owner, unsigned int seconds);

#endif /* TESTS_LIB_OTHERS_H */
