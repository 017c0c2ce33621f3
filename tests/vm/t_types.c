// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO_TYPE1_IOMMU and VFIO_TYPE1v2_IOMMU: the backend serves both. Data moves in both. Unmapping
 * follows the rules of each type. Each step runs with stock type1 first, and the results are
 * compared.
 *
 * vm: --mem 1024
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "rig.h"

#define LEN	(2 * MiB)
#define STEPS	64

/* Results of a run, in order. */
struct trace {
	unsigned int n;
	struct {
		char what[64];
		int64_t result;
	} step[STEPS];
};

static void note(struct trace *t, int64_t result, const char *what)
{
	must_be(t->n < STEPS);
	snprintf(t->step[t->n].what, sizeof(t->step[0].what), "%s", what);
	t->step[t->n++].result = result;
}

/* Bytes unmapped, or the error. */
static int64_t unmapped(struct rig *r, uint64_t iova, uint64_t size, uint32_t flags)
{
	uint64_t got = 0;
	int err = vfio_unmap_flags(&r->c, iova, size, flags, &got);

	return err ? err : (int64_t)got;
}

static void unmap_rules(struct rig *r, struct trace *t, char *va)
{
	must(vfio_map(&r->c, va, RIG_IOVA, LEN));
	note(t, unmapped(r, RIG_IOVA, 4096, 0), "the first page of a range");
	note(t, unmapped(r, RIG_IOVA, LEN, 0), "the range, after that");
	must(vfio_map(&r->c, va, RIG_IOVA, LEN));
	note(t, unmapped(r, RIG_IOVA + 4096, 4096, 0), "the second page");
	note(t, unmapped(r, RIG_IOVA + 4096, LEN - 4096, 0), "all but the first page");
	note(t, unmapped(r, RIG_IOVA, LEN, 0), "the range, after that");
	must(vfio_map(&r->c, va, RIG_IOVA, LEN / 2));
	must(vfio_map(&r->c, va + LEN / 2, RIG_IOVA + LEN / 2, LEN / 2));
	note(t, unmapped(r, RIG_IOVA, LEN - 4096, 0), "one range and most of the next");
	note(t, unmapped(r, RIG_IOVA, LEN, 0), "both");
	must(vfio_map(&r->c, va, RIG_IOVA, LEN / 2));
	must(vfio_map(&r->c, va + LEN / 2, RIG_IOVA + LEN, LEN / 2));
	note(t, unmapped(r, 0, 1ull << 40, 0), "everything in a large range");
	must(vfio_map(&r->c, va, RIG_IOVA, LEN / 2));
	note(t, unmapped(r, 0, 0, VFIO_DMA_UNMAP_FLAG_ALL), "all");
	note(t, unmapped(r, 0, 0, VFIO_DMA_UNMAP_FLAG_ALL), "all of nothing");
}

static void run(struct trace *t, int type, bool stock, char *va)
{
	static const int extensions[] = {
		VFIO_TYPE1_IOMMU, VFIO_TYPE1v2_IOMMU, VFIO_DMA_CC_IOMMU, VFIO_UNMAP_ALL,
		VFIO_TYPE1_NESTING_IOMMU, VFIO_UPDATE_VADDR, VFIO_NOIOMMU_IOMMU,
		VFIO_SPAPR_TCE_IOMMU, 12345,
	};
	struct vfio_iommu_type1_info *info;
	struct simbuf b = { va, RIG_IOVA, LEN };
	unsigned int i;
	struct rig r;

	rig_load("devices=1", stock ? NULL : "");
	rig_open(&r, 1, type);
	rig_map(&r, &b);
	rig_both_ways(&r.sim[0], &b, 1, type == VFIO_TYPE1_IOMMU ? "type 1" : "type 1v2");
	rig_unmap(&r, &b);

	for (i = 0; i < ARRAY_SIZE(extensions); i++)
		note(t, ioctl(r.c.fd, VFIO_CHECK_EXTENSION, extensions[i]), "extension");
	info = vfio_get_info(&r.c);
	must_be(info);
	note(t, info->flags & VFIO_IOMMU_INFO_PGSIZES, "info: page sizes are given");
	note(t, (int64_t)info->iova_pgsizes & 4096, "info: 4 KiB");
	note(t, !!vfio_info_cap(info, VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE), "info: IOVA ranges");
	note(t, !!vfio_info_cap(info, VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL), "info: mappings left");
	free(info);
	note(t, vfio_avail(&r.c), "mappings left");
	must(vfio_map(&r.c, va, RIG_IOVA, LEN));
	note(t, vfio_avail(&r.c), "mappings left with one in use");
	note(t, unmapped(&r, RIG_IOVA, LEN, 0), "unmapped");
	note(t, vfio_avail(&r.c), "mappings left again");
	unmap_rules(&r, t, va);
	note(t, vfio_set_iommu(&r.c, type), "setting the type twice");
	rig_clean(&r);
	rig_close(&r);
	rig_balanced();
}

int main(void)
{
	static const int types[] = { VFIO_TYPE1_IOMMU, VFIO_TYPE1v2_IOMMU };
	static struct trace stock, ours;
	char *va = mem_anon(LEN);
	unsigned int i, k;

	rig_backend_only();
	for (i = 0; i < ARRAY_SIZE(types); i++) {
		memset(&stock, 0, sizeof(stock));
		memset(&ours, 0, sizeof(ours));
		run(&stock, types[i], true, va);
		run(&ours, types[i], false, va);
		must_be(stock.n == ours.n);
		for (k = 0; k < stock.n; k++)
			tap_ok(stock.step[k].result == ours.step[k].result,
			       "type %d, %s: %lld here, %lld with stock type1", types[i],
			       stock.step[k].what, (long long)ours.step[k].result,
			       (long long)stock.step[k].result);
	}
	return tap_done();
}
