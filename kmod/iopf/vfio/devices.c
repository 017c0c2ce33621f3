// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices and their containers: changes that an administrator may make to a device at any time,
 * and the unbinding of a device.
 *
 * "mode" says on which accesses a device can take an I/O page fault: on any access (arbitrary), on
 * some (selective), or on none (none). The flag "enabled" switches faulting off and on. The mode
 * stays the same, except that a device of mode "none" becomes arbitrary when it is enabled.
 * Disabling a device in use first populates and pins everything, then changes the flag. Enabling
 * is the reverse.
 *
 * A device that is in a container, or about to be, changes under that container's lock only. The
 * task that changes it looks up the container under iopf_devices_lock, drops that lock, takes the
 * container's lock and looks again: iopf_device_enter(). One change at a time:
 * iopf_device.setting.
 *
 * unbinding vs pinning: unbinding a device would wait for tasks of its container that wait for
 *   memory to be pinned. So before its driver is told, the device is marked (unbinding), and these
 *   waits are ended (pin/job.c). The container counts the device in iopf_pins.unbinding until the
 *   device has left the container or its driver, so no such wait begins. This module gets no notice
 *   of devices on other buses than PCI.
 *
 * Locking: iopf_device.setting, the container's lock, iopf_devices_lock, from the outside in.
 */
#include <linux/cleanup.h>
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/string.h>

#include "../device/device.h"
#include "../pin/pin.h"
#include "attach.h"
#include "container.h"
#include "defaults.h"
#include "devices.h"
#include "policies.h"

/**
 * iopf_device_enter() - lock the container that a device is in
 * @d: the device
 * @interruptible: a signal ends the wait
 *
 * Return: the container, locked and with a reference. The device stays in it, or about to be, until
 * iopf_device_leave(). NULL: at some moment during the call the device was in no container. -EINTR
 * as an error pointer.
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
			mutex_lock(&now->space.lock);
		} else if (mutex_lock_interruptible(&now->space.lock)) {
			kobject_put(&now->kobj);
			return ERR_PTR(-EINTR);
		}
	} while (now != c);
	return c;
}

/**
 * iopf_device_in() - whether a device is in a container, or about to be
 * @d: the device
 * @c: the container, locked, so the result stays true
 */
bool iopf_device_in(struct iopf_device *d, const struct iopf_container *c)
{
	lockdep_assert_held(&c->space.lock);

	guard(mutex)(&iopf_devices_lock);
	return d->attach && d->attach->container == c;
}

/**
 * iopf_device_leave() - undo iopf_device_enter()
 * @c: the container
 */
void iopf_device_leave(struct iopf_container *c)
{
	mutex_unlock(&c->space.lock);
	kobject_put(&c->kobj);
}

/**
 * struct device_setting - the properties of a device that an administrator may change
 * @mode: how the device may fault
 * @enabled: the device may fault
 * @policy: its policy
 */
struct device_setting {
	enum iopf_mode mode;
	bool enabled;
	enum iopf_policy policy;
};

static void setting_get(const struct iopf_device *d, struct device_setting *s)
{
	/* Clear the padding, too: callers use memcmp(). */
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

/* Change the present setting @s to the wanted one; @arg is the value that was written. */
typedef void (*setting_fn)(struct device_setting *s, int arg);

/* A change of a device. */
struct device_change {
	struct iopf_device *d;
	setting_fn want;
	int arg;
};

/* Change a device that is in a container. -ESTALE: it has left the container. */
static int change_attached(struct iopf_space *space, void *data)
{
	struct iopf_container *c = iopf_space_container(space);
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

/* Change a device that is in no container. -ESTALE: it is in one now. */
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

/* Change a device. On error it is as before. */
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
			ret = iopf_pin_run_held(&c->space, change_attached, &change);
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

/**
 * iopf_device_set_enabled() - switch faulting of a device on or off
 * @d: the device
 * @enable: on
 *
 * Return: 0; -ENODEV: its faults can't be turned on, or pinning has to wait while a device of its
 * container is being unbound; errors of iopf_pin_run_held(); -EINTR. On error nothing has changed.
 */
int iopf_device_set_enabled(struct iopf_device *d, bool enable)
{
	return device_set(d, want_enabled, enable);
}

/**
 * iopf_device_set_mode() - set how a device may fault
 * @d: the device
 * @mode: the mode
 *
 * Return: as iopf_device_set_enabled().
 */
int iopf_device_set_mode(struct iopf_device *d, enum iopf_mode mode)
{
	return device_set(d, want_mode, mode);
}

/**
 * iopf_device_set_policy() - give a device a policy
 * @d: the device
 * @policy: the policy
 *
 * Return: as iopf_device_set_enabled().
 */
int iopf_device_set_policy(struct iopf_device *d, enum iopf_policy policy)
{
	return device_set(d, want_policy, policy);
}

/**
 * iopf_device_claimed() - note that a device is in a container, or about to be
 * @d: the device
 * @c: the container
 *
 * If the device is being unbound, @c counts it.
 *
 * Context: under iopf_devices_lock.
 */
void iopf_device_claimed(struct iopf_device *d, struct iopf_container *c)
{
	lockdep_assert_held(&iopf_devices_lock);

	if (!d->unbinding || d->unbound_from)
		return;
	d->unbound_from = c;
	WRITE_ONCE(c->pins.unbinding, c->pins.unbinding + 1);
}

/**
 * iopf_device_unclaimed() - undo iopf_device_claimed()
 * @d: the device, which has left its container or its VFIO driver
 *
 * Context: under iopf_devices_lock; the container has not been freed.
 */
void iopf_device_unclaimed(struct iopf_device *d)
{
	struct iopf_container *c = d->unbound_from;

	lockdep_assert_held(&iopf_devices_lock);

	if (!c)
		return;
	d->unbound_from = NULL;
	WRITE_ONCE(c->pins.unbinding, c->pins.unbinding - 1);
}

/**
 * iopf_device_unbind() - prepare to unbind a device; see struct iopf_devices_ops
 * @d: the device; iopf_device.unbinding is set
 *
 * Unbinding holds locks of the VFIO core and waits for the device's group to be attached or
 * detached, and for writers of the device's files. So meanwhile none of these may wait for user
 * space.
 */
void iopf_device_unbind(struct iopf_device *d)
{
	struct iopf_container *c = NULL;

	scoped_guard(mutex, &iopf_devices_lock) {
		if (d->attach) {
			c = d->attach->container;
			kobject_get(&c->kobj);
			iopf_device_claimed(d, c);
		}
	}
	if (!c)
		return;
	iopf_pin_end(&c->space);
	kobject_put(&c->kobj);
}

/**
 * iopf_device_forget() - forget the values kept for a device; see struct iopf_devices_ops
 * @name: name of the device
 */
void iopf_device_forget(const char *name)
{
	iopf_keep_forget_device(name);
}
