// SPDX-License-Identifier: GPL-2.0-only
/*
 * Page tables of the simulated IOMMU.
 *
 * Purpose: what map and unmap build and the device walks, in the shape of real
 * hardware, at the cost of real hardware.
 *
 * Invariants:
 *  - An entry is 0 (nothing), a pointer to a table of the next level, or a leaf.
 *    page_private() of a table is the number of its entries that are not 0.
 *  - A leaf of 64 KiB is 16 entries of a level 0 table, which come and go together since
 *    a page table that has such leaves has no smaller ones.
 *  - What is mapped is of the sizes and in the aperture of the page table's kind.
 *  - Mapping over anything fails; nothing is ever replaced silently.
 *  - Unmapping stops at the first hole and says how far it got. A leaf larger than what
 *    was asked for goes as a whole when the request begins at its start (the answer is
 *    then larger than the question, as with VT-d); a request that begins inside of it
 *    ends there, for a leaf is never split.
 *  - A table without entries is unlinked and freed after a grace period, all but one:
 *    the last-level table emptied last stays linked (@idle), because a page that comes
 *    and goes would otherwise cost the zeroing of a table each time.
 *
 * Locking: struct iopf_sim_pt.lock for changes, RCU for walks. Memory is allocated
 * outside the lock with the caller's gfp.
 *
 * Vocabulary: level 0 tables hold 4 KiB and 64 KiB leaves, level 1 2 MiB ones, level 2 1 GiB ones;
 * the root is level 3.
 */
#include <linux/bits.h>
#include <linux/gfp.h>
#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>

#include "iommu.h"
#include "kind.h"
#include "pagetable.h"

#define PT_READ		BIT_ULL(0)
#define PT_WRITE	BIT_ULL(1)
#define PT_LEAF		BIT_ULL(2)
#define PT_TABLE	BIT_ULL(3)
#define PT_ADDR		GENMASK_ULL(51, 12)

#define PT_ENTRIES	512
#define PT_ROOT_LEVEL	3

static unsigned int level_shift(int level)
{
	return PAGE_SHIFT + 9 * level;
}

static unsigned int level_index(u64 iova, int level)
{
	return (iova >> level_shift(level)) & (PT_ENTRIES - 1);
}

static u64 *entry_table(u64 entry)
{
	return phys_to_virt(entry & PT_ADDR);
}

static unsigned long table_used(u64 *table)
{
	return page_private(virt_to_page(table));
}

static void table_use(u64 *table, long n)
{
	struct page *page = virt_to_page(table);

	set_page_private(page, page_private(page) + n);
}

static u64 *table_alloc(gfp_t gfp)
{
	struct page *page = alloc_page(gfp | __GFP_ZERO);

	if (!page)
		return NULL;
	set_page_private(page, 0);
	mod_node_page_state(page_pgdat(page), NR_IOMMU_PAGES, 1);
	atomic64_inc(&iopf_sim_stats.tables);
	return page_address(page);
}

static void table_free(u64 *table)
{
	struct page *page = virt_to_page(table);

	set_page_private(page, 0);
	mod_node_page_state(page_pgdat(page), NR_IOMMU_PAGES, -1);
	atomic64_dec(&iopf_sim_stats.tables);
	__free_page(page);
}

static void table_free_rcu_cb(struct rcu_head *rcu)
{
	table_free(page_address(container_of(rcu, struct page, rcu_head)));
}

/* A device may be walking it: the walk holds no lock, only an RCU read-side section. */
static void table_free_rcu(u64 *table)
{
	call_rcu(&virt_to_page(table)->rcu_head, table_free_rcu_cb);
}

static void count_leaves(int level, long n)
{
	switch (level) {
	case 0:
		atomic64_add(n, &iopf_sim_stats.leaves_4k);
		break;
	case 1:
		atomic64_add(n, &iopf_sim_stats.leaves_2m);
		break;
	default:
		atomic64_add(n, &iopf_sim_stats.leaves_1g);
	}
}

