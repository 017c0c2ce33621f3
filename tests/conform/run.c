// SPDX-License-Identifier: GPL-2.0-only
/*
 * Runs sequences: see run.h.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "mem.h"
#include "rig.h"
#include "run.h"
#include "tap.h"

/* Sequences of a group that are told in full; the others are counted. */
#define TOLD	6

void run_start(struct run *run, enum side_kind kind)
{
	static const char *const names[] = {
		[SIDE_STOCK] = "stock again",
		[SIDE_FAULTING] = "ours, faulting",
		[SIDE_PINNED] = "ours, pinned",
	};

	memset(run, 0, sizeof(*run));
	run->side[0] = (struct side){ .name = "stock", .kind = SIDE_STOCK, .first = 0 };
	run->side[1] = (struct side){ .name = names[kind], .kind = kind, .first = 1 };
	side_start(&run->side[0]);
	side_start(&run->side[1]);
}

void run_stop(struct run *run)
{
	model_reset(&run->model, 0);
	side_stop(&run->side[1]);
	side_stop(&run->side[0]);
}

/* The negative control: a backend that forgets a page when several mappings go at once. */
static void lie(const struct run *run, const struct conform_op *op, struct conform_result *r)
{
	const struct model *m = &run->model;
	unsigned int i, hit = 0;
	uint64_t size;

	if (op->kind != OP_UNMAP || op->flags || r->ret || op->at != AT_GOOD)
		return;
	for (i = 0; i < m->n; i++)
		if (m->map[i].iova >= op->iova && m->map[i].iova < op->iova + op->size)
			hit++;
	if (hit < 2)
		return;
	memcpy(&size, r->arg + offsetof(struct vfio_iommu_type1_dma_unmap, size), sizeof(size));
	size -= MEM_PAGE;
	memcpy(r->arg + offsetof(struct vfio_iommu_type1_dma_unmap, size), &size, sizeof(size));
}

/* One step on both sides. False when the sequence ends with it. */
static bool step(struct run *run, const struct conform_op *given, struct outcome *out)
{
	unsigned int at = out->steps++;
	struct conform_op *op = &out->op[at];
	struct conform_result *a, *b;

	*op = *given;
	out->v.seen = 0;
	if (op_is_device(op)) {
		if (!model_usable(&run->model, op->iova, op->size)) {
			snprintf(out->result[at][0], RUN_RESULT, "left out");
			snprintf(out->result[at][1], RUN_RESULT, "left out");
			return true;
		}
		op->va = model_va(&run->model, op->iova, op->size);
	}
	a = side_apply(&run->side[0], op);
	b = side_apply(&run->side[1], op);
	if (run->lie)
		lie(run, op, b);
	judge(&out->v, run->side[1].kind, &run->model, op, a, b);
	snprintf(out->result[at][0], RUN_RESULT, "%s", judge_result(op, a));
	snprintf(out->result[at][1], RUN_RESULT, "%s", judge_result(op, b));
	out->differs = out->v.differs;
	if (!out->differs)
		model_apply(&run->model, op, a);
	return !out->differs && !out->v.diverged;
}

static void fresh(struct run *run, const struct conform_seq *seq, bool anew, struct outcome *out)
{
	unsigned int i;

	for (i = 0; i < 2; i++) {
		int err = side_fresh(&run->side[i], seq->type, anew);

		if (err == -EUCLEAN)
			out->unclean = run->side[i].name;
		else if (err)
			tap_bail("%s: a container of type %u: %s", run->side[i].name, seq->type,
				 strerror(-err));
	}
	model_reset(&run->model, seq->type);
}

void run_sequence(struct run *run, const struct conform_seq *seq, bool anew, struct outcome *out)
{
	const struct conform_op avail = op_simple(OP_AVAIL, 0), all = op_unmap_all(0);
	bool on = true;
	unsigned int i;

	memset(out, 0, sizeof(*out));
	fresh(run, seq, anew, out);
	for (i = 0; on && i < seq->n; i++) {
		on = step(run, &seq->op[i], out);
		for (unsigned int id = 0; id < INTENDED_COUNT; id++)
			run->seen[id] += out->v.seen >> id & 1;
	}
	if (on && run->model.type)
		on = step(run, &avail, out);
	if (on && run->model.type)
		step(run, &all, out);
}

void run_tell(const struct run *run, const struct conform_seq *seq, const struct outcome *out,
	      const char *name)
{
	char text[320];
	unsigned int i;

	if (out->unclean)
		tap_diag("before \"%s\": on %s, stopping and unmapping all left something", name,
			 out->unclean);
	if (!out->differs)
		return;
	tap_diag("\"%s\", type %u, %s: step %u differs: %s", name, seq->type, run->side[1].name,
		 out->steps, out->v.text);
	for (i = 0; i < out->steps; i++) {
		bool last = i + 1 == out->steps;

		op_print(text, sizeof(text), &out->op[i]);
		if (strcmp(out->result[i][0], out->result[i][1]) || last)
			tap_diag(" %s %2u. %s: stock %s, here %s", last ? ">" : " ", i + 1, text,
				 out->result[i][0], out->result[i][1]);
		else
			tap_diag("   %2u. %s: %s", i + 1, text, out->result[i][0]);
	}
}

bool run_count(struct run *run, const struct outcome *out)
{
	bool bad = out->differs || out->unclean;

	run->sequences++;
	run->steps += out->steps;
	run->different += bad;
	run->in_group++;
	run->bad_in_group += bad;
	return !bad;
}

void run_group(struct run *run, const char *name)
{
	run->group = name;
	run->in_group = 0;
	run->bad_in_group = 0;
}

static void append(struct conform_seq *seq, const struct conform_op *op)
{
	must_be(seq->n < CONFORM_OPS);
	seq->op[seq->n++] = *op;
}

void run_try(struct run *run, unsigned int type, const struct conform_op *ops, const char *fmt, ...)
{
	const struct conform_op layout[] = {
		op_map(MAP_RW, RIG_IOVA + MEM_PAGE, 2 * MEM_PAGE, VA_RAM),
		op_map(MAP_RW, RIG_IOVA + 4 * MEM_PAGE, 3 * MEM_PAGE, VA_RAM + 16 * MEM_PAGE),
		op_map(MAP_RW, RIG_IOVA + 7 * MEM_PAGE, MEM_PAGE, VA_RAM + 32 * MEM_PAGE),
	};
	static struct outcome out;
	struct conform_seq seq = { .type = type };
	char name[128];
	va_list args;

	va_start(args, fmt);
	vsnprintf(name, sizeof(name), fmt, args);
	va_end(args);
	for (; ops->kind != OP_END; ops++) {
		if (ops->kind == OP_LAYOUT) {
			for (unsigned int i = 0; i < ARRAY_SIZE(layout); i++)
				append(&seq, &layout[i]);
		} else {
			append(&seq, ops);
		}
	}
	run_sequence(run, &seq, false, &out);
	if (!run_count(run, &out) && run->bad_in_group <= TOLD)
		run_tell(run, &seq, &out, name);
}

void run_group_end(struct run *run)
{
	tap_ok(!run->bad_in_group, "%s: %s: %u sequences, %u different", run->side[1].name,
	       run->group, run->in_group, run->bad_in_group);
	if (run->bad_in_group > TOLD)
		tap_diag("%u more are not shown", run->bad_in_group - TOLD);
}
