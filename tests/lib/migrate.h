/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A small migration: a copy of memory that the device writes all the time.
 */
#ifndef TESTS_LIB_MIGRATE_H
#define TESTS_LIB_MIGRATE_H

#include "rig.h"

/**
 * migrate_check() - keep a copy up to date by reports of dirty pages alone
 * @r: the rig; its first device writes at random addresses, with two engines if it has them
 * @b: mapped memory
 * @what: for the points
 *
 * Decides a point: at the end the copy equals the memory.
 */
void migrate_check(struct rig *r, const struct simbuf *b, const char *what);

#endif /* TESTS_LIB_MIGRATE_H */
