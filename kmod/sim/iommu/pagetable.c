// SPDX-License-Identifier: GPL-2.0-only
/*
 * Page tables of the simulated IOMMU.
 *
 * Purpose: map and unmap change the page tables, and the device walks them. They have the shape and
 * the cost of page tables of real hardware.
 *
 * Invariants:
 *  - An entry is 0 (nothing), a pointer to a table of the next level, or a leaf. In bits that
 *    hardware ignores, a pointer has a count: the number of entries of the table that are not 0,
 *    or are about to be set.
 *  - A leaf of 64 KiB is 16 entries of a level 0 table. They are set and cleared together, since a
 *    page table with such leaves has no smaller ones.
 *  - Every leaf has a size of the page table's kind, and lies in its aperture.
 *  - A map over a mapping fails. No entry is ever replaced.
 *  - An unmap stops at the first hole and returns how much it has unmapped. A leaf is never split.
 *    If the request starts at the start of a larger leaf, the whole leaf is unmapped, and the
 *    returned size is larger than the requested one, as with VT-d. If the request starts inside a
 *    leaf, the unmap stops there.
 *  - An empty table is unlinked, and freed after a grace period. There is one exception: the level
 *    0 table that became empty most recently stays linked (@idle). Otherwise a page that is mapped
 *    and unmapped repeatedly would cost the zeroing of a table each time.
 *
 * Locking: iopf_sim_pt.lock for unmaps and for linking and unlinking tables; RCU for walks. A map
 * into an existing table takes no lock, as in hardware drivers. It first adds its entries to the
 * count of the table (table_hold()). The count is in the slot, the word that an unlink sets to 0.
 * Then the map changes each entry from 0 to a leaf. A table whose count is not 0 stays linked, and
 * so do the tables above. Memory is allocated outside the lock with the caller's gfp.
 *
 * map vs map: the second map finds the entry in use and fails.
 * map vs unmap of other pages of the same table: either the map holds the table, so the table
 *   stays, or the map finds no table and makes another one.
 *
 * Vocabulary: level 0 tables hold 4 KiB and 64 KiB leaves, level 1 2 MiB ones, level 2 1 GiB ones;
 * the root is level 3. The slot of a table is the entry that points to it.
 */
#include <linux/bits.h>
#include <linux/gfp.h>
#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>

#include "iommu.h"

#define PT_READ		BIT_ULL(0)
#define PT_WRITE	BIT_ULL(1)
#define PT_LEAF		BIT_ULL(2)
#define PT_TABLE	BIT_ULL(3)
#define PT_ADDR		GENMASK_ULL(51, 12)
/* With PT_TABLE: the number of the table's entries in use. */
#define PT_USED		GENMASK_ULL(62, 52)
#define PT_USED_ONE	BIT_ULL(52)

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

static u64 *table_alloc(gfp_t gfp)
{
	struct page *page = alloc_page(gfp | __GFP_ZERO);

	if (!page)
		return NULL;
	mod_node_page_state(page_pgdat(page), NR_IOMMU_PAGES, 1);
	iopf_sim_count(IOPF_SIM_STAT_TABLES, 1);
	return page_address(page);
}

static void table_free(u64 *table)
{
	struct page *page = virt_to_page(table);

	mod_node_page_state(page_pgdat(page), NR_IOMMU_PAGES, -1);
	iopf_sim_count(IOPF_SIM_STAT_TABLES, -1);
	__free_page(page);
}

static void table_free_rcu_cb(struct rcu_head *rcu)
{
	table_free(page_address(container_of(rcu, struct page, rcu_head)));
}

/* A device may be walking the table. A walk holds no lock, only an RCU read-side section. */
static void table_free_rcu(u64 *table)
{
	call_rcu(&virt_to_page(table)->rcu_head, table_free_rcu_cb);
}

static void count_leaves(int level, long n)
{
	iopf_sim_count(IOPF_SIM_STAT_LEAVES_4K + level, n);
}

