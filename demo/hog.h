/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Hog: the neighbour, another program on the same host that wants memory and uses it. It writes
 * half of it twice, so it is plain to the kernel who needs memory and who only has it, and
 * then keeps it.
 *
 * It is a process of its own, started without a copy of the caller's address space, and
 * volunteers for the OOM killer, so that it and not the caller pays for a mistake in its size.
 */
#ifndef DEMO_HOG_H
#define DEMO_HOG_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct hog {
	pid_t pid;
	int in;		/* closing it lets the hog go */
	int out;	/* a byte for each MiB it has written */
};

/** hog_writes() - MiB that a hog of @mib MiB writes in all */
static inline size_t hog_writes(size_t mib)
{
	return mib + mib / 2;
}

/** hog_start() - want @mib MiB: follow it with hog_grow() */
void hog_start(struct hog *h, size_t mib);

/** hog_grow() - wait for the next MiB written; false when it is done, or was killed */
bool hog_grow(struct hog *h);

/** hog_end() - let it go; false when it had been killed before */
bool hog_end(struct hog *h);

/** hog_main() - the hog itself: what main() does when it is called to be one */
int hog_main(size_t mib);

#endif /* DEMO_HOG_H */
