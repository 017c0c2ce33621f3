// SPDX-License-Identifier: GPL-2.0-only
/*
 * The descriptors of a container in use are closed in every order, with DMA in progress, and with
 * the BAR mapped or not. Nothing is left, and everything works again afterwards.
 *
 * vm: --mem 1024
 */
#include <unistd.h>

#include "rig.h"

#define LEN	(2 * MiB)

enum thing { CONTAINER, GROUP, DEVICE, BAR, THINGS };

static void drop(struct rig *r, enum thing thing)
{
	switch (thing) {
	case CONTAINER:
		vfio_container_close(&r->c);
		break;
	case GROUP:
		close(r->vfio[0].group_fd);
		r->vfio[0].group_fd = -1;
		break;
	case DEVICE:
		close(r->vfio[0].fd);
		r->vfio[0].fd = -1;
		break;
	default:
		vfio_dev_unmap_bar(&r->vfio[0]);
		break;
	}
}

static void check_order(const struct simbuf *b, const enum thing order[THINGS])
{
	static const char names[] = "CGDB";
	struct iopf_sim_cpl cpl;
	char what[THINGS + 1];
	unsigned int i;
	struct rig r;
	bool right;

	for (i = 0; i < THINGS; i++)
		what[i] = names[order[i]];
	what[i] = 0;

	tap_quiet(true);
	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	rig_map(&r, b);
	right = !sim_write(&r.sim[0], b, 0, LEN, 1, &cpl) && !simbuf_differs(b, 0, LEN, 1);
	/* Keep it busy while things go away. */
	for (i = 0; i < 8; i++) {
		struct iopf_sim_cmd cmd = sim_cmd(IOPF_SIM_OP_WRITE, b, 0, LEN, 2 + i);

		must(sim_submit(&r.sim[0], &cmd));
	}
	sim_ring(&r.sim[0]);
	for (i = 0; i < THINGS; i++)
		drop(&r, order[i]);
	right = right && !tap_quiet_failures();
	tap_quiet(false);
	tap_ok(right && !sim_iommu_count("leaves_4k") && !sim_iommu_count("leaves_2m"),
	       "closed in the order %s: worked before, nothing left after", what);
	if (!right)
		tap_diag("the first write ended with %s", sim_status_name(cpl.status));
}

int main(void)
{
	struct simbuf b = { .iova = RIG_IOVA, .len = LEN };
	enum thing order[THINGS];
	unsigned int n;
	struct rig r;

	rig_load("", "");
	b.va = mem_anon(LEN);
	tap_diag("C container, G group, D device, B mapping of the BAR");
	for (n = 0; n < 256; n++) {
		unsigned int i, seen = 0;

		for (i = 0; i < THINGS; i++) {
			order[i] = (enum thing)(n >> (2 * i) & 3);
			seen |= 1u << order[i];
		}
		if (seen == (1u << THINGS) - 1)
			check_order(&b, order);
	}
	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	rig_map(&r, &b);
	rig_both_ways(&r.sim[0], &b, 30, "after all that");
	rig_clean(&r);
	rig_close(&r);
	rig_balanced();
	tap_errno_is(rig_unload(), 0, "the modules can be unloaded");
	return tap_done();
}
