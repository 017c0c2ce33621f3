/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The judge: compares what a step did on stock type1 with what it did on the other side.
 *
 * Everything is compared; what may differ is in the table of intended differences, with its
 * reason in docs/internals/compat.md under the same id. An intended difference must be exactly as
 * it is meant, not just different, and must be seen in the run: an entry that never was is a
 * failure.
 */
#ifndef TESTS_CONFORM_JUDGE_H
#define TESTS_CONFORM_JUDGE_H

#include <stdbool.h>

#include "model.h"
#include "op.h"
#include "side.h"

enum intended_id {
	INTENDED_DIRTY_EXACT,
	INTENDED_DIRTY_READ_ONLY,
	INTENDED_DIRTY_STALE,
	INTENDED_MEMORY_LATER,
	INTENDED_MEMORY_FOLLOWS,
	INTENDED_MEMLOCK,
	INTENDED_END_OF_SPACE,
	INTENDED_REPORT_WHOLE,
	INTENDED_COUNT,
};

/**
 * struct intended - an intended difference
 * @id: as in docs/internals/compat.md
 * @kinds: bit mask of the enum side_kind it is of
 * @where: what differs, in a few words
 */
struct intended {
	const char *id;
	unsigned int kinds;
	const char *where;
};

extern const struct intended intended[INTENDED_COUNT];

#define JUDGE_TEXT	256

/**
 * struct verdict - about one step
 * @differs: not as it should be
 * @diverged: as intended, but the containers are not alike from here on
 * @seen: bit mask of enum intended_id
 * @text: @differs: what is not as it should be
 */
struct verdict {
	bool differs;
	bool diverged;
	unsigned int seen;
	char text[JUDGE_TEXT];
};

/**
 * judge() - compare
 * @v: out
 * @kind: of the other side
 * @m: the container before the step
 * @op: the step
 * @a: what stock did
 * @b: what the other side did
 */
void judge(struct verdict *v, enum side_kind kind, const struct model *m,
	   const struct conform_op *op, const struct conform_result *a,
	   const struct conform_result *b);

/** judge_result() - "success", "-EINVAL", "2" */
const char *judge_result(const struct conform_op *op, const struct conform_result *r);

#endif /* TESTS_CONFORM_JUDGE_H */
