// SPDX-License-Identifier: GPL-2.0-only
/*
 * Registration with the VFIO core, so that the core asks this module first.
 *
 * The core asks the backend that registered last first. This module registers after
 * vfio_iommu_type1 (a soft dependency). But type1 may be loaded again, or for the first time, while
 * this module is loaded. Then the core asks type1 first. Type1 accepts every device, so this module
 * serves no new container. A module notifier sees the load. By default (parameter stay_first) this
 * module registers again, before the load of type1 returns. Otherwise the log and the files of each
 * unserved device say that this module is behind, and a 1 written to /sys/kernel/vfio_iopf/first
 * registers it again.
 *
 * The core allocates an object for each registration. Each container points to the object of its
 * registration, and unregistering frees that object. So a registration stays until its last
 * container has been released. The core refuses to register the same operations twice, so a new
 * registration needs new ones. There are FRONTS of them, which differ in their number only. Only
 * the newest registration accepts containers. The core skips the others when it asks for
 * extensions.
 *
 * reaping vs release: the core reads the registration once more after our release() has returned,
 *   without sleeping in between. So does an ioctl that has read the container's registration
 *   earlier. release() changes the count of users last, and the reaper waits for a grace period of
 *   RCU tasks between a count of zero and unregistering.
 * reaping vs open: open() counts under front_lock and fails if its registration is not the newest.
 *   front_newest changes under front_mutex, which the reaper holds.
 * type1's load vs a container that is opened: between type1's registration and the notifier, the
 *   core asks type1 first, and type1 serves the container.
 * notifier vs end of the module: unregistering the notifier waits for a running call. No container
 *   is left then, so nothing queues the reaper.
 *
 * Locking: front_mutex -> the core's lock of registrations -> front_lock, a leaf; front_mutex ->
 * iopf_devices_lock. The module notifier calls with the notifier chain's lock held.
 */
#include <linux/cleanup.h>
#include <linux/kobject.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/notifier.h>
#include <linux/rcupdate.h>
#include <linux/spinlock.h>
#include <linux/sysfs.h>
#include <linux/vfio.h>
#include <linux/workqueue.h>

#include "../../compat/vfio_driver.h"
#include "../device/device.h"
#include "../lib/params.h"
#include "front.h"
#include "type1.h"

#define FRONTS	4

static bool front_stay = true;
module_param_named(stay_first, front_stay, bool, 0644);
MODULE_PARM_DESC(stay_first,
		 "If vfio_iommu_type1 is loaded after this module, register again, so that the VFIO core asks this module first; otherwise only log it (default: yes)");

/**
 * struct front - room for a registration with the VFIO core
 * @ops: the operations; they change only while @registered is false
 * @registered: the operations are registered; under front_mutex
 * @users: containers of this registration, also those that are being opened; under front_lock
 */
struct front {
	struct vfio_iommu_driver_ops ops;
	bool registered;
	unsigned int users;
};

static struct front fronts[FRONTS];
static DEFINE_MUTEX(front_mutex); /* order: outermost */
static DEFINE_SPINLOCK(front_lock); /* leaf */
/*
 * Index of the registration that accepts containers. Changes under both locks. -1: none, before
 * iopf_front_init() and in iopf_front_exit().
 */
static int front_newest = -1;
/* The core asks another backend first; changes under front_mutex. */
static bool front_behind;

static void front_reap(struct work_struct *work);
static DECLARE_WORK(front_work, front_reap);

/* Count a container off. No sleep may follow until the core has last read the registration. */
static void front_leave(unsigned int n)
{
	bool idle;

	spin_lock(&front_lock);
	idle = !--fronts[n].users && n != front_newest;
	spin_unlock(&front_lock);
	if (idle)
		queue_work(iopf_wq, &front_work);
}

static void *front_open(unsigned int n, unsigned long arg)
{
	bool newest;
	void *data;

	spin_lock(&front_lock);
	newest = n == front_newest;
	fronts[n].users += newest;
	spin_unlock(&front_lock);
	if (!newest)
		return ERR_PTR(-ENODEV);
	data = iopf_type1_ops.open(arg);
	if (IS_ERR(data))
		front_leave(n);
	return data;
}

static void front_release(unsigned int n, void *data)
{
	iopf_type1_ops.release(data);
	front_leave(n);
}

