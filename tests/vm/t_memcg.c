// SPDX-License-Identifier: GPL-2.0-only
/*
 * The user pays for the faults of a device: IOMMU page tables and the backend's own data are
 * charged to the memory cgroup of the process that mapped the memory. A sparse address space cannot
 * exhaust the host.
 *
 * vm: --mem 1024
 * also: numa
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mem.h"
#include "rig.h"

#define CGROUP	"/sys/fs/cgroup"
#define STEP	(2 * MiB)
#define BLOCKS	2048
#define LEN	((size_t)BLOCKS * STEP)
/* A page of a page table, and the backend's data beside it. */
#define LEAST	4096
#define MOST	(4096 + 2048)

static struct iopf_sim_cmd sparse(const struct simbuf *b)
{
	struct iopf_sim_cmd cmd = sim_cmd(IOPF_SIM_OP_READ, b, 0, LEN, 0);

	sim_cmd_order(&cmd, IOPF_SIM_ORDER_STRIDED, 8, STEP, 0);
	return cmd;
}

static void *address_space(void)
{
	void *va = mmap(NULL, LEN, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	must_be(va != MAP_FAILED);
	must_sys(madvise(va, LEN, MADV_NOHUGEPAGE));
	return va;
}

static void check_charge(void)
{
	struct simbuf b = { address_space(), RIG_IOVA, LEN };
	struct iopf_sim_cmd cmd = sparse(&b);
	size_t before, mapped, after, off, spins;
	volatile char sum = 0;
	struct rig r;

	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	/* First the page tables of the CPU. */
	for (off = 0; off < LEN; off += STEP)
		sum += ((volatile char *)b.va)[off];
	before = mem_cgroup_stat("kernel");
	rig_map(&r, &b);
	mapped = mem_cgroup_stat("kernel");
	tap_ok(mapped < before + 256 * 1024, "mapping %zu MiB costs nothing to speak of: %zu KiB",
	       LEN >> 20, (mapped - before) / 1024);
	rig_status_is(sim_run(&r.sim[0], &cmd, NULL), IOPF_SIM_ST_OK, "the device is all over it");
	after = mem_cgroup_stat("kernel");
	tap_ok(after >= mapped + (size_t)BLOCKS * LEAST && after < mapped + (size_t)BLOCKS * MOST,
	       "the cost is charged: %zu bytes for each of %d blocks",
	       (after - mapped) / BLOCKS, BLOCKS);
	rig_unmap(&r, &b);
	/* Freed after a grace period. */
	for (spins = 0; spins < 600; spins++) {
		if (mem_cgroup_stat("kernel") <= mapped + (size_t)BLOCKS * LEAST / 8)
			break;
		usleep(50000);
	}
	tap_ok(mem_cgroup_stat("kernel") <= mapped + (size_t)BLOCKS * LEAST / 8,
	       "unmapped: the charge is given back");
	rig_clean(&r);
	rig_close(&r);
	mem_unmap(b.va, LEN);
}

static void enter_small_cgroup(void)
{
	(void)mkdir(CGROUP "/small", 0755);
	must(mem_write_file(CGROUP "/small/memory.max", "%d", 6 << 20));
	must(mem_write_file(CGROUP "/small/cgroup.procs", "0"));
}

static void fault_beyond(void)
{
	struct simbuf b;
	struct iopf_sim_cmd cmd;
	struct rig r;

	enter_small_cgroup();
	b = (struct simbuf){ address_space(), RIG_IOVA, LEN };
	cmd = sparse(&b);
	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	rig_map(&r, &b);
	/* 2048 blocks need more than 16 MiB. */
	sim_run(&r.sim[0], &cmd, NULL);
	_exit(0);
}

/* In a pinned container the memory itself exceeds the limit. */
static void pin_beyond(void)
{
	struct simbuf b;
	struct rig r;

	enter_small_cgroup();
	b = (struct simbuf){ mem_anon(64 * MiB), RIG_IOVA, 64 * MiB };
	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	must(iopf_enable(rig_bdf(0), false));
	_exit(vfio_map(&r.c, b.va, b.iova, b.len) ? 1 : 0);
}

static void killed(void (*beyond)(void), const char *what)
{
	int status;
	pid_t pid;

	pid = tap_fork(true);
	if (!pid)
		beyond();
	must_sys(waitpid(pid, &status, 0));
	tap_ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
	       "%s: beyond its limit the user is killed, not the host", what);
}

static void check_limit(void)
{
	struct simbuf b = { .iova = RIG_IOVA, .len = 4 * MiB };
	struct rig r;

	killed(fault_beyond, "page tables by faults");
	killed(pin_beyond, "pinned memory");
	must(iopf_enable(rig_bdf(0), true));
	rig_balanced_soon();
	rig_open_at(&r, 1, 1, VFIO_TYPE1v2_IOMMU);
	b.va = mem_anon(b.len);
	rig_map(&r, &b);
	rig_both_ways(&r.sim[0], &b, 1, "others go on");
	rig_clean(&r);
	rig_close(&r);
}

int main(void)
{
	void *first = mem_anon(MEM_PAGE);

	rig_backend_only();
	rig_load("devices=2", "");
	check_charge();
	check_limit();
	rig_balanced_soon();
	mem_unmap(first, MEM_PAGE);
	return tap_done();
}
