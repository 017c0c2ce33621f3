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

/* The @way-th simpler form of a step; false: there are no more. Equal to it: nothing to try. */
static bool simpler(struct conform_op *op, unsigned int way)
{
	switch (way) {
	case 0:
		op->child = 0;
		return true;
	case 1:
		op->at = AT_GOOD;
		return true;
	case 2:
		op->bm_at = AT_GOOD;
		return true;
	case 3:
		op->fill = FILL_ZEROS;
		return true;
	case 4:
		op->group = 0;
		return true;
	case 5:
		if (op->kind == OP_MAP && op->flags & MAP_RW)
			op->flags = MAP_RW;
		return true;
	case 6:
		if (op->kind == OP_MAP && op->va)
			op->va = VA_RAM;
		return true;
	case 7:
		if (op->size > MEM_PAGE)
			op->size = MEM_PAGE;
		return true;
	case 8:
		op->size = op->size / 2 & ~(MEM_PAGE - 1) ?: op->size;
		return true;
	case 9:
		if (op->iova > RIG_IOVA)
			op->iova = RIG_IOVA;
		return true;
	case 10:
		if (op->iova > RIG_IOVA + MEM_PAGE)
			op->iova -= MEM_PAGE;
		return true;
	case 11:
		if (op_has_bitmap(op))
			op->bm_size = op_bm_bytes(op->size);
		return true;
	case 12:
		if (op->kind == OP_UNMAP)
			op->flags = 0;
		return true;
	case 13:
		if (op->size > MEM_PAGE)
			op->size -= MEM_PAGE;
		return true;
	}
	return false;
}

static bool simplify(struct shrinker *s)
{
	struct conform_seq seq;
	unsigned int i, way;
	bool any = false;

	for (i = 0; i < s->best->n; i++) {
		for (way = 0;; way++) {
			seq = *s->best;
			if (!simpler(&seq.op[i], way))
				break;
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
