// SPDX-License-Identifier: GPL-2.0-only
/*
 * Kinds of IOMMU.
 *
 * Purpose: a machine may have IOMMUs that differ. Some devices, chosen by a bit mask,
 * are behind one of a second kind, whose properties are module parameters; the others are
 * behind the first kind, which can do everything.
 *
 * Invariants:
 *  - A domain is of the kind of the device it was made for, and only devices of that
 *    kind can be attached to it.
 *  - A kind has 4 KiB or 64 KiB pages, not both: a leaf of 64 KiB is 16 entries of a table and
 *    must not be taken apart.
 *
 * Locking: none. What is here does not change after init.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/align.h>
#include <linux/bits.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/pci.h>
#include <linux/sizes.h>

#include "kind.h"
#include "pagetable.h"

static unsigned long long second;
module_param(second, ullong, 0444);
MODULE_PARM_DESC(second, "bit mask of the devices behind an IOMMU of the second kind (default none)");

static unsigned long long second_pgsizes = IOPF_SIM_PGSIZES;
module_param(second_pgsizes, ullong, 0444);
MODULE_PARM_DESC(second_pgsizes, "its page sizes, out of 4 KiB or 64 KiB, 2 MiB, 1 GiB (default 0x40201000)");

static unsigned long long second_first;
module_param(second_first, ullong, 0444);
MODULE_PARM_DESC(second_first, "first address it translates (default 0)");

static unsigned long long second_last = BIT_ULL(IOPF_SIM_IOVA_BITS) - 1;
module_param(second_last, ullong, 0444);
MODULE_PARM_DESC(second_last, "last address it translates (default 2^48 - 1)");

static bool second_coherent = true;
module_param(second_coherent, bool, 0444);
MODULE_PARM_DESC(second_coherent, "it can enforce cache coherency (default Y)");

static bool second_iopf = true;
module_param(second_iopf, bool, 0444);
MODULE_PARM_DESC(second_iopf, "its devices can fault (default Y)");

static unsigned long long second_sw_msi;
module_param(second_sw_msi, ullong, 0444);
MODULE_PARM_DESC(second_sw_msi, "MSIs are translated, in 1 MiB from here on (default 0: they are not)");

static unsigned long long second_resv[2 * IOPF_SIM_MAX_RESV];
static unsigned int nr_second_resv;
module_param_array(second_resv, ullong, &nr_second_resv, 0444);
MODULE_PARM_DESC(second_resv, "its reserved regions: first,last[,first,last...], up to 4");

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
 * iopf_sim_kind_init() - make the kinds from the module's parameters
 *
 * Return: 0; -EINVAL, and the log says which parameter is wrong.
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
		pr_err("second_pgsizes=0x%llx: either 4 KiB or 64 KiB, and 2 MiB, 1 GiB or none of them\n",
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
		pr_err("second_sw_msi=0x%llx: not a window of 1 MiB that can be translated\n",
		       second_sw_msi);
		return -EINVAL;
	}
	if (nr_second_resv % 2) {
		pr_err("second_resv: a last address is missing\n");
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
 * iopf_sim_kind_of() - the kind of IOMMU in front of a device
 * @devfn: device and function
 *
 * Return: the kind.
 */
const struct iopf_sim_kind *iopf_sim_kind_of(u8 devfn)
{
	unsigned int index = PCI_SLOT(devfn) + 32 * PCI_FUNC(devfn);

	return &kinds[index < 64 && second & BIT_ULL(index)];
}
