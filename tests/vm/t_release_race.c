// SPDX-License-Identifier: GPL-2.0-only
/*
 * ioctls of a container against its release. The VFIO core calls the backend without a lock. So a
 * thread can be anywhere in an ioctl while another thread detaches the last group, which releases
 * the container. That thread may even attach the group again, which makes another container under
 * the same file.
 *
 * First the test holds the ioctl at known places: a userfaultfd blocks it where it reads its
 * argument, or where it writes its answer with the container locked. Then the threads run at
 * random.
 *
 * The test does not run with stock type1, which uses freed memory here.
 *
 * vm: --mem 1024 --module fuse
 */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "dirty.h"
#include "emulated.h"
#include "policy.h"
#include "rig.h"
#include "slowfs.h"
#include "uffd.h"

#define LEN	(1 * MiB)
#define THREADS	3
#define ROUNDS	300

static struct vfio_container container;
static struct vfio_dev dev;

static void join(void)
{
	must(vfio_dev_attach(&dev, &container, rig_bdf(0), VFIO_TYPE1v2_IOMMU));
}

/* The last group leaves, and comes back. Then the same file has another container. */
static void leave_and_return(void)
{
	must_sys(ioctl(dev.group_fd, VFIO_GROUP_UNSET_CONTAINER));
	container.type = 0;
	must(vfio_group_join(dev.group_fd, &container, VFIO_TYPE1v2_IOMMU));
}

/**
 * struct call - an ioctl in a thread of its own
 * @cmd: VFIO_*
 * @arg: its argument
 * @ret: out: 0 or a negative errno
 */
struct call {
	unsigned long cmd;
	void *arg;
	int ret;
};

static void *call_run(void *arg)
{
	struct call *call = arg;

	call->ret = ioctl(container.fd, call->cmd, call->arg) ? -errno : 0;
	return NULL;
}

/* A container that nobody has used. */
static void is_fresh(int64_t avail, const char *what)
{
	tap_ok(vfio_avail(&container) == avail && !sim_iommu_count("leaves_4k"),
	       "%s: the new container has nothing of it", what);
}

/* An ioctl whose argument comes when its container is gone. */
static void check_late(const char *what, unsigned long cmd, const void *arg, size_t size, int want,
		       int64_t avail)
{
	char *page = mem_anon(MEM_PAGE), *from = mem_anon(MEM_PAGE);
	struct call call = { .cmd = cmd, .arg = page };
	int uffd = uffd_missing(page, MEM_PAGE);
	pthread_t thread;

	memcpy(from, arg, size);
	must_be(!pthread_create(&thread, NULL, call_run, &call));
	uffd_asked(uffd);
	leave_and_return();
	must(uffd_give(uffd, (uintptr_t)page, from, MEM_PAGE));
	pthread_join(thread, NULL);
	close(uffd);
	tap_errno_is(call.ret, want, "%s of a container that has been released", what);
	is_fresh(avail, what);
	mem_unmap(page, MEM_PAGE);
	mem_unmap(from, MEM_PAGE);
}

