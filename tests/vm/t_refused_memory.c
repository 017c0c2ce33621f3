// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory that devices must not reach, and absent memory: the result of MAP_DMA with stock type1
 * and with the backend, and the response to a device that accesses it. Then unusual memory that
 * devices may reach: a page of 1 GiB.
 *
 * vm: --mem 2560 --append hugepagesz=1G --append hugepages=1
 * also: no5lvl
 */
#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "rig.h"

#define LEN	(4 * MEM_PAGE)
#define GiB	(1024 * MiB)

#ifndef MAP_HUGE_1GB
#define MAP_HUGE_1GB	(30 << 26)
#endif

enum kind {
	NONE,		/* no access */
	NONE_INSIDE,	/* no access to a page in the middle */
	HOLE,		/* no memory in the middle */
	NOWHERE,	/* no memory at all */
	READ_ONLY,	/* mapped for both */
	READ_ONLY_FILE,	/* a file opened for reading, mapped for both */
	KINDS,
};

static const char *const kind_name[KINDS] = {
	"no access", "no access in the middle", "no memory in the middle", "no memory",
	"read-only memory", "read-only shared memory",
};

static void *kind_make(enum kind kind)
{
	char *va = mem_anon(LEN);

	switch (kind) {
	case NONE:
		must_sys(mprotect(va, LEN, PROT_NONE));
		break;
	case NONE_INSIDE:
		must_sys(mprotect(va + MEM_PAGE, MEM_PAGE, PROT_NONE));
		break;
	case HOLE:
		mem_unmap(va + MEM_PAGE, MEM_PAGE);
		break;
	case NOWHERE:
		mem_unmap(va, LEN);
		break;
	case READ_ONLY:
		must_sys(mprotect(va, LEN, PROT_READ));
		break;
	default:
		mem_unmap(va, LEN);
		va = mem_shared_anon(LEN);
		must_sys(mprotect(va, LEN, PROT_READ));
	}
	return va;
}

/* Nothing of it stays mapped. */
static void kind_drop(enum kind kind, void *va)
{
	if (kind != NOWHERE)
		must_sys(munmap(va, LEN));
}

/* Put secret memory in the place of other memory. */
static int secret(void *va)
{
	int fd = (int)syscall(SYS_memfd_secret, 0);

	if (fd < 0)
		return fd;
	must_sys(ftruncate(fd, LEN));
	must_be(mmap(va, LEN, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == va);
	return fd;
}

static void try_kinds(struct rig *r, int *err)
{
	enum kind kind;

	for (kind = 0; kind < KINDS; kind++) {
		void *va = kind_make(kind);

		err[kind] = vfio_map(&r->c, va, RIG_IOVA, LEN);
		if (!err[kind])
			must(vfio_unmap(&r->c, RIG_IOVA, LEN));
		kind_drop(kind, va);
	}
}

static void check_secret(struct rig *r)
{
	struct simbuf b = { mem_anon(LEN), RIG_IOVA, LEN };
	int fd = secret(b.va);

	if (fd < 0) {
		tap_skip("memfd_secret() does not work here", "secret memory");
		return;
	}
	tap_errno_is(vfio_map(&r->c, b.va, b.iova, LEN), -EFAULT, "secret memory can't be mapped");
	close(fd);
	mem_unmap(b.va, LEN);
	if (rig_stock())
		return;

	/* It replaces the mapped memory. Stock type1 goes on with the pages that it has pinned. */
	b.va = mem_anon(LEN);
	must(vfio_map(&r->c, b.va, b.iova, LEN));
	rig_both_ways(&r->sim[0], &b, 1, "before it becomes secret");
	fd = must_sys(secret(b.va));
	simbuf_fill(&b, 0, LEN, 1);
	kmsg_mark();
	rig_status_is(sim_read(&r->sim[0], &b, 0, LEN, NULL), IOPF_SIM_ST_INVALID,
		      "secret memory: read");
	rig_status_is(sim_write(&r->sim[0], &b, 0, LEN, 2, NULL), IOPF_SIM_ST_INVALID,
		      "secret memory: write");
	rig_same(&b, 1, "secret memory");
	tap_ok(kmsg_count("not memory for devices"), "secret memory: the log says why");
	tap_errno_is(iopf_enable(rig_bdf(0), false), -EFAULT,
		     "secret memory: demand paging can't be switched off");
	rig_status_is(sim_read(&r->sim[0], &b, 0, LEN, NULL), IOPF_SIM_ST_INVALID,
		      "secret memory: and nothing has changed");
	must(vfio_unmap(&r->c, b.iova, LEN));
	mem_unmap(b.va, LEN);
	close(fd);
}

/* Data at both ends and in the middle of it; the rest would only take long. */
static void check_gigantic(struct rig *r)
{
	struct simbuf b = { .iova = 8 * GiB, .len = 4 * MiB };
	void *va;
	unsigned int i;

	va = mmap(NULL, GiB, PROT_READ | PROT_WRITE,
		  MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_HUGE_1GB, -1, 0);
	if (va == MAP_FAILED) {
		tap_skip("there is no page of 1 GiB", "a page of 1 GiB");
		return;
	}
	must(vfio_map(&r->c, va, b.iova, GiB));
	for (i = 0; i < 3; i++) {
		b.va = (char *)va + i * (GiB / 2 - 2 * MiB);
		b.iova = 8 * GiB + i * (GiB / 2 - 2 * MiB);
		rig_both_ways(&r->sim[0], &b, 10 + 2 * i, "a page of 1 GiB");
	}
	if (!rig_stock())
		tap_is(sim_iommu_count("leaves_1g"), 1, "a page of 1 GiB: one leaf");
	must(vfio_unmap(&r->c, 8 * GiB, GiB));
	mem_unmap(va, GiB);
}

static void run(int *err, bool stock)
{
	struct rig r;

	rig_load("devices=1", stock ? NULL : "");
	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	try_kinds(&r, err);
	check_secret(&r);
	check_gigantic(&r);
	rig_clean(&r);
	rig_close(&r);
	rig_balanced();
}

int main(void)
{
	bool stock_only = rig_stock();
	int stock[KINDS], ours[KINDS];
	enum kind kind;

	run(stock, true);
	for (kind = 0; kind < KINDS; kind++)
		tap_errno_is(stock[kind], -EFAULT, "stock type1: %s", kind_name[kind]);
	if (stock_only)
		return tap_done();
	run(ours, false);
	for (kind = 0; kind < KINDS; kind++)
		tap_errno_is(ours[kind], stock[kind], "as stock type1: %s", kind_name[kind]);
	return tap_done();
}
