// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices: which may fault, who serves them, and what they did.
 *
 * Every device that is bound to a VFIO driver has a directory under
 * /sys/kernel/vfio_iopf/devices. Its "mode" is somebody's word how the device copes with I/O page
 * faults: on any access (arbitrary), on some (selective), or not at all (none); no hardware
 * register says that. It comes from the device table (table.c). The flag "enabled" switches
 * faulting off and on, and the mode stays what it is, unless that was "none": then a device that
 * is switched on is an arbitrary one.
 *
 * Both can be written at any time. On a device in use, off means: everything is
 * populated and pinned, then the flag changes; on means the reverse.
 *
 * PCI devices are followed by a bus notifier; devices on other buses appear when
 * they are first attached and stay until the module goes.
 *
 * A device that is in a container, or about to be, changes under that container's lock only. Who
 * wants to change it looks up the container under iopf_devices_lock, drops that, takes the
 * container's and looks again: iopf_device_enter(). One change at a time: iopf_device.setting.
 *
 * unbinding vs pinning: a device that is being unbound says so before its driver is told, and
 *   ends all waits for memory of its container that unbinding would wait for (pin.c). It is counted
 *   there (iopf_container.unbinding) until it has left the container or its driver, so no such wait
 *   begins. Devices on other buses than PCI are not heard of.
 *
 * Locking: iopf_device.setting, the container's lock, iopf_devices_lock, from the outside in. The
 * last is needed by everybody, so nothing is waited for under it but memory. A directory is
 * removed without it, since that waits for readers and writers of its files.
 */
#include <linux/device.h>
#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/pci.h>
#include <linux/slab.h>

#include "../../../core/reason.h"
#include "../fault/latency.h"
#include "../lib/params.h"
#include "../pin/pin.h"
#include "../pin/policy.h"
#include "../vfio/attach.h"
#include "../vfio/container.h"
#include "../vfio/defaults.h"
#include "device.h"
#include "table.h"

/* See device.h and container.h. */
DEFINE_MUTEX(iopf_devices_lock);

/* The log has so many lines of each kind about a device in that time, whatever its owner does. */
#define LOG_INTERVAL	(60 * HZ)
#define LOG_LINES	10

/* One device is made at a time. Outside of iopf_devices_lock, which its files' readers take. */
static DEFINE_MUTEX(iopf_devices_making);

static LIST_HEAD(iopf_devices);
/* Another backend is asked before this one, see front.c; under iopf_devices_lock. */
static bool devices_behind;
static struct kobject *iopf_devices_kobj;

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

/**
 * iopf_device_enter() - lock the container that a device is in
 * @d: the device
 * @interruptible: a signal ends the wait
 *
 * Return: the container, locked and with a reference, whose device it is or is about to be until
 * iopf_device_leave(); NULL: it is in none, at least it was not for a moment; -EINTR as an error
 * pointer.
 */
struct iopf_container *iopf_device_enter(struct iopf_device *d, bool interruptible)
{
	struct iopf_container *c, *now = NULL;

	do {
		c = now;
		scoped_guard(mutex, &iopf_devices_lock) {
			now = d->attach ? d->attach->container : NULL;
			if (now && now != c)
				kobject_get(&now->kobj);
		}
		if (c && now != c)
			iopf_device_leave(c);
		if (!now || now == c)
			continue;
		if (!interruptible) {
			mutex_lock(&now->lock);
		} else if (mutex_lock_interruptible(&now->lock)) {
			kobject_put(&now->kobj);
			return ERR_PTR(-EINTR);
		}
	} while (now != c);
	return c;
}

/**
 * iopf_device_in() - whether a device is in a container, or about to be
 * @d: the device
 * @c: the container, locked, so it stays true
 */
bool iopf_device_in(struct iopf_device *d, const struct iopf_container *c)
{
	lockdep_assert_held(&c->lock);

	guard(mutex)(&iopf_devices_lock);
	return d->attach && d->attach->container == c;
}

/**
 * iopf_device_leave() - undo iopf_device_enter()
 * @c: the container
 */
void iopf_device_leave(struct iopf_container *c)
{
	mutex_unlock(&c->lock);
	kobject_put(&c->kobj);
}

