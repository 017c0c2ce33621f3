// SPDX-License-Identifier: GPL-2.0-only
/*
 * The process dies while DMA runs: by a signal, by exit, while another process still has the
 * descriptors of the container, and after it has passed the container to another process.
 *
 * vm: --mem 1024
 */
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dma.h"
#include "rig.h"

#define LEN	(8 * MiB)

/* In a child: set up, report that, then do DMA and drop memory until killed. */
static void busy_child(int said, unsigned int devices)
{
	struct simbuf b = { .iova = RIG_IOVA, .len = LEN };
	struct dma dma[2];
	struct rig r;
	unsigned int i;
	char byte = 0;

	tap_forget();
	tap_quiet(true);
	rig_open(&r, devices, VFIO_TYPE1v2_IOMMU);
	b.va = mem_anon(LEN);
	rig_map(&r, &b);
	for (i = 0; i < devices; i++) {
		struct iopf_sim_cmd cmd = sim_cmd(IOPF_SIM_OP_WRITE, &b, 0, LEN, 1);

		dma_start(&dma[i], &r.sim[i], &cmd, 1);
		dma_wait_rounds(&dma[i], 1);
	}
	must_sys(write(said, &byte, 1));
	for (;;)
		mem_drop(b.va, LEN);
}

static void check_killed(unsigned int devices, int how, const char *what)
{
	int said[2], status;
	char byte;
	pid_t pid;

	must_sys(pipe(said));
	pid = must_sys(fork());
	if (!pid)
		busy_child(said[1], devices);
	close(said[1]);
	must_be(read(said[0], &byte, 1) == 1);
	must_sys(kill(pid, how));
	must_sys(waitpid(pid, &status, 0));
	tap_ok(WIFSIGNALED(status) && WTERMSIG(status) == how, "%s: dies", what);
	close(said[0]);
	rig_balanced_soon();
}

/* The owner of the memory dies, the container lives: its memory is gone for the device. */
static void check_owner_dies(void)
{
	struct simbuf b = { .iova = RIG_IOVA, .len = LEN };
	struct simbuf mine = { .iova = RIG_IOVA + 2 * LEN, .len = LEN };
	int said[2], status, got;
	struct rig r;
	char byte = 0;
	pid_t pid;

	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	must_sys(pipe(said));
	pid = must_sys(fork());
	if (!pid) {
		b.va = mem_anon(LEN);
		must(vfio_map(&r.c, b.va, b.iova, b.len));
		tap_forget();
		if (sim_write(&r.sim[0], &b, 0, LEN, 1, NULL) || simbuf_differs(&b, 0, LEN, 1))
			_exit(1);
		must_sys(write(said[1], &byte, 1));
		_exit(0);
	}
	close(said[1]);
	got = (int)read(said[0], &byte, 1);
	must_sys(waitpid(pid, &status, 0));
	tap_ok(got == 1 && !status, "a child maps its own memory and uses it");
	/* The child moved the rings on; start afresh. */
	must(vfio_reset(&r.vfio[0]));
	must(vfio_bus_master(&r.vfio[0], true));
	must(sim_up(&r.sim[0], &r.vfio[0], NULL));
	if (rig_stock()) {
		tap_skip("stock type1 keeps the pages pinned", "memory of a dead process");
	} else {
		if (!rig_status_is(sim_write(&r.sim[0], &b, 0, LEN, 2, NULL), IOPF_SIM_ST_INVALID,
				   "memory of a dead process"))
			rig_describe_faults(rig_bdf(0));
	}
	mine.va = mem_anon(LEN);
	rig_map(&r, &mine);
	rig_both_ways(&r.sim[0], &mine, 3, "another process's memory in the same container");
	tap_errno_is(vfio_unmap(&r.c, b.iova, LEN), 0, "the dead one's mapping can be removed");
	rig_clean(&r);
	rig_close(&r);
	mem_unmap(mine.va, LEN);
	rig_balanced();
}

/* exec replaces the memory under the mapping while the descriptors stay open. */
static void check_exec(void)
{
	struct simbuf b = { .iova = RIG_IOVA, .len = LEN };
	struct rig r;
	int status;
	pid_t pid;

	pid = must_sys(fork());
	if (!pid) {
		struct dma dma;

		tap_forget();
		tap_quiet(true);
		rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
		b.va = mem_anon(LEN);
		rig_map(&r, &b);
		dma_start_both(&dma, &r.sim[0], &b, 1);
		dma_wait_rounds(&dma, 1);
		execlp("true", "true", NULL);
		_exit(1);
	}
	must_sys(waitpid(pid, &status, 0));
	tap_is((unsigned int)status, 0, "exec under DMA");
	rig_balanced_soon();
}

int main(void)
{
	struct simbuf b = { .iova = RIG_IOVA, .len = LEN };
	struct rig r;

	rig_open(&r, 2, VFIO_TYPE1v2_IOMMU);
	rig_close(&r);
	check_killed(1, SIGKILL, "killed with one device");
	check_killed(2, SIGKILL, "killed with two devices");
	check_killed(2, SIGTERM, "terminated");
	check_exec();
	check_owner_dies();

	rig_open(&r, 2, VFIO_TYPE1v2_IOMMU);
	b.va = mem_anon(LEN);
	rig_map(&r, &b);
	rig_both_ways(&r.sim[0], &b, 5, "a new process, device 0");
	rig_both_ways(&r.sim[1], &b, 7, "a new process, device 1");
	rig_clean(&r);
	rig_close(&r);
	rig_balanced();
	tap_errno_is(rig_unload(), 0, "the modules can be unloaded");
	return tap_done();
}
