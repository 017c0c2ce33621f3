// SPDX-License-Identifier: GPL-2.0-only
/*
 * An emulated device (mdev-style) alone in its container: pinning, unpinning, dma_rw, the
 * notification of unmapping, accounting. Each check runs with stock type1, then with the backend,
 * and expects the same results. Stock type1 is left out twice. It has a lock inversion, which
 * lockdep reports: it calls dma_unmap() of the device under a mutex that it also takes inside the
 * mutex for unpinning. And pinning in a loop during unmapping can trigger its BUG_ON().
 *
 * vm: --mem 1024
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "emulated.h"
#include "mdev.h"
#include "rig.h"

#define VFIO_PAGES	EMULATED_VFIO_PAGES
#define PAGES		EMULATED_PAGES
#define LEN		EMULATED_LEN
#define LIMIT		8	/* pages that the user in check_limit() may lock */

static void check_pin(struct emulated *t)
{
	struct mdev *m = &t->m;

	tap_errno_is(mdev_pin(m, emulated_page(t, 0), 1, MDEV_RW), 1, "a page is pinned");
	emulated_holds(t, 1, 1, "pinned");
	tap_errno_is(mdev_pin(m, emulated_page(t, 0), 1, MDEV_R), 1, "a page is pinned again");
	emulated_holds(t, 1, 2, "pinned twice");
	tap_errno_is(mdev_unpin(m, emulated_page(t, 0), 1), 0, "unpinned");
	emulated_holds(t, 1, 1, "unpinned once");
	tap_errno_is(mdev_unpin(m, emulated_page(t, 0), 1), 0, "unpinned again");
	emulated_holds(t, 0, 0, "unpinned twice");
	tap_errno_is(mdev_unpin(m, emulated_page(t, 0), 1), -ENOENT, "no pin is left");

	tap_errno_is(mdev_pin(m, emulated_page(t, 1), VFIO_PAGES, MDEV_RW), VFIO_PAGES,
		     "as many as VFIO pins at once");
	emulated_holds(t, VFIO_PAGES, VFIO_PAGES, "all of them");
	tap_errno_is(mdev_pin(m, emulated_page(t, 0), 5, MDEV_RW), 5, "some overlap");
	emulated_holds(t, VFIO_PAGES + 1, VFIO_PAGES + 5, "with some twice");
	tap_errno_is(mdev_unpin(m, emulated_page(t, 3), 7), 0, "some unpinned");
	emulated_holds(t, VFIO_PAGES + 1 - 5, VFIO_PAGES + 5 - 7, "without those");
	tap_errno_is(mdev_reset(m), 0, "reset");
	emulated_holds(t, 0, 0, "after a reset");

	tap_errno_is(mdev_pin(m, emulated_page(t, 0), PAGES, MDEV_RW), -E2BIG, "more is refused");
	tap_errno_is(mdev_pin(m, emulated_page(t, 0), 0, MDEV_RW), -EINVAL, "none is refused");
	emulated_holds(t, 0, 0, "nothing was pinned by that");
}

/* Access through the pinned pages. */
static void check_pinned_data(struct emulated *t)
{
	const size_t off = 3 * MEM_PAGE - 24, len = 4 * MEM_PAGE + 16;
	struct mdev *m = &t->m;
	pid_t pid;

	mem_drop(t->b.va, LEN);
	must(mdev_pin(m, emulated_page(t, 2), 6, MDEV_RW));
	tap_is(mem_resident(t->b.va, LEN), 6, "pinning memory that was not there populates it");
	tap_is(simbuf_nonzero(&t->b, 0, LEN), 0, "with zeros");
	simbuf_fill(&t->b, 0, LEN, 1);
	tap_is((uint64_t)mdev_differs(m, MDEV_PINNED, &t->b, off, len, 1), 0,
	       "the device reads the data of the CPU");
	must(mdev_fill(m, MDEV_PINNED, &t->b, off, len, 2));
	tap_is(simbuf_differs(&t->b, off, len, 2), 0, "the CPU reads the data of the device");
	tap_is(simbuf_differs(&t->b, 0, off, 1) +
	       simbuf_differs(&t->b, off + len, LEN - off - len, 1), 0, "nothing around it");

	/* After fork(), the parent keeps the pinned pages. */
	pid = must_sys(fork());
	if (!pid) {
		simbuf_fill(&t->b, 0, LEN, 3);
		_exit(0);
	}
	must_sys(waitpid(pid, NULL, 0));
	simbuf_fill(&t->b, 0, LEN, 4);
	tap_is((uint64_t)mdev_differs(m, MDEV_PINNED, &t->b, off, len, 4), 0,
	       "also after a fork");

	tap_errno_is(mdev_fill(m, MDEV_PINNED, &t->b, 0, MEM_PAGE, 5), -ENOENT,
		     "a page that is not pinned can't be accessed");
	must(mdev_pin(m, emulated_page(t, 0), 1, MDEV_R));
	tap_errno_is(mdev_fill(m, MDEV_PINNED, &t->b, 0, MEM_PAGE, 5), -EACCES,
		     "a page that is pinned for reading can't be written");
	must(mdev_reset(m));
	rig_same(&t->b, 4, "unpinned");
}

