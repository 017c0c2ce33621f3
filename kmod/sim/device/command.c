// SPDX-License-Identifier: GPL-2.0-only
/*
 * Commands of a device.
 *
 * Purpose: execute one command of the programming interface (see include/uapi/linux/iopf_sim.h)
 * page by page, and send page requests for missing translations.
 *
 * Invariants:
 *  - Data is accessed only between iopf_sim_access_begin() and iopf_sim_access_end().
 *  - When a command ends, none of its page request groups is outstanding. The exception is a group
 *    that the command abandoned because of a reset, a disable or a removal.
 *  - The command comes from user space. Every field is checked before use. An address may wrap;
 *    then its translation is missing.
 *
 * Locking: none of its own; an engine has one command at a time.
 *
 * Vocabulary: a piece is the part of an access that lies in one page (with COPY: in one page on
 * both sides). A stream is a sequence of accesses with one base; a copy has two streams.
 */
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/sched.h>

#include "device.h"

/* Number of pieces that the device searches for pages of the next group. */
#define LOOKAHEAD_PIECES	4096

/* After this number of misses of one access, the device waits a tick before each request. */
#define IMPATIENT	8

/* A place in a command: byte @off of access @i. */
struct place {
	u64 i;
	u32 off;
};

enum stream {
	DST,	/* at cmd.iova */
	SRC,	/* at cmd.src */
};

static u64 access_offset(const struct iopf_sim_cmd *cmd, u64 i)
{
	switch (cmd->order) {
	case IOPF_SIM_ORDER_SEQUENTIAL:
		return i * cmd->size;
	case IOPF_SIM_ORDER_STRIDED:
		return i * cmd->stride;
	default:
		return iopf_sim_slot(cmd->order_seed, i, cmd->slots) * cmd->stride;
	}
}

static u64 place_iova(const struct iopf_sim_cmd *cmd, enum stream stream, struct place at)
{
	return (stream == SRC ? cmd->src : cmd->iova) + access_offset(cmd, at.i) + at.off;
}

static u32 page_left(u64 iova)
{
	return PAGE_SIZE - offset_in_page(iova);
}

static struct place advance(const struct iopf_sim_cmd *cmd, struct place at, u32 len)
{
	at.off += len;
	if (at.off == cmd->size) {
		at.off = 0;
		at.i++;
	}
	return at;
}

static bool valid(const struct iopf_sim_cmd *cmd)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(cmd->reserved); i++)
		if (cmd->reserved[i])
			return false;
	if (cmd->flags & ~(IOPF_SIM_F_RETRY_NEVER | IOPF_SIM_F_READ_FIRST | IOPF_SIM_F_NO_FAULT))
		return false;
	if (cmd->opcode > IOPF_SIM_OP_REQUEST || cmd->order > IOPF_SIM_ORDER_RANDOM)
		return false;
	if (cmd->opcode == IOPF_SIM_OP_NOP || cmd->opcode == IOPF_SIM_OP_STOP_MARKER)
		return true;
	if ((cmd->iova | cmd->src | cmd->origin | cmd->size) & 7)
		return false;
	if (!cmd->size || cmd->size > IOPF_SIM_MAX_ACCESS)
		return false;
	if (cmd->order != IOPF_SIM_ORDER_SEQUENTIAL && cmd->stride & 7)
		return false;
	if (cmd->order == IOPF_SIM_ORDER_RANDOM && !cmd->slots)
		return false;
	return cmd->prg_pages <= IOPF_SIM_MAX_PRG_PAGES && cmd->prg_depth <= IOPF_SIM_MAX_PRG;
}

/* Page requests */

static struct iopf_sim_sent *find_sent(struct iopf_sim_engine *e, u64 page)
{
	u32 i, j;

	for (i = 0; i < e->nr_sent; i++)
		for (j = 0; j < e->sent[i].nr; j++)
			if (e->sent[i].page[j] == page)
				return &e->sent[i];
	return NULL;
}

static u32 group_size(struct iopf_sim_engine *e)
{
	if (e->cmd.prg_pages <= 1)
		return 1;
	return min_t(u32, e->cmd.prg_pages, iopf_sim_prg_limit(e));
}

static u32 group_depth(struct iopf_sim_engine *e)
{
	return max_t(u32, e->cmd.prg_depth, 1);
}

