/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The model of a chunk map: an array with the state of each page, whether it is dirty or in a
 * report, and whether one leaf maps all pages. A program of operations runs on map and model. Both
 * are compared after each operation.
 *
 * The program keeps the caller's side of the contract: it sets only absent pages. The bytes of the
 * fuzzer decide everything else. The includer defines CHECK().
 */
#ifndef IOPF_CORE_TEST_MODEL_CHUNKMAP_H
#define IOPF_CORE_TEST_MODEL_CHUNKMAP_H

#include "../chunkmap.h"
#include "input.h"

enum page_state {
	PAGE_ABSENT,
	PAGE_READ,
	PAGE_WRITE,
	PAGE_PINNED_READ,
	PAGE_PINNED_WRITE,
	PAGE_MMIO_READ,
	PAGE_MMIO_WRITE,
};

struct chunkmap_model {
	enum page_state page[IOPF_CHUNK_PAGES];
	bool dirty[IOPF_CHUNK_PAGES];
	bool reported[IOPF_CHUNK_PAGES];
	bool huge;
};

/* A map and its model, which agree between two operations. */
struct chunkmap_pair {
	struct iopf_chunkmap map;
	struct iopf_chunkmarks marks;
	struct chunkmap_model model;
};

/* Provides marks as late as the contract allows. */
static inline void chunkmap_need(struct chunkmap_pair *p)
{
	p->map.marks = &p->marks;
}

static inline bool page_is_writable(enum page_state s)
{
	return s == PAGE_WRITE || s == PAGE_PINNED_WRITE || s == PAGE_MMIO_WRITE;
}

static inline bool page_is_mmio(enum page_state s)
{
	return s == PAGE_MMIO_READ || s == PAGE_MMIO_WRITE;
}

static inline bool page_is_pinned(enum page_state s)
{
	return s == PAGE_PINNED_READ || s == PAGE_PINNED_WRITE || page_is_mmio(s);
}

/* Whether a page is pinned and not device memory. */
static inline bool page_is_pinned_memory(enum page_state s)
{
	return page_is_pinned(s) && !page_is_mmio(s);
}

static inline bool page_is_unpinned_writable(enum page_state s)
{
	return s == PAGE_WRITE;
}

static inline bool page_is_unpinned(enum page_state s)
{
	return s == PAGE_READ || s == PAGE_WRITE;
}

static inline enum iopf_lookup page_lookup(enum page_state s, bool write)
{
	if (s == PAGE_ABSENT)
		return IOPF_MISS;
	return write && !page_is_writable(s) ? IOPF_UPGRADE : IOPF_HIT;
}

/* Checks the invariants of chunkmap.h, and that map and model agree on each page. */
static inline void chunkmap_compare(const struct chunkmap_pair *p)
{
	const struct iopf_chunkmap *m = &p->map;
	const unsigned long *pins = iopf_chunkmap_pins(m), *mmio = iopf_chunkmap_mmio(m);
	unsigned int mapped = 0, pinned = 0;

	for (unsigned int i = 0; i < IOPF_CHUNK_PAGES; i++) {
		bool present = test_bit(i, m->present);
		enum page_state s = p->model.page[i];

		CHECK(present || !test_bit(i, m->writable));
		CHECK(present || !test_bit(i, pins));
		CHECK(!m->huge || (present && !test_bit(i, pins)));
		CHECK(test_bit(i, pins) || !test_bit(i, mmio));

		CHECK(present == (s != PAGE_ABSENT));
		CHECK(test_bit(i, m->writable) == page_is_writable(s));
		CHECK(test_bit(i, pins) == page_is_pinned(s));
		CHECK(test_bit(i, mmio) == page_is_mmio(s));
		CHECK(test_bit(i, p->marks.dirty) == p->model.dirty[i]);
		CHECK(test_bit(i, p->marks.reported) == p->model.reported[i]);
		CHECK(iopf_chunkmap_lookup(m, i, false) == page_lookup(s, false));
		CHECK(iopf_chunkmap_lookup(m, i, true) == page_lookup(s, true));
		mapped += s != PAGE_ABSENT;
		pinned += page_is_pinned(s);
	}
	CHECK(m->huge == p->model.huge);
	CHECK(iopf_chunkmap_mapped(m) == mapped);
	CHECK(iopf_chunkmap_pinned(m) == pinned);
	CHECK(iopf_chunkmap_has_pins(m) == !!pinned);
	CHECK(iopf_chunkmap_empty(m) == !mapped);
}

