/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_PARTS_H
#define IOPF_PARTS_H

#include "device/device.h"
#include "vfio/part.h"

extern const struct iopf_part iopf_parts[];
extern const struct iopf_devices_ops iopf_parts_devices;

#endif /* IOPF_PARTS_H */
