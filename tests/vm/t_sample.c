// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sampling of a container. The log has used memory, one event for each sample, and no idle memory.
 * Sampling loses neither data nor dirty pages. Areas come and go. Sampling starts and stops under
 * DMA, and reports its cost. Without sampling no chunk is unmapped for it.
 *
 * vm: --mem 1024 --icount
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../core/test/load.h"
#include "rig.h"
#include "sample.h"

#define BLOCKS		24
#define LEN		(BLOCKS * MEM_HUGE)
#define BLOCK_PAGES	(MEM_HUGE / MEM_PAGE)
#define ROUNDS		6
#define INTERVAL	10
/* Maximum cost of sampling, in ppm of the time; and how long to wait for that. */
#define SHARE_MAX	10000
#define ROUNDS_MAX	40

/* Blocks in an order without strides: strides would be prefetched. */
static size_t order[4 * BLOCKS];

static void order_init(size_t n)
{
	uint64_t state = 11;

	for (size_t i = 0; i < n; i++) {
		size_t j = load_random(&state) % (i + 1);

		order[i] = order[j];
		order[j] = i;
	}
}

static void touch_block(struct rig *r, const struct simbuf *b, size_t block)
{
	must_be(sim_read(&r->sim[0], b, block * MEM_HUGE + 40 * MEM_PAGE, 8, NULL) ==
		IOPF_SIM_ST_OK);
}

/* Wait until there are @n events. */
static void events_come(uint64_t n)
{
	struct iopf_sample_header head;
	unsigned int spins = 0;

	do {
		must(sample_head(&head));
		sim_nap(&spins);
	} while (head.next < n);
}

static void check_files(void)
{
	struct iopf_sample_header head;

	tap_is(sample_get("interval_ms"), 0, "at first nothing is sampled");
	tap_errno_is(sample_head(&head), -ENODATA, "there is no log yet");
	tap_errno_is(sample_set("interval_ms", 60001), -EINVAL,
		     "an interval of more than a minute");
	tap_errno_is(mem_write_file(sample_path("sampling/interval_ms"), "soon"), -EINVAL,
		     "an interval that is no number");
	tap_errno_is(sample_set("max_chunks", 15), -EINVAL, "too few chunks");
	tap_errno_is(sample_set("max_chunks", (1 << 18) + 1), -EINVAL, "too many chunks");
	tap_errno_is(sample_set("max_chunks", 100), 0, "some chunks");
	must(sample_set("interval_ms", 100));
	tap_errno_is(sample_set("max_chunks", 200), -EBUSY, "other numbers while sampling");
	tap_is(sample_get("max_chunks"), 100, "change nothing");
	tap_is(sample_get("interval_ms"), 100, "sampling goes on");
	must(sample_set("interval_ms", 0));
	tap_errno_is(sample_set("max_chunks", 1024), 0, "afterwards they do");
}

/* Used blocks are in the log, idle ones are not; the events are in order. */
static void check_events(struct rig *r)
{
	struct iopf_sample_event *event = calloc(BLOCKS * (ROUNDS + 1), sizeof(*event));
	struct simbuf b = rig_buffer(r, LEN);
	struct iopf_sample_header head;
	unsigned int right = 0, round;
	uint64_t last = 0;
	size_t block;
	int n;

	must_be(event);
	order_init(BLOCKS);
	for (block = 0; block < BLOCKS; block++)
		touch_block(r, &b, order[block]);
	must(sample_set("interval_ms", INTERVAL));
	for (round = 0; round < ROUNDS; round++) {
		sample_all();
		/* Only the first blocks. */
		for (block = 0; block < BLOCKS - round; block++)
			touch_block(r, &b, order[block]);
	}
	must(sample_set("interval_ms", 0));
	must(sample_head(&head));
	tap_ok(!memcmp(head.magic, IOPF_SAMPLE_MAGIC, 8) && head.version == IOPF_SAMPLE_VERSION &&
	       head.record == sizeof(*event), "the log is one");
	tap_is(head.threshold, IOPF_SAMPLE_ALL, "all chunks are watched");
	tap_is(head.blocks, BLOCKS, "as many as there are");
	tap_is(head.all, BLOCKS, "and counted");
	tap_is(head.interval, INTERVAL * 1000, "at this interval");
	n = sample_events(head.first, event, BLOCKS * (ROUNDS + 1));
	tap_is((uint64_t)n, BLOCKS * ROUNDS - ROUNDS * (ROUNDS - 1) / 2,
	       "an event for each chunk that was used between two samples");
	tap_is(head.next, (uint64_t)n, "the header says so");
	for (round = 0, block = 0; round < ROUNDS && (int)right < n; round++) {
		for (block = 0; block < BLOCKS - round; block++, right++) {
			const struct iopf_sample_event *e = &event[right];

			if (e->block != (RIG_IOVA >> 12) + order[block] * BLOCK_PAGES || e->flags ||
			    e->time < last || e->pages != BLOCK_PAGES ||
			    e->faults != (round ? 1 : 0)) {
				tap_diag("event %u: block 0x%llx at %llu, %u pages, %u faults",
					 right, (unsigned long long)e->block,
					 (unsigned long long)e->time, e->pages, e->faults);
				break;
			}
			last = e->time;
		}
		if (block < BLOCKS - round)
			break;
	}
	tap_is(right, (uint64_t)n, "in the order in which they were used, with all their pages");
	tap_ok(last <= head.time, "while there was sampling");
	tap_errno_is(sample_events((uint64_t)n, event, 1), 0, "there is no more");
	rig_both_ways(&r->sim[0], &b, 1, "after that");
	rig_buffer_free(r, &b);
	free(event);
}

