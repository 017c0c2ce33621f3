// SPDX-License-Identifier: GPL-2.0-only
/*
 * Frames: see frames.h. User space cannot choose the frames of its memory. So scattered memory is
 * memory that is touched in a random order. Contiguous memory is huge pages that the CPU maps page
 * by page, since one page of each was protected for a moment. The code checks the result in
 * /proc/self/pagemap.
 */
#include "frames.h"

#include <fcntl.h>
#include <linux/iopf_sim.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "mem.h"
#include "tap.h"

#define FRAMES_SEED	0x5ca77e7ed

void *frames_get(enum frames kind, size_t len)
{
	void *va;
	int fd;

	switch (kind) {
	case FRAMES_CONTIGUOUS:
	case FRAMES_THP:
		return mem_thp(len);
	case FRAMES_HUGETLB:
		va = mem_hugetlb(len, false);
		if (!va)
			tap_bail("the hugetlb pool can't be grown");
		return va;
	case FRAMES_MEMFD:
		va = mem_memfd(len, &fd);
		close(fd);
		return va;
	default:
		return mem_anon(len);
	}
}

void frames_shuffle(unsigned int *order, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		size_t other = iopf_sim_mix(FRAMES_SEED + i) % (i + 1);

		order[i] = order[other];
		order[other] = (unsigned int)i;
	}
}

/* Make the CPU map huge pages by 4 KiB pages of the same frames. */
static void map_by_pages(char *va, size_t len)
{
	for (size_t off = 0; off < len; off += MEM_HUGE) {
		must_sys(mprotect(va + off, MEM_PAGE, PROT_READ));
		must_sys(mprotect(va + off, MEM_PAGE, PROT_READ | PROT_WRITE));
		*(volatile char *)(va + off) = 1;
	}
	must_sys(madvise(va, len, MADV_NOHUGEPAGE));
	if (mem_huge_kb(va, len))
		tap_bail("%zu KiB are still mapped in huge pages", mem_huge_kb(va, len));
	if (frames_runs(va, len) > len / MEM_HUGE)
		tap_bail("frames are in %zu runs", frames_runs(va, len));
}

void frames_populate(enum frames kind, void *va, size_t len)
{
	size_t n = len / MEM_PAGE;
	volatile char *page = va;
	unsigned int *order = NULL;

	if (kind == FRAMES_SCATTERED) {
		order = malloc(n * sizeof(*order));
		must_be(order);
		frames_shuffle(order, n);
	}
	for (size_t i = 0; i < n; i++)
		page[(order ? order[i] : i) * MEM_PAGE] = 1;
	free(order);
	if (kind == FRAMES_CONTIGUOUS)
		map_by_pages(va, len);
	if (kind == FRAMES_SCATTERED && frames_runs(va, len) < n / 2)
		tap_bail("not scattered: %zu pages in %zu runs", n, frames_runs(va, len));
	if (mem_resident(va, len) != n)
		tap_bail("only %zu of %zu pages are there", mem_resident(va, len), n);
	if (kind == FRAMES_THP && mem_huge_kb(va, len) != len / 1024)
		tap_bail("only %zu of %zu KiB are in huge pages", mem_huge_kb(va, len), len / 1024);
}

void frames_free(enum frames kind, void *va, size_t len)
{
	mem_unmap(va, len);
	/* Freed pages stay in the pool. Return them to the kernel for the other cases. */
	if (kind == FRAMES_HUGETLB)
		must(mem_write_file("/proc/sys/vm/nr_hugepages", "0"));
}

size_t frames_runs(const void *va, size_t len)
{
	size_t n = len / MEM_PAGE, runs = 0, done = 0;
	int fd = must_sys(open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
	static uint64_t entry[512];
	uint64_t before = 0;

	while (done < n) {
		size_t want = n - done < ARRAY_SIZE(entry) ? n - done : ARRAY_SIZE(entry);
		off_t off = (off_t)(((uintptr_t)va / MEM_PAGE + done) * sizeof(entry[0]));

		must_be(pread(fd, entry, want * sizeof(entry[0]), off) ==
			(ssize_t)(want * sizeof(entry[0])));
		for (size_t i = 0; i < want; i++) {
			uint64_t pfn = entry[i] & ((1ull << 55) - 1);

			runs += pfn != before + 1;
			before = pfn;
		}
		done += want;
	}
	close(fd);
	return runs;
}
