// SPDX-License-Identifier: GPL-2.0-only
/*
 * Scheduling latency: see sched_latency.h.
 */
#include "sched_latency.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "budget.h"
#include "dirty.h"
#include "policy.h"
#include "prefault.h"
#include "rig.h"
#include "sample.h"

#define PERIOD_NS	50000
#define SETTLE_US	30000

static volatile bool watching;
static volatile uint64_t longest;
static uint64_t began;
static pthread_t watcher;

static uint64_t clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static void *watch(void *unused)
{
	struct sched_param p = { .sched_priority = 99 };

	(void)unused;
	must_be(!pthread_setschedparam(pthread_self(), SCHED_FIFO, &p));
	while (watching) {
		uint64_t at = clock_ns() + PERIOD_NS, late;
		struct timespec t = { at / 1000000000, at % 1000000000 };

		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
		late = clock_ns() - at;
		if (late > longest)
			longest = late;
	}
	return NULL;
}

void sched_latency_begin(void)
{
	/* Let earlier work finish, so that it is not measured. */
	usleep(SETTLE_US);
	longest = 0;
	watching = true;
	must_be(!pthread_create(&watcher, NULL, watch, NULL));
	usleep(1000);
	began = clock_ns();
}

uint64_t sched_latency_end(uint64_t *took)
{
	uint64_t end = clock_ns();

	usleep(SETTLE_US);
	watching = false;
	pthread_join(watcher, NULL);
	if (took)
		*took = end - began;
	return longest;
}

/* The cases */

static struct rig rig;
static sched_latency_fn told;

static void report_beside(const char *name, uint64_t control)
{
	uint64_t took, most = sched_latency_end(&took);

	told(name, most, control, took);
}

static void report(const char *name)
{
	report_beside(name, 0);
}