/* Adds @n to the entries in use of the table in a slot. The table stays then. NULL: no table. */
static __always_inline u64 *table_hold(u64 *slot, size_t n)
{
	u64 entry = READ_ONCE(*slot);

	do {
		if (unlikely(!(entry & PT_TABLE)))
			return NULL;
	} while (unlikely(!try_cmpxchg(slot, &entry, entry + n * PT_USED_ONE)));
	return entry_table(entry);
}

/* Subtracts @n from the entries in use. Returns false if none is left. */
static bool table_drop(u64 *slot, size_t n)
{
	return atomic64_sub_return(n * PT_USED_ONE, (atomic64_t *)slot) & PT_USED;
}

/* Unlinks the lowest table that covers @iova if it is empty, then the empty tables above it. */
static void prune(struct iopf_sim_pt *pt, u64 iova)
{
	u64 *table = pt->root, *slot[PT_ROOT_LEVEL];
	int level;

	lockdep_assert_held(&pt->lock);

	for (level = PT_ROOT_LEVEL; level > 0; level--) {
		u64 *next = &table[level_index(iova, level)];
		u64 entry = READ_ONCE(*next);

		if (!(entry & PT_TABLE))
			break;
		slot[level - 1] = next;
		table = entry_table(entry);
	}
	for (; level < PT_ROOT_LEVEL; level++) {
		u64 entry = READ_ONCE(*slot[level]);

		/* Meanwhile a map may have added to the count. */
		if (entry & PT_USED || !try_cmpxchg(slot[level], &entry, 0))
			break;
		table_free_rcu(entry_table(entry));
		if (level + 1 < PT_ROOT_LEVEL)
			table_drop(slot[level + 1], 1);
	}
}

/* Keeps the empty level 0 table of @iova, and prunes the one kept so far. */
static void keep_idle(struct iopf_sim_pt *pt, u64 iova)
{
	u64 base = iova & ~(SZ_2M - 1ULL);

	lockdep_assert_held(&pt->lock);
	if (pt->idle != IOPF_SIM_PT_NONE && pt->idle != base)
		prune(pt, pt->idle);
	WRITE_ONCE(pt->idle, base);
}

/* Prunes the kept empty table if it is in the way of larger leaves. */
static void evict_idle(struct iopf_sim_pt *pt, u64 iova, u64 last)
{
	unsigned long irq;
	u64 idle = READ_ONCE(pt->idle);

	if (likely(idle < iova || idle > last))
		return;
	spin_lock_irqsave(&pt->lock, irq);
	if (pt->idle >= iova && pt->idle <= last) {
		prune(pt, pt->idle);
		WRITE_ONCE(pt->idle, IOPF_SIM_PT_NONE);
	}
	spin_unlock_irqrestore(&pt->lock, irq);
}

/* The slot of the @level table for @iova, or NULL if a table above is missing. Under RCU. */
static __always_inline u64 *table_slot(struct iopf_sim_pt *pt, u64 iova, int level)
{
	u64 *table = pt->root;

	for (int l = PT_ROOT_LEVEL; l > level + 1; l--) {
		u64 entry = READ_ONCE(table[level_index(iova, l)]);

		if (unlikely(!(entry & PT_TABLE)))
			return NULL;
		table = entry_table(entry);
	}
	return &table[level_index(iova, level + 1)];
}

/*
 * Like table_slot(), but adds @n to the entries in use, and links the table @spare if one is
 * missing. Returns NULL if it needs a @spare; ERR_PTR(-EEXIST) if a larger leaf is in the way.
 */
