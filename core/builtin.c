// SPDX-License-Identifier: GPL-2.0-only
/*
 * The rules of the device table that come with the module. See devtable.h.
 *
 * A device is here only if somebody who knows it has said in public how it copes with page
 * faults, and its comment says where. Files are those of Linux 6.12. A rule permits; whether
 * the device's IOMMU can do it is another question, which that one's driver answers when the
 * device is attached.
 *
 * HiSilicon's accelerators can wait for as long as it takes, in any transaction: that is what
 * the property "dma-can-stall" says (Documentation/devicetree/bindings/iommu/iommu.txt). The
 * kernel gives it to their revisions 0x21 and 0x30; others have it if a device tree says so. For
 * one without it the driver of the IOMMU (arm-smmu-v3) can't turn page faults on, unless that IOMMU
 * stalls everything that is behind it (ARM_SMMU_FEAT_STALL_FORCE).
 *
 * Intel's DSA and IAA wait for a page if the descriptor has the flag "block on fault" and its
 * work queue permits that: both are up to who uses the device. Other descriptors end early
 * (DSA_COMP_PAGE_FAULT_NOBOF), and their program is to touch the page and go on; what a guest
 * touches is not in the IOMMU for that, so there it would end as early again. Stock vfio-pci
 * refuses those of Sapphire Rapids, and no others (drivers/vfio/pci/vfio_pci.c,
 * vfio_pci_dev_in_denylist()), unless its parameter disable_denylist is set.
 *
 * For the AMD GPUs the kernel turns ATS off, as it does not work before their driver has set
 * it up; and without ATS there are no page requests. (For 1002:15d8 it does so for one revision of
 * some boards, which a rule can't tell from others: it is not here.)
 */
#include "devtable.h"

#define QUIRKS	"Linux drivers/pci/quirks.c, "
#define STALL	" arbitrary # " QUIRKS "quirk_huawei_pcie_sva(): can stall; "
#define BOF	" selective # waits in descriptors with block-on-fault only, in work queues " \
		"that permit it: Linux Documentation/ABI/stable/sysfs-driver-dma-idxd, " \
		"block_on_fault, prs_disable; include/uapi/linux/idxd.h, IDXD_OP_FLAG_BOF; "
#define NO_ATS	" none # " QUIRKS "quirk_amd_harvest_no_ats(): ATS is kept off; "

const char iopf_devtable_builtin[] =
	"pci 19e5:a250" STALL "HiSilicon ZIP\n"
	"pci 19e5:a251" STALL "HiSilicon ZIP, virtual function\n"
	"pci 19e5:a255" STALL "HiSilicon SEC\n"
	"pci 19e5:a256" STALL "HiSilicon SEC, virtual function\n"
	"pci 19e5:a258" STALL "HiSilicon HPRE\n"
	"pci 19e5:a259" STALL "HiSilicon HPRE, virtual function\n"
	"pci 8086:0b25" BOF "Intel DSA, Sapphire Rapids\n"
	"pci 8086:11fb" BOF "Intel DSA, Granite Rapids D\n"
	"pci 8086:1212" BOF "Intel DSA, Diamond Rapids\n"
	"pci 8086:0cfe" BOF "Intel IAA, Sapphire Rapids\n"
	"pci 8086:1216" BOF "Intel IAA, Diamond Rapids\n"
	"pci 1002:98e4" NO_ATS "AMD Stoney\n"
	"pci 1002:6900" NO_ATS "AMD Iceland\n"
	"pci 1002:7310" NO_ATS "AMD Navi10\n"
	"pci 1002:7312" NO_ATS "AMD Navi10\n"
	"pci 1002:7318" NO_ATS "AMD Navi10\n"
	"pci 1002:7319" NO_ATS "AMD Navi10\n"
	"pci 1002:731a" NO_ATS "AMD Navi10\n"
	"pci 1002:731b" NO_ATS "AMD Navi10\n"
	"pci 1002:731e" NO_ATS "AMD Navi10\n"
	"pci 1002:731f" NO_ATS "AMD Navi10\n"
	"pci 1002:7340" NO_ATS "AMD Navi14\n"
	"pci 1002:7341" NO_ATS "AMD Navi14\n"
	"pci 1002:7347" NO_ATS "AMD Navi14\n"
	"pci 1002:734f" NO_ATS "AMD Navi14\n";

const size_t iopf_devtable_builtin_len = sizeof(iopf_devtable_builtin) - 1;
