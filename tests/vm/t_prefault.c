// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO_IOPF_PREFAULT. A device does not fault on prefaulted memory of any kind. The end of a
 * request is signalled. Cancelling, unmapping, closing the container, and a userfaultfd that
 * provides no pages leave nothing behind, and block nobody. Dirty tracking sees no writes. A
 * request fails when memory is short.
 *
 * vm: --mem 1024
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dirty.h"
#include "prefault.h"
#include "rig.h"
#include "uffd.h"

#define LEN	(6 * MiB)
#define PAGES	(LEN / MEM_PAGE)
#define RW	(PREFAULT_READ | PREFAULT_WRITE)

static uint64_t faults(void)
{
	return iopf_count(rig_bdf(0), "faults");
}

static struct vfio_iopf_range range_of(const struct simbuf *b)
{
	return (struct vfio_iopf_range){ b->iova, b->len };
}

static bool adds_up(const struct vfio_iopf_prefault_status *s)
{
	return s->already_mapped + s->mapped + s->failed == s->pages;
}

/* Prefault all memory: the device does not fault. Prefault again: there is nothing to do. */
static void check_kind(struct rig *r, void *va, uint32_t flags, const char *kind)
{
	struct simbuf b = { va, RIG_IOVA, LEN };
	struct vfio_iopf_prefault_status s;
	uint64_t before;

	rig_map(r, &b);
	prefault_run(&r->c, &b, flags, &s);
	tap_ok(s.mapped == PAGES && adds_up(&s), "%s: all of it is mapped", kind);
	if (s.mapped != PAGES)
		tap_diag("%llu already mapped, %llu mapped, %llu failed",
			 (unsigned long long)s.already_mapped, (unsigned long long)s.mapped,
			 (unsigned long long)s.failed);
	tap_is(mem_incore(va, LEN), PAGES, "%s: it is in core", kind);
	before = faults();
	if (flags & PREFAULT_WRITE)
		rig_both_ways(&r->sim[0], &b, 3, kind);
	else
		rig_status_is(sim_read(&r->sim[0], &b, 0, LEN, NULL), IOPF_SIM_ST_OK,
			      "the device reads it");
	tap_is(faults() - before, 0, "%s: without a fault", kind);
	prefault_run(&r->c, &b, flags, &s);
	tap_ok(s.already_mapped == PAGES && adds_up(&s), "%s: again: it was there", kind);
	rig_unmap(r, &b);
	mem_unmap(va, LEN);
}

static void check_kinds(struct rig *r)
{
	void *va;
	int fd;

	check_kind(r, mem_anon(LEN), PREFAULT_WRITE, "anonymous");
	check_kind(r, mem_anon(LEN), PREFAULT_READ, "anonymous, to read");
	check_kind(r, mem_thp(LEN), RW, "huge pages");
	check_kind(r, mem_memfd(LEN, &fd), PREFAULT_WRITE, "shmem");
	close(fd);
	va = mem_hugetlb(LEN, true);
	if (va)
		check_kind(r, va, PREFAULT_WRITE, "hugetlb");
	else
		tap_skip("no pool", "hugetlb");
}

/* Pages that are mapped for reading, and zero pages, become writable. */
static void check_upgrade(struct rig *r)
{
	struct simbuf b = { mem_anon(LEN), RIG_IOVA, LEN };
	struct vfio_iopf_prefault_status s;
	uint64_t before;

	rig_map(r, &b);
	prefault_run(&r->c, &b, PREFAULT_READ, &s);
	simbuf_fill(&b, 2 * MiB, MiB, 9);
	prefault_run(&r->c, &b, PREFAULT_WRITE, &s);
	tap_ok(s.mapped >= PAGES - 256 && !s.failed && adds_up(&s),
	       "a read-only page can be written");
	before = faults();
	tap_is(simbuf_differs(&b, 2 * MiB, MiB, 9), 0, "its data has not changed");
	rig_both_ways(&r->sim[0], &b, 4, "after that");
	tap_is(faults() - before, 0, "without a fault");
	rig_unmap(r, &b);
	mem_unmap(b.va, LEN);
}

