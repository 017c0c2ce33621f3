/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Memory whose missing pages are the test's to give: a userfaultfd, by hand. Whoever touches such a
 * page sleeps until then. See provider.h for a thread that gives them.
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
 * Return: the userfaultfd, not blocking; closing it lets go whoever waits
 */
int uffd_open(const void *va, size_t len, uint64_t features, uint64_t mode);

/** uffd_missing() - the same for missing pages */
int uffd_missing(const void *va, size_t len);

/** uffd_asked() - wait until somebody waits for a page: the address of it */
uint64_t uffd_asked(int uffd);

/** uffd_give() - provide @len bytes of pages at @to with what is at @from; 0 or a negative errno */
int uffd_give(int uffd, uint64_t to, const void *from, size_t len);

#endif /* TESTS_LIB_UFFD_H */
