// SPDX-License-Identifier: GPL-2.0-only
/*
 * Each ioctl argument that has to be refused. The errno is that of stock type1, which the same run
 * asks first. A refused ioctl changes nothing.
 *
 * vm: --mem 1024
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "rig.h"

#define LEN	(2 * MiB)
#define RW	(VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE)

struct map_case {
	const char *what;
	uint32_t argsz, flags;
	int64_t va;		/* offset from a good address */
	uint64_t iova, size;
};

#define MAP_SIZE	sizeof(struct vfio_iommu_type1_dma_map)
#define UNMAP_SIZE	sizeof(struct vfio_iommu_type1_dma_unmap)

static const struct map_case map_cases[] = {
	{ "argsz 0", 0, RW, 0, RIG_IOVA, LEN },
	{ "argsz one short", MAP_SIZE - 1, RW, 0, RIG_IOVA, LEN },
	{ "unknown flag 3", MAP_SIZE, RW | 1u << 3, 0, RIG_IOVA, LEN },
	{ "unknown flag 31", MAP_SIZE, RW | 1u << 31, 0, RIG_IOVA, LEN },
	{ "no permission", MAP_SIZE, 0, 0, RIG_IOVA, LEN },
	{ "VADDR with permissions", MAP_SIZE, VFIO_DMA_MAP_FLAG_VADDR | RW, 0, RIG_IOVA, LEN },
	{ "size 0", MAP_SIZE, RW, 0, RIG_IOVA, 0 },
	{ "size 1", MAP_SIZE, RW, 0, RIG_IOVA, 1 },
	{ "size misaligned", MAP_SIZE, RW, 0, RIG_IOVA, LEN + 8 },
	{ "iova misaligned", MAP_SIZE, RW, 0, RIG_IOVA + 8, LEN },
	{ "vaddr misaligned", MAP_SIZE, RW, 8, RIG_IOVA, LEN },
	{ "all misaligned alike", MAP_SIZE, RW, 8, RIG_IOVA + 8, LEN },
	{ "iova wraps", MAP_SIZE, RW, 0, -4096ull, 8192 },
	{ "iova wraps to 0", MAP_SIZE, RW, 0, -4096ull, 4096 },
	{ "size of everything", MAP_SIZE, RW, 0, 0, -4096ull },
	{ "beyond the aperture", MAP_SIZE, RW, 0, 1ull << 60, LEN },
	{ "over the end of the aperture", MAP_SIZE, RW, 0, (1ull << 48) - 4096, LEN },
	{ "overlap, the same", MAP_SIZE, RW, 0, 2 * RIG_IOVA, LEN },
	{ "overlap, inside", MAP_SIZE, RW, 0, 2 * RIG_IOVA + 4096, 4096 },
	{ "overlap, at its start", MAP_SIZE, RW, 0, 2 * RIG_IOVA - 4096, 8192 },
	{ "overlap, at its end", MAP_SIZE, RW, 0, 2 * RIG_IOVA + LEN - 4096, 8192 },
	{ "overlap, around it", MAP_SIZE, RW, 0, 2 * RIG_IOVA - 4096, LEN },
};

struct unmap_case {
	const char *what;
	uint32_t argsz, flags;
	uint64_t iova, size;
};

