/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_PART_H
#define IOPF_PART_H

#include <linux/sysfs.h>

struct iopf_container;

/**
 * struct iopf_part - a part of each container: limits, latency, sampling...
 * @name: for people
 * @init: make it; the container is zeroed but for the parts before. 0 or a negative error number.
 * @attrs: its files in the container's directory, up to NULL; or NULL
 * @publish: the directory is there, and its files; 0 or a negative error number
 * @unpublish: the directory is about to go; waits for who uses what @publish has made
 * @end: the container is being released, and nobody finds it any more; its memory is mapped still
 * @stop: nothing is mapped any more
 * @free: free what @init has made; NULL-safe, as @init may have failed, or not been called
 *
 * The parts are in one table (kmod/iopf/parts.c), in the order in which they begin. They end in the
 * reverse order. All but @name may be NULL. A feature adds a line to that table, and keeps its
 * state to itself.
 *
 * Context: process context, without locks of ours.
 */
struct iopf_part {
	const char *name;
	int (*init)(struct iopf_container *c);
	const struct attribute *const *attrs;
	int (*publish)(struct iopf_container *c);
	void (*unpublish)(struct iopf_container *c);
	void (*end)(struct iopf_container *c);
	void (*stop)(struct iopf_container *c);
	void (*free)(struct iopf_container *c);
};

#endif /* IOPF_PART_H */