/* Overlapping parts of two areas, at any byte. */
static void check_ranges(struct rig *r)
{
	struct simbuf b = { mem_anon(LEN), RIG_IOVA + 5 * MEM_PAGE, LEN / 2 };
	struct simbuf next = { (char *)b.va + LEN / 2, b.iova + LEN / 2, LEN / 2 };
	struct vfio_iopf_range ranges[] = {
		{ b.iova + LEN / 2 - 3 * MEM_PAGE, 5 * MEM_PAGE },	/* across both */
		{ b.iova + 10 * MEM_PAGE + 4095, 2 },			/* pages 10 and 11 */
		{ b.iova + 11 * MEM_PAGE, 1 },				/* 11 again */
		{ next.iova + LEN / 2 - 1, 1 },				/* the last byte */
	};
	struct vfio_iopf_prefault_status s;
	uint64_t id, count;
	int efd = must_sys(eventfd(0, 0));

	rig_map(r, &b);
	rig_map(r, &next);
	must(prefault_start(&r->c, ranges, ARRAY_SIZE(ranges), RW, efd, &id));
	must_sys(read(efd, &count, sizeof(count)));
	tap_is(count, 1, "the end is told, once");
	must(prefault_query(&r->c, id, &s));
	tap_is(s.state, VFIO_IOPF_PREFAULT_STATE_DONE, "when it is told it is the end");
	tap_is(s.pages, 5 + 2 + 1 + 1, "whole pages");
	tap_ok(s.mapped == 8 && s.already_mapped == 1 && adds_up(&s), "each once");
	tap_is(mem_resident(b.va, LEN), 8, "no other page is");
	rig_unmap(r, &b);
	rig_unmap(r, &next);
	mem_unmap(b.va, LEN);
	close(efd);
}

static void start_is(struct rig *r, struct vfio_iopf_range range, uint32_t flags, int err,
		     const char *what)
{
	uint64_t id = 0;

	tap_errno_is(prefault_start(&r->c, &range, 1, flags, -1, &id), err, "%s", what);
}

/* Ranges and flags that are invalid. @b is mapped, and as much memory after it, read-only. */
static void check_bad_ranges(struct rig *r, const struct simbuf *b)
{
	struct vfio_iopf_range good = range_of(b);

	start_is(r, good, 0, -EINVAL, "neither read nor write");
	start_is(r, good, 8, -EINVAL, "a flag that is none");
	start_is(r, (struct vfio_iopf_range){ b->iova, 0 }, RW, -EINVAL, "no bytes");
	start_is(r, (struct vfio_iopf_range){ b->iova, ~0ull }, RW, -EINVAL, "beyond the end");
	start_is(r, (struct vfio_iopf_range){ b->iova, ~b->iova + 1 }, PREFAULT_READ, -ENOENT,
		 "to the very end");
	start_is(r, (struct vfio_iopf_range){ ~0ull, 1 }, RW, -ENOENT, "the last byte there is");
	start_is(r, (struct vfio_iopf_range){ b->iova - 1, 2 }, RW, -ENOENT, "a byte before");
	start_is(r, (struct vfio_iopf_range){ b->iova, 2 * LEN + 1 }, PREFAULT_READ, -ENOENT,
		 "a byte after");
	start_is(r, (struct vfio_iopf_range){ b->iova, LEN + 1 }, PREFAULT_WRITE, -EPERM,
		 "a read-only range for writing");
}

static void check_bad_queries(struct rig *r)
{
	struct vfio_iopf_prefault_status s = { .argsz = sizeof(s) };

	tap_errno_is(prefault_query(&r->c, 0, &s), -ENOENT, "no request has this number");
	tap_errno_is(prefault_query(&r->c, ~0ull, &s), -ENOENT, "nor this");
	tap_errno_is(prefault_cancel(&r->c, ~0ull, &s), -ENOENT, "no such request to cancel");
	vfio_head_refused(&r->c, VFIO_IOPF_PREFAULT_QUERY, &s, 1, "query: ");
	vfio_head_refused(&r->c, VFIO_IOPF_PREFAULT_CANCEL, &s, 1, "cancel: ");
	tap_errno_is(vfio_ioctl(&r->c, VFIO_IOPF_PREFAULT_QUERY, NULL), -EFAULT,
		     "a query of nothing");
}

