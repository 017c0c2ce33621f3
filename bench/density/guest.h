/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Guest: a process with its own memory, container and device. To the host, a virtual machine is
 * such a process. Its device runs jobs with pauses, and each job checks its data.
 *
 * Vocabulary:
 *  - A "job" is one command: the device reads and verifies, or writes, a slice of each page of an
 *    extent. Jobs use the slices of a page in turn, so in the end all bytes are used.
 *  - "Think time" is the pause between a completion and the next job. With it, a guest uses only a
 *    small part of the one processor, so the processor does not limit the number of guests.
 *
 * The process shares a struct guest with its starter, which reads the counters while the process
 * runs. There is no lock, so counters that are read together may differ by a job.
 */
#ifndef BENCH_DENSITY_GUEST_H
#define BENCH_DENSITY_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "hist.h"

/**
 * struct guest_conf - settings of all guests
 * @size: bytes of memory
 * @extent: bytes of an extent
 * @hot_percent: share of the memory that is the working set
 * @tail_permille: share of the jobs outside of the working set
 * @write_percent: share of the jobs that write
 * @think_us: mean think time
 * @check_every: at the end the CPU checks one extent of this number of extents
 */
struct guest_conf {
	size_t size;
	size_t extent;
	unsigned int hot_percent;
	unsigned int tail_permille;
	unsigned int write_percent;
	unsigned int think_us;
	unsigned int check_every;
};

enum guest_state {
	GUEST_STARTING,
	GUEST_RUNNING,	/* the memory is mapped for the device and filled, and jobs run */
	GUEST_REFUSED,	/* the host gave it no memory; @err is the error */
	GUEST_DONE,
};

/**
 * struct guest - state that a guest and its starter share
 * @pid: its process; 0: it has ended
 * @index: number of the guest, and of its device
 * @state: enum guest_state
 * @err: GUEST_REFUSED: a negative errno
 * @hold: set by the starter: run no jobs for now
 * @stop: set by the starter: finish, check, exit
 * @start_ns: duration of the start: MAP_DMA, and filling the memory
 * @jobs: completed jobs
 * @tail_jobs: jobs outside of the working set
 * @tail_faulted: jobs of @tail_jobs in which the device faulted
 * @hot_faulted: other jobs in which the device faulted
 * @faults: page-request groups of the device
 * @wrong: words with wrong data
 * @checked: bytes that the CPU checked at the end
 * @latency: latency of jobs, in ns, from fetch to completion by the device
 */
struct guest {
	pid_t pid;
	unsigned int index;
	unsigned int state;
	int err;
	bool hold;
	bool stop;
	uint64_t start_ns;
	uint64_t jobs;
	uint64_t tail_jobs;
	uint64_t tail_faulted;
	uint64_t hot_faulted;
	uint64_t faults;
	uint64_t wrong;
	uint64_t checked;
	struct iopf_hist latency;
};

/**
 * guest_start() - start a guest and wait until it runs
 * @g: the guest, in shared memory; @index is set, and the rest is zero
 * @conf: its settings, which must stay
 *
 * While the guest starts, the kernel's OOM killer takes it first.
 *
 * Return: 0; -ENOMEM, -EFAULT...: the error of MAP_DMA; -ESRCH: the OOM killer killed the guest.
 */
int guest_start(struct guest *g, const struct guest_conf *conf);

/** guest_alive() - whether its process runs; bails out if the process ended without a stop */
bool guest_alive(struct guest *g);

/** guest_end() - wait for a guest that was told to stop; bails out if it failed */
void guest_end(struct guest *g);

#endif /* BENCH_DENSITY_GUEST_H */
