/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_PART_H
#define IOPF_PART_H

#include <linux/sysfs.h>

struct iopf_container;

/**
 * struct iopf_part - a part of each container, such as limits, latency, sampling
 * @name: name for people
 * @init: make the part. The container is zeroed, except for the parts before. Returns 0 or a
 *        negative error number
 * @attrs: the part's files in the container's directory, ending with NULL; or NULL
 * @publish: called when the directory and the files of @attrs exist. Returns 0 or a negative error
 *           number
 * @unpublish: called before the directory is removed. Waits for users of the objects that @publish
 *             has made
 * @end: called when the container is being released. No lookup finds the container any more, but
 *       its memory is still mapped
 * @stop: called when nothing is mapped any more
 * @free: free the objects of @init. @init may have failed, or not been called, so pointers may be
 *        NULL
 *
 * The parts are in one table (kmod/iopf/parts.c), in the order in which they begin. They end in the
 * reverse order. All fields except @name may be NULL. A feature adds a line to that table, and
 * keeps its state private.
 *
 * Context: process context, without locks of this module.
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
