// SPDX-License-Identifier: GPL-2.0-only
/*
 * The accesses: see access.h.
 */
#include <linux/vfio_iopf.h>
#include <stdlib.h>
#include <string.h>

#include "access.h"
#include "dirty.h"
#include "policy.h"
#include "prefault.h"

#define FUSE_IOVA	(RIG_IOVA + 128 * MiB)	/* memory of the file system */

struct simbuf blocked_own, blocked_other;
static struct vfio_dev joiner;
static struct vfio_container joiner_container;

static char *data_of(struct blocked *s)
{
	return s->page + 2 * MEM_PAGE;
}

uint64_t access_fuse_iova(const struct blocked *s)
{
	return FUSE_IOVA + s->nr * MiB;
}

/* The structures */

static void fill_info(struct blocked *s, void *p)
{
	*(struct vfio_iommu_type1_info *)p = (struct vfio_iommu_type1_info){ .argsz = MEM_PAGE };
	(void)s;
}

static void fill_map(struct blocked *s, void *p)
{
	*(struct vfio_iommu_type1_dma_map *)p = (struct vfio_iommu_type1_dma_map){
		.argsz = sizeof(struct vfio_iommu_type1_dma_map),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uintptr_t)blocked_own.va,
		.iova = OTHER_IOVA + s->nr * BLOCKED_LEN,
		.size = MEM_PAGE,
	};
}

static void fill_unmap(struct blocked *s, void *p)
{
	struct vfio_iommu_type1_dma_unmap *u = p;
	uint64_t iova = OTHER_IOVA + s->nr * BLOCKED_LEN;

	must(vfio_map(&s->r->c, blocked_other.va, iova, BLOCKED_LEN));
	*u = (struct vfio_iommu_type1_dma_unmap){
		.argsz = sizeof(*u),
		.iova = iova,
		.size = BLOCKED_LEN,
	};
}

static void fill_unmap_dirty(struct blocked *s, void *p)
{
	struct vfio_iommu_type1_dma_unmap *u = p;
	struct vfio_bitmap bitmap = {
		.pgsize = MEM_PAGE,
		.size = BLOCKED_LEN / MEM_PAGE / 8,
		.data = (void *)data_of(s),
	};

	fill_unmap(s, p);
	u->argsz += sizeof(bitmap);
	u->flags = VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP;
	memcpy(u->data, &bitmap, sizeof(bitmap));
}

static void fill_dirty(struct blocked *s, void *p)
{
	struct vfio_iommu_type1_dirty_bitmap *d = p;
	struct vfio_iommu_type1_dirty_bitmap_get get = {
		.iova = blocked_own.iova,
		.size = blocked_own.len,
		.bitmap = {
			.pgsize = MEM_PAGE,
			.size = blocked_own.len / MEM_PAGE / 8,
			.data = (void *)data_of(s),
		},
	};

	*d = (struct vfio_iommu_type1_dirty_bitmap){
		.argsz = sizeof(*d) + sizeof(get),
		.flags = VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP,
	};
	memcpy(d->data, &get, sizeof(get));
}

/* The bitmap begins in the middle of a word, so the kernel reads this word first. */
static void fill_dirty_word(struct blocked *s, void *p)
{
	struct vfio_iommu_type1_dirty_bitmap_get get;
	struct vfio_iommu_type1_dirty_bitmap *d = p;

	fill_dirty(s, p);
	memcpy(&get, d->data, sizeof(get));
	get.iova -= 3 * MEM_PAGE;
	get.size += 3 * MEM_PAGE;
	get.bitmap.size += 8;
	memcpy(d->data, &get, sizeof(get));
}

static void fill_prefault(struct blocked *s, void *p)
{
	*(struct vfio_iopf_range *)(s->copy + 2 * MEM_PAGE) =
		(struct vfio_iopf_range){ blocked_own.iova, MEM_PAGE };
	*(struct vfio_iopf_prefault *)p = (struct vfio_iopf_prefault){
		.argsz = sizeof(struct vfio_iopf_prefault),
		.flags = VFIO_IOPF_PREFAULT_READ,
		.nr_ranges = 1,
		.ranges = (uintptr_t)data_of(s),
	};
}

