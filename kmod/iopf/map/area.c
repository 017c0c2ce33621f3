// SPDX-License-Identifier: GPL-2.0-only
/*
 * Areas: the ranges that user space has mapped for DMA.
 *
 * Faults find an area by its IOVA, under RCU. The notifier finds it by its CPU address, under its
 * mm's lock. An area is published last and withdrawn first:
 *
 *   create: fill it in; put it into the mm's tree; put it into the space's tree
 *   destroy: take it out of the space's tree; mark it dead; kill its chunks; take it out of the
 *             mm's tree; free it, its chunks and its spans after a grace period
 *
 * Once the area is out of the space's tree, new faults find no address. Faults that found the area
 * before find dead chunks. When iopf_areas_destroy() returns, nothing is mapped. Areas that are
 * destroyed together share the grace period.
 *
 * notifier vs destroy, rebase: a notifier goes through an area under its mm's lock. When another
 * task wants the processor, the notifier marks the area as visited and drops that lock. A visited
 * area stays in the mm's tree, so a worker can continue with it (host/mm.c). Code that takes the
 * area out of the tree waits for the worker. The worker meanwhile waits for nothing but the
 * processor.
 *
 * In a frozen area no new page may be mapped. Faults in it wait until it thaws. An area is frozen
 * while its CPU address changes (VFIO_DMA_UNMAP_FLAG_VADDR freezes, VFIO_DMA_MAP_FLAG_VADDR thaws),
 * and for the last report of dirty pages before an unmap. Faults read @frozen under the chunk's
 * lock and RCU. Code that freezes waits for both. After that no fault uses the old address.
 *
 * A chunk is made on the first touch and stays until its area is freed. Code that makes a chunk
 * reads the space's current set of domains under the lock of @chunks. Code that changes the set
 * takes the same lock before it moves the chunks. So each chunk is either made with the new set or
 * moved to it.
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

/* Number of chunks that are freed at a time. */
#define FREE_BATCH	64

/*
 * If an array has more than ERASE_MIN chunks, its entries are erased one by one. After each
 * ERASE_BATCH entries other tasks get the processor. After each ERASE_WAIT entries the worker waits
 * for a grace period, since RCU may free any number of nodes in a row.
 */
#define ERASE_MIN	8192
#define ERASE_BATCH	256
#define ERASE_WAIT	8192

/* A container may have 65 535 areas. This cache keeps them small, and charges them. */
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

/* Free the nodes of a large array. The chunks are freed already. */
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
		/* Not xas_pause(): the node may be freed. */
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
		/* A zero entry is a reserved place that was not used. */
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

/* Put the area into the tree of its mm. From here on the notifier reports changes of its memory. */
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
 * iopf_area_create() - make an area of the calling process's memory, without publishing it
 * @space: the address space, locked
 * @mm: the process; the area takes over the caller's reference, even on failure
 * @range: I/O virtual addresses, checked
 * @vaddr: CPU address, checked
 * @prot: IOMMU_READ, IOMMU_WRITE
 *
 * Context: process context, under the space's lock.
 * Return: the area, which is in its mm's tree. The caller puts it into the space's tree or destroys
 * it. Otherwise an error pointer.
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
	/* Without this flag the nodes are not charged, whatever the flags of a store. */
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
 * @chunk: the previous chunk; NULL for the first call
 * @index: kept for the next call
 *
 * Other tasks may get the processor in each call.
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

/* Mark an area dead and unmap it. Nothing is mapped in it from here on. */
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
 * @areas: areas of one space, linked by @gone. They are out of the space's tree already, and
 *         nothing in them is pinned. The list is empty afterwards.
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
	/* The areas are out of the space's tree, so no fault can find their chunks any more. */
	iopf_hint_renew(&space->generation);
	/* Faults that waited for a frozen area find no address now. */
	if (frozen)
		iopf_backlog_resume(space->faults);
	/* The first area has the others in its list. */
	list_del_init(areas);
	queue_rcu_work(iopf_wq, &first->free_work);
}

/*
 * Tell the sampler of a chunk that is about to be published. Returns whether the sampler counts it.
 * If the chunk is not stored after all, the caller calls iopf_watch_unmade().
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
		/* The place was reserved, but not used. */
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
 * iopf_area_chunk() - find the chunk at an address, or make it
 * @area: the area
 * @iova: an address in it
 * @gfp: how to get memory. If it does not block, this may be called under RCU.
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
 * Store new chunks, of which @stored are in the array already, up to the first place that is taken.
 * Returns how many are in the array then. On a lack of memory the caller may call again, see
 * xas_nomem().
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
	/* A caller that may wait for memory reserves a place, see iopf_area_chunk(). */
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
 * iopf_area_chunks() - find the chunks of several 2 MiB in a row, or make them
 * @area: the area
 * @iova: an address in the first
 * @n: number of chunks; all are in the area
 * @chunks: out
 *
 * For a caller that is going to use all of them. Callable under RCU.
 *
 * Return: the number of chunks in @chunks. It may be less than @n: for lack of memory, or when some
 * of the chunks exist already and others do not.
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
 * @chunk: the chunk, found under RCU; the caller reads mm and address in the same section
 * @seen: out
 *
 * This function reads the count, then looks at the area. If the area is frozen or unmapped after
 * that look, the code that populates finds the count changed.
 *
 * Return: whether the area has an address at which memory may be populated.
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
 * iopf_area_forget_vaddr() - stop populating at CPU addresses that were read before this call
 * @space: the space; its frozen and dead areas are marked already
 *
 * The addresses of areas that are neither frozen nor dead may be read anew. Code that is populating
 * a page when this returns may complete that page, but no other; see iopf_vaddr_changed().
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
 * Later faults in the area wait. Pages that are mapped stay mapped. Before the caller changes the
 * area's mm or vaddr, it waits for a grace period of RCU.
 *
 * Context: process context, under the space's lock.
 */
void iopf_area_freeze(struct iopf_area *area)
{
	lockdep_assert_held(&area->space->lock);

	WRITE_ONCE(area->frozen, true);
	/* A chunk that is made after this is made in a frozen area. The others are in the array. */
	xa_lock(&area->chunks);
	xa_unlock(&area->chunks);
}

/**
 * iopf_area_thaw() - let devices map again
 * @area: frozen
 *
 * Context: process context, under the space's lock.
 */
void iopf_area_thaw(struct iopf_area *area)
{
	lockdep_assert_held(&area->space->lock);

	/* Orders the new address before the permission to use it. Pairs with chunk_may_map(). */
	smp_store_release(&area->frozen, false);
	iopf_backlog_resume(area->space->faults);
}

/**
 * iopf_area_rebase() - give an area another CPU address, maybe in another process
 * @area: frozen for a grace period
 * @mm: the process; the area takes over the caller's reference
 * @vaddr: where the area is in @mm
 *
 * Pages that are not pinned are unmapped. Pinned pages stay mapped.
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

	/* Unmap while the notifier of the old mm still reports changes. */
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
 * @domains: the set; the space has it already
 * @added: the new domain in it, or NULL
 *
 * Context: process context, under the space's lock.
 * Return: 0, or a negative error number when pinned pages could not be mapped in @added. The caller
 * then goes back to the old set.
 */
int iopf_area_set_domains(struct iopf_area *area, const struct iopf_domains *domains,
			  struct iommu_domain *added)
{
	struct iopf_chunk *chunk;
	unsigned long index;
	int ret = 0;

	iopf_spans_move(area, domains);
	/* From here on each chunk that was made with the old set is in the array. */
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
