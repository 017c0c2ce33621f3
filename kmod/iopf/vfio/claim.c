// SPDX-License-Identifier: GPL-2.0-only
/*
 * Claiming the devices of a group.
 *
 * The devices of a group are claimed (iopf_device.attach) from iopf_claim_group() until the group
 * has left. While a device is claimed, its settings change under the container's lock only.
 *
 * Locking: the container's lock; iopf_devices_lock inside of it, for a moment at a time.
 */
#include <linux/cleanup.h>
#include <linux/device.h>
#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "../device/device.h"
#include "../device/table.h"
#include "../fault/latency.h"
#include "../fault/queue.h"
#include "attach.h"
#include "claim.h"
#include "container.h"
#include "devices.h"

static int count_device(struct device *dev, void *data)
{
	(*(unsigned int *)data)++;
	return 0;
}

struct collect {
	struct device **dev;
	unsigned int nr;
	unsigned int max;
};

static int collect_device(struct device *dev, void *data)
{
	struct collect *collect = data;

	if (collect->nr == collect->max)
		return -EAGAIN;
	collect->dev[collect->nr++] = get_device(dev);
	return 0;
}

static void attach_free(struct iopf_fault_queue *fq)
{
	struct iopf_attach *at = container_of(fq, struct iopf_attach, faults);

	for (unsigned int i = 0; i < fq->nr_devices; i++)
		if (fq->device[i])
			iopf_device_put(fq->device[i]);
	iopf_fq_end(fq);
	kfree(at);
}

/* Claim all devices for this attachment, or none of them. */
static int attach_claim(struct iopf_attach *at, struct device **dev)
{
	for (unsigned int i = 0; i < at->faults.nr_devices; i++) {
		struct iopf_device *d = iopf_device_get(dev[i]);

		if (IS_ERR(d))
			return PTR_ERR(d);
		at->faults.device[i] = d;
	}
	guard(mutex)(&iopf_devices_lock);
	for (unsigned int i = 0; i < at->faults.nr_devices; i++) {
		at->faults.device[i]->attach = at;
		iopf_device_claimed(at->faults.device[i], at->container);
	}
	return 0;
}

/**
 * iopf_claim_group() - claim the devices of a group that is about to be attached
 * @c: the container, locked
 * @group: the group
 *
 * Return: an attachment with its devices, not attached yet; or an error pointer. The caller undoes
 * it with iopf_claim_end() and iopf_fq_put().
 */
struct iopf_attach *iopf_claim_group(struct iopf_container *c, struct iommu_group *group)
{
	struct collect collect = { };
	struct iopf_attach *at;
	unsigned int nr = 0;
	int ret;

	iommu_group_for_each_dev(group, &nr, count_device);
	if (!nr)
		return ERR_PTR(-ENODEV);
	at = kzalloc(struct_size(at, faults.device, nr), GFP_KERNEL_ACCOUNT);
	collect.dev = kcalloc(nr, sizeof(*collect.dev), GFP_KERNEL);
	if (!at || !collect.dev) {
		ret = -ENOMEM;
		goto err_free;
	}
	at->faults.nr_devices = nr;
	at->container = c;
	at->group = group;

	collect.max = nr;
	ret = iopf_fq_init(&at->faults, &c->space, attach_free) ?:
	      iommu_group_for_each_dev(group, &collect, collect_device);
	if (!ret && collect.nr != nr)
		ret = -EAGAIN;
	if (!ret)
		ret = attach_claim(at, collect.dev);
	for (unsigned int i = 0; i < collect.nr; i++)
		put_device(collect.dev[i]);
	kfree(collect.dev);
	if (ret) {
		iopf_fq_put(&at->faults);
		return ERR_PTR(ret);
	}
	iopf_fault_room(&at->faults);
	return at;

err_free:
	kfree(collect.dev);
	kfree(at);
	return ERR_PTR(ret);
}

/**
 * iopf_claim_end() - release the devices of a group that has left, or was not attached
 * @at: the group
 * @left: the group has left, so no module serves its devices any more. Otherwise the caller has
 *        called iopf_claim_served() if another module is to serve them
 */
void iopf_claim_end(struct iopf_attach *at, bool left)
{
	guard(mutex)(&iopf_devices_lock);
	for (unsigned int i = 0; i < at->faults.nr_devices; i++) {
		iopf_latency_detach(at->faults.device[i]);
		at->faults.device[i]->attach = NULL;
		iopf_device_unclaimed(at->faults.device[i]);
		if (left)
			iopf_device_released(at->faults.device[i]);
		iopf_table_released(at->faults.device[i]);
	}
}

/**
 * iopf_claim_served() - set the backend of the devices of a group
 * @at: the group
 * @by: name of the module that serves them
 * @reason: why this module does not serve them, or why they may not fault, or ""; a constant
 */
void iopf_claim_served(struct iopf_attach *at, const char *by, const char *reason)
{
	guard(mutex)(&iopf_devices_lock);
	for (unsigned int i = 0; i < at->faults.nr_devices; i++)
		iopf_device_served(at->faults.device[i], by, reason);
}
