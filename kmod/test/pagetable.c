// SPDX-License-Identifier: GPL-2.0-only
/*
 * Kernel threads that map and unmap in one domain at the same time and check their mappings. This
 * tests page tables that change without a common lock (kmod/sim/iommu/pagetable.c). No device is
 * attached to the domain, and the physical addresses have no memory. User space gives commands:
 *
 *	echo "begin 10f5:00:00.0" > /sys/kernel/debug/iopf_pagetable/command
 *	echo "apart 3 10000" > ...	three threads, 10000 steps each
 *	echo "end" > ...
 *	cat /sys/kernel/debug/iopf_pagetable/taken
 *
 *   apart    runs of pages. Threads share tables, but no pages. Some runs cross tables.
 *   over     runs anywhere in two tables. Of two that overlap, one is mapped and one is refused.
 *   leaves   2 MiB leaves and runs of pages in the same places
 *
 * A step maps a run, or unmaps an earlier run after a check of each page. At the end, everything is
 * unmapped. Then a leaf of 2 MiB fits everywhere. When the last such leaf is unmapped, only the
 * root table is left. The IOMMU's counters show this.
 *
 * A write fails with EIO if a check fails; then the log has the reason.
 *
 * Invariants: only its thread knows a run. Nothing is mapped between commands.
 *
 * Locking: one mutex serialises commands; it protects the domain and the counters. A thread owns
 * its struct worker. The creator of the thread reads it after the thread has ended.
 *
 * Vocabulary: a run is a range that one call maps, with contiguous physical addresses.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cleanup.h>
#include <linux/completion.h>
#include <linux/cpumask.h>
#include <linux/iommu.h>
#include <linux/kthread.h>
#include <linux/mutex.h>
#include <linux/prandom.h>
#include <linux/sched/task.h>
#include <linux/sizes.h>

#include "command.h"

/* The test range. It starts in the middle of a table. */
#define TEST_IOVA	0x4000000000ULL
#define TEST_TABLES	4
#define TEST_FIRST	(TEST_IOVA + SZ_2M - TEST_RUN / 2 * SZ_4K)

#define TEST_RUN	16	/* most pages of a run */
#define TEST_RUNS	2	/* most runs of a thread: few, so that tables become empty */
#define TEST_THREADS	8
#define TEST_STEPS	10000000

#define TEST_PROT	(IOMMU_READ | IOMMU_WRITE)

/**
 * struct run - a range that one call maps
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
 * @task: the thread, with a reference
 * @kind: what the thread does
 * @id: number of the thread
 * @threads: number of threads
 * @steps: number of steps to do
 * @taken: runs that were refused because of another mapping
 * @done: the thread has done all steps
 * @rnd: random state
 * @run: mapped runs
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
 * struct kind - what the threads do
 * @name: name in commands
 * @place: choose iova and size of run number @n of a worker
 * @shared: another thread may have mapped there
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

/* The runs of all threads alternate, so threads share tables, but not pages. */
static void place_apart(struct worker *w, unsigned int n, struct run *run)
{
	unsigned int turn = w->threads * TEST_RUNS;
	unsigned int turns = (TEST_TABLES - 1) * 512 / TEST_RUN / turn;
	u64 i = (u64)below(w, turns) * turn + n * w->threads + w->id;

	run->size = (1 + below(w, TEST_RUN)) * SZ_4K;
	run->iova = TEST_FIRST + i * TEST_RUN * SZ_4K;
}

/* Around the border of two tables. */
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

