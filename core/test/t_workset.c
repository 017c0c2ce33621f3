// SPDX-License-Identifier: GPL-2.0-only
/*
 * Working sets: a set that is written reads back, in few bytes; other bytes are refused; and random
 * sets, whole and damaged, against the model.
 */
#include "unit.h"

#include "rng.h"

#include "model_workset.h"

#define ROOM (IOPF_WORKSET_HEADER + MODEL_CHUNKS * IOPF_WORKSET_RECORD)

/* A working set that is being written. */
struct writer {
	u8 data[ROOM];
	size_t size;
	u32 records;
	u64 next;
};

static void begin(struct writer *w)
{
	w->size = IOPF_WORKSET_HEADER;
	w->records = 0;
	w->next = 0;
}

/* Adds a record and returns its bytes. */
static unsigned int add(struct writer *w, const struct iopf_workset_chunk *chunk)
{
	unsigned int n = iopf_workset_put(w->data + w->size, w->next, chunk);

	w->size += n;
	w->records++;
	w->next = chunk->nr + 1;
	return n;
}

static void end(struct writer *w)
{
	iopf_workset_put_header(w->data, w->records, w->size - IOPF_WORKSET_HEADER);
}

static struct iopf_workset_chunk pages(u64 nr, unsigned int first, unsigned int n)
{
	struct iopf_workset_chunk chunk = { .nr = nr };

	bitmap_set(chunk.pages, first, n);
	return chunk;
}

static void add_pages(struct writer *w, u64 nr, unsigned int first, unsigned int n,
		      unsigned int size)
{
	struct iopf_workset_chunk chunk = pages(nr, first, n);

	assert_int_equal(add(w, &chunk), size);
}

static struct writer w;

static void sizes(void **state)
{
	struct iopf_workset_chunk chunk = pages(1ULL << 35, 0, 1);

	(void)state;
	begin(&w);
	/* All pages; a gap; a large gap. */
	add_pages(&w, 0, 0, 512, 2);
	add_pages(&w, 1, 0, 512, 2);
	add_pages(&w, 129, 0, 512, 2);
	add_pages(&w, 258, 0, 512, 3);
	add_pages(&w, 1ULL << 30, 0, 512, 6);
	/* Runs. */
	add_pages(&w, (1ULL << 30) + 1, 0, 1, 5);
	add_pages(&w, (1ULL << 30) + 2, 127, 128, 5);
	add_pages(&w, (1ULL << 30) + 3, 128, 129, 7);
	add_pages(&w, (1ULL << 30) + 4, 511, 1, 6);
	/* Every second page: the bitmap. */
	for (unsigned int i = 2; i < 512; i += 2)
		bitmap_set(chunk.pages, i, 1);
	assert_int_equal(add(&w, &chunk), 1 + 5 + 64);
	chunk.nr = IOPF_WORKSET_CHUNKS - 1;
	assert_int_equal(add(&w, &chunk), IOPF_WORKSET_RECORD);
	end(&w);
	assert_true(workset_compare(w.data, w.size));
}

/* The writer chooses the shortest form: for up to 31 short runs, the runs. */
static void forms(void **state)
{
	(void)state;
	for (unsigned int runs = 1; runs <= 256; runs++) {
		struct iopf_workset_chunk chunk = { .heat = 3 };

		for (unsigned int i = 0; i < runs; i++)
			bitmap_set(chunk.pages, 2 * i, 1);
		begin(&w);
		assert_int_equal(add(&w, &chunk), 2 + min(1 + 2 * runs, 64U));
		end(&w);
		assert_true(workset_compare(w.data, w.size));
	}
}

