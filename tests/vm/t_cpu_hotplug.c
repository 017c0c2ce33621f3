// SPDX-License-Identifier: GPL-2.0-only
/*
 * Processors go offline and online. The fault counters of an offline processor count, exactly once
 * after it is back, and can be reset and moved while it is offline. The other processors serve the
 * faults.
 *
 * vm: --mem 1024 --cpus 2
 */
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "dma.h"
#include "latency.h"
#include "rig.h"

#define LEN	(2 * MiB)
#define PAGES	(LEN / MEM_PAGE)
#define ROUNDS	10

static void cpu_on(bool on)
{
	must(mem_write_file("/sys/devices/system/cpu/cpu1/online", "%d", on));
}

/* The device's only engine, which serves its own faults, belongs to processor 1. */
static void engine_on_cpu1(void)
{
	char name[32], path[64];
	cpu_set_t set;
	int pid;

	CPU_ZERO(&set);
	CPU_SET(1, &set);
	/* There are few kernel threads, and their numbers are recent. */
	for (pid = 1; pid < 32768; pid++) {
		snprintf(path, sizeof(path), "/proc/%d/comm", pid);
		if (!knob_read_text(name, sizeof(name), "%s", path) &&
		    !strcmp(name, "iopf_sim/0:0")) {
			must_sys(sched_setaffinity(pid, sizeof(set), &set));
			return;
		}
	}
	tap_bail("no thread iopf_sim/0:0");
}

/* Fault page by page. Returns the number of faults after they have been counted. */
static uint64_t touch(struct rig *r, const struct simbuf *b)
{
	unsigned long long total = latency_count(latency_device(0), "total");
	uint64_t before = iopf_count(rig_bdf(0), "faults"), faults;

	mem_drop(b->va, b->len);
	memset(b->va, 1, b->len);
	must_be(sim_touch(&r->sim[0], b, 0, b->len, NULL) == IOPF_SIM_ST_OK);
	faults = iopf_count(rig_bdf(0), "faults") - before;
	latency_counted(latency_device(0), total + faults);
	return faults;
}

static void totals_are(uint64_t device, uint64_t container, const char *what)
{
	tap_is(latency_count(latency_device(0), "total"), device, "%s: the device", what);
	tap_is(latency_count(latency_container(), "total"), container, "%s: its container", what);
	tap_is(latency_count(latency_device(0), "respond"), device, "%s: the last phase", what);
}

static void check_kept(struct rig *r, const struct simbuf *b)
{
	uint64_t n;

	must(latency_reset(latency_device(0)));
	must(latency_reset(latency_container()));
	engine_on_cpu1();
	n = touch(r, b);
	tap_is(n, PAGES, "each page is a fault");
	totals_are(n, n, "counted on processor 1");
	cpu_on(false);
	totals_are(n, n, "which is off");
	n += touch(r, b);
	totals_are(n, n, "counted by the other one");
	cpu_on(true);
	totals_are(n, n, "the processor is online again");
	engine_on_cpu1();
	n += touch(r, b);
	totals_are(n, n, "and goes on");
}

static void leave(struct rig *r)
{
	vfio_dev_put(&r->vfio[0]);
	must(vfio_dev_detach(&r->vfio[0]));
	vfio_dev_close(&r->vfio[0]);
}

static void join(struct rig *r)
{
	must(vfio_dev_open(&r->vfio[0], &r->c, rig_bdf(0), VFIO_TYPE1v2_IOMMU));
	must(sim_up(&r->sim[0], &r->vfio[0], NULL));
}

/* The counters of an offline processor can be moved, in each possible way. */
static void check_moved(struct rig *r, const struct simbuf *b)
{
	uint64_t n, was = latency_count(latency_container(), "total");

	engine_on_cpu1();
	was += touch(r, b);
	cpu_on(false);
	must(latency_reset(latency_device(0)));
	totals_are(0, was, "the device is reset while it is off");
	cpu_on(true);
	totals_are(0, was, "the processor is online again");

	engine_on_cpu1();
	n = touch(r, b);
	cpu_on(false);
	must(latency_reset(latency_container()));
	totals_are(n, 0, "the container is reset while it is off");
	cpu_on(true);
	totals_are(n, 0, "the processor is online again");

	engine_on_cpu1();
	was = touch(r, b);
	n += was;
	cpu_on(false);
	leave(r);
	totals_are(n, was, "the device leaves while it is off");
	cpu_on(true);
	totals_are(n, was, "the processor is online again");
	join(r);
	totals_are(n, was, "the device is back");
}

/* A processor goes offline and online under DMA: each fault is counted exactly once. */
static void check_under_dma(struct rig *r, const struct simbuf *b)
{
	uint64_t before = iopf_count(rig_bdf(0), "faults"), faults;
	struct dma dma;
	unsigned int i;

	must(latency_reset(latency_device(0)));
	simbuf_fill(b, 0, b->len, 7);
	dma_start_both(&dma, &r->sim[0], b, 7);
	for (i = 0; i < ROUNDS; i++) {
		cpu_on(i & 1);
		mem_drop(b->va, b->len);
		dma_wait_rounds(&dma, 1);
	}
	tap_is(dma_stop(&dma), 0, "processor 1 comes and goes under DMA");
	dma_describe(&dma);
	cpu_on(true);
	faults = iopf_count(rig_bdf(0), "faults") - before;
	tap_is(latency_counted(latency_device(0), faults), faults,
	       "each of %llu faults is counted once", (unsigned long long)faults);
	tap_is(latency_count(latency_device(0), "walk"), faults, "each has one walk");
	rig_both_ways(&r->sim[0], b, 9, "after that");
}

int main(void)
{
	struct simbuf b = { .iova = RIG_IOVA, .len = LEN };
	struct rig r;
	int fd;

	rig_backend_only();
	/* A memfd: pages that are unmapped stay in the file. */
	b.va = mem_memfd(LEN, &fd);
	/* No fault-around: each page faults. The second device keeps the container open. */
	rig_load("devices=2 engines=1", "latency_sampling=1 fault_around=0");
	rig_open(&r, 2, VFIO_TYPE1v2_IOMMU);
	rig_map(&r, &b);
	check_kept(&r, &b);
	check_moved(&r, &b);
	check_under_dma(&r, &b);
	rig_end(&r);
	tap_errno_is(rig_unload_soon(), 0, "the modules can be unloaded");
	return tap_done();
}