/* Adjacent ranges of separate memory, with different permissions. */
struct ranges {
	struct simbuf rw, ro, wo, rw2;
};

static struct ranges ranges_map(struct emulated *t)
{
	char *va = mem_anon(8 * MEM_PAGE);
	uint64_t iova = 2 * RIG_IOVA;
	struct ranges r = {
		.rw = { va, iova, 2 * MEM_PAGE },
		.rw2 = { va + 6 * MEM_PAGE, iova + 2 * MEM_PAGE, 2 * MEM_PAGE },
		.ro = { va + 4 * MEM_PAGE, iova + 4 * MEM_PAGE, 2 * MEM_PAGE },
		.wo = { va + 2 * MEM_PAGE, iova + 8 * MEM_PAGE, 2 * MEM_PAGE },
	};

	must(vfio_map(&t->c, r.rw.va, r.rw.iova, r.rw.len));
	must(vfio_map(&t->c, r.rw2.va, r.rw2.iova, r.rw2.len));
	must(vfio_map_flags(&t->c, r.ro.va, r.ro.iova, r.ro.len, VFIO_DMA_MAP_FLAG_READ));
	must(vfio_map_flags(&t->c, r.wo.va, r.wo.iova, r.wo.len, VFIO_DMA_MAP_FLAG_WRITE));
	return r;
}

static void ranges_unmap(struct emulated *t, struct ranges *r)
{
	must(vfio_unmap(&t->c, r->rw.iova, r->rw.len));
	must(vfio_unmap(&t->c, r->rw2.iova, r->rw2.len));
	must(vfio_unmap(&t->c, r->ro.iova, r->ro.len));
	must(vfio_unmap(&t->c, r->wo.iova, r->wo.len));
	mem_unmap(r->rw.va, 8 * MEM_PAGE);
}

