// SPDX-License-Identifier: GPL-2.0-only
/*
 * vfio_iommu_iopf: a VFIO IOMMU backend that maps memory when the device faults.
 *
 * This file starts and ends the module. The parameters are in lib/params.c. The parts of a
 * container are in parts.c. Read next: vfio/type1.c (the calls of user space), vfio/container.c,
 * vfio/attach.c, then the core of the product: fault/, map/ and host/. docs/internals/walk.md
 * follows a fault through them.
 */
#include <linux/init.h>
#include <linux/kobject.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/workqueue.h>

#include "../../core/version.h"
#include "../compat/iommu.h"
#include "device/device.h"
#include "device/table.h"
#include "fault/queue.h"
#include "host/charge.h"
#include "host/mm.h"
#include "host/pool.h"
#include "lib/params.h"
#include "lib/timing.h"
#include "map/area.h"
#include "map/chunk.h"
#include "map/hint.h"
#include "pin/hot.h"
#include "vfio/container.h"
#include "vfio/defaults.h"
#include "vfio/front.h"
#include "parts.h"

static struct kobject *iopf_kobj;

static int clock_init(void)
{
	iopf_clock_init();
	return 0;
}

/* WQ_MEM_RECLAIM, since reclaim may wait for this workqueue. */
static int zap_wq_init(void)
{
	iopf_zap_wq = alloc_workqueue(IOPF_DRIVER_NAME "_zap", WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	return iopf_zap_wq ? 0 : -ENOMEM;
}

static void zap_wq_exit(void)
{
	destroy_workqueue(iopf_zap_wq);
}

static int wq_init(void)
{
	iopf_wq = alloc_workqueue(IOPF_DRIVER_NAME, WQ_UNBOUND, 0);
	return iopf_wq ? 0 : -ENOMEM;
}

static void wq_exit(void)
{
	/* Areas are freed by RCU, then by the workqueue. */
	rcu_barrier();
	destroy_workqueue(iopf_wq);
}

static int kobj_init(void)
{
	iopf_kobj = kobject_create_and_add("vfio_iopf", kernel_kobj);
	return iopf_kobj ? 0 : -ENOMEM;
}

static void kobj_exit(void)
{
	kobject_put(iopf_kobj);
}

static int table_init(void)
{
	return iopf_table_init(iopf_kobj);
}

static void table_exit(void)
{
	iopf_table_exit(iopf_kobj);
}

static int defaults_init(void)
{
	return iopf_defaults_init(iopf_kobj);
}

static void defaults_exit(void)
{
	iopf_defaults_exit(iopf_kobj);
}

static int containers_init(void)
{
	return iopf_containers_init(iopf_kobj, iopf_parts);
}

static int devices_init(void)
{
	return iopf_devices_init(iopf_kobj, &iopf_parts_devices);
}

static int front_init(void)
{
	return iopf_front_init(iopf_kobj);
}

static void front_exit(void)
{
	iopf_front_exit(iopf_kobj);
}

/* The steps to start the module, in this order. It ends them in the reverse order. */
static const struct {
	int (*init)(void);
	void (*exit)(void);
} steps[] = {
	{ clock_init },
	{ iopf_chunk_cache_init, iopf_chunk_cache_exit },
	{ iopf_area_cache_init, iopf_area_cache_exit },
	{ iopf_fault_cache_init, iopf_fault_cache_exit },
	{ iopf_hints_init, iopf_hints_exit },
	{ zap_wq_init, zap_wq_exit },
	{ iopf_hot_init, iopf_hot_exit },
	{ iopf_pools_init, iopf_pools_exit },
	{ NULL, iopf_mms_exit },
	{ wq_init, wq_exit },
	{ NULL, iopf_charge_exit },
	{ kobj_init, kobj_exit },
	{ table_init, table_exit },
	{ defaults_init, defaults_exit },
	{ containers_init, iopf_containers_exit },
	{ devices_init, iopf_devices_exit },
	{ front_init, front_exit },
};

/* Undo the first @n steps. */
static void steps_undo(unsigned int n)
{
	while (n--)
		if (steps[n].exit)
			steps[n].exit();
}

static int __init iopf_init(void)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(steps); i++) {
		int ret = steps[i].init ? steps[i].init() : 0;

		if (ret) {
			steps_undo(i);
			return ret;
		}
	}
	return 0;
}

static void __exit iopf_exit(void)
{
	steps_undo(ARRAY_SIZE(steps));
}

module_init(iopf_init);
module_exit(iopf_exit);

MODULE_DESCRIPTION("VFIO IOMMU backend that maps memory on I/O page faults");
MODULE_VERSION(IOPF_VERSION);
MODULE_LICENSE("GPL");
MODULE_SOFTDEP("pre: vfio_iommu_type1");
IOPF_IMPORT_IOMMU_NS();