static u32 wanted_perm(struct iopf_sim_engine *e, u64 page, bool write)
{
	if (!write)
		return IOMMU_FAULT_PERM_READ;
	if (e->cmd.flags & IOPF_SIM_F_READ_FIRST && !iopf_sim_translates(e->bank, page, false))
		return IOMMU_FAULT_PERM_READ;
	return IOMMU_FAULT_PERM_WRITE;
}

/* Returns the next place in another page. Skips all accesses to the same page if sequential. */
static struct place next_page(const struct iopf_sim_cmd *cmd, enum stream stream, struct place at)
{
	u32 left = page_left(place_iova(cmd, stream, at));
	u64 linear;

	if (cmd->order != IOPF_SIM_ORDER_SEQUENTIAL)
		return advance(cmd, at, min(left, cmd->size - at.off));
	linear = at.i * cmd->size + at.off + left;
	at.i = linear / cmd->size;
	at.off = linear % cmd->size;
	return at;
}

static bool in_list(const u64 *list, u32 nr, u64 page)
{
	while (nr--)
		if (list[nr] == page)
			return true;
	return false;
}

/*
 * Adds pages from @at on that will miss to @list, which has @nr pages. Returns the new number. @at
 * is the end of the search.
 */
static u32 look_ahead(struct iopf_sim_engine *e, enum stream stream, struct place *at, bool write,
		      u64 *list, u32 nr, u32 max, u32 *budget)
{
	const struct iopf_sim_cmd *cmd = &e->cmd;
	u64 page;

	while (nr < max && at->i < cmd->count && *budget) {
		page = place_iova(cmd, stream, *at) & PAGE_MASK;
		if (!in_list(list, nr, page) && !find_sent(e, page) &&
		    !iopf_sim_translates(e->bank, page, write))
			list[nr++] = page;
		*at = next_page(cmd, stream, *at);
		(*budget)--;
	}
	return nr;
}

/*
 * Sends the group for the page at @at. Unless @alone, also sends groups for the following pages, as
 * many as allowed.
 */
static int request(struct iopf_sim_engine *e, enum stream stream, struct place at, bool write,
		   bool alone)
{
	u32 size = alone ? 1 : group_size(e), depth = alone ? 1 : group_depth(e);
	u32 budget = LOOKAHEAD_PIECES;
	u64 *list = e->list;
	bool first = true;
	u32 perm, nr;
	int st;

	iopf_sim_prg_reap(e);
	while (e->nr_sent >= depth)
		iopf_sim_prg_wait(e, &e->sent[0]);

	list[0] = place_iova(&e->cmd, stream, at) & PAGE_MASK;
	perm = wanted_perm(e, list[0], write);
	nr = 1;
	if (size > 1 || depth > 1)
		at = next_page(&e->cmd, stream, at);
	for (;;) {
		if (size > 1)
			nr = look_ahead(e, stream, &at, write, list, nr, size, &budget);
		while ((st = iopf_sim_prg_send(e, list, nr, perm)) == -EAGAIN) {
			/* The following pages can wait. */
			if (!first)
				return 0;
			if (e->nr_sent) {
				iopf_sim_prg_wait(e, &e->sent[0]);
				continue;
			}
			st = iopf_sim_prg_back_off(e);
			if (st)
				return st;
		}
		first = false;
		if (st || e->nr_sent >= depth)
			return st;
		nr = look_ahead(e, stream, &at, write, list, 0, 1, &budget);
		if (!nr)
			return 0;
	}
}

/* Handles a missing translation at @at. Returns 0 if the access should be retried. */
static int fault(struct iopf_sim_engine *e, enum stream stream, struct place at, bool write,
		 bool alone)
{
	u64 page = place_iova(&e->cmd, stream, at) & PAGE_MASK;
	struct iopf_sim_sent *sent;
	u64 start;
	int st;

	if (e->cmd.flags & IOPF_SIM_F_NO_FAULT)
		return IOPF_SIM_ST_UNTRANSLATED;

	start = ktime_get_ns();
	sent = find_sent(e, page);
	if (!sent) {
		st = request(e, stream, at, write, alone);
		/* A later group may have failed, but this page may have its group. */
		sent = find_sent(e, page);
		if (!sent)
			return st;
	}
	st = iopf_sim_prg_wait(e, sent);
	e->cpl.wait_ns += ktime_get_ns() - start;
	return st;
}