static void check_pin_errors(struct emulated *t)
{
	struct simbuf gone = { mem_anon(4 * MEM_PAGE), 3 * RIG_IOVA, 4 * MEM_PAGE };
	struct ranges r = ranges_map(t);
	struct mdev *m = &t->m;

	tap_errno_is(mdev_pin(m, RIG_IOVA - MEM_PAGE, 1, MDEV_R), -EINVAL, "pin: not mapped");
	tap_errno_is(mdev_pin(m, emulated_page(t, PAGES - 1), 2, MDEV_R), -EINVAL,
		     "pin: over the end of the mapping");
	tap_errno_is(mdev_pin(m, -MEM_PAGE, 1, MDEV_R), -EINVAL, "pin: the last page there is");
	tap_errno_is(mdev_pin(m, r.ro.iova, 1, MDEV_W), -EPERM, "pin: read-only, for writing");
	tap_errno_is(mdev_pin(m, r.ro.iova, 1, MDEV_RW), -EPERM, "pin: read-only, for both");
	tap_errno_is(mdev_pin(m, r.wo.iova, 1, MDEV_R), -EPERM, "pin: write-only, for reading");
	tap_errno_is(mdev_pin(m, r.rw2.iova, 4, MDEV_RW), -EPERM,
		     "pin: beyond the rights of the second range");
	emulated_holds(t, 0, 0, "nothing was pinned by that");

	tap_errno_is(mdev_pin(m, r.rw.iova, 4, MDEV_RW), 4, "pin: over the end of a range");
	simbuf_fill(&r.rw2, 0, r.rw2.len, 1);
	tap_is((uint64_t)mdev_differs(m, MDEV_PINNED, &r.rw2, 0, r.rw2.len, 1), 0,
	       "the memory of the second range");
	tap_errno_is(mdev_pin(m, r.ro.iova, 2, MDEV_R), 2, "pin: read-only, for reading");
	tap_errno_is(mdev_pin(m, r.wo.iova, 2, MDEV_W), 2, "pin: write-only, for writing");
	/* A failure does not change the number of earlier pins. */
	tap_errno_is(mdev_pin(m, r.rw2.iova, 4, MDEV_W), -EPERM,
		     "pin: some again, then one that can't be");
	emulated_holds(t, 8, 8, "as before");
	must(mdev_unpin(m, r.rw.iova, 6));
	must(mdev_unpin(m, r.wo.iova, 2));
	emulated_holds(t, 0, 0, "after that");
	ranges_unmap(t, &r);

	must(vfio_map(&t->c, gone.va, gone.iova, gone.len));
	mem_unmap((char *)gone.va + 2 * MEM_PAGE, MEM_PAGE);
	tap_errno_is(mdev_pin(m, gone.iova + 2 * MEM_PAGE, 1, MDEV_R), -EFAULT, "pin: no memory");
	tap_errno_is(mdev_pin(m, gone.iova, 4, MDEV_RW), -EFAULT, "pin: no memory in the middle");
	must_sys(mprotect((char *)gone.va + 3 * MEM_PAGE, MEM_PAGE, PROT_NONE));
	tap_errno_is(mdev_pin(m, gone.iova + 3 * MEM_PAGE, 1, MDEV_R), -EFAULT,
		     "pin: memory without access");
	emulated_holds(t, 0, 0, "nothing was pinned by that");
	must(vfio_unmap(&t->c, gone.iova, gone.len));
	mem_unmap(gone.va, 2 * MEM_PAGE);
	mem_unmap((char *)gone.va + 3 * MEM_PAGE, MEM_PAGE);
}

/* A range of a process that has exited. */
static void check_gone_process(struct emulated *t)
{
	uint64_t iova = 3 * RIG_IOVA, word = 0;
	int status;
	pid_t pid;

	pid = must_sys(fork());
	if (!pid)
		_exit(vfio_map(&t->c, mem_anon(MEM_PAGE), iova, MEM_PAGE) ? 1 : 0);
	must_sys(waitpid(pid, &status, 0));
	must_be(!status);
	tap_errno_is(mdev_pin(&t->m, iova, 1, MDEV_R), -ENODEV, "pin: of a process that is gone");
	tap_errno_is(mdev_read(&t->m, MDEV_DMA_RW, iova, &word, 8), -EPERM,
		     "dma_rw: of a process that is gone");
	tap_errno_is(mdev_read(&t->m, MDEV_DMA_RW_KTHREAD, iova, &word, 8), -EPERM,
		     "dma_rw by a kernel thread: of a process that is gone");
	must(vfio_unmap(&t->c, iova, MEM_PAGE));
}

