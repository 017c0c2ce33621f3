// SPDX-License-Identifier: GPL-2.0-only
/*
 * Areas: the ranges that user space has mapped for DMA.
 *
 * An area is found by its IOVA under RCU (faults) and by its CPU address under its
 * mm's lock (notifier). It is published last and withdrawn first:
 *
 *   create: fill in; into the mm's tree; into the space's tree
 *   destroy: out of the space's tree; dead; kill the chunks; out of the
 *            mm's tree; free after a grace period, with chunks and spans
 *
 * From the moment the space's tree has forgotten it new faults find no address;
 * those that found it before meet dead chunks. iopf_areas_destroy() returns with
 * nothing mapped. Areas that go at the same time share the grace period.
 *
 * notifier vs destroy, rebase: a notifier goes through an area under its mm's lock. It drops that
 * lock when somebody else wants the processor, and marks the area as visited before: a visited
 * area stays in the mm's tree, so a worker goes on from there (host/mm.c). Who takes the area out
 * waits for that. The worker waits for nothing but the processor meanwhile.
 *
 * A frozen area lets devices map nothing more: their faults wait until it thaws. It is
 * how the CPU address changes (VFIO_DMA_UNMAP_FLAG_VADDR freezes, VFIO_DMA_MAP_FLAG_VADDR
 * thaws), and how the last report of dirty pages is made complete before unmapping. Faults look at
 * @frozen under the chunk's lock and RCU; who freezes waits for both, so afterwards nobody
 * uses the old address.
 *
 * Chunks are made on the first touch and stay until the area goes. Making one
 * reads the space's current set of domains under the lock of @chunks;
 * changing the set passes through the same lock before it moves the chunks, so each
 * chunk is either made with the new set or moved to it.
 */
#include <linux/iommu.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "../host/mm.h"
#include "../lib/backlog.h"
#include "../lib/params.h"
#include "space.h"
#include "area.h"
#include "chunk.h"
#include "hint.h"
#include "span.h"

/* Chunks that are freed at a time. */
#define FREE_BATCH	64

/*
 * Of an array with more chunks the entries are erased one by one, so many before others get the
 * processor, and before a grace period: RCU frees the nodes, and may do that to any number
 * of them in a row.
 */
#define ERASE_MIN	8192
#define ERASE_BATCH	256
#define ERASE_WAIT	8192

/* There may be 65 535 for each container: as small as they are, and charged. */
static struct kmem_cache *iopf_area_cache;

int iopf_area_cache_init(void)
{
	iopf_area_cache = KMEM_CACHE(iopf_area, SLAB_ACCOUNT);
	return iopf_area_cache ? 0 : -ENOMEM;
}

void iopf_area_cache_exit(void)
{
	kmem_cache_destroy(iopf_area_cache);
}

/* The nodes of a large array. The chunks are gone already. */
static void area_free_nodes(struct iopf_area *area)
{
	XA_STATE(xas, &area->chunks, 0);
	unsigned int n = 0;
	void *entry;

	xas_lock(&xas);
	xas_for_each(&xas, entry, ULONG_MAX) {
		xas_store(&xas, NULL);
		if (++n % ERASE_BATCH)
			continue;
		/* Not xas_pause(): the node may be gone. */
		xas_set(&xas, xas.xa_index + 1);
		xas_unlock(&xas);
		cond_resched();
		if (n % ERASE_WAIT == 0)
			synchronize_rcu();
		xas_lock(&xas);
	}
	xas_unlock(&xas);
}