static const struct unmap_case unmap_cases[] = {
	{ "argsz 0", 0, 0, 2 * RIG_IOVA, LEN },
	{ "argsz one short", UNMAP_SIZE - 1, 0, 2 * RIG_IOVA, LEN },
	{ "unknown flag 3", UNMAP_SIZE, 1u << 3, 2 * RIG_IOVA, LEN },
	{ "unknown flag 31", UNMAP_SIZE, 1u << 31, 2 * RIG_IOVA, LEN },
	{ "size 0", UNMAP_SIZE, 0, 2 * RIG_IOVA, 0 },
	{ "size misaligned", UNMAP_SIZE, 0, 2 * RIG_IOVA, LEN - 8 },
	{ "iova misaligned", UNMAP_SIZE, 0, 2 * RIG_IOVA + 8, 4096 },
	{ "iova wraps", UNMAP_SIZE, 0, -4096ull, 8192 },
	{ "first half", UNMAP_SIZE, 0, 2 * RIG_IOVA, LEN / 2 },
	{ "second half", UNMAP_SIZE, 0, 2 * RIG_IOVA + LEN / 2, LEN / 2 },
	{ "ends inside", UNMAP_SIZE, 0, 2 * RIG_IOVA - 4096, 8192 },
	{ "starts inside", UNMAP_SIZE, 0, 2 * RIG_IOVA + LEN - 4096, 8192 },
	{ "nothing there", UNMAP_SIZE, 0, RIG_IOVA, LEN },
	{ "all, with a size", UNMAP_SIZE, VFIO_DMA_UNMAP_FLAG_ALL, 0, LEN },
	{ "all, with an iova", UNMAP_SIZE, VFIO_DMA_UNMAP_FLAG_ALL, 4096, 0 },
	{ "dirty bitmap without its structure", UNMAP_SIZE,
	  VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP, 2 * RIG_IOVA, LEN },
	{ "dirty bitmap and all", UNMAP_SIZE,
	  VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP | VFIO_DMA_UNMAP_FLAG_ALL, 0, 0 },
};

#define OTHERS	12

struct results {
	int map[ARRAY_SIZE(map_cases)];
	int unmap[ARRAY_SIZE(unmap_cases)];
	uint64_t unmap_size[ARRAY_SIZE(unmap_cases)];
	int other[OTHERS];
};

static const char *const other_what[OTHERS] = {
	"GET_INFO, argsz 0", "GET_INFO, argsz one short", "GET_INFO of nowhere",
	"MAP of nowhere", "UNMAP of nowhere", "DIRTY_PAGES, argsz 0", "DIRTY_PAGES, two flags",
	"DIRTY_PAGES, unknown flag", "DIRTY_PAGES, bitmap while not tracking", "unknown ioctl",
	"SET_IOMMU again", "SET_IOMMU of an unknown type",
};

static int try_ioctl(int fd, unsigned long request, void *arg)
{
	return ioctl(fd, request, arg) < 0 ? -errno : 0;
}

static void others(struct rig *r, int *result)
{
	struct vfio_iommu_type1_info info = { .argsz = 0 };
	struct {
		struct vfio_iommu_type1_dirty_bitmap head;
		struct vfio_iommu_type1_dirty_bitmap_get get;
	} dirty;
	int fd = r->c.fd, n = 0;

	result[n++] = try_ioctl(fd, VFIO_IOMMU_GET_INFO, &info);
	info.argsz = 15;
	result[n++] = try_ioctl(fd, VFIO_IOMMU_GET_INFO, &info);
	result[n++] = try_ioctl(fd, VFIO_IOMMU_GET_INFO, (void *)8);
	result[n++] = try_ioctl(fd, VFIO_IOMMU_MAP_DMA, (void *)8);
	result[n++] = try_ioctl(fd, VFIO_IOMMU_UNMAP_DMA, (void *)8);
	memset(&dirty, 0, sizeof(dirty));
	dirty.head.flags = VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP;
	result[n++] = try_ioctl(fd, VFIO_IOMMU_DIRTY_PAGES, &dirty);
	dirty.head.argsz = sizeof(dirty.head);
	dirty.head.flags = VFIO_IOMMU_DIRTY_PAGES_FLAG_START | VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP;
	result[n++] = try_ioctl(fd, VFIO_IOMMU_DIRTY_PAGES, &dirty);
	dirty.head.flags = 1u << 3;
	result[n++] = try_ioctl(fd, VFIO_IOMMU_DIRTY_PAGES, &dirty);
	dirty.head.argsz = sizeof(dirty);
	dirty.head.flags = VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP;
	/* Stock type1 takes the logarithm unasked: of 0 it is undefined, and UBSAN says so. */
	dirty.get.bitmap.pgsize = MEM_PAGE;
	result[n++] = try_ioctl(fd, VFIO_IOMMU_DIRTY_PAGES, &dirty);
	result[n++] = try_ioctl(fd, _IO(VFIO_TYPE, VFIO_BASE + 99), NULL);
	result[n++] = vfio_set_iommu(&r->c, VFIO_TYPE1v2_IOMMU);
	result[n++] = vfio_set_iommu(&r->c, 4711);
	must_be(n == OTHERS);
}

