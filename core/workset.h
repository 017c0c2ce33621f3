/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Working sets: the mapped pages and their heat, as a string of bytes.
 *
 * All numbers are little endian. A varint has 7 bits a byte, the lowest first. Bit 7 is set in all
 * bytes but the last. The last byte is not zero, unless it is the only one.
 *
 *   header    "iopf", version 1, page shift 12, chunk shift 21, 0,
 *             u32 number of records, u32 bytes of all records
 *   record    u8      bits 0-3 heat, bits 4-5 form, bit 6 devices may write, bit 7 is 0
 *             varint  number of chunks skipped since the last record (or address 0)
 *             form 0: nothing; every page
 *             form 1: varint number of runs; two varints for each run: pages skipped since the last
 *                     run (or page 0), number of pages minus one. Runs do not touch.
 *             form 2: 64 bytes, a bit for each page, not all zero
 *
 * Invariants of a valid working set: records ascend, and no chunk has two records; no record is
 * empty; no page lies beyond the end of a 64-bit address space; no byte is left over. The writer
 * chooses the shortest form. The reader accepts any form, and checks everything, since user space
 * may have written the bytes.
 *
 * Locking: the caller's.
 *
 * Vocabulary: a chunk number is an I/O virtual address divided by the size of a chunk.
 */
#ifndef IOPF_CORE_WORKSET_H
#define IOPF_CORE_WORKSET_H

#include "chunkmap.h"

#define IOPF_WORKSET_HEADER	16U
/* A record after a gap of up to 2^56 bytes takes at most 70 bytes; the largest gap, two more. */
#define IOPF_WORKSET_RECORD	72U

/* Chunk numbers are below this. */
#define IOPF_WORKSET_CHUNKS	(1ULL << (64 - IOPF_CHUNK_SHIFT))

enum iopf_workset_form {
	IOPF_WORKSET_FULL,
	IOPF_WORKSET_RUNS,
	IOPF_WORKSET_BITS,
};

#define IOPF_WORKSET_BITS_BYTES	(IOPF_CHUNK_PAGES / 8)

/**
 * struct iopf_workset_chunk - a chunk of a working set
 * @nr: chunk number
 * @heat: at most IOPF_HEAT_MAX
 * @write: devices may write
 * @pages: the pages
 */
struct iopf_workset_chunk {
	u64 nr;
	unsigned int heat;
	bool write;
	DECLARE_BITMAP(pages, IOPF_CHUNK_PAGES);
};

/* Writing */

static inline unsigned int iopf_workset_put_varint(u8 *out, u64 value)
{
	unsigned int n = 0;

	for (; value > 0x7f; value >>= 7)
		out[n++] = value | 0x80;
	out[n++] = value;
	return n;
}

static inline void iopf_workset_put_u32(u8 *out, u32 value)
{
	for (unsigned int i = 0; i < 4; i++)
		out[i] = value >> (8 * i);
}

/**
 * iopf_workset_put_header() - write the header of a working set
 * @out: room for IOPF_WORKSET_HEADER bytes
 * @records: number of records that follow
 * @bytes: their size
 */
static inline void iopf_workset_put_header(u8 *out, u32 records, u32 bytes)
{
	static const u8 head[] = { 'i', 'o', 'p', 'f', 1, PAGE_SHIFT, IOPF_CHUNK_SHIFT, 0 };

	memcpy(out, head, sizeof(head));
	iopf_workset_put_u32(out + 8, records);
	iopf_workset_put_u32(out + 12, bytes);
}

/* Writes the runs. Returns 0 if they take more bytes than the bitmap. */
static inline unsigned int iopf_workset_put_runs(u8 *out, const unsigned long *pages)
{
	u8 runs[IOPF_WORKSET_BITS_BYTES + 4];
	unsigned int at = 0, nr = 0, page = 0, n;

	for (;; nr++) {
		unsigned int first = find_next_bit(pages, IOPF_CHUNK_PAGES, page), end;

		if (first >= IOPF_CHUNK_PAGES)
			break;
		end = find_next_zero_bit(pages, IOPF_CHUNK_PAGES, first);
		at += iopf_workset_put_varint(runs + at, first - page);
		at += iopf_workset_put_varint(runs + at, end - first - 1);
		if (at >= IOPF_WORKSET_BITS_BYTES)
			return 0;
		page = end;
	}
	n = iopf_workset_put_varint(out, nr);
	memcpy(out + n, runs, at);
	return n + at;
}

