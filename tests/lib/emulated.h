/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A container with one emulated device (mdev-style) and no other device, for the tests that run
 * with stock type1 and with the backend.
 */
#ifndef TESTS_LIB_EMULATED_H
#define TESTS_LIB_EMULATED_H

#include "mdev.h"
#include "simdev.h"
#include "vfio.h"

#define EMULATED_VFIO_PAGES	512	/* most pages that VFIO pins at once */
#define EMULATED_PAGES		(EMULATED_VFIO_PAGES + 1)
#define EMULATED_LEN		(EMULATED_PAGES * MEM_PAGE)

/**
 * struct emulated - a container with an emulated device
 * @c: the container
 * @m: the device
 * @b: memory, mapped
 */
struct emulated {
	struct vfio_container c;
	struct mdev m;
	struct simbuf b;
};

/** emulated_open() - open the container and the device, and map memory; the modules are loaded */
struct emulated emulated_open(int type);

/** emulated_close() - undo emulated_open() */
void emulated_close(struct emulated *t);

/** emulated_begin() - load the modules, open, and check that the right backend serves */
void emulated_begin(struct emulated *t, bool stock);

/** emulated_end() - close, and check that nothing is pinned */
void emulated_end(struct emulated *t);

/**
 * emulated_run() - run a test with stock type1, then with the backend
 * @run: the test
 *
 * Leaves out stock type1 on a kernel with lockdep, which reports its lock inversion. Leaves out the
 * backend with NOBACKEND=1.
 */
void emulated_run(void (*run)(bool stock));

/** emulated_page() - address of page @n of the memory */
uint64_t emulated_page(const struct emulated *t, unsigned int n);

/** emulated_charged() - number of pages that this process has locked or pinned */
size_t emulated_charged(void);

/** emulated_holds() - decide a point: pages and pins of the device, and the charge for them */
void emulated_holds(struct emulated *t, unsigned int pages, unsigned int pins, const char *what);

#endif /* TESTS_LIB_EMULATED_H */