/* The log marks new chunks; old ones vanish with their area. */
static void check_new(struct rig *r)
{
	struct iopf_sample_event event[2 * BLOCKS];
	struct iopf_sample_header head;
	struct simbuf b;
	unsigned int first = 0;
	int n, i;

	must(sample_set("interval_ms", INTERVAL));
	b = rig_buffer(r, LEN);
	rig_both_ways(&r->sim[0], &b, 10, "memory that is mapped while sampling goes on");
	events_come(BLOCKS);
	sample_all();
	rig_buffer_free(r, &b);
	b = rig_buffer(r, LEN);
	rig_both_ways(&r->sim[0], &b, 20, "other memory at the same addresses");
	must(sample_set("interval_ms", 0));
	must(sample_head(&head));
	n = sample_events(0, event, 2 * BLOCKS);
	tap_ok(n >= BLOCKS, "%d events", n);
	for (i = 0; i < n && i < BLOCKS; i++)
		first += event[i].flags == IOPF_SAMPLE_FIRST && event[i].away == UINT32_MAX;
	tap_is(first, BLOCKS, "each chunk is new at its first event");
	tap_is(head.blocks, BLOCKS, "addresses are watched, not memory");
	rig_buffer_free(r, &b);
}

/* With room for fewer chunks than there are, a constant subset of them is sampled. */
static void check_share(struct rig *r)
{
	struct simbuf b = { mem_anon(4 * LEN), RIG_IOVA, 4 * LEN };
	struct iopf_sample_event event[4 * BLOCKS];
	struct iopf_sample_header head;
	unsigned int stand, wrong = 0;
	size_t block;
	int n, i;

	for (block = 0; block < 4 * BLOCKS; block++)
		((char *)b.va)[block * MEM_HUGE + 40 * MEM_PAGE] = 1;
	rig_map(r, &b);
	order_init(4 * BLOCKS);
	must(sample_set("max_chunks", 32));
	must(sample_set("interval_ms", INTERVAL));
	for (block = 0; block < 4 * BLOCKS; block++)
		touch_block(r, &b, order[block]);
	must(sample_set("interval_ms", 0));
	must(sample_head(&head));
	tap_is(head.all, 4 * BLOCKS, "all chunks are counted");
	tap_ok(head.blocks <= 32 && head.blocks >= 16, "%u of them are watched", head.blocks);
	tap_ok(head.threshold < IOPF_SAMPLE_ALL / 2 + IOPF_SAMPLE_ALL / 8,
	       "the threshold has fallen to 0x%x", head.threshold);
	n = sample_events(0, event, 4 * BLOCKS);
	for (i = 0; i < n; i++)
		wrong += !(event[i].flags & IOPF_SAMPLE_FIRST);
	tap_is(wrong, 0, "they were new");
	for (block = 0, stand = 0; block < 4 * BLOCKS; block++)
		stand += iopf_sample_stands((RIG_IOVA >> 12) + block * BLOCK_PAGES,
					    head.threshold);
	tap_is(stand, head.blocks, "they are those below the threshold");
	must(sample_set("max_chunks", 1024));
	rig_unmap(r, &b);
	mem_unmap(b.va, b.len);
}

/* Under DMA: data is right, writes are tracked, and the cost is limited. */
static void check_dma(struct rig *r)
{
	struct simbuf b = rig_buffer(r, LEN);
	struct iopf_sample_header head = { 0 };
	unsigned int i;
	uint64_t share = 0;

	must(sample_set("interval_ms", 2));
	/*
	 * The module measures the cost of a look after it, so the cost may exceed its limit at the
	 * start. Without the limit it would stay too high.
	 */
	for (i = 0; i < ROUNDS_MAX; i++) {
		if (i >= 4 && head.next > 4 * BLOCKS && share <= SHARE_MAX)
			break;
		rig_both_ways(&r->sim[0], &b, 100 + 2 * i, "sampled all the time");
		share = sample_get("cost_ppm");
		must(sample_head(&head));
	}
	tap_ok(head.next > 4 * BLOCKS, "%llu events", (unsigned long long)head.next);
	tap_ok(share > 100 && share <= SHARE_MAX, "sampling takes %llu ppm of the time",
	       (unsigned long long)share);
	tap_ok(head.alone > head.interval, "the interval of a chunk is longer: %u us",
	       head.alone);
	/* Start and stop repeatedly; the last time, do not stop. */
	for (i = 0; i < 20; i++) {
		must(sample_set("interval_ms", (i + 1) % 3 ? 1 : 0));
		if (i % 5 == 0)
			rig_both_ways(&r->sim[0], &b, 200 + 2 * i, "switched on and off");
	}
	must(sample_head(&head));
	tap_ok(head.blocks == BLOCKS, "all is watched again");
	rig_buffer_free(r, &b);
}

int main(void)
{
	struct rig r;

	rig_backend_only();
	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	check_files();
	check_events(&r);
	check_new(&r);
	check_share(&r);
	check_dma(&r);
	rig_clean(&r);
	/* The container ends while it is sampled. */
	rig_close(&r);
	rig_balanced();
	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	tap_is(sample_get("interval_ms"), 0, "the next container is not sampled");
	rig_close(&r);
	rig_balanced();
	return tap_done();
}