static void check_bad(struct rig *r)
{
	struct simbuf b = { mem_anon(LEN), RIG_IOVA, LEN };
	struct simbuf ro = { mem_anon(LEN), RIG_IOVA + LEN, LEN };
	struct vfio_iopf_range good = range_of(&b);
	struct vfio_iopf_prefault_status s;
	struct vfio_iopf_prefault p = { .argsz = sizeof(p), .flags = RW, .nr_ranges = 1 };
	static struct vfio_iopf_range many[VFIO_IOPF_RANGES_MAX + 1];
	uint64_t id, last, i;

	rig_map(r, &b);
	must(vfio_map_flags(&r->c, ro.va, ro.iova, LEN, VFIO_DMA_MAP_FLAG_READ));
	check_bad_ranges(r, &b);
	tap_errno_is(prefault_start(&r->c, &good, 0, RW, -1, &id), -EINVAL, "no range");
	for (i = 0; i <= VFIO_IOPF_RANGES_MAX; i++)
		many[i] = (struct vfio_iopf_range){ b.iova, 1 };
	tap_errno_is(prefault_start(&r->c, many, VFIO_IOPF_RANGES_MAX + 1, RW, -1, &id), -E2BIG,
		     "too many ranges");
	tap_errno_is(prefault_start(&r->c, NULL, 1, RW, -1, &id), -EFAULT, "ranges nowhere");
	tap_errno_is(prefault_start(&r->c, &good, 1, RW, 9999, &id), -EBADF, "no such file");
	tap_errno_is(prefault_start(&r->c, &good, 1, RW, r->c.fd, &id), -EINVAL, "no eventfd");
	p.ranges = (uintptr_t)&good;
	p.argsz--;
	tap_errno_is(vfio_ioctl(&r->c, VFIO_IOPF_PREFAULT, &p), -EINVAL, "argsz");
	tap_errno_is(vfio_ioctl(&r->c, VFIO_IOPF_PREFAULT, NULL), -EFAULT, "nothing");
	check_bad_queries(r);
	tap_is(mem_resident(b.va, LEN) + mem_resident(ro.va, LEN), 0, "nothing came of all that");

	must(prefault_start(&r->c, many, VFIO_IOPF_RANGES_MAX, RW, -1, &id));
	prefault_wait(&r->c, id, &s);
	tap_ok(s.state == VFIO_IOPF_PREFAULT_STATE_DONE && s.pages == VFIO_IOPF_RANGES_MAX &&
	       adds_up(&s), "as many ranges as there may be");
	/* The module remembers only some requests. */
	for (i = 0; i < 60; i++) {
		must(prefault_start(&r->c, &good, 1, RW, -1, &last));
		prefault_wait(&r->c, last, &s);
	}
	tap_errno_is(prefault_query(&r->c, id, &s), -ENOENT, "an old request is forgotten");
	tap_errno_is(prefault_cancel(&r->c, last, &s), 0, "cancelling a request that has ended");
	tap_is(s.state, VFIO_IOPF_PREFAULT_STATE_DONE, "changes nothing");
	tap_is(prefault_knob("prefault_requests"), 0, "nothing is under way");
	tap_ok(prefault_knob("prefault_pages") >= PAGES, "mapped pages are counted");
	rig_unmap(r, &b);
	must(vfio_unmap(&r->c, ro.iova, LEN));
	mem_unmap(b.va, LEN);
	mem_unmap(ro.va, LEN);
}

static void knob_gets(const char *name, uint64_t value, const char *what)
{
	unsigned int spins = 0;

	while (prefault_knob(name) != value && spins < 60000)
		sim_nap(&spins);
	tap_is(prefault_knob(name), value, "%s", what);
}

