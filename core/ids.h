/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The administrator's list of devices that may fault: a comma-separated list of "vendor:device"
 * (hexadecimal; "*" is any device of the vendor), and of PCI addresses or other device names; or
 * the word "all".
 */
#ifndef IOPF_CORE_IDS_H
#define IOPF_CORE_IDS_H

#include "shim.h"

/**
 * struct iopf_id - identity of a device
 * @name: its name on its bus ("0000:01:00.0")
 * @vendor: PCI vendor id
 * @device: PCI device id
 * @subvendor: PCI subsystem's vendor id
 * @subdevice: PCI subsystem's device id
 * @class: PCI class, subclass and programming interface, a byte each
 * @pci: it is a PCI device, so the ids are valid
 */
struct iopf_id {
	const char *name;
	u16 vendor;
	u16 device;
	u16 subvendor;
	u16 subdevice;
	u32 class;
	bool pci;
};

int iopf_ids_check(const char *list, const char **bad, size_t *bad_len);
bool iopf_ids_match(const char *list, const struct iopf_id *id);

#endif /* IOPF_CORE_IDS_H */
