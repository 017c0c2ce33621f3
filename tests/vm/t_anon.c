// SPDX-License-Identifier: GPL-2.0-only
/*
 * Anonymous memory: DMA to memory that has never been used, in every order, with odd alignments,
 * through a mapping far larger than memory; reads of absent memory; the zero page.
 *
 * vm: --mem 1024
 * also: no5lvl pti numa
 */
#include <string.h>
#include <sys/mman.h>

#include "rig.h"

#define LEN	(8 * MiB)

static void check_untouched(struct rig *r)
{
	struct simbuf b = { mem_anon(LEN), RIG_IOVA, LEN };

	rig_map(r, &b);
	if (!rig_stock())
		tap_is(mem_resident(b.va, b.len), 0, "mapping makes nothing resident");
	rig_unpinned("after the mapping");
	rig_both_ways(&r->sim[0], &b, 1, "memory that has never been used");
	rig_unpinned("after DMA");
	rig_unmap(r, &b);
	rig_same(&b, 2, "after unmapping");
	mem_unmap(b.va, b.len);
}

/* Orders other than sequential, over memory not yet there. */
static void check_orders(struct rig *r)
{
	struct simbuf b = { mem_anon(LEN), RIG_IOVA, LEN };
	struct iopf_sim_cmd cmd = sim_cmd(IOPF_SIM_OP_WRITE, &b, 0, LEN, 3);
	uint64_t i;

	rig_map(r, &b);
	sim_cmd_order(&cmd, IOPF_SIM_ORDER_STRIDED, 64, 5 * 4096 + 64, 0);
	rig_status_is(sim_run(&r->sim[0], &cmd, NULL), IOPF_SIM_ST_OK, "strided write");
	for (i = 0; i < cmd.count; i++) {
		if (simbuf_differs(&b, i * cmd.stride, cmd.size, 3))
			break;
	}
	tap_is(i, cmd.count, "strided write: the CPU sees every access");

	mem_drop(b.va, b.len);
	if (rig_stock()) {
		rig_unmap(r, &b);
		rig_map(r, &b);
	}
	cmd = sim_cmd(IOPF_SIM_OP_WRITE, &b, 0, LEN, 4);
	sim_cmd_order(&cmd, IOPF_SIM_ORDER_RANDOM, 4096, 4096, 99);
	rig_status_is(sim_run(&r->sim[0], &cmd, NULL), IOPF_SIM_ST_OK, "random write");
	for (i = 0; i < cmd.count; i++) {
		uint64_t slot = iopf_sim_slot(cmd.order_seed, i, cmd.slots);

		if (simbuf_differs(&b, slot * 4096, 4096, 4))
			break;
	}
	tap_is(i, cmd.count, "random write: the CPU sees every access");
	tap_ok(mem_resident(b.va, b.len) < LEN / 4096 || rig_stock(),
	       "pages no access met are not there");
	rig_unmap(r, &b);
	mem_unmap(b.va, b.len);
}

/* Neither IOVA nor address at a 2 MiB boundary, and not at the same distance from one. */
static void check_alignment(struct rig *r)
{
	char *va = mem_anon(LEN);
	struct simbuf b = { va + 3 * 4096, RIG_IOVA + 7 * 4096, LEN - 16 * 4096 };
	struct simbuf page = { va, RIG_IOVA + LEN, 4096 };
	struct simbuf last = { va + LEN - 4096, RIG_IOVA - 4096, 4096 };

	rig_map(r, &b);
	rig_map(r, &page);
	rig_map(r, &last);
	rig_both_ways(&r->sim[0], &b, 5, "odd alignment");
	rig_both_ways(&r->sim[0], &page, 6, "one page");
	rig_both_ways(&r->sim[0], &last, 7, "one page before");
	rig_same(&b, 6, "the neighbours left it alone");
	rig_unmap(r, &last);
	rig_unmap(r, &page);
	rig_unmap(r, &b);
	mem_unmap(va, LEN);
}

