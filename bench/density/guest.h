/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Guest: a process with memory, a container and a device of its own, as a virtual machine is one to
 * its host. Its device does jobs all the time, with pauses; the data are checked in each.
 *
 * Vocabulary:
 *  - A "job" is one command: the device reads and verifies, or writes, a slice of each page of an
 *    extent. The slices of a page take turns, so all bytes are used in the end.
 *  - "Think time" is the pause between a completion and the next job. It makes the load a guest
 *    offers a small part of what the one processor can do, so that the processor is not what
 *    limits how many guests there can be.
 *
 * The process shares a struct guest with the one that started it: the counters are read while it
 * runs, each of them on its own.
 */
#ifndef BENCH_DENSITY_GUEST_H
#define BENCH_DENSITY_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "hist.h"

/**
 * struct guest_conf - what all guests have in common
 * @size: bytes of memory
 * @extent: bytes of an extent
 * @hot_percent: of the memory that is the working set
 * @tail_permille: of the jobs that go elsewhere
 * @write_percent: of the jobs that write
 * @think_us: think time, mean
 * @check_every: at the end the CPU looks at one extent in so many
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
	GUEST_RUNNING,	/* memory mapped for the device and filled, jobs are done */
	GUEST_REFUSED,	/* the host did not give it memory; @err says how */
	GUEST_DONE,
};

/**
 * struct guest - what the guest and who started it share
 * @pid: its process; 0: gone
 * @index: of the guest, and of its device
 * @state: enum guest_state
 * @err: GUEST_REFUSED: a negative errno
 * @hold: set by the starter: no jobs for now
 * @stop: set by the starter: finish, check, exit
 * @start_ns: what starting took: MAP_DMA, filling the memory
 * @jobs: done
 * @tail_jobs: of them outside of the working set
 * @tail_faulted: of these, those in which the device met a fault
 * @hot_faulted: of the others
 * @faults: requests of the device, in groups
 * @wrong: words that were not what they should be
 * @checked: bytes looked at by the CPU at the end
 * @latency: of jobs, in ns, from fetch to completion by the device
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
 * @g: in memory that processes share; index set, the rest zero
 * @conf: what it is like; kept by the caller
 *
 * While it starts the guest is what the kernel's OOM killer takes first.
 *
 * Return: 0; -ENOMEM, -EFAULT...: what MAP_DMA said; -ESRCH: the kernel killed it for want of
 * memory
 */
int guest_start(struct guest *g, const struct guest_conf *conf);

/** guest_alive() - is its process there; one that ended without being told to fails the run */
bool guest_alive(struct guest *g);

/** guest_end() - wait for a guest that was told to stop; bails out if it did not end well */
void guest_end(struct guest *g);

#endif /* BENCH_DENSITY_GUEST_H */
