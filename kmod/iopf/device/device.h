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
 * enum iopf_stat - what is counted for each device
 * @IOPF_STAT_FAULTS: page request groups (or stalls) answered
 * @IOPF_STAT_PAGE_REQUESTS: page requests in them
 * @IOPF_STAT_MAPPED: pages mapped for them
 * @IOPF_STAT_PARKED: groups that had to wait for memory, a disk or user space
 * @IOPF_STAT_COALESCED: parked groups answered without their own worker, because another group
 *                   waited for the same pages
 * @IOPF_STAT_RETRIES: attempts repeated because of an invalidation or lack of memory
 * @IOPF_STAT_RETRIES_EXHAUSTED: groups told to go on without their page after too many attempts;
 *                     the device asks again
 * @IOPF_STAT_DEFERRED: groups told to ask again, since as many waited as may, or for want of memory
 * @IOPF_STAT_RESPONSES_INVALID: groups answered "invalid request"
 * @IOPF_STAT_PREFETCHED: pages populated before the device asked for them, as it goes in order
 * @IOPF_STAT_PREFETCH_USED: those of them that it came to the end of
 * @IOPF_STAT_PREFETCH_WASTED: those that it did not, as far as is known
 * @IOPF_STAT_UNEXPECTED_LOCKED: page requests where it is not to fault
 * @IOPF_STAT_UNEXPECTED_DISABLED: page requests while it may not fault at all
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
 * struct iopf_device - a device that a VFIO driver has
 * @kobj: /sys/kernel/vfio_iopf/devices/<name>
 * @dev: the device, referenced
 * @node: in the list of devices
 * @mode: how it may fault: the administrator's word, or the device table's
 * @enabled: it may fault now; never with IOPF_MODE_NONE
 * @policy: of what its containers map, where nothing else is said; see pin/policy.c
 * @windows: where a selective device does not fault, whatever is mapped there; an array, or NULL
 * @nr_windows: number of windows
 * @rule: who decided on these, and by which rule
 * @ruling: what a newer device table says, for when it is released; or NULL; see table.c
 * @ruling_new: of a table that is being looked at
 * @mediator: the driver that says where it does not fault, or NULL; see vfio/mediate.c
 * @unexpected_logged: causes of unexpected faults that the log has named, bits by iopf_stat
 * @setting: one change by an administrator at a time; outside of the container's lock
 * @attach: the attachment, current or in preparation, or NULL
 * @unbinding: it is being unbound from its VFIO driver
 * @unbound_from: the container that counts it in iopf_pins.unbinding, or NULL
 * @backend: who serves its container: a module name, or "none"
 * @reason: why not this module, see core/reason.h; or ""
 * @stats: counters
 * @complaints: limits the log messages about its faults
 * @news: limits the log messages about its backend; its owner can change the backend at any rate
 * @latency: how long its faults took, while it is attached; see fault/latency.c
 * @latency_past: and before; NULL until it is attached the first time
 * @latency_shared: the past of its container, while it is attached
 * @latency_dir: the sysfs directory that shows the latency
 * @streams_lock: protects @streams; a leaf
 * @streams: its sequential or strided streams through memory
 *
 * iopf_devices_lock protects @node, @mode, @enabled, @policy, @windows, @mediator, @rule, @ruling,
 * @ruling_new, @attach, @unbinding, @unbound_from, @backend, @reason, @latency_past.
 * With @attach set, @mode, @enabled and
 * @policy change under the container's lock, too, and @windows does not change. @attach and the
 * mediator's locks change under the container's lock, too.
 * @latency does not change while faults can happen.
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
 * struct iopf_devices_ops - what others do for devices
 * @sysfs: shows and stores the files of a device's directory
 * @publish: the directory is there; 0 or a negative error number: then the directory goes, with its
 *           files
 * @unpublish: the directory is about to go; waits for who uses what @publish has made
 * @unbind: the device is about to be unbound from its VFIO driver; without our locks
 * @unclaim: the device has left its VFIO driver; under iopf_devices_lock
 * @forget: a device of this name has left its VFIO driver, be it one that is not known
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

/* Who owns what is held for a window; see pin/hold.c. */
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
