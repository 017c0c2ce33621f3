/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_DIRTY_H
#define IOPF_DIRTY_H

#include <linux/compiler.h>
#include <linux/limits.h>
#include <linux/types.h>

struct iopf_area;
struct iopf_container;
struct iopf_range;
struct vfio_bitmap;

/* The most pages of an area, and of a report: the limit of stock type1. */
#define IOPF_DIRTY_PAGES_MAX	((u64)INT_MAX)

/* Bytes of a bitmap of @n pages: whole words of 64 bits. */
static inline u64 iopf_dirty_bitmap_bytes(u64 n)
{
	return (n + 63) / 64 * sizeof(u64);
}

int iopf_dirty_check_bitmap(const struct vfio_bitmap *bitmap, u64 size);
int iopf_dirty_start(struct iopf_container *c);
void iopf_dirty_stop(struct iopf_container *c);
int iopf_dirty_get(struct iopf_container *c, u64 iova, u64 size, const struct vfio_bitmap *bitmap);
int iopf_dirty_report(struct iopf_container *c, const struct iopf_range *range, u64 __user *data,
		      bool leaving);
void iopf_dirty_report_end(struct iopf_container *c, const struct iopf_range *range, bool leaving,
			   bool made);
void iopf_dirty_mark_all(struct iopf_container *c);

#endif /* IOPF_DIRTY_H */