static void check_dma_rw(struct emulated *t, enum mdev_way way)
{
	const size_t off = 5 * MEM_PAGE - 40, len = 3 * MEM_PAGE + 8;
	const char *how = mdev_way_name(way);
	struct ranges r = ranges_map(t);
	char *byte = (char *)t->b.va + 77, c;
	struct mdev *m = &t->m;
	uint64_t word = 1;

	mem_drop(t->b.va, LEN);
	tap_errno_is(mdev_read(m, way, emulated_page(t, 1), &word, 8), 0, "%s: absent memory", how);
	tap_is(word, 0, "%s: is zero", how);
	simbuf_fill(&t->b, 0, LEN, 1);
	tap_is((uint64_t)mdev_differs(m, way, &t->b, off, len, 1), 0, "%s: reads", how);
	tap_errno_is(mdev_fill(m, way, &t->b, off, len, 2), 0, "%s: writes", how);
	tap_is(simbuf_differs(&t->b, off, len, 2), 0, "%s: the CPU finds it", how);
	tap_is(simbuf_differs(&t->b, 0, off, 1) +
	       simbuf_differs(&t->b, off + len, LEN - off - len, 1), 0,
	       "%s: and nothing around it", how);
	tap_errno_is(mdev_fill(m, way, &t->b, 0, 1 * MiB, 3), 0, "%s: 1 MiB", how);
	tap_is(simbuf_differs(&t->b, 0, 1 * MiB, 3), 0, "%s: all of it", how);
	tap_ok(!mdev_read(m, way, t->b.iova + 77, &c, 1) && c == *byte, "%s: reads a byte", how);
	c = (char)~c;
	tap_ok(!mdev_write(m, way, t->b.iova + 77, &c, 1) && c == *byte, "%s: writes a byte", how);
	emulated_holds(t, 0, 0, how);

	tap_errno_is(mdev_fill(m, way, &r.rw, 8, 4 * MEM_PAGE - 16, 4), 0,
		     "%s: over the end of a range", how);
	tap_is(simbuf_differs(&r.rw, 8, r.rw.len - 8, 4), 0, "%s: the first one", how);
	/* The pattern continues in the second range, relative to the start of the first. */
	tap_is(simbuf_differs(&(struct simbuf){ (char *)r.rw2.va - r.rw.len, 0, 0 },
			      r.rw.len, r.rw2.len - 8, 4), 0, "%s: the second one", how);
	tap_is((uint64_t)mdev_differs(m, way, &r.rw, 8, 4 * MEM_PAGE - 16, 4), 0,
	       "%s: and back", how);

	tap_errno_is(mdev_read(m, way, RIG_IOVA - 8, &word, 8), -EINVAL, "%s: not mapped", how);
	tap_errno_is(mdev_read(m, way, t->b.iova + LEN - 8, byte, 16), -EINVAL,
		     "%s: read over the end of the mapping", how);
	tap_errno_is(mdev_write(m, way, t->b.iova + LEN - 8, byte, 16), -EINVAL,
		     "%s: write over the end of the mapping", how);
	tap_errno_is(mdev_read(m, way, r.ro.iova, &word, 8), 0, "%s: read, read-only", how);
	tap_errno_is(mdev_write(m, way, r.ro.iova, &word, 8), -EPERM, "%s: write, read-only", how);
	tap_errno_is(mdev_read(m, way, r.wo.iova, &word, 8), -EPERM, "%s: read, write-only", how);
	/* Stock type1 has always required both permissions. */
	tap_errno_is(mdev_write(m, way, r.wo.iova, &word, 8), -EPERM, "%s: write, write-only", how);
	must_sys(mprotect(r.rw.va, MEM_PAGE, PROT_NONE));
	tap_errno_is(mdev_read(m, way, r.rw.iova, &word, 8), -EFAULT, "%s: no access", how);
	tap_errno_is(mdev_write(m, way, r.rw.iova, &word, 8), -EFAULT, "%s: no access", how);
	must_sys(mprotect(r.rw.va, MEM_PAGE, PROT_READ | PROT_WRITE));
	ranges_unmap(t, &r);
}

/* The memory is that of the right process, even if another process or a kernel thread calls. */
static void check_other_process(struct emulated *t)
{
	uint64_t word = 0;
	pid_t pid;
	int status;

	simbuf_fill(&t->b, 0, LEN, 1);
	pid = tap_fork(false);
	if (!pid) {
		simbuf_fill(&t->b, 0, MEM_PAGE, 2);
		_exit((mdev_read(&t->m, MDEV_DMA_RW, t->b.iova, &word, 8) == -EFAULT ? 0 : 1) |
		      (mdev_differs(&t->m, MDEV_DMA_RW_KTHREAD, &t->b, 0, LEN / 4, 1) ? 2 : 0) |
		      (mdev_pin(&t->m, t->b.iova, 1, MDEV_R) == 1 ? 0 : 4) |
		      (mdev_differs(&t->m, MDEV_PINNED, &t->b, 0, MEM_PAGE, 1) ? 8 : 0));
	}
	must_sys(waitpid(pid, &status, 0));
	tap_is((unsigned int)status, 0, "called by another process: the memory of the right one");
	emulated_holds(t, 1, 1, "the page is charged to it");
	must(mdev_reset(&t->m));
}

