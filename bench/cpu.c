// SPDX-License-Identifier: GPL-2.0-only
/*
 * CPU page faults: see cpu.h. Each touch is timed separately, and the cost of reading the clock is
 * subtracted. So ticks and allocations of page tables, which are rare, do not change the median.
 */
#include "cpu.h"

#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "busy.h"
#include "figures.h"
#include "mem.h"
#include "sample.h"
#include "tap.h"

#define CPU_PAGES	2048
#define CPU_LEN		(CPU_PAGES * MEM_PAGE)
#define CPU_FIRST_LEN	(64 * MEM_HUGE)

#define FAULT_AROUND	"/sys/kernel/debug/fault_around_bytes"

static struct sample cpu_sample;

static uint64_t clock_cost(void)
{
	for (unsigned int i = 0; i < CPU_PAGES; i++) {
		uint64_t t0 = now_ns();

		sample_add(&cpu_sample, now_ns() - t0);
	}
	return sample_median(&cpu_sample);
}

/* Touch a page at each @step of @va. */
static void touch_step(const char *key, volatile char *va, size_t len, size_t step, bool write,
		       uint64_t overhead)
{
	busy_settle();
	for (size_t off = 0; off < len; off += step) {
		uint64_t t0 = now_ns();

		if (write)
			va[off] = 1;
		else
			(void)va[off];
		sample_add(&cpu_sample, now_ns() - t0 - overhead);
	}
	sample_figures(&cpu_sample, "cpu", key);
}

static void touch(const char *key, volatile char *va, bool write, uint64_t overhead)
{
	touch_step(key, va, CPU_LEN, MEM_PAGE, write, overhead);
}

static void touch_fresh(const char *key, int memfd, bool write, uint64_t overhead)
{
	void *va = must_sys(mmap(NULL, CPU_LEN, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0));

	touch(key, va, write, overhead);
	mem_unmap(va, CPU_LEN);
}

void cpu_faults(void)
{
	uint64_t overhead = clock_cost();
	int memfd;
	void *va;

	figure("cpu", "clock", overhead);
	cpu_sample.n = 0;
	va = mem_memfd(CPU_LEN, &memfd);
	memset(va, 1, CPU_LEN);
	must(mem_write_file(FAULT_AROUND, "%lu", MEM_PAGE));
	touch_fresh("minor_write", memfd, true, overhead);
	touch_fresh("minor_read", memfd, false, overhead);
	must(mem_write_file(FAULT_AROUND, "65536"));
	mem_unmap(va, CPU_LEN);
	close(memfd);

	va = mem_anon(CPU_LEN);
	touch("zero_fill", va, true, overhead);
	mem_unmap(va, CPU_LEN);
	va = mem_anon(CPU_FIRST_LEN);
	touch_step("zero_fill_first", va, CPU_FIRST_LEN, MEM_HUGE, true, overhead);
	mem_unmap(va, CPU_FIRST_LEN);
}