static void fill_status(struct blocked *s, void *p)
{
	struct vfio_iopf_range range = { blocked_own.iova, MEM_PAGE };

	must(prefault_start(&s->r->c, &range, 1, PREFAULT_READ, -1, &s->id));
	*(struct vfio_iopf_prefault_status *)p = (struct vfio_iopf_prefault_status){
		.argsz = sizeof(struct vfio_iopf_prefault_status),
		.id = s->id,
	};
}

static void fill_get(struct blocked *s, void *p)
{
	*(struct vfio_iopf_working_set *)p = (struct vfio_iopf_working_set){
		.argsz = sizeof(struct vfio_iopf_working_set),
		.data = (uintptr_t)data_of(s),
		.size = 2 * MEM_PAGE,
	};
}

static void fill_put(struct blocked *s, void *p)
{
	size_t size;
	uint8_t *set = workset_get(&s->r->c, 0, &size);

	must_be(size <= MEM_PAGE);
	memcpy(s->copy + 2 * MEM_PAGE, set, size);
	free(set);
	*(struct vfio_iopf_working_set_restore *)p = (struct vfio_iopf_working_set_restore){
		.argsz = sizeof(struct vfio_iopf_working_set_restore),
		.eventfd = -1,
		.data = (uintptr_t)data_of(s),
		.size = size,
	};
}

static void policy_of(void *p, uint64_t iova, uint64_t size, uint32_t policy)
{
	*(struct vfio_iopf_policy *)p = (struct vfio_iopf_policy){
		.argsz = sizeof(struct vfio_iopf_policy),
		.iova = iova,
		.size = size,
		.policy = policy,
	};
}

static void fill_policy(struct blocked *s, void *p)
{
	policy_of(p, blocked_own.iova, MEM_PAGE, VFIO_IOPF_POLICY_FAULT);
	(void)s;
}

static void fuse_map(struct blocked *s)
{
	must(vfio_map(&s->r->c, s->mem, access_fuse_iova(s), FUSE_LEN));
}

static void fill_policy_pin(struct blocked *s, void *p)
{
	fuse_map(s);
	policy_of(p, access_fuse_iova(s), FUSE_LEN, VFIO_IOPF_POLICY_PIN);
}

static void map_of(void *p, const void *va, uint64_t iova, uint64_t size, uint32_t policy)
{
	*(struct vfio_iopf_map_dma *)p = (struct vfio_iopf_map_dma){
		.argsz = sizeof(struct vfio_iopf_map_dma),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uintptr_t)va,
		.iova = iova,
		.size = size,
		.policy = policy,
	};
}

static void fill_map_policy(struct blocked *s, void *p)
{
	map_of(p, blocked_own.va, OTHER_IOVA + s->nr * BLOCKED_LEN, MEM_PAGE,
	       VFIO_IOPF_POLICY_FAULT);
}

static void fill_map_pin(struct blocked *s, void *p)
{
	map_of(p, s->mem, access_fuse_iova(s), FUSE_LEN, VFIO_IOPF_POLICY_PIN);
}

static void lock_of(void *p, uint64_t iova, uint64_t size)
{
	*(struct vfio_iopf_lock *)p = (struct vfio_iopf_lock){
		.argsz = sizeof(struct vfio_iopf_lock),
		.iova = iova,
		.size = size,
	};
}

static void fill_lock(struct blocked *s, void *p)
{
	lock_of(p, blocked_own.iova, MEM_PAGE);
	(void)s;
}

static void fill_lock_pin(struct blocked *s, void *p)
{
	fuse_map(s);
	lock_of(p, access_fuse_iova(s), FUSE_LEN);
}

