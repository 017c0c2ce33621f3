/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The process of a side (side.h), and the box of shared memory by which its parent asks it.
 */
#ifndef TESTS_CONFORM_WORKER_H
#define TESTS_CONFORM_WORKER_H

#include "op.h"

struct side;

/**
 * enum side_request - the request in the box
 * @SIDE_FRESH: open a container
 * @SIDE_APPLY: apply an operation
 * @SIDE_THERE: tell whether memory is populated
 * @SIDE_QUIT: close everything, and exit
 */
enum side_request {
	SIDE_FRESH,
	SIDE_APPLY,
	SIDE_THERE,
	SIDE_QUIT,
};

/**
 * struct side_box - a request, and its result
 * @request: the request
 * @type: of SIDE_FRESH: the IOMMU type
 * @anew: of SIDE_FRESH: open another container
 * @op: of SIDE_APPLY: the operation; of SIDE_THERE: @op.va is the address
 * @result: the result
 */
struct side_box {
	enum side_request request;
	unsigned int type;
	bool anew;
	struct conform_op op;
	struct conform_result result;
};

/**
 * side_work() - the main loop of the process; does not return
 * @s: the side
 * @in: a byte here announces a request
 * @out: a byte here announces the result
 */
void side_work(const struct side *s, int in, int out);

#endif /* TESTS_CONFORM_WORKER_H */