static long front_ioctl(unsigned int n, void *data, unsigned int cmd, unsigned long arg)
{
	/* The core asks each registration whether it would serve a new container. */
	if (cmd == VFIO_CHECK_EXTENSION && !data && n != READ_ONCE(front_newest))
		return 0;
	return iopf_type1_ops.ioctl(data, cmd, arg);
}

/* The core does not pass the registration, so each one has functions of its own. */
#define FRONT_OPEN(n) \
	static void *front_open_##n(unsigned long arg) \
	{ \
		return front_open(n, arg); \
	}

#define FRONT_RELEASE(n) \
	static void front_release_##n(void *data) \
	{ \
		front_release(n, data); \
	}

#define FRONT_IOCTL(n) \
	static long front_ioctl_##n(void *data, unsigned int cmd, unsigned long arg) \
	{ \
		return front_ioctl(n, data, cmd, arg); \
	}

FRONT_OPEN(0)
FRONT_OPEN(1)
FRONT_OPEN(2)
FRONT_OPEN(3)
FRONT_RELEASE(0)
FRONT_RELEASE(1)
FRONT_RELEASE(2)
FRONT_RELEASE(3)
FRONT_IOCTL(0)
FRONT_IOCTL(1)
FRONT_IOCTL(2)
FRONT_IOCTL(3)

static const struct {
	void *(*open)(unsigned long arg);
	void (*release)(void *data);
	long (*ioctl)(void *data, unsigned int cmd, unsigned long arg);
} front_calls[FRONTS] = {
	{ front_open_0, front_release_0, front_ioctl_0 },
	{ front_open_1, front_release_1, front_ioctl_1 },
	{ front_open_2, front_release_2, front_ioctl_2 },
	{ front_open_3, front_release_3, front_ioctl_3 },
};

/* Unregister the registrations that are not the newest and have no container. */
static void front_reap_idle(void)
{
	unsigned long idle = 0;
	unsigned int n;

	lockdep_assert_held(&front_mutex);

	spin_lock(&front_lock);
	for (n = 0; n < FRONTS; n++)
		if (fronts[n].registered && n != front_newest && !fronts[n].users)
			__set_bit(n, &idle);
	spin_unlock(&front_lock);
	if (!idle)
		return;
	synchronize_rcu_tasks();
	for_each_set_bit(n, &idle, FRONTS) {
		vfio_unregister_iommu_driver(&fronts[n].ops);
		fronts[n].registered = false;
	}
}

static void front_set_newest(int n)
{
	spin_lock(&front_lock);
	WRITE_ONCE(front_newest, n);
	spin_unlock(&front_lock);
}

/* Register once more. On error nothing has changed. */
static int front_register(void)
{
	int old = front_newest, ret;
	unsigned int n = 0;

	lockdep_assert_held(&front_mutex);

	while (n < FRONTS && fronts[n].registered)
		n++;
	if (n == FRONTS)
		return -EBUSY;
	fronts[n].ops = iopf_type1_ops;
	fronts[n].ops.open = front_calls[n].open;
	fronts[n].ops.release = front_calls[n].release;
	fronts[n].ops.ioctl = front_calls[n].ioctl;
	/* The core can call open() as soon as it is registered. */
	front_set_newest(n);
	ret = vfio_register_iommu_driver(&fronts[n].ops);
	if (ret) {
		front_set_newest(old);
		return ret;
	}
	fronts[n].registered = true;
	queue_work(iopf_wq, &front_work);
	return 0;
}

static void front_set_behind(bool behind)
{
	lockdep_assert_held(&front_mutex);

	WRITE_ONCE(front_behind, behind);
	iopf_devices_set_behind(behind);
}

/* Register again, so that the core asks this module first. */
static int front_take(void)
{
	int ret = front_register();

	if (!ret)
		front_set_behind(false);
	return ret;
}

static void front_reap(struct work_struct *work)
{
	guard(mutex)(&front_mutex);
	front_reap_idle();
	/* front_lost() may have found no free registration. Now one may be free. */
	if (front_behind && READ_ONCE(front_stay) && !front_take())
		pr_notice(IOPF_DRIVER_NAME ": in front of vfio_iommu_type1 again\n");
}

