/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A side: a process with one container, served by one backend, that applies steps to it one by
 * one and reports everything user space can see of each: result, the bytes written back, what was
 * charged, the data.
 *
 * A process of its own, because limits and charges belong to a process, and because memory at the
 * same addresses makes bytes comparable. One request at a time, answered before side_*() return.
 */
#ifndef TESTS_CONFORM_SIDE_H
#define TESTS_CONFORM_SIDE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "op.h"
#include "place.h"

#define SIDE_ARG_BYTES	512

enum side_kind {
	SIDE_STOCK,		/* stock type1 */
	SIDE_FAULTING,		/* the backend, with a device that may fault */
	SIDE_PINNED,		/* the backend by serve_pinned, with one that may not */
};

/**
 * struct conform_result - what a step did
 * @ret: the call's result, or a negative errno; of the device: the completion's status
 * @skipped: there was nothing to do it with
 * @arg: the bytes at the ioctl's structure afterwards
 * @arg_len: how many of them are looked at
 * @bm: all of the bitmap's memory afterwards
 * @bm_before: and before
 * @bm_off: where in it the bitmap begins
 * @has_bm: whether there is a bitmap to look at
 * @locked_kb: VmLck of the process that did it, since the sequence began
 * @pinned_kb: VmPin, likewise
 * @sum: checksum of the memory at @va after the device has been there
 */
struct conform_result {
	long ret;
	bool skipped;
	bool has_bm;
	uint32_t arg_len;
	uint32_t bm_off;
	uint8_t arg[SIDE_ARG_BYTES];
	uint8_t bm[BM_LEN];
	uint8_t bm_before[BM_LEN];
	long locked_kb;
	long pinned_kb;
	uint64_t sum;
};

struct side_box;

/**
 * struct side - a side
 * @name: for people
 * @kind: who serves
 * @first: its first simulated device; its groups are those of this one and every second after
 * @pid: its process
 * @to: requests
 * @from: answers
 * @box: shared memory
 */
struct side {
	const char *name;
	enum side_kind kind;
	unsigned int first;
	pid_t pid;
	int to;
	int from;
	struct side_box *box;
};

/** side_start() - start the process; @s->name, kind and first are set */
void side_start(struct side *s);

/** side_stop() - close everything, end the process */
void side_stop(struct side *s);

/**
 * side_fresh() - a container as if new
 * @s: the side
 * @type: as in struct conform_seq
 * @anew: really new, even if what is there could be emptied
 *
 * Return: 0, or a negative errno of opening it; -EUCLEAN when emptying the one that was there did
 * not make it as new (it is really new now).
 */
int side_fresh(struct side *s, unsigned int type, bool anew);

/**
 * side_apply() - do one step
 * @s: the side
 * @op: the step
 *
 * Return: what came out; valid until the next call
 */
struct conform_result *side_apply(struct side *s, const struct conform_op *op);

/** side_there() - whether an optional place of memory is there */
bool side_there(struct side *s, uint64_t va);

#endif /* TESTS_CONFORM_SIDE_H */
