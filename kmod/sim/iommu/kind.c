// SPDX-License-Identifier: GPL-2.0-only
/*
 * Kinds of IOMMU.
 *
 * Purpose: a machine may have different IOMMUs. There are two kinds. The first kind supports
 * everything. Module parameters give the properties of the second kind, and the bit mask of the
 * devices behind it.
 *
 * Invariants:
 *  - A domain has the kind of the device for which it is allocated. Only devices of that kind can
 *    be attached to it.
 *  - A kind has 4 KiB or 64 KiB pages, not both: a leaf of 64 KiB is 16 entries of a table, and
 *    must not be split.
 *
 * Locking: none. The kinds are constant after init.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/align.h>
#include <linux/bits.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/pci.h>
#include <linux/sizes.h>

#include "iommu.h"

static unsigned long long second;
module_param(second, ullong, 0444);
MODULE_PARM_DESC(second, "bit mask of the devices behind the second kind (default none)");

static unsigned long long second_pgsizes = IOPF_SIM_PGSIZES;
module_param(second_pgsizes, ullong, 0444);
MODULE_PARM_DESC(second_pgsizes, "page sizes: 4 KiB or 64 KiB, and 2 MiB, 1 GiB (default 0x40201000)");

static unsigned long long second_first;
module_param(second_first, ullong, 0444);
MODULE_PARM_DESC(second_first, "first address of the aperture (default 0)");

static unsigned long long second_last = BIT_ULL(IOPF_SIM_IOVA_BITS) - 1;
module_param(second_last, ullong, 0444);
MODULE_PARM_DESC(second_last, "last address of the aperture (default 2^48 - 1)");

static bool second_coherent = true;
module_param(second_coherent, bool, 0444);
MODULE_PARM_DESC(second_coherent, "the second kind can enforce cache coherency (default Y)");

static bool second_iopf = true;
module_param(second_iopf, bool, 0444);
MODULE_PARM_DESC(second_iopf, "devices behind the second kind can fault (default Y)");

static unsigned long long second_sw_msi;
module_param(second_sw_msi, ullong, 0444);
MODULE_PARM_DESC(second_sw_msi, "start of the 1 MiB window for MSIs (default 0: not translated)");

static unsigned long long second_resv[2 * IOPF_SIM_MAX_RESV];
static unsigned int nr_second_resv;
module_param_array(second_resv, ullong, &nr_second_resv, 0444);
MODULE_PARM_DESC(second_resv, "reserved regions: first,last[,first,last...], at most 4");

static struct iopf_sim_kind kinds[] = {
	{
		.pgsizes = IOPF_SIM_PGSIZES,
		.last = BIT_ULL(IOPF_SIM_IOVA_BITS) - 1,
		.coherent = true,
		.iopf = true,
	},
	{ },
};

static bool pages(const struct iopf_sim_kind *kind, u64 first, u64 last)
{
	u64 mask = iopf_sim_kind_page(kind) - 1;

	return first <= last && !(first & mask) && !((last + 1) & mask) &&
	       !(last >> IOPF_SIM_IOVA_BITS);
}

/**
 * iopf_sim_kind_init() - set up the kinds from the module's parameters
 *
 * Return: 0; -EINVAL, after a message that names the bad parameter.
 */
int iopf_sim_kind_init(void)
{
	struct iopf_sim_kind *kind = &kinds[1];
	unsigned int i;

	kind->pgsizes = second_pgsizes;
	kind->first = second_first;
	kind->last = second_last;
	kind->coherent = second_coherent;
	kind->iopf = second_iopf;
	kind->sw_msi = second_sw_msi;
	kind->nr_resv = nr_second_resv / 2;

	if (kind->pgsizes & ~(u64)(IOPF_SIM_PGSIZES | SZ_64K) ||
	    !(kind->pgsizes & SZ_4K) == !(kind->pgsizes & SZ_64K)) {
		pr_err("second_pgsizes=0x%llx: needs 4 KiB or 64 KiB, not both; may add 2 MiB and 1 GiB\n",
		       second_pgsizes);
		return -EINVAL;
	}
	if (!pages(kind, kind->first, kind->last)) {
		pr_err("second_first=0x%llx second_last=0x%llx: not a range of pages below 2^%u\n",
		       second_first, second_last, IOPF_SIM_IOVA_BITS);
		return -EINVAL;
	}
	if (kind->sw_msi &&
	    (!pages(kind, kind->sw_msi, kind->sw_msi + (IOPF_SIM_MSI_SIZE - 1)) ||
	     kind->sw_msi < kind->first || kind->sw_msi + (IOPF_SIM_MSI_SIZE - 1) > kind->last)) {
		pr_err("second_sw_msi=0x%llx: 1 MiB from there is not in the aperture\n",
		       second_sw_msi);
		return -EINVAL;
	}
	if (nr_second_resv % 2) {
		pr_err("second_resv: the last region has no last address\n");
		return -EINVAL;
	}
	for (i = 0; i < kind->nr_resv; i++) {
		kind->resv[i].first = second_resv[2 * i];
		kind->resv[i].last = second_resv[2 * i + 1];
		if (!pages(kind, kind->resv[i].first, kind->resv[i].last)) {
			pr_err("second_resv: 0x%llx,0x%llx: not a range of pages below 2^%u\n",
			       kind->resv[i].first, kind->resv[i].last, IOPF_SIM_IOVA_BITS);
			return -EINVAL;
		}
	}
	return 0;
}

/**
 * iopf_sim_kind_of() - the kind of the IOMMU in front of a device
 * @devfn: device and function
 *
 * Return: the kind.
 */
const struct iopf_sim_kind *iopf_sim_kind_of(u8 devfn)
{
	unsigned int index = PCI_SLOT(devfn) + 32 * PCI_FUNC(devfn);

	return &kinds[index < 64 && second & BIT_ULL(index)];
}
