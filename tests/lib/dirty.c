// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <linux/vfio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "dirty.h"
#include "mem.h"
#include "tap.h"

void dirty_map_init(struct dirty_map *m, uint64_t iova, uint64_t len)
{
	m->iova = iova;
	m->len = len;
	m->words = (len / MEM_PAGE + 63) / 64;
	m->bits = calloc(m->words, sizeof(*m->bits));
	must_be(m->bits);
}

void dirty_map_free(struct dirty_map *m)
{
	free(m->bits);
	m->bits = NULL;
}

static struct vfio_bitmap bitmap_of(struct dirty_map *m)
{
	struct vfio_bitmap b = {
		.pgsize = MEM_PAGE,
		.size = m->words * sizeof(*m->bits),
		.data = (void *)m->bits,
	};

	return b;
}

int dirty_track(struct vfio_container *c, bool on)
{
	struct vfio_iommu_type1_dirty_bitmap dirty = {
		.argsz = sizeof(dirty),
		.flags = on ? VFIO_IOMMU_DIRTY_PAGES_FLAG_START : VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP,
	};

	return vfio_ioctl(c, VFIO_IOMMU_DIRTY_PAGES, &dirty);
}

int dirty_get(struct vfio_container *c, struct dirty_map *m)
{
	struct {
		struct vfio_iommu_type1_dirty_bitmap head;
		struct vfio_iommu_type1_dirty_bitmap_get get;
	} dirty = {
		.head = {
			.argsz = sizeof(dirty),
			.flags = VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP,
		},
		.get = { .iova = m->iova, .size = m->len, .bitmap = bitmap_of(m) },
	};

	return vfio_ioctl(c, VFIO_IOMMU_DIRTY_PAGES, &dirty);
}

int dirty_unmap(struct vfio_container *c, struct dirty_map *m)
{
	struct {
		struct vfio_iommu_type1_dma_unmap unmap;
		struct vfio_bitmap bitmap;
	} arg = {
		.unmap = {
			.argsz = sizeof(arg),
			.flags = VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP,
			.iova = m->iova,
			.size = m->len,
		},
		.bitmap = bitmap_of(m),
	};

	if (ioctl(c->fd, VFIO_IOMMU_UNMAP_DMA, &arg))
		return -errno;
	return arg.unmap.size == m->len ? 0 : -ENOENT;
}

bool dirty_page(const struct dirty_map *m, size_t page)
{
	return m->bits[page / 64] >> (page % 64) & 1;
}

size_t dirty_count(const struct dirty_map *m)
{
	size_t i, n = 0;

	for (i = 0; i < m->words; i++)
		n += (size_t)__builtin_popcountll(m->bits[i]);
	return n;
}

size_t dirty_differs(const struct dirty_map *m, const bool *want)
{
	size_t page, wrong = 0;

	for (page = 0; page < m->len / MEM_PAGE; page++) {
		bool dirty = want && want[page];

		if (dirty_page(m, page) != dirty && !wrong++)
			tap_diag("page %zu is %sdirty", page, dirty ? "not " : "");
	}
	return wrong;
}
