// SPDX-License-Identifier: GPL-2.0-only
/*
 * The parts of a container and of a device. This is the one place that names every feature.
 *
 * A new feature of a container is a folder or a file, and a part in the table below. For the
 * functions of a part see vfio/part.h and docs/internals/architecture.md.
 */
#include <linux/cleanup.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/sysfs.h>
#include <linux/workqueue.h>

#include "budget/budget.h"
#include "device/device.h"
#include "fault/latency.h"
#include "lib/params.h"
#include "map/area.h"
#include "map/chunk.h"
#include "parts.h"
#include "pin/hot.h"
#include "pin/mmio.h"
#include "pin/pin.h"
#include "pin/pins.h"
#include "prefault/requests.h"
#include "sample/sampler.h"
#include "sysfs/container.h"
#include "sysfs/device.h"
#include "sysfs/latency.h"
#include "sysfs/limits.h"
#include "sysfs/quota.h"
#include "sysfs/sampling.h"
#include "vfio/container.h"
#include "vfio/devices.h"
#include "vfio/part.h"

/* The address space */

static void repair_work(struct work_struct *work)
{
	iopf_pin_repair_all(container_of(to_delayed_work(work), struct iopf_space, repair));
}

static int space_init(struct iopf_container *c)
{
	return iopf_space_init(&c->space, c->id, repair_work);
}

static void space_stop(struct iopf_container *c)
{
	/* No area is left that could schedule it again. */
	cancel_delayed_work_sync(&c->space.repair);
	guard(mutex)(&c->space.lock);
	mtree_destroy(&c->space.areas);
}

static void space_free(struct iopf_container *c)
{
	iopf_space_free(&c->space);
}

/* Pinned memory */

static int pins_init(struct iopf_container *c)
{
	iopf_pins_init(&c->pins, &c->space);
	return 0;
}

static void pins_stop(struct iopf_container *c)
{
	guard(mutex)(&c->space.lock);
	mtree_destroy(&c->pins.policies.tree);
}

/* The budget, and hot blocks */

static const struct iopf_evictor_ops evictor_ops = {
	.evict = iopf_chunk_evict,
	.looked = iopf_hot_work,
};

static int budget_init(struct iopf_container *c)
{
	c->space.evictor = iopf_evictor_create(&c->space, &evictor_ops);
	return c->space.evictor ? 0 : -ENOMEM;
}

static int budget_publish(struct iopf_container *c)
{
	c->space.evictor->thrashing = sysfs_get_dirent(c->kobj.sd, "thrashing");
	return c->space.evictor->thrashing ? 0 : -ENOENT;
}

static void budget_stop(struct iopf_container *c)
{
	iopf_hot_end(&c->pins.hots);
	iopf_evictor_end(c->space.evictor);
	iopf_hot_forget(&c->pins.hots);
}

static void budget_free(struct iopf_container *c)
{
	/* A container that was never published was never stopped. */
	iopf_hot_end(&c->pins.hots);
	iopf_evictor_free(c->space.evictor);
}

/* Quotas */

static int quota_init(struct iopf_container *c)
{
	c->fault_workers_max = UINT_MAX;
	c->prefetch_max = UINT_MAX;
	return 0;
}

/* Prefault requests */

static int prefault_init(struct iopf_container *c)
{
	c->space.prefaults = iopf_prefaults_create(&c->space);
	return c->space.prefaults ? 0 : -ENOMEM;
}

static void prefault_end(struct iopf_container *c)
{
	iopf_prefaults_end(c->space.prefaults);
}

static void prefault_free(struct iopf_container *c)
{
	iopf_prefaults_put(c->space.prefaults);
}

/* Latency */

static int latency_init(struct iopf_container *c)
{
	c->latency_past = iopf_latency_past_alloc();
	return c->latency_past ? 0 : -ENOMEM;
}

static int latency_publish(struct iopf_container *c)
{
	c->latency_dir = iopf_latency_dir_container(&c->kobj, c->latency_past, &c->attaches);
	return c->latency_dir ? 0 : -ENOMEM;
}

static void latency_unpublish(struct iopf_container *c)
{
	iopf_latency_dir_destroy(c->latency_dir);
}

static void latency_free(struct iopf_container *c)
{
	kvfree(c->latency_past);
}

/* Sampling */

static int sampling_init(struct iopf_container *c)
{
	c->sampler = iopf_sampler_create(&c->space);
	return c->sampler ? 0 : -ENOMEM;
}

static int sampling_publish(struct iopf_container *c)
{
	c->sampling_dir = iopf_sampling_dir_create(&c->kobj, c->sampler);
	return c->sampling_dir ? 0 : -ENOMEM;
}

static void sampling_unpublish(struct iopf_container *c)
{
	iopf_sampling_dir_destroy(c->sampling_dir);
	iopf_sampler_end(c->sampler);
}

static void sampling_free(struct iopf_container *c)
{
	iopf_sampler_free(c->sampler);
}

/*
 * Parts begin in this order and end in the reverse order. The budget comes after the pins, which
 * contain its hot blocks.
 */
const struct iopf_part iopf_parts[] = {
	{ "space", space_init, iopf_container_attrs, .stop = space_stop, .free = space_free },
	{ "pins", pins_init, .stop = pins_stop },
	{ "budget", budget_init, iopf_limits_attrs, budget_publish, .stop = budget_stop,
	  .free = budget_free },
	{ "quota", quota_init, iopf_quota_attrs },
	{ "prefault", prefault_init, .end = prefault_end, .free = prefault_free },
	{ "latency", latency_init, NULL, latency_publish, latency_unpublish, .free = latency_free },
	{ "sampling", sampling_init, NULL, sampling_publish, sampling_unpublish,
	  .free = sampling_free },
	{ }
};

/* Devices */

static int device_publish(struct iopf_device *d)
{
	int ret = sysfs_create_files(&d->kobj, (const struct attribute *const *)iopf_device_attrs);

	if (ret)
		return ret;
	d->latency_dir = iopf_latency_dir_device(&d->kobj, d);
	return d->latency_dir ? 0 : -ENOMEM;
}

static void device_unpublish(struct iopf_device *d)
{
	iopf_latency_dir_destroy(d->latency_dir);
}

const struct iopf_devices_ops iopf_parts_devices = {
	.sysfs = &iopf_device_sysfs_ops,
	.publish = device_publish,
	.unpublish = device_unpublish,
	.unbind = iopf_device_unbind,
	.unclaim = iopf_device_unclaimed,
	.forget = iopf_device_forget,
};
