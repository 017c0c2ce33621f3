/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Memory for tests: every kind that the kernel has, ways to take it away, and ways to read its
 * state.
 *
 * The functions that map memory bail out on failure. mem_hugetlb() returns NULL, because its pool
 * may be too small. The others return 0 or a negative errno, or a count.
 *
 * Vocabulary: resident = present in this process's page table; swapped = its page table entry
 * is a swap entry. Both come from /proc/self/pagemap.
 */
#ifndef TESTS_LIB_MEM_H
#define TESTS_LIB_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define MEM_PAGE	4096ul
#define MEM_HUGE	(2ul << 20)
#define MiB		(1ul << 20)

/** mem_anon() - private anonymous memory, page-aligned, THP off */
void *mem_anon(size_t len);

/** mem_shared_anon() - shared anonymous memory */
void *mem_shared_anon(size_t len);

/** mem_thp() - private anonymous memory at a 2 MiB boundary, with MADV_HUGEPAGE, untouched */
void *mem_thp(size_t len);

/** mem_memfd() - shared mapping of a new memfd; *@fd is the memfd */
void *mem_memfd(size_t len, int *fd);

/**
 * mem_hugetlb() - hugetlb memory of 2 MiB pages; grows the pool if it can
 * @len: bytes
 * @shared: MAP_SHARED or MAP_PRIVATE
 *
 * Return: NULL when the pool is too small
 */
void *mem_hugetlb(size_t len, bool shared);

/**
 * mem_file() - map a file, created with this length and filled with zeros if @create
 * @path: the file
 * @len: bytes
 * @shared: MAP_SHARED or MAP_PRIVATE
 * @create: make it anew
 * @fd: out
 */
void *mem_file(const char *path, size_t len, bool shared, bool create, int *fd);

/** mem_aligned() - reserve @len bytes of address space (PROT_NONE) at a multiple of @align */
void *mem_aligned(size_t len, size_t align);

/** mem_unmap() - munmap(), bails out on failure */
void mem_unmap(void *va, size_t len);

/** mem_drop() - MADV_DONTNEED */
void mem_drop(void *va, size_t len);

/** mem_punch() - FALLOC_FL_PUNCH_HOLE */
void mem_punch(int fd, off_t off, size_t len);

/** mem_resident() - resident pages of this process in the range */
size_t mem_resident(const void *va, size_t len);

/** mem_swapped() - swap entries in the range */
size_t mem_swapped(const void *va, size_t len);

/** mem_incore() - pages in core, mapped by this process or not (mincore(2)): page cache, shmem */
size_t mem_incore(const void *va, size_t len);

/** mem_huge_kb() - AnonHugePages + ShmemPmdMapped + FilePmdMapped of the range, in KiB */
size_t mem_huge_kb(const void *va, size_t len);

/** mem_smaps_kb() - one field of /proc/self/smaps, summed over the mappings inside the range */
size_t mem_smaps_kb(const void *va, size_t len, const char *field);

/** mem_status_kb() - a field of /proc/<pid>/status, e.g. "VmLck", "VmPin", "VmRSS"; pid 0: self */
size_t mem_status_kb(pid_t pid, const char *field);

/** mem_info_kb() - a field of /proc/meminfo */
size_t mem_info_kb(const char *field);

/** mem_cgroup_stat() - a field of memory.stat of this process's cgroup; 0 without one */
size_t mem_cgroup_stat(const char *field);

/** mem_vmstat() - a field of /proc/vmstat */
uint64_t mem_vmstat(const char *field);

/** mem_pfn() - page frame of @va from pagemap, 0 when it is not present; needs CAP_SYS_ADMIN */
uint64_t mem_pfn(const void *va);

/** mem_have_swap() - whether there is swap space */
bool mem_have_swap(void);

/** mem_swap_is_disk() - whether all swap space is on a disk (no zram) */
bool mem_swap_is_disk(void);

/**
 * mem_swap_out() - swap a range out, and check the result
 * @va: first byte
 * @len: bytes
 *
 * Uses MADV_PAGEOUT, then reclaim from a memory cgroup of this process, until no page of the range
 * is in core, or no further page is swapped out.
 *
 * Return: the number of pages that are neither mapped nor in the swap cache
 */
size_t mem_swap_out(void *va, size_t len);

/**
 * mem_pressure() - reclaim memory from the process's own memory cgroup
 * @bytes: bytes to reclaim; the kernel may reclaim less
 *
 * The first function of this file that maps memory moves the process into its own cgroup.
 */
int mem_pressure(size_t bytes);

/**
 * mem_age() - make the kernel age all pages of the machine (multi-gen LRU)
 *
 * Return: 0; -ENOENT: the kernel has no multi-gen LRU or no debugfs
 */
int mem_age(void);

/**
 * mem_keep_still() - disable NUMA balancing until the end of the test
 *
 * NUMA balancing unmaps pages at any time, to see which node uses them. That changes the number of
 * faults, but no data. A machine with one node has no NUMA balancing.
 */
void mem_keep_still(void);

/** mem_sync_drop_caches() - sync, then drop clean page cache and slab */
void mem_sync_drop_caches(void);

/** mem_write_file() - write a string to a file of /proc, /sys: 0 or a negative errno */
int mem_write_file(const char *path, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif /* TESTS_LIB_MEM_H */