static void *reserve(size_t len)
{
	void *va = mmap(NULL, len, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	must_be(va != MAP_FAILED);
	must_sys(madvise(va, len, MADV_NOHUGEPAGE));
	return va;
}

/* Make a device read or write a word in each @step of the buffer. */
static void touch(struct simdev *s, const struct simbuf *b, unsigned int op, size_t step)
{
	struct iopf_sim_cmd cmd = sim_cmd(op, b, 0, b->len, 1);

	sim_cmd_order(&cmd, IOPF_SIM_ORDER_STRIDED, 8, step, 0);
	must_be(sim_run(s, &cmd, NULL) == IOPF_SIM_ST_OK);
}

/* Populate every other page, by the device; without a device, by the CPU. */
static void alternate(struct rig *r, const struct simbuf *b)
{
	if (r)
		touch(&r->sim[0], b, IOPF_SIM_OP_WRITE, 2 * MEM_PAGE);
	else
		for (size_t at = 0; at < b->len; at += 2 * MEM_PAGE)
			memset((char *)b->va + at, 1, 1);
}

/* Actions of the host on a process's memory. */

static void host_drop(const struct simbuf *b)
{
	must_sys(madvise(b->va, b->len, MADV_DONTNEED));
}

static void host_fork(const struct simbuf *b)
{
	int status;
	pid_t pid;

	(void)b;
	pid = must_sys(fork());
	if (!pid)
		_exit(0);
	must_sys(waitpid(pid, &status, 0));
}

static void host_protect(const struct simbuf *b)
{
	must_sys(mprotect(b->va, b->len, PROT_READ));
}

static void host_unmap(const struct simbuf *b)
{
	mem_unmap(b->va, b->len);
}

/* Returns the longest latency of a host action. */
static uint64_t host_alone(void (*does)(const struct simbuf *b), const struct simbuf *b)
{
	sched_latency_begin();
	does(b);
	return sched_latency_end(NULL);
}

/* Measure a host action on memory with every other page populated, with a device and without. */
static void host_alternating(void (*does)(const struct simbuf *b), size_t len, const char *name)
{
	struct simbuf b = { .iova = RIG_IOVA, .len = len };
	uint64_t control;

	b.va = reserve(len);
	alternate(NULL, &b);
	control = host_alone(does, &b);
	if (does != host_unmap)
		mem_unmap(b.va, b.len);

	b.va = reserve(len);
	rig_map(&rig, &b);
	alternate(&rig, &b);
	sched_latency_begin();
	does(&b);
	report_beside(name, control);
	rig_unmap(&rig, &b);
	if (does != host_unmap)
		mem_unmap(b.va, b.len);
}

/* Shared memory stays in its file, so the host itself has little work. */
static void shared_pages(unsigned int scale)
{
	struct simbuf b = { .iova = RIG_IOVA, .len = scale * 64 * MiB };
	int fd;

	b.va = mem_memfd(b.len, &fd);
	rig_map(&rig, &b);
	alternate(&rig, &b);
	sched_latency_begin();
	host_drop(&b);
	report("MADV_DONTNEED of alternating shared pages");
	rig_unmap(&rig, &b);
	mem_unmap(b.va, b.len);
	close(fd);
}

static void alternating_pages(unsigned int scale)
{
	struct simbuf b = { .iova = RIG_IOVA, .len = scale * 64 * MiB };
	struct dirty_map map;

	host_alternating(host_drop, b.len, "MADV_DONTNEED of alternating pages");
	host_alternating(host_fork, b.len, "fork with alternating pages");
	host_alternating(host_protect, b.len, "mprotect of alternating pages");
	host_alternating(host_unmap, b.len, "munmap of alternating pages");
	shared_pages(scale);

	b.va = reserve(b.len);
	rig_map(&rig, &b);
	alternate(&rig, &b);
	sched_latency_begin();
	must(dirty_track(&rig.c, true));
	report("starting to track writes, alternating pages");
	alternate(&rig, &b);
	dirty_map_init(&map, b.iova, b.len);
	memset(map.bits, 0, map.words * sizeof(*map.bits));
	sched_latency_begin();
	must(dirty_get(&rig.c, &map));
	report("a report of dirty pages, alternating");
	dirty_map_free(&map);
	alternate(&rig, &b);
	sched_latency_begin();
	must(dirty_track(&rig.c, false));
	report("stopping to track writes");

	sched_latency_begin();
	must(budget_set(rig_bdf(0), "resident_max", 1ull << 40));
	report("the first limit, alternating pages");
	sched_latency_begin();
	must(budget_set(rig_bdf(0), "resident_max", 4 * MiB));
	report("a limit of 4 MiB, alternating pages");
	budget_none(rig_bdf(0));

	alternate(&rig, &b);
	sched_latency_begin();
	must(iopf_enable(rig_bdf(0), false));
	report("switching a device off");
	sched_latency_begin();
	must(iopf_enable(rig_bdf(0), true));
	report("switching a device on");

	alternate(&rig, &b);
	sched_latency_begin();
	rig_unmap(&rig, &b);
	report("UNMAP_DMA of alternating pages");
	mem_unmap(b.va, b.len);
}

static void huge_pages(unsigned int scale)
{
	struct simbuf b = { .iova = RIG_IOVA, .len = scale * 64 * MiB };
	uint64_t control;

	b.va = mem_thp(b.len);
	memset(b.va, 1, b.len);
	control = host_alone(host_drop, &b);
	memset(b.va, 1, b.len);
	rig_map(&rig, &b);
	touch(&rig.sim[0], &b, IOPF_SIM_OP_READ, MEM_HUGE);
	sched_latency_begin();
	host_drop(&b);
	report_beside("MADV_DONTNEED of huge pages", control);
	rig_unmap(&rig, &b);
	mem_unmap(b.va, b.len);
}

/* Fork a process that populates memory, by its device if @device. Return its pid when ready. */
static pid_t owner_begin(struct simbuf b, bool device, bool chunks)
{
	int ready[2];
	char c = 0;
	pid_t pid;

	must_sys(pipe(ready));
	pid = must_sys(fork());
	if (!pid) {
		struct vfio_iopf_range range = { b.iova, b.len };
		struct vfio_iopf_prefault_status s;
		struct rig r;
		uint64_t id;

		tap_forget();
		tap_quiet(true);
		b.va = reserve(b.len);
		if (device) {
			rig_open_at(&r, 1, 1, VFIO_TYPE1v2_IOMMU);
			rig_map(&r, &b);
		}
		if (!chunks)
			alternate(device ? &r : NULL, &b);
		if (device && chunks) {
			must(vfio_unmap_flags(&r.c, b.iova, b.len, VFIO_DMA_UNMAP_FLAG_VADDR,
					      NULL));
			must(prefault_start(&r.c, &range, 1, PREFAULT_READ, -1, &id));
			prefault_wait(&r.c, id, &s);
			must(vfio_map_flags(&r.c, b.va, b.iova, b.len, VFIO_DMA_MAP_FLAG_VADDR));
		}
		must_be(write(ready[1], &c, 1) == 1);
		pause();
		_exit(0);
	}
	must_be(read(ready[0], &c, 1) == 1);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

static void owner_end(pid_t pid)
{
	int status;

	sched_latency_begin();
	must_sys(kill(pid, SIGKILL));
	must_sys(waitpid(pid, &status, 0));
}

static void owner_exits(unsigned int scale)
{
	struct simbuf b = { .iova = RIG_IOVA, .len = scale * 64 * MiB };
	uint64_t control;
	pid_t pid;

	owner_end(owner_begin(b, false, false));
	control = sched_latency_end(NULL);
	pid = owner_begin(b, true, false);
	owner_end(pid);
	report_beside("an owner is killed, alternating pages", control);
	b.len = (1ull << 37) * scale;
	b.iova = 1ull << 40;
	owner_end(owner_begin(b, true, true));
	report("an owner is killed, many chunks");
}

static void areas_make(char *va, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		must(vfio_map(&rig.c, va + i * MEM_PAGE, RIG_IOVA + i * 2 * MEM_PAGE, MEM_PAGE));
}

static void many_areas(unsigned int scale)
{
	unsigned int n = scale * 8192 - (scale == 8);
	struct simbuf b = { .iova = RIG_IOVA, .len = n * 2 * MEM_PAGE };
	char *va = reserve(n * MEM_PAGE);
	size_t size;

	b.va = va;
	areas_make(va, n);
	sched_latency_begin();
	free(workset_get(&rig.c, VFIO_IOPF_WORKING_SET_AGE, &size));
	report("WORKING_SET_SAVE, many areas");
	sched_latency_begin();
	must(vfio_unmap_flags(&rig.c, 0, 0, VFIO_DMA_UNMAP_FLAG_ALL, NULL));
	report("UNMAP_DMA of many areas");

	areas_make(va, n);
	touch(&rig.sim[0], &b, IOPF_SIM_OP_READ, 2 * MEM_PAGE);
	sched_latency_begin();
	must_sys(madvise(va, n * MEM_PAGE, MADV_DONTNEED));
	report("MADV_DONTNEED of many areas, used");
	touch(&rig.sim[0], &b, IOPF_SIM_OP_READ, 2 * MEM_PAGE);
	sched_latency_begin();
	must(vfio_unmap_flags(&rig.c, 0, 0, VFIO_DMA_UNMAP_FLAG_ALL, NULL));
	report("UNMAP_DMA of many areas, used");
	mem_unmap(va, n * MEM_PAGE);
}

static void prefault_and_cancel(const struct simbuf *b, unsigned int us, const char *name)
{
	struct vfio_iopf_range range = { b->iova, b->len };
	struct vfio_iopf_prefault_status s;
	uint64_t id;

	sched_latency_begin();
	must(prefault_start(&rig.c, &range, 1, PREFAULT_READ, -1, &id));
	usleep(us);
	must(prefault_cancel(&rig.c, id, &s));
	report(name);
}

/* A prefault of memory without a CPU address makes a chunk for each 2 MiB, and maps nothing. */
static void chunks_make(const struct simbuf *b)
{
	struct vfio_iopf_range range = { b->iova, b->len };
	struct vfio_iopf_prefault_status s;
	uint64_t id;

	must(vfio_unmap_flags(&rig.c, b->iova, b->len, VFIO_DMA_UNMAP_FLAG_VADDR, NULL));
	prefault_and_cancel(b, 5000, "cancelling a prefault of frozen memory");
	sched_latency_begin();
	must(prefault_start(&rig.c, &range, 1, PREFAULT_READ, -1, &id));
	prefault_wait(&rig.c, id, &s);
	report("a prefault of frozen memory");
	must(vfio_map_flags(&rig.c, b->va, b->iova, b->len, VFIO_DMA_MAP_FLAG_VADDR));
}

static void chunks_read(const struct simbuf *b)
{
	struct dirty_map map;
	size_t size;

	sched_latency_begin();
	policy_count(rig_bdf(0), "resident");
	report("reading 'resident'");
	sched_latency_begin();
	policy_count(rig_bdf(0), "pinned");
	report("reading 'pinned'");
	sched_latency_begin();
	free(workset_get(&rig.c, VFIO_IOPF_WORKING_SET_AGE, &size));
	report("WORKING_SET_SAVE");
	sched_latency_begin();
	must(dirty_track(&rig.c, true));
	report("starting to track writes, many chunks");
	dirty_map_init(&map, b->iova, b->len);
	/* Populate the pages of the bitmap before the measurement. */
	memset(map.bits, 0, map.words * sizeof(*map.bits));
	sched_latency_begin();
	must(dirty_get(&rig.c, &map));
	report("a report of dirty pages");
	dirty_map_free(&map);
	must(dirty_track(&rig.c, false));
}

static void chunks_change(void)
{
	struct vfio_dev second;

	sched_latency_begin();
	must(budget_set(rig_bdf(0), "resident_max", 1ull << 40));
	report("the first limit, many chunks");
	sched_latency_begin();
	budget_none(rig_bdf(0));
	report("the last limit goes, many chunks");
	must(sample_set("interval_ms", 1000));
	sched_latency_begin();
	must(sample_set("interval_ms", 0));
	report("an end of sampling, many chunks");
	sched_latency_begin();
	must(vfio_dev_attach(&second, &rig.c, rig_bdf(2), VFIO_TYPE1v2_IOMMU));
	report("one more IOMMU, many chunks");
	sched_latency_begin();
	must(vfio_dev_detach(&second));
	report("one IOMMU less, many chunks");
	vfio_dev_close(&second);
}

/* The maximum number of chunks, with nothing mapped in them. */
static void huge_area(unsigned int scale)
{
	struct simbuf b = { .iova = 1ull << 40, .len = (1ull << 37) * scale };

	b.va = reserve(b.len);
	rig_map(&rig, &b);
	chunks_make(&b);
	chunks_read(&b);
	chunks_change();
	/* fork() copies page tables only of a VMA that has been used. */
	*(volatile char *)b.va = 1;
	sched_latency_begin();
	host_fork(&b);
	report("fork, many chunks");
	sched_latency_begin();
	must_sys(munmap(b.va, b.len));
	report("munmap, many chunks");
	sched_latency_begin();
	rig_unmap(&rig, &b);
	report("UNMAP_DMA, many chunks");
}

static void policies_make(const struct simbuf *b, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		must(policy_set(&rig.c, b->iova + 2 * MEM_PAGE * i, MEM_PAGE,
				VFIO_IOPF_POLICY_FAULT));
}

static void many_policies(unsigned int scale)
{
	unsigned int n = scale * 25000;
	struct simbuf b = { .iova = 1ull << 40, .len = (n + 512) * 2 * MEM_PAGE };
	uint64_t id;

	b.va = reserve(b.len);
	rig_map(&rig, &b);
	policies_make(&b, n);
	sched_latency_begin();
	must(policy_lock(&rig.c, b.iova + b.len - MEM_PAGE, MEM_PAGE, 0, &id));
	report("LOCK beside many policies");
	sched_latency_begin();
	must(policy_unlock(&rig.c, id, 0));
	report("UNLOCK beside many policies");
	sched_latency_begin();
	must(policy_set(&rig.c, b.iova, b.len, VFIO_IOPF_POLICY_DEFAULT));
	report("POLICY over many policies");
	policies_make(&b, n);
	sched_latency_begin();
	must(policy_default(rig_bdf(0), "prefault"));
	report("a default policy beside many policies");
	must(policy_default(rig_bdf(0), "device"));
	sched_latency_begin();
	rig_unmap(&rig, &b);
	report("UNMAP_DMA of many policies");
	mem_unmap(b.va, b.len);
}

static void container_ends(unsigned int scale)
{
	unsigned int n = scale * 8192 - (scale == 8);
	struct simbuf b = { .iova = RIG_IOVA, .len = n * 2 * MEM_PAGE };
	char *va = reserve(n * MEM_PAGE);

	b.va = va;
	areas_make(va, n);
	touch(&rig.sim[0], &b, IOPF_SIM_OP_READ, 2 * MEM_PAGE);
	sched_latency_begin();
	rig_close(&rig);
	report("a container with many areas ends");
	mem_unmap(va, n * MEM_PAGE);
}

void sched_latency_cases(unsigned int scale, sched_latency_fn fn)
{
	told = fn;
	rig_load("devices=3 iommu.second=0x4", "");
	rig_open(&rig, 1, VFIO_TYPE1v2_IOMMU);
	alternating_pages(scale);
	huge_pages(scale);
	many_areas(scale);
	many_policies(scale);
	huge_area(scale);
	container_ends(scale);
	owner_exits(scale);
}