static u64 *table_link(struct iopf_sim_pt *pt, u64 iova, int level, size_t n, u64 **spare)
{
	u64 *table = pt->root, *above = NULL;

	lockdep_assert_held(&pt->lock);
	for (int l = PT_ROOT_LEVEL; l > level; l--) {
		u64 *slot = &table[level_index(iova, l)];
		u64 entry = READ_ONCE(*slot);

		if (!entry) {
			if (!*spare)
				return NULL;
			/* pt->lock is held, so nothing is unlinked meanwhile. */
			if (above)
				table_hold(above, 1);
			/*
			 * Orders the zeroes in the table before the pointer to it. Pairs with the
			 * address dependency in iopf_sim_pt_lookup() and table_slot().
			 */
			if (try_cmpxchg(slot, &entry, virt_to_phys(*spare) | PT_TABLE)) {
				entry = virt_to_phys(*spare) | PT_TABLE;
				*spare = NULL;
			} else if (above) {
				table_drop(above, 1);
			}
		}
		if (!(entry & PT_TABLE))
			return ERR_PTR(-EEXIST);
		table = entry_table(entry);
		above = slot;
	}
	table_hold(above, n);
	return above;
}

/* Allocates memory for table_link() and calls it. */
static noinline u64 *table_make(struct iopf_sim_pt *pt, u64 iova, int level, size_t n, gfp_t gfp)
{
	u64 *spare = NULL, *slot;
	unsigned long irq;

	for (;;) {
		spin_lock_irqsave(&pt->lock, irq);
		slot = table_link(pt, iova, level, n, &spare);
		spin_unlock_irqrestore(&pt->lock, irq);
		if (slot)
			break;
		spare = table_alloc(gfp);
		if (!spare) {
			slot = ERR_PTR(-ENOMEM);
			break;
		}
	}
	if (unlikely(spare))
		table_free(spare);
	return slot;
}

/* Sets leaves up to the first entry in use. Returns the number of leaves set. */
static __always_inline size_t fill(u64 *entry, u64 leaf, u64 size, size_t n)
{
	size_t i = 0;

	do {
		u64 nothing = 0;

		if (unlikely(!try_cmpxchg(&entry[i], &nothing, leaf)))
			break;
		leaf += size;
	} while (++i < n);
	return i;
}

static noinline void map_failed(struct iopf_sim_pt *pt, u64 iova, int ret)
{
	unsigned long irq;

	if (ret == -EEXIST)
		iopf_sim_count(IOPF_SIM_STAT_MAP_COLLISIONS, 1);
	spin_lock_irqsave(&pt->lock, irq);
	prune(pt, iova);
	spin_unlock_irqrestore(&pt->lock, irq);
}

/* Maps leaves of one level. @level is a constant in each caller. */
static __always_inline int map_leaves(struct iopf_sim_pt *pt, u64 iova, u64 leaf, int level,
				      size_t count, gfp_t gfp, size_t *mapped)
{
	const unsigned int shift = level_shift(level);
	size_t left = count;
	int ret = 0;

	if (level)
		evict_idle(pt, iova, iova + (count << shift) - 1);
	do {
		unsigned int index = level_index(iova, level);
		size_t done, n = min_t(size_t, left, PT_ENTRIES - index);
		u64 *slot, *table = NULL;

		rcu_read_lock_sched();
		slot = table_slot(pt, iova, level);
		if (likely(slot))
			table = table_hold(slot, n);
		rcu_read_unlock_sched();
		if (unlikely(!table)) {
			slot = table_make(pt, iova, level, n, gfp);
			if (IS_ERR(slot)) {
				ret = PTR_ERR(slot);
				break;
			}
			table = entry_table(READ_ONCE(*slot));
		}

		/* The table is held: it stays without RCU. */
		done = fill(table + index, leaf, 1ULL << shift, n);
		left -= done;
		if (unlikely(done < n)) {
			table_drop(slot, n - done);
			ret = -EEXIST;
			break;
		}
		iova += n << shift;
		leaf += n << shift;
	} while (unlikely(left));
	if (unlikely(ret))
		map_failed(pt, iova, ret);
	count_leaves(level, count - left);
	*mapped += (count - left) << shift;
	return ret;
}

