// SPDX-License-Identifier: GPL-2.0-only
/*
 * A process that is killed while it waits for a container's lock ends at once. One process unmaps
 * many areas, in a cgroup with hardly any processor time, so it holds the lock for long. Other
 * processes that share the container wait for the lock in each ioctl, and are killed.
 *
 * vm: --mem 1024
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cgroup.h"
#include "dirty.h"
#include "policy.h"
#include "prefault.h"
#include "rig.h"

#define SLOW	"slow"
#define AREAS	8192u

static struct rig rig;
static char page[MEM_PAGE] __attribute__((aligned(MEM_PAGE)));

/* The ioctls. Each waits for the lock, and is not to return. */

static void do_info(void)
{
	free(vfio_get_info(&rig.c));
}

static void do_extension(void)
{
	ioctl(rig.c.fd, VFIO_CHECK_EXTENSION, VFIO_UPDATE_VADDR);
}

static void do_coherent(void)
{
	ioctl(rig.c.fd, VFIO_CHECK_EXTENSION, VFIO_DMA_CC_IOMMU);
}

static void do_map(void)
{
	vfio_map(&rig.c, page, 1ull << 40, MEM_PAGE);
}

static void do_unmap(void)
{
	vfio_unmap(&rig.c, 1ull << 40, MEM_PAGE);
}

static void do_track(void)
{
	dirty_track(&rig.c, true);
}

static void do_untrack(void)
{
	dirty_track(&rig.c, false);
}

static void do_report(void)
{
	struct dirty_map map;

	dirty_map_init(&map, RIG_IOVA, MEM_PAGE);
	dirty_get(&rig.c, &map);
}

static void do_policy(void)
{
	policy_set(&rig.c, RIG_IOVA, MEM_PAGE, VFIO_IOPF_POLICY_FAULT);
}

static void do_policy_get(void)
{
	struct vfio_iopf_policy p;

	policy_get(&rig.c, RIG_IOVA, &p);
}

static void do_lock(void)
{
	uint64_t id;

	policy_lock(&rig.c, RIG_IOVA, MEM_PAGE, 0, &id);
}

static void do_complete(void)
{
	uint64_t id;

	policy_lock(&rig.c, 0, 0, VFIO_IOPF_LOCK_COMPLETE, &id);
}

static void do_unlock(void)
{
	policy_unlock(&rig.c, 1, 0);
}

static void do_prefault(void)
{
	struct vfio_iopf_range range = { RIG_IOVA, MEM_PAGE };
	uint64_t id;

	prefault_start(&rig.c, &range, 1, PREFAULT_READ, -1, &id);
}

static void do_workset(void)
{
	size_t size;

	free(workset_get(&rig.c, 0, &size));
}

static void do_attach(void)
{
	struct vfio_dev d;

	vfio_dev_attach(&d, &rig.c, rig_bdf(1), VFIO_TYPE1v2_IOMMU);
}

static const struct {
	const char *name;
	void (*fn)(void);
} calls[] = {
	{ "VFIO_IOMMU_GET_INFO", do_info },
	{ "VFIO_CHECK_EXTENSION of VFIO_UPDATE_VADDR", do_extension },
	{ "VFIO_CHECK_EXTENSION of VFIO_DMA_CC_IOMMU", do_coherent },
	{ "VFIO_IOMMU_MAP_DMA", do_map },
	{ "VFIO_IOMMU_UNMAP_DMA", do_unmap },
	{ "starting to track writes", do_track },
	{ "a report of dirty pages", do_report },
	{ "stopping to track writes", do_untrack },
	{ "VFIO_IOPF_POLICY", do_policy },
	{ "VFIO_IOPF_POLICY_GET", do_policy_get },
	{ "VFIO_IOPF_LOCK", do_lock },
	{ "VFIO_IOPF_LOCK_COMPLETE", do_complete },
	{ "VFIO_IOPF_UNLOCK", do_unlock },
	{ "VFIO_IOPF_PREFAULT", do_prefault },
	{ "VFIO_IOPF_WORKING_SET_GET", do_workset },
	{ "attaching a group", do_attach },
};

static char state_of(pid_t pid)
{
	char path[64], state = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "r");
	if (f && fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
		state = 0;
	if (f)
		fclose(f);
	return state;
}

/*
 * Returns whether the condition becomes true within a time that is long, but shorter than the
 * unmapping.
 */
static bool gets_to(pid_t pid, char state)
{
	unsigned int spins = 0;

	while (state_of(pid) != state && spins < 3000)
		sim_nap(&spins);
	return state_of(pid) == state;
}

static void check(const char *name, void (*fn)(void))
{
	bool waits, ends, held;
	pid_t pid = must_sys(fork());

	if (!pid) {
		tap_forget();
		fn();
		_exit(0);
	}
	waits = gets_to(pid, 'D');
	must_sys(kill(pid, SIGKILL));
	ends = gets_to(pid, 'Z');
	held = policy_count(rig_bdf(0), "areas") > 0;
	tap_ok(waits && ends && held, "%s: killed while it waits for the lock, it ends%s%s%s", name,
	       waits ? "" : " (it did not wait)", ends ? "" : " (it did not)",
	       held ? "" : " (the lock was free)");
	/* The last one to wait ends with the unmapping. */
	if (!ends)
		cgroup_set(SLOW, "cpu.max", "max");
	must_sys(waitpid(pid, NULL, 0));
}

/* The first areas are gone, so it has the lock. */
static pid_t unmap_slowly(void)
{
	unsigned int spins = 0;
	pid_t pid = must_sys(fork());

	if (!pid) {
		tap_forget();
		cgroup_enter(SLOW);
		_exit(vfio_unmap_flags(&rig.c, 0, 0, VFIO_DMA_UNMAP_FLAG_ALL, NULL) != 0);
	}
	while (policy_count(rig_bdf(0), "areas") == AREAS && spins < 60000)
		sim_nap(&spins);
	return pid;
}

int main(void)
{
	int status;
	pid_t pid;

	rig_backend_only();
	/*
	 * The test has to slow down the task that has the lock. The ratio is the same on the debug
	 * kernel, where the timer's interrupt alone uses up an amount that is enough elsewhere.
	 */
	if (!cgroup_has("cpu"))
		tap_skip_all("this kernel has no cgroup controller for processors");
	cgroup_use("+cpu");
	cgroup_make(SLOW);
	cgroup_set(SLOW, "cpu.max", rig_debug_kernel() ? "8000 1000000" : "1000 1000000");
	rig_load("devices=2", "");
	rig_open(&rig, 1, VFIO_TYPE1v2_IOMMU);
	for (unsigned int i = 0; i < AREAS; i++)
		must(vfio_map(&rig.c, page, RIG_IOVA + i * 2 * MEM_PAGE, MEM_PAGE));

	pid = unmap_slowly();
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
		check(calls[i].name, calls[i].fn);
	cgroup_set(SLOW, "cpu.max", "max");
	must_sys(waitpid(pid, &status, 0));
	tap_is((unsigned int)status, 0, "the process that unmaps has finished");
	tap_is(policy_count(rig_bdf(0), "areas"), 0, "nothing is mapped any more");
	rig_close(&rig);
	cgroup_remove(SLOW);
	rig_balanced_soon();
	return tap_done();
}