static void check_late_all(void)
{
	int64_t avail = vfio_avail(&container);
	struct simbuf b = { mem_anon(LEN), RIG_IOVA, LEN };
	struct vfio_iommu_type1_info info = { .argsz = sizeof(info) };
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uintptr_t)b.va,
		.iova = b.iova,
		.size = b.len,
	};
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap),
		.flags = VFIO_DMA_UNMAP_FLAG_ALL,
	};
	struct vfio_iommu_type1_dirty_bitmap dirty = {
		.argsz = sizeof(dirty),
		.flags = VFIO_IOMMU_DIRTY_PAGES_FLAG_START,
	};

	struct vfio_iopf_policy policy = {
		.argsz = sizeof(policy),
		.iova = b.iova,
		.size = b.len,
		.policy = VFIO_IOPF_POLICY_PIN,
	};
	struct vfio_iopf_map_dma with = {
		.argsz = sizeof(with),
		.flags = VFIO_DMA_MAP_FLAG_READ,
		.vaddr = (uintptr_t)b.va,
		.iova = b.iova,
		.size = b.len,
		.policy = VFIO_IOPF_POLICY_PIN,
	};
	struct vfio_iopf_lock lock = {
		.argsz = sizeof(lock),
		.iova = b.iova,
		.size = b.len,
		.flags = VFIO_IOPF_LOCK_COMPLETE,
	};
	struct vfio_iopf_unlock unlock = { .argsz = sizeof(unlock), .id = 1 };

	check_late("POLICY", VFIO_IOPF_POLICY, &policy, sizeof(policy), -ENOENT, avail);
	check_late("MAP_DMA with a policy", VFIO_IOPF_MAP_DMA, &with, sizeof(with), -EINVAL, avail);
	check_late("LOCK", VFIO_IOPF_LOCK, &lock, sizeof(lock), -EINVAL, avail);
	check_late("UNLOCK", VFIO_IOPF_UNLOCK, &unlock, sizeof(unlock), -ENOENT, avail);
	check_late("MAP_DMA", VFIO_IOMMU_MAP_DMA, &map, sizeof(map), -EINVAL, avail);
	check_late("UNMAP_DMA", VFIO_IOMMU_UNMAP_DMA, &unmap, sizeof(unmap), 0, avail);
	check_late("GET_INFO", VFIO_IOMMU_GET_INFO, &info, sizeof(info), 0, avail);
	check_late("DIRTY_PAGES", VFIO_IOMMU_DIRTY_PAGES, &dirty, sizeof(dirty), 0, avail);
	must(vfio_map(&container, b.va, b.iova, b.len));
	check_late("UNMAP_DMA of an old range", VFIO_IOMMU_UNMAP_DMA, &unmap, sizeof(unmap), 0,
		   avail);
	mem_unmap(b.va, b.len);
}

/**
 * struct report - a report of dirty pages by a thread of its own
 * @map: where it goes
 * @ret: out: 0 or a negative errno
 */
struct report {
	struct dirty_map map;
	int ret;
};

static void *report_run(void *arg)
{
	struct report *report = arg;

	report->ret = dirty_get(&container, &report->map);
	return NULL;
}

/* A container that goes does not wait for a report that nobody takes, nor does the one after it. */
static void check_report(void)
{
	struct simbuf b = { mem_anon(LEN), RIG_IOVA, LEN };
	int64_t avail = vfio_avail(&container);
	uint64_t *page = mem_anon(MEM_PAGE), *from = mem_anon(MEM_PAGE);
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uintptr_t)b.va,
		.iova = b.iova + b.len,
		.size = b.len,
	};
	struct report report = {
		.map = { b.iova, b.len, LEN / MEM_PAGE / 64, page },
	};
	struct call late = { .cmd = VFIO_IOMMU_MAP_DMA, .arg = &map };
	pthread_t reporter;
	int uffd = uffd_missing(page, MEM_PAGE);

	must(vfio_map(&container, b.va, b.iova, b.len));
	must(dirty_track(&container, true));
	must_be(!pthread_create(&reporter, NULL, report_run, &report));
	uffd_asked(uffd);
	leave_and_return();
	is_fresh(avail, "a report that is not read");
	call_run(&late);
	tap_errno_is(late.ret, 0, "MAP_DMA of the new container");
	must(uffd_give(uffd, (uintptr_t)page, from, MEM_PAGE));
	pthread_join(reporter, NULL);
	close(uffd);
	tap_errno_is(report.ret, 0, "a report whose container has gone ends well");
	must(vfio_unmap(&container, map.iova, map.size));
	is_fresh(avail, "after the report");
	mem_unmap(page, MEM_PAGE);
	mem_unmap(from, MEM_PAGE);
	mem_unmap(b.va, b.len);
}

/* When the mapping waits for its memory. */
static sem_t mapping;

static void *unmap_run(void *arg)
{
	struct report *report = arg;

	while (sem_wait(&mapping))
		;
	report->ret = dirty_unmap(&container, &report->map);
	return NULL;
}

