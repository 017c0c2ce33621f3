// SPDX-License-Identifier: GPL-2.0-only
/*
 * Makes calls of kernel functions fail, for tests of the callers. A kprobe returns in place of the
 * function, so the kernel needs no CONFIG_FAULT_INJECTION. The files are in iopf_failure/ in
 * debugfs:
 *
 *	echo iommu_map > function		the function that fails; empty: none
 *	echo 0xfffffffffffffff4 > value		its return value, here -ENOMEM
 *	echo 2 > gfp				number of its argument with gfp flags; 0: none.
 *						A call with __GFP_NOFAIL does not fail
 *	echo 3 > nth				the third call from now on fails; 0: none
 *	cat calls				number of calls since nth was written
 *	cat failed				number of these that failed
 *
 * The module counts only calls directly from vfio_iommu_iopf. The file times is the number of
 * successive calls that fail.
 *
 * The function must have no effect when it fails with that value.
 *
 * Locking: one mutex for the files. The handler runs anywhere with preemption off, and counts with
 * atomics. The removal of the probe waits for the handler.
 */
#include <linux/atomic.h>
#include <linux/cleanup.h>
#include <linux/gfp.h>
#include <linux/mutex.h>
#include <linux/pgtable.h>
#include <linux/ptrace.h>
#include <linux/string.h>

#include "command.h"
#include "divert.h"

static DEFINE_MUTEX(failure_lock);
static char failure_symbol[KSYM_NAME_LEN];
static bool failure_armed;
static u64 failure_value;
static u64 failure_times = 1;
static u32 failure_gfp;
static atomic64_t failure_nth;
static atomic64_t failure_calls;
static atomic64_t failure_failed;
static struct dentry *failure_dir;

/* Runs in place of the function. */
static noinline unsigned long failure_return(void)
{
	return READ_ONCE(failure_value);
}

/* Whether the backend makes the call. The return address is at the start of the stack. */
static bool failure_ours(struct pt_regs *regs)
{
	unsigned long caller = READ_ONCE_NOCHECK(*(unsigned long *)kernel_stack_pointer(regs));
	char name[KSYM_NAME_LEN + MODULE_NAME_LEN];

	/* The kernel itself makes nearly all calls. */
	if (caller < MODULES_VADDR || caller >= MODULES_END)
		return false;
	snprintf(name, sizeof(name), "%ps", (void *)caller);
	return strstr(name, "[vfio_iommu_iopf]");
}

/* Whether the call must not fail. */
static bool failure_never(struct pt_regs *regs)
{
	u32 gfp = READ_ONCE(failure_gfp);

	return gfp && regs_get_kernel_argument(regs, gfp - 1) & (__force u32)__GFP_NOFAIL;
}

static int failure_before(struct kprobe *probe, struct pt_regs *regs)
{
	s64 nth = atomic64_read(&failure_nth), call;

	if (!nth || !failure_ours(regs) || failure_never(regs))
		return 0;
	call = atomic64_inc_return(&failure_calls);
	if (call < nth || call - nth >= READ_ONCE(failure_times))
		return 0;
	atomic64_inc(&failure_failed);
	instruction_pointer_set(regs, (unsigned long)failure_return);
	return 1;
}

static struct kprobe failure_probe;

static void failure_disarm(void)
{
	if (failure_armed)
		unregister_kprobe(&failure_probe);
	failure_armed = false;
	atomic64_set(&failure_nth, 0);
}

static int failure_arm(const char *symbol)
{
	int ret;

	failure_disarm();
	if (!*symbol)
		return 0;
	strscpy(failure_symbol, symbol);
	failure_probe = (struct kprobe){
		.symbol_name = failure_symbol,
		.pre_handler = failure_before,
		.post_handler = divert_after,
	};
	ret = register_kprobe(&failure_probe);
	failure_armed = !ret;
	return ret;
}

static int failure_do(char *text)
{
	guard(mutex)(&failure_lock);
	return failure_arm(strim(text));
}

DEFINE_COMMAND(function_ops, failure_do);

static int nth_set(void *data, u64 nth)
{
	guard(mutex)(&failure_lock);
	atomic64_set(&failure_nth, 0);
	atomic64_set(&failure_calls, 0);
	atomic64_set(&failure_failed, 0);
	atomic64_set(&failure_nth, nth);
	return 0;
}

DEFINE_DEBUGFS_ATTRIBUTE(nth_ops, NULL, nth_set, "%llu\n");

static int count_get(void *data, u64 *value)
{
	*value = atomic64_read(data);
	return 0;
}

DEFINE_DEBUGFS_ATTRIBUTE(count_ops, count_get, NULL, "%llu\n");

static int __init failure_init(void)
{
	failure_dir = debugfs_create_dir("iopf_failure", NULL);
	debugfs_create_file("function", 0200, failure_dir, NULL, &function_ops);
	debugfs_create_x64("value", 0600, failure_dir, &failure_value);
	debugfs_create_u64("times", 0600, failure_dir, &failure_times);
	debugfs_create_u32("gfp", 0600, failure_dir, &failure_gfp);
	debugfs_create_file_unsafe("nth", 0200, failure_dir, NULL, &nth_ops);
	debugfs_create_file_unsafe("calls", 0400, failure_dir, &failure_calls, &count_ops);
	debugfs_create_file_unsafe("failed", 0400, failure_dir, &failure_failed, &count_ops);
	return 0;
}

static void __exit failure_exit(void)
{
	debugfs_remove(failure_dir);
	failure_disarm();
}

module_init(failure_init);
module_exit(failure_exit);

MODULE_DESCRIPTION("Makes calls of kernel functions fail, for tests");
MODULE_LICENSE("GPL");
