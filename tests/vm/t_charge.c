// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is brought in for a device is charged, limited and placed as if the owner's CPU had touched
 * it: page cache, CPU page tables, hugetlb, memory.high, memory policies and cpusets.
 *
 * vm: --mem 1024 --append numa=fake=2 --swap 512 --disk 256
 */
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "knob.h"
#include "rig.h"

#define CG	"/sys/fs/cgroup"
#define LEN	(4 * MiB)
#define PAGES	(LEN / MEM_PAGE)

static void cg_make(const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), CG "/%s", name);
	(void)mkdir(path, 0755);
}

static int cg_write(const char *name, const char *file, const char *text)
{
	char path[256];

	snprintf(path, sizeof(path), CG "/%s/%s", name, file);
	return mem_write_file(path, "%s", text);
}

static void cg_enter(const char *name)
{
	must(cg_write(name, "cgroup.procs", "0"));
}

static long cg_stat(const char *name, const char *field)
{
	char path[256], key[64];
	unsigned long long v;
	long found = -1;
	FILE *f;

	snprintf(path, sizeof(path), CG "/%s/memory.stat", name);
	f = fopen(path, "r");
	while (f && fscanf(f, "%63s %llu", key, &v) == 2)
		if (!strcmp(key, field))
			found = v;
	if (f)
		fclose(f);
	return found;
}

static long cg_num(const char *name, const char *file)
{
	char path[256];
	long v = -1;
	FILE *f;

	snprintf(path, sizeof(path), CG "/%s/%s", name, file);
	f = fopen(path, "r");
	if (f && fscanf(f, "%ld", &v) != 1)
		v = -1;
	if (f)
		fclose(f);
	return v;
}

static unsigned int on_node(const struct simbuf *b, int node)
{
	static void *pages[PAGES];
	static int status[PAGES];
	unsigned int i, n = 0;

	for (i = 0; i < PAGES; i++)
		pages[i] = (char *)b->va + i * MEM_PAGE;
	must_sys(syscall(SYS_move_pages, 0, PAGES, pages, NULL, status, 0));
	for (i = 0; i < PAGES; i++)
		n += status[i] == node;
	return n;
}

static void touch(const struct simbuf *b)
{
	size_t off;

	for (off = 0; off < b->len; off += MEM_PAGE)
		((volatile char *)b->va)[off] = 1;
}

static void fresh(struct simbuf *b)
{
	b->va = mem_anon(LEN);
	b->iova = RIG_IOVA;
	b->len = LEN;
}

static void check_place(struct rig *r, int node, const char *what)
{
	struct simbuf b;

	fresh(&b);
	touch(&b);
	tap_diag("%s node %d: CPU touches: %u of %lu pages there", what, node, on_node(&b, node),
		 PAGES);
	mem_unmap(b.va, LEN);

	fresh(&b);
	rig_map(r, &b);
	rig_status_is(sim_write(&r->sim[0], &b, 0, LEN, 1, NULL), 0, "device writes");
	tap_is(on_node(&b, node), PAGES, "%s node %d: device's pages there", what, node);
	rig_unmap(r, &b);
	mem_unmap(b.va, LEN);
}

static void numa(struct rig *r)
{
	int node;
	char text[8];

	for (node = 0; node < 2; node++) {
		unsigned long mask = 1ul << node;

		must_sys(syscall(SYS_set_mempolicy, MPOL_BIND, &mask, 8));
		check_place(r, node, "set_mempolicy(BIND)");
		must_sys(syscall(SYS_set_mempolicy, MPOL_DEFAULT, NULL, 0));
	}
	for (node = 0; node < 2; node++) {
		struct simbuf b;
		unsigned long mask = 1ul << node;

		fresh(&b);
		must_sys(syscall(SYS_mbind, b.va, b.len, MPOL_BIND, &mask, 8, 0));
		rig_map(r, &b);
		rig_status_is(sim_write(&r->sim[0], &b, 0, LEN, 1, NULL), 0, "device writes");
		tap_is(on_node(&b, node), PAGES, "mbind node %d: device's pages there", node);
		rig_unmap(r, &b);
		mem_unmap(b.va, LEN);
	}
	cg_make("cs");
	for (node = 0; node < 2; node++) {
		snprintf(text, sizeof(text), "%d", node);
		if (cg_write("cs", "cpuset.mems", text)) {
			tap_diag("no cpuset.mems");
			return;
		}
		cg_enter("cs");
		check_place(r, node, "cpuset.mems");
	}
	must(mem_write_file(CG "/cgroup.procs", "0"));
}

