/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Runs sequences on two sides in lockstep, counts, and tells what differs.
 *
 * After the last step of a sequence two more are made up: how many mappings can be made, and
 * unmapping all of what is there, so that a difference in state is a difference in a result.
 */
#ifndef TESTS_CONFORM_RUN_H
#define TESTS_CONFORM_RUN_H

#include <stdbool.h>

#include "judge.h"
#include "model.h"
#include "op.h"
#include "side.h"

#define RUN_STEPS	(CONFORM_OPS + 2)
#define RUN_RESULT	24

/**
 * struct outcome - of one sequence
 * @differs: somewhere
 * @unclean: the side whose container was not as new after the sequence before, or NULL
 * @steps: done
 * @op: them
 * @result: what each answered, stock and the other
 * @v: the verdict about the last one
 */
struct outcome {
	bool differs;
	const char *unclean;
	unsigned int steps;
	struct conform_op op[RUN_STEPS];
	char result[RUN_STEPS][2][RUN_RESULT];
	struct verdict v;
};

/**
 * struct run - stock and another side
 * @side: stock, and the one that is judged
 * @model: of the container
 * @lie: change what the second side says, to see whether that is noticed
 * @sequences: run so far
 * @steps: done so far
 * @different: sequences that differed
 * @seen: by enum intended_id: steps at which it was seen
 * @group: the group of sequences under way
 * @in_group: its sequences
 * @bad_in_group: those of them that differed
 */
struct run {
	struct side side[2];
	struct model model;
	bool lie;
	unsigned int sequences;
	unsigned int steps;
	unsigned int different;
	unsigned int seen[INTENDED_COUNT];
	const char *group;
	unsigned int in_group;
	unsigned int bad_in_group;
};

/** run_start() - start both sides; @kind is that of the second */
void run_start(struct run *run, enum side_kind kind);

/** run_stop() - end both */
void run_stop(struct run *run);

/**
 * run_sequence() - one sequence
 * @run: the sides
 * @seq: the sequence
 * @anew: in containers that are really new
 * @out: what came of it
 *
 * Counts nothing but what was seen.
 */
void run_sequence(struct run *run, const struct conform_seq *seq, bool anew, struct outcome *out);

/** run_tell() - an outcome, as comments */
void run_tell(const struct run *run, const struct conform_seq *seq, const struct outcome *out,
	      const char *name);

/** run_group() - a group of sequences begins; each is one point */
void run_group(struct run *run, const char *name);

/**
 * run_try() - one sequence of the group
 * @run: the sides
 * @type: as in struct conform_seq
 * @ops: steps, up to OP_END; OP_LAYOUT stands for mappings of pages 1-2, 4-6 and 7 from RIG_IOVA
 * on, of pages 0, 16 and 32 on of VA_RAM
 * @fmt: name of the sequence
 */
void run_try(struct run *run, unsigned int type, const struct conform_op *ops, const char *fmt,
	     ...) __attribute__((format(printf, 4, 5)));

/** run_group_end() - decide the point */
void run_group_end(struct run *run);

/** run_count() - count an outcome; true when it is as it should be */
bool run_count(struct run *run, const struct outcome *out);

#endif /* TESTS_CONFORM_RUN_H */