/*
 * Translates the piece at @at, and sends page requests if needed. Returns 0 with the translation
 * held, or a status.
 */
static int begin(struct iopf_sim_engine *e, enum stream stream, struct place at, bool write,
		 struct iopf_sim_access *access)
{
	u64 iova = place_iova(&e->cmd, stream, at);
	bool upgrade, retry;
	u32 misses = 0;
	int st;

	for (;;) {
		st = iopf_sim_access_begin(e->bank, e->epoch, iova, write, access);
		if (likely(st != IOPF_SIM_ST_UNTRANSLATED))
			return st;
		/* The second fault of a write that first asked for reading is not a retry. */
		upgrade = write && e->cmd.flags & IOPF_SIM_F_READ_FIRST && misses == 1 &&
			  iopf_sim_translates(e->bank, iova, false);
		retry = misses && !upgrade;
		if (retry) {
			e->cpl.retries++;
			if (e->cmd.flags & IOPF_SIM_F_RETRY_NEVER ||
			    misses > READ_ONCE(e->dev->knobs.retry_limit))
				return IOPF_SIM_ST_RETRIES;
		}
		/* A retry asks for this page only, so that its cause shows. */
		st = fault(e, stream, at, write, retry);
		if (st)
			return st;
		if (unlikely(++misses > IMPATIENT))
			schedule_timeout_idle(1);
		cond_resched();
	}
}

/* Operations on memory whose translation is held. */

static void put_pattern(u64 *to, u32 len, u64 seed, u64 offset)
{
	u32 i;

	for (i = 0; i < len; i += 8)
		WRITE_ONCE(*to++, iopf_sim_word(seed, offset + i));
}

static u64 compare_pattern(const u64 *from, u32 len, u64 seed, u64 offset, u32 *first)
{
	u64 bad = 0;
	u32 i;

	for (i = 0; i < len; i += 8) {
		if (likely(READ_ONCE(*from++) == iopf_sim_word(seed, offset + i)))
			continue;
		if (!bad++)
			*first = i;
	}
	return bad;
}

static u64 sum_words(const u64 *from, u32 len)
{
	u64 sum = 0;

	for (; len; len -= 8)
		sum += READ_ONCE(*from++);
	return sum;
}

static void copy_words(u64 *to, const u64 *from, u32 len)
{
	for (; len; len -= 8)
		WRITE_ONCE(*to++, READ_ONCE(*from++));
}

static int do_copy(struct iopf_sim_engine *e, struct place at, u32 len, u64 *where)
{
	struct iopf_sim_access access;
	int st;

	*where = place_iova(&e->cmd, SRC, at);
	st = begin(e, SRC, at, false, &access);
	if (st)
		return st;
	copy_words(e->bounce, access.va, len);
	iopf_sim_access_end(e->bank, &access);
	atomic64_add(len, &e->dev->counters.bytes_read);

	*where = place_iova(&e->cmd, DST, at);
	st = begin(e, DST, at, true, &access);
	if (st)
		return st;
	copy_words(access.va, e->bounce, len);
	iopf_sim_access_end(e->bank, &access);
	atomic64_add(len, &e->dev->counters.bytes_written);
	return 0;
}

/* Executes the command on one piece. On failure *@where is the address that failed. */
static int do_piece(struct iopf_sim_engine *e, struct place at, u32 len, u64 *where)
{
	const struct iopf_sim_cmd *cmd = &e->cmd;
	bool write = cmd->opcode == IOPF_SIM_OP_WRITE;
	struct iopf_sim_access access;
	u64 iova, bad = 0, sum = 0;
	u32 first = 0;
	int st;

	if (cmd->opcode == IOPF_SIM_OP_COPY)
		return do_copy(e, at, len, where);

	iova = place_iova(cmd, DST, at);
	*where = iova;
	st = begin(e, DST, at, write, &access);
	if (st)
		return st;
	switch (cmd->opcode) {
	case IOPF_SIM_OP_WRITE:
		put_pattern(access.va, len, cmd->seed, iova - cmd->origin);
		break;
	case IOPF_SIM_OP_VERIFY:
		bad = compare_pattern(access.va, len, cmd->seed, iova - cmd->origin, &first);
		break;
	default:
		sum = sum_words(access.va, len);
	}
	iopf_sim_access_end(e->bank, &access);

	atomic64_add(len, write ? &e->dev->counters.bytes_written : &e->dev->counters.bytes_read);
	if (cmd->opcode == IOPF_SIM_OP_CHECKSUM)
		e->cpl.result += sum;
	else
		e->sink += sum;
	if (unlikely(bad)) {
		/* The command continues, to count all words. It gets its status at its end. */
		if (!e->cpl.mismatches)
			e->cpl.result = iova + first;
		e->cpl.mismatches += bad;
	}
	return 0;
}