/**
 * struct device_setting - what an administrator may change of a device
 * @mode: how it may fault
 * @enabled: it may
 * @policy: its policy
 */
struct device_setting {
	enum iopf_mode mode;
	bool enabled;
	enum iopf_policy policy;
};

static void setting_get(const struct iopf_device *d, struct device_setting *s)
{
	/* With its padding, since it gets compared. */
	memset(s, 0, sizeof(*s));
	s->mode = d->mode;
	s->enabled = d->enabled;
	s->policy = d->policy;
}

static void setting_put(struct iopf_device *d, const struct device_setting *s)
{
	lockdep_assert_held(&iopf_devices_lock);

	WRITE_ONCE(d->mode, s->mode);
	WRITE_ONCE(d->enabled, s->enabled);
	WRITE_ONCE(d->policy, s->policy);
}

/* What is wanted of a device, from what it is: @arg is what has been written. */
typedef void (*setting_fn)(struct device_setting *s, int arg);

/* A change of a device. */
struct device_change {
	struct iopf_device *d;
	setting_fn want;
	int arg;
};

/* The change of a device that is in a container. -ESTALE: it is not any more. */
static int change_attached(struct iopf_container *c, void *data)
{
	struct device_change *change = data;
	struct iopf_device *d = change->d;
	struct device_setting old, new;
	int ret;

	if (!iopf_device_in(d, c))
		return -ESTALE;
	setting_get(d, &old);
	new = old;
	change->want(&new, change->arg);
	if (!memcmp(&old, &new, sizeof(old)))
		return 0;
	scoped_guard(mutex, &iopf_devices_lock)
		setting_put(d, &new);
	if (new.policy != old.policy)
		ret = iopf_policy_refresh(c);
	else
		ret = iopf_attach_update(d->attach);
	if (ret) {
		guard(mutex)(&iopf_devices_lock);
		setting_put(d, &old);
	}
	return ret;
}

/* The change of a device that is in none. -ESTALE: it is by now. */
static int change_free(struct device_change *change)
{
	struct iopf_device *d = change->d;
	struct device_setting s;

	guard(mutex)(&iopf_devices_lock);
	if (d->attach)
		return -ESTALE;
	setting_get(d, &s);
	change->want(&s, change->arg);
	setting_put(d, &s);
	return 0;
}

/* Change a device, from now on; or an error, and it is as before. */
static int device_set(struct iopf_device *d, setting_fn want, int arg)
{
	struct device_change change = { .d = d, .want = want, .arg = arg };
	struct iopf_container *c;
	int ret;

	if (mutex_lock_interruptible(&d->setting))
		return -EINTR;
	do {
		c = iopf_device_enter(d, true);
		if (IS_ERR(c)) {
			ret = PTR_ERR(c);
		} else if (c) {
			ret = iopf_pin_run_held(c, change_attached, &change);
			iopf_device_leave(c);
		} else {
			ret = change_free(&change);
		}
	} while (ret == -ESTALE);
	mutex_unlock(&d->setting);
	return ret;
}

static void want_enabled(struct device_setting *s, int enable)
{
	s->enabled = enable;
	if (enable && s->mode == IOPF_MODE_NONE)
		s->mode = IOPF_MODE_ARBITRARY;
}

static void want_mode(struct device_setting *s, int mode)
{
	s->mode = mode;
	s->enabled = mode != IOPF_MODE_NONE;
}

static void want_policy(struct device_setting *s, int policy)
{
	s->policy = policy;
}