/* Read memory that is not there, then write it with the CPU: the device must see that. */
static void check_zero_page(struct rig *r)
{
	struct simbuf b = { mem_anon(LEN), RIG_IOVA, LEN };
	uint64_t sum;

	rig_map(r, &b);
	rig_status_is(sim_checksum(&r->sim[0], &b, 0, LEN, &sum, NULL), IOPF_SIM_ST_OK,
		      "read of memory that is not there");
	tap_is(sum, 0, "it is zero");
	simbuf_fill(&b, 0, LEN, 8);
	rig_status_is(sim_verify(&r->sim[0], &b, 0, LEN, 8, NULL), IOPF_SIM_ST_OK,
		      "the device reads later writes of the CPU");

	/* The same with the CPU's zero page there first, and the device the first to write. */
	if (!rig_stock()) {
		mem_drop(b.va, b.len);
		tap_is(simbuf_nonzero(&b, 0, LEN), 0, "zero to the CPU");
		rig_status_is(sim_checksum(&r->sim[0], &b, 0, LEN, &sum, NULL), IOPF_SIM_ST_OK,
			      "zero to the device");
		tap_is(sum, 0, "the device reads zeros");
		rig_status_is(sim_write(&r->sim[0], &b, 0, LEN, 9, NULL), IOPF_SIM_ST_OK,
			      "the device writes over zero pages");
		rig_same(&b, 9, "over zero pages");
	}
	rig_unmap(r, &b);
	mem_unmap(b.va, b.len);
}

/* A range larger than memory and swap together. Stock type1 can't have this at all. */
static void check_sparse(struct rig *r)
{
	size_t len = 64ul << 30, step = len / 64, i;
	struct simbuf b = { .iova = RIG_IOVA, .len = len };
	unsigned int wrong = 0;

	if (rig_stock())
		return;
	b.va = mmap(NULL, len, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	must_be(b.va != MAP_FAILED);
	must_sys(madvise(b.va, len, MADV_NOHUGEPAGE));
	tap_errno_is(vfio_map(&r->c, b.va, b.iova, len), 0, "64 GiB are mapped");
	for (i = 0; i < len; i += step) {
		wrong += sim_write(&r->sim[0], &b, i, 8192, 10, NULL) != IOPF_SIM_ST_OK;
		wrong += simbuf_differs(&b, i, 8192, 10) != 0;
	}
	wrong += sim_write(&r->sim[0], &b, len - 4096, 4096, 10, NULL) != IOPF_SIM_ST_OK;
	wrong += simbuf_differs(&b, len - 4096, 4096, 10) != 0;
	tap_is(wrong, 0, "pages in all parts of it work");
	rig_unmap(r, &b);
	mem_unmap(b.va, len);
}

static void check_many(struct rig *r)
{
	unsigned int i, n = 200, wrong = 0;
	char *va = mem_anon(n * 8192);

	/* Every other page, each a mapping of its own, in a scrambled order. */
	for (i = 0; i < n; i++) {
		unsigned int k = i * 77 % n;

		must(vfio_map(&r->c, va + k * 8192, RIG_IOVA + k * 8192, 4096));
	}
	for (i = 0; i < n; i++) {
		struct simbuf b = { va + i * 8192, RIG_IOVA + i * 8192, 4096 };

		wrong += sim_write(&r->sim[0], &b, 0, 4096, i, NULL) != IOPF_SIM_ST_OK;
		wrong += simbuf_differs(&b, 0, 4096, i) != 0;
		wrong += sim_write(&r->sim[0], &b, 4096, 4096, i, NULL) == IOPF_SIM_ST_OK;
	}
	tap_is(wrong, 0, "%u mappings of one page, with gaps", n);
	for (i = 0; i < n; i++)
		must(vfio_unmap(&r->c, RIG_IOVA + i * 8192, 4096));
	mem_unmap(va, n * 8192);
}

int main(void)
{
	struct rig r;

	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	check_untouched(&r);
	check_orders(&r);
	check_alignment(&r);
	check_zero_page(&r);
	check_sparse(&r);
	check_many(&r);
	rig_clean(&r);
	rig_balanced();
	rig_close(&r);
	return tap_done();
}
