/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The memory of a side's process: every kind that matters for an ioctl, at fixed addresses, the
 * same in each process. So a step means the same to all sides, and what the kernel writes back
 * can be compared byte by byte.
 *
 * What is not mapped stays unmapped: the kernel places nothing that low by itself.
 */
#ifndef TESTS_CONFORM_PLACE_H
#define TESTS_CONFORM_PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VA_RAM		0x100000000000ull	/* anonymous, writable, without THP */
#define VA_MIX		0x100010000000ull	/* see below */
#define VA_RO		0x100020000000ull	/* anonymous, read-only, touched before */
#define VA_NONE		0x100030000000ull	/* PROT_NONE */
#define VA_HOLE		0x100040000000ull	/* nothing */
#define VA_FILE		0x100050000000ull	/* a memfd, shared */
#define VA_ALIAS	0x100060000000ull	/* the same memfd */
#define VA_EOF		0x100070000000ull	/* a memfd that ends after 4 of these pages */
#define VA_SECRET	0x100080000000ull	/* memfd_secret, if the kernel has it */
#define VA_DISK		0x100090000000ull	/* a file on a disk, shared */
#define VA_BAR		0x1000a0000000ull	/* BAR 0 of an open device */
#define VA_HUGE		0x1000b0000000ull	/* one huge page of hugetlb, if there is one */
#define VA_WO		0x1000c0000000ull	/* PROT_WRITE alone */
#define VA_GONE		0x1000d0000000ull	/* anonymous; sequences take it away */
#define VA_DAX		0x1000e0000000ull	/* a file that is persistent memory, shared */
#define VA_DAX_RO	0x1000f0000000ull	/* the same, read-only */
#define VA_POISON	0x100140000000ull	/* anonymous; its first page is poisoned */
#define VA_ARG		0x100100000000ull	/* the ioctl's structure; a hole after it */
#define VA_ARG_RO	0x100110000000ull	/* the same, read-only */
#define VA_BM		0x100120000000ull	/* the bitmap; a hole after it */
#define VA_BM_RO	0x100130000000ull	/* the same, read-only */

#define RAM_LEN		0x800000ull
#define PART_LEN	0x10000ull		/* of the others: 16 pages */
#define ARG_LEN		0x1000ull
#define BM_PAGE		0x1000ull
#define BM_LEN		512ull			/* at the end of it: the part that is looked at */
#define BM_OFF		64ull			/* in that: where a bitmap begins */

/* Parts of VA_MIX: 4 writable pages, 2 that are not there, 2 read-only, 2 none, 6 writable. */
#define VA_MIX_HOLE	(VA_MIX + 0x4000)
#define VA_MIX_RO	(VA_MIX + 0x6000)
#define VA_MIX_NONE	(VA_MIX + 0x8000)
#define VA_MIX_END	(VA_MIX + 0xa000)

/** place_all() - make all of it in this process; once */
void place_all(void);

/** place_again() - make what sequences took away (VA_GONE) */
void place_again(void);

/**
 * place_there() - whether an optional place could be made
 * @va: its first address
 */
bool place_there(uint64_t va);

/**
 * place_later() - memory that may be mapped as far as its permissions go, but can't be pinned
 * @va: first address
 * @size: bytes
 * @write: for writing
 */
bool place_later(uint64_t va, uint64_t size, bool write);

/**
 * place_pinning() - what stock type1 says of memory that place_later() is true for
 * @va: first address
 *
 * Return: a negative errno
 */
int place_pinning(uint64_t va);

/** place_print() - "ram+0x1000" */
void place_print(char *text, size_t len, uint64_t va);

#endif /* TESTS_CONFORM_PLACE_H */