/* The general case of iopf_sim_map_pages(). */
static noinline int map_any(struct iopf_sim_pt *pt, u64 iova, u64 phys, size_t pgsize,
			    size_t count, int prot, gfp_t gfp, size_t *mapped)
{
	u64 last = iova + (pgsize * count - 1);
	u64 leaf = phys | PT_LEAF | (prot & (IOMMU_READ | IOMMU_WRITE));

	if (!(prot & (IOMMU_READ | IOMMU_WRITE)) || !(pgsize & pt->kind->pgsizes) ||
	    !count || (iova | phys) & (pgsize - 1))
		return -EINVAL;
	if (iova < pt->kind->first || last > pt->kind->last || last < iova)
		return -ERANGE;
	switch (pgsize) {
	case SZ_1G:
		return map_leaves(pt, iova, leaf, 2, count, gfp, mapped);
	case SZ_2M:
		return map_leaves(pt, iova, leaf, 1, count, gfp, mapped);
	default:
		return map_leaves(pt, iova, leaf, 0, count * (pgsize / SZ_4K), gfp, mapped);
	}
}

/* Maps one leaf of 4 KiB. Returns false if there is no table for it, or the entry is in use. */
static __always_inline bool map_one(struct iopf_sim_pt *pt, u64 iova, u64 leaf)
{
	u64 *slot, *table, nothing = 0;

	rcu_read_lock_sched();
	slot = table_slot(pt, iova, 0);
	table = slot ? table_hold(slot, 1) : NULL;
	if (unlikely(!table)) {
		rcu_read_unlock_sched();
		return false;
	}
	rcu_read_unlock_sched();
	/* The table is held: it stays without RCU. */
	if (likely(try_cmpxchg(&table[level_index(iova, 0)], &nothing, leaf)))
		return true;
	table_drop(slot, 1);
	return false;
}

/**
 * iopf_sim_map_pages() - map physically contiguous pages
 * @domain: the domain
 * @iova: first IOVA, aligned to @pgsize
 * @phys: first physical address, aligned to @pgsize
 * @pgsize: size of each leaf
 * @count: number of leaves
 * @prot: IOMMU_READ and IOMMU_WRITE
 * @gfp: how to allocate tables
 * @mapped: advanced by the bytes mapped, also on error
 *
 * Return: 0; -EEXIST if a page is mapped already; -ENOMEM; -EINVAL if this kind does not have such
 * pages; -ERANGE outside its aperture.
 */
int iopf_sim_map_pages(struct iommu_domain *domain, unsigned long iova, phys_addr_t phys,
		       size_t pgsize, size_t count, int prot, gfp_t gfp, size_t *mapped)
{
	struct iopf_sim_pt *pt = &to_sim_domain(domain)->pt;
	u64 perm = prot & (unsigned int)(IOMMU_READ | IOMMU_WRITE);
	int ret;

	static_assert(PT_READ == IOMMU_READ && PT_WRITE == IOMMU_WRITE);
	iopf_sim_count(IOPF_SIM_STAT_MAPS, 1);
	/*
	 * The common case, without a call: one leaf of 4 KiB in an existing table. map_any()
	 * handles all other cases, and all errors.
	 */
	if (unlikely(pgsize != SZ_4K || count != 1)) {
		ret = map_any(pt, iova, phys, pgsize, count, prot, gfp, mapped);
		goto out;
	}
	if (likely(perm && !((iova | phys) & (SZ_4K - 1)) && iova >= pt->small_first &&
		   iova <= pt->small_last && map_one(pt, iova, phys | PT_LEAF | perm))) {
		count_leaves(0, 1);
		*mapped += SZ_4K;
		return 0;
	}
	ret = map_any(pt, iova, phys, SZ_4K, 1, prot, gfp, mapped);
out:
	/* Prevents a tail call, which would shuffle the arguments in the common case too. */
	barrier();
	return ret;
}