/* A userfaultfd that provides no pages. */
static void check_held(struct rig *r)
{
	struct simbuf b = { mem_anon(LEN), RIG_IOVA, LEN };
	struct simbuf other = { mem_anon(LEN), RIG_IOVA + LEN, LEN };
	struct vfio_iopf_range held = range_of(&b), free = range_of(&other);
	struct vfio_iopf_prefault_status s;
	uint64_t first, second, third, count, id, i, all[VFIO_IOPF_REQUESTS_MAX];
	int uffd = uffd_missing(b.va, b.len), efd = must_sys(eventfd(0, EFD_NONBLOCK));

	rig_map(r, &b);
	rig_map(r, &other);
	must(prefault_start(&r->c, &held, 1, RW, efd, &first));
	uffd_asked(uffd);
	must(prefault_query(&r->c, first, &s));
	tap_is(s.state, VFIO_IOPF_PREFAULT_STATE_RUNNING, "memory that is held back: it waits");
	must(prefault_start(&r->c, &free, 1, RW, -1, &second));
	must(prefault_start(&r->c, &free, 1, PREFAULT_READ, -1, &third));
	must(prefault_query(&r->c, second, &s));
	tap_is(s.state, VFIO_IOPF_PREFAULT_STATE_WAITING, "others wait for it");
	rig_both_ways(&r->sim[0], &other, 5, "but no device");
	must(prefault_cancel(&r->c, third, &s));
	tap_is(s.state, VFIO_IOPF_PREFAULT_STATE_CANCELLED, "one that has not begun is cancelled");
	tap_ok(read(efd, &count, sizeof(count)) < 0 && errno == EAGAIN, "no end was told");
	must(prefault_cancel(&r->c, first, &s));
	tap_is(s.state, VFIO_IOPF_PREFAULT_STATE_CANCELLED,
	       "the request that waits is cancelled, too");
	tap_ok(read(efd, &count, sizeof(count)) == sizeof(count) && count == 1, "now it is told");
	prefault_wait(&r->c, second, &s);
	tap_ok(s.state == VFIO_IOPF_PREFAULT_STATE_DONE && s.already_mapped == PAGES,
	       "then the next has its turn");
	knob_gets("prefault_requests", 0, "the thread that waited has been interrupted");
	/* Each request waits for a page of its own, which shows when it waits. */
	for (i = 1; i < VFIO_IOPF_REQUESTS_MAX; i++) {
		struct vfio_iopf_range page = { b.iova + (10 + i) * MEM_PAGE, MEM_PAGE };

		must(prefault_start(&r->c, &page, 1, RW, -1, &id));
		uffd_asked(uffd);
		must(prefault_cancel(&r->c, id, &s));
	}
	knob_gets("prefault_requests", 0, "all others are cancelled, too");
	/* The maximum number of requests, and one more. */
	for (i = 0; i < VFIO_IOPF_REQUESTS_MAX; i++)
		must(prefault_start(&r->c, &held, 1, RW, -1, &all[i]));
	tap_errno_is(prefault_start(&r->c, &free, 1, RW, -1, &id), -EBUSY, "there is a bound");
	rig_both_ways(&r->sim[0], &other, 6, "devices don't mind");
	for (i = 0; i < VFIO_IOPF_REQUESTS_MAX; i++)
		must(prefault_cancel(&r->c, all[i], &s));
	knob_gets("prefault_requests", 0, "once cancelled they are gone");
	tap_is(mem_resident(b.va, LEN), 0, "none populated anything");
	/* All pages are provided. */
	close(uffd);
	prefault_run(&r->c, &b, RW, &s);
	tap_ok(adds_up(&s) && !s.failed, "and again");
	rig_unmap(r, &b);
	rig_unmap(r, &other);
	mem_unmap(b.va, LEN);
	mem_unmap(other.va, LEN);
	close(efd);
}