static void area_free_chunks(struct iopf_area *area)
{
	struct iopf_chunk *chunk, *batch[FREE_BATCH];
	XA_STATE(xas, &area->chunks, 0);
	unsigned int n = 0, all = 0;

	rcu_read_lock();
	xas_for_each(&xas, chunk, ULONG_MAX) {
		all++;
		/* A place may have been reserved in vain. */
		if (!xa_is_zero(chunk))
			batch[n++] = chunk;
		if (n < FREE_BATCH)
			continue;
		xas_pause(&xas);
		rcu_read_unlock();
		iopf_chunks_free(batch, n);
		n = 0;
		cond_resched();
		rcu_read_lock();
	}
	rcu_read_unlock();
	if (n)
		iopf_chunks_free(batch, n);
	if (all > ERASE_MIN)
		area_free_nodes(area);
}

static void area_free(struct iopf_area *area)
{
	area_free_chunks(area);
	iopf_spans_free(area);
	xa_destroy(&area->chunks);
	xa_destroy(&area->spans);
	xa_destroy(&area->pins);
	put_task_struct(area->task);
	iopf_mm_put(area->mm);
	kmem_cache_free(iopf_area_cache, area);
}

static void area_free_work(struct work_struct *work)
{
	struct iopf_area *first = container_of(to_rcu_work(work), struct iopf_area, free_work);
	struct iopf_area *area, *next;

	list_for_each_entry_safe(area, next, &first->gone, gone) {
		area_free(area);
		cond_resched();
	}
	area_free(first);
}

/* Have its process tell of changes at its CPU addresses. */
static void area_follow(struct iopf_area *area)
{
	area->cpu.node.start = area->vaddr;
	area->cpu.node.last = area->vaddr + (unsigned long)(area->range.last - area->range.first);
	iopf_mm_add(area->mm, &area->cpu);
}

static void area_unfollow(struct iopf_area *area)
{
	iopf_mm_remove(area->mm, &area->cpu);
}

/**
 * iopf_area_create() - an area of the calling process's memory, not yet published
 * @space: whose
 * @mm: the process, referenced: the area takes the reference over, be it that this fails
 * @range: I/O virtual addresses, checked
 * @vaddr: CPU address, checked
 * @prot: IOMMU_READ, IOMMU_WRITE
 *
 * Context: process context, under the space's lock.
 * Return: the area, in its mm's tree; the caller puts it into the space's tree
 * or destroys it. An error pointer otherwise.
 */
struct iopf_area *iopf_area_create(struct iopf_space *space, struct iopf_mm *mm,
				   const struct iopf_range *range, unsigned long vaddr, int prot)
{
	struct iopf_area *area;

	lockdep_assert_held(&space->lock);

	area = kmem_cache_zalloc(iopf_area_cache, GFP_KERNEL);
	if (!area) {
		iopf_mm_put(mm);
		return ERR_PTR(-ENOMEM);
	}
	area->space = space;
	area->id = ++space->last_area;
	area->mm = mm;
	area->range = *range;
	area->vaddr = vaddr;
	area->prot = prot;
	area->huge_ok = space->huge_ok;
	area->task = get_task_struct(current->group_leader);
	area->lock_cap = capable(CAP_IPC_LOCK);
	/* Without that their nodes are not charged, whatever the flags of a store. */
	xa_init_flags(&area->chunks, XA_FLAGS_ACCOUNT);
	xa_init_flags(&area->spans, XA_FLAGS_ACCOUNT);
	xa_init_flags(&area->pins, XA_FLAGS_ACCOUNT);
	INIT_LIST_HEAD(&area->gone);
	INIT_RCU_WORK(&area->free_work, area_free_work);
	area_follow(area);
	return area;
}

/**
 * iopf_area_next_chunk() - go through the chunks of an area
 * @area: the area, under its space's lock
 * @chunk: the one before; NULL: begin
 * @index: kept for the next call
 *
 * Others get the processor in between.
 *
 * Return: the next chunk, or NULL.
 */
struct iopf_chunk *iopf_area_next_chunk(struct iopf_area *area, const struct iopf_chunk *chunk,
					unsigned long *index)
{
	cond_resched();
	if (chunk)
		return xa_find_after(&area->chunks, index, ULONG_MAX, XA_PRESENT);
	*index = 0;
	return xa_find(&area->chunks, index, ULONG_MAX, XA_PRESENT);
}