/* Clears leaves of the level 0 table in a slot up to the first hole. Returns how many. */
static size_t drain(struct iopf_sim_pt *pt, u64 *slot, u64 iova, size_t count)
{
	unsigned int index = level_index(iova, 0);
	size_t i, n = min_t(size_t, count, PT_ENTRIES - index);
	u64 *entry = entry_table(READ_ONCE(*slot)) + index;

	lockdep_assert_held(&pt->lock);
	for (i = 0; i < n && READ_ONCE(entry[i]); i++)
		WRITE_ONCE(entry[i], 0);
	if (i && !table_drop(slot, i))
		keep_idle(pt, iova);
	return i;
}

/**
 * iopf_sim_pt_unmap() - unmap a range
 * @pt: the page table
 * @iova: start of the range
 * @size: bytes of the range
 *
 * Return: the bytes unmapped. Less than @size: there is a hole, a leaf begins before @iova, or the
 * range is not of whole pages of this kind. More than @size: the last leaf was larger than the rest
 * of the range.
 */
size_t iopf_sim_pt_unmap(struct iopf_sim_pt *pt, u64 iova, size_t size)
{
	long gone[PT_ROOT_LEVEL] = {};
	unsigned long irq;
	size_t done = 0;
	int level;

	if (unlikely((iova | size) & (iopf_sim_kind_page(pt->kind) - 1))) {
		iopf_sim_count(IOPF_SIM_STAT_UNMAP_SPLITS, 1);
		return 0;
	}
	spin_lock_irqsave(&pt->lock, irq);
	while (done < size) {
		u64 *table = pt->root, *slot, *above = NULL, entry;
		size_t n;

		if (unlikely(iova >> IOPF_SIM_IOVA_BITS))
			break;
		for (level = PT_ROOT_LEVEL; level > 0; level--, above = slot) {
			slot = &table[level_index(iova, level)];
			entry = READ_ONCE(*slot);
			if (!(entry & PT_TABLE))
				break;
			table = entry_table(entry);
		}
		if (!level) {
			n = drain(pt, above, iova, (size - done) >> PAGE_SHIFT);
			gone[0] += n;
			n <<= PAGE_SHIFT;
			if (!n)
				break;
		} else {
			if (!entry)
				break;
			n = 1UL << level_shift(level);
			if (iova & (n - 1)) {
				iopf_sim_count(IOPF_SIM_STAT_UNMAP_SPLITS, 1);
				break;
			}
			WRITE_ONCE(*slot, 0);
			/* A leaf is never in the root, so there is a table above. */
			table_drop(above, 1);
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
		iopf_sim_count(IOPF_SIM_STAT_UNMAP_HOLES, 1);
	return done;
}

/**
 * iopf_sim_pt_lookup() - walk the tables as the device does
 * @pt: the page table
 * @iova: any address
 * @leaf: filled in if there is a leaf
 *
 * The caller is in an RCU read-side section. The leaf may be unmapped before the caller uses it.
 * The invalidation ends its use (see access.c).
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
 * iopf_sim_pt_init() - create an empty page table
 * @pt: the page table
 * @kind: page sizes and aperture
 * @gfp: how to allocate memory
 *
 * Return: 0 or -ENOMEM.
 */
int iopf_sim_pt_init(struct iopf_sim_pt *pt, const struct iopf_sim_kind *kind, gfp_t gfp)
{
	pt->kind = kind;
	/* A kind without 4 KiB leaves gets an empty range. */
	pt->small_first = kind->pgsizes & SZ_4K ? kind->first : 1;
	pt->small_last = kind->pgsizes & SZ_4K ? kind->last - (SZ_4K - 1) : 0;
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
 * iopf_sim_pt_destroy() - free a page table with all its mappings
 * @pt: a page table that no device uses any more
 */
void iopf_sim_pt_destroy(struct iopf_sim_pt *pt)
{
	destroy(pt->root, PT_ROOT_LEVEL);
	pt->root = NULL;
}
