// SPDX-License-Identifier: GPL-2.0-only
/*
 * The latency of faults, as the backend reports it. Each fault is counted once, for its device and
 * its container, also if the device moves to another container. The phases add up. Percentiles are
 * in order. Reset, and the parameter that switches it off.
 *
 * vm: --mem 1024 --test-timeout 300
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fair.h"
#include "latency.h"

#define LEN	(2 * MiB)
#define PAGES	(LEN / MEM_PAGE)
/* A page may hold all lines, and a line of a bucket has two numbers. */
#define PAGE_TEXT	4096

static const char * const phases[] = { "queueing", "walk", "populate", "map", "respond" };

/* The buckets of a phase: they hold as many as the summary says, and their first values rise. */
static void check_buckets(const char *dir, const char *phase)
{
	unsigned long long first, n, sum = 0, least = 0, last = 0, lines = 0;
	struct latency_summary s = latency_summary(dir, phase);
	char path[192], text[PAGE_TEXT + 1], *line, *rest;
	bool rises = true;
	ssize_t len;
	int fd;

	snprintf(path, sizeof(path), "%s/%s_buckets", dir, phase);
	fd = must_sys(open(path, O_RDONLY));
	len = must_sys(read(fd, text, PAGE_TEXT));
	close(fd);
	text[len] = 0;
	for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		must_be(sscanf(line, "%llu %llu", &first, &n) == 2);
		rises &= n && (!lines++ || first > last);
		last = first;
		sum += n;
		least += n * first;
	}
	tap_ok(rises && sum == s.count && least <= s.sum,
	       "%s: %llu buckets hold the %llu faults", phase, lines, s.count);
	/* The largest bucket holds the maximum: an eighth wide, or 32 ticks. */
	if (s.count)
		tap_ok(last <= s.p[4] && s.p[4] - last <= last / 8 + 64,
		       "%s: and the last one the longest", phase);
}

static void check_order(const char *dir, const char *phase)
{
	struct latency_summary s = latency_summary(dir, phase);
	unsigned int i;
	bool rises = true;

	for (i = 1; i < ARRAY_SIZE(s.p); i++)
		rises &= s.p[i] >= s.p[i - 1];
	tap_diag("%-8s count %llu p50 %llu p90 %llu p99 %llu p99.9 %llu max %llu", phase, s.count,
		 s.p[0], s.p[1], s.p[2], s.p[3], s.p[4]);
	/* The maximum is too large by an eighth of it, or 32 ticks, at most. */
	tap_ok(rises && (!s.count || s.sum <= s.count * s.p[4]), "%s: percentiles rise", phase);
}

/* Everything was measured: the phases make up the total. */
static void check_sums(const char *dir, unsigned long long faults)
{
	struct latency_summary total = latency_summary(dir, "total");
	unsigned long long sum = 0;
	unsigned int i;

	tap_is(total.count, faults, "each fault has a total");
	for (i = 0; i < ARRAY_SIZE(phases); i++) {
		check_order(dir, phases[i]);
		check_buckets(dir, phases[i]);
		sum += latency_summary(dir, phases[i]).sum;
	}
	check_order(dir, "total");
	check_buckets(dir, "total");
	/* Each sum is rounded down to nanoseconds. */
	tap_ok(sum <= total.sum && sum + ARRAY_SIZE(phases) >= total.sum,
	       "the phases' %llu ns make up the total's %llu", sum, total.sum);
	tap_is(latency_count(dir, "walk"), faults, "each fault walked");
	tap_is(latency_count(dir, "respond"), faults, "each fault was answered");
}

/* Touch pages at random, so that nothing is populated ahead. */
static void touch_unwatched(struct rig *r, unsigned int n, const struct simbuf *b, bool present)
{
	struct iopf_sim_cmd cmd = sim_cmd(IOPF_SIM_OP_WRITE, b, 0, b->len, 1);

	mem_drop(b->va, b->len);
	if (present)
		memset(b->va, 1, b->len);
	sim_cmd_order(&cmd, IOPF_SIM_ORDER_RANDOM, 8, MEM_PAGE, 7);
	must_be(sim_run(&r->sim[n], &cmd, NULL) == IOPF_SIM_ST_OK);
}