/* Each record is the shortest that the format allows. */
static void shortest(void **state)
{
	u64 rng = 5;

	(void)state;
	for (unsigned int i = 0; i < 3000; i++) {
		u64 nr = rng_next(&rng) >> rng_below(&rng, 43) >> 21;
		struct iopf_workset_chunk chunk = { .nr = nr };
		struct model_chunk model = { .nr = nr };

		for (unsigned int n = 1 + rng_below(&rng, 70), page = 0; n--;) {
			unsigned int run;

			page += rng_below(&rng, rng_below(&rng, 2) ? 200 : 16);
			run = 1 + rng_below(&rng, rng_below(&rng, 2) ? 200 : 3);
			if (page + run > IOPF_CHUNK_PAGES)
				break;
			bitmap_set(chunk.pages, page, run);
			memset(model.page + page, 1, run);
			page += run;
		}
		if (bitmap_empty(chunk.pages, IOPF_CHUNK_PAGES))
			continue;
		begin(&w);
		assert_int_equal(add(&w, &chunk), model_record_size(&model, 0));
	}
}

static void empty(void **state)
{
	u8 more[IOPF_WORKSET_HEADER + 1] = { };

	(void)state;
	begin(&w);
	end(&w);
	assert_true(workset_compare(w.data, w.size));
	memcpy(more, w.data, w.size);
	assert_false(workset_compare(more, sizeof(more)));
	assert_false(workset_compare(more, 0));
}

/* In memory of the exact size, so that overruns show. */
static bool exact(const u8 *data, size_t size)
{
	u8 *copy = malloc(size);
	bool good;

	assert_true(copy || !size);
	if (size)
		memcpy(copy, data, size);
	good = workset_compare(copy, size);
	free(copy);
	return good;
}

static bool raw(u32 records, const u8 *bytes, size_t n)
{
	u8 *data = malloc(IOPF_WORKSET_HEADER + n);
	bool good;

	assert_non_null(data);
	iopf_workset_put_header(data, records, n);
	memcpy(data + IOPF_WORKSET_HEADER, bytes, n);
	good = workset_compare(data, IOPF_WORKSET_HEADER + n);
	free(data);
	return good;
}

#define RAW(records, ...) ({					\
	static const u8 raw_bytes_[] = { __VA_ARGS__ };		\
	raw(records, raw_bytes_, sizeof(raw_bytes_));		\
})

static void refused(void **state)
{
	(void)state;
	assert_true(RAW(1, 0x4f, 0));
	assert_true(RAW(2, 0x00, 0, 0x00, 0));
	/* A reserved bit and a reserved form. */
	assert_false(RAW(1, 0x80, 0));
	assert_false(RAW(1, 0x30, 0));
	/* Too few bytes, too many. */
	assert_false(RAW(2, 0x00, 0, 0x00));
	assert_false(RAW(1, 0x00, 0, 0x00));
	assert_false(RAW(1, 0x00));
	assert_false(RAW(1, 0x20, 0, 1, 2, 3));
	/* Numbers that have no end, are longer than necessary, or are too large. */
	assert_false(RAW(1, 0x00, 0x80));
	assert_false(RAW(1, 0x00, 0x80, 0x00));
	assert_true(RAW(1, 0x00, 0x80, 0x01));
	assert_true(RAW(1, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01));
	assert_false(RAW(1, 0x00, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x02));
	assert_false(RAW(1, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01));
	assert_false(RAW(1, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01));
	/* Nothing follows the last possible chunk. */
	assert_false(RAW(2, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0x00, 0x00));
	assert_true(RAW(2, 0x00, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0x00, 0x00));
	/* No runs, one run too many, runs that touch, runs beyond the end. */
	assert_false(RAW(1, 0x10, 0, 0));
	assert_false(RAW(1, 0x10, 0, 2, 0, 0));
	assert_false(RAW(1, 0x10, 0, 2, 0, 0, 0, 0));
	assert_true(RAW(1, 0x10, 0, 2, 0, 0, 1, 0));
	assert_true(RAW(1, 0x10, 0, 1, 0, 0xff, 0x03));
	assert_false(RAW(1, 0x10, 0, 1, 0, 0x80, 0x04));
	assert_false(RAW(1, 0x10, 0, 1, 1, 0xff, 0x03));
	assert_true(RAW(1, 0x10, 0, 1, 0xff, 0x03, 0));
	assert_false(RAW(1, 0x10, 0, 1, 0x80, 0x04, 0));
	assert_false(RAW(1, 0x10, 0, 2, 0, 0xff, 0x03, 1, 0));
	assert_false(RAW(1, 0x10, 0, 0x82, 0x02));
}

