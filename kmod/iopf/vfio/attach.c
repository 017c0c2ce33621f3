// SPDX-License-Identifier: GPL-2.0-only
/*
 * Attaching IOMMU groups to containers.
 *
 * A group is "faulting" when each of its devices is enabled for it, the
 * IOMMU driver could turn page faults on for it, and for those that fault only in part somebody
 * has said where they do not. The first group of a container
 * must be, or lack no more than the last: otherwise it is refused, the VFIO core tries the next
 * backend, stock type1, and the device's sysfs directory and the log say why. Groups that join
 * later may be of either kind; one that can't fault makes the container pin
 * everything for as long as it is there. Emulated devices make no difference to that, and
 * may be the first: see pin/emulated.c.
 *
 * Order of attaching: page faults on; a domain; attach; does it have the addresses that
 * are mapped; the container's pinned pages into it; everything pinned, if need be. So nothing
 * is ever pinned without a domain that knows the pages. Detaching is the reverse, after
 * iopf_fault_drain().
 *
 * Domains are shared by groups whose IOMMU agrees to it, as in type1 (domain.c).
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
	": it faults only in part, and nobody has said yet where it may not";

static const char served_type1[] = "vfio_iommu_type1";
static const char served_here[] = IOPF_DRIVER_NAME;

static void attach_faults_off(struct iopf_attach *at, unsigned int nr)
{
	while (nr--)
		iommu_dev_disable_feature(at->faults.device[nr]->dev, IOMMU_DEV_FEAT_IOPF);
}

/* Whether a device may not fault at all. NULL, or why. */
static const char *attach_barred(const struct iopf_attach *at)
{
	for (unsigned int i = 0; i < at->faults.nr_devices; i++)
		if (!at->faults.device[i]->enabled)
			return reason_pinned;
	return NULL;
}

/* Whether nobody has said where a device that faults in part may not. NULL, or why. */
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

/* Turn page faults on for each device. NULL, or why it can't be: reason_no_iopf. */
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

/* Time what faults the devices will have. Undone by iopf_claim_end(), be it that it fails. */
static int attach_latency_on(struct iopf_attach *at)
{
	int ret = 0;

	guard(mutex)(&iopf_devices_lock);
	for (unsigned int i = 0; !ret && i < at->faults.nr_devices; i++)
		ret = iopf_latency_attach(at->faults.device[i], at->container->latency_past);
	return ret;
}

/* Into the container's list, where files in sysfs look for it, too; or out of it. */
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

/* Hold what is mapped in windows. */
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

/* The group is on the container's list, or off it again: what is pinned beside it follows. */
static void attach_unhold(struct iopf_container *c, struct iopf_attach *at)
{
	for (unsigned int i = 0; i < at->faults.nr_devices; i++)
		windows_unhold(c, at->faults.device[i]->windows, at->faults.device[i]->nr_windows);
}

/* A group has left: the policy can't get stronger by that, and to get weaker needs nothing. */
static void attach_weaken(struct iopf_container *c)
{
	WARN_ON(iopf_policy_refresh(c));
}

static int attach_hold(struct iopf_container *c, struct iopf_attach *at)
{
	int ret = 0;

	/* What has been wanted while there was no domain. */
	if (list_is_singular(&c->attaches))
		ret = iopf_hold_fill_all(&c->space);
	for (unsigned int i = 0; !ret && i < at->faults.nr_devices; i++)
		ret = windows_hold(c, at->faults.device[i]->windows,
				   at->faults.device[i]->nr_windows);
	return ret ?: iopf_policy_refresh(c);
}

/* Why a group may not fault, as its devices are now, or NULL: then page faults are on. */
static const char *attach_reason(struct iopf_attach *at)
{
	const char *reason = attach_barred(at);

	if (!reason && !at->iopf_on) {
		reason = attach_faults_on(at);
		at->iopf_on = !reason;
	}
	return reason ?: attach_unanswered(at);
}

