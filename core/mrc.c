// SPDX-License-Identifier: GPL-2.0-only
/*
 * Miss-ratio curves. See mrc.h for the method and its limits.
 */
#include "mrc.h"

#include "chunkmap.h"

/* Returns the number of a block. A new block gets a number. */
static u32 block_number(struct iopf_mrc *m, u64 name)
{
	u32 slot = iopf_sample_hash(name) * 2654435761U & (m->slots - 1);

	for (; m->table[slot]; slot = (slot + 1) & (m->slots - 1))
		if (m->block[m->table[slot] - 1].name == name)
			return m->table[slot] - 1;
	m->block[m->blocks].name = name;
	m->table[slot] = ++m->blocks;
	return m->blocks - 1;
}

static u32 or_else(u32 known, u32 otherwise)
{
	return known ? known : otherwise;
}

static void forget_blocks(const struct iopf_mrc *m)
{
	for (u32 i = 0; i < m->blocks; i++)
		m->block[i].block = (struct iopf_block){ };
}

/*
 * Sets the pages and faults of each use. An event says which pages were mapped at the sampling
 * before it, that is, which pages the previous event of the block had mapped. So the pages of a use
 * come from the next event of its block. If there is no next event, or if no page was mapped then,
 * they come from an earlier sampling. If nothing is known about a block, take the average of the
 * others.
 */
static void fill_in(struct iopf_mrc *m)
{
	u64 pages = 0, faults = 0, known = 0;
	u32 mean_pages, mean_faults;

	for (u32 i = 0; i < m->uses; i++) {
		if (m->use[i].pages && m->use[i].faults) {
			pages += m->use[i].pages;
			faults += m->use[i].faults;
			known++;
		}
	}
	mean_pages = known ? (pages + known / 2) / known : IOPF_CHUNK_PAGES;
	mean_faults = known ? (faults + known / 2) / known : 1;
	/* A block first holds the values of its previous use, and then those of its next use. */
	forget_blocks(m);
	for (u32 i = 0; i < m->uses; i++) {
		struct iopf_mrc_use *use = &m->use[i];
		struct iopf_block *last = &m->block[use->block].block;

		use->pages = or_else(use->pages, last->pages);
		use->faults = or_else(use->faults, last->refaults);
		last->pages = use->pages;
		last->refaults = use->faults;
	}
	forget_blocks(m);
	for (u32 i = m->uses; i--;) {
		struct iopf_mrc_use *use = &m->use[i], own = *use;
		struct iopf_block *next = &m->block[use->block].block;

		use->pages = or_else(or_else(next->pages, own.pages), mean_pages);
		use->faults = or_else(or_else(next->refaults, own.faults), mean_faults);
		next->pages = or_else(own.pages, next->pages);
		next->refaults = or_else(own.faults, next->refaults);
	}
}

/**
 * iopf_mrc_begin() - read the header of a log
 * @m: out: @threshold, @time, @all, @watched
 * @head: the header at the end of sampling
 *
 * The threshold gives the right number of watched blocks only on average. The actual number is
 * better, if it is plausible. It is implausible if it is off by more than four standard deviations.
 * This happens if addresses are mapped and unmapped all the time, since blocks are then counted
 * repeatedly.
 */
void iopf_mrc_begin(struct iopf_mrc *m, const struct iopf_sample_header *head)
{
	u64 expected = (head->all * head->threshold + IOPF_SAMPLE_ALL / 2) / IOPF_SAMPLE_ALL;
	u64 off = max_t(u64, expected, head->blocks) - min_t(u64, expected, head->blocks);

	m->threshold = head->threshold;
	m->time = head->time;
	m->all = IOPF_SAMPLE_ALL;
	m->watched = head->threshold;
	if (head->threshold < IOPF_SAMPLE_ALL && head->blocks && off * off <= 16 * expected) {
		m->all = head->all;
		m->watched = head->blocks;
	}
}

/**
 * iopf_mrc_load() - prepare a log
 * @m: after iopf_mrc_begin(), with memory, @slots and @pinned; the table is all zero
 * @event: the log, in the order of time
 * @n: number of events
 */
void iopf_mrc_load(struct iopf_mrc *m, const struct iopf_sample_event *event, u32 n)
{
	m->uses = 0;
	m->blocks = 0;
	for (u32 i = 0; i < n; i++) {
		if (!iopf_sample_stands(event[i].block, m->threshold))
			continue;
		m->use[m->uses++] = (struct iopf_mrc_use){
			.time = event[i].time,
			.block = block_number(m, event[i].block),
			.pages = min(event[i].pages, (u16)IOPF_CHUNK_PAGES),
			.faults = event[i].faults,
			.first = event[i].flags & IOPF_SAMPLE_FIRST,
		};
	}
	fill_in(m);
}

