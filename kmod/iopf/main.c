// SPDX-License-Identifier: GPL-2.0-only
/*
 * vfio_iommu_iopf: a VFIO IOMMU backend that maps memory when the device faults.
 *
 * Module parameters, start and end. Where to read on: type1.c (what user space
 * calls), container.c, attach.c, then fault.c, chunk.c and mm.c, which are the product.
 */
#include <linux/init.h>
#include <linux/kobject.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/workqueue.h>

#include "../../core/version.h"
#include "../../core/window.h"
#include "../compat/iommu.h"
#include "chunk.h"
#include "container.h"
#include "controls.h"
#include "defaults.h"
#include "device.h"
#include "fault.h"
#include "front.h"
#include "hint.h"
#include "hot.h"
#include "latency.h"
#include "main.h"
#include "mm.h"
#include "pool.h"
#include "table.h"

bool iopf_allow_unsafe_interrupts;
module_param_named(allow_unsafe_interrupts, iopf_allow_unsafe_interrupts, bool, 0644);
MODULE_PARM_DESC(allow_unsafe_interrupts,
		 "Allow use on platforms without interrupt remapping, as in vfio_iommu_type1 (default: no)");

bool iopf_disable_hugepages;
module_param_named(disable_hugepages, iopf_disable_hugepages, bool, 0644);
MODULE_PARM_DESC(disable_hugepages,
		 "Map pages of the base size only; for containers made from now on (default: no)");

bool iopf_serve_pinned;
module_param_named(serve_pinned, iopf_serve_pinned, bool, 0644);
MODULE_PARM_DESC(serve_pinned,
		 "Serve containers without any faulting device, too, with everything pinned, instead of leaving them to vfio_iommu_type1; for containers made from now on (default: no)");

unsigned int iopf_dma_entry_limit __read_mostly = U16_MAX;
module_param_named(dma_entry_limit, iopf_dma_entry_limit, uint, 0644);
MODULE_PARM_DESC(dma_entry_limit,
		 "Mappings a container may have; for containers made from now on (default: 65535)");

unsigned int iopf_policy_limit __read_mostly = 1U << 18;
module_param_named(policy_limit, iopf_policy_limit, uint, 0644);
MODULE_PARM_DESC(policy_limit,
		 "Ranges with a policy of their own that a container may have; for containers made from now on (default: 262144)");

/* 16 pages: what the CPU's own fault-around takes by default. */
unsigned int iopf_fault_around __read_mostly = 16;
/* The window that this makes. */
unsigned int iopf_fault_window __read_mostly = 16;

static int fault_around_set(const char *val, const struct kernel_param *kp)
{
	int ret = param_set_uint(val, kp);

	if (!ret)
		WRITE_ONCE(iopf_fault_window, iopf_window_size(iopf_fault_around));
	return ret;
}

static const struct kernel_param_ops fault_around_ops = {
	.set = fault_around_set,
	.get = param_get_uint,
};
module_param_cb(fault_around, &fault_around_ops, &iopf_fault_around, 0644);
__MODULE_PARM_TYPE(fault_around, "uint");
MODULE_PARM_DESC(fault_around,
		 "Pages to look at around a fault, mapping those the CPU has, and if it has them all, the rest of the 2 MiB as far as it has that; 0 is off, and nothing is had ahead of a device either; 512 the most (default: 16)");

#ifdef IOPF_CONTROLS
bool iopf_break_retry;
module_param_named(break_retry, iopf_break_retry, bool, 0644);
bool iopf_break_dirty;
module_param_named(break_dirty, iopf_break_dirty, bool, 0644);
bool iopf_break_notifier;
module_param_named(break_notifier, iopf_break_notifier, bool, 0644);
bool iopf_break_track;
module_param_named(break_track, iopf_break_track, bool, 0644);
bool iopf_break_fair;
module_param_named(break_fair, iopf_break_fair, bool, 0644);
bool iopf_break_address;
module_param_named(break_address, iopf_break_address, bool, 0644);
bool iopf_break_refused;
module_param_named(break_refused, iopf_break_refused, bool, 0644);
bool iopf_break_budget;
module_param_named(break_budget, iopf_break_budget, bool, 0644);
bool iopf_break_unlock;
module_param_named(break_unlock, iopf_break_unlock, bool, 0644);
unsigned int iopf_invalidate_delay_us;
module_param_named(invalidate_delay_us, iopf_invalidate_delay_us, uint, 0644);
#endif

struct workqueue_struct *iopf_wq;
struct workqueue_struct *iopf_zap_wq;

static struct kobject *iopf_kobj;

static int __init iopf_init(void)
{
	int ret;

	iopf_latency_init();
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
	ret = iopf_containers_init(iopf_kobj);
	if (ret)
		goto err_defaults;
	ret = iopf_devices_init(iopf_kobj);
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
