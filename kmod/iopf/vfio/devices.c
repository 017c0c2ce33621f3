// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices and the containers they are in: what an administrator may change of a device, at any
 * time, and what unbinding it does.
 *
 * "mode" is how a device copes with I/O page faults: on any access (arbitrary), on some
 * (selective), or not at all (none). The flag "enabled" switches faulting off and on, and the mode
 * stays what it is, unless that was "none": then a device that is switched on is an arbitrary one.
 * On a device in use, off means: everything is populated and pinned, then the flag changes; on
 * means the reverse.
 *
 * A device that is in a container, or about to be, changes under that container's lock only. Who
 * wants to change it looks up the container under iopf_devices_lock, drops that, takes the
 * container's and looks again: iopf_device_enter(). One change at a time: iopf_device.setting.
 *
 * unbinding vs pinning: a device that is being unbound says so before its driver is told, and
 *   ends all waits for memory of its container that unbinding would wait for (pin/job.c). It is
 *   counted there (iopf_pins.unbinding) until it has left the container or its driver, so no such
 *   wait begins. Devices on other buses than PCI are not heard of.
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
 * @c: the container, locked, so it stays true
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
 * Return: 0; -ENODEV: its faults can't be turned on, or memory has to be waited for and a device of
 * its container is being unbound; what pinning returns; -EINTR. On error nothing has changed.
 */
int iopf_device_set_enabled(struct iopf_device *d, bool enable)
{
	return device_set(d, want_enabled, enable);
}

/**
 * iopf_device_set_mode() - say how a device may fault
 * @d: the device
 * @mode: how
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
	WRITE_ONCE(c->pins.unbinding, c->pins.unbinding + 1);
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
	WRITE_ONCE(c->pins.unbinding, c->pins.unbinding - 1);
}

/**
 * iopf_device_unbind() - a device is about to be unbound; see struct iopf_devices_ops
 * @d: the device; says so already
 *
 * Unbinding waits for its groups' attaching and detaching, and for who writes to its files, with
 * locks of the VFIO core held: nobody in its container may wait for user space meanwhile.
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
 * iopf_device_forget() - what is kept for a device goes; see struct iopf_devices_ops
 * @name: the device's
 */
void iopf_device_forget(const char *name)
{
	iopf_keep_forget_device(name);
}
