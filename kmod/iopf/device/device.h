/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_DEVICE_H
#define IOPF_DEVICE_H

#include <linux/kobject.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/ratelimit.h>
#include <linux/spinlock.h>

#include "../../../core/mode.h"
#include "../../../core/range.h"
#include "../../../core/stream.h"

struct device;
struct iopf_attach;
struct iopf_container;
struct iopf_latency;
struct iopf_latency_past;
struct iopf_ruling;
struct vfio_iopf_mediator;

/**
 * enum iopf_stat - counters of each device
 * @IOPF_STAT_FAULTS: page-request groups (or stalls) answered
 * @IOPF_STAT_PAGE_REQUESTS: page requests in these groups
 * @IOPF_STAT_MAPPED: pages mapped for the device
 * @IOPF_STAT_PARKED: groups that had to wait for memory, a disk or user space
 * @IOPF_STAT_COALESCED: waiting groups that the worker of another group answered, because their
 *                       pages came meanwhile
 * @IOPF_STAT_RETRIES: attempts repeated because of an invalidation or lack of memory
 * @IOPF_STAT_RETRIES_EXHAUSTED: groups answered SUCCESS without their page after too many attempts;
 *                               the device asks again
 * @IOPF_STAT_DEFERRED: groups answered SUCCESS without their page, because the limit of waiting
 *                      requests was reached, or memory was short; the device asks again
 * @IOPF_STAT_RESPONSES_INVALID: groups answered INVALID
 * @IOPF_STAT_PREFETCHED: pages mapped or populated before a sequential device asked for them
 * @IOPF_STAT_PREFETCH_USED: prefetched pages of runs whose end the device has reached
 * @IOPF_STAT_PREFETCH_WASTED: prefetched pages that the device has not used, as far as is known
 * @IOPF_STAT_UNEXPECTED_LOCKED: page requests at addresses where the device must not fault
 * @IOPF_STAT_UNEXPECTED_DISABLED: page requests of a device that may not fault at all
 * @IOPF_STAT_NR: number of counters
 */
enum iopf_stat {
	IOPF_STAT_FAULTS,
	IOPF_STAT_PAGE_REQUESTS,
	IOPF_STAT_MAPPED,
	IOPF_STAT_PARKED,
	IOPF_STAT_COALESCED,
	IOPF_STAT_RETRIES,
	IOPF_STAT_RETRIES_EXHAUSTED,
	IOPF_STAT_DEFERRED,
	IOPF_STAT_RESPONSES_INVALID,
	IOPF_STAT_PREFETCHED,
	IOPF_STAT_PREFETCH_USED,
	IOPF_STAT_PREFETCH_WASTED,
	IOPF_STAT_UNEXPECTED_LOCKED,
	IOPF_STAT_UNEXPECTED_DISABLED,
	IOPF_STAT_NR,
};

struct iopf_stats {
	u64 count[IOPF_STAT_NR];
};

