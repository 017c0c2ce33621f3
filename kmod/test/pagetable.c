// SPDX-License-Identifier: GPL-2.0-only
/*
 * Kernel threads that map and unmap in one domain at the same time, and check what they have: for
 * page tables that are changed without a common lock (kmod/sim/pagetable.c). No device is attached
 * to the domain and no memory is behind the physical addresses. It is told what to do through
 * files:
 *
 *	echo "begin 10f5:00:00.0" > /sys/kernel/debug/iopf_pagetable/command
 *	echo "apart 3 10000" > ...	three threads, so many steps each
 *	echo "end" > ...
 *	cat /sys/kernel/debug/iopf_pagetable/taken
 *
 *   apart    runs of pages, each thread's own, in the same few tables and from one to the next
 *   over     runs anywhere in two tables: of two that overlap one is taken, the other refused
 *   leaves   2 MiB leaves and runs of pages in the same places
 *
 * A step maps a run, or unmaps one that was mapped some steps before, of which each page is still
 * where it was. In the end all is unmapped. A leaf of 2 MiB then fits everywhere, and with the last
 * of them no table but the root is left; that is for the reader of the IOMMU's counters.
 *
 * A write fails with EIO when anything was not as it should be, and the log says what.
 *
 * Invariants: a thread's runs are known to nobody else; nothing is mapped between commands.
 *
 * Locking: one mutex for commands, so the domain and the counters are theirs; a thread has what it
 * works on to itself, and its creator looks at it when the thread has ended.
 *
 * Vocabulary: a run is a range mapped by one call, of contiguous physical addresses.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cleanup.h>
#include <linux/completion.h>
#include <linux/cpumask.h>
#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/iommu.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/prandom.h>
#include <linux/sched/task.h>
#include <linux/sizes.h>
#include <linux/uaccess.h>

/* Where it happens: from in the middle of a table on. */
#define TEST_IOVA	0x4000000000ULL
#define TEST_TABLES	4
#define TEST_FIRST	(TEST_IOVA + SZ_2M - TEST_RUN / 2 * SZ_4K)

#define TEST_RUN	16	/* pages of a run at most */
#define TEST_RUNS	2	/* that a thread may have: few, so that tables get empty */
#define TEST_THREADS	8
#define TEST_STEPS	10000000

#define TEST_PROT	(IOMMU_READ | IOMMU_WRITE)

/**
 * struct run - what is mapped by one call
 * @iova: first address
 * @phys: physical address of the first page
 * @size: bytes; 0: nothing is mapped
 */
struct run {
	u64 iova;
	u64 phys;
	size_t size;
};

/**
 * struct worker - a thread
 * @task: the thread, referenced
 * @kind: what it does
 * @id: its number
 * @threads: how many there are
 * @steps: how many it is to do
 * @taken: runs that were refused, since something was mapped there
 * @done: it has done all
 * @rnd: where chance comes from
 * @run: what it has mapped
 */
struct worker {
	struct task_struct *task;
	const struct kind *kind;
	unsigned int id;
	unsigned int threads;
	unsigned int steps;
	unsigned long taken;
	struct completion done;
	struct rnd_state rnd;
	struct run run[TEST_RUNS];
};

/**
 * struct kind - what threads do
 * @name: in commands
 * @place: choose a place for run number @n of a worker: its iova and size
 * @shared: others may be there
 */
struct kind {
	const char *name;
	void (*place)(struct worker *w, unsigned int n, struct run *run);
	bool shared;
};

static DEFINE_MUTEX(test_lock);
static struct iommu_domain *test_domain;
static u64 test_taken;
static struct dentry *test_dir;

static u32 below(struct worker *w, u32 bound)
{
	return prandom_u32_state(&w->rnd) % bound;
}

/* The runs of all threads take turns, so each table is everybody's, and no page is. */
static void place_apart(struct worker *w, unsigned int n, struct run *run)
{
	unsigned int turn = w->threads * TEST_RUNS;
	unsigned int turns = (TEST_TABLES - 1) * 512 / TEST_RUN / turn;
	u64 i = (u64)below(w, turns) * turn + n * w->threads + w->id;

	run->size = (1 + below(w, TEST_RUN)) * SZ_4K;
	run->iova = TEST_FIRST + i * TEST_RUN * SZ_4K;
}