static void fill_unlock(struct blocked *s, void *p)
{
	must(policy_lock(&s->r->c, blocked_own.iova, MEM_PAGE, 0, &s->id));
	*(struct vfio_iopf_unlock *)p = (struct vfio_iopf_unlock){
		.argsz = sizeof(struct vfio_iopf_unlock),
		.id = s->id,
	};
}

/*
 * Actions that pin all memory: a group joins that may not fault, or an administrator switches
 * faults off.
 */

static void fill_fuse(struct blocked *s, void *p)
{
	fuse_map(s);
	(void)p;
}

static int run_join(struct blocked *s)
{
	int ret;

	must(policy_mode(rig_bdf(3), "none"));
	joiner_container = s->r->c;
	ret = vfio_dev_attach(&joiner, &joiner_container, rig_bdf(3), VFIO_TYPE1v2_IOMMU);
	vfio_dev_close(&joiner);
	/* The device may have been unbound. */
	(void)policy_mode(rig_bdf(3), "arbitrary");
	return ret;
}

static int run_disable(struct blocked *s)
{
	int ret = iopf_enable(s->r->vfio[0].bdf, false);

	must(iopf_enable(s->r->vfio[0].bdf, true));
	return ret;
}

static int run_default(struct blocked *s)
{
	int ret = policy_default(s->r->vfio[0].bdf, "pin");

	must(policy_default(s->r->vfio[0].bdf, "device"));
	return ret;
}

#define IN(_cmd, _type, _fill) \
	{ .what = #_cmd ": its structure", .cmd = _cmd, .size = sizeof(struct _type), \
	  .held = HEAD, .fill = _fill }
#define RETURNS(_cmd, _type, _fill) \
	{ .what = #_cmd ": its structure, written", .cmd = _cmd, .size = sizeof(struct _type), \
	  .held = OUT, .fill = _fill }
#define POINTS(_cmd, _type, _fill) \
	{ .what = #_cmd ": what it points to", .cmd = _cmd, .size = sizeof(struct _type), \
	  .held = DATA, .fill = _fill }
#define PINS(_cmd, _type, _fill) \
	{ .what = #_cmd ": memory to be pinned", .cmd = _cmd, .size = sizeof(struct _type), \
	  .held = PINNED, .fill = _fill }

#define DIRTY_SIZE	(8 + sizeof(struct vfio_iommu_type1_dirty_bitmap_get))
#define UNMAP_SIZE	(24 + sizeof(struct vfio_bitmap))

