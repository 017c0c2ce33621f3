/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Pages of this process in migration, which does not end until the test releases them. Threads that
 * need such a page wait. Needs two memory nodes (vm: --append numa=fake=2).
 */
#ifndef TESTS_LIB_HOLDER_H
#define TESTS_LIB_HOLDER_H

#include <pthread.h>
#include <stddef.h>

/**
 * struct holder - some pages that are held
 * @va: address of the first page
 * @len: bytes, at most HOLDER_MAX
 * @thread: the thread that moves the pages to another node
 */
struct holder {
	void *va;
	size_t len;
	pthread_t thread;
};

#define HOLDER_MAX	(64 * 1024)

/** holder_load() - load the module that holds migrations */
void holder_load(void);

/** holder_unload() - decide a point: the module can be unloaded */
void holder_unload(void);

/**
 * holder_hold() - hold memory that is present
 * @h: out
 * @va: its address
 * @len: bytes
 *
 * Returns when its first page is held.
 */
void holder_hold(struct holder *h, void *va, size_t len);

/** holder_release() - let the migration end */
void holder_release(struct holder *h);

#endif /* TESTS_LIB_HOLDER_H */