/* Nothing is mapped in it from here on. */
static void area_kill(struct iopf_area *area)
{
	struct iopf_chunk *chunk;
	unsigned long index;

	WARN_ON(area->pinned || area->locked);

	xa_lock(&area->chunks);
	area->dead = true;
	xa_unlock(&area->chunks);

	iopf_spans_kill(area);
	chunk = NULL;
	while ((chunk = iopf_area_next_chunk(area, chunk, &index)))
		iopf_chunk_kill(chunk);
}

/**
 * iopf_areas_destroy() - unmap areas for good and free them
 * @areas: of one space, linked by their @gone, out of the space's tree already, with
 *         nothing pinned; empty afterwards
 *
 * Context: process context, under the space's lock.
 */
void iopf_areas_destroy(struct list_head *areas)
{
	struct iopf_area *area, *first;
	struct iopf_space *space;
	bool frozen = false;

	first = list_first_entry_or_null(areas, struct iopf_area, gone);
	if (!first)
		return;
	space = first->space;
	lockdep_assert_held(&space->lock);

	list_for_each_entry(area, areas, gone) {
		frozen |= area->frozen;
		area_kill(area);
		cond_resched();
	}
	iopf_area_forget_vaddr(space);
	list_for_each_entry(area, areas, gone) {
		area_unfollow(area);
		cond_resched();
	}
	/* Nobody can find their chunks, as the space's tree has forgotten the areas. */
	iopf_hint_renew(&space->generation);
	/* Faults that waited for them find that there is no such address. */
	if (frozen)
		iopf_backlog_resume(space->faults);
	/* The first has the others in its list. */
	list_del_init(areas);
	queue_rcu_work(iopf_wq, &first->free_work);
}

/*
 * A chunk has been made, and is about to be published: whether it counts for those who sample the
 * space. Then iopf_watch_unmade() takes it back.
 */
static bool chunk_made(struct iopf_space *space, struct iopf_chunk *chunk)
{
	lockdep_assert_held(&chunk->area->chunks.xa_lock);

	if (!static_branch_unlikely(&iopf_sample_on) || !READ_ONCE(space->sampled))
		return false;
	iopf_watch_new(space->watch, iopf_chunk_block(chunk), &chunk->look);
	return true;
}

static int area_store_chunk(struct iopf_area *area, unsigned long index,
			    struct iopf_chunk **chunk)
{
	const gfp_t gfp = GFP_NOWAIT | __GFP_NOWARN | __GFP_ACCOUNT;
	struct iopf_chunk *other = NULL;
	bool counts;
	int ret;

	lockdep_assert_held(&area->chunks.xa_lock);

	if (area->dead)
		return -ESHUTDOWN;
	(*chunk)->domains = area->space->domains;
	counts = chunk_made(area->space, *chunk);
	ret = __xa_insert(&area->chunks, index, *chunk, gfp);
	if (unlikely(ret == -EBUSY)) {
		other = xa_load(&area->chunks, index);
		/* The place was reserved only. */
		if (!other)
			ret = xa_err(__xa_store(&area->chunks, index, *chunk, gfp));
	}
	if (unlikely(ret) && counts)
		iopf_watch_unmade(area->space->watch, &(*chunk)->look);
	if (likely(!other))
		return ret;
	iopf_chunk_free(*chunk);
	*chunk = other;
	return 0;
}

/**
 * iopf_area_chunk() - the chunk at an address, made if need be
 * @area: the area
 * @iova: an address in it
 * @gfp: how to get memory; without blocking, callable under RCU
 *
 * Return: the chunk, -ENOMEM, or -ESHUTDOWN when the area is being removed.
 */
