/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The model of sampling: an entry for every possible block, a search through all of them each
 * time, and a log that keeps all events. Programs come from a fuzzer or from seeds.
 *
 * The includer defines CHECK(), see unit.h or fuzz.h.
 */
#ifndef IOPF_CORE_TEST_MODEL_SAMPLE_H
#define IOPF_CORE_TEST_MODEL_SAMPLE_H

#include "input.h"

#include "../sample.h"

#define MODEL_BLOCKS	24
#define MODEL_POINTS	13
#define MODEL_EVENTS	16
#define MODEL_LOG	4096
#define MODEL_INTERVAL	50

struct model_block {
	bool watched;
	bool away;
	u64 at;
	u64 order;
	u32 pages;
	u32 faults;
};

struct model_sample {
	struct model_block block[MODEL_BLOCKS];
	struct iopf_sample_event log[MODEL_LOG];
	u64 events;
	u64 order;
	u32 threshold;
};

/* Block names do not start at 0, and are not neighbours. */
static inline u64 model_name(unsigned int i)
{
	return 0x100000 + 512 * (u64)i;
}

static inline unsigned int model_watched(const struct model_sample *m)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < MODEL_BLOCKS; i++)
		n += m->block[i].watched;
	return n;
}

static inline bool model_watch(struct model_sample *m, unsigned int i, u64 now, bool away)
{
	if (iopf_sample_hash(model_name(i)) >= m->threshold)
		return false;
	while (model_watched(m) == MODEL_POINTS) {
		m->threshold -= m->threshold / 8;
		for (unsigned int j = 0; j < MODEL_BLOCKS; j++)
			if (iopf_sample_hash(model_name(j)) >= m->threshold)
				m->block[j].watched = false;
	}
	if (iopf_sample_hash(model_name(i)) >= m->threshold)
		return false;
	m->block[i] = (struct model_block){
		.watched = true,
		.away = away,
		.at = now,
		.order = ++m->order,
	};
	return true;
}

/* Returns the block to sample, or MODEL_BLOCKS. */
static inline unsigned int model_due(const struct model_sample *m, u64 now)
{
	unsigned int found = MODEL_BLOCKS;

	for (unsigned int i = 0; i < MODEL_BLOCKS; i++) {
		const struct model_block *b = &m->block[i];

		if (b->watched && !b->away &&
		    (found == MODEL_BLOCKS || b->order < m->block[found].order))
			found = i;
	}
	return found < MODEL_BLOCKS && m->block[found].at + MODEL_INTERVAL <= now ? found :
										    MODEL_BLOCKS;
}

static inline void model_miss(struct model_sample *m, unsigned int i, bool first, u64 now)
{
	struct model_block *b = &m->block[i];
	struct iopf_sample_event *e = &m->log[m->events++ % MODEL_LOG];

	*e = (struct iopf_sample_event){
		.time = now,
		.block = model_name(i),
		.away = first || now - b->at > U32_MAX ? U32_MAX : now - b->at,
		.pages = b->pages,
		.faults = b->faults,
		.flags = first ? IOPF_SAMPLE_FIRST : 0,
	};
	b->away = false;
	b->at = now;
	b->faults = 1;
	b->order = ++m->order;
}

static inline bool model_same_event(const struct iopf_sample_event *a,
				    const struct iopf_sample_event *b)
{
	return a->time == b->time && a->block == b->block && a->away == b->away &&
	       a->pages == b->pages && a->faults == b->faults && a->flags == b->flags;
}

/* Checks the header, the points and the last events. */
static inline void model_check(const struct model_sample *m, struct iopf_sample *s, u64 now)
{
	u64 first = m->events > MODEL_EVENTS ? m->events - MODEL_EVENTS : 0;
	struct iopf_sample_event some[MODEL_EVENTS];
	struct iopf_sample_header head;

	iopf_sample_head(s, now, &head);
	CHECK(!memcmp(head.magic, "iopfsamp", 8) && head.version == 1 && head.record == 24);
	CHECK(head.threshold == m->threshold && head.interval == MODEL_INTERVAL);
	CHECK(head.first == first && head.next == m->events && head.time == now);
	CHECK(head.blocks == model_watched(m) && head.blocks <= MODEL_POINTS);
	CHECK(iopf_sample_read(s, first, some, MODEL_EVENTS) == m->events - first);
	for (u64 nr = first; nr < m->events; nr++)
		CHECK(model_same_event(&some[nr - first], &m->log[nr % MODEL_LOG]));
	CHECK(iopf_sample_read(s, m->events, some, MODEL_EVENTS) == 0);
	for (unsigned int i = 0; i < MODEL_BLOCKS; i++) {
		const struct model_block *b = &m->block[i];
		struct iopf_sample_point *p = iopf_sample_find(s, model_name(i));

		CHECK(!p == !b->watched);
		CHECK(!p || (p->away == b->away && p->at == b->at && p->block == model_name(i)));
		CHECK(!p || iopf_sample_stands(p->block, m->threshold));
	}
}