static void run(struct results *res, int type, bool stock)
{
	struct simbuf good = { mem_anon(LEN), 2 * RIG_IOVA, LEN };
	struct rig r;
	unsigned int i;

	rig_load("devices=1", stock ? NULL : "");
	rig_open(&r, 1, type);
	rig_map(&r, &good);
	rig_both_ways(&r.sim[0], &good, 1, "before");
	for (i = 0; i < ARRAY_SIZE(map_cases); i++) {
		const struct map_case *m = &map_cases[i];
		struct vfio_iommu_type1_dma_map map = {
			.argsz = m->argsz,
			.flags = m->flags,
			.vaddr = (uintptr_t)good.va + (uint64_t)m->va,
			.iova = m->iova,
			.size = m->size,
		};

		res->map[i] = try_ioctl(r.c.fd, VFIO_IOMMU_MAP_DMA, &map);
	}
	for (i = 0; i < ARRAY_SIZE(unmap_cases); i++) {
		const struct unmap_case *u = &unmap_cases[i];
		struct vfio_iommu_type1_dma_unmap unmap = {
			.argsz = u->argsz,
			.flags = u->flags,
			.iova = u->iova,
			.size = u->size,
		};

		res->unmap[i] = try_ioctl(r.c.fd, VFIO_IOMMU_UNMAP_DMA, &unmap);
		res->unmap_size[i] = res->unmap[i] ? 0 : unmap.size;
		/*
		 * An ioctl that was not refused may have unmapped it: type 1 unmaps more than v2.
		 */
		if (vfio_map(&r.c, good.va, good.iova, LEN) == -EEXIST)
			continue;
		tap_diag("%s: \"%s\" unmapped the range", stock ? "stock" : "ours", u->what);
	}
	others(&r, res->other);
	rig_both_ways(&r.sim[0], &good, 2, "after");
	rig_unmap(&r, &good);
	mem_unmap(good.va, LEN);
	rig_clean(&r);
	rig_close(&r);
	rig_balanced();
}

static void compare(const struct results *ours, const struct results *stock, const char *type)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(map_cases); i++) {
		tap_errno_is(ours->map[i], stock->map[i], "%s: map, %s", type, map_cases[i].what);
		if (!stock->map[i])
			tap_diag("stock type1 allows it");
	}
	for (i = 0; i < ARRAY_SIZE(unmap_cases); i++) {
		tap_errno_is(ours->unmap[i], stock->unmap[i], "%s: unmap, %s", type,
			     unmap_cases[i].what);
		tap_is(ours->unmap_size[i], stock->unmap_size[i], "%s: unmap, %s: how much", type,
		       unmap_cases[i].what);
	}
	for (i = 0; i < OTHERS; i++)
		tap_errno_is(ours->other[i], stock->other[i], "%s: %s", type, other_what[i]);
}

int main(void)
{
	static struct results ours, stock;

	rig_backend_only();
	run(&stock, VFIO_TYPE1v2_IOMMU, true);
	run(&ours, VFIO_TYPE1v2_IOMMU, false);
	compare(&ours, &stock, "type 1v2");
	run(&stock, VFIO_TYPE1_IOMMU, true);
	run(&ours, VFIO_TYPE1_IOMMU, false);
	compare(&ours, &stock, "type 1");
	return tap_done();
}
