/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Facts about a PCI device that decide whether it can take page faults. They are gathered from
 * configuration space (pci.c), sysfs and the device table (facts.c), and judged in verdict.c.
 *
 * Nothing of core/ is included: its u64 is not that of libpci's headers, which pci.c needs.
 */
#ifndef CLI_FACTS_H
#define CLI_FACTS_H

#include <stdbool.h>
#include <stdint.h>

#define FACTS_NAME	64
#define FACTS_TEXT	576	/* a line of the device table, too */
#define FACTS_OTHERS	8

struct rules;

/**
 * enum fact - what is known of a thing
 * @FACT_UNKNOWN: nothing: it can't be read, or not by this user
 * @FACT_NO: it is not there
 * @FACT_YES: it is there; of a capability: and switched off
 * @FACT_ON: the capability is there and switched on
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
 * @label: vendor and product, for people
 * @vendor: PCI ids
 * @device: likewise
 * @subvendor: likewise
 * @subdevice: likewise
 * @class: class, subclass, interface
 * @bridge: it is a bridge
 * @physfn: of a virtual function: the physical function, which has its capabilities; otherwise ""
 * @ats: address translation services; of virtual functions their own
 * @pri: page request interface
 * @pasid: process address space ids
 * @pri_failed: the interface has met a failure response: it is off until reset
 * @stall: it waits on the bus for a missing page, behind an IOMMU that lets it
 * @iommus: the machine has an IOMMU in use
 * @iommu: the IOMMU it is behind, or ""
 * @iommu_kind: what that is: "intel-iommu", "amd-iommu", ...; or ""
 * @iommu_version: what it says of itself, or ""
 * @prs: that IOMMU takes page requests
 * @group: IOMMU group, or ""
 * @nr_others: other devices of the group that may not fault: how many
 * @others: FACTS_OTHERS of them at most, as words; or ""
 * @driver: its driver, or ""
 * @vfio: that is a VFIO driver
 * @loaded: vfio_iommu_iopf is there
 * @known: and knows the device
 * @mode: how it may fault: an enum iopf_mode
 * @policy: word for what is done about its memory, or ""
 * @windows: where it does not fault is declared
 * @origin: who says how it may fault: "ids", "admin", "builtin", "default", or "set" by hand
 * @rule: the rule that says so, or ""
 * @served_by: who serves its container, or ""
 * @reason: why not vfio_iommu_iopf, see core/reason.h; or ""
 * @container: its container, or ""
 * @faults: how often it has faulted since it was bound
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
	char served_by[FACTS_NAME];
	char reason[FACTS_TEXT];
	char container[FACTS_NAME];
	uint64_t faults;
};

/**
 * struct facts_common - what several devices have in common
 * @rules: the device table
 * @iommus: the machine has an IOMMU in use
 * @groups: IOMMU groups that were read; of tsearch()
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