static inline void model_fill(struct chunkmap_model *model, unsigned int page, unsigned int n,
			      enum page_state s)
{
	for (unsigned int i = page; i < page + n; i++)
		model->page[i] = s;
}

/* Returns the number of absent pages at the start of a run of @n pages. They may be set. */
static inline unsigned int model_room(const struct chunkmap_model *model, unsigned int page,
				      unsigned int n)
{
	unsigned int room = 0;

	while (room < n && page + room < IOPF_CHUNK_PAGES &&
	       model->page[page + room] == PAGE_ABSENT)
		room++;
	return room;
}

/* Removes the next run in [*page, last] whose pages are in the state @wanted. */
static inline bool model_take(struct chunkmap_model *model, unsigned int *page, unsigned int last,
			      unsigned int *n, bool (*wanted)(enum page_state))
{
	unsigned int i = *page;

	while (i <= last && !wanted(model->page[i]))
		i++;
	if (i > last)
		return false;
	*page = i;
	while (i <= last && wanted(model->page[i]))
		model->page[i++] = PAGE_ABSENT;
	*n = i - *page;
	return true;
}

/* Like model_take(), but removes a leaf of 2 MiB as a whole. */
static inline bool model_take_unpinned(struct chunkmap_model *model, unsigned int *page,
				       unsigned int last, unsigned int *n,
				       bool (*wanted)(enum page_state))
{
	if (!model->huge)
		return model_take(model, page, last, n, wanted);
	if (*page > last || !wanted(model->page[0]))
		return false;
	model_fill(model, 0, IOPF_CHUNK_PAGES, PAGE_ABSENT);
	model->huge = false;
	*page = 0;
	*n = IOPF_CHUNK_PAGES;
	return true;
}

/* Removes the next run of pinned pages; all are device memory, or none is. */
static inline bool model_take_pinned(struct chunkmap_model *model, unsigned int *page,
				     unsigned int last, unsigned int *n, bool *mmio)
{
	unsigned int i = *page;

	while (i <= last && !page_is_pinned(model->page[i]))
		i++;
	if (i > last)
		return false;
	*mmio = page_is_mmio(model->page[i]);
	return model_take(model, page, last, n, *mmio ? page_is_mmio : page_is_pinned_memory);
}

static inline void chunkmap_do_set(struct chunkmap_pair *p, unsigned int page, unsigned int n,
				   bool pinned, bool writable)
{
	n = model_room(&p->model, page, n);
	if (!n)
		return;
	if (pinned) {
		chunkmap_need(p);
		iopf_chunkmap_set_pinned(&p->map, page, n, writable);
		model_fill(&p->model, page, n, writable ? PAGE_PINNED_WRITE : PAGE_PINNED_READ);
	} else {
		iopf_chunkmap_set(&p->map, page, n, writable);
		model_fill(&p->model, page, n, writable ? PAGE_WRITE : PAGE_READ);
	}
}

static inline void chunkmap_do_set_huge(struct chunkmap_pair *p, bool writable)
{
	if (model_room(&p->model, 0, IOPF_CHUNK_PAGES) != IOPF_CHUNK_PAGES)
		return;
	iopf_chunkmap_set_huge(&p->map, writable);
	model_fill(&p->model, 0, IOPF_CHUNK_PAGES, writable ? PAGE_WRITE : PAGE_READ);
	p->model.huge = true;
}

enum take {
	TAKE_UNPINNED,
	TAKE_WRITABLE,
	TAKE_PINNED,
};

