// SPDX-License-Identifier: GPL-2.0-only
/*
 * Attaching IOMMU groups to containers.
 *
 * A group is "faulting" when three conditions hold:
 *
 *   1. Each of its devices is enabled.
 *   2. The IOMMU driver has turned page faults on for each of its devices.
 *   3. For each selective device, an administrator, a mediator or user space has declared where
 *      the device does not fault.
 *
 * The first group of a container must meet conditions 1 and 2. Otherwise this module refuses it
 * (unless serve_pinned is set), and the VFIO core tries the next backend, stock type1. The
 * device's sysfs directory and the log give the reason. Groups that join later may be of either
 * kind. While a group that is not faulting is attached, the container pins everything. Emulated
 * devices change none of this. They may come first: see pin/emulated.c.
 *
 * Order of attaching: turn page faults on; choose a domain; attach; check that the domain has the
 * addresses that are mapped; map the container's pinned pages in it; pin everything, if the group
 * is not faulting. So no page is ever pinned without a domain that knows it. Detaching is the
 * reverse, after iopf_fault_drain().
 *
 * Groups share a domain if their IOMMU permits it, as in type1 (domain.c).
 *
 * Attaching and detaching run under the container's lock, with the devices claimed (claim.c). The
 * VFIO core attaches and detaches the groups of a container one at a time.
 *
 * Locking: the container's lock; iopf_devices_lock inside of it, for a moment at a time.
 */
#include <linux/cleanup.h>
#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "../../../core/reason.h"
#include "../../compat/iommu.h"
#include "../budget/budget.h"
#include "../device/device.h"
#include "../device/table.h"
#include "../fault/latency.h"
#include "../fault/queue.h"
#include "../lib/params.h"
#include "../pin/emulated.h"
#include "../pin/hold.h"
#include "../pin/pin.h"
#include "aperture.h"
#include "attach.h"
#include "claim.h"
#include "container.h"
#include "devices.h"
#include "dirty.h"
#include "domain.h"
#include "limits.h"
#include "mediate.h"
#include "policies.h"

static const char reason_disabled[] = IOPF_REASON_DISABLED
	": it, or another one of its group, is not enabled (device table, or its sysfs file mode)";
static const char reason_no_iopf[] = IOPF_REASON_IOMMU_REFUSED
	": its IOMMU driver can't turn I/O page faults on for it (it needs PRI and ATS, or stall)";
static const char reason_unsafe[] = IOPF_REASON_UNSAFE_INTERRUPTS
	": its interrupts are not remapped (module parameter allow_unsafe_interrupts)";
static const char reason_failed[] = IOPF_REASON_FAILED ": attaching it here failed";
static const char reason_pinned[] = IOPF_REASON_PINNED
	": it may not fault, so its container is pinned";
static const char reason_unanswered[] = IOPF_REASON_UNDECLARED
	": it is selective, and user space has not declared yet which ranges can't fault";

static const char served_type1[] = "vfio_iommu_type1";
static const char served_here[] = IOPF_DRIVER_NAME;

static void attach_faults_off(struct iopf_attach *at, unsigned int nr)
{
	while (nr--)
		iommu_dev_disable_feature(at->faults.device[nr]->dev, IOMMU_DEV_FEAT_IOPF);
}

/* Return the reason if a device of the group may not fault at all, or NULL. */
static const char *attach_barred(const struct iopf_attach *at)
{
	for (unsigned int i = 0; i < at->faults.nr_devices; i++)
		if (!at->faults.device[i]->enabled)
			return reason_pinned;
	return NULL;
}

/* Return the reason if it is undeclared where a selective device does not fault, or NULL. */
static const char *attach_unanswered(const struct iopf_attach *at)
{
	guard(mutex)(&iopf_devices_lock);
	for (unsigned int i = 0; i < at->faults.nr_devices; i++) {
		const struct iopf_device *d = at->faults.device[i];

		if (d->mode == IOPF_MODE_SELECTIVE && !d->nr_windows &&
		    !iopf_mediate_answers(d) && !at->container->complete)
			return reason_unanswered;
	}
	return NULL;
}

/* Turn page faults on for each device. Return NULL, or on failure reason_no_iopf. */
static const char *attach_faults_on(struct iopf_attach *at)
{
	for (unsigned int i = 0; i < at->faults.nr_devices; i++) {
		if (iommu_dev_enable_feature(at->faults.device[i]->dev, IOMMU_DEV_FEAT_IOPF)) {
			attach_faults_off(at, i);
			return reason_no_iopf;
		}
	}
	iopf_fault_room(&at->faults);
	return NULL;
}

