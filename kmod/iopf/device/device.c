// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices: the data about each device, and the backend that serves it.
 *
 * Every device that is bound to a VFIO driver has a directory under /sys/kernel/vfio_iopf/devices.
 * The administrator or the device table says how the device copes with I/O page faults: see
 * table.c. The folders above make the files of the directory, and act on changes (struct
 * iopf_devices_ops).
 *
 * A bus notifier follows PCI devices. A device on another bus appears when it is first attached,
 * and stays until the module is unloaded, because the module does not learn when it is unbound.
 *
 * Locking: iopf_devices_lock. All code here needs it, so a holder of the lock waits for memory
 * only. A directory is removed without the lock, because the removal waits for readers and writers
 * of its files.
 */
#include <linux/cleanup.h>
#include <linux/device.h>
#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/pci.h>
#include <linux/slab.h>

#include "../../../core/reason.h"
#include "../lib/params.h"
#include "device.h"
#include "table.h"

/* See device.h, and docs/internals/locking.md. */
DEFINE_MUTEX(iopf_devices_lock);

/* Limit of log lines of each kind about a device per interval, whatever its owner does. */
#define LOG_INTERVAL	(60 * HZ)
#define LOG_LINES	10

/*
 * Serialises the creation of devices. Taken outside iopf_devices_lock, which readers of the files
 * take.
 */
static DEFINE_MUTEX(iopf_devices_making);

static LIST_HEAD(iopf_devices);
/* The VFIO core asks another backend before this one, see front.c. Under iopf_devices_lock. */
static bool devices_behind;
static struct kobject *iopf_devices_kobj;
static const struct iopf_devices_ops *devices_ops;

static void device_free(struct kobject *kobj)
{
	struct iopf_device *d = container_of(kobj, struct iopf_device, kobj);

	mutex_destroy(&d->setting);
	put_device(d->dev);
	free_percpu(d->stats);
	kvfree(d->latency_past);
	iopf_table_device_free(d);
	kfree(d);
}

static ssize_t device_attr_show(struct kobject *kobj, struct attribute *attr, char *buf)
{
	return devices_ops->sysfs->show(kobj, attr, buf);
}

static ssize_t device_attr_store(struct kobject *kobj, struct attribute *attr, const char *buf,
				 size_t count)
{
	return devices_ops->sysfs->store(kobj, attr, buf, count);
}

static const struct sysfs_ops device_sysfs_ops = {
	.show = device_attr_show,
	.store = device_attr_store,
};

static const struct kobj_type device_ktype = {
	.sysfs_ops = &device_sysfs_ops,
	.release = device_free,
};

static struct iopf_device *device_new(struct device *dev)
{
	struct iopf_device *d = kzalloc(sizeof(*d), GFP_KERNEL);
	int ret;

	if (!d)
		return ERR_PTR(-ENOMEM);
	kobject_init(&d->kobj, &device_ktype);
	d->dev = get_device(dev);
	mutex_init(&d->setting);
	d->backend = "none";
	d->reason = "";
	spin_lock_init(&d->streams_lock);
	ratelimit_state_init(&d->complaints, LOG_INTERVAL, LOG_LINES);
	ratelimit_state_init(&d->news, LOG_INTERVAL, LOG_LINES);
	ret = -ENOMEM;
	d->stats = alloc_percpu(struct iopf_stats);
	if (!d->stats)
		goto err_put;
	ret = kobject_add(&d->kobj, iopf_devices_kobj, "%s", dev_name(dev));
	if (ret)
		goto err_put;
	ret = devices_ops->publish(d);
	if (ret)
		goto err_del;
	scoped_guard(mutex, &iopf_devices_lock) {
		ret = iopf_table_device(d);
		if (!ret) {
			iopf_device_released(d);
			list_add_tail(&d->node, &iopf_devices);
		}
	}
	if (ret)
		goto err_unpublish;
	return d;

err_unpublish:
	devices_ops->unpublish(d);
err_del:
	kobject_del(&d->kobj);
err_put:
	kobject_put(&d->kobj);
	return ERR_PTR(ret);
}

