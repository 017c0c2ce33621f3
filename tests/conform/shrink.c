// SPDX-License-Identifier: GPL-2.0-only
/*
 * Shrinking: see shrink.h. First whole steps are left out, many at a time, then single arguments
 * are replaced by simpler ones; each change that keeps a difference is kept, until none does.
 */
#include <string.h>

#include "mem.h"
#include "place.h"
#include "rig.h"
#include "shrink.h"

struct shrinker {
	struct run *run;
	struct conform_seq *best;
	struct outcome *out;
	unsigned int runs;
};

/* Keep @seq if it differs. */
static bool try(struct shrinker *s, const struct conform_seq *seq)
{
	static struct outcome out;

	s->runs++;
	run_sequence(s->run, seq, true, &out);
	if (!out.differs)
		return false;
	*s->best = *seq;
	*s->out = out;
	return true;
}

static void cut(struct conform_seq *seq, unsigned int first, unsigned int n)
{
	seq->n -= n;
	memmove(&seq->op[first], &seq->op[first + n], (seq->n - first) * sizeof(seq->op[0]));
}

/* Leave out @n steps at a time, from the end on. */
static bool drop(struct shrinker *s, unsigned int n)
{
	struct conform_seq seq;
	bool any = false;
	unsigned int i;

	for (i = s->best->n; i >= n; i--) {
		if (i > s->best->n)
			continue;
		seq = *s->best;
		cut(&seq, i - n, n);
		any |= try(s, &seq);
	}
	return any;
}

/* Ways to make a step simpler. A step that a way does not change is as simple already. */

static void no_child(struct conform_op *op)
{
	op->child = 0;
}

static void good_argument(struct conform_op *op)
{
	op->at = AT_GOOD;
}

static void good_bitmap(struct conform_op *op)
{
	op->bm_at = AT_GOOD;
}

static void fill_zeros(struct conform_op *op)
{
	op->fill = FILL_ZEROS;
}

static void first_group(struct conform_op *op)
{
	op->group = 0;
}

static void map_both(struct conform_op *op)
{
	if (op->kind == OP_MAP && op->flags & MAP_RW)
		op->flags = MAP_RW;
}

static void plain_memory(struct conform_op *op)
{
	if (op->kind == OP_MAP && op->va)
		op->va = VA_RAM;
}

static void one_page(struct conform_op *op)
{
	if (op->size > MEM_PAGE)
		op->size = MEM_PAGE;
}

static void half_size(struct conform_op *op)
{
	op->size = op->size / 2 & ~(MEM_PAGE - 1) ?: op->size;
}

static void first_iova(struct conform_op *op)
{
	if (op->iova > RIG_IOVA)
		op->iova = RIG_IOVA;
}

static void lower_iova(struct conform_op *op)
{
	if (op->iova > RIG_IOVA + MEM_PAGE)
		op->iova -= MEM_PAGE;
}

static void usual_bitmap(struct conform_op *op)
{
	if (op_has_bitmap(op))
		op->bm_size = op_bm_bytes(op->size);
}

static void plain_unmap(struct conform_op *op)
{
	if (op->kind == OP_UNMAP)
		op->flags = 0;
}

static void one_page_less(struct conform_op *op)
{
	if (op->size > MEM_PAGE)
		op->size -= MEM_PAGE;
}

static void (*const simpler[])(struct conform_op *op) = {
	no_child, good_argument, good_bitmap, fill_zeros, first_group, map_both, plain_memory,
	one_page, half_size, first_iova, lower_iova, usual_bitmap, plain_unmap, one_page_less,
};

static bool simplify(struct shrinker *s)
{
	struct conform_seq seq;
	unsigned int i, way;
	bool any = false;

	for (i = 0; i < s->best->n; i++) {
		for (way = 0; way < ARRAY_SIZE(simpler); way++) {
			seq = *s->best;
			simpler[way](&seq.op[i]);
			if (memcmp(&seq.op[i], &s->best->op[i], sizeof(seq.op[i])))
				any |= try(s, &seq);
		}
	}
	return any;
}

unsigned int shrink(struct run *run, struct conform_seq *seq, struct outcome *out)
{
	struct shrinker s = { run, seq, out, 0 };
	struct conform_seq start = *seq;
	unsigned int n, rounds;

	/* What follows the step that differs does not matter. */
	if (out->steps < start.n)
		start.n = out->steps;
	if (!try(&s, &start))
		return 0;
	for (n = seq->n / 2; n > 1; n /= 2)
		drop(&s, n);
	/* Each round makes the sequence simpler, so this ends by itself; not to be relied on. */
	for (rounds = 0; rounds < 16; rounds++) {
		bool any = drop(&s, 1);

		any |= simplify(&s);
		if (!any)
			break;
	}
	return s.runs;
}
