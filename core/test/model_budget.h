/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The model of a budget: an array of blocks, each with the moment of its placement, and for each
 * fault whether it is in progress. The model computes sums, orders and distances anew at each use.
 * A program of operations runs on budget and model. Both are compared after each operation.
 *
 * The program keeps the caller's side of the contract: it reserves pages before it maps them, and
 * evicts only blocks that the budget chose. It may unmap any block for another reason. The model
 * cannot predict when the budget notices that faults are answered, so it asks the budget. The
 * budget may notice this late, but not early. If no fault is in progress, it must notice it.
 *
 * The includer defines CHECK().
 */
#ifndef IOPF_CORE_TEST_MODEL_BUDGET_H
#define IOPF_CORE_TEST_MODEL_BUDGET_H

#include "../budget.h"
#include "input.h"

#define BLOCKS		12
#define BLOCK_PAGES	32U
#define FAULTS		4
#define EPOCH_TICKS	40

struct block_model {
	enum iopf_generation gen;
	u64 placed;	/* moment of the last placement; no two are the same */
	u64 since;
	u64 gone_at;	/* number of pages evicted before its eviction */
	u32 pages;
	u32 pinned;
	u32 refaults;
	bool remembered;
	bool back;
	bool locked;
	bool unanswered[FAULTS];
};

struct budget_model {
	struct block_model block[BLOCKS];
	bool fault[FAULTS];
	u64 moment;
	u64 evicted;
	u64 aged;
	u64 refaults;
	u64 epoch;
	u64 came;
	u64 returned;
	bool thrashing;
	u64 thrash_events;
	/* The maximum was lowered below the mapped pages, and still is. */
	bool beyond;
};

struct budget_pair {
	struct iopf_budget b;
	struct iopf_block block[BLOCKS];
	unsigned int turn[FAULTS];
	struct budget_model m;
	u64 now;
};

static inline u64 model_sum(const struct budget_pair *p, enum iopf_generation gen)
{
	u64 sum = 0;

	for (unsigned int i = 0; i < BLOCKS; i++)
		if (p->m.block[i].gen == gen)
			sum += p->m.block[i].pages - p->m.block[i].pinned;
	return sum;
}

static inline u64 model_pinned(const struct budget_pair *p)
{
	u64 sum = 0;

	for (unsigned int i = 0; i < BLOCKS; i++)
		sum += p->m.block[i].pinned;
	return sum;
}

static inline u64 model_mapped(const struct budget_pair *p)
{
	u64 sum = 0;

	for (unsigned int i = 0; i < BLOCKS; i++)
		sum += p->m.block[i].pages;
	return sum;
}

static inline u64 model_soft(const struct budget_pair *p)
{
	u64 high = p->b.limits.high, max = p->b.limits.max;

	return high < max ? high : max;
}

/* Compares the list of a generation with the order in which the model placed its blocks. */
static inline void budget_compare_list(const struct budget_pair *p, enum iopf_generation gen)
{
	const struct list_head *head = &p->b.list[gen], *at = head;
	u64 last = U64_MAX, since = U64_MAX, blocks = 0;

	while ((at = at->next) != head) {
		const struct iopf_block *block = container_of(at, struct iopf_block, node);
		const struct block_model *m = &p->m.block[block - p->block];

		CHECK(at->next->prev == at);
		CHECK(m->gen == gen && block->gen == gen);
		if (gen != IOPF_GEN_UNEVICTABLE) {
			CHECK(m->placed < last);
			CHECK(m->since <= since);
			last = m->placed;
			since = m->since;
		}
		blocks++;
	}
	CHECK(blocks == p->b.blocks[gen]);
	for (unsigned int i = 0; i < BLOCKS; i++)
		blocks -= p->m.block[i].gen == gen;
	CHECK(!blocks);
}

