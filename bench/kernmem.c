// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's own memory: see kernmem.h. And the memory that untouched ranges cost.
 *
 * The figures are whole pages, so free objects in a slab cache count too. Other activity of the
 * kernel changes the figures. So small measurements are repeated, and the median is the result.
 */
#include "kernmem.h"

#include <stdio.h>
#include <string.h>

#include "busy.h"
#include "dma.h"
#include "figures.h"
#include "knob.h"
#include "mem.h"

#define TiB		(1ul << 40)
#define SPARSE_ROUNDS	9

/* Two fields of a line of /proc/slabinfo: pages per slab, number of slabs. */
#define SLABINFO	"%*s %*u %*u %*u %*u %llu : tunables %*u %*u %*u : slabdata %*u %llu"

/* Return the bytes of the caches whose names begin with "iopf_", but not with "iopf_sim". */
static uint64_t caches_bytes(void)
{
	FILE *f = fopen("/proc/slabinfo", "re");
	uint64_t bytes = 0;
	char line[512];

	if (!f)
		tap_bail("/proc/slabinfo: %s", strerror(errno));
	while (fgets(line, sizeof(line), f)) {
		unsigned long long per_slab, slabs;

		if (strncmp(line, "iopf_", 5) || !strncmp(line, "iopf_sim", 8))
			continue;
		if (sscanf(line, SLABINFO, &per_slab, &slabs) != 2)
			tap_bail("/proc/slabinfo has lines of another form");
		bytes += per_slab * slabs * MEM_PAGE;
	}
	fclose(f);
	return bytes;
}

void kernmem_look(struct kernmem *m)
{
	busy_settle();
	*m = (struct kernmem){
		.slab = mem_info_kb("Slab") * 1024,
		.other = (mem_info_kb("VmallocUsed") + mem_info_kb("Percpu") +
			  mem_info_kb("KernelStack")) * 1024,
		.caches = caches_bytes(),
		.tables = sim_iommu_count("tables") * MEM_PAGE,
	};
}

static void difference(const char *side, const char *key, const char *what, uint64_t before,
		       uint64_t after)
{
	figure_line("%s %s_%s %lld", side, key, what, (long long)(after - before));
}

void kernmem_figures(const struct kernmem *before, const struct kernmem *after, const char *side,
		     const char *key)
{
	difference(side, key, "slab", before->slab, after->slab);
	difference(side, key, "other", before->other, after->other);
	difference(side, key, "caches", before->caches, after->caches);
	difference(side, key, "tables", before->tables, after->tables);
}

/* A second call with the smallest range shows which part of the memory depends on the length. */
static void sparse_range(struct rig *r, const char *side, const char *name, size_t len)
{
	struct simbuf b = { .iova = RIG_IOVA, .len = len };
	char key[64];

	b.va = mem_anon(len);
	for (int i = 0; i < SPARSE_ROUNDS; i++) {
		struct kernmem before, after;

		kernmem_look(&before);
		rig_map(r, &b);
		kernmem_look(&after);
		rig_unmap(r, &b);
		snprintf(key, sizeof(key), "sparse_%s_%d", name, i);
		kernmem_figures(&before, &after, side, key);
	}
	mem_unmap(b.va, len);
}

void sparse_memory(struct rig *r, const char *side)
{
	printf("%s: memory of ranges nobody touches\n", side);
	must(mem_write_file("/proc/sys/vm/overcommit_memory", "1"));
	sparse_range(r, side, "4k", MEM_PAGE);
	sparse_range(r, side, "1t", TiB);
}