/* React to the load of vfio_iommu_type1. */
static void front_lost(void)
{
	int ret = -EAGAIN;

	guard(mutex)(&front_mutex);
	if (front_newest < 0)
		return;
	if (READ_ONCE(front_stay))
		ret = front_register();
	if (!ret) {
		front_set_behind(false);
		pr_notice(IOPF_DRIVER_NAME ": vfio_iommu_type1 was loaded after this module; registered again, to be asked first\n");
		return;
	}
	front_set_behind(true);
	pr_warn(IOPF_DRIVER_NAME
		": vfio_iommu_type1 was loaded after this module and is asked first: it serves all new containers and pins all their memory; to change that write 1 to /sys/kernel/vfio_iopf/first\n");
	if (READ_ONCE(front_stay))
		pr_warn(IOPF_DRIVER_NAME ": registering again failed: %d\n", ret);
}

/* React to the unload of vfio_iommu_type1. */
static void front_won(void)
{
	guard(mutex)(&front_mutex);
	if (!front_behind)
		return;
	front_set_behind(false);
	pr_notice(IOPF_DRIVER_NAME ": vfio_iommu_type1 is gone; this module is asked first again\n");
}

static int front_notify(struct notifier_block *nb, unsigned long action, void *data)
{
	const struct module *mod = data;

	if (strcmp(mod->name, "vfio_iommu_type1"))
		return NOTIFY_DONE;
	if (action == MODULE_STATE_LIVE)
		front_lost();
	else if (action == MODULE_STATE_GOING)
		front_won();
	return NOTIFY_DONE;
}

static struct notifier_block front_notifier = {
	.notifier_call = front_notify,
};

static ssize_t first_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%d\n", !READ_ONCE(front_behind));
}

static ssize_t first_store(struct kobject *kobj, struct kobj_attribute *attr, const char *buf,
			   size_t count)
{
	bool front;
	int ret = kstrtobool(buf, &front);

	if (ret)
		return ret;
	/* The core has no way to put a backend behind another one. */
	if (!front)
		return -EINVAL;
	scoped_cond_guard(mutex_intr, return -EINTR, &front_mutex) {
		if (!front_behind)
			return count;
		front_reap_idle();
		ret = front_take();
	}
	if (ret == -EBUSY)
		pr_warn(IOPF_DRIVER_NAME ": front: containers of each of the last %d registrations are still in use\n",
			FRONTS);
	else if (!ret)
		pr_notice(IOPF_DRIVER_NAME ": in front of vfio_iommu_type1 again\n");
	return ret ?: count;
}

static struct kobj_attribute front_attr = __ATTR(first, 0644, first_show, first_store);

static void front_unregister_all(void)
{
	guard(mutex)(&front_mutex);
	front_set_newest(-1);
	/* Wait for tasks that have read a registration and not yet called iopf_container_get(). */
	synchronize_rcu_tasks();
	for (unsigned int n = 0; n < FRONTS; n++)
		if (fronts[n].registered)
			vfio_unregister_iommu_driver(&fronts[n].ops);
}

/**
 * iopf_front_init() - register with the VFIO core
 * @root: /sys/kernel/vfio_iopf
 *
 * The last step of loading the module: from here on containers may be opened.
 *
 * Return: 0 or -errno.
 */
int iopf_front_init(struct kobject *root)
{
	int ret;

	ret = sysfs_create_file(root, &front_attr.attr);
	if (ret)
		return ret;
	/* The notifier comes first, so no load of type1 is missed. Seeing one twice is harmless. */
	ret = register_module_notifier(&front_notifier);
	if (ret)
		goto err_file;
	scoped_guard(mutex, &front_mutex)
		ret = front_register();
	if (ret)
		goto err_notifier;
	return 0;

err_notifier:
	unregister_module_notifier(&front_notifier);
err_file:
	sysfs_remove_file(root, &front_attr.attr);
	return ret;
}

/**
 * iopf_front_exit() - undo iopf_front_init(), when no container is left
 * @root: of iopf_front_init()
 */
void iopf_front_exit(struct kobject *root)
{
	sysfs_remove_file(root, &front_attr.attr);
	unregister_module_notifier(&front_notifier);
	cancel_work_sync(&front_work);
	front_unregister_all();
}
