/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_WATCH_H
#define IOPF_WATCH_H

#include <linux/jump_label.h>
#include <linux/spinlock.h>
#include <linux/types.h>

#include "../../../core/sample.h"
#include "../lib/timing.h"

/* Some space is being sampled. */
DECLARE_STATIC_KEY_FALSE(iopf_sample_on);

/**
 * enum iopf_look - what a chunk is to those who sample its space
 * @IOPF_LOOK_NONE: it is not watched
 * @IOPF_LOOK_NEW: it has not been mapped yet
 * @IOPF_LOOK_BACK: it has been seen used
 * @IOPF_LOOK_AWAY: it has been unmapped to see whether it is used
 */
enum iopf_look {
	IOPF_LOOK_NONE,
	IOPF_LOOK_NEW,
	IOPF_LOOK_BACK,
	IOPF_LOOK_AWAY,
};

/**
 * struct iopf_watch - which chunks of an address space are sampled, and when they were used
 * @lock: leaf, inside the chunks' locks; protects all that follows
 * @on: chunks are being sampled
 * @began: when that began, in ns
 * @ended: when it was over, if not @on
 * @spent: ns that it took
 * @faults: that it took
 * @out: chunks looked at of late that may come back any time
 * @sample: what is watched, and the log; without memory before the first start
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