/**
 * check_map_reported() - unmap a range that is being mapped, with a last report of its dirty pages
 * @fails: the report fails, and the range stays
 *
 * The mapping waits for memory that it pins, and the report for the memory of the bitmap. While
 * the report is made nothing can be pinned. The mapping must not fail for it.
 *
 * While memory is being pinned the kernel holds mmap_lock, so the process can neither map memory
 * nor create a thread. All of that is done before.
 */
static void check_map_reported(bool fails)
{
	struct simbuf b = { slowfs_mem(fails, LEN), RIG_IOVA, LEN };
	uint64_t *page = mem_anon(MEM_PAGE), *from = mem_anon(MEM_PAGE);
	struct report report = { .map = { b.iova, b.len, LEN / MEM_PAGE / 64, page } };
	struct vfio_iopf_map_dma map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uintptr_t)b.va,
		.iova = b.iova,
		.size = b.len,
		.policy = VFIO_IOPF_POLICY_PIN,
	};
	struct call call = { .cmd = VFIO_IOPF_MAP_DMA, .arg = &map, .ret = 1 };
	int uffd = uffd_missing(page, MEM_PAGE);
	unsigned int i, spins = 0;
	pthread_t mapper, unmapper;

	must(dirty_track(&container, true));
	must_be(!sem_init(&mapping, 0, 0));
	must_be(!pthread_create(&unmapper, NULL, unmap_run, &report));
	slowfs_hold();
	must_be(!pthread_create(&mapper, NULL, call_run, &call));
	must_be(slowfs_held());
	must_be(!sem_post(&mapping));
	uffd_asked(uffd);
	slowfs_release();
	/* Let a mapping that fails do so. */
	for (i = 0; i < 100 && __atomic_load_n(&call.ret, __ATOMIC_RELAXED) == 1; i++)
		sim_nap(&spins);
	if (fails)
		mem_unmap(page, MEM_PAGE);
	else
		must(uffd_give(uffd, (uintptr_t)page, from, MEM_PAGE));
	close(uffd);
	pthread_join(unmapper, NULL);
	pthread_join(mapper, NULL);
	sem_destroy(&mapping);
	tap_errno_is(report.ret, fails ? -EFAULT : 0,
		     "a last report of a range that is being mapped");
	tap_errno_is(call.ret, 0, "the mapping waits for it");
	tap_is(emulated_charged() * MEM_PAGE, fails ? LEN : 0, "%s",
	       fails ? "the range stays, and is pinned" : "then the range has gone");
	if (fails)
		must(vfio_unmap(&container, b.iova, b.len));
	else
		mem_unmap(page, MEM_PAGE);
	must(dirty_track(&container, false));
	mem_unmap(from, MEM_PAGE);
	mem_unmap(b.va, b.len);
}

/* The module stays for as long as somebody is in it, whatever is closed. */
static void check_module(void)
{
	char *page = mem_anon(MEM_PAGE), *from = mem_anon(MEM_PAGE);
	struct vfio_iommu_type1_info info = { .argsz = sizeof(info) };
	struct call call = { .cmd = VFIO_IOMMU_GET_INFO, .arg = page };
	int uffd = uffd_missing(page, MEM_PAGE);
	pthread_t thread;

	memcpy(from, &info, sizeof(info));
	must_be(!pthread_create(&thread, NULL, call_run, &call));
	uffd_asked(uffd);
	vfio_dev_close(&dev);
	tap_errno_is(rig_unload(), -EAGAIN, "the module stays while an ioctl is under way");
	must(uffd_give(uffd, (uintptr_t)page, from, MEM_PAGE));
	pthread_join(thread, NULL);
	close(uffd);
	tap_errno_is(call.ret, 0, "it ends without an effect");
	vfio_container_close(&container);
	tap_errno_is(rig_unload_soon(), 0, "then it can go");
	mem_unmap(page, MEM_PAGE);
	mem_unmap(from, MEM_PAGE);
}