/* Takes up to @runs runs from [page, last], as a caller does for a range. */
static inline void chunkmap_do_take(struct chunkmap_pair *p, unsigned int page, unsigned int last,
				    enum take what, unsigned int runs)
{
	if (what == TAKE_WRITABLE)
		last = IOPF_CHUNK_PAGES - 1;
	while (runs--) {
		unsigned int page_model = page, page_map = page;
		unsigned int n_model = 0, n_map = 0;
		bool any_model = false, any_map = false, mmio_model = false, mmio_map = false;

		switch (what) {
		case TAKE_PINNED:
			any_model = model_take_pinned(&p->model, &page_model, last, &n_model,
						      &mmio_model);
			any_map = iopf_chunkmap_take_pinned(&p->map, &page_map, last, &n_map,
							    &mmio_map);
			break;
		case TAKE_WRITABLE:
			any_model = model_take_unpinned(&p->model, &page_model, last, &n_model,
							page_is_unpinned_writable);
			any_map = iopf_chunkmap_take_writable(&p->map, &page_map, &n_map);
			break;
		case TAKE_UNPINNED:
			any_model = model_take_unpinned(&p->model, &page_model, last, &n_model,
							page_is_unpinned);
			any_map = iopf_chunkmap_take(&p->map, &page_map, last, &n_map);
			break;
		}
		CHECK(any_map == any_model);
		if (any_model) {
			CHECK(page_map == page_model);
			CHECK(n_map == n_model);
			CHECK(mmio_map == mmio_model);
		}
		chunkmap_compare(p);
		if (!any_model)
			break;
		page = page_model + n_model;
	}
}

static inline void chunkmap_do_hold_mmio(struct chunkmap_pair *p, unsigned int page)
{
	enum page_state *s = &p->model.page[page];

	if (p->model.huge || !page_is_unpinned(*s))
		return;
	chunkmap_need(p);
	iopf_chunkmap_hold_mmio(&p->map, page);
	*s = *s == PAGE_WRITE ? PAGE_MMIO_WRITE : PAGE_MMIO_READ;
}

static inline void chunkmap_do_revoke_mmio(struct chunkmap_pair *p, unsigned int page,
					   unsigned int last)
{
	iopf_chunkmap_revoke_mmio(&p->map, page, last);
	for (unsigned int i = page; i <= last; i++) {
		enum page_state *s = &p->model.page[i];

		if (!page_is_mmio(*s))
			continue;
		p->model.dirty[i] |= page_is_writable(*s);
		*s = *s == PAGE_MMIO_WRITE ? PAGE_WRITE : PAGE_READ;
	}
}

static inline void chunkmap_do_dirty(struct chunkmap_pair *p, unsigned int page, unsigned int last)
{
	chunkmap_need(p);
	iopf_chunkmap_dirty(&p->map, page, last - page + 1);
	for (unsigned int i = page; i <= last; i++)
		p->model.dirty[i] = true;
}

static inline void chunkmap_do_dirty_pinned(struct chunkmap_pair *p)
{
	iopf_chunkmap_dirty_pinned(&p->map);
	for (unsigned int i = 0; i < IOPF_CHUNK_PAGES; i++) {
		enum page_state s = p->model.page[i];

		p->model.dirty[i] |= page_is_pinned(s) && page_is_writable(s);
	}
}

static inline void chunkmap_do_report(struct chunkmap_pair *p, bool pins)
{
	DECLARE_BITMAP(bits, IOPF_CHUNK_PAGES);

	chunkmap_do_take(p, 0, IOPF_CHUNK_PAGES - 1, TAKE_WRITABLE, IOPF_CHUNK_PAGES + 1);
	/* Old contents of the caller's bitmap must not remain. */
	for (unsigned int i = 0; i < ARRAY_SIZE(bits); i++)
		bits[i] = ~0UL / 3;
	iopf_chunkmap_report(&p->map, pins, bits);
	for (unsigned int i = 0; i < IOPF_CHUNK_PAGES; i++) {
		enum page_state s = p->model.page[i];

		CHECK(!page_is_unpinned_writable(s));
		p->model.reported[i] |= p->model.dirty[i];
		p->model.dirty[i] = false;
		CHECK(test_bit(i, bits) == (p->model.reported[i] ||
					    (pins && page_is_pinned(s) && page_is_writable(s))));
	}
	chunkmap_compare(p);
}

static inline void chunkmap_do_report_end(struct chunkmap_pair *p, bool made)
{
	iopf_chunkmap_report_end(&p->map, made);
	for (unsigned int i = 0; i < IOPF_CHUNK_PAGES; i++) {
		p->model.dirty[i] |= !made && p->model.reported[i];
		p->model.reported[i] = false;
	}
}

