/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Facts about a PCI device that decide whether it can take page faults. pci.c reads configuration
 * space; facts.c reads sysfs and the device table; model/verdict.c draws the conclusion.
 *
 * This header does not include core/: core's u64 conflicts with that of libpci's headers, which
 * pci.c includes.
 */
#ifndef CLI_FACTS_H
#define CLI_FACTS_H

#include <stdbool.h>
#include <stdint.h>

#define FACTS_NAME	64
#define FACTS_TEXT	576	/* large enough for a line of the device table */
#define FACTS_OTHERS	8

struct rules;

/**
 * enum fact - whether a device has a feature
 * @FACT_UNKNOWN: unknown; perhaps this user may not read it
 * @FACT_NO: absent
 * @FACT_YES: present; for a capability: present and disabled
 * @FACT_ON: present and enabled
 */
enum fact {
	FACT_UNKNOWN,
	FACT_NO,
	FACT_YES,
	FACT_ON,
};

/**
 * struct facts - a PCI device
 * @name: its address
 * @label: names of vendor and product
 * @vendor: PCI vendor id
 * @device: PCI device id
 * @subvendor: PCI subsystem vendor id
 * @subdevice: PCI subsystem device id
 * @class: class, subclass, interface
 * @bridge: it is a bridge
 * @physfn: the physical function of a virtual function, or ""
 * @ats: address translation services; a virtual function has its own
 * @pri: page request interface, of the physical function
 * @pasid: process address space ids, of the physical function
 * @pri_failed: PRI has received a Response Failure, and is off until a reset
 * @stall: the device stalls transactions to a missing page, and its IOMMU permits that
 * @iommus: the machine has an active IOMMU
 * @iommu: the IOMMU of the device, or ""
 * @iommu_kind: the kind of @iommu: "intel-iommu", "amd-iommu", ...; or ""
 * @iommu_version: the version of @iommu, or ""
 * @prs: whether @iommu accepts page requests
 * @group: IOMMU group, or ""
 * @nr_others: number of other devices in the group that may not fault
 * @others: up to FACTS_OTHERS of these devices, separated by blanks; or ""
 * @driver: its driver, or ""
 * @vfio: @driver is a VFIO driver
 * @loaded: vfio_iommu_iopf is loaded
 * @known: vfio_iommu_iopf knows the device
 * @mode: how the device may fault: an enum iopf_mode
 * @policy: the policy for its memory, or ""
 * @windows: somebody has declared a window in which the device does not fault
 * @origin: the origin of @mode: "ids", "admin", "builtin", "default", or "override" (set by hand)
 * @rule: the rule that sets @mode, or ""
 * @backend: the backend of its container, or ""
 * @reason: why its memory is pinned, see core/reason.h; or ""
 * @container: its container, or ""
 * @faults: number of its faults since a VFIO driver was bound to it
 */
struct facts {
	char name[FACTS_NAME];
	char label[FACTS_TEXT];
	uint16_t vendor;
	uint16_t device;
	uint16_t subvendor;
	uint16_t subdevice;
	uint32_t class;
	bool bridge;
	char physfn[FACTS_NAME];
	enum fact ats;
	enum fact pri;
	enum fact pasid;
	bool pri_failed;
	enum fact stall;
	bool iommus;
	char iommu[FACTS_NAME];
	char iommu_kind[FACTS_NAME];
	char iommu_version[FACTS_NAME];
	enum fact prs;
	char group[FACTS_NAME];
	unsigned int nr_others;
	char others[FACTS_TEXT];
	char driver[FACTS_NAME];
	bool vfio;
	bool loaded;
	bool known;
	int mode;
	char policy[FACTS_NAME];
	bool windows;
	char origin[FACTS_NAME];
	char rule[FACTS_TEXT];
	char backend[FACTS_NAME];
	char reason[FACTS_TEXT];
	char container[FACTS_NAME];
	uint64_t faults;
};

/**
 * struct facts_common - facts that several devices share
 * @rules: the device table
 * @iommus: the machine has an active IOMMU
 * @groups: the IOMMU groups read so far: a tree of tsearch()
 */
struct facts_common {
	const struct rules *rules;
	bool iommus;
	void *groups;
};

void facts_begin(struct facts_common *common, const struct rules *rules);
void facts_end(struct facts_common *common);
void facts_gather(struct facts *f, struct facts_common *common);
const char *fact_word(enum fact fact);

#endif /* CLI_FACTS_H */