/**
 * struct iopf_device - a device that is bound to a VFIO driver
 * @kobj: /sys/kernel/vfio_iopf/devices/<name>
 * @dev: the device, referenced
 * @node: in the list of devices
 * @mode: how the device may fault, set by the administrator or by the device table
 * @enabled: the device may fault now; always false with IOPF_MODE_NONE
 * @policy: default policy of the device for the memory of its container; see pin/policy.c
 * @windows: addresses at which a selective device does not fault, whatever is mapped there; an
 *           array, or NULL
 * @nr_windows: number of windows
 * @rule: the rule that decided on these fields, and its origin
 * @ruling: the ruling of a newer device table, applied when the device is released; or NULL; see
 *          table.c
 * @ruling_new: the ruling of a table that is being written
 * @mediator: the driver that says where the device does not fault, or NULL; see vfio/mediate.c
 * @unexpected_logged: causes of unexpected faults that have been logged, bits by iopf_stat
 * @setting: serialises changes by an administrator; taken outside the container's lock
 * @attach: the attachment, current or in preparation, or NULL
 * @unbinding: the device is being unbound from its VFIO driver
 * @unbound_from: the container that counts the device in iopf_pins.unbinding, or NULL
 * @backend: the backend that serves the device's container: a module name, or "none"
 * @reason: why this module does not serve the container, see core/reason.h; or ""
 * @stats: counters
 * @complaints: limits the log messages about faults of the device
 * @news: limits the log messages about @backend, which the owner can change at any rate
 * @latency: latency of faults since the device was attached; see fault/latency.c
 * @latency_past: latency of faults before that; NULL until the device is attached the first time
 * @latency_shared: the past of the device's container, while the device is attached
 * @latency_dir: the sysfs directory that shows the latency
 * @streams_lock: protects @streams; a leaf
 * @streams: sequential and strided streams of the device through memory
 *
 * iopf_devices_lock protects @node, @mode, @enabled, @policy, @windows, @mediator, @rule, @ruling,
 * @ruling_new, @attach, @unbinding, @unbound_from, @backend, @reason, @latency_past. While @attach
 * is set, @mode, @enabled and @policy change under the container's lock, too, and @windows does not
 * change. @attach and the locks of the mediator also change under the container's lock. @latency
 * does not change while faults can happen.
 */
struct iopf_device {
	struct kobject kobj;
	struct device *dev;
	struct list_head node;
	enum iopf_mode mode;
	bool enabled;
	enum iopf_policy policy;
	struct iopf_range *windows;
	unsigned int nr_windows;
	char *rule;
	struct iopf_ruling *ruling;
	struct iopf_ruling *ruling_new;
	struct vfio_iopf_mediator *mediator;
	unsigned long unexpected_logged;
	struct mutex setting; /* outermost */
	struct iopf_attach *attach;
	bool unbinding;
	struct iopf_container *unbound_from;
	const char *backend;
	const char *reason;
	struct iopf_stats __percpu *stats;
	struct ratelimit_state complaints;
	struct ratelimit_state news;
	struct iopf_latency __percpu *latency;
	struct iopf_latency_past *latency_past;
	struct iopf_latency_past *latency_shared;
	struct kobject *latency_dir;
	spinlock_t streams_lock; /* leaf */
	struct iopf_streams streams;
};

/**
 * struct iopf_devices_ops - callbacks of the folders above, for events of devices
 * @sysfs: shows and stores the files of a device's directory
 * @publish: the directory exists. Returns 0 or a negative error number: then the directory and its
 *           files are removed
 * @unpublish: the directory is about to be removed; waits for users of the files of @publish
 * @unbind: the device is about to be unbound from its VFIO driver; called without a lock of this
 *          module
 * @unclaim: the device has been unbound from its VFIO driver; called under iopf_devices_lock
 * @forget: a device of this name has been unbound from its VFIO driver; also called for an unknown
 *          device
 */
struct iopf_devices_ops {
	const struct sysfs_ops *sysfs;
	int (*publish)(struct iopf_device *d);
	void (*unpublish)(struct iopf_device *d);
	void (*unbind)(struct iopf_device *d);
	void (*unclaim)(struct iopf_device *d);
	void (*forget)(const char *name);
};

extern struct mutex iopf_devices_lock;

/* Return the owner number of the holds for a window; see pin/hold.c. */
static inline u64 iopf_device_window_owner(const struct iopf_range *windows, unsigned int i)
{
	return (unsigned long)&windows[i];
}

int iopf_devices_init(struct kobject *root, const struct iopf_devices_ops *ops);
void iopf_devices_exit(void);

int iopf_devices_each(int (*fn)(struct iopf_device *d, void *data), void *data);
struct iopf_device *iopf_device_get(struct device *dev);
void iopf_device_put(struct iopf_device *d);
void iopf_device_served(struct iopf_device *d, const char *by, const char *reason);
void iopf_device_released(struct iopf_device *d);
void iopf_devices_set_behind(bool behind);

static inline void iopf_device_count(struct iopf_device *d, enum iopf_stat stat, u64 n)
{
	this_cpu_add(d->stats->count[stat], n);
}

#endif /* IOPF_DEVICE_H */
