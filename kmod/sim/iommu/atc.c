// SPDX-License-Identifier: GPL-2.0-only
/*
 * Address translation cache of one engine.
 *
 * Purpose: keep translations until the IOMMU invalidates them, as a device with ATS does. A
 * forgotten invalidation then leaves a stale entry, which a test sees.
 *
 * Invariants: a thread fills or uses an entry only in the critical section in which it walked the
 * page table. So a walk that saw an old entry cannot fill the cache after the invalidation.
 *
 * Locking: iopf_sim_bank.lock protects everything.
 *
 * The cache is direct-mapped. It holds leaves of 2 MiB and more as pieces of 2 MiB in the same
 * array. The 2 MiB number gives the index of a piece.
 */
#include <linux/slab.h>

#include "iommu.h"

/**
 * struct iopf_sim_atc_entry - a cached translation
 * @tag: page number of the IOVA, shifted left, with %TAG_LARGE and %TAG_VALID
 * @leaf: the translation, cut down to 4 KiB or 2 MiB
 */
struct iopf_sim_atc_entry {
	u64 tag;
	struct iopf_sim_leaf leaf;
};

#define TAG_VALID	1ULL
#define TAG_LARGE	2ULL
#define LARGE_SHIFT	21

static u64 small_tag(u64 iova)
{
	return (iova >> PAGE_SHIFT) << 2 | TAG_VALID;
}

static u64 large_tag(u64 iova)
{
	return (iova >> LARGE_SHIFT) << 2 | TAG_LARGE | TAG_VALID;
}

static struct iopf_sim_atc_entry *slot(struct iopf_sim_bank *bank, u64 tag)
{
	return &bank->atc[(tag >> 2) & (bank->atc_entries - 1)];
}

struct iopf_sim_atc_entry *iopf_sim_atc_alloc(u32 entries)
{
	return kvcalloc(entries, sizeof(struct iopf_sim_atc_entry), GFP_KERNEL);
}

/* Returns whether @iova is cached, and sets @leaf to the cached piece. */
bool iopf_sim_atc_lookup(struct iopf_sim_bank *bank, u64 iova, struct iopf_sim_leaf *leaf)
{
	struct iopf_sim_atc_entry *entry;

	lockdep_assert_held(&bank->lock);
	if (!bank->atc_entries || !bank->ats)
		return false;

	entry = slot(bank, small_tag(iova));
	if (entry->tag != small_tag(iova)) {
		entry = slot(bank, large_tag(iova));
		if (entry->tag != large_tag(iova))
			return false;
	}
	*leaf = entry->leaf;
	return true;
}

void iopf_sim_atc_fill(struct iopf_sim_bank *bank, u64 iova, const struct iopf_sim_leaf *leaf)
{
	struct iopf_sim_atc_entry *entry;
	u64 tag = small_tag(iova);
	u8 shift = PAGE_SHIFT;

	lockdep_assert_held(&bank->lock);
	if (!bank->atc_entries || !bank->ats)
		return;

	if (leaf->shift >= LARGE_SHIFT) {
		tag = large_tag(iova);
		shift = LARGE_SHIFT;
	}
	entry = slot(bank, tag);
	entry->tag = tag;
	entry->leaf = *leaf;
	entry->leaf.shift = shift;
	/* the piece of a larger leaf that contains @iova */
	entry->leaf.phys += iova & (BIT_ULL(leaf->shift) - BIT_ULL(shift));
}

static void drop(struct iopf_sim_bank *bank, struct iopf_sim_atc_entry *entry)
{
	entry->tag = 0;
	bank->atc_invalidations++;
}

/* Drops every entry that overlaps [@iova, @last]. */
void iopf_sim_atc_invalidate(struct iopf_sim_bank *bank, u64 iova, u64 last)
{
	struct iopf_sim_atc_entry *entry;
	u64 pages = (last >> PAGE_SHIFT) - (iova >> PAGE_SHIFT) + 1;
	u64 tag;
	u32 i;

	lockdep_assert_held(&bank->lock);
	if (!bank->atc_entries)
		return;

	if (pages < bank->atc_entries / 2) {
		for (tag = small_tag(iova); tag <= small_tag(last); tag += 4) {
			entry = slot(bank, tag);
			if (entry->tag == tag)
				drop(bank, entry);
		}
		for (tag = large_tag(iova); tag <= large_tag(last); tag += 4) {
			entry = slot(bank, tag);
			if (entry->tag == tag)
				drop(bank, entry);
		}
		return;
	}
	for (i = 0; i < bank->atc_entries; i++) {
		entry = &bank->atc[i];
		if (!entry->tag)
			continue;
		if (entry->tag & TAG_LARGE ?
		    entry->tag >= large_tag(iova) && entry->tag <= large_tag(last) :
		    entry->tag >= small_tag(iova) && entry->tag <= small_tag(last))
			drop(bank, entry);
	}
}

void iopf_sim_atc_flush(struct iopf_sim_bank *bank)
{
	iopf_sim_atc_invalidate(bank, 0, ~0ULL >> 2);
}