/* The same. Returns the number of faults of the device, after they have been counted. */
static uint64_t touch(struct rig *r, unsigned int n, const struct simbuf *b, bool present)
{
	uint64_t before = iopf_count(r->vfio[n].bdf, "faults"), faults, every;
	unsigned long long total = latency_count(latency_device(n), "total");

	touch_unwatched(r, n, b, present);
	faults = iopf_count(r->vfio[n].bdf, "faults") - before;
	must(knob_read_try(&every, "/sys/module/vfio_iommu_iopf/parameters/latency_sampling"));
	if (every)
		latency_counted(latency_device(n), total + faults);
	return faults;
}

static void check_phases(struct rig *r, const struct simbuf *b)
{
	const char *device = latency_device(0), *container = latency_container();
	uint64_t faults;

	must(iopf_param("latency_sampling", 1));
	tap_errno_is(latency_reset(device), 0, "a device is reset");
	tap_errno_is(latency_reset(container), 0, "a container is reset");
	tap_is(latency_count(device, "total") + latency_count(container, "total") +
	       latency_count(device, "walk"), 0, "there is nothing");
	must(iopf_param("fault_around", 0));
	faults = touch(r, 0, b, true);
	tap_ok(faults >= PAGES / 2, "%llu faults in place", (unsigned long long)faults);
	check_sums(device, faults);
	tap_is(latency_count(device, "map"), faults, "each of them mapped");
	tap_is(latency_count(device, "queueing") + latency_count(device, "populate"), 0,
	       "none was queueing, nothing was populated");
	tap_is(latency_count(container, "total"), faults, "the container has the same number");

	faults += touch(r, 0, b, false);
	check_sums(device, faults);
	tap_ok(latency_count(device, "populate") >= PAGES / 2, "memory was populated");
	must(iopf_param("fault_around", 16));
	tap_is(latency_count(device, "total"), iopf_count(r->vfio[0].bdf, "faults"),
	       "as many as the device had since it was attached");
}

/* The phases of one fault in N are measured, unless it waits. */
static void check_sample(struct rig *r, const struct simbuf *b)
{
	const char *device = latency_device(0);
	unsigned long long walks;
	uint64_t faults;

	must(latency_reset(device));
	must(iopf_param("latency_sampling", 8));
	must(iopf_param("fault_around", 0));
	faults = touch(r, 0, b, true);
	must(iopf_param("fault_around", 16));
	walks = latency_count(device, "walk");
	tap_is(latency_count(device, "total"), faults, "of %llu faults each has its total",
	       (unsigned long long)faults);
	/* Each processor counts for itself. */
	tap_ok(walks >= faults / 8 - 4 && walks <= faults / 8 + 4, "%llu have phases", walks);
	tap_is(latency_count(device, "respond"), walks, "all of them");

	must(iopf_param("latency_sampling", 0));
	must(latency_reset(device));
	touch(r, 0, b, true);
	tap_is(latency_count(device, "total") + latency_count(device, "walk"), 0,
	       "switched off: nothing");
	must(iopf_param("latency_sampling", 1));
	touch(r, 0, b, true);
	tap_ok(latency_count(device, "total"), "switched on: something");
	must(latency_reset(device));
}

