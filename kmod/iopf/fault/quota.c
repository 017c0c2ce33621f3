// SPDX-License-Identifier: GPL-2.0-only
/*
 * Quotas: how much of the host's work a container may ask for at a time.
 *
 *   fault_workers_max  faults that have a worker, of those that wait for memory, a disk, user space
 *   prefetch_max   prefetched pages that its devices have not used yet
 *
 * Who is at its quota is slowed: faults wait for one of the workers, in order, and less is had
 * ahead. Nobody else notices, since the workers of a container are its own.
 *
 * A quota is divided among the groups, or devices, evenly, and each looks at its own share only. So
 * a fault that waits for a worker waits for its own group's, which there is always one of
 * (fault.c), and nothing has to be counted in one place. A group has one worker at least,
 * whatever the quota, and IOPF_DEVICE_WORKERS at most; a share of what may be had ahead may be
 * nothing. A change is seen by the next fault; what is under way is not taken back.
 *
 * Hence a share is not lent while its owner is idle: a worker may be asleep until user space
 * provides a page, which may be never, and what has been had ahead stays until it is used. Neither
 * could be had back in bounded time, so whoever lent would be without, or the quota be exceeded.
 *
 * Locking: the container's lock; iopf_attach.lock inside. Reading waits for neither.
 */
#include <linux/cleanup.h>
#include <linux/kernel.h>
#include <linux/kstrtox.h>
#include <linux/sysfs.h>

#include "../vfio/attach.h"
#include "../vfio/container.h"
#include "../vfio/limits.h"
#include "fault.h"
#include "quota.h"

/*
 * Workers for the faults of one attachment: as many requests as keep a disk busy. A container
 * has as many as a workqueue can have (512), so 16 devices can be stuck with all of theirs
 * before others have to share.
 */
#define IOPF_DEVICE_WORKERS	32U

/**
 * iopf_quota_share() - divide the quotas anew
 * @c: the container, locked; a quota has changed, or a group come or gone
 */
void iopf_quota_share(struct iopf_container *c)
{
	unsigned int groups = 0, devices = 0;
	struct iopf_attach *at;

	lockdep_assert_held(&c->lock);

	list_for_each_entry(at, &c->attaches, node) {
		groups++;
		devices += at->nr_devices;
	}
	list_for_each_entry(at, &c->attaches, node) {
		WRITE_ONCE(at->max_workers,
			   clamp(c->fault_workers_max / groups, 1U, IOPF_DEVICE_WORKERS));
		WRITE_ONCE(at->max_ahead,
			   c->prefetch_max == UINT_MAX ? UINT_MAX : c->prefetch_max / devices);
		iopf_fault_more_workers(at);
	}
}

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

/* Faults that have a worker now. */
static ssize_t faults_parked_show(struct iopf_container *c, char *buf)
{
	struct iopf_attach *at;
	unsigned int n = 0;

	guard(mutex)(&iopf_devices_lock);
	list_for_each_entry(at, &c->attaches, node)
		n += READ_ONCE(at->workers);
	return sysfs_emit(buf, "%u\n", n);
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

static const struct iopf_container_attr quota_faults_parked = {
	.attr = { .name = "fault_workers", .mode = 0444 },
	.show = faults_parked_show,
};

static const struct attribute *const quota_attrs[] = {
	&quota_fault_workers_max.attr,
	&quota_prefetch_max.attr,
	&quota_faults_parked.attr,
	NULL,
};

/**
 * iopf_quota_add_files() - have the quotas in sysfs
 * @c: the container, whose directory is there; with it the files go
 *
 * Return: 0 or a negative error number.
 */
int iopf_quota_add_files(struct iopf_container *c)
{
	return sysfs_create_files(&c->kobj, (const struct attribute *const *)quota_attrs);
}
