// SPDX-License-Identifier: GPL-2.0-only
/*
 * The rules of the device table that the module contains. See devtable.h.
 *
 * A device is listed only if its vendor or the kernel has stated in public how it handles page
 * faults. The comment of its rule names the source. Files are those of Linux 6.12. A rule only
 * permits faults. Whether the IOMMU of the device supports them is up to the driver of the IOMMU,
 * which decides when the device is attached.
 *
 * HiSilicon's accelerators can wait for any time in any transaction. The property "dma-can-stall"
 * says this (Documentation/devicetree/bindings/iommu/iommu.txt). The kernel sets it for revisions
 * 0x21 and 0x30; a device tree may set it for others. For a device without it, the IOMMU driver
 * (arm-smmu-v3) cannot enable page faults, unless its IOMMU stalls all devices
 * (ARM_SMMU_FEAT_STALL_FORCE).
 *
 * Intel's DSA and IAA wait for a page if the descriptor has the flag "block on fault" and the work
 * queue permits it. The user of the device decides both. Other descriptors end early
 * (DSA_COMP_PAGE_FAULT_NOBOF); their program should then touch the page and continue. In a guest
 * this fails again, since a touch by the guest does not map the page in the IOMMU. Stock vfio-pci
 * refuses only the devices of Sapphire Rapids (drivers/vfio/pci/vfio_pci.c,
 * vfio_pci_dev_in_denylist()), unless its parameter disable_denylist is set.
 *
 * For the AMD GPUs the kernel disables ATS, since ATS does not work until their driver has set it
 * up. Without ATS there are no page requests. (For 1002:15d8 the kernel disables ATS on one
 * revision of some boards. A rule cannot distinguish these, so the device is not listed.)
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
