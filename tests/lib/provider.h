/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A thread that provides the pages of a userfaultfd, or holds them back: memory whose faults wait
 * for as long as the test likes.
 *
 * Each page gets the pattern of the seed, at its place in the buffer.
 */
#ifndef TESTS_LIB_PROVIDER_H
#define TESTS_LIB_PROVIDER_H

#include <pthread.h>
#include <stdbool.h>

#include "simdev.h"

/**
 * struct provider - the thread that provides pages
 * @thread: the thread
 * @uffd: userfaultfd; closed at the end
 * @b: the memory
 * @seed: of the pattern
 * @provided: pages provided so far
 * @hold: provide nothing while set
 * @stop: a pipe; readable when it is time to go
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

/** provider_open() - register the memory, without a thread: nobody provides anything */
void provider_open(struct provider *p, const struct simbuf *b, uint64_t seed);

/** provider_start() - start the thread; with @hold it waits for provider_release() */
void provider_start(struct provider *p, bool hold);

/** provider_hold() - provide nothing from now on */
void provider_hold(struct provider *p);

/** provider_release() - provide what is asked for, and what has been */
void provider_release(struct provider *p);

/** provider_provided() - pages provided, once they are @pages or no more are to be expected */
unsigned long provider_provided(struct provider *p, unsigned long pages);

/** provider_stop() - end the thread, release what is held, close the userfaultfd */
void provider_stop(struct provider *p);

#endif /* TESTS_LIB_PROVIDER_H */