static inline void chunkmap_do_forget(struct chunkmap_pair *p)
{
	iopf_chunkmap_forget_dirty(&p->map);
	memset(p->model.dirty, 0, sizeof(p->model.dirty));
	memset(p->model.reported, 0, sizeof(p->model.reported));
}

static inline void chunkmap_do_take_all(struct chunkmap_pair *p)
{
	chunkmap_do_take(p, 0, IOPF_CHUNK_PAGES - 1, TAKE_UNPINNED, IOPF_CHUNK_PAGES + 1);
	chunkmap_do_take(p, 0, IOPF_CHUNK_PAGES - 1, TAKE_PINNED, IOPF_CHUNK_PAGES + 1);
	CHECK(iopf_chunkmap_empty(&p->map));
}

/* Makes a report. Meanwhile pages become dirty. A second report or forgetting may interrupt it. */
static inline void chunkmap_do_whole_report(struct chunkmap_pair *p, u8 op, unsigned int page,
					    u8 len)
{
	chunkmap_do_report(p, op & 0x40);
	chunkmap_do_dirty(p, page, page);
	chunkmap_compare(p);
	if (len & 1)
		chunkmap_do_report(p, len & 2);
	if (len & 4)
		chunkmap_do_forget(p);
	chunkmap_compare(p);
	chunkmap_do_report_end(p, op & 0x20);
}

/* Runs one operation on marks. */
static inline void chunkmap_step_marks(struct chunkmap_pair *p, u8 op, unsigned int page,
				       unsigned int last, u8 len)
{
	switch (op % 16) {
	case 9:
	case 10:
		for (unsigned int i = page; i <= last; i++)
			chunkmap_do_hold_mmio(p, i);
		break;
	case 11:
		chunkmap_do_revoke_mmio(p, page, last);
		break;
	case 12:
	case 13:
		chunkmap_do_dirty(p, page, last);
		break;
	case 14:
		chunkmap_do_whole_report(p, op, page, len);
		break;
	case 15:
		if (!(op & 0x30))
			chunkmap_do_forget(p);
		else if (op & 0x10)
			chunkmap_do_dirty_pinned(p);
		break;
	}
}

/* Runs one operation: its kind, a page, and a length or last page. */
static inline void chunkmap_step(struct chunkmap_pair *p, struct input *in)
{
	u8 op = input_u8(in);
	unsigned int page = input_u16(in) % IOPF_CHUNK_PAGES;
	u8 len = input_u8(in);
	unsigned int n = op & 0x80 ? 2 * len + 1 : len % 16 + 1;
	unsigned int last = min(page + n - 1, IOPF_CHUNK_PAGES - 1);
	bool flag = op & 0x40;

	switch (op % 16) {
	case 0:
	case 1:
		chunkmap_do_set(p, page, n, false, flag);
		break;
	case 2:
		chunkmap_do_set(p, page, n, true, flag);
		break;
	case 3:
		chunkmap_do_take(p, page, last, TAKE_UNPINNED, 1);
		break;
	case 4:
		chunkmap_do_take(p, page, last, TAKE_UNPINNED, IOPF_CHUNK_PAGES + 1);
		break;
	case 5:
		chunkmap_do_take(p, page, last, TAKE_PINNED, flag ? IOPF_CHUNK_PAGES + 1 : 1);
		break;
	case 6:
		chunkmap_do_set_huge(p, flag);
		break;
	case 7:
		/* Sometimes make room for huge and whole-chunk runs. */
		if (!(op & 0x20))
			chunkmap_do_take_all(p);
		if (!(op & 0x20) && op & 0x10)
			chunkmap_do_set(p, 0, IOPF_CHUNK_PAGES, len & 1, flag);
		break;
	case 8:
		chunkmap_do_take(p, page, last, TAKE_WRITABLE, flag ? IOPF_CHUNK_PAGES + 1 : 1);
		break;
	default:
		chunkmap_step_marks(p, op, page, last, len);
	}
	chunkmap_compare(p);
}

static inline void chunkmap_run(const u8 *data, size_t size)
{
	struct chunkmap_pair p = { };
	struct input in = { .data = data, .left = size };

	chunkmap_compare(&p);
	while (in.left)
		chunkmap_step(&p, &in);
}

#endif /* IOPF_CORE_TEST_MODEL_CHUNKMAP_H */