/* Samples the next block in both. */
static inline void sample_do_look(struct model_sample *m, struct iopf_sample *s, u8 arg, u64 now)
{
	unsigned int i = model_due(m, now);
	struct iopf_sample_point *p = iopf_sample_due(s, now);

	CHECK(!p == (i == MODEL_BLOCKS));
	if (!p)
		return;
	CHECK(p->block == model_name(i));
	iopf_sample_look(s, p, arg == 254 ? 70000 : 2 * arg, now);
	m->block[i].away = true;
	m->block[i].at = now;
	m->block[i].pages = arg == 254 ? 65535 : 2 * arg;
}

/* Block @i faults in both. @arg selects the kind of fault, or is the number of faults. */
static inline void sample_do_fault(struct model_sample *m, struct iopf_sample *s, unsigned int i,
				   u8 arg, u64 now)
{
	struct iopf_sample_point *p = iopf_sample_find(s, model_name(i));
	struct model_block *b = &m->block[i];

	if (p && p->away) {
		iopf_sample_miss(s, p, arg == 7, now);
		model_miss(m, i, arg == 7, now);
	} else if (p) {
		for (unsigned int n = 0; n < arg; n++)
			iopf_sample_again(p);
		if (b->faults)
			b->faults = min(b->faults + arg, 255U);
	}
}

/* Runs one operation on both. */
static inline void sample_step(struct model_sample *m, struct iopf_sample *s, struct input *in,
			       u64 *now)
{
	u8 op = input_u8(in);
	unsigned int i = input_u8(in) % MODEL_BLOCKS, arg = input_u8(in);
	struct iopf_sample_point *p = iopf_sample_find(s, model_name(i));
	struct model_block *b = &m->block[i];

	/* Sometimes a very long time. */
	*now += op & 0x80 && arg == 255 ? 1ULL << 33 : arg / 16;
	switch (op % 8 / 2) {
	case 0:
		if (!p)
			CHECK(iopf_sample_watch(s, model_name(i), *now, arg & 1) ==
			      model_watch(m, i, *now, arg & 1));
		break;
	case 1:
		sample_do_look(m, s, arg, *now);
		break;
	case 2:
		sample_do_fault(m, s, i, arg, *now);
		break;
	case 3:
		if (op & 1 && p && !p->away) {
			iopf_sample_defer(s, p, *now);
			b->at = *now;
			b->faults = 0;
			b->order = ++m->order;
		} else if (!(op & 1) && p && arg % 4 == 0) {
			iopf_sample_forget(s, p);
			b->watched = false;
		}
		break;
	}
}

/* Runs a program on both. */
static inline void sample_run(const u8 *data, size_t size)
{
	struct input in = { data, size };
	struct iopf_sample_point point[MODEL_POINTS];
	struct iopf_sample_event event[MODEL_EVENTS];
	u32 bucket[MODEL_POINTS];
	struct iopf_sample s = {
		.point = point,
		.bucket = bucket,
		.points = MODEL_POINTS,
		.event = event,
		.events = MODEL_EVENTS,
	};
	struct model_sample *m = calloc(1, sizeof(*m));
	u64 now = 0;

	CHECK(m);
	m->threshold = IOPF_SAMPLE_ALL;
	iopf_sample_init(&s, MODEL_INTERVAL);
	model_check(m, &s, now);
	while (in.left) {
		sample_step(m, &s, &in, &now);
		model_check(m, &s, now);
	}
	free(m);
}

#endif /* IOPF_CORE_TEST_MODEL_SAMPLE_H */