static inline void budget_compare(const struct budget_pair *p)
{
	const struct budget_model *m = &p->m;
	const struct iopf_budget *b = &p->b;

	CHECK(iopf_budget_mapped(b) == model_mapped(p));
	CHECK(b->pinned == model_pinned(p));
	CHECK(!b->reserved && !b->pages[IOPF_GEN_NONE] && !b->blocks[IOPF_GEN_NONE]);
	CHECK(iopf_budget_mapped(b) <= b->limits.max || m->beyond);
	CHECK(b->pinned <= b->limits.pinned_max);
	CHECK(b->limits.max - b->pinned >= IOPF_BUDGET_MIN);
	for (unsigned int gen = IOPF_GEN_INACTIVE; gen < IOPF_GEN_NR; gen++) {
		CHECK(b->pages[gen] == model_sum(p, gen));
		budget_compare_list(p, gen);
	}
	for (unsigned int i = 0; i < BLOCKS; i++) {
		const struct iopf_block *block = &p->block[i];
		const struct block_model *bm = &m->block[i];

		CHECK(block->gen == bm->gen && block->pages == bm->pages);
		CHECK(block->pinned == bm->pinned && block->locked == bm->locked);
		CHECK(block->refaults == bm->refaults && block->back == bm->back);
		CHECK(block->remembered == bm->remembered);
		CHECK((bm->gen == IOPF_GEN_NONE) == !bm->pages);
		CHECK((bm->gen == IOPF_GEN_UNEVICTABLE) ==
		      (bm->pages && (bm->locked || bm->pages == bm->pinned)));
	}
	CHECK(b->evicted == m->evicted && b->clock == m->evicted && b->aged == m->aged);
	CHECK(b->refaults == m->refaults);
	CHECK(b->came == m->came && b->returned == m->returned && b->epoch == m->epoch);
	CHECK(b->thrashing == m->thrashing && b->thrash_events == m->thrash_events);
}

static inline void model_tick(struct budget_pair *p)
{
	struct budget_model *m = &p->m;
	u64 soft = model_soft(p);
	bool was = m->thrashing;

	if (m->came < soft && p->now - m->epoch < EPOCH_TICKS)
		return;
	/* The thresholds are fractions of the mapped pages, rounded as in the budget. */
	m->thrashing = soft != IOPF_BUDGET_NONE && m->came >= soft / 8 &&
		       m->returned >= m->came / (was ? 4 : 2);
	if (m->thrashing && !was)
		m->thrash_events++;
	m->epoch = p->now;
	m->came = 0;
	m->returned = 0;
}

/* Notes that a block has no page that can be evicted. Returns whether its generation changes. */
static inline bool model_leave(struct budget_model *m, struct block_model *bm, bool could,
			       enum iopf_settle why)
{
	enum iopf_generation gen = bm->pages ? IOPF_GEN_UNEVICTABLE : IOPF_GEN_NONE;
	bool moved = bm->gen != gen;

	bm->gen = gen;
	if (could) {
		bm->remembered = why == IOPF_SETTLE_EVICTED || why == IOPF_SETTLE_AGED;
		bm->gone_at = m->evicted;
		bm->back = false;
	}
	return moved;
}

/* Notes that a block gets its first page that can be evicted. */
static inline void model_arrive(struct budget_model *m, struct block_model *bm, u64 mapped)
{
	bm->back = bm->remembered && m->evicted - bm->gone_at <= mapped;
	bm->remembered = false;
	bm->gen = bm->back ? IOPF_GEN_ACTIVE : IOPF_GEN_INACTIVE;
	bm->refaults = bm->back ? bm->refaults + 1 : bm->refaults / 2;
	if (bm->refaults > 15)
		bm->refaults = 15;
	m->refaults += bm->back;
}

static inline void model_settle(struct budget_pair *p, unsigned int i, u32 pages, u32 pinned,
				enum iopf_settle why)
{
	struct budget_model *m = &p->m;
	struct block_model *bm = &m->block[i];
	bool could = bm->gen == IOPF_GEN_INACTIVE || bm->gen == IOPF_GEN_ACTIVE, can;
	u64 mapped = model_mapped(p);
	u32 before = bm->pages;
	bool moved = false;