static struct iopf_device *device_lookup(struct device *dev)
{
	struct iopf_device *d;

	lockdep_assert_held(&iopf_devices_lock);

	list_for_each_entry(d, &iopf_devices, node)
		if (d->dev == dev)
			return d;
	return NULL;
}

static struct iopf_device *device_find(struct device *dev)
{
	struct iopf_device *d;

	guard(mutex)(&iopf_devices_lock);
	d = device_lookup(dev);
	if (d)
		kobject_get(&d->kobj);
	return d;
}

/**
 * iopf_device_get() - find the data of a device, or make it
 * @dev: the device
 *
 * Context: without iopf_devices_lock.
 * Return: the data, with a reference; or an error pointer.
 */
struct iopf_device *iopf_device_get(struct device *dev)
{
	struct iopf_device *d;

	guard(mutex)(&iopf_devices_making);
	d = device_find(dev);
	if (!d) {
		d = device_new(dev);
		if (!IS_ERR(d))
			kobject_get(&d->kobj);
	}
	return d;
}

/**
 * iopf_devices_each() - call a function for each device in the list
 * @fn: the function; a return value other than 0 ends the loop
 * @data: for @fn
 *
 * Context: under iopf_devices_lock.
 * Return: the last return value of @fn.
 */
int iopf_devices_each(int (*fn)(struct iopf_device *d, void *data), void *data)
{
	struct iopf_device *d;
	int ret = 0;

	lockdep_assert_held(&iopf_devices_lock);

	list_for_each_entry(d, &iopf_devices, node) {
		ret = fn(d, data);
		if (ret)
			break;
	}
	return ret;
}

void iopf_device_put(struct iopf_device *d)
{
	kobject_put(&d->kobj);
}

/**
 * iopf_device_served() - note which backend serves a device and why, and log a change
 * @d: the device
 * @by: a module name, or "none"
 * @reason: why this module does not serve the device, or ""; a constant
 *
 * Context: under iopf_devices_lock.
 */
void iopf_device_served(struct iopf_device *d, const char *by, const char *reason)
{
	lockdep_assert_held(&iopf_devices_lock);

	if (*reason && (d->reason != reason || d->backend != by) && __ratelimit(&d->news))
		dev_info(d->dev, IOPF_DRIVER_NAME ": memory is pinned by %s: %s\n", by, reason);
	d->backend = by;
	d->reason = reason;
}

static const char reason_behind[] = IOPF_REASON_SHADOWED
	": vfio_iommu_type1 is asked first (to change that write 1 to /sys/kernel/vfio_iopf/first)";
static const char reason_bypassed[] = IOPF_REASON_OPENED_BEFORE
	": its container was opened while vfio_iommu_type1 was asked first";

/**
 * iopf_device_released() - note that this module knows no container of a device
 * @d: the device
 *
 * Context: under iopf_devices_lock.
 */
void iopf_device_released(struct iopf_device *d)
{
	lockdep_assert_held(&iopf_devices_lock);

	d->backend = devices_behind ? "vfio_iommu_type1" : "none";
	d->reason = devices_behind ? reason_behind : "";
}

/* Return whether the device is in use, by another backend or without one. */
static bool device_claimed(struct iopf_device *d)
{
	struct iommu_group *group = iommu_group_get(d->dev);
	bool claimed = group && iommu_group_dma_owner_claimed(group);

	iommu_group_put(group);
	return claimed;
}

/**
 * iopf_devices_set_behind() - note whether the VFIO core asks another backend before this one
 * @behind: true if it does
 *
 * From now on each device that this module does not serve shows this as its reason. When @behind
 * becomes false, the devices in use show that their container was opened meanwhile.
 */