/* Faults that wait, longer for a worker than for the page; and those that are cancelled. */
static void check_waits(struct rig *r)
{
	const char *device = latency_device(0);
	struct latency_summary total;
	struct flood f;

	must(iopf_param("latency_sampling", 8));
	must(latency_reset(device));
	flood_start(&f, r, 1);
	tap_is(latency_count(device, "total"), 0, "a fault that waits has no total yet");
	flood_end(&f);
	tap_is(latency_counted(device, FLOOD_GROUPS), FLOOD_GROUPS, "then each has");
	tap_is(latency_count(device, "queueing"), FLOOD_GROUPS, "each was queueing");
	tap_is(latency_count(device, "populate"), FLOOD_GROUPS, "its page was populated");
	check_sums(device, FLOOD_GROUPS);
	total = latency_summary(device, "total");
	/* The first waited for release, the last for all others besides. */
	tap_ok(latency_summary(device, "queueing").sum > total.sum / 4 &&
	       latency_summary(device, "populate").sum > 0, "they waited for each other");

	must(iopf_param("latency_sampling", 1));
	must(latency_reset(device));
	flood_start(&f, r, 1);
	tap_errno_is(vfio_reset(&r->vfio[0]), 0, "the device is reset meanwhile");
	flood_stop(&f);
	tap_is(latency_counted(device, FLOOD_GROUPS), FLOOD_GROUPS,
	       "cancelled faults are counted, too");
	must_be(!vfio_unmap(&r->c, f.b.iova, f.b.len));
	must(vfio_bus_master(&r->vfio[0], true));
	must(sim_up(&r->sim[0], &r->vfio[0], NULL));
}

static void leave(struct rig *r, unsigned int n)
{
	vfio_dev_put(&r->vfio[n]);
	must(vfio_dev_detach(&r->vfio[n]));
	vfio_dev_close(&r->vfio[n]);
}

static void join(struct rig *r, unsigned int n, struct vfio_container *c)
{
	must(vfio_dev_open(&r->vfio[n], c, rig_bdf(n), VFIO_TYPE1v2_IOMMU));
	must(sim_up(&r->sim[n], &r->vfio[n], NULL));
}

/*
 * Device 1 moves to another container: its faults stay counted for the old container and for the
 * device.
 */
static void check_move(struct rig *r, const struct simbuf *b)
{
	const char *d0 = latency_device(0), *d1 = latency_device(1);
	const char *old = latency_container(), *new;
	uint64_t f0, f1, more, was;
	struct rig other;

	must(latency_reset(d0));
	must(latency_reset(d1));
	must(latency_reset(old));
	f0 = touch(r, 0, b, true);
	f1 = touch(r, 1, b, true);
	tap_is(latency_count(old, "total"), f0 + f1, "a container has the faults of both devices");
	tap_is(latency_count(d0, "total"), f0, "the first device its own");
	tap_is(latency_count(d1, "total"), f1, "the second its own");
	must(latency_reset(d0));
	tap_is(latency_count(d0, "total"), 0, "the first one is reset");
	tap_is(latency_count(old, "total"), f0 + f1, "its container is not");
	more = touch(r, 0, b, true);
	must(latency_reset(old));
	tap_is(latency_count(old, "total"), 0, "the container is reset");
	tap_is(latency_count(d0, "total"), more, "its first device is not");
	tap_is(latency_count(d1, "total"), f1, "nor its second");
	f0 = touch(r, 0, b, true);
	f1 = touch(r, 1, b, true);
	more = latency_count(d1, "total");

	was = f0 + f1;
	leave(r, 1);
	tap_is(latency_count(old, "total"), was,
	       "the second leaves: its container keeps its faults");
	tap_is(latency_count(d1, "total"), more, "the device keeps its faults");
	rig_open_at(&other, 2, 1, VFIO_TYPE1v2_IOMMU);
	new = latency_container();
	tap_ok(strcmp(new, old), "another container");
	join(r, 1, &other.c);
	tap_is(latency_count(new, "total"), 0, "it starts at zero");
	rig_map(&other, b);
	f1 = touch(r, 1, b, true);
	rig_unmap(&other, b);
	tap_is(latency_count(new, "total"), f1, "the second device faults there");
	tap_is(latency_count(d1, "total"), more + f1, "and has both");
	tap_is(latency_count(old, "total"), was, "the old one is as it was");
	tap_errno_is(knob_write_try(0, "%s/reset", d1), -EINVAL, "0 resets nothing");
	tap_errno_is(knob_write_try(1, "%s/total", d1), -EACCES, "a total can't be written");
	leave(r, 1);
	must(latency_reset(d1));
	tap_is(latency_count(d1, "total"), 0, "a device that is nowhere is reset");
	rig_close(&other);
	join(r, 1, &r->c);
}