/* On either side of where one table ends. */
static void place_over(struct worker *w, unsigned int n, struct run *run)
{
	run->size = (1 + below(w, TEST_RUN)) * SZ_4K;
	run->iova = TEST_FIRST + below(w, 4 * TEST_RUN) * SZ_4K;
}

static void place_leaves(struct worker *w, unsigned int n, struct run *run)
{
	run->size = (1 + below(w, TEST_RUN)) * SZ_4K;
	run->iova = TEST_IOVA + below(w, TEST_TABLES - 1) * SZ_2M + below(w, 512) * SZ_4K;
	if (below(w, 2)) {
		run->size = SZ_2M;
		run->iova &= ~(u64)(SZ_2M - 1);
	}
}

static const struct kind kinds[] = {
	{ "apart", place_apart, false },
	{ "over", place_over, true },
	{ "leaves", place_leaves, true },
};

/* Each page of a run is where it was mapped to. */
static int run_check(const struct worker *w, const struct run *run)
{
	for (u64 at = 0; at < run->size; at += SZ_4K) {
		u64 phys = iommu_iova_to_phys(test_domain, run->iova + at);

		if (phys != run->phys + at) {
			pr_err("thread %u: %#llx leads to %#llx, not %#llx\n", w->id,
			       run->iova + at, phys, run->phys + at);
			return -EIO;
		}
	}
	return 0;
}

static int run_map(struct worker *w, unsigned int n)
{
	struct run *run = &w->run[n];
	int ret;

	w->kind->place(w, n, run);
	/* Nobody else's, and good for a leaf of 2 MiB. */
	run->phys = (u64)(w->id * TEST_RUNS + n + 1) << 32 | (u64)below(w, 1024) * SZ_2M;
	ret = iommu_map(test_domain, run->iova, run->phys, run->size, TEST_PROT, GFP_KERNEL);
	if (!ret)
		return 0;
	if (ret == -EEXIST && w->kind->shared) {
		w->taken++;
		ret = 0;
	} else {
		pr_err("thread %u: %#llx, %#zx bytes, can't be mapped: %d\n", w->id, run->iova,
		       run->size, ret);
	}
	run->size = 0;
	return ret;
}

static int run_unmap(struct worker *w, unsigned int n)
{
	struct run *run = &w->run[n];
	size_t size = run->size, gone;
	int ret;

	ret = run_check(w, run);
	gone = iommu_unmap(test_domain, run->iova, size);
	run->size = 0;
	if (gone == size)
		return ret;
	pr_err("thread %u: %#llx: %#zx of %#zx bytes were unmapped\n", w->id, run->iova, gone,
	       size);
	return -EIO;
}

static int worker_step(struct worker *w)
{
	unsigned int n = below(w, TEST_RUNS);

	return w->run[n].size ? run_unmap(w, n) : run_map(w, n);
}

static int worker_run(void *arg)
{
	struct worker *w = arg;
	int ret = 0;

	for (unsigned int i = 0; !ret && i < w->steps; i++) {
		ret = worker_step(w);
		cond_resched();
	}
	for (unsigned int n = 0; n < TEST_RUNS; n++)
		if (w->run[n].size)
			ret = run_unmap(w, n) ?: ret;
	complete(&w->done);
	return ret;
}

/* Nothing is mapped, and no table stands in the way of a leaf of 2 MiB. */
static int race_end(void)
{
	for (unsigned int i = 0; i < TEST_TABLES; i++) {
		u64 iova = TEST_IOVA + i * SZ_2M;
		int ret;

		for (u64 at = 0; at < SZ_2M; at += SZ_4K) {
			if (iommu_iova_to_phys(test_domain, iova + at)) {
				pr_err("%#llx is still mapped\n", iova + at);
				return -EIO;
			}
		}
		ret = iommu_map(test_domain, iova, SZ_2M, SZ_2M, TEST_PROT, GFP_KERNEL);
		if (ret) {
			pr_err("%#llx has no room for a leaf of 2 MiB: %d\n", iova, ret);
			return -EIO;
		}
		if (iommu_unmap(test_domain, iova, SZ_2M) != SZ_2M) {
			pr_err("%#llx: a leaf of 2 MiB can't be unmapped\n", iova);
			return -EIO;
		}
	}
	return 0;
}