static inline void iopf_workset_put_bits(u8 *out, const unsigned long *pages)
{
	for (unsigned int i = 0; i < IOPF_WORKSET_BITS_BYTES; i++)
		out[i] = pages[8 * i / BITS_PER_LONG] >> (8 * i % BITS_PER_LONG);
}

/**
 * iopf_workset_put() - write a record
 * @out: room for IOPF_WORKSET_RECORD bytes
 * @next: the chunk number after the last chunk written; 0 for the first
 * @chunk: not before @next, not empty
 *
 * Return: bytes of the record.
 */
static inline unsigned int iopf_workset_put(u8 *out, u64 next,
					    const struct iopf_workset_chunk *chunk)
{
	unsigned int n = 1 + iopf_workset_put_varint(out + 1, chunk->nr - next), body = 0;
	enum iopf_workset_form form = IOPF_WORKSET_FULL;

	if (!bitmap_full(chunk->pages, IOPF_CHUNK_PAGES)) {
		form = IOPF_WORKSET_RUNS;
		body = iopf_workset_put_runs(out + n, chunk->pages);
		if (!body) {
			form = IOPF_WORKSET_BITS;
			iopf_workset_put_bits(out + n, chunk->pages);
			body = IOPF_WORKSET_BITS_BYTES;
		}
	}
	out[0] = chunk->heat | form << 4 | chunk->write << 6;
	return n + body;
}

/* Reading */

/**
 * struct iopf_workset_reader - the rest of a working set
 * @at: the next byte
 * @left: number of bytes
 * @records: number of records
 * @next: the chunk number after the last chunk
 */
struct iopf_workset_reader {
	const u8 *at;
	size_t left;
	u32 records;
	u64 next;
};

static inline bool iopf_workset_get_u8(struct iopf_workset_reader *r, u8 *value)
{
	if (!r->left)
		return false;
	*value = *r->at++;
	r->left--;
	return true;
}

/* Reads a number below @limit, which is at most 2^56. */
static inline bool iopf_workset_get_varint(struct iopf_workset_reader *r, u64 limit, u64 *value)
{
	u8 byte;

	*value = 0;
	for (unsigned int shift = 0; shift < 56; shift += 7) {
		if (!iopf_workset_get_u8(r, &byte))
			return false;
		*value |= (u64)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return (byte || !shift) && *value < limit;
	}
	return false;
}

static inline u32 iopf_workset_get_u32(const u8 *in)
{
	return in[0] | in[1] << 8 | in[2] << 16 | (u32)in[3] << 24;
}

/**
 * iopf_workset_open() - start to read a working set
 * @r: the reader
 * @data: the bytes, which must stay
 * @size: number of bytes
 *
 * Return: whether the header is valid.
 */
static inline bool iopf_workset_open(struct iopf_workset_reader *r, const u8 *data, size_t size)
{
	u8 head[IOPF_WORKSET_HEADER];

	if (size < IOPF_WORKSET_HEADER)
		return false;
	r->at = data + IOPF_WORKSET_HEADER;
	r->left = size - IOPF_WORKSET_HEADER;
	r->records = iopf_workset_get_u32(data + 8);
	r->next = 0;
	iopf_workset_put_header(head, r->records, r->left);
	return size <= U32_MAX && !memcmp(head, data, sizeof(head));
}

static inline bool iopf_workset_get_runs(struct iopf_workset_reader *r, unsigned long *pages)
{
	u64 nr, skip, less, page = 0;

	/* There is a page between two runs. */
	if (!iopf_workset_get_varint(r, IOPF_CHUNK_PAGES / 2 + 1, &nr) || !nr)
		return false;
	for (u64 i = 0; i < nr; i++) {
		if (!iopf_workset_get_varint(r, IOPF_CHUNK_PAGES - page, &skip) || (i && !skip))
			return false;
		page += skip;
		if (!iopf_workset_get_varint(r, IOPF_CHUNK_PAGES - page, &less))
			return false;
		bitmap_set(pages, page, less + 1);
		page += less + 1;
	}
	return true;
}