/* One that reads and resets, all over, until told to stop. */
static bool reader_stop;

static void *reader(void *dir)
{
	unsigned long reads = 0;
	char line[256];
	unsigned int i;

	while (!__atomic_load_n(&reader_stop, __ATOMIC_ACQUIRE)) {
		for (i = 0; i < ARRAY_SIZE(phases); i++) {
			/* The container may be released at any moment. */
			reads += !knob_read_text(line, sizeof(line), "%s/%s", (char *)dir,
						 phases[i]);
			knob_read_text(line, sizeof(line), "%s/%s_buckets", (char *)dir, phases[i]);
		}
		knob_write_try(1, "%s/reset", (char *)dir);
		usleep(100);
	}
	return (void *)reads;
}

/* The device is taken out of the machine while its files are read, and comes back with new ones. */
static void check_unplug(struct rig *r, const struct simbuf *b)
{
	pthread_t readers[2];
	uint64_t faults;
	char path[96];
	void *reads[2];
	int i;

	reader_stop = false;
	must_be(!pthread_create(&readers[0], NULL, reader, (void *)latency_device(1)));
	must_be(!pthread_create(&readers[1], NULL, reader, (void *)latency_container()));
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/remove", rig_bdf(1));
	for (i = 0; i < 5; i++) {
		touch_unwatched(r, 1, b, true);
		leave(r, 1);
		must(mem_write_file(path, "1"));
		must(mem_write_file("/sys/bus/pci/rescan", "1"));
		must(rig_bind(rig_bdf(1)));
		join(r, 1, &r->c);
	}
	__atomic_store_n(&reader_stop, true, __ATOMIC_RELEASE);
	for (i = 0; i < 2; i++)
		pthread_join(readers[i], &reads[i]);
	tap_ok(reads[0] && reads[1], "unplugged while it was read: %lu times, %lu times",
	       (unsigned long)reads[0], (unsigned long)reads[1]);
	must(latency_reset(latency_device(1)));
	faults = touch(r, 1, b, true);
	tap_is(latency_count(latency_device(1), "total"), faults, "latency is measured again");
}

static void check_param(void)
{
	tap_errno_is(iopf_param("latency_sampling", 1001), -ERANGE, "a rate beyond all reason");
	tap_errno_is(mem_write_file("/sys/module/vfio_iommu_iopf/parameters/latency_sampling", "x"),
		     -EINVAL, "a rate that is no number");
}

int main(void)
{
	struct simbuf b = { mem_anon(LEN), RIG_IOVA, LEN };
	struct rig r;

	rig_backend_only();
	rig_load("devices=3 engines=8", "latency_sampling=0");
	rig_open(&r, 2, VFIO_TYPE1v2_IOMMU);
	rig_map(&r, &b);
	rig_both_ways(&r.sim[0], &b, 1, "loaded with latency_sampling=0");
	tap_is(latency_count(latency_device(0), "total") +
	       latency_count(latency_container(), "total"), 0, "nothing is measured");
	rig_unmap(&r, &b);
	rig_close(&r);

	rig_load("devices=3 engines=8", "latency_sampling=1");
	tap_is(latency_count(latency_device(0), "total"), 0, "a device that never was attached");
	rig_open(&r, 2, VFIO_TYPE1v2_IOMMU);
	rig_map(&r, &b);
	check_param();
	check_phases(&r, &b);
	check_sample(&r, &b);
	check_waits(&r);
	check_move(&r, &b);
	check_unplug(&r, &b);
	rig_both_ways(&r.sim[0], &b, 3, "after all that");
	rig_clean(&r);
	rig_close(&r);
	rig_balanced();
	tap_errno_is(rig_unload_soon(), 0, "the modules can be unloaded");
	return tap_done();
}
