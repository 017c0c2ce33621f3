// SPDX-License-Identifier: GPL-2.0-only
/*
 * The I/O virtual addresses that a container can use: the apertures of its domains, without the
 * reserved regions of its groups.
 *
 * Locking: the container's lock.
 */
#include <linux/iommu.h>
#include <linux/list.h>
#include <linux/slab.h>

#include "../map/area.h"
#include "../map/domains.h"
#include "aperture.h"
#include "attach.h"
#include "container.h"

static unsigned int count_resv(struct list_head *regions)
{
	struct iommu_resv_region *region;
	unsigned int n = 0;

	list_for_each_entry(region, regions, list)
		n++;
	return n;
}

static void resv_free(struct list_head *regions)
{
	struct iommu_resv_region *region, *next;

	list_for_each_entry_safe(region, next, regions, list) {
		list_del(&region->list);
		kfree(region);
	}
}

static void limit_aperture(struct iopf_iovas *iovas, const struct iommu_domain *domain)
{
	struct iopf_range aperture = {
		.first = domain->geometry.aperture_start,
		.last = domain->geometry.aperture_end,
	};

	iopf_iovas_limit(iovas, &aperture);
}

/**
 * iopf_aperture_compute() - compute the usable addresses
 * @c: the container, locked
 * @more: NULL, or one more group to take into account: it has its domain, but is not in @c yet
 *
 * Return: the addresses, to be freed with kfree(); or an error pointer.
 */
struct iopf_iovas *iopf_aperture_compute(struct iopf_container *c, struct iopf_attach *more)
{
	struct iommu_resv_region *region;
	struct iopf_iovas *iovas;
	struct iopf_attach *at;
	LIST_HEAD(regions);
	unsigned int max;
	int ret;

	list_for_each_entry(at, &c->attaches, faults.node) {
		ret = iommu_get_group_resv_regions(at->group, &regions);
		if (ret)
			goto err_free;
	}
	if (more) {
		ret = iommu_get_group_resv_regions(more->group, &regions);
		if (ret)
			goto err_free;
	}

	max = count_resv(&regions) + 1;
	iovas = kzalloc(struct_size(iovas, range, max), GFP_KERNEL_ACCOUNT);
	if (!iovas) {
		ret = -ENOMEM;
		goto err_free;
	}
	iovas->max = max;
	iovas->nr = 1;
	iovas->range[0] = (struct iopf_range){ .first = 0, .last = U64_MAX };
	for (unsigned int i = 0; i < c->space.domains->nr; i++)
		limit_aperture(iovas, c->space.domains->domain[i].iommu);
	if (more)
		limit_aperture(iovas, more->domain);
	list_for_each_entry(region, &regions, list) {
		struct iopf_range hole;

		if (region->type == IOMMU_RESV_DIRECT_RELAXABLE ||
		    iopf_range_init(&hole, region->start, region->length))
			continue;
		iopf_iovas_exclude(iovas, &hole);
	}
	resv_free(&regions);
	return iovas;

err_free:
	resv_free(&regions);
	return ERR_PTR(ret);
}

/* Whether all areas lie in the usable addresses @iovas. */
static bool areas_fit(struct iopf_container *c, const struct iopf_iovas *iovas)
{
	unsigned long index = 0;
	struct iopf_area *area;

	area = NULL;
	while ((area = iopf_space_next_area(&c->space, area, &index, ULONG_MAX)))
		if (!iopf_iovas_contain(iovas, &area->range))
			return false;
	return true;
}

/**
 * iopf_aperture_check() - compute the usable addresses with one more group, and check the areas
 * @c: the container, locked
 * @at: the group; it has its domain
 * @iovas: out: to be freed with kfree()
 *
 * Return: 0; -EINVAL: no address is usable, or an area has addresses that are not; -ENOMEM.
 */
int iopf_aperture_check(struct iopf_container *c, struct iopf_attach *at,
			struct iopf_iovas **iovas)
{
	*iovas = iopf_aperture_compute(c, at);
	if (IS_ERR(*iovas))
		return PTR_ERR(*iovas);
	if (!(*iovas)->nr || !areas_fit(c, *iovas)) {
		kfree(*iovas);
		return -EINVAL;
	}
	return 0;
}

/**
 * iopf_aperture_msi() - let the IOMMU core map MSI doorbells where MSI writes are translated
 * @at: the group; it has its domain
 *
 * Arm translates MSI writes like other writes. The IOMMU driver names a window for the doorbells.
 *
 * Return: 0 or a negative error number.
 */
int iopf_aperture_msi(struct iopf_attach *at)
{
	struct iommu_resv_region *region, *window = NULL;
	bool hardware = false;
	LIST_HEAD(regions);
	int ret;

	ret = iommu_get_group_resv_regions(at->group, &regions);
	list_for_each_entry(region, &regions, list) {
		hardware |= region->type == IOMMU_RESV_MSI;
		if (region->type == IOMMU_RESV_SW_MSI)
			window = region;
	}
	if (!ret && window && !hardware)
		ret = iommu_get_msi_cookie(at->domain, window->start);
	resv_free(&regions);
	/* -ENODEV: a kernel without IOMMU_DMA has no such cookies, and needs none. */
	return ret == -ENODEV ? 0 : ret;
}