/* Cancel a request, or unmap and map its memory, at any moment. */
static void check_meanwhile(struct rig *r)
{
	struct simbuf b = { mem_anon(LEN), RIG_IOVA, LEN };
	struct vfio_iopf_range range = range_of(&b);
	struct vfio_iopf_prefault_status s, again;
	unsigned int i, k, spins, ended[5] = { };
	uint64_t id, resident;
	bool sums = true, still = true;

	rig_map(r, &b);
	for (i = 0; i < 24; i++) {
		uint64_t wait = i % 8 * (PAGES / 8);

		mem_drop(b.va, LEN);
		must(prefault_start(&r->c, &range, 1, RW, -1, &id));
		/* How far the request comes at first. It counts at the end of each 2 MiB. */
		for (spins = 0, k = 0; k < 200 * (i % 8); k++) {
			must(prefault_query(&r->c, id, &s));
			if (s.mapped >= wait || s.state >= VFIO_IOPF_PREFAULT_STATE_DONE)
				break;
			sim_nap(&spins);
		}
		if (i % 2) {
			must(prefault_cancel(&r->c, id, &s));
			resident = mem_resident(b.va, LEN);
			/* Give it plenty of opportunity. */
			for (k = 0; k < 20; k++)
				must(sim_run(&r->sim[0], &(struct iopf_sim_cmd){ }, NULL));
			must(prefault_query(&r->c, id, &again));
			still &= mem_resident(b.va, LEN) == resident && again.mapped == s.mapped;
		} else {
			rig_unmap(r, &b);
			if (i % 4)
				rig_map(r, &b);
			prefault_wait(&r->c, id, &s);
			sums &= adds_up(&s);
			if (!(i % 4))
				rig_map(r, &b);
		}
		ended[s.state]++;
	}
	tap_ok(sums, "unmapped meanwhile: each page is counted once");
	tap_ok(still, "cancelled: nothing more happens");
	tap_is(ended[VFIO_IOPF_PREFAULT_STATE_FAILED], 0, "none failed");
	tap_diag("%u done, %u cancelled", ended[VFIO_IOPF_PREFAULT_STATE_DONE],
		 ended[VFIO_IOPF_PREFAULT_STATE_CANCELLED]);
	rig_both_ways(&r->sim[0], &b, 8, "after that");
	rig_unmap(r, &b);
	mem_unmap(b.va, LEN);
}

/* A device uses the same memory. */
static void check_beside(struct rig *r)
{
	struct simbuf b = { mem_anon(LEN), RIG_IOVA, LEN };
	struct vfio_iopf_range range = range_of(&b);
	struct vfio_iopf_prefault_status s;
	struct iopf_sim_cmd cmd;
	struct iopf_sim_cpl cpl;
	unsigned int i;
	uint64_t id;

	rig_map(r, &b);
	for (i = 0; i < 4; i++) {
		mem_drop(b.va, LEN);
		cmd = sim_cmd(IOPF_SIM_OP_WRITE, &b, 0, LEN, 20 + i);
		sim_start(&r->sim[0], &cmd);
		must(prefault_start(&r->c, &range, 1, RW, -1, &id));
		sim_wait(&r->sim[0], &cpl);
		prefault_wait(&r->c, id, &s);
		must_be(cpl.status == IOPF_SIM_ST_OK && adds_up(&s) && !s.failed);
		tap_is(simbuf_differs(&b, 0, LEN, 20 + i), 0,
		       "a device beside it: no byte is lost");
	}
	rig_unmap(r, &b);
	mem_unmap(b.va, LEN);
}

