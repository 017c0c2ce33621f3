// SPDX-License-Identifier: GPL-2.0-only
/*
 * vfio_iommu_iopf: a VFIO IOMMU backend that maps memory when the device faults.
 *
 * Start and end; the parameters are in params.c. Where to read on: type1.c (what user space
 * calls), container.c, attach.c, then fault.c, chunk.c and mm.c, which are the product.
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
#include "host/mm.h"
#include "host/pool.h"
#include "lib/params.h"
#include "lib/timing.h"
#include "map/chunk.h"
#include "map/hint.h"
#include "pin/hot.h"
#include "vfio/container.h"
#include "vfio/defaults.h"
#include "vfio/front.h"
#include "parts.h"

static struct kobject *iopf_kobj;

static int __init iopf_init(void)
{
	int ret;

	iopf_clock_init();
	ret = iopf_chunk_cache_init();
	if (ret)
		return ret;
	ret = iopf_fault_cache_init();
	if (ret)
		goto err_chunk_cache;

	ret = iopf_hints_init();
	if (ret)
		goto err_fault_cache;

	ret = iopf_hot_init();
	if (ret)
		goto err_hints;

	ret = iopf_pools_init();
	if (ret)
		goto err_hot;

	ret = -ENOMEM;
	iopf_wq = alloc_workqueue(IOPF_DRIVER_NAME, WQ_UNBOUND, 0);
	if (!iopf_wq)
		goto err_pools;
	/* Whoever wants memory back may wait for it. */
	iopf_zap_wq = alloc_workqueue(IOPF_DRIVER_NAME "_zap", WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	if (!iopf_zap_wq)
		goto err_wq;
	iopf_kobj = kobject_create_and_add("vfio_iopf", kernel_kobj);
	if (!iopf_kobj)
		goto err_zap_wq;
	ret = iopf_table_init(iopf_kobj);
	if (ret)
		goto err_kobj;
	ret = iopf_defaults_init(iopf_kobj);
	if (ret)
		goto err_table;
	ret = iopf_containers_init(iopf_kobj, iopf_parts);
	if (ret)
		goto err_defaults;
	ret = iopf_devices_init(iopf_kobj, &iopf_parts_devices);
	if (ret)
		goto err_containers;
	ret = iopf_front_init(iopf_kobj);
	if (ret)
		goto err_devices;
	return 0;

err_devices:
	iopf_devices_exit();
err_containers:
	iopf_containers_exit();
err_defaults:
	iopf_defaults_exit(iopf_kobj);
err_table:
	iopf_table_exit(iopf_kobj);
err_kobj:
	kobject_put(iopf_kobj);
err_zap_wq:
	destroy_workqueue(iopf_zap_wq);
err_wq:
	destroy_workqueue(iopf_wq);
err_pools:
	iopf_pools_exit();
err_hot:
	iopf_hot_exit();
err_hints:
	iopf_hints_exit();
err_fault_cache:
	iopf_fault_cache_exit();
err_chunk_cache:
	iopf_chunk_cache_exit();
	return ret;
}

static void __exit iopf_exit(void)
{
	iopf_front_exit(iopf_kobj);
	iopf_devices_exit();
	iopf_containers_exit();
	iopf_defaults_exit(iopf_kobj);
	iopf_table_exit(iopf_kobj);
	kobject_put(iopf_kobj);
	/* Areas are freed by RCU, then by the workqueue. */
	rcu_barrier();
	destroy_workqueue(iopf_wq);
	iopf_mms_exit();
	iopf_pools_exit();
	iopf_hot_exit();
	destroy_workqueue(iopf_zap_wq);
	iopf_hints_exit();
	iopf_fault_cache_exit();
	iopf_chunk_cache_exit();
}

module_init(iopf_init);
module_exit(iopf_exit);

MODULE_DESCRIPTION("VFIO IOMMU backend that maps memory on I/O page faults");
MODULE_VERSION(IOPF_VERSION);
MODULE_LICENSE("GPL");
MODULE_SOFTDEP("pre: vfio_iommu_type1");
IOPF_IMPORT_IOMMU_NS();
