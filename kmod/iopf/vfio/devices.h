/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_DEVICES_H
#define IOPF_DEVICES_H

#include <linux/types.h>

#include "../../../core/mode.h"

struct iopf_container;
struct iopf_device;

struct iopf_container *iopf_device_enter(struct iopf_device *d, bool interruptible);
bool iopf_device_in(struct iopf_device *d, const struct iopf_container *c);
void iopf_device_leave(struct iopf_container *c);

int iopf_device_set_enabled(struct iopf_device *d, bool enable);
int iopf_device_set_mode(struct iopf_device *d, enum iopf_mode mode);
int iopf_device_set_policy(struct iopf_device *d, enum iopf_policy policy);

void iopf_device_claimed(struct iopf_device *d, struct iopf_container *c);
void iopf_device_unclaimed(struct iopf_device *d);
void iopf_device_unbind(struct iopf_device *d);
void iopf_device_forget(const char *name);

#endif /* IOPF_DEVICES_H */