/* Unlinks the lowest table that covers @iova if it is empty, and those above that get so. */
static void prune(struct iopf_sim_pt *pt, u64 iova)
{
	u64 *path[PT_ROOT_LEVEL + 1];
	int level;

	lockdep_assert_held(&pt->lock);

	path[PT_ROOT_LEVEL] = pt->root;
	for (level = PT_ROOT_LEVEL; level > 0; level--) {
		u64 entry = path[level][level_index(iova, level)];

		if (!(entry & PT_TABLE))
			break;
		path[level - 1] = entry_table(entry);
	}
	for (; level < PT_ROOT_LEVEL && !table_used(path[level]); level++) {
		WRITE_ONCE(path[level + 1][level_index(iova, level + 1)], 0);
		table_use(path[level + 1], -1);
		table_free_rcu(path[level]);
	}
}

/* The level 0 table of @iova has become empty: keep it, let go of the one kept so far. */
static void keep_idle(struct iopf_sim_pt *pt, u64 iova)
{
	u64 base = iova & ~(SZ_2M - 1ULL);

	lockdep_assert_held(&pt->lock);
	if (pt->idle != IOPF_SIM_PT_NONE && pt->idle != base)
		prune(pt, pt->idle);
	pt->idle = base;
}

/*
 * The table of @level for @iova, made if need be out of @spare. NULL with @spare empty:
 * bring one. ERR_PTR(-EEXIST): a larger leaf is in the way.
 */
static __always_inline u64 *descend(struct iopf_sim_pt *pt, u64 iova, int level, u64 **spare)
{
	u64 *table = pt->root;
	int l;

	lockdep_assert_held(&pt->lock);
	for (l = PT_ROOT_LEVEL; l > level; l--) {
		u64 *slot = &table[level_index(iova, l)];
		u64 entry = *slot;

		if (likely(entry & PT_TABLE)) {
			table = entry_table(entry);
			continue;
		}
		if (entry)
			return ERR_PTR(-EEXIST);
		if (!*spare)
			return NULL;
		/*
		 * Orders the zeroes in the table before the pointer to it; pairs with
		 * the address dependency in iopf_sim_pt_lookup().
		 */
		smp_store_release(slot, virt_to_phys(*spare) | PT_TABLE);
		table_use(table, 1);
		table = *spare;
		*spare = NULL;
	}
	return table;
}

/* Larger leaves are to take the place of the empty table that was kept. */
static void evict_idle(struct iopf_sim_pt *pt, u64 iova, u64 last)
{
	lockdep_assert_held(&pt->lock);
	if (pt->idle < iova || pt->idle > last)
		return;
	prune(pt, pt->idle);
	pt->idle = IOPF_SIM_PT_NONE;
}

/* As many leaves as fit into @table, or up to the first entry in the way. */
static __always_inline size_t fill(struct iopf_sim_pt *pt, u64 *table, u64 iova, int level,
				   u64 entry, size_t count)
{
	unsigned int index = level_index(iova, level);
	u64 size = 1ULL << level_shift(level);
	size_t i, n = min_t(size_t, count, PT_ENTRIES - index);
	u64 *slot = table + index;

	lockdep_assert_held(&pt->lock);
	for (i = 0; i < n && likely(!slot[i]); i++, entry += size)
		WRITE_ONCE(slot[i], entry);
	table_use(table, i);
	return i;
}

