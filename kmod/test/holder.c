// SPDX-License-Identifier: GPL-2.0-only
/*
 * Holds migrations of pages, for tests of the threads that wait for them. A migration is held
 * between the removal of a page's entries and the copy of its content, while migration entries are
 * in place. The files are in iopf_holder/ in debugfs:
 *
 *	process		hold the migrations of this process; 0: none, and held ones continue
 *	held		number of migrations held so far
 *
 * migrate vs unload: before the unload, user space writes 0 and lets its migrations end.
 */
#include <linux/debugfs.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/wait.h>

#include "divert.h"

static struct dentry *holder_dir;
static DECLARE_WAIT_QUEUE_HEAD(holder_wait);
static u64 holder_process;
static atomic_t holder_held;

/* Runs in place of folio_mc_copy(). Migrations sleep here. */
static noinline int holder_copy(struct folio *dst, struct folio *src)
{
	atomic_inc(&holder_held);
	wait_event(holder_wait, !READ_ONCE(holder_process));
	/* The probe lets this call through. */
	return folio_mc_copy(dst, src);
}

static int holder_probe(struct kprobe *p, struct pt_regs *regs)
{
	u64 process = READ_ONCE(holder_process);

	if (!process || process != current->tgid)
		return 0;
	regs->ip = (unsigned long)holder_copy;
	return 1;
}

static struct kprobe holder_kprobe = {
	.symbol_name = "folio_mc_copy",
	.pre_handler = holder_probe,
	.post_handler = divert_after,
};

static int process_get(void *data, u64 *val)
{
	*val = READ_ONCE(holder_process);
	return 0;
}

static int process_set(void *data, u64 val)
{
	WRITE_ONCE(holder_process, val);
	wake_up_all(&holder_wait);
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(process_fops, process_get, process_set, "%llu\n");

static int __init holder_init(void)
{
	int ret = register_kprobe(&holder_kprobe);

	if (ret)
		return ret;
	holder_dir = debugfs_create_dir("iopf_holder", NULL);
	debugfs_create_file("process", 0600, holder_dir, NULL, &process_fops);
	debugfs_create_atomic_t("held", 0400, holder_dir, &holder_held);
	return 0;
}

static void __exit holder_exit(void)
{
	debugfs_remove(holder_dir);
	process_set(NULL, 0);
	unregister_kprobe(&holder_kprobe);
}

module_init(holder_init);
module_exit(holder_exit);

MODULE_DESCRIPTION("Holds migrations, for tests");
MODULE_LICENSE("GPL");
