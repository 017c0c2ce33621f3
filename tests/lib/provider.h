/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A thread that provides the pages of a userfaultfd, or holds them back. So faults wait for as long
 * as a test needs.
 *
 * Each page gets its part of the seed's pattern for the buffer.
 */
#ifndef TESTS_LIB_PROVIDER_H
#define TESTS_LIB_PROVIDER_H

#include <pthread.h>
#include <stdbool.h>

#include "simdev.h"

/**
 * struct provider - the thread that provides pages
 * @thread: the thread
 * @uffd: the userfaultfd; closed at the end
 * @b: the memory
 * @seed: seed of the pattern
 * @provided: pages provided so far
 * @hold: provide nothing while set
 * @stop: a pipe; the thread ends when it is readable
 */
struct provider {
	pthread_t thread;
	int uffd;
	struct simbuf b;
	uint64_t seed;
	unsigned long provided;
	bool hold;
	int stop[2];
};

/** provider_open() - register the memory, without a thread: faults wait */
void provider_open(struct provider *p, const struct simbuf *b, uint64_t seed);

/** provider_start() - start the thread; with @hold it waits for provider_release() */
void provider_start(struct provider *p, bool hold);

/** provider_hold() - provide nothing from now on */
void provider_hold(struct provider *p);

/** provider_release() - provide all pages on which faults wait, and pages of later faults */
void provider_release(struct provider *p);

/** provider_provided() - wait until @pages pages are provided, or some time; return the number */
unsigned long provider_provided(struct provider *p, unsigned long pages);

/** provider_stop() - end the thread, release what is held, close the userfaultfd */
void provider_stop(struct provider *p);

#endif /* TESTS_LIB_PROVIDER_H */