/* The group has its domain: have pinned what is to be for it, and make it one of the list. */
static int attach_join(struct iopf_space *space, void *data)
{
	struct iopf_container *c = iopf_space_container(space);
	struct iopf_attach *at = data;
	int ret;

	/* What its devices are may have changed while memory was pinned, and what is mapped. */
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
	/* For what is mapped while memory is pinned. */
	swap(c->iovas, iovas);
	ret = iopf_pin_run_held(&c->space, attach_join, at);
	if (ret)
		goto err_iovas;
	kfree(iovas);
	c->pgsizes = iopf_domain_pgsizes(c);
	iopf_container_share(c);
	return 0;

err_iovas:
	/* Its policy, too, before what the container's is by now is looked at. */
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

/* Whether a group can be attached at all. */
static int attach_check(struct iopf_container *c, struct iommu_group *group)
{
	struct iopf_attach *at;

	/* It could need pinning. */
	if (c->space.vaddr_invalid)
		return -EBUSY;
	list_for_each_entry(at, &c->attaches, faults.node)
		if (at->group == group)
			return -EINVAL;
	return 0;
}

/* Whether a group's interrupts are isolated, or need not be. */
static int attach_check_msi(struct iopf_container *c, struct iopf_attach *at)
{
	if (READ_ONCE(iopf_allow_unsafe_interrupts) || iommu_group_has_isolated_msi(at->group))
		return 0;
	pr_warn_ratelimited(IOPF_DRIVER_NAME ": no interrupt remapping; the module parameter allow_unsafe_interrupts permits use without it\n");
	if (iopf_space_groupless(&c->space))
		iopf_claim_served(at, served_type1, reason_unsafe);
	return -EPERM;
}

/* Have page faults on, as far as that can be; or leave the group to stock type1. */
static int attach_begin(struct iopf_container *c, struct iopf_attach *at)
{
	const char *reason = attach_barred(at) ? reason_disabled : attach_faults_on(at);

	at->iopf_on = !reason;
	/* A container with this group as its first real one is for stock type1. */
	if (reason && iopf_space_groupless(&c->space) && !READ_ONCE(iopf_serve_pinned)) {
		iopf_claim_served(at, served_type1, reason);
		return -ENODEV;
	}
	return attach_latency_on(at);
}

/* The group has brought its limits along; @undo takes them back. */
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
 * administrator wants it served here all the same);
 * -ENODEV also when memory has to be waited for and a device of the container is being unbound;
 * -EBUSY while a CPU address is invalid or a last report of dirty pages is made, or when more is
 * pinned than the group may have;
 * -EPERM without isolated interrupts, unless the administrator allows that;
 * -EINVAL when it is attached already, the group's addresses do not agree with the
 * container's, or its IOMMU's pages are larger than the CPU's; what pinning returns; -ENOMEM;
 * -EINTR.
 */
int iopf_attach_group(struct iopf_container *c, struct iommu_group *group, bool emulated)
{
	struct iopf_limits_undo undo;
	int ret;

	/* No limit is being set meanwhile. Of a new container that takes no time. */
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
	/* It may wait for user space, without the container's lock. */
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

/* The last group takes the areas with it. */
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
 * Can't fail. The last group takes the areas with it.
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
	/* The domains know where the pinned pages are. */
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
 * iopf_attach_dirty_scope() - a group's driver pins what its device uses
 * @c: the container, locked
 * @group: the group
 *
 * Thereby it says what the device may write.
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
 * iopf_attach_update() - how a device of a group may fault has changed, or who answers for it
 * @at: the group, attached or about to be; all is in the new state
 *
 * Context: under the container's lock.
 * Return: 0; -ENODEV when page faults can't be turned on; what pinning returns.
 * On error nothing has changed, and the caller goes back to the old state.
 */
int iopf_attach_update(struct iopf_attach *at)
{
	struct iopf_container *c = at->container;
	const char *reason;
	int ret;

	lockdep_assert_held(&c->space.lock);

	/* It looks for itself when it goes on. */
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
		 * Page faults stay on in the IOMMU: an access to the gap where a page
		 * was replaced by its pinned self has to be answered.
		 */
		WRITE_ONCE(at->faults.faulting, false);
	} else if (!at->faults.faulting) {
		WRITE_ONCE(at->faults.faulting, true);
		iopf_container_unpin(c);
	}
	iopf_claim_served(at, served_here, reason ?: "");
	return 0;
}
