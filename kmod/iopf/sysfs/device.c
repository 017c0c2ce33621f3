// SPDX-License-Identifier: GPL-2.0-only
/*
 * Files of a device in sysfs: how it may fault, which backend serves it, and its counters.
 *
 * Locking: reading takes iopf_devices_lock, which is held for short times only. Writing takes other
 * locks; see vfio/devices.c.
 */
#include <linux/cleanup.h>
#include <linux/kobject.h>
#include <linux/kstrtox.h>
#include <linux/percpu.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "../device/device.h"
#include "../vfio/attach.h"
#include "../vfio/container.h"
#include "../vfio/devices.h"
#include "device.h"

struct device_attr {
	struct attribute attr;
	ssize_t (*show)(struct iopf_device *d, char *buf);
	ssize_t (*store)(struct iopf_device *d, const char *buf, size_t count);
	enum iopf_stat stat;
};

#define DEVICE_RO(_name) \
	static const struct device_attr device_##_name = { \
		.attr = { .name = #_name, .mode = 0444 }, \
		.show = _name##_show, \
	}

#define DEVICE_RW(_name) \
	static const struct device_attr device_##_name = { \
		.attr = { .name = #_name, .mode = 0644 }, \
		.show = _name##_show, \
		.store = _name##_store, \
	}

static ssize_t enabled_show(struct iopf_device *d, char *buf)
{
	return sysfs_emit(buf, "%d\n", READ_ONCE(d->enabled));
}

static ssize_t enabled_store(struct iopf_device *d, const char *buf, size_t count)
{
	bool enable;
	int ret = kstrtobool(buf, &enable);

	return ret ?: iopf_device_set_enabled(d, enable) ?: count;
}

DEVICE_RW(enabled);

static ssize_t mode_show(struct iopf_device *d, char *buf)
{
	return sysfs_emit(buf, "%s\n", iopf_mode_name(READ_ONCE(d->mode)));
}

static ssize_t mode_store(struct iopf_device *d, const char *buf, size_t count)
{
	int mode = iopf_mode_parse(buf, strcspn(buf, "\n"));

	if (mode < 0)
		return mode;
	return iopf_device_set_mode(d, mode) ?: count;
}

DEVICE_RW(mode);

static ssize_t policy_show(struct iopf_device *d, char *buf)
{
	return sysfs_emit(buf, "%s\n", iopf_policy_name(READ_ONCE(d->policy)));
}

static ssize_t policy_store(struct iopf_device *d, const char *buf, size_t count)
{
	int policy = iopf_policy_parse(buf, strcspn(buf, "\n"));

	if (policy < 0)
		return policy;
	return iopf_device_set_policy(d, policy) ?: count;
}

DEVICE_RW(policy);

static ssize_t windows_show(struct iopf_device *d, char *buf)
{
	int len = 0;

	guard(mutex)(&iopf_devices_lock);
	for (unsigned int i = 0; i < d->nr_windows; i++)
		len += sysfs_emit_at(buf, len, "0x%llx-0x%llx\n", d->windows[i].first,
				     d->windows[i].last);
	return len;
}

DEVICE_RO(windows);

static ssize_t rule_show(struct iopf_device *d, char *buf)
{
	guard(mutex)(&iopf_devices_lock);
	return sysfs_emit(buf, "%s\n", d->rule ?: "");
}

DEVICE_RO(rule);

static ssize_t backend_show(struct iopf_device *d, char *buf)
{
	guard(mutex)(&iopf_devices_lock);
	return sysfs_emit(buf, "%s\n", d->backend);
}

DEVICE_RO(backend);

static ssize_t reason_show(struct iopf_device *d, char *buf)
{
	guard(mutex)(&iopf_devices_lock);
	return sysfs_emit(buf, "%s\n", d->reason);
}

DEVICE_RO(reason);

/* Before a container is released, d->attach is cleared under iopf_devices_lock. */
static ssize_t container_show(struct iopf_device *d, char *buf)
{
	guard(mutex)(&iopf_devices_lock);
	return d->attach && d->attach->listed ?
		       sysfs_emit(buf, "%u\n", d->attach->container->id)
			 : sysfs_emit(buf, "none\n");
}

DEVICE_RO(container);

static u64 device_stat(struct iopf_device *d, enum iopf_stat stat)
{
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu_ptr(d->stats, cpu)->count[stat]);
	return sum;
}

#define DEVICE_STAT(_name, _stat) \
	static const struct device_attr device_##_name = { \
		.attr = { .name = #_name, .mode = 0444 }, \
		.stat = _stat, \
	}

DEVICE_STAT(faults, IOPF_STAT_FAULTS);
DEVICE_STAT(page_requests, IOPF_STAT_PAGE_REQUESTS);
DEVICE_STAT(pages_mapped, IOPF_STAT_MAPPED);
DEVICE_STAT(parked, IOPF_STAT_PARKED);
DEVICE_STAT(coalesced, IOPF_STAT_COALESCED);
DEVICE_STAT(retries, IOPF_STAT_RETRIES);
DEVICE_STAT(retries_exhausted, IOPF_STAT_RETRIES_EXHAUSTED);
DEVICE_STAT(deferred, IOPF_STAT_DEFERRED);
DEVICE_STAT(responses_invalid, IOPF_STAT_RESPONSES_INVALID);
DEVICE_STAT(prefetched, IOPF_STAT_PREFETCHED);
DEVICE_STAT(prefetch_used, IOPF_STAT_PREFETCH_USED);
DEVICE_STAT(prefetch_wasted, IOPF_STAT_PREFETCH_WASTED);
DEVICE_STAT(unexpected_locked, IOPF_STAT_UNEXPECTED_LOCKED);
DEVICE_STAT(unexpected_disabled, IOPF_STAT_UNEXPECTED_DISABLED);

const struct attribute *const iopf_device_attrs[] = {
	&device_enabled.attr,
	&device_mode.attr,
	&device_policy.attr,
	&device_windows.attr,
	&device_rule.attr,
	&device_backend.attr,
	&device_reason.attr,
	&device_container.attr,
	&device_faults.attr,
	&device_page_requests.attr,
	&device_pages_mapped.attr,
	&device_parked.attr,
	&device_coalesced.attr,
	&device_retries.attr,
	&device_retries_exhausted.attr,
	&device_deferred.attr,
	&device_responses_invalid.attr,
	&device_prefetched.attr,
	&device_prefetch_used.attr,
	&device_prefetch_wasted.attr,
	&device_unexpected_locked.attr,
	&device_unexpected_disabled.attr,
	NULL,
};

static ssize_t device_attr_show(struct kobject *kobj, struct attribute *attr, char *buf)
{
	const struct device_attr *a = container_of_const(attr, struct device_attr, attr);
	struct iopf_device *d = container_of(kobj, struct iopf_device, kobj);

	if (a->show)
		return a->show(d, buf);
	return sysfs_emit(buf, "%llu\n", device_stat(d, a->stat));
}

static ssize_t device_attr_store(struct kobject *kobj, struct attribute *attr, const char *buf,
				 size_t count)
{
	const struct device_attr *a = container_of_const(attr, struct device_attr, attr);

	return a->store ? a->store(container_of(kobj, struct iopf_device, kobj), buf, count)
			: -EIO;
}

const struct sysfs_ops iopf_device_sysfs_ops = {
	.show = device_attr_show,
	.store = device_attr_store,
};
