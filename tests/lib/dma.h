/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * DMA in the background: a thread makes a device execute the same commands again and again, while
 * the test changes the memory.
 *
 * From dma_start() to dma_stop() the simdev belongs to the thread.
 */
#ifndef TESTS_LIB_DMA_H
#define TESTS_LIB_DMA_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "simdev.h"

#define DMA_MAX_CMDS	8

/**
 * struct dma - DMA in the background
 * @thread: the thread
 * @s: the device
 * @cmds: the commands, in order
 * @n: number of @cmds
 * @stop: set by dma_stop()
 * @rounds: rounds completed so far
 * @status: completions by status
 * @faults: page request groups sent, sum
 * @first_bad: first completion that was not OK, status and address; cookie 0 means none
 * @gone: the device stopped answering: halted
 */
struct dma {
	pthread_t thread;
	struct simdev *s;
	struct iopf_sim_cmd cmds[DMA_MAX_CMDS];
	unsigned int n;
	bool stop;
	uint64_t rounds;
	uint64_t status[IOPF_SIM_ST_STALE + 1];
	uint64_t faults;
	struct iopf_sim_cpl first_bad;
	bool gone;
};

/** dma_start() - let @s do @n commands over and over in a thread */
void dma_start(struct dma *d, struct simdev *s, const struct iopf_sim_cmd *cmds, unsigned int n);

/** dma_start_both() - write the pattern of @seed to @b, and verify it, over and over */
void dma_start_both(struct dma *d, struct simdev *s, const struct simbuf *b, uint64_t seed);

/** dma_rounds() - rounds completed so far */
uint64_t dma_rounds(struct dma *d);

/** dma_wait_rounds() - wait until @more rounds have been completed from now on */
void dma_wait_rounds(struct dma *d, uint64_t more);

/** dma_stop() - let the round end, end the thread; returns the number of bad completions */
uint64_t dma_stop(struct dma *d);

/** dma_describe() - print the statuses of the commands, as comments */
void dma_describe(const struct dma *d);

#endif /* TESTS_LIB_DMA_H */