/**
 * struct caller - a thread that makes ioctls at random
 * @seed: of what it does
 * @b: what it maps
 * @calls: how many it has made
 * @wrong: those with an answer that can't be
 * @last_wrong: the last such answer
 * @stop: it is time to go
 */
struct caller {
	unsigned int seed;
	struct simbuf b;
	unsigned long calls;
	unsigned int wrong;
	int last_wrong;
	bool *stop;
};

/* Another thread may be making the last report of the range: nothing is pinned there any more. */
static int busy_is_right(int ret)
{
	return ret == -EBUSY ? 0 : ret;
}

static int call_random(struct caller *t)
{
	struct dirty_map map;
	int ret;

	switch (rand_r(&t->seed) % 9) {
	case 0:
		return vfio_map(&container, t->b.va, t->b.iova, t->b.len);
	case 1:
		return vfio_unmap_flags(&container, t->b.iova, t->b.len, 0, NULL);
	case 2:
		return vfio_unmap_flags(&container, 0, 0, VFIO_DMA_UNMAP_FLAG_ALL, NULL);
	case 3:
		return dirty_track(&container, rand_r(&t->seed) % 2);
	case 4:
		dirty_map_init(&map, t->b.iova, t->b.len);
		ret = rand_r(&t->seed) % 2 ? dirty_get(&container, &map)
					   : dirty_unmap(&container, &map);
		dirty_map_free(&map);
		return ret;
	case 5:
		return busy_is_right(policy_set(&container, t->b.iova, t->b.len,
						(uint32_t)rand_r(&t->seed) % 4));
	case 6:
		return policy_map(&container, &t->b, (uint32_t)rand_r(&t->seed) % 4);
	case 7:
		return busy_is_right(policy_lock(&container, t->b.iova, t->b.len,
						 (uint32_t)rand_r(&t->seed) % 2, NULL));
	default:
		return vfio_avail(&container) < 0 ? -EINVAL : 0;
	}
}

static void *caller_run(void *arg)
{
	struct caller *t = arg;

	while (!__atomic_load_n(t->stop, __ATOMIC_RELAXED)) {
		int ret = call_random(t);

		/* -ENOENT: the library's word for another size than asked for. */
		if (ret && ret != -EINVAL && ret != -EEXIST && ret != -ENOENT) {
			t->wrong++;
			t->last_wrong = ret;
		}
		t->calls++;
	}
	return NULL;
}

static void check_random(void)
{
	int64_t avail = vfio_avail(&container);
	struct caller caller[THREADS] = { };
	pthread_t thread[THREADS];
	unsigned long calls = 0;
	unsigned int i, spins, wrong = 0;
	bool stop = false;

	for (i = 0; i < THREADS; i++) {
		caller[i] = (struct caller){
			.seed = i + 1,
			.b = { mem_anon(LEN), RIG_IOVA + i / 2 * LEN, LEN },
			.stop = &stop,
		};
		must_be(!pthread_create(&thread[i], NULL, caller_run, &caller[i]));
	}
	for (i = 0; i < ROUNDS; i++) {
		leave_and_return();
		for (spins = 0; spins < i % 16;)
			sim_nap(&spins);
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < THREADS; i++) {
		pthread_join(thread[i], NULL);
		mem_unmap(caller[i].b.va, LEN);
		calls += caller[i].calls;
		wrong += caller[i].wrong;
		if (caller[i].wrong)
			tap_diag("thread %u: the last impossible answer was %d", i,
				 caller[i].last_wrong);
	}
	tap_ok(!wrong && calls > ROUNDS,
	       "%d times out and in, while threads make ioctls at random", ROUNDS);
	tap_diag("%lu ioctls, %u of them with an impossible answer", calls, wrong);
	leave_and_return();
	is_fresh(avail, "what they did");
}

int main(void)
{
	struct rig r;

	rig_backend_only();
	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	rig_close(&r);

	must(vfio_container_open(&container));
	join();
	check_late_all();
	check_report();
	slowfs_start();
	check_map_reported(false);
	check_map_reported(true);
	slowfs_stop();
	check_random();
	check_module();
	return tap_done();
}