/* Checks that each page of a run translates to its physical address. */
static int run_check(const struct worker *w, const struct run *run)
{
	for (u64 at = 0; at < run->size; at += SZ_4K) {
		u64 phys = iommu_iova_to_phys(test_domain, run->iova + at);

		if (phys != run->phys + at) {
			pr_err("thread %u: %#llx translates to %#llx instead of %#llx\n", w->id,
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
	/* Unique for each run, and aligned for a leaf of 2 MiB. */
	run->phys = (u64)(w->id * TEST_RUNS + n + 1) << 32 | (u64)below(w, 1024) * SZ_2M;
	ret = iommu_map(test_domain, run->iova, run->phys, run->size, TEST_PROT, GFP_KERNEL);
	if (!ret)
		return 0;
	if (ret == -EEXIST && w->kind->shared) {
		w->taken++;
		ret = 0;
	} else {
		pr_err("thread %u: cannot map %#llx, %#zx bytes: %d\n", w->id, run->iova,
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
	pr_err("thread %u: %#llx: unmapped %#zx of %#zx bytes\n", w->id, run->iova, gone,
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

/* Checks that nothing is mapped, and that no table is in the way of a leaf of 2 MiB. */
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
			pr_err("%#llx: cannot map a leaf of 2 MiB: %d\n", iova, ret);
			return -EIO;
		}
		if (iommu_unmap(test_domain, iova, SZ_2M) != SZ_2M) {
			pr_err("%#llx: cannot unmap a leaf of 2 MiB\n", iova);
			return -EIO;
		}
	}
	return 0;
}

/* Creates thread number @n, bound to @cpu. The thread does not run yet. */
static int worker_create(struct worker *w, unsigned int n, unsigned int cpu)
{
	w->id = n;
	init_completion(&w->done);
	prandom_seed_state(&w->rnd, n + 1);
	w->task = kthread_create(worker_run, w, "iopf_pagetable/%u", n);
	if (IS_ERR(w->task))
		return PTR_ERR(w->task);
	get_task_struct(w->task);
	kthread_bind(w->task, cpu);
	return 0;
}

/* Lets @n threads run if @ret is 0, ends all of them, and returns the first error. */
static int workers_finish(struct worker *workers, unsigned int n, int ret)
{
	bool run = !ret;

	for (unsigned int i = 0; run && i < n; i++)
		wake_up_process(workers[i].task);
	for (unsigned int i = 0; run && i < n; i++)
		wait_for_completion(&workers[i].done);
	/* A thread that was never woken ends without doing a step. */
	for (unsigned int i = 0; i < n; i++) {
		int err = kthread_stop_put(workers[i].task);

		ret = ret ?: err;
		test_taken += workers[i].taken;
	}
	return ret;
}

static int race_run(const struct kind *kind, unsigned int threads, unsigned int steps)
{
	struct worker *workers __free(kfree) = NULL;
	unsigned int cpu = cpumask_first(cpu_online_mask), n;
	int ret = 0;

	if (!test_domain)
		return -ENOENT;
	if (!threads || threads > TEST_THREADS || !steps || steps > TEST_STEPS)
		return -EINVAL;
	workers = kcalloc(threads, sizeof(*workers), GFP_KERNEL);
	if (!workers)
		return -ENOMEM;
	for (n = 0; n < threads; n++) {
		workers[n] = (struct worker){ .kind = kind, .threads = threads, .steps = steps };
		ret = worker_create(&workers[n], n, cpu);
		if (ret)
			break;
		cpu = cpumask_next(cpu, cpu_online_mask);
		if (cpu >= nr_cpu_ids)
			cpu = cpumask_first(cpu_online_mask);
	}
	ret = workers_finish(workers, n, ret);
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
	dev = command_device(name);
	if (!dev)
		return -ENXIO;
	domain = iommu_paging_domain_alloc(dev);
	if (IS_ERR(domain)) {
		ret = PTR_ERR(domain);
		goto out_put;
	}
	/* The domain needs the IOMMU driver, even after the device has been removed. */
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

static int test_do(char *text)
{
	unsigned int threads, steps;
	char word[16], name[32];

	guard(mutex)(&test_lock);

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

DEFINE_COMMAND(command_ops, test_do);

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

MODULE_DESCRIPTION("Tests an IOMMU's page tables with concurrent maps and unmaps");
MODULE_LICENSE("GPL");