static inline bool iopf_workset_get_bits(struct iopf_workset_reader *r, unsigned long *pages)
{
	u8 byte;

	for (unsigned int i = 0; i < IOPF_WORKSET_BITS_BYTES; i++) {
		if (!iopf_workset_get_u8(r, &byte))
			return false;
		pages[8 * i / BITS_PER_LONG] |= (unsigned long)byte << (8 * i % BITS_PER_LONG);
	}
	return !bitmap_empty(pages, IOPF_CHUNK_PAGES);
}

/**
 * iopf_workset_get() - read a record
 * @r: the reader
 * @chunk: out
 *
 * Return: 1: a record; 0: the end; -EINVAL: the working set is damaged.
 */
static inline int iopf_workset_get(struct iopf_workset_reader *r, struct iopf_workset_chunk *chunk)
{
	bool good = false;
	u64 skip;
	u8 head;

	if (!r->records)
		return r->left ? -EINVAL : 0;
	if (!iopf_workset_get_u8(r, &head) || head & 0x80 ||
	    !iopf_workset_get_varint(r, IOPF_WORKSET_CHUNKS - r->next, &skip))
		return -EINVAL;
	chunk->nr = r->next + skip;
	chunk->heat = head & 15;
	chunk->write = head & 0x40;
	bitmap_zero(chunk->pages, IOPF_CHUNK_PAGES);
	switch ((head >> 4) & 3) {
	case IOPF_WORKSET_FULL:
		bitmap_set(chunk->pages, 0, IOPF_CHUNK_PAGES);
		good = true;
		break;
	case IOPF_WORKSET_RUNS:
		good = iopf_workset_get_runs(r, chunk->pages);
		break;
	case IOPF_WORKSET_BITS:
		good = iopf_workset_get_bits(r, chunk->pages);
		break;
	}
	if (!good)
		return -EINVAL;
	r->records--;
	r->next = chunk->nr + 1;
	return 1;
}

/* By heat */

/**
 * struct iopf_workset_walk - a walk through a working set, the hottest chunks first
 * @data: the bytes
 * @size: number of bytes
 * @heats: a bit for each heat that follows the present one
 * @heat: the present heat
 * @reader: position in @data
 */
struct iopf_workset_walk {
	const u8 *data;
	size_t size;
	u32 heats;
	unsigned int heat;
	struct iopf_workset_reader reader;
};

/**
 * iopf_workset_walk_init() - check a whole working set, and start a walk
 * @w: the walk
 * @data: the bytes, which must stay unchanged
 * @size: number of bytes
 * @pages: out: number of pages
 *
 * Return: 0, -EINVAL or -EINTR.
 */
static inline int iopf_workset_walk_init(struct iopf_workset_walk *w, const u8 *data, size_t size,
					 u64 *pages)
{
	struct iopf_workset_chunk chunk;
	int ret;

	*w = (struct iopf_workset_walk){ .data = data, .size = size };
	*pages = 0;
	if (!iopf_workset_open(&w->reader, data, size))
		return -EINVAL;
	while ((ret = iopf_workset_get(&w->reader, &chunk)) > 0) {
		w->heats |= 1U << chunk.heat;
		*pages += bitmap_weight(chunk.pages, IOPF_CHUNK_PAGES);
		/* There may be millions of records. */
		if (iopf_core_killed())
			return -EINTR;
		cond_resched();
	}
	return ret;
}

/**
 * iopf_workset_walk_next() - read a record
 * @w: the walk, whose working set is valid
 * @chunk: out
 *
 * The walk skips each chunk once for each other heat in the set. To skip a chunk is cheap compared
 * with populating it. But there may be many, so the caller decides whether to continue.
 *
 * Return: 1: the next chunk; -EAGAIN: a skipped chunk, call again; 0: the end.
 */
static inline int iopf_workset_walk_next(struct iopf_workset_walk *w,
					 struct iopf_workset_chunk *chunk)
{
	if (iopf_workset_get(&w->reader, chunk) > 0)
		return chunk->heat == w->heat ? 1 : -EAGAIN;
	/* The chunks of a heat end, or the walk begins. */
	if (!w->heats)
		return 0;
	for (w->heat = IOPF_HEAT_MAX; !(w->heats >> w->heat & 1); w->heat--)
		;
	w->heats &= ~(1U << w->heat);
	return iopf_workset_open(&w->reader, w->data, w->size) ? -EAGAIN : 0;
}

#endif /* IOPF_CORE_WORKSET_H */