static void page_cache(struct rig *r)
{
	struct simbuf b = { .iova = RIG_IOVA, .len = 32 * MiB };
	long cpu, dev;
	size_t off;
	volatile char c = 0;
	int fd;

	cg_make("cpu");
	cg_make("dev");
	b.va = mem_file("/mnt/data", b.len, true, true, &fd);
	touch(&b);
	fsync(fd);
	mem_unmap(b.va, b.len);
	mem_sync_drop_caches();

	cg_enter("cpu");
	b.va = mmap(NULL, b.len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	for (off = 0; off < b.len; off += MEM_PAGE)
		c += ((volatile char *)b.va)[off];
	cpu = cg_stat("cpu", "file");
	mem_unmap(b.va, b.len);
	mem_sync_drop_caches();

	cg_enter("dev");
	b.va = mmap(NULL, b.len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	rig_map(r, &b);
	rig_status_is(sim_read(&r->sim[0], &b, 0, b.len, NULL), 0, "device reads the file");
	dev = cg_stat("dev", "file");
	tap_diag("page cache charged to the owner: CPU %ld KiB, device %ld KiB", cpu >> 10,
		 dev >> 10);
	tap_ok(dev > cpu / 2, "page cache that the device brings in is charged to the owner");
	rig_unmap(r, &b);
	mem_unmap(b.va, b.len);
	close(fd);
	must(mem_write_file(CG "/cgroup.procs", "0"));
}

static void page_tables(struct rig *r)
{
	struct simbuf b = { .iova = RIG_IOVA, .len = 4096ul * 2 * MiB };
	struct iopf_sim_cmd cmd;
	long cpu, dev, before;
	volatile char c = 0;
	size_t off;

	cg_make("cpu2");
	cg_make("dev2");
	cg_enter("cpu2");
	b.va = mmap(NULL, b.len, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	must_be(b.va != MAP_FAILED);
	madvise(b.va, b.len, MADV_NOHUGEPAGE);
	before = cg_stat("cpu2", "pagetables");
	for (off = 0; off < b.len; off += 2 * MiB)
		c += ((volatile char *)b.va)[off];
	cpu = cg_stat("cpu2", "pagetables") - before;
	mem_unmap(b.va, b.len);

	cg_enter("dev2");
	b.va = mmap(NULL, b.len, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	must_be(b.va != MAP_FAILED);
	madvise(b.va, b.len, MADV_NOHUGEPAGE);
	rig_map(r, &b);
	before = cg_stat("dev2", "pagetables");
	cmd = sim_cmd(IOPF_SIM_OP_READ, &b, 0, b.len, 0);
	sim_cmd_order(&cmd, IOPF_SIM_ORDER_STRIDED, 8, 2 * MiB, 0);
	rig_status_is(sim_run(&r->sim[0], &cmd, NULL), 0, "device reads sparsely");
	dev = cg_stat("dev2", "pagetables") - before;
	tap_diag("CPU page tables, KiB charged: CPU %ld, device %ld; VmPTE %zu, kernel %ld",
		 cpu >> 10, dev >> 10, mem_status_kb(0, "VmPTE"), cg_stat("dev2", "kernel") >> 10);
	tap_ok(dev > cpu / 2, "CPU page tables made for the device are charged to the owner");
	rig_unmap(r, &b);
	mem_unmap(b.va, b.len);
	must(mem_write_file(CG "/cgroup.procs", "0"));
}

static void hugetlb(struct rig *r)
{
	struct simbuf b = { .iova = RIG_IOVA, .len = 8 * MiB };
	int status;

	if (mem_write_file("/proc/sys/vm/nr_hugepages", "8"))
		return;
	cg_make("huge");
	if (cg_write("huge", "hugetlb.2MB.max", "2097152")) {
		tap_diag("no hugetlb cgroup");
		return;
	}
	cg_enter("huge");
	b.va = mmap(NULL, b.len, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	must_be(b.va != MAP_FAILED);
	status = vfio_map(&r->c, b.va, b.iova, b.len);
	tap_diag("MAP_DMA: %d", status);
	if (!status) {
		status = rig_stock() ? 0 : sim_write(&r->sim[0], &b, 0, b.len, 1, NULL);
		tap_diag("8 MiB of hugetlb with hugetlb.2MB.max = 2 MiB: %s; charged %ld",
			 sim_status_name(status), cg_num("huge", "hugetlb.2MB.current"));
		tap_ok(status == IOPF_SIM_ST_INVALID,
		       "the owner's hugetlb limit holds for the device");
		tap_is(cg_num("huge", "hugetlb.2MB.current"), 2 * MiB, "charged to the owner");
		rig_unmap(r, &b);
	}
	mem_unmap(b.va, b.len);
	must(mem_write_file(CG "/cgroup.procs", "0"));
}

static void high(struct rig *r)
{
	struct simbuf b = { .iova = RIG_IOVA, .len = 96 * MiB };
	long cpu, dev;

	cg_make("high");
	must(cg_write("high", "memory.high", "25165824"));
	cg_enter("high");
	b.va = mem_anon(b.len);
	touch(&b);
	cpu = cg_num("high", "memory.current");
	mem_unmap(b.va, b.len);
	must(mem_write_file(CG "/cgroup.procs", "0"));

	cg_make("high2");
	must(cg_write("high2", "memory.high", "25165824"));
	cg_enter("high2");
	b.va = mem_anon(b.len);
	rig_map(r, &b);
	rig_status_is(sim_write(&r->sim[0], &b, 0, b.len, 1, NULL), 0, "device writes 96 MiB");
	dev = cg_num("high2", "memory.current");
	tap_diag("memory.high 24 MiB: after 96 MiB by CPU %ld MiB, by device %ld MiB",
		 cpu >> 20, dev >> 20);
	tap_ok(dev < 2 * cpu + (8 << 20), "memory.high holds for what the device faults in");
	rig_unmap(r, &b);
	mem_unmap(b.va, b.len);
	must(mem_write_file(CG "/cgroup.procs", "0"));
}

/* What has no room is populated by the owner's threads, not where other owners' faults queue up. */
static void full(struct rig *r)
{
	struct simbuf b = { .iova = RIG_IOVA, .len = 256 * MEM_PAGE };
	uint64_t slow;

	cg_make("full");
	cg_enter("full");
	b.va = mem_anon(b.len);
	rig_map(r, &b);
	slow = iopf_count(rig_bdf(0), "slow");
	rig_status_is(sim_write(&r->sim[0], &b, 0, b.len / 2, 1, NULL), 0,
		      "device writes, with room");
	tap_is(iopf_count(rig_bdf(0), "slow") - slow, 0, "in place");
	must(cg_write("full", "memory.high", "1"));
	slow = iopf_count(rig_bdf(0), "slow");
	rig_status_is(sim_write(&r->sim[0], &b, b.len / 2, 16 * MEM_PAGE, 1, NULL), 0,
		      "device writes, without room");
	tap_ok(iopf_count(rig_bdf(0), "slow") > slow, "by the owner's threads");
	must(cg_write("full", "memory.high", "max"));
	rig_unmap(r, &b);
	mem_unmap(b.va, b.len);
	must(mem_write_file(CG "/cgroup.procs", "0"));
}

/* In another process, in another cgroup, with another memory policy: how it ended. */
static int by_another(int (*fn)(void))
{
	unsigned long mask = 1;
	pid_t pid = must_sys(fork());
	int status;

	if (!pid) {
		tap_forget();
		must(mem_write_file(CG "/cgroup.procs", "0"));
		must_sys(syscall(SYS_set_mempolicy, MPOL_BIND, &mask, 8));
		_exit(fn() ? 1 : 0);
	}
	must_sys(waitpid(pid, &status, 0));
	return status;
}

static int switch_off(void)
{
	return iopf_enable(rig_bdf(0), false);
}

static int switch_on(void)
{
	return iopf_enable(rig_bdf(0), true);
}

/* Somebody else has memory pinned: the owner pays for what that brings in. */
static void pinned_by_others(struct rig *r)
{
	struct simbuf b = { .iova = RIG_IOVA, .len = 16 * MiB };
	struct simbuf placed;
	unsigned long mask = 2;
	long cached;
	int fd;

	cg_make("pin");
	b.va = mem_file("/mnt/pinned", b.len, true, true, &fd);
	fsync(fd);
	mem_unmap(b.va, b.len);
	mem_sync_drop_caches();
	cg_enter("pin");
	b.va = mmap(NULL, b.len, PROT_READ, MAP_SHARED, fd, 0);
	must_be(b.va != MAP_FAILED);
	must(vfio_map_flags(&r->c, b.va, b.iova, b.len, VFIO_DMA_MAP_FLAG_READ));
	cached = cg_stat("pin", "file");
	tap_is(by_another(switch_off), 0, "another process switches the device off");
	cached = cg_stat("pin", "file") - cached;
	tap_diag("page cache charged to the owner: %ld KiB", cached >> 10);
	tap_ok(cached > (long)b.len / 2, "what is pinned for that is charged to the owner");
	tap_is(by_another(switch_on), 0, "and on again");
	rig_unmap(r, &b);
	mem_unmap(b.va, b.len);
	close(fd);

	must_sys(syscall(SYS_set_mempolicy, MPOL_BIND, &mask, 8));
	fresh(&placed);
	rig_map(r, &placed);
	tap_is(by_another(switch_off), 0, "off, the owner having a memory policy");
	tap_is(on_node(&placed, 1), PAGES, "pinned where the owner's policy says");
	tap_is(by_another(switch_on), 0, "and on again");
	must_sys(syscall(SYS_set_mempolicy, MPOL_DEFAULT, NULL, 0));
	rig_unmap(r, &placed);
	mem_unmap(placed.va, LEN);
	must(mem_write_file(CG "/cgroup.procs", "0"));
}

int main(void)
{
	struct rig r;

	rig_backend_only();
	mem_unmap(mem_anon(MEM_PAGE), MEM_PAGE);
	must(mem_write_file(CG "/cgroup.subtree_control", "+memory +cpuset +hugetlb"));
	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	numa(&r);
	page_cache(&r);
	page_tables(&r);
	hugetlb(&r);
	high(&r);
	full(&r);
	pinned_by_others(&r);
	rig_clean(&r);
	rig_close(&r);
	rig_balanced();
	return tap_done();
}
