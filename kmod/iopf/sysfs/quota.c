// SPDX-License-Identifier: GPL-2.0-only
/*
 * Files of a container in sysfs: its quotas. See fault/quota.c.
 */
#include <linux/cleanup.h>
#include <linux/kernel.h>
#include <linux/kstrtox.h>
#include <linux/sysfs.h>

#include "../device/device.h"
#include "../fault/quota.h"
#include "../vfio/container.h"
#include "../vfio/limits.h"
#include "quota.h"

static ssize_t quota_emit(char *buf, unsigned int quota)
{
	if (quota == UINT_MAX)
		return sysfs_emit(buf, "max\n");
	return sysfs_emit(buf, "%u\n", quota);
}

static ssize_t quota_set(struct iopf_container *c, enum iopf_setting setting, const char *buf,
			 size_t count, unsigned int least)
{
	unsigned int value = UINT_MAX;
	int ret = 0;

	if (!sysfs_streq(buf, "max"))
		ret = kstrtouint(buf, 0, &value);
	if (!ret && value < least)
		ret = -EINVAL;
	if (!ret)
		ret = iopf_limits_set(c, setting, value == UINT_MAX ? IOPF_SETTING_MAX : value);
	return ret ?: count;
}

static ssize_t fault_workers_max_show(struct iopf_container *c, char *buf)
{
	return quota_emit(buf, READ_ONCE(c->fault_workers_max));
}

static ssize_t fault_workers_max_store(struct iopf_container *c, const char *buf, size_t count)
{
	return quota_set(c, IOPF_SETTING_FAULT_WORKERS_MAX, buf, count, 1);
}

static ssize_t prefetch_max_show(struct iopf_container *c, char *buf)
{
	return quota_emit(buf, READ_ONCE(c->prefetch_max));
}

static ssize_t prefetch_max_store(struct iopf_container *c, const char *buf, size_t count)
{
	return quota_set(c, IOPF_SETTING_PREFETCH_MAX, buf, count, 0);
}

/* Show how many faults have a worker now. */
static ssize_t fault_workers_show(struct iopf_container *c, char *buf)
{
	guard(mutex)(&iopf_devices_lock);
	return sysfs_emit(buf, "%u\n", iopf_quota_used(&c->attaches));
}

static const struct iopf_container_attr quota_fault_workers_max = {
	.attr = { .name = "fault_workers_max", .mode = 0644 },
	.show = fault_workers_max_show,
	.store = fault_workers_max_store,
};

static const struct iopf_container_attr quota_prefetch_max = {
	.attr = { .name = "prefetch_max", .mode = 0644 },
	.show = prefetch_max_show,
	.store = prefetch_max_store,
};

static const struct iopf_container_attr quota_fault_workers = {
	.attr = { .name = "fault_workers", .mode = 0444 },
	.show = fault_workers_show,
};

const struct attribute *const iopf_quota_attrs[] = {
	&quota_fault_workers_max.attr,
	&quota_prefetch_max.attr,
	&quota_fault_workers.attr,
	NULL,
};