static int race_run(const struct kind *kind, unsigned int threads, unsigned int steps)
{
	struct worker *workers __free(kfree) = NULL;
	unsigned int cpu = cpumask_first(cpu_online_mask), n = 0;
	int ret = 0;

	if (!test_domain)
		return -ENOENT;
	if (!threads || threads > TEST_THREADS || !steps || steps > TEST_STEPS)
		return -EINVAL;
	workers = kcalloc(threads, sizeof(*workers), GFP_KERNEL);
	if (!workers)
		return -ENOMEM;
	for (; n < threads; n++) {
		struct worker *w = &workers[n];

		*w = (struct worker){ .kind = kind, .id = n, .threads = threads, .steps = steps };
		init_completion(&w->done);
		prandom_seed_state(&w->rnd, n + 1);
		w->task = kthread_create(worker_run, w, "iopf_pagetable/%u", n);
		if (IS_ERR(w->task)) {
			ret = PTR_ERR(w->task);
			break;
		}
		get_task_struct(w->task);
		kthread_bind(w->task, cpu);
		cpu = cpumask_next(cpu, cpu_online_mask);
		if (cpu >= nr_cpu_ids)
			cpu = cpumask_first(cpu_online_mask);
	}
	/* All at once, or none of them. */
	for (unsigned int i = 0; !ret && i < n; i++)
		wake_up_process(workers[i].task);
	for (unsigned int i = 0; !ret && i < n; i++)
		wait_for_completion(&workers[i].done);
	/* One that was not woken does nothing. */
	for (unsigned int i = 0; i < n; i++) {
		int err = kthread_stop_put(workers[i].task);

		ret = ret ?: err;
		test_taken += workers[i].taken;
	}
	return ret ?: race_end();
}

static int test_end(void)
{
	struct module *owner;

	if (!test_domain)
		return -ENOENT;
	owner = test_domain->owner->owner;
	iommu_domain_free(test_domain);
	test_domain = NULL;
	module_put(owner);
	return 0;
}

static int test_begin(const char *name)
{
	struct iommu_domain *domain;
	struct device *dev;
	int ret = 0;

	if (test_domain)
		return -EALREADY;
	dev = bus_find_device_by_name(&pci_bus_type, NULL, name);
	if (!dev)
		return -ENXIO;
	domain = iommu_paging_domain_alloc(dev);
	if (IS_ERR(domain)) {
		ret = PTR_ERR(domain);
		goto out_put;
	}
	/* The IOMMU driver stays as long as its domain does, whatever becomes of the device. */
	if (!try_module_get(domain->owner->owner)) {
		iommu_domain_free(domain);
		ret = -ENODEV;
		goto out_put;
	}
	test_domain = domain;
	test_taken = 0;

out_put:
	put_device(dev);
	return ret;
}

static int test_do(const char *text)
{
	unsigned int threads, steps;
	char word[16], name[32];

	if (sscanf(text, "begin %31s", name) == 1)
		return test_begin(name);
	if (sysfs_streq(text, "end"))
		return test_end();
	if (sscanf(text, "%15s %u %u", word, &threads, &steps) != 3)
		return -EINVAL;
	for (unsigned int i = 0; i < ARRAY_SIZE(kinds); i++)
		if (!strcmp(word, kinds[i].name))
			return race_run(&kinds[i], threads, steps);
	return -EINVAL;
}

static ssize_t command_write(struct file *file, const char __user *from, size_t count,
			     loff_t *pos)
{
	char text[80];
	int ret;

	if (count >= sizeof(text))
		return -E2BIG;
	if (copy_from_user(text, from, count))
		return -EFAULT;
	text[count] = 0;
	scoped_guard(mutex, &test_lock)
		ret = test_do(text);
	return ret ?: count;
}

static const struct file_operations command_ops = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.write = command_write,
};

static int __init test_init(void)
{
	test_dir = debugfs_create_dir("iopf_pagetable", NULL);
	debugfs_create_file("command", 0200, test_dir, NULL, &command_ops);
	debugfs_create_u64("taken", 0400, test_dir, &test_taken);
	return 0;
}

static void __exit test_exit(void)
{
	debugfs_remove(test_dir);
	test_end();
}

module_init(test_init);
module_exit(test_exit);

MODULE_DESCRIPTION("Tests page tables of an IOMMU against maps and unmaps at the same time");
MODULE_LICENSE("GPL");