static void check_unmap(struct emulated *t)
{
	struct simbuf a = { mem_anon(4 * MEM_PAGE), 2 * RIG_IOVA, 4 * MEM_PAGE };
	struct simbuf b = { mem_anon(4 * MEM_PAGE), 2 * RIG_IOVA + a.len, 4 * MEM_PAGE };
	struct iopf_sim_mdev_status status;
	struct mdev *m = &t->m;
	uint64_t before, size;

	must(vfio_map(&t->c, a.va, a.iova, a.len));
	must(vfio_map(&t->c, b.va, b.iova, b.len));
	must(mdev_pin(m, a.iova, 3, MDEV_RW));
	must(mdev_pin(m, a.iova, 1, MDEV_RW));
	must(mdev_pin(m, b.iova + MEM_PAGE, 1, MDEV_R));
	before = mdev_status(m).unmaps;
	tap_errno_is(vfio_unmap(&t->c, a.iova, a.len), 0, "a range with pins is unmapped");
	status = mdev_status(m);
	tap_is(status.unmaps, before + 1, "the device was told once");
	tap_ok(status.unmap_iova == a.iova && status.unmap_size == a.len, "what");
	tap_is(status.unpinned, 4, "it has released its pins");
	emulated_holds(t, 1, 1, "the other range");
	simbuf_fill(&b, 0, b.len, 1);
	tap_is((uint64_t)mdev_differs(m, MDEV_PINNED, &b, MEM_PAGE, MEM_PAGE, 1), 0,
	       "its data has not changed");
	tap_errno_is(mdev_pin(m, a.iova, 1, MDEV_R), -EINVAL, "an unmapped page can't be pinned");

	/* New memory at the same address. */
	must(vfio_map(&t->c, (char *)b.va + MEM_PAGE, a.iova, 2 * MEM_PAGE));
	must(mdev_pin(m, a.iova, 2, MDEV_RW));
	emulated_holds(t, 3, 3, "the same page at two addresses");
	must(mdev_fill(m, MDEV_PINNED, &a, 0, MEM_PAGE, 2));
	tap_is((uint64_t)mdev_differs(m, MDEV_PINNED,
				      &(struct simbuf){ NULL, b.iova + MEM_PAGE, MEM_PAGE },
				      0, MEM_PAGE, 2), 0, "both of which reach it");

	size = 0;
	tap_errno_is(vfio_unmap_flags(&t->c, a.iova, a.len + b.len, 0, &size), 0,
		     "two ranges are unmapped");
	tap_is(size, 2 * MEM_PAGE + b.len, "both");
	emulated_holds(t, 0, 0, "after that");

	must(vfio_map(&t->c, a.va, a.iova, a.len));
	must(vfio_map(&t->c, b.va, b.iova, b.len));
	must(mdev_pin(m, a.iova, 8, MDEV_RW));
	must(mdev_pin(m, t->b.iova, 2, MDEV_RW));
	tap_errno_is(vfio_unmap_flags(&t->c, 0, 0, VFIO_DMA_UNMAP_FLAG_ALL, &size), 0,
		     "everything is unmapped");
	tap_is(size, a.len + b.len + LEN, "all of it");
	emulated_holds(t, 0, 0, "after that");
	must(vfio_map(&t->c, t->b.va, t->b.iova, LEN));

	/* A device that unpins late is notified again. */
	must(vfio_map(&t->c, a.va, a.iova, a.len));
	must(mdev_pin(m, a.iova, 2, MDEV_RW));
	must(mdev_ignore(m, 3));
	before = mdev_status(m).unmaps;
	tap_errno_is(vfio_unmap(&t->c, a.iova, a.len), 0, "unmapped, with a slow device");
	tap_is(mdev_status(m).unmaps, before + 4, "the device was told again");
	emulated_holds(t, 0, 0, "after that");
	mem_unmap(a.va, a.len);
	mem_unmap(b.va, b.len);
}

