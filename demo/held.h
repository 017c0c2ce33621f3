/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Held memory: how much memory the buffer keeps from the rest of the machine, followed over time.
 *
 * Resident pages alone would flatter pinning: a page that is dropped from the process but still
 * pinned for the device is gone from the process's resident set and yet not free. The
 * process's pinned amount (VmLck, where type1 accounts it) stands for those, so held is the
 * larger of the two. What the program itself uses is subtracted.
 */
#ifndef DEMO_HELD_H
#define DEMO_HELD_H

#include <stddef.h>

/**
 * held_start() - sample from now on; the buffer is still untouched
 * @side: whose figures they are
 * @size: of the buffer
 *
 * A long silence of the main thread, which may be in one long ioctl, is filled with progress.
 */
void held_start(const char *side, size_t size);

/** held_phase() - a new phase of the work begins */
void held_phase(const char *name);

/** held_now() - bytes held */
size_t held_now(void);

/** held_pinned() - bytes of them that are pinned */
size_t held_pinned(void);

/** held_free() - free bytes of the machine, those on the allocator's per-CPU lists included */
size_t held_free(void);

/** held_stop() - no more samples */
void held_stop(void);

#endif /* DEMO_HELD_H */