void iopf_devices_set_behind(bool behind)
{
	struct iopf_device *d;

	guard(mutex)(&iopf_devices_lock);
	devices_behind = behind;
	list_for_each_entry(d, &iopf_devices, node) {
		if (d->attach)
			continue;
		if (behind)
			iopf_device_released(d);
		else if (d->reason == reason_behind && device_claimed(d))
			d->reason = reason_bypassed;
		else if (d->reason == reason_behind)
			iopf_device_released(d);
	}
}

static bool device_is_vfio(struct pci_dev *pdev)
{
	/* Drivers of bridges set driver_managed_dma, too, but VFIO never serves a bridge. */
	return pdev->driver && pdev->driver->driver_managed_dma &&
	       pdev->hdr_type == PCI_HEADER_TYPE_NORMAL;
}

static void device_appear(struct device *dev)
{
	struct iopf_device *d;

	if (!device_is_vfio(to_pci_dev(dev)))
		return;
	d = iopf_device_get(dev);
	if (IS_ERR(d))
		dev_warn(dev, IOPF_DRIVER_NAME ": no sysfs directory: %ld\n", PTR_ERR(d));
	else
		iopf_device_put(d);
}

/* Remove a device from sysfs. Called without the lock. */
static void device_remove(struct iopf_device *d)
{
	devices_ops->unpublish(d);
	kobject_del(&d->kobj);
	iopf_device_put(d);
}

/* Tell the folders above that a device is about to be unbound. */
static void device_unbind(struct device *dev)
{
	struct iopf_device *d;

	scoped_guard(mutex, &iopf_devices_lock) {
		d = device_lookup(dev);
		if (!d)
			return;
		d->unbinding = true;
		kobject_get(&d->kobj);
	}
	devices_ops->unbind(d);
	iopf_device_put(d);
}

/* Take a device off the list, then drop the lock and remove it from sysfs. */
static void device_vanish(struct device *dev)
{
	struct iopf_device *d;

	scoped_guard(mutex, &iopf_devices_lock) {
		d = device_lookup(dev);
		if (d) {
			list_del(&d->node);
			devices_ops->unclaim(d);
			d->unbinding = false;
		}
	}
	if (d)
		device_remove(d);
	devices_ops->forget(dev_name(dev));
}

static int device_notify(struct notifier_block *nb, unsigned long action, void *data)
{
	switch (action) {
	case BUS_NOTIFY_BOUND_DRIVER:
		device_appear(data);
		break;
	case BUS_NOTIFY_UNBIND_DRIVER:
		device_unbind(data);
		break;
	case BUS_NOTIFY_UNBOUND_DRIVER:
	case BUS_NOTIFY_REMOVED_DEVICE:
		device_vanish(data);
		break;
	}
	return NOTIFY_DONE;
}

static struct notifier_block iopf_pci_notifier = {
	.notifier_call = device_notify,
};

static int device_scan(struct device *dev, void *data)
{
	device_lock(dev);
	device_appear(dev);
	device_unlock(dev);
	return 0;
}

/**
 * iopf_devices_init() - begin to follow devices
 * @root: the parent of the directory "devices"
 * @ops: callbacks of the folders above
 *
 * Return: 0 or a negative error number.
 */
int iopf_devices_init(struct kobject *root, const struct iopf_devices_ops *ops)
{
	int ret;

	devices_ops = ops;
	iopf_devices_kobj = kobject_create_and_add("devices", root);
	if (!iopf_devices_kobj)
		return -ENOMEM;
	ret = bus_register_notifier(&pci_bus_type, &iopf_pci_notifier);
	if (ret) {
		kobject_put(iopf_devices_kobj);
		return ret;
	}
	bus_for_each_dev(&pci_bus_type, NULL, NULL, device_scan);
	return 0;
}

void iopf_devices_exit(void)
{
	struct iopf_device *d, *next;
	LIST_HEAD(gone);

	bus_unregister_notifier(&pci_bus_type, &iopf_pci_notifier);
	scoped_guard(mutex, &iopf_devices_lock)
		list_splice_init(&iopf_devices, &gone);
	list_for_each_entry_safe(d, next, &gone, node)
		device_remove(d);
	kobject_put(iopf_devices_kobj);
}