/* iopf_sim_pt_map() of leaves of one level, which is a constant where it is called. */
static __always_inline int map_leaves(struct iopf_sim_pt *pt, u64 iova, u64 entry, int level,
				      size_t count, gfp_t gfp, size_t *mapped)
{
	size_t left = count;
	u64 *spare = NULL;
	unsigned long irq;
	int ret = 0;

	do {
		size_t n = 0;
		u64 *table;

		spin_lock_irqsave(&pt->lock, irq);
		if (level)
			evict_idle(pt, iova, iova + (left << level_shift(level)) - 1);
		table = descend(pt, iova, level, &spare);
		if (!IS_ERR_OR_NULL(table))
			n = fill(pt, table, iova, level, entry, left);
		spin_unlock_irqrestore(&pt->lock, irq);

		if (unlikely(!table)) {
			spare = table_alloc(gfp);
			if (spare)
				continue;
			ret = -ENOMEM;
			break;
		}
		left -= n;
		iova += n << level_shift(level);
		entry += n << level_shift(level);
		if (unlikely(!n || (left && level_index(iova, level)))) {
			atomic64_inc(&iopf_sim_stats.map_collisions);
			ret = -EEXIST;
			break;
		}
	} while (left);
	if (unlikely(spare))
		table_free(spare);
	if (unlikely(ret)) {
		spin_lock_irqsave(&pt->lock, irq);
		prune(pt, iova);
		spin_unlock_irqrestore(&pt->lock, irq);
	}
	count_leaves(level, count - left);
	*mapped += (count - left) << level_shift(level);
	return ret;
}

/**
 * iopf_sim_pt_map() - map physically contiguous pages
 * @pt: the page table
 * @iova: first IOVA, aligned to @pgsize
 * @phys: first physical address, aligned to @pgsize
 * @pgsize: size of each leaf
 * @count: number of leaves
 * @prot: IOMMU_READ and IOMMU_WRITE
 * @gfp: how to allocate tables
 * @mapped: advanced by what was mapped, also on error
 *
 * Return: 0, -EEXIST if something is mapped there already, -ENOMEM; -EINVAL for pages that
 * this kind does not have; -ERANGE outside its aperture.
 */
int iopf_sim_pt_map(struct iopf_sim_pt *pt, u64 iova, u64 phys, size_t pgsize, size_t count,
		    int prot, gfp_t gfp, size_t *mapped)
{
	u64 last = iova + (pgsize * count - 1);
	u64 entry = phys | PT_LEAF;

	static_assert(PT_READ == IOMMU_READ && PT_WRITE == IOMMU_WRITE);
	entry |= prot & (IOMMU_READ | IOMMU_WRITE);
	if (!(prot & (IOMMU_READ | IOMMU_WRITE)) || !(pgsize & pt->kind->pgsizes) ||
	    !count || (iova | phys) & (pgsize - 1))
		return -EINVAL;
	if (iova < pt->kind->first || last > pt->kind->last || last < iova)
		return -ERANGE;
	switch (pgsize) {
	case SZ_1G:
		return map_leaves(pt, iova, entry, 2, count, gfp, mapped);
	case SZ_2M:
		return map_leaves(pt, iova, entry, 1, count, gfp, mapped);
	default:
		return map_leaves(pt, iova, entry, 0, count * (pgsize / SZ_4K), gfp, mapped);
	}
}

/* Takes leaves out of one level 0 table, up to the first hole. */
static size_t drain(struct iopf_sim_pt *pt, u64 *table, u64 iova, size_t count)
{
	unsigned int index = level_index(iova, 0);
	size_t i, n = min_t(size_t, count, PT_ENTRIES - index);
	u64 *slot = table + index;

	lockdep_assert_held(&pt->lock);
	for (i = 0; i < n && slot[i]; i++)
		WRITE_ONCE(slot[i], 0);
	table_use(table, -(long)i);
	if (i && !table_used(table))
		keep_idle(pt, iova);
	return i;
}

/**
 * iopf_sim_pt_unmap() - unmap what is mapped from an IOVA on
 * @pt: the page table
 * @iova: where to begin
 * @size: how much
 *
 * Return: the bytes unmapped. Less than @size: there is a hole, or a leaf that begins
 * before @iova, or the request is not of whole pages of this kind. More: the last leaf was
 * larger than what was left.
 */