	if (pages == bm->pages && pinned == bm->pinned && (why != IOPF_SETTLE_MISSED || !pages))
		return;
	if (why == IOPF_SETTLE_EVICTED)
		m->evicted += before - pages;
	if (why == IOPF_SETTLE_AGED)
		m->aged += before - pages;
	bm->pages = pages;
	bm->pinned = pinned;
	can = pages > pinned && !bm->locked;
	if (!can) {
		moved = model_leave(m, bm, could, why);
	} else if (!could) {
		model_arrive(m, bm, mapped);
		moved = true;
	}
	if (why == IOPF_SETTLE_MISSED) {
		m->came += pages - before;
		m->returned += bm->back ? pages - before : 0;
		for (unsigned int f = 0; f < FAULTS; f++)
			bm->unanswered[f] = m->fault[f];
		moved = true;
	}
	if (moved) {
		bm->placed = ++m->moment;
		bm->since = p->now;
	}
	if (why == IOPF_SETTLE_MISSED)
		model_tick(p);
}

/* Settles the same change in the budget and in the model. */
static inline void budget_settle(struct budget_pair *p, unsigned int i, u32 pages, u32 pinned,
				 enum iopf_settle why)
{
	iopf_budget_settle(&p->b, &p->block[i], pages, pinned, why, p->now);
	model_settle(p, i, pages, pinned, why);
	if (model_mapped(p) <= p->b.limits.max)
		p->m.beyond = false;
}

/*
 * Whether a block may be evicted. Asks the budget whether it has noticed that the faults of the
 * block are answered. The block is the model's, which may be one operation ahead of the budget's.
 */
static inline bool model_may_evict(struct budget_pair *p, unsigned int i)
{
	const struct block_model *bm = &p->m.block[i];
	bool may = (bm->gen == IOPF_GEN_INACTIVE || bm->gen == IOPF_GEN_ACTIVE) &&
		   p->now - bm->since >= p->b.limits.min_residency;
	struct iopf_block block = p->block[i];
	bool said, under_way = false;

	block.gen = bm->gen;
	block.since = bm->since;
	said = iopf_budget_may_evict(&p->b, &block, p->now);
	CHECK(!said || may);
	for (unsigned int f = 0; f < FAULTS; f++) {
		CHECK(!said || !bm->unanswered[f]);
		under_way |= p->m.fault[f];
	}
	CHECK(said == may || under_way);
	return said;
}

/* Returns the block that was placed first in a generation; BLOCKS: there is none. */
static inline unsigned int model_oldest(const struct budget_pair *p, enum iopf_generation gen)
{
	unsigned int oldest = BLOCKS;

	for (unsigned int i = 0; i < BLOCKS; i++)
		if (p->m.block[i].gen == gen &&
		    (oldest == BLOCKS || p->m.block[i].placed < p->m.block[oldest].placed))
			oldest = i;
	return oldest;
}

static inline unsigned int model_victim(struct budget_pair *p)
{
	unsigned int i;

	for (;;) {
		u64 new = model_sum(p, IOPF_GEN_INACTIVE), used = model_sum(p, IOPF_GEN_ACTIVE);

		i = model_oldest(p, IOPF_GEN_ACTIVE);
		if (i == BLOCKS || new > (new + used) / 4 || !model_may_evict(p, i))
			break;
		p->m.block[i].gen = IOPF_GEN_INACTIVE;
		p->m.block[i].placed = ++p->m.moment;
		p->m.block[i].since = p->now;
	}
	i = model_oldest(p, IOPF_GEN_INACTIVE);
	if (i < BLOCKS && model_may_evict(p, i))
		return i;
	i = model_oldest(p, IOPF_GEN_ACTIVE);
	return i < BLOCKS && model_may_evict(p, i) ? i : BLOCKS;
}

static inline unsigned int model_expired(struct budget_pair *p)
{
	for (enum iopf_generation gen = IOPF_GEN_INACTIVE; gen <= IOPF_GEN_ACTIVE; gen++) {
		unsigned int i = model_oldest(p, gen);

		if (i < BLOCKS && p->now - p->m.block[i].since >= p->b.limits.aging_interval &&
		    model_may_evict(p, i))
			return i;
	}
	return BLOCKS;
}

static inline bool budget_evict(struct budget_pair *p, bool expired)
{
	struct iopf_block *got;
	unsigned int i;

	/* The model runs first: it asks the budget about each block, and the answers stay valid. */
	i = expired ? model_expired(p) : model_victim(p);
	got = expired ? iopf_budget_expired(&p->b, p->now) : iopf_budget_victim(&p->b, p->now);
	CHECK(got == (i < BLOCKS ? &p->block[i] : NULL));
	if (!got)
		return false;
	CHECK(got->pages > got->pinned && !got->locked);
	budget_settle(p, i, got->pinned, got->pinned,
		      expired ? IOPF_SETTLE_AGED : IOPF_SETTLE_EVICTED);
	return true;
}