/* Measure the latency of the devices' faults. iopf_claim_end() undoes it, also after an error. */
static int attach_latency_on(struct iopf_attach *at)
{
	int ret = 0;

	guard(mutex)(&iopf_devices_lock);
	for (unsigned int i = 0; !ret && i < at->faults.nr_devices; i++)
		ret = iopf_latency_attach(at->faults.device[i], at->container->latency_past);
	return ret;
}

/* Add the group to the container's list. Files in sysfs read that list, too. */
static void attach_list(struct iopf_container *c, struct iopf_attach *at)
{
	guard(mutex)(&iopf_devices_lock);
	list_add_tail(&at->faults.node, &c->attaches);
	c->space.groups++;
	at->listed = true;
}

static void attach_unlist(struct iopf_attach *at)
{
	guard(mutex)(&iopf_devices_lock);
	list_del(&at->faults.node);
	at->container->space.groups--;
	at->listed = false;
}

/* Hold the memory that is mapped in @windows. */
static int windows_hold(struct iopf_container *c, const struct iopf_range *windows,
			unsigned int nr)
{
	int ret = 0;

	for (unsigned int i = 0; !ret && i < nr; i++)
		ret = iopf_hold_add(&c->space, &windows[i], IOPF_HOLD_WINDOW,
				    iopf_device_window_owner(windows, i));
	return ret;
}

static void windows_unhold(struct iopf_container *c, const struct iopf_range *windows,
			   unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++)
		iopf_hold_remove(&c->space, &windows[i], IOPF_HOLD_WINDOW,
				 iopf_device_window_owner(windows, i));
}

/* End the holds of the windows of the group's devices. */
static void attach_unhold(struct iopf_container *c, struct iopf_attach *at)
{
	for (unsigned int i = 0; i < at->faults.nr_devices; i++)
		windows_unhold(c, at->faults.device[i]->windows, at->faults.device[i]->nr_windows);
}

/* Refresh the policy after a group has left. It can only get weaker, which can't fail. */
static void attach_weaken(struct iopf_container *c)
{
	WARN_ON(iopf_policy_refresh(c));
}

static int attach_hold(struct iopf_container *c, struct iopf_attach *at)
{
	int ret = 0;

	/* Pin what was requested while the container had no domain. */
	if (list_is_singular(&c->attaches))
		ret = iopf_hold_require_all(&c->space);
	for (unsigned int i = 0; !ret && i < at->faults.nr_devices; i++)
		ret = windows_hold(c, at->faults.device[i]->windows,
				   at->faults.device[i]->nr_windows);
	return ret ?: iopf_policy_refresh(c);
}

/* Return why a group may not fault in the present state of its devices. NULL: faults are on. */
static const char *attach_reason(struct iopf_attach *at)
{
	const char *reason = attach_barred(at);

	if (!reason && !at->iopf_on) {
		reason = attach_faults_on(at);
		at->iopf_on = !reason;
	}
	return reason ?: attach_unanswered(at);
}

/* Pin what the group needs pinned, and list the group. It has its domain. */
static int attach_join(struct iopf_space *space, void *data)
{
	struct iopf_container *c = iopf_space_container(space);
	struct iopf_attach *at = data;
	int ret;

	/* The lock was dropped to pin memory. The devices' state and the areas may have changed. */
	if (c->space.vaddr_invalid)
		return -EBUSY;
	at->reason = attach_reason(at);
	at->faults.faulting = !at->reason;
	if (!at->faults.faulting) {
		ret = iopf_container_pin(c);
		if (ret)
			return ret;
	}
	attach_list(c, at);
	ret = attach_hold(c, at);
	if (ret) {
		attach_unlist(at);
		attach_unhold(c, at);
		if (!at->faults.faulting)
			iopf_container_unpin(c);
	}
	return ret;
}

static int attach_locked(struct iopf_container *c, struct iopf_attach *at,
			 const struct iopf_limits_undo *undo)
{
	struct iopf_iovas *iovas;
	int ret;

	lockdep_assert_held(&c->space.lock);

	ret = iopf_domain_join(c, at, &iovas);
	if (ret)
		return ret;
	/* Another thread may map areas while this one pins memory. They must fit @iovas. */
	swap(c->iovas, iovas);
	ret = iopf_pin_run_held(&c->space, attach_join, at);
	if (ret)
		goto err_iovas;
	kfree(iovas);
	c->pgsizes = iopf_domain_pgsizes(c);
	iopf_container_share(c);
	return 0;

err_iovas:
	/* Take back the group's policy before the container's policy is computed again. */
	iopf_limits_undo_policy(c, undo);
	attach_weaken(c);
	iopf_mediate_detach(c, at);
	swap(c->iovas, iovas);
	kfree(iovas);
	iopf_fault_drain(&at->faults);
	iopf_domain_leave(c, at);
	return ret;
}