/* More ranges than the number of notifications for one range. */
static void check_unmap_many(struct emulated *t)
{
	const unsigned int ranges = 40;
	struct simbuf a = { mem_anon(ranges * MEM_PAGE), 2 * RIG_IOVA, ranges * MEM_PAGE };
	struct mdev *m = &t->m;
	uint64_t size, before = mdev_status(m).unmaps;
	unsigned int i;

	for (i = 0; i < ranges; i++) {
		must(vfio_map(&t->c, (char *)a.va + i * MEM_PAGE, a.iova + i * MEM_PAGE, MEM_PAGE));
		must(mdev_pin(m, a.iova + i * MEM_PAGE, 1, MDEV_RW));
	}
	must(mdev_ignore(m, 5));
	tap_errno_is(vfio_unmap_flags(&t->c, a.iova, a.len, 0, &size), 0,
		     "%u ranges with pins are unmapped, with a slow device", ranges);
	tap_is(size, a.len, "all of them");
	tap_is(mdev_status(m).unmaps, before + ranges + 5, "the device was told of each");
	emulated_holds(t, 0, 0, "after that");
	mem_unmap(a.va, a.len);
}

static void check_vaddr(struct emulated *t)
{
	uint32_t vaddr = VFIO_DMA_UNMAP_FLAG_VADDR;

	tap_is((unsigned int)ioctl(t->c.fd, VFIO_CHECK_EXTENSION, VFIO_UPDATE_VADDR), 0,
	       "changing the address of a mapping is not offered");
	tap_errno_is(vfio_unmap_flags(&t->c, t->b.iova, LEN, vaddr, NULL), -EBUSY, "nor possible");
	tap_errno_is(vfio_unmap_flags(&t->c, 0, 0, vaddr | VFIO_DMA_UNMAP_FLAG_ALL, NULL), -EBUSY,
		     "nor for all ranges at once");
	tap_errno_is(mdev_pin(&t->m, t->b.iova, 1, MDEV_R), 1, "everything is still there");
	must(mdev_unpin(&t->m, t->b.iova, 1));
}

/* A thread that pins, mapped or not. */
struct pinner {
	struct mdev *m;
	uint64_t iova;
	unsigned int wrong;
	bool stop;
};

static void *pinner_run(void *arg)
{
	struct pinner *p = arg;

	while (!__atomic_load_n(&p->stop, __ATOMIC_RELAXED)) {
		int ret = mdev_pin(p->m, p->iova, 4, MDEV_RW);

		if (ret != 4 && ret != -EINVAL)
			p->wrong++;
		/* A notification may have unpinned the page already. */
		ret = mdev_unpin(p->m, p->iova, 4);
		if (ret && ret != -ENOENT)
			p->wrong++;
	}
	return NULL;
}