static inline void budget_do_miss(struct budget_pair *p, unsigned int i, u32 want, u32 less,
				  bool must)
{
	u64 limit = must ? p->b.limits.max : model_soft(p);
	struct block_model *bm = &p->m.block[i];
	bool room;

	want = min(want, BLOCK_PAGES - bm->pages);
	room = model_mapped(p) <= limit && want <= limit - model_mapped(p);
	CHECK(iopf_budget_reserve(&p->b, want, must) == room);
	if (!room)
		return;
	CHECK(p->b.reserved == want);
	iopf_budget_unreserve(&p->b, want);
	budget_settle(p, i, bm->pages + want - min(want, less), bm->pinned, IOPF_SETTLE_MISSED);
}

static inline void budget_do_pin(struct budget_pair *p, unsigned int i, u32 pin, u32 map)
{
	struct block_model *bm = &p->m.block[i];
	u64 all;
	int ret;

	map = min(map, BLOCK_PAGES - bm->pages);
	pin = min(pin, bm->pages + map - bm->pinned);
	map = min(map, pin);
	all = model_pinned(p) + pin;
	ret = iopf_budget_reserve_pinned(&p->b, pin, map);
	if (all > p->b.limits.pinned_max || all + IOPF_BUDGET_MIN > p->b.limits.max)
		CHECK(ret == -ENOMEM);
	else
		CHECK(ret == (model_mapped(p) + map > p->b.limits.max ? -EAGAIN : 0));
	if (ret)
		return;
	CHECK(p->b.reserved == map);
	iopf_budget_unreserve(&p->b, map);
	budget_settle(p, i, bm->pages + map, bm->pinned + pin, IOPF_SETTLE_LOST);
}

static inline void budget_do_lock(struct budget_pair *p, unsigned int i)
{
	struct block_model *bm = &p->m.block[i];

	if (bm->locked) {
		iopf_budget_unlock(&p->b, &p->block[i], p->now);
		bm->locked = false;
		if (bm->pages > bm->pinned) {
			bm->gen = IOPF_GEN_ACTIVE;
			bm->placed = ++p->m.moment;
			bm->since = p->now;
		}
	} else {
		iopf_budget_lock(&p->b, &p->block[i]);
		bm->locked = true;
		if (bm->pages)
			bm->gen = IOPF_GEN_UNEVICTABLE;
	}
}

static inline void budget_do_spare(struct budget_pair *p, unsigned int i)
{
	struct block_model *bm = &p->m.block[i];

	if (bm->gen != IOPF_GEN_INACTIVE && bm->gen != IOPF_GEN_ACTIVE)
		return;
	iopf_budget_spare(&p->b, &p->block[i], p->now);
	bm->placed = ++p->m.moment;
	bm->since = p->now;
}

static inline void budget_do_limit(struct budget_pair *p, u8 high, u8 max, u8 pinned, u8 ticks)
{
	struct iopf_limits limits = {
		.high = high ? high + 32ULL : IOPF_BUDGET_NONE,
		.max = max ? max + 32ULL : IOPF_BUDGET_NONE,
		.pinned_high = IOPF_BUDGET_NONE,
		.pinned_max = pinned ? pinned - 1ULL : IOPF_BUDGET_NONE,
		.aging_interval = ticks & 0xf0 ? ticks >> 4 : IOPF_BUDGET_NONE,
		.min_residency = ticks & 7,
	};
	int ret = iopf_budget_check(&p->b, &limits);
	u64 held = model_pinned(p);

	if (limits.high < IOPF_BUDGET_MIN || limits.max < IOPF_BUDGET_MIN)
		CHECK(ret == -EINVAL);
	else if (held + IOPF_BUDGET_MIN > limits.max || held > limits.pinned_max)
		CHECK(ret == -EBUSY);
	else
		CHECK(!ret);
	if (ret)
		return;
	iopf_budget_limit(&p->b, &limits, p->now);
	p->m.epoch = p->now;
	p->m.came = 0;
	p->m.returned = 0;
	p->m.thrashing &= model_soft(p) != IOPF_BUDGET_NONE;
	p->m.beyond = model_mapped(p) > limits.max;
}

