/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Budgets of containers: their files in sysfs, named by a device of the container, and the check
 * that a maximum is never exceeded.
 */
#ifndef TESTS_LIB_BUDGET_H
#define TESTS_LIB_BUDGET_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "rig.h"

/* The smallest limit of mapped bytes; see core/budget.h. */
#define BUDGET_LEAST	(64 * MEM_PAGE)

/** budget_write() - write text to a file; 0 or a negative errno */
int budget_write(const char *bdf, const char *name, const char *text);

/** budget_set() - write a number; 0 or a negative errno */
int budget_set(const char *bdf, const char *name, uint64_t value);

/** budget_get() - read a number; UINT64_MAX for "max" */
uint64_t budget_get(const char *bdf, const char *name);

/** budget_gen() - bytes in a generation: "inactive", "active", "unevictable" */
uint64_t budget_gen(const char *bdf, const char *gen);

/** budget_none() - remove all limits */
void budget_none(const char *bdf);

/**
 * budget_mapped() - bytes that the simulated IOMMU maps, of all containers
 *
 * It is exact at any moment if there are no leaves of 2 MiB. The backend's number in sysfs is a sum
 * over chunks that it visits one after the other.
 */
uint64_t budget_mapped(void);

/**
 * struct budget_watch - a thread that reads the number of mapped bytes all the time
 * @thread: the thread
 * @stop: set by budget_watch_end()
 * @most: the largest value
 * @reads: number of reads
 */
struct budget_watch {
	pthread_t thread;
	bool stop;
	uint64_t most;
	uint64_t reads;
};

/** budget_watch() - begin */
void budget_watch(struct budget_watch *w);

/** budget_watch_end() - end; returns the most bytes that were mapped at a time */
uint64_t budget_watch_end(struct budget_watch *w);

/** budget_check() - decide points: two devices use all bytes of a buffer beyond the maximum */
void budget_check(struct rig *r);

#endif /* TESTS_LIB_BUDGET_H */
