// SPDX-License-Identifier: GPL-2.0-only
/*
 * Module parameters, and the workqueues of the module.
 *
 * They are here because files of all layers use them. A parameter may change at any time. So
 * readers use READ_ONCE(), or read it once for each container. main.c makes the workqueues.
 */
#include <linux/kernel.h>
#include <linux/module.h>

#include "../../../core/window.h"
#include "controls.h"
#include "params.h"

struct workqueue_struct *iopf_wq;
struct workqueue_struct *iopf_zap_wq;

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
		 "Serve containers without a device that can fault, too, with all memory pinned, instead of leaving them to vfio_iommu_type1; for containers made from now on (default: no)");

unsigned int iopf_dma_entry_limit __read_mostly = U16_MAX;
module_param_named(dma_entry_limit, iopf_dma_entry_limit, uint, 0644);
MODULE_PARM_DESC(dma_entry_limit,
		 "Mappings a container may have; for containers made from now on (default: 65535)");

unsigned int iopf_policy_entry_limit __read_mostly = 1U << 18;
module_param_named(policy_entry_limit, iopf_policy_entry_limit, uint, 0644);
MODULE_PARM_DESC(policy_entry_limit,
		 "Ranges of a container that may have their own policy; for containers made from now on (default: 262144)");

/* In pages. The default is that of the CPU's fault-around. */
unsigned int iopf_fault_around __read_mostly = 16;
/* The window that iopf_fault_around results in: see iopf_window_size(). */
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
		 "Window around a fault, in pages: those that the CPU has mapped are mapped for the device, too; if it has mapped all of them, so is the rest of the 2 MiB up to the first gap; 0: no window and no prefetching; at most 512 (default: 16)");

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
bool iopf_break_wait;
module_param_named(break_wait, iopf_break_wait, bool, 0644);
bool iopf_break_unbind;
module_param_named(break_unbind, iopf_break_unbind, bool, 0644);
unsigned int iopf_invalidate_delay_us;
module_param_named(invalidate_delay_us, iopf_invalidate_delay_us, uint, 0644);
#endif