static void check_race(struct emulated *t)
{
	struct simbuf a = { mem_anon(4 * MEM_PAGE), 2 * RIG_IOVA, 4 * MEM_PAGE };
	struct pinner p = { .m = &t->m, .iova = a.iova };
	unsigned int i, spins, bad = 0;
	pthread_t thread;

	must_be(!pthread_create(&thread, NULL, pinner_run, &p));
	for (i = 0; i < 300; i++) {
		must(vfio_map(&t->c, a.va, a.iova, a.len));
		for (spins = 0; spins < i % 8;)
			sim_nap(&spins);
		bad += vfio_unmap(&t->c, a.iova, a.len) != 0;
	}
	__atomic_store_n(&p.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	tap_is(bad, 0, "unmapped, 300 times, while the device pins and unpins");
	tap_is(p.wrong, 0, "whose pins succeeded or found nothing mapped");
	emulated_holds(t, 0, 0, "after that");
	mem_unmap(a.va, a.len);
}

/* Ends */

static void check_close(int type)
{
	struct emulated t = emulated_open(type);

	must(mdev_pin(&t.m, t.b.iova, 5, MDEV_RW));
	mdev_put(&t.m);
	tap_is(emulated_charged(), 0, "closing the device unpins");
	must(mdev_get(&t.m));
	emulated_holds(&t, 0, 0, "opened again");
	must(mdev_pin(&t.m, t.b.iova, 5, MDEV_RW));
	emulated_holds(&t, 5, 5, "the mapping is still there");
	/* The container exists as long as it has groups. */
	vfio_container_close(&t.c);
	emulated_holds(&t, 5, 5, "the container is closed first");
	tap_errno_is(rig_unload(), -EAGAIN, "pages are pinned: unloading is refused, at once");
	emulated_holds(&t, 5, 5, "the pins stay");
	tap_is((uint64_t)mdev_fill(&t.m, MDEV_DMA_RW, &t.b, 0, MEM_PAGE, 1), 0, "and works on");
	emulated_close(&t);
	tap_is(emulated_charged(), 0, "all is closed: nothing is pinned");
}

static void check_type1(void)
{
	struct emulated t = emulated_open(VFIO_TYPE1_IOMMU);

	tap_errno_is(mdev_pin(&t.m, t.b.iova, 1, MDEV_R), -EACCES, "type 1 has no pinning");
	tap_errno_is(mdev_fill(&t.m, MDEV_DMA_RW, &t.b, 0, MEM_PAGE, 1), 0, "but dma_rw");
	tap_is(simbuf_differs(&t.b, 0, MEM_PAGE, 1), 0, "which writes");
	tap_errno_is(vfio_unmap(&t.c, t.b.iova, LEN), 0, "unmapped");
	emulated_close(&t);
}

/* Steps of a child. Its exit status tells whether all succeeded. */
static bool steps_right = true;

static void step(bool right, const char *what, int line)
{
	if (right)
		return;
	tap_diag("line %d: %s is false", line, what);
	steps_right = false;
}

#define STEP(cond)	step(cond, #cond, __LINE__)

/* Run as a user with RLIMIT_MEMLOCK of LIMIT pages. */
static void limited(void)
{
	struct emulated t = emulated_open(VFIO_TYPE1v2_IOMMU);

	STEP(emulated_charged() == 0);
	STEP(mdev_pin(&t.m, t.b.iova, LIMIT + 1, MDEV_R) == -ENOMEM);
	STEP(emulated_charged() == 0 && mdev_status(&t.m).pins == 0);
	STEP(mdev_pin(&t.m, t.b.iova, LIMIT, MDEV_RW) == LIMIT);
	STEP(emulated_charged() == LIMIT);
	STEP(mdev_pin(&t.m, t.b.iova + LIMIT * MEM_PAGE, 1, MDEV_R) == -ENOMEM);
	/* Pinned pages are not charged again. */
	STEP(mdev_pin(&t.m, t.b.iova, LIMIT, MDEV_R) == LIMIT);
	STEP(mdev_pin(&t.m, t.b.iova + MEM_PAGE, LIMIT, MDEV_R) == -ENOMEM);
	STEP(emulated_charged() == LIMIT && mdev_status(&t.m).pins == 2 * LIMIT);
	STEP(!mdev_unpin(&t.m, t.b.iova, LIMIT));
	STEP(!mdev_unpin(&t.m, t.b.iova, 1));
	STEP(mdev_pin(&t.m, t.b.iova + LIMIT * MEM_PAGE, 1, MDEV_R) == 1);
	STEP(emulated_charged() == LIMIT);
	STEP(!mdev_fill(&t.m, MDEV_PINNED, &t.b, MEM_PAGE, MEM_PAGE, 1));
	STEP(!simbuf_differs(&t.b, MEM_PAGE, MEM_PAGE, 1));
	emulated_close(&t);
	STEP(emulated_charged() == 0);
}

static void check_limit(void)
{
	pid_t pid = rig_fork_user(must(mdev_group_id(0)), LIMIT * MEM_PAGE);
	int status;

	if (!pid) {
		limited();
		_exit(!steps_right);
	}
	must_sys(waitpid(pid, &status, 0));
	tap_is((unsigned int)status, 0, "RLIMIT_MEMLOCK is respected");
}

static void run(bool stock)
{
	struct emulated t;

	emulated_begin(&t, stock);
	emulated_holds(&t, 0, 0, "mapped");
	tap_is(mem_resident(t.b.va, LEN), 0, "mapping populates nothing");
	check_pin(&t);
	check_pinned_data(&t);
	check_pin_errors(&t);
	check_gone_process(&t);
	check_dma_rw(&t, MDEV_DMA_RW);
	check_dma_rw(&t, MDEV_DMA_RW_KTHREAD);
	check_other_process(&t);
	check_unmap(&t);
	check_unmap_many(&t);
	check_vaddr(&t);
	if (!stock)
		check_race(&t);
	emulated_end(&t);
	check_close(VFIO_TYPE1v2_IOMMU);
	check_type1();
	check_limit();
	tap_errno_is(rig_unload_soon(), 0, "unloaded: nothing is held");
}

int main(void)
{
	emulated_run(run);
	return tap_done();
}