/* Scales a number from the watched blocks to all blocks. */
static u64 scale(const struct iopf_mrc *m, u64 n)
{
	return (n * m->all + m->watched / 2) / m->watched;
}

/**
 * iopf_mrc_footprint() - number of all pages that are used
 * @m: the log
 *
 * With this limit there are no refaults.
 */
u64 iopf_mrc_footprint(const struct iopf_mrc *m)
{
	u64 pages = 0;

	forget_blocks(m);
	for (u32 i = 0; i < m->uses; i++) {
		u32 *most = &m->block[m->use[i].block].block.pages;

		*most = max_t(u32, *most, m->use[i].pages);
	}
	for (u32 i = 0; i < m->blocks; i++)
		pages += m->block[i].block.pages;
	return scale(m, pages) + m->pinned;
}

static void evict(struct iopf_budget *b, struct iopf_block *victim, u64 now,
		  struct iopf_mrc_point *point)
{
	struct iopf_mrc_block *block = container_of(victim, struct iopf_mrc_block, block);

	point->evicted++;
	point->stayed += now - block->since;
	iopf_budget_settle(b, victim, 0, 0, IOPF_SETTLE_EVICTED, now);
}

/* Evicts blocks until there is room for @pages. Returns false if eviction cannot make room. */
static bool make_room(struct iopf_budget *b, u64 pages, u64 *now, struct iopf_mrc_point *point)
{
	while (!iopf_budget_reserve(b, pages, true)) {
		struct iopf_block *victim = iopf_budget_victim(b, *now);

		if (!victim && b->limits.min_residency) {
			/* The device waits until a block may be evicted. */
			*now += b->limits.min_residency;
			victim = iopf_budget_victim(b, *now);
		}
		if (!victim)
			return false;
		evict(b, victim, *now, point);
	}
	iopf_budget_unreserve(b, pages);
	return true;
}

/* Evicts as the module does in the background. */
static void reclaim(struct iopf_budget *b, u64 now, struct iopf_mrc_point *point)
{
	struct iopf_block *block;

	while (iopf_budget_excess(b) && (block = iopf_budget_victim(b, now)))
		evict(b, block, now, point);
	if (b->limits.aging_interval == IOPF_BUDGET_NONE)
		return;
	while ((block = iopf_budget_expired(b, now)))
		iopf_budget_settle(b, block, 0, 0, IOPF_SETTLE_AGED, now);
}

/* Simulates one use. The time for which the device waits delays all later uses too. */
static void use_block(struct iopf_mrc *m, struct iopf_budget *b, const struct iopf_mrc_use *use,
		      u64 *now, struct iopf_mrc_point *point)
{
	struct iopf_block *block = &m->block[use->block].block;
	bool mapped = block->pages;

	if (!mapped) {
		u32 pages = min_t(u64, scale(m, use->pages), U32_MAX);

		if (make_room(b, pages, now, point))
			iopf_budget_settle(b, block, pages, 0, IOPF_SETTLE_MISSED, *now);
		else
			point->stuck += use->faults;
		m->block[use->block].since = *now;
	}
	if (use->first)
		point->always += use->faults;
	else if (!mapped)
		point->faults += use->faults;
	point->missed += use->first || !mapped;
	reclaim(b, *now, point);
}

/**
 * iopf_mrc_run() - the number of faults at a limit
 * @m: the log, with at least one use
 * @limits: the limits; times in microseconds
 * @epoch: longest epoch of the policy, in microseconds
 * @point: out
 */
void iopf_mrc_run(struct iopf_mrc *m, const struct iopf_limits *limits, u64 epoch,
		  struct iopf_mrc_point *point)
{
	struct iopf_block pinned = { };
	struct iopf_budget b;
	u64 late = 0;

	iopf_budget_init(&b, 0, epoch);
	iopf_budget_limit(&b, limits, 0);
	forget_blocks(m);
	iopf_budget_settle(&b, &pinned, m->pinned, m->pinned, IOPF_SETTLE_LOST, 0);
	for (unsigned int time = 0; time < 2; time++) {
		*point = (struct iopf_mrc_point){ };
		for (u32 i = 0; i < m->uses; i++) {
			u64 due = m->use[i].time + time * m->time, now = due + late;

			use_block(m, &b, &m->use[i], &now, point);
			late = now - due;
		}
	}
	point->faults = scale(m, point->faults);
	point->always = scale(m, point->always);
	point->missed = scale(m, point->missed);
	point->stuck = scale(m, point->stuck);
}