/* Evicts what should be evicted in the background until nothing is left. */
static inline void budget_do_background(struct budget_pair *p)
{
	u64 soft = model_soft(p), slack = soft / 16 < 1024 ? soft / 16 : 1024;

	if (soft == IOPF_BUDGET_NONE || model_mapped(p) <= soft - slack)
		CHECK(!iopf_budget_excess(&p->b));
	else
		CHECK(iopf_budget_excess(&p->b) == model_mapped(p) - soft + 2 * slack);
	while (iopf_budget_excess(&p->b) && budget_evict(p, false))
		budget_compare(p);
}

static inline void budget_do_fault(struct budget_pair *p, unsigned int f)
{
	if (!p->m.fault[f]) {
		p->turn[f] = iopf_budget_enter(&p->b);
		p->m.fault[f] = true;
		return;
	}
	iopf_budget_leave(&p->b, p->turn[f]);
	p->m.fault[f] = false;
	for (unsigned int i = 0; i < BLOCKS; i++)
		p->m.block[i].unanswered[f] = false;
}

static inline void budget_do_forget(struct budget_pair *p, unsigned int i)
{
	iopf_budget_forget(&p->b, &p->block[i]);
	p->m.block[i] = (struct block_model){ };
	if (model_mapped(p) <= p->b.limits.max)
		p->m.beyond = false;
}

/* Operations that a program uses less often. */
static inline void budget_do_rare(struct budget_pair *p, u8 op, u8 i, u8 n)
{
	if (op & 0x80) {
		iopf_budget_tick(&p->b, p->now);
		model_tick(p);
	} else if (op & 0x40) {
		budget_do_forget(p, i);
	} else if (n & 1) {
		budget_do_spare(p, i);
	} else {
		budget_do_background(p);
	}
}

static inline void budget_step(struct budget_pair *p, struct input *in)
{
	u8 op = input_u8(in), i = input_u8(in) % BLOCKS, n = input_u8(in) % (BLOCK_PAGES + 1);
	struct block_model *bm = &p->m.block[i];

	switch (op % 16) {
	default:
		budget_do_miss(p, i, n, op & 0x40 ? 0 : input_u8(in) % 8, !(op & 0x80));
		break;
	case 8:
		/* Unpins the pinned pages first. */
		n = min_t(u32, n, bm->pages - bm->pinned);
		budget_settle(p, i, bm->pages - n, bm->pinned,
			      op & 0x80 ? IOPF_SETTLE_LOST : IOPF_SETTLE_AGED);
		break;
	case 9:
		if (op & 0x80)
			budget_do_pin(p, i, n, input_u8(in) % (BLOCK_PAGES + 1));
		else
			budget_settle(p, i, bm->pages - bm->pinned, 0, IOPF_SETTLE_LOST);
		break;
	case 10:
		budget_evict(p, op & 0x80);
		break;
	case 11:
		p->now += n % 8;
		break;
	case 12:
		budget_do_fault(p, i % FAULTS);
		break;
	case 13:
		if (op & 0x80)
			budget_do_lock(p, i);
		else
			budget_do_background(p);
		break;
	case 14:
		budget_do_rare(p, op, i, n);
		break;
	case 15:
		if ((op & 0xc0) == 0xc0)
			budget_do_limit(p, input_u8(in), input_u8(in), input_u8(in), input_u8(in));
		break;
	}
}

/* Runs a program. @refaults and @thrashed say which situations it reached. */
static inline void budget_run(const u8 *data, size_t size, u64 *refaults, u64 *thrashed)
{
	struct input in = { data, size };
	struct budget_pair p = { };

	iopf_budget_init(&p.b, p.now, EPOCH_TICKS);
	while (in.left) {
		budget_step(&p, &in);
		budget_compare(&p);
	}
	*refaults += p.m.refaults;
	*thrashed += p.m.thrash_events;
}

#endif /* IOPF_CORE_TEST_MODEL_BUDGET_H */
