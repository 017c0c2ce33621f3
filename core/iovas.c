// SPDX-License-Identifier: GPL-2.0-only
/*
 * The usable I/O virtual addresses of a container. See iovas.h.
 */
#include "iovas.h"

/**
 * iopf_iovas_contain() - whether a range lies in one usable range
 * @v: usable ranges
 * @r: the range
 *
 * Return: true if so, and if there are no usable ranges at all: then nothing restricts the
 * addresses, as in stock type1.
 */
bool iopf_iovas_contain(const struct iopf_iovas *v, const struct iopf_range *r)
{
	for (unsigned int i = 0; i < v->nr; i++)
		if (iopf_range_contains(&v->range[i], r))
			return true;
	return !v->nr;
}

static void iopf_iovas_remove(struct iopf_iovas *v, unsigned int i)
{
	v->nr--;
	memmove(&v->range[i], &v->range[i + 1], (v->nr - i) * sizeof(v->range[0]));
}

/**
 * iopf_iovas_limit() - restrict the ranges to an aperture
 * @v: usable ranges
 * @aperture: the addresses that an IOMMU can translate
 */
void iopf_iovas_limit(struct iopf_iovas *v, const struct iopf_range *aperture)
{
	unsigned int i = 0;

	while (i < v->nr) {
		if (iopf_range_intersect(&v->range[i], &v->range[i], aperture))
			i++;
		else
			iopf_iovas_remove(v, i);
	}
}

/**
 * iopf_iovas_exclude() - remove a range
 * @v: usable ranges
 * @hole: the range to remove
 *
 * Return: 0. -ENOSPC if a range must be split and there is no room; then nothing changes. One hole
 * needs at most one more range.
 */
int iopf_iovas_exclude(struct iopf_iovas *v, const struct iopf_range *hole)
{
	unsigned int i = 0;

	while (i < v->nr) {
		struct iopf_range *r = &v->range[i];
		bool before = r->first < hole->first;
		bool after = r->last > hole->last;

		if (!iopf_range_overlaps(r, hole)) {
			i++;
		} else if (before && after) {
			if (v->nr == v->max)
				return -ENOSPC;
			memmove(r + 1, r, (v->nr - i) * sizeof(*r));
			v->nr++;
			r[0].last = hole->first - 1;
			r[1].first = hole->last + 1;
			i += 2;
		} else if (before) {
			r->last = hole->first - 1;
			i++;
		} else if (after) {
			r->first = hole->last + 1;
			i++;
		} else {
			iopf_iovas_remove(v, i);
		}
	}
	return 0;
}