struct iopf_chunk *iopf_area_chunk(struct iopf_area *area, u64 iova, gfp_t gfp)
{
	unsigned long index = iopf_area_chunk_index(area, iova);
	struct iopf_chunk *chunk;
	struct mem_cgroup *old;
	int ret = 0;

	chunk = xa_load(&area->chunks, index);
	if (likely(chunk))
		return chunk;

	old = set_active_memcg(area->space->memcg);
	chunk = iopf_chunk_alloc(area, iova, gfp);
	if (!chunk)
		ret = -ENOMEM;
	else if (gfpflags_allow_blocking(gfp))
		ret = xa_reserve(&area->chunks, index, gfp);
	if (!ret) {
		xa_lock(&area->chunks);
		ret = area_store_chunk(area, index, &chunk);
		xa_unlock(&area->chunks);
	}
	set_active_memcg(old);
	if (ret && chunk)
		iopf_chunk_free(chunk);
	return ret ? ERR_PTR(ret) : chunk;
}

/*
 * New chunks, of which @stored are in the array already, up to the first place that is taken: how
 * many are now. There may be more when memory is short, see xas_nomem().
 */
static unsigned int area_store_chunks(struct iopf_area *area, struct xa_state *xas,
				      struct iopf_chunk **chunks, unsigned int stored,
				      unsigned int n)
{
	void *there;

	lockdep_assert_held(&area->chunks.xa_lock);

	if (area->dead)
		return stored;
	there = xas_load(xas);
	/* Who may wait for memory reserves a place, see iopf_area_chunk(). */
	while (!there || xa_is_zero(there)) {
		struct iopf_chunk *chunk = chunks[stored];
		bool counts;

		chunk->domains = area->space->domains;
		counts = chunk_made(area->space, chunk);
		xas_store(xas, chunk);
		if (unlikely(xas_error(xas))) {
			if (counts)
				iopf_watch_unmade(area->space->watch, &chunk->look);
			break;
		}
		if (++stored == n)
			break;
		there = xas_next(xas);
	}
	return stored;
}

/**
 * iopf_area_chunks() - the chunks of several 2 MiB in a row, made if need be
 * @area: the area
 * @iova: an address in the first
 * @n: how many; all are in the area
 * @chunks: out
 *
 * For who is going to use them all. Callable under RCU.
 *
 * Return: of how many, from the first one on, there are chunks; less than @n also where some are
 * there and others are not.
 */
unsigned int iopf_area_chunks(struct iopf_area *area, u64 iova, unsigned int n,
			      struct iopf_chunk **chunks)
{
	const gfp_t gfp = GFP_NOWAIT | __GFP_NOWARN | __GFP_ACCOUNT;
	const unsigned long first = iopf_area_chunk_index(area, iova);
	XA_STATE(xas, &area->chunks, first);
	struct mem_cgroup *old;
	unsigned int there = 0;

	while (there < n && (chunks[there] = xa_load(&area->chunks, first + there)))
		there++;
	if (there)
		return there;

	old = set_active_memcg(area->space->memcg);
	if (iopf_chunks_alloc(area, iova, n, chunks, gfp)) {
		do {
			xas_lock(&xas);
			there = area_store_chunks(area, &xas, chunks, there, n);
			xas_unlock(&xas);
		} while (xas_nomem(&xas, gfp));
		if (unlikely(there < n))
			iopf_chunks_free(chunks + there, n - there);
	}
	set_active_memcg(old);
	return there;
}

/**
 * iopf_area_vaddr_begin() - begin to use a CPU address beyond the RCU read-side section
 * @chunk: whose; found under RCU, in the section in which mm and address are read
 * @seen: out
 *
 * The count comes before the look. So if the area is frozen, or unmapped, after this look, whoever
 * populates finds the count changed.
 *
 * Return: whether the area has an address, at which memory may be populated.
 */