size_t iopf_sim_pt_unmap(struct iopf_sim_pt *pt, u64 iova, size_t size)
{
	long gone[PT_ROOT_LEVEL] = {};
	unsigned long irq;
	size_t done = 0;
	int level;

	if (unlikely((iova | size) & (iopf_sim_kind_page(pt->kind) - 1))) {
		atomic64_inc(&iopf_sim_stats.unmap_splits);
		return 0;
	}
	spin_lock_irqsave(&pt->lock, irq);
	while (done < size) {
		u64 *table = pt->root, *slot;
		size_t n;

		if (unlikely(iova >> IOPF_SIM_IOVA_BITS))
			break;
		for (level = PT_ROOT_LEVEL; level > 0; level--) {
			slot = &table[level_index(iova, level)];
			if (!(*slot & PT_TABLE))
				break;
			table = entry_table(*slot);
		}
		if (!level) {
			n = drain(pt, table, iova, (size - done) >> PAGE_SHIFT);
			gone[0] += n;
			n <<= PAGE_SHIFT;
			if (!n)
				break;
		} else {
			if (!*slot)
				break;
			n = 1UL << level_shift(level);
			if (iova & (n - 1)) {
				atomic64_inc(&iopf_sim_stats.unmap_splits);
				break;
			}
			WRITE_ONCE(*slot, 0);
			table_use(table, -1);
			prune(pt, iova);
			gone[level]++;
		}
		done += n;
		iova += n;
	}
	spin_unlock_irqrestore(&pt->lock, irq);

	for (level = 0; level < PT_ROOT_LEVEL; level++)
		if (gone[level])
			count_leaves(level, -gone[level]);
	if (unlikely(done < size))
		atomic64_inc(&iopf_sim_stats.unmap_holes);
	return done;
}

/**
 * iopf_sim_pt_lookup() - walk the tables as the device does
 * @pt: the page table
 * @iova: any address
 * @leaf: filled in if there is a leaf
 *
 * The caller is in an RCU read-side section. What was found may be unmapped by the time
 * it is used; who keeps a page from being used after its unmapping is the invalidation
 * (see endpoint.c).
 *
 * Return: whether @iova is mapped.
 */
bool iopf_sim_pt_lookup(const struct iopf_sim_pt *pt, u64 iova, struct iopf_sim_leaf *leaf)
{
	const u64 *table = pt->root;
	int level;

	if (iova >> IOPF_SIM_IOVA_BITS)
		return false;
	for (level = PT_ROOT_LEVEL; ; level--) {
		u64 entry = READ_ONCE(table[level_index(iova, level)]);

		if (entry & PT_LEAF) {
			leaf->phys = entry & PT_ADDR;
			leaf->shift = level_shift(level);
			leaf->read = entry & PT_READ;
			leaf->write = entry & PT_WRITE;
			return true;
		}
		if (!entry)
			return false;
		table = entry_table(entry);
	}
}

/**
 * iopf_sim_pt_init() - make an empty page table
 * @pt: the page table
 * @kind: of what kind
 * @gfp: how to allocate it
 *
 * Return: 0 or -ENOMEM.
 */
int iopf_sim_pt_init(struct iopf_sim_pt *pt, const struct iopf_sim_kind *kind, gfp_t gfp)
{
	pt->kind = kind;
	spin_lock_init(&pt->lock);
	pt->idle = IOPF_SIM_PT_NONE;
	pt->root = table_alloc(gfp);
	return pt->root ? 0 : -ENOMEM;
}

static void destroy(u64 *table, int level)
{
	unsigned int i;
	long leaves = 0;

	for (i = 0; i < PT_ENTRIES; i++) {
		if (table[i] & PT_TABLE)
			destroy(entry_table(table[i]), level - 1);
		else if (table[i])
			leaves++;
	}
	if (leaves)
		count_leaves(level, -leaves);
	table_free(table);
}

/**
 * iopf_sim_pt_destroy() - free a page table and all it still maps
 * @pt: a page table no device uses any more
 */
void iopf_sim_pt_destroy(struct iopf_sim_pt *pt)
{
	destroy(pt->root, PT_ROOT_LEVEL);
	pt->root = NULL;
}