static int emulated_join(struct iopf_space *space, void *group)
{
	struct iopf_container *c = iopf_space_container(space);
	int ret = iopf_emulated_attach(&c->space, group);

	if (ret)
		return ret;
	ret = iopf_policy_refresh(c);
	if (ret)
		iopf_emulated_detach(&c->space, group);
	return ret;
}

/* Whether a group can be attached at all: 0 or an error. */
static int attach_check(struct iopf_container *c, struct iommu_group *group)
{
	struct iopf_attach *at;

	/* The group may need memory pinned, which needs valid CPU addresses. */
	if (c->space.vaddr_invalid)
		return -EBUSY;
	list_for_each_entry(at, &c->attaches, faults.node)
		if (at->group == group)
			return -EINVAL;
	return 0;
}

/* Whether a group's interrupts are isolated, or need not be: 0 or -EPERM. */
static int attach_check_msi(struct iopf_container *c, struct iopf_attach *at)
{
	if (READ_ONCE(iopf_allow_unsafe_interrupts) || iommu_group_has_isolated_msi(at->group))
		return 0;
	pr_warn_ratelimited(IOPF_DRIVER_NAME ": no interrupt remapping; the module parameter allow_unsafe_interrupts permits use without it\n");
	if (iopf_space_groupless(&c->space))
		iopf_claim_served(at, served_type1, reason_unsafe);
	return -EPERM;
}

/* Turn page faults on if possible. Leave a first group that can't fault to stock type1. */
static int attach_begin(struct iopf_container *c, struct iopf_attach *at)
{
	const char *reason = attach_barred(at) ? reason_disabled : attach_faults_on(at);

	at->iopf_on = !reason;
	/* Stock type1 serves a container whose first group can't fault. */
	if (reason && iopf_space_groupless(&c->space) && !READ_ONCE(iopf_serve_pinned)) {
		iopf_claim_served(at, served_type1, reason);
		return -ENODEV;
	}
	return attach_latency_on(at);
}

/* Attach a group whose limits are applied already. @undo takes those limits back. */
static int attach_group(struct iopf_container *c, struct iommu_group *group,
			const struct iopf_limits_undo *undo)
{
	struct iopf_attach *at = iopf_claim_group(c, group);
	int ret;

	if (IS_ERR(at))
		return PTR_ERR(at);
	at->failed = reason_failed;
	ret = attach_check_msi(c, at) ?: attach_begin(c, at);
	if (ret)
		goto err_end;
	ret = attach_locked(c, at, undo);
	if (!ret) {
		iopf_claim_served(at, served_here, at->reason ?: "");
		return 0;
	}
	/* For a container's first group the VFIO core asks the next backend. */
	if (list_empty(&c->attaches))
		iopf_claim_served(at, served_type1, at->failed);
err_end:
	if (at->iopf_on)
		attach_faults_off(at, at->faults.nr_devices);
	iopf_claim_end(at, false);
	iopf_fq_put(&at->faults);
	return ret;
}

/**
 * iopf_attach_group() - attach a group to a container
 * @c: the container
 * @group: the group, which VFIO owns
 * @emulated: its device has no DMA of its own
 *
 * Return: 0; -ENODEV when the container is new and the group can't fault (unless the
 * administrator has set serve_pinned);
 * -ENODEV also when pinning has to wait while a device of the container is being unbound;
 * -EBUSY while a CPU address is invalid or a last report of dirty pages is made, or when more is
 * pinned than the group's limit allows;
 * -EPERM without isolated interrupts, unless the administrator allows that;
 * -EINVAL when the group is attached already, its usable addresses do not cover the container's
 * areas, or its IOMMU's pages are larger than the CPU's; errors of iopf_pin_run_held(); -ENOMEM;
 * -EINTR.
 */
int iopf_attach_group(struct iopf_container *c, struct iommu_group *group, bool emulated)
{
	struct iopf_limits_undo undo;
	int ret;

	/* Exclude writers of limits. In a new container they fail at once: no long wait here. */
	if (mutex_lock_killable(&c->space.evictor->setting))
		return -EINTR;
	ret = mutex_lock_killable(&c->space.lock);
	if (ret) {
		mutex_unlock(&c->space.evictor->setting);
		return ret;
	}
	ret = iopf_limits_join(c, group, &undo);
	mutex_unlock(&c->space.evictor->setting);
	if (ret) {
		mutex_unlock(&c->space.lock);
		return ret;
	}
	/* Attaching may drop the container's lock and wait for user space. */
	ret = attach_check(c, group);
	if (!ret && emulated)
		ret = iopf_pin_run_held(&c->space, emulated_join, group);
	else if (!ret)
		ret = attach_group(c, group, &undo);
	mutex_unlock(&c->space.lock);

	mutex_lock(&c->space.evictor->setting);
	mutex_lock(&c->space.lock);
	if (ret)
		iopf_limits_undo(c, &undo);
	else
		iopf_limits_joined(c, &undo);
	mutex_unlock(&c->space.lock);
	mutex_unlock(&c->space.evictor->setting);
	return ret;
}

