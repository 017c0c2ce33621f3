/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The model of a working set: an array of chunks, and a separate reader that follows the
 * description of the format byte by byte and shares no code with the code under test.
 *
 * Both must read any string of bytes in the same way, or both must refuse it. An accepted set that
 * is written again must read the same. The walk must return all of it, the hottest first.
 *
 * The includer defines CHECK().
 */
#ifndef IOPF_CORE_TEST_MODEL_WORKSET_H
#define IOPF_CORE_TEST_MODEL_WORKSET_H

#include "../workset.h"

#define MODEL_CHUNKS	1024

struct model_chunk {
	u64 nr;
	unsigned int heat;
	bool write;
	bool page[IOPF_CHUNK_PAGES];
};

struct model_set {
	unsigned int nr;
	struct model_chunk chunk[MODEL_CHUNKS];
};

/* Reads one varint from *@at, below @limit. */
static inline bool model_varint(const u8 *data, size_t size, size_t *at, u64 limit, u64 *value)
{
	unsigned __int128 sum = 0;
	unsigned int n = 0;

	do {
		if (*at == size || n == 8)
			return false;
		sum += (unsigned __int128)(data[*at] & 0x7f) << (7 * n++);
	} while (data[(*at)++] >= 0x80);
	*value = sum;
	/* A number has only one form. */
	return sum < limit && (n == 1 || sum >> (7 * (n - 1)));
}

static inline bool model_pages(const u8 *data, size_t size, size_t *at, unsigned int form,
			       bool *page)
{
	u64 runs, skip, less, next = 0;
	bool any = false;

	memset(page, form == 0, IOPF_CHUNK_PAGES);
	switch (form) {
	case 0:
		return true;
	case 1:
		if (!model_varint(data, size, at, U64_MAX, &runs))
			return false;
		for (u64 run = 0; run < runs; run++) {
			if (!model_varint(data, size, at, U64_MAX, &skip) ||
			    !model_varint(data, size, at, U64_MAX, &less) || (run && !skip) ||
			    skip >= IOPF_CHUNK_PAGES || less >= IOPF_CHUNK_PAGES ||
			    next + skip + less >= IOPF_CHUNK_PAGES)
				return false;
			for (u64 i = 0; i <= less; i++)
				page[next + skip + i] = true;
			next += skip + less + 1;
		}
		return runs;
	case 2:
		if (size - *at < 64)
			return false;
		for (unsigned int i = 0; i < IOPF_CHUNK_PAGES; i++) {
			page[i] = data[*at + i / 8] >> (i % 8) & 1;
			any |= page[i];
		}
		*at += 64;
		return any;
	}
	return false;
}

/* Returns whether the bytes are a working set, and reads it. MODEL_CHUNKS is the caller's limit. */
static inline bool model_read(struct model_set *set, const u8 *data, size_t size)
{
	static const u8 head[8] = { 'i', 'o', 'p', 'f', 1, 12, 21, 0 };
	u64 next = 0, skip, records = 0, bytes = 0;
	size_t at = 16;

	set->nr = 0;
	if (size < 16 || memcmp(data, head, 8))
		return false;
	for (unsigned int i = 4; i--;) {
		records = records << 8 | data[8 + i];
		bytes = bytes << 8 | data[12 + i];
	}
	if (bytes != size - 16)
		return false;
	while (set->nr < records) {
		struct model_chunk *c = &set->chunk[set->nr];
		u8 byte;

		if (at == size)
			return false;
		CHECK(set->nr < MODEL_CHUNKS);
		byte = data[at++];
		if (byte & 0x80 || !model_varint(data, size, &at, U64_MAX, &skip) ||
		    skip >= (1ULL << 43) || next + skip >= (1ULL << 43))
			return false;
		c->nr = next + skip;
		c->heat = byte & 15;
		c->write = byte & 0x40;
		if (!model_pages(data, size, &at, byte >> 4 & 3, c->page))
			return false;
		next = c->nr + 1;
		set->nr++;
	}
	return at == size;
}

static inline void model_same(const struct model_chunk *c, const struct iopf_workset_chunk *chunk)
{
	CHECK(chunk->nr == c->nr);
	CHECK(chunk->heat == c->heat);
	CHECK(chunk->write == c->write);
	for (unsigned int i = 0; i < IOPF_CHUNK_PAGES; i++)
		CHECK(test_bit(i, chunk->pages) == c->page[i]);
}

