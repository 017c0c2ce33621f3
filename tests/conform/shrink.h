/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Makes a sequence that differs as short and as simple as it can be while it still differs.
 */
#ifndef TESTS_CONFORM_SHRINK_H
#define TESTS_CONFORM_SHRINK_H

#include "run.h"

/**
 * shrink() - shrink a sequence
 * @run: the sides
 * @seq: a sequence; in: as it was found, out: the smallest
 * @out: the outcome of the smallest
 *
 * Return: runs it took; 0 when the sequence does not differ in new containers, so that what came
 * before it matters: it is left as it is then.
 */
unsigned int shrink(struct run *run, struct conform_seq *seq, struct outcome *out);

#endif /* TESTS_CONFORM_SHRINK_H */