static void check_dirty(struct rig *r)
{
	struct simbuf b = { mem_anon(LEN), RIG_IOVA, LEN };
	struct vfio_iopf_prefault_status s;
	static bool written[PAGES];
	struct dirty_map m;

	rig_map(r, &b);
	simbuf_fill(&b, 0, LEN / 2, 2);
	dirty_map_init(&m, b.iova, b.len);
	must(dirty_track(&r->c, true));
	prefault_run(&r->c, &b, RW, &s);
	tap_ok(s.mapped == PAGES && adds_up(&s), "tracked: all of it is mapped");
	must(dirty_get(&r->c, &m));
	tap_is(dirty_differs(&m, NULL), 0, "nothing is dirty");
	must_be(sim_write(&r->sim[0], &b, 7 * MEM_PAGE, MEM_PAGE, 1, NULL) == IOPF_SIM_ST_OK);
	written[7] = true;
	prefault_run(&r->c, &b, RW, &s);
	must(dirty_get(&r->c, &m));
	tap_is(dirty_differs(&m, written), 0, "except for writes of the device");
	prefault_run(&r->c, &b, RW, &s);
	must(dirty_get(&r->c, &m));
	tap_is(dirty_differs(&m, NULL), 0, "once");
	must(dirty_track(&r->c, false));
	prefault_run(&r->c, &b, RW, &s);
	tap_ok(!s.failed && adds_up(&s), "no longer tracked: for writing");
	rig_both_ways(&r->sim[0], &b, 11, "after that");
	dirty_map_free(&m);
	rig_unmap(r, &b);
	mem_unmap(b.va, LEN);
}

static void check_pinned(struct rig *r)
{
	struct simbuf b = { mem_anon(LEN), RIG_IOVA, LEN };
	struct vfio_iopf_prefault_status s;

	rig_map(r, &b);
	must(iopf_enable(rig_bdf(0), false));
	prefault_run(&r->c, &b, RW, &s);
	tap_ok(s.already_mapped == PAGES && adds_up(&s), "pinned: it is all there");
	must(iopf_enable(rig_bdf(0), true));
	rig_unmap(r, &b);
	mem_unmap(b.va, LEN);
}

static void check_frozen(struct rig *r)
{
	int fd;
	struct simbuf b = { mem_memfd(LEN, &fd), RIG_IOVA, LEN };
	struct vfio_iopf_prefault_status s;

	rig_map(r, &b);
	must(vfio_unmap_flags(&r->c, b.iova, LEN, VFIO_DMA_UNMAP_FLAG_VADDR, NULL));
	prefault_run(&r->c, &b, RW, &s);
	tap_ok(s.failed == PAGES && adds_up(&s), "without a valid address: left out");
	tap_is(mem_incore(b.va, LEN), 0, "nothing was populated");
	must(vfio_map_flags(&r->c, b.va, b.iova, LEN, VFIO_DMA_MAP_FLAG_VADDR));
	prefault_run(&r->c, &b, RW, &s);
	tap_is(s.mapped, PAGES, "with one: mapped");
	rig_unmap(r, &b);
	mem_unmap(b.va, LEN);
	close(fd);
}

/* Memory that does not exist, or is read-only. */
static void check_holes(struct rig *r)
{
	struct simbuf b = { mem_anon(LEN), RIG_IOVA, LEN };
	struct vfio_iopf_prefault_status s;

	rig_map(r, &b);
	must_sys(munmap((char *)b.va + MiB, 100 * MEM_PAGE));
	must_sys(mprotect((char *)b.va + 3 * MiB, 50 * MEM_PAGE, PROT_READ));
	prefault_run(&r->c, &b, PREFAULT_WRITE, &s);
	tap_ok(s.failed == 150 && adds_up(&s), "no memory, no permission: 150 pages missed");
	tap_diag("%llu failed", (unsigned long long)s.failed);
	prefault_run(&r->c, &b, PREFAULT_READ, &s);
	tap_ok(s.failed == 100 && adds_up(&s), "for reading 100");
	rig_unmap(r, &b);
	mem_unmap(b.va, LEN);
}

/*
 * More memory than the limit of the cgroup: the request fails, the process survives. By then the
 * cgroup is full, so the process needs no more memory itself until it has got room: its own
 * accesses would have it killed, with every right.
 */