/* Returns the bytes of the shortest record of the chunk. */
static inline unsigned int model_record_size(const struct model_chunk *c, u64 next)
{
	unsigned int body = 1, runs = 0, skip = 0, run = 0, full = 0, n = 2;

	for (u64 left = c->nr - next; left > 0x7f; left >>= 7)
		n++;
	for (unsigned int i = 0; i <= IOPF_CHUNK_PAGES; i++) {
		bool set = i < IOPF_CHUNK_PAGES && c->page[i];

		full += set;
		if (!set && run) {
			body += 1 + (skip > 128) + 1 + (run > 128);
			runs++;
			skip = 0;
			run = 0;
		}
		run += set;
		/* skip is one more than the number of pages skipped. */
		skip += set ? !skip : !skip + 1;
	}
	if (full == IOPF_CHUNK_PAGES)
		return n;
	return n + min(body + (runs > 127), 64U);
}

/* Writes the set again: it must read the same, and each record must be the shortest. */
static inline void model_rewrite(const struct model_set *set)
{
	static u8 out[IOPF_WORKSET_HEADER + MODEL_CHUNKS * IOPF_WORKSET_RECORD];
	static struct model_set again;
	size_t size = IOPF_WORKSET_HEADER;
	u64 next = 0;

	for (unsigned int i = 0; i < set->nr; i++) {
		const struct model_chunk *c = &set->chunk[i];
		struct iopf_workset_chunk chunk = {
			.nr = c->nr, .heat = c->heat, .write = c->write,
		};
		unsigned int n;

		for (unsigned int page = 0; page < IOPF_CHUNK_PAGES; page++)
			if (c->page[page])
				bitmap_set(chunk.pages, page, 1);
		n = iopf_workset_put(out + size, next, &chunk);
		CHECK(n <= IOPF_WORKSET_RECORD);
		CHECK(n <= 70 || c->nr - next >= 1ULL << 35);
		size += n;
		next = c->nr + 1;
	}
	iopf_workset_put_header(out, set->nr, size - IOPF_WORKSET_HEADER);
	CHECK(model_read(&again, out, size));
	CHECK(again.nr == set->nr);
	for (unsigned int i = 0; i < set->nr; i++) {
		CHECK(again.chunk[i].nr == set->chunk[i].nr);
		CHECK(again.chunk[i].heat == set->chunk[i].heat);
		CHECK(again.chunk[i].write == set->chunk[i].write);
		CHECK(!memcmp(again.chunk[i].page, set->chunk[i].page, IOPF_CHUNK_PAGES));
	}
}

static inline bool model_next(struct iopf_workset_walk *w, struct iopf_workset_chunk *chunk)
{
	int ret;

	while ((ret = iopf_workset_walk_next(w, chunk)) == -EAGAIN)
		;
	CHECK(ret == 0 || ret == 1);
	return ret;
}

/* Walks the whole set: by heat, then by number. */
static inline void model_walk(const struct model_set *set, const u8 *data, size_t size)
{
	struct iopf_workset_chunk chunk;
	struct iopf_workset_walk w;
	u64 pages, count = 0;

	CHECK(!iopf_workset_walk_init(&w, data, size, &pages));
	for (unsigned int heat = 16; heat--;) {
		for (unsigned int i = 0; i < set->nr; i++) {
			if (set->chunk[i].heat != heat)
				continue;
			CHECK(model_next(&w, &chunk));
			model_same(&set->chunk[i], &chunk);
			for (unsigned int page = 0; page < IOPF_CHUNK_PAGES; page++)
				count += set->chunk[i].page[page];
		}
	}
	CHECK(!model_next(&w, &chunk));
	CHECK(!model_next(&w, &chunk));
	CHECK(pages == count);
}

/* Checks any string of bytes. */
static inline bool workset_compare(const u8 *data, size_t size)
{
	static struct model_set set;
	bool good = model_read(&set, data, size);
	struct iopf_workset_chunk chunk;
	struct iopf_workset_reader r;
	struct iopf_workset_walk w;
	bool same = false;
	u64 pages;

	if (iopf_workset_open(&r, data, size)) {
		unsigned int i;
		int ret;

		for (i = 0; (ret = iopf_workset_get(&r, &chunk)) > 0; i++) {
			CHECK(i < set.nr);
			model_same(&set.chunk[i], &chunk);
		}
		CHECK(!ret || ret == -EINVAL);
		CHECK(i == set.nr);
		same = !ret;
	}
	CHECK(same == good);
	CHECK(iopf_workset_walk_init(&w, data, size, &pages) == (good ? 0 : -EINVAL));
	if (good) {
		model_walk(&set, data, size);
		model_rewrite(&set);
	}
	return good;
}

#endif /* IOPF_CORE_TEST_MODEL_WORKSET_H */
