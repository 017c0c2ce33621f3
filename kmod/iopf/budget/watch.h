/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_WATCH_H
#define IOPF_WATCH_H

#include <linux/jump_label.h>
#include <linux/spinlock.h>
#include <linux/types.h>

#include "../../../core/sample.h"
#include "../lib/timing.h"

/* At least one space is being sampled. */
DECLARE_STATIC_KEY_FALSE(iopf_sample_on);

/**
 * enum iopf_look - state of a chunk in a space that is sampled
 * @IOPF_LOOK_NONE: the chunk is not watched
 * @IOPF_LOOK_NEW: the chunk has not been mapped yet
 * @IOPF_LOOK_BACK: the chunk has been seen used
 * @IOPF_LOOK_AWAY: the chunk has been unmapped to see whether it is used
 */
enum iopf_look {
	IOPF_LOOK_NONE,
	IOPF_LOOK_NEW,
	IOPF_LOOK_BACK,
	IOPF_LOOK_AWAY,
};

/**
 * struct iopf_watch - the sampled chunks of an address space, and when they were used
 * @lock: leaf, inside the chunks' locks; protects all fields below
 * @on: chunks are being sampled
 * @began: start of sampling, in ns
 * @ended: end of sampling, in ns, if not @on
 * @spent: time that sampling has cost, in ns
 * @faults: number of faults that sampling has caused
 * @out: number of chunks that were looked at recently, and may fault at any time
 * @sample: the watched chunks and the log; without memory before the first start
 */
struct iopf_watch {
	spinlock_t lock; /* leaf */
	bool on;
	u64 began;
	u64 ended;
	u64 spent;
	u64 faults;
	unsigned int out;
	struct iopf_sample sample;
};

u64 iopf_watch_elapsed(const struct iopf_watch *w);
u64 iopf_watch_now(const struct iopf_watch *w);
void iopf_watch_new(struct iopf_watch *w, u64 block, u8 *look);
void iopf_watch_unmade(struct iopf_watch *w, u8 *look);
void iopf_watch_fault(struct iopf_watch *w, u64 block, unsigned int loose, u8 *look,
		      struct iopf_timing *timing);
bool iopf_watch_look(struct iopf_watch *w, u64 block, unsigned int loose, u8 *look);
void iopf_watch_spend(struct iopf_watch *w, u64 ns, bool fault);

#endif /* IOPF_WATCH_H */