static int beyond(void)
{
	struct simbuf b = { .iova = RIG_IOVA, .len = 64 * MiB };
	struct vfio_iopf_range range;
	struct vfio_iopf_prefault_status s;
	struct rig r;
	uint64_t id;
	int max;

	(void)mkdir("/sys/fs/cgroup/hint", 0755);
	must(mem_write_file("/sys/fs/cgroup/hint/memory.max", "%d", 24 << 20));
	must(mem_write_file("/sys/fs/cgroup/hint/cgroup.procs", "0"));
	max = must_sys(open("/sys/fs/cgroup/hint/memory.max", O_WRONLY));
	rig_open_at(&r, 1, 1, VFIO_TYPE1v2_IOMMU);
	must_sys(mlockall(MCL_CURRENT));
	b.va = mem_anon(b.len);
	rig_map(&r, &b);
	range = range_of(&b);
	must(prefault_start(&r.c, &range, 1, RW, -1, &id));
	prefault_wait(&r.c, id, &s);
	must_be(write(max, "max", 3) == 3);
	tap_diag("state %u, error %u, %llu of %llu pages", s.state, s.error,
		 (unsigned long long)s.mapped, (unsigned long long)s.pages);
	if (s.state != VFIO_IOPF_PREFAULT_STATE_FAILED || s.error != ENOMEM)
		return 1;
	return mem_resident(b.va, b.len) < 8 * MiB / MEM_PAGE ? 2 : 0;
}

static void check_short(void)
{
	int status;
	pid_t pid;

	pid = tap_fork(true);
	if (!pid)
		_exit(beyond());
	must_sys(waitpid(pid, &status, 0));
	tap_ok(WIFEXITED(status) && !WEXITSTATUS(status),
	       "beyond the limit: ENOMEM, and no process is killed (status 0x%x)", status);
}

/* The container ends while requests run, wait for others, and wait for a userfaultfd. */
static void check_release(struct rig *r, bool held)
{
	struct simbuf b = { mem_anon(LEN), RIG_IOVA, LEN };
	struct vfio_iopf_range range = range_of(&b);
	int efd = must_sys(eventfd(0, EFD_NONBLOCK)), uffd = -1, i;
	uint64_t id, count;

	rig_map(r, &b);
	if (held)
		uffd = uffd_missing(b.va, b.len);
	for (i = 0; i < 4; i++)
		must(prefault_start(&r->c, &range, 1, RW, efd, &id));
	if (held)
		uffd_asked(uffd);
	rig_close(r);
	tap_ok(read(efd, &count, sizeof(count)) == sizeof(count) && count == 4,
	       "the container's end is the end of all requests%s",
	       held ? ", though one waits for user space" : "");
	if (held)
		close(uffd);
	rig_balanced_soon();
	close(efd);
	mem_unmap(b.va, LEN);
}

static void check_nobody(void)
{
	struct vfio_iopf_range range = { RIG_IOVA, MEM_PAGE };
	struct simbuf b = { mem_anon(MEM_PAGE), RIG_IOVA, MEM_PAGE };
	struct rig r;
	uint64_t id;

	rig_load("", NULL);
	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	rig_map(&r, &b);
	tap_is((unsigned int)ioctl(r.c.fd, VFIO_CHECK_EXTENSION, VFIO_IOPF_PREFAULT_EXT), 0,
	       "stock type1 has no such extension");
	tap_errno_is(prefault_start(&r.c, &range, 1, RW, -1, &id), -ENOTTY, "no such ioctl");
	rig_unmap(&r, &b);
	rig_close(&r);
	mem_unmap(b.va, MEM_PAGE);
}

int main(void)
{
	struct rig r;

	rig_backend_only();
	rig_load("devices=2", "");
	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	tap_is((unsigned int)ioctl(r.c.fd, VFIO_CHECK_EXTENSION, VFIO_IOPF_PREFAULT_EXT), 1,
	       "the extension is there");
	check_kinds(&r);
	check_upgrade(&r);
	check_ranges(&r);
	check_bad(&r);
	check_held(&r);
	check_meanwhile(&r);
	check_beside(&r);
	check_dirty(&r);
	check_pinned(&r);
	check_frozen(&r);
	check_holes(&r);
	rig_clean(&r);
	check_short();
	check_release(&r, false);
	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	check_release(&r, true);
	rig_balanced();
	check_nobody();
	return tap_done();
}