/* The most runs are 256 of one page. They are longer than the bitmap, but valid. */
static void many_runs(void **state)
{
	u8 bytes[2 + 2 + 2 * 257] = { 0x10, 0, 0x80, 0x02 };

	(void)state;
	for (unsigned int i = 0; i < 257; i++)
		bytes[4 + 2 * i] = 1;
	assert_true(raw(1, bytes, 4 + 2 * 256));
	bytes[2] = 0x81;
	assert_false(raw(1, bytes, sizeof(bytes)));
}

static void no_bits(void **state)
{
	u8 bytes[2 + 64] = { 0x20, 0 };

	(void)state;
	assert_false(raw(1, bytes, sizeof(bytes)));
	for (unsigned int i = 0; i < 64; i++) {
		bytes[2 + i] = 0x80;
		assert_true(raw(1, bytes, sizeof(bytes)));
		bytes[2 + i] = 0;
	}
}

/* Each byte of the header matters. */
static void headers(void **state)
{
	struct iopf_workset_chunk chunk = pages(7, 3, 9);

	(void)state;
	begin(&w);
	add(&w, &chunk);
	end(&w);
	assert_true(workset_compare(w.data, w.size));
	for (unsigned int i = 0; i < IOPF_WORKSET_HEADER; i++) {
		for (unsigned int bit = 0; bit < 8; bit++) {
			w.data[i] ^= 1 << bit;
			assert_false(workset_compare(w.data, w.size));
			w.data[i] ^= 1 << bit;
		}
	}
	for (size_t size = 0; size < w.size; size++)
		assert_false(exact(w.data, size));
}

static void fill(struct writer *w, u64 *rng)
{
	unsigned int n = 1 + rng_below(rng, 40);

	begin(w);
	while (n--) {
		u64 skip = rng_next(rng) >> (26 + rng_below(rng, 38));
		struct iopf_workset_chunk chunk = {
			.nr = w->next + (rng_below(rng, 3) ? 0 : skip),
			.heat = rng_below(rng, rng_below(rng, 2) ? 2 : 16),
			.write = rng_below(rng, 2),
		};
		unsigned int runs = rng_below(rng, 50);

		if (rng_below(rng, 3))
			bitmap_set(chunk.pages, 0, IOPF_CHUNK_PAGES);
		else
			bitmap_set(chunk.pages, rng_below(rng, IOPF_CHUNK_PAGES), 1);
		while (runs--)
			bitmap_set(chunk.pages, rng_below(rng, IOPF_CHUNK_PAGES), 1);
		if (chunk.nr >= IOPF_WORKSET_CHUNKS)
			break;
		add(w, &chunk);
	}
	end(w);
}

/* Random sets, and sets with a wrong bit or byte, which are another set or none. */
static void random_sets(void **state)
{
	unsigned int good = 0, bad = 0;
	u64 rng = 1;

	(void)state;
	for (unsigned int i = 0; i < 100; i++) {
		fill(&w, &rng);
		assert_true(workset_compare(w.data, w.size));
		for (unsigned int k = 0; k < 10; k++) {
			size_t at = rng_below(&rng, w.size);
			u8 was = w.data[at];

			w.data[at] = rng_next(&rng);
			if (rng_below(&rng, 2))
				w.data[at] = was ^ 1 << rng_below(&rng, 8);
			if (workset_compare(w.data, w.size))
				good++;
			else
				bad++;
			w.data[at] = was;
		}
	}
	assert_true(good > 100 && bad > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes),
		cmocka_unit_test(forms),
		cmocka_unit_test(shortest),
		cmocka_unit_test(empty),
		cmocka_unit_test(refused),
		cmocka_unit_test(many_runs),
		cmocka_unit_test(no_bits),
		cmocka_unit_test(headers),
		cmocka_unit_test(random_sets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
