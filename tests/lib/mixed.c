// SPDX-License-Identifier: GPL-2.0-only
/*
 * Containers of devices behind IOMMUs of two kinds: see mixed.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "mixed.h"

static bool faults(const struct mixed *m, unsigned int i)
{
	return !m->pinned && !m->left && (m->second_faults || !(m->second >> i & 1));
}

bool mixed_holds(const struct mixed *m)
{
	unsigned int i;

	for (i = 0; i < MIXED_DEVICES; i++)
		if (m->joined[i] && !faults(m, i))
			return true;
	return false;
}

void mixed_open(struct mixed *m)
{
	unsigned int i;

	m->left = false;
	must(vfio_container_open(&m->r.c));
	m->r.devices = MIXED_DEVICES;
	for (i = 0; i < MIXED_DEVICES; i++) {
		m->r.vfio[i] = (struct vfio_dev){ .group_fd = -1, .fd = -1 };
		snprintf(m->r.vfio[i].bdf, VFIO_BDF_LEN, "%s", rig_bdf(i));
	}
}

int mixed_try_join(struct mixed *m, unsigned int i)
{
	return vfio_dev_attach(&m->r.vfio[i], &m->r.c, rig_bdf(i), VFIO_TYPE1v2_IOMMU);
}

void mixed_join(struct mixed *m, unsigned int i)
{
	must(mixed_try_join(m, i));
	must(vfio_dev_get(&m->r.vfio[i]));
	must(sim_up(&m->r.sim[i], &m->r.vfio[i], NULL));
	if (!m->joined[0] && !m->joined[1] && !m->joined[2])
		m->left = (m->second_large && i == 1) || (!m->pinned && !faults(m, i));
	m->joined[i] = true;
	if (!m->stock)
		must_be(iopf_serves_me() == !m->left);
}

void mixed_leave(struct mixed *m, unsigned int i)
{
	vfio_dev_close(&m->r.vfio[i]);
	m->joined[i] = false;
}

void mixed_close(struct mixed *m, const char *what)
{
	unsigned int spins = 0;

	rig_clean(&m->r);
	rig_close(&m->r);
	memset(m->joined, 0, sizeof(m->joined));
	rig_balanced();
	/* Page tables are freed after a grace period. */
	while (sim_iommu_count("tables") && spins < 20000)
		sim_nap(&spins);
	tap_is(sim_iommu_count("tables"), 0, "%s: no page table is left", what);
	tap_is(mem_status_kb(0, "VmLck") + mem_status_kb(0, "VmPin"), 0, "%s: nothing is charged",
	       what);
}

void mixed_info_is(struct mixed *m, const char *want, const char *what)
{
	struct vfio_iommu_type1_info *info = vfio_get_info(&m->r.c);
	const struct vfio_iommu_type1_info_cap_iova_range *ranges;
	const struct vfio_iommu_type1_info_cap_migration *migration;
	char got[512];
	size_t n;
	unsigned int i;

	must_be(info);
	n = (size_t)snprintf(got, sizeof(got), "%#llx", (unsigned long long)info->iova_pgsizes);
	ranges = (const void *)vfio_info_cap(info, VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE);
	for (i = 0; ranges && i < ranges->nr_iovas; i++)
		n += (size_t)snprintf(got + n, sizeof(got) - n, " %#llx-%#llx",
				      (unsigned long long)ranges->iova_ranges[i].start,
				      (unsigned long long)ranges->iova_ranges[i].end);
	snprintf(got + n, sizeof(got) - n, " %scoherent",
		 ioctl(m->r.c.fd, VFIO_CHECK_EXTENSION, VFIO_DMA_CC_IOMMU) ? "" : "not ");
	if (!tap_ok(!strcmp(got, want), "%s: %s", what, want))
		tap_diag("got: %s", got);
	migration = (const void *)vfio_info_cap(info, VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION);
	must_be(migration);
	tap_is(migration->pgsize_bitmap, info->iova_pgsizes & -info->iova_pgsizes,
	       "%s: dirty pages are of the smallest size", what);
	free(info);
}

void mixed_steps(struct mixed *m, const struct mixed_step *steps, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		if (steps[i].leaves)
			mixed_leave(m, steps[i].device);
		else
			mixed_join(m, steps[i].device);
		mixed_info_is(m, steps[i].info, steps[i].what);
	}
}

void mixed_charged(struct mixed *m, size_t mapped, const char *what)
{
	tap_is((mem_status_kb(0, "VmLck") + mem_status_kb(0, "VmPin")) * 1024,
	       mixed_holds(m) ? mapped : 0, "%s: bytes charged", what);
}

void mixed_agree(struct mixed *m, const struct simbuf *b, uint64_t seed, const char *what)
{
	unsigned int i, j, wrong = 0;
	char text[128];

	for (i = 0; i < MIXED_DEVICES; i++) {
		if (!m->joined[i])
			continue;
		snprintf(text, sizeof(text), "%s: device %u", what, i);
		rig_both_ways(&m->r.sim[i], b, seed + 10 * i, text);
		wrong += !!sim_write(&m->r.sim[i], b, 0, b->len, seed + 10 * i + 5, NULL);
		for (j = 0; j < MIXED_DEVICES; j++)
			if (m->joined[j])
				wrong += !!sim_verify(&m->r.sim[j], b, 0, b->len,
						      seed + 10 * i + 5, NULL);
	}
	tap_is(wrong, 0, "%s: all read the data of one", what);
}

void mixed_none_reach(struct mixed *m, const struct simbuf *b, const char *what)
{
	unsigned int i;

	for (i = 0; i < MIXED_DEVICES; i++)
		if (m->joined[i])
			rig_status_is(sim_write(&m->r.sim[i], b, 0, MEM_PAGE, 1, NULL),
				      faults(m, i) ? IOPF_SIM_ST_INVALID : IOPF_SIM_ST_UNTRANSLATED,
				      "%s: device %u", what, i);
}

static void run(const struct mixed_round *s)
{
	struct mixed m = {
		.second = strstr(s->sim, "second=0x6") ? 6 : 2,
		.stock = !s->backend,
		.pinned = !s->backend || *s->backend,
		.second_faults = !strstr(s->sim, MIXED_NO_FAULTS),
		.second_large = strstr(s->sim, MIXED_LARGE),
	};

	tap_diag("%s: %s; %s", s->what, s->sim,
		 m.stock ? "stock type1" : m.pinned ? "the backend, all pinned" : "the backend");
	rig_load(s->sim, s->backend);
	s->check(&m);
}

void mixed_run(const struct mixed_round *rounds, unsigned int n)
{
	bool stock_only = rig_stock();
	unsigned int i;

	for (i = 0; i < n; i++)
		if (!rounds[i].backend || !stock_only)
			run(&rounds[i]);
}