static u32 piece_len(const struct iopf_sim_cmd *cmd, struct place at)
{
	u32 len = min(cmd->size - at.off, page_left(place_iova(cmd, DST, at)));

	if (cmd->opcode == IOPF_SIM_OP_COPY)
		len = min(len, page_left(place_iova(cmd, SRC, at)));
	return len;
}

static int do_accesses(struct iopf_sim_engine *e)
{
	const struct iopf_sim_cmd *cmd = &e->cmd;
	struct place at = {};
	u64 where = 0;
	u32 len;
	int st;

	while (at.i < cmd->count) {
		len = piece_len(cmd, at);
		st = do_piece(e, at, len, &where);
		if (unlikely(st)) {
			e->cpl.result = where;
			return st;
		}
		e->cpl.bytes += len;
		at = advance(cmd, at, len);
		cond_resched();
	}
	return e->cpl.mismatches ? IOPF_SIM_ST_MISMATCH : 0;
}

/* Takes the response of one group. @st keeps the first failure. */
static void collect(struct iopf_sim_engine *e, int *st)
{
	u64 page = e->sent[0].page[0];
	int ret = iopf_sim_prg_wait(e, &e->sent[0]);

	if (ret && !*st) {
		*st = ret;
		e->cpl.result = page;
	}
}

/* Sends page requests for every page of the accesses, translated or not. */
static int do_requests(struct iopf_sim_engine *e)
{
	const struct iopf_sim_cmd *cmd = &e->cmd;
	u32 perm = cmd->flags & IOPF_SIM_F_READ_FIRST ? IOMMU_FAULT_PERM_READ :
							IOMMU_FAULT_PERM_WRITE;
	u32 size = group_size(e), depth = group_depth(e);
	u64 *list = e->list;
	struct place at = {};
	int ret, st = 0;
	u32 nr;

	while (at.i < cmd->count && !st) {
		for (nr = 0; nr < size && at.i < cmd->count; at = next_page(cmd, DST, at))
			list[nr++] = place_iova(cmd, DST, at) & PAGE_MASK;
		while (e->nr_sent >= depth)
			collect(e, &st);
		while ((ret = iopf_sim_prg_send(e, list, nr, perm)) == -EAGAIN) {
			ret = e->nr_sent ? 0 : iopf_sim_prg_back_off(e);
			if (ret)
				break;
			if (e->nr_sent)
				collect(e, &st);
		}
		if (ret && !st) {
			st = ret;
			e->cpl.result = list[0];
		}
		cond_resched();
	}
	while (e->nr_sent)
		collect(e, &st);
	return st;
}

/**
 * iopf_sim_command_run() - execute the current command
 * @e: the engine. On return, @e->cpl is complete but for ns and phase.
 */
void iopf_sim_command_run(struct iopf_sim_engine *e)
{
	int st;

	e->cpl.cookie = e->cmd.cookie;
	e->cpl.engine = e->index;
	atomic64_inc(&e->dev->counters.commands);

	if (!valid(&e->cmd)) {
		e->cpl.status = IOPF_SIM_ST_BAD_COMMAND;
		return;
	}
	switch (e->cmd.opcode) {
	case IOPF_SIM_OP_NOP:
		st = 0;
		break;
	case IOPF_SIM_OP_STOP_MARKER:
		st = iopf_sim_prg_stop_marker(e, e->cmd.pasid);
		break;
	case IOPF_SIM_OP_REQUEST:
		st = do_requests(e);
		break;
	default:
		st = do_accesses(e);
	}
	iopf_sim_prg_release(e);
	e->cpl.status = st;
}