const struct access blocked_accesses[] = {
	IN(VFIO_IOMMU_GET_INFO, vfio_iommu_type1_info, fill_info),
	RETURNS(VFIO_IOMMU_GET_INFO, vfio_iommu_type1_info, fill_info),
	{ .what = "VFIO_IOMMU_GET_INFO: capabilities", .cmd = VFIO_IOMMU_GET_INFO,
	  .size = MEM_PAGE, .split = sizeof(struct vfio_iommu_type1_info), .held = OUT_TAIL,
	  .fill = fill_info },
	IN(VFIO_IOMMU_MAP_DMA, vfio_iommu_type1_dma_map, fill_map),
	IN(VFIO_IOMMU_UNMAP_DMA, vfio_iommu_type1_dma_unmap, fill_unmap),
	RETURNS(VFIO_IOMMU_UNMAP_DMA, vfio_iommu_type1_dma_unmap, fill_unmap),
	{ .what = "VFIO_IOMMU_UNMAP_DMA: where the report goes", .cmd = VFIO_IOMMU_UNMAP_DMA,
	  .size = UNMAP_SIZE, .split = 24, .held = TAIL, .fill = fill_unmap_dirty },
	{ .what = "VFIO_IOMMU_UNMAP_DMA: the report", .cmd = VFIO_IOMMU_UNMAP_DMA,
	  .size = UNMAP_SIZE, .split = UNMAP_SIZE, .held = DATA, .fill = fill_unmap_dirty,
	  .reports = true },
	{ .what = "VFIO_IOMMU_DIRTY_PAGES: its structure", .cmd = VFIO_IOMMU_DIRTY_PAGES,
	  .size = DIRTY_SIZE, .split = DIRTY_SIZE, .held = HEAD, .fill = fill_dirty },
	{ .what = "VFIO_IOMMU_DIRTY_PAGES: where the report goes", .cmd = VFIO_IOMMU_DIRTY_PAGES,
	  .size = DIRTY_SIZE, .split = 8, .held = TAIL, .fill = fill_dirty },
	{ .what = "VFIO_IOMMU_DIRTY_PAGES: the report", .cmd = VFIO_IOMMU_DIRTY_PAGES,
	  .size = DIRTY_SIZE, .split = DIRTY_SIZE, .held = DATA, .fill = fill_dirty,
	  .reports = true },
	{ .what = "VFIO_IOMMU_DIRTY_PAGES: a word of the report that is read",
	  .cmd = VFIO_IOMMU_DIRTY_PAGES, .size = DIRTY_SIZE, .split = DIRTY_SIZE, .held = DATA,
	  .fill = fill_dirty_word, .reports = true },
	IN(VFIO_IOPF_PREFAULT, vfio_iopf_prefault, fill_prefault),
	POINTS(VFIO_IOPF_PREFAULT, vfio_iopf_prefault, fill_prefault),
	RETURNS(VFIO_IOPF_PREFAULT, vfio_iopf_prefault, fill_prefault),
	IN(VFIO_IOPF_PREFAULT_QUERY, vfio_iopf_prefault_status, fill_status),
	RETURNS(VFIO_IOPF_PREFAULT_QUERY, vfio_iopf_prefault_status, fill_status),
	IN(VFIO_IOPF_PREFAULT_CANCEL, vfio_iopf_prefault_status, fill_status),
	RETURNS(VFIO_IOPF_PREFAULT_CANCEL, vfio_iopf_prefault_status, fill_status),
	IN(VFIO_IOPF_WORKING_SET_SAVE, vfio_iopf_working_set, fill_get),
	POINTS(VFIO_IOPF_WORKING_SET_SAVE, vfio_iopf_working_set, fill_get),
	RETURNS(VFIO_IOPF_WORKING_SET_SAVE, vfio_iopf_working_set, fill_get),
	IN(VFIO_IOPF_WORKING_SET_RESTORE, vfio_iopf_working_set_restore, fill_put),
	POINTS(VFIO_IOPF_WORKING_SET_RESTORE, vfio_iopf_working_set_restore, fill_put),
	RETURNS(VFIO_IOPF_WORKING_SET_RESTORE, vfio_iopf_working_set_restore, fill_put),
	IN(VFIO_IOPF_POLICY, vfio_iopf_policy, fill_policy),
	RETURNS(VFIO_IOPF_POLICY, vfio_iopf_policy, fill_policy),
	PINS(VFIO_IOPF_POLICY, vfio_iopf_policy, fill_policy_pin),
	IN(VFIO_IOPF_MAP_DMA, vfio_iopf_map_dma, fill_map_policy),
	PINS(VFIO_IOPF_MAP_DMA, vfio_iopf_map_dma, fill_map_pin),
	IN(VFIO_IOPF_LOCK, vfio_iopf_lock, fill_lock),
	RETURNS(VFIO_IOPF_LOCK, vfio_iopf_lock, fill_lock),
	PINS(VFIO_IOPF_LOCK, vfio_iopf_lock, fill_lock_pin),
	IN(VFIO_IOPF_UNLOCK, vfio_iopf_unlock, fill_unlock),
	{ .what = "a group that joins: memory to be pinned", .held = PINNED, .fill = fill_fuse,
	  .run = run_join, .joins = true },
	{ .what = "the file enabled: memory to be pinned", .held = PINNED, .fill = fill_fuse,
	  .run = run_disable },
	{ .what = "the file policy: memory to be pinned", .held = PINNED, .fill = fill_fuse,
	  .run = run_default },
	{ }
};