/* Unmap all areas if the last group has left. */
static void detach_last(struct iopf_container *c)
{
	if (iopf_space_groupless(&c->space))
		iopf_container_unmap_all(c);
}

/**
 * iopf_detach_group() - detach a group
 * @c: the container
 * @group: attached to it
 *
 * Can't fail. Detaching the last group unmaps all areas.
 */
void iopf_detach_group(struct iopf_container *c, struct iommu_group *group)
{
	struct iopf_attach *at, *found = NULL;
	struct iopf_iovas *iovas;

	guard(mutex)(&c->space.lock);

	if (iopf_emulated_detach(&c->space, group)) {
		detach_last(c);
		return;
	}
	list_for_each_entry(at, &c->attaches, faults.node)
		if (at->group == group)
			found = at;
	if (WARN_ON(!found))
		return;
	at = found;

	iopf_fault_drain(&at->faults);
	attach_unlist(at);
	iopf_container_share(c);
	detach_last(c);
	if (!at->dirty_scope)
		iopf_dirty_mark_all(c);
	/* Unpin before the domain goes: the domains know where the pinned pages are. */
	if (!at->faults.faulting)
		iopf_container_unpin(c);
	attach_unhold(c, at);
	attach_weaken(c);
	iopf_mediate_detach(c, at);
	iopf_domain_leave(c, at);
	if (at->iopf_on)
		attach_faults_off(at, at->faults.nr_devices);

	iovas = iopf_aperture_compute(c, NULL);
	if (!IS_ERR(iovas)) {
		kfree(c->iovas);
		c->iovas = iovas;
	}
	c->pgsizes = iopf_domain_pgsizes(c);
	iopf_claim_end(at, true);
	iopf_fq_put(&at->faults);
}

/**
 * iopf_attach_domain() - the domain that a group is attached to
 * @c: the container
 * @group: the group
 *
 * Return: the domain, or an error pointer: -ENODEV when it is not attached.
 */
struct iommu_domain *iopf_attach_domain(struct iopf_container *c, struct iommu_group *group)
{
	struct iopf_attach *at;

	guard(mutex)(&c->space.lock);
	list_for_each_entry(at, &c->attaches, faults.node)
		if (at->group == group)
			return at->domain;
	return ERR_PTR(-ENODEV);
}

/**
 * iopf_attach_dirty_scope() - note that a group's driver pins the pages that its device uses
 * @c: the container, locked
 * @group: the group
 *
 * So the device writes pinned pages only, and reports of dirty pages need no others.
 */
void iopf_attach_dirty_scope(struct iopf_container *c, struct iommu_group *group)
{
	struct iopf_attach *at;

	lockdep_assert_held(&c->space.lock);

	list_for_each_entry(at, &c->attaches, faults.node)
		if (at->group == group)
			at->dirty_scope = true;
}

/**
 * iopf_attach_update() - apply a change of how a device of a group may fault
 * @at: the group, attached or about to be; the device is in the new state already
 *
 * Also for a change of the mediator, or of user space's declaration (iopf_lock_complete()).
 *
 * Context: under the container's lock.
 * Return: 0; -ENODEV when page faults can't be turned on; errors of iopf_container_pin().
 * On error nothing has changed, and the caller restores the old state.
 */
int iopf_attach_update(struct iopf_attach *at)
{
	struct iopf_container *c = at->container;
	const char *reason;
	int ret;

	lockdep_assert_held(&c->space.lock);

	/* attach_join() looks at the devices' state when it continues. */
	if (!at->listed)
		return 0;
	reason = attach_reason(at);
	if (reason == reason_no_iopf)
		return -ENODEV;
	if (reason) {
		if (!at->faults.faulting)
			return 0;
		ret = iopf_container_pin(c);
		if (ret)
			return ret;
		/*
		 * Page faults stay on in the IOMMU. Pinning may unmap a page for a moment. A
		 * device that accesses the page then faults, and the fault needs an answer.
		 */
		WRITE_ONCE(at->faults.faulting, false);
	} else if (!at->faults.faulting) {
		WRITE_ONCE(at->faults.faulting, true);
		iopf_container_unpin(c);
	}
	iopf_claim_served(at, served_here, reason ?: "");
	return 0;
}