static ssize_t enabled_store(struct iopf_device *d, const char *buf, size_t count)
{
	bool enable;
	int ret = kstrtobool(buf, &enable);

	return ret ?: device_set(d, want_enabled, enable) ?: count;
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
	return device_set(d, want_mode, mode) ?: count;
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
	return device_set(d, want_policy, policy) ?: count;
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

/* Attachments are detached from their devices, under the lock, before their container goes. */
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

static const struct attribute *const device_attrs[] = {
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

static const struct sysfs_ops device_sysfs_ops = {
	.show = device_attr_show,
	.store = device_attr_store,
};

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
	ret = sysfs_create_files(&d->kobj, (const struct attribute *const *)device_attrs);
	if (ret)
		goto err_del;
	ret = -ENOMEM;
	d->latency_dir = iopf_latency_dir_create(&d->kobj, d, NULL);
	if (!d->latency_dir)
		goto err_del;
	scoped_guard(mutex, &iopf_devices_lock) {
		ret = iopf_table_device(d);
		if (!ret) {
			iopf_device_released(d);
			list_add_tail(&d->node, &iopf_devices);
		}
	}
	if (ret)
		goto err_latency;
	return d;

err_latency:
	iopf_latency_dir_destroy(d->latency_dir);
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
 * iopf_device_get() - what is known of a device
 * @dev: the device
 *
 * Context: without iopf_devices_lock.
 * Return: it, made if need be, with a reference; or an error pointer.
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
 * iopf_devices_each() - do something with each device
 * @fn: does it; anything but 0 ends the tour
 * @data: for @fn
 *
 * Context: under iopf_devices_lock.
 * Return: what @fn returned last.
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
 * iopf_device_served() - note, and say once and not too often, who serves a device and why
 * @d: the device
 * @by: a module, or "none"
 * @reason: why not this one, or ""; a constant
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
 * iopf_device_released() - a device is in no container that this module knows of
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

/* Whether somebody has the device, through another backend or without one. */
static bool device_claimed(struct iopf_device *d)
{
	struct iommu_group *group = iommu_group_get(d->dev);
	bool claimed = group && iommu_group_dma_owner_claimed(group);

	iommu_group_put(group);
	return claimed;
}

/**
 * iopf_devices_set_behind() - whether another backend is asked before this one
 * @behind: it is
 *
 * Each device that this module does not serve says so from now on. When it is over, those that
 * are in use go on saying that they were opened meanwhile.
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
	/* Bridges' drivers manage no DMA of their own either, and are nobody's to pass on. */
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

/* Out of sysfs; without the lock. */
static void device_remove(struct iopf_device *d)
{
	iopf_latency_dir_destroy(d->latency_dir);
	kobject_del(&d->kobj);
	iopf_device_put(d);
}

/**
 * iopf_device_claimed() - a device is in a container, or about to be
 * @d: the device
 * @c: the container
 *
 * Context: under iopf_devices_lock.
 */
void iopf_device_claimed(struct iopf_device *d, struct iopf_container *c)
{
	lockdep_assert_held(&iopf_devices_lock);

	if (!d->unbinding || d->unbound_from)
		return;
	d->unbound_from = c;
	WRITE_ONCE(c->unbinding, c->unbinding + 1);
}

/**
 * iopf_device_unclaimed() - a device is in no container any more, or has left its VFIO driver
 * @d: the device
 *
 * Context: under iopf_devices_lock; the container is there still.
 */
void iopf_device_unclaimed(struct iopf_device *d)
{
	struct iopf_container *c = d->unbound_from;

	lockdep_assert_held(&iopf_devices_lock);

	if (!c)
		return;
	d->unbound_from = NULL;
	WRITE_ONCE(c->unbinding, c->unbinding - 1);
}

/*
 * A device is about to be unbound. That waits for its groups' attaching and detaching, and for who
 * writes to its files, with locks of the VFIO core held: nobody in its container may wait for user
 * space meanwhile.
 */
static void device_unbind(struct device *dev)
{
	struct iopf_container *c = NULL;
	struct iopf_device *d;

	scoped_guard(mutex, &iopf_devices_lock) {
		d = device_lookup(dev);
		if (!d)
			return;
		d->unbinding = true;
		if (d->attach) {
			c = d->attach->container;
			kobject_get(&c->kobj);
			iopf_device_claimed(d, c);
		}
	}
	if (!c)
		return;
	iopf_pin_end(c);
	kobject_put(&c->kobj);
}

/* Take a device off the list, then, without the lock, out of sysfs. */
static void device_vanish(struct device *dev)
{
	struct iopf_device *d;

	scoped_guard(mutex, &iopf_devices_lock) {
		d = device_lookup(dev);
		if (d) {
			list_del(&d->node);
			iopf_device_unclaimed(d);
			d->unbinding = false;
		}
	}
	if (d)
		device_remove(d);
	iopf_keep_forget_device(dev_name(dev));
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

int iopf_devices_init(struct kobject *root)
{
	int ret;

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