bool iopf_area_vaddr_begin(const struct iopf_chunk *chunk, struct iopf_vaddr_seen *seen)
{
	const struct iopf_backlog *faults = chunk->area->space->faults;

	seen->memcg = faults->memcg;
	seen->seq = &faults->vaddr_seq;
	/* Pairs with iopf_area_forget_vaddr(). */
	seen->seen = atomic_read_acquire(seen->seq);
	return !READ_ONCE(chunk->dead) && iopf_area_has_vaddr(chunk->area);
}

/**
 * iopf_area_forget_vaddr() - nobody shall populate at CPU addresses that were taken before this
 * @space: the space; what says that they are not to be taken is said already
 *
 * Those of areas that are neither frozen nor dead are taken anew.
 * Who is in the middle of a page when this returns may still have it, and no more; see
 * iopf_vaddr_changed().
 */
void iopf_area_forget_vaddr(struct iopf_space *space)
{
	/* Pairs with iopf_area_vaddr_begin(). */
	smp_mb__before_atomic();
	atomic_inc(&space->faults->vaddr_seq);
}

/**
 * iopf_area_freeze() - let devices map nothing more
 * @area: the area
 *
 * Their faults wait. What is mapped stays. Before mm and vaddr may change, the caller waits
 * for a grace period.
 *
 * Context: process context, under the space's lock.
 */
void iopf_area_freeze(struct iopf_area *area)
{
	lockdep_assert_held(&area->space->lock);

	WRITE_ONCE(area->frozen, true);
	/* A chunk that is made after this meets a frozen area; the others are in the array. */
	xa_lock(&area->chunks);
	xa_unlock(&area->chunks);
}

/**
 * iopf_area_thaw() - let devices go on
 * @area: frozen
 *
 * Context: process context, under the space's lock.
 */
void iopf_area_thaw(struct iopf_area *area)
{
	lockdep_assert_held(&area->space->lock);

	/* The address before the permission to use it. Pairs with chunk_fault_locked(). */
	smp_store_release(&area->frozen, false);
	iopf_backlog_resume(area->space->faults);
}

/**
 * iopf_area_rebase() - give an area another CPU address, maybe in another process
 * @area: frozen for a grace period
 * @mm: the process; the area takes over the caller's reference
 * @vaddr: where the area is there
 *
 * What is mapped without a pin is unmapped; what is pinned stays as it is.
 *
 * Context: process context, under the space's lock.
 */
void iopf_area_rebase(struct iopf_area *area, struct iopf_mm *mm, unsigned long vaddr)
{
	struct iopf_range left = area->range;
	struct iopf_mm *old = area->mm;
	unsigned int zapped = 0;

	lockdep_assert_held(&area->space->lock);
	WARN_ON(!area->frozen);

	/* While the old mm still tells of its changes. */
	while (iopf_area_zap_some(area, &left, &zapped))
		cond_resched();
	area_unfollow(area);
	area->mm = mm;
	area->vaddr = vaddr;
	area_follow(area);
	iopf_mm_put(old);
}

/**
 * iopf_area_set_domains() - move the chunks of an area to another set of domains
 * @area: the area
 * @domains: the set, already the space's
 * @added: a domain that is new in it, or NULL
 *
 * Context: process context, under the space's lock.
 * Return: 0, or a negative error number when pinned pages could not be mapped in
 * @added: the caller goes back to the old set.
 */
int iopf_area_set_domains(struct iopf_area *area, const struct iopf_domains *domains,
			  struct iommu_domain *added)
{
	struct iopf_chunk *chunk;
	unsigned long index;
	int ret = 0;

	iopf_spans_move(area, domains);
	/* Chunks made with the old set are in the array from here on. */
	xa_lock(&area->chunks);
	xa_unlock(&area->chunks);

	chunk = NULL;
	while ((chunk = iopf_area_next_chunk(area, chunk, &index))) {
		iopf_chunk_move(chunk, domains, added);
		if (added && !ret)
			ret = iopf_chunk_replay(chunk, added);
	}
	return ret;
}
