/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A userfaultfd: the test provides missing pages. A task that touches a missing page sleeps until
 * the test provides it. provider.h has a thread that provides pages.
 */
#ifndef TESTS_LIB_UFFD_H
#define TESTS_LIB_UFFD_H

#include <stddef.h>
#include <stdint.h>

/**
 * uffd_open() - register memory of this process
 * @va: whole pages
 * @len: bytes
 * @features: UFFD_FEATURE_* to be asked for
 * @mode: UFFDIO_REGISTER_MODE_*
 *
 * Return: the userfaultfd, not blocking; closing it wakes all tasks that wait
 */
int uffd_open(const void *va, size_t len, uint64_t features, uint64_t mode);

/** uffd_missing() - the same for missing pages */
int uffd_missing(const void *va, size_t len);

/** uffd_asked() - wait until a task waits for a page; returns the address of the page */
uint64_t uffd_asked(int uffd);

/** uffd_give() - provide pages: copy @len bytes from @from to @to; 0 or a negative errno */
int uffd_give(int uffd, uint64_t to, const void *from, size_t len);

#endif /* TESTS_LIB_UFFD_H */
