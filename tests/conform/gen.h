/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Random sequences over a small world: few addresses, few sizes, with a liking for what is mapped
 * already, for edges and for mistakes.
 */
#ifndef TESTS_CONFORM_GEN_H
#define TESTS_CONFORM_GEN_H

#include <stdint.h>

#include "op.h"

/** gen_sequence() - the sequence of a seed */
void gen_sequence(struct conform_seq *seq, uint64_t seed);

#endif /* TESTS_CONFORM_GEN_H */
