// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory that the backend populates for a device is charged, limited and placed as if the owner's
 * CPU had touched it: page cache, CPU page tables, hugetlb, I/O, memory.high, memory policies and
 * cpusets.
 *
 * vm: --mem 1024 --append numa=fake=2 --swap 512 --disk 256
 */
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cgroup.h"
#include "knob.h"
#include "rig.h"
#include "uffd.h"

#define LEN	(4 * MiB)
#define PAGES	(LEN / MEM_PAGE)

/* The node of each page. */
static void nodes(const struct simbuf *b, int *node)
{
	static void *pages[PAGES];

	for (unsigned int i = 0; i < PAGES; i++)
		pages[i] = (char *)b->va + i * MEM_PAGE;
	must_sys(syscall(SYS_move_pages, 0, PAGES, pages, NULL, node, 0));
}

static unsigned int on_node(const struct simbuf *b, int node)
{
	static int status[PAGES];
	unsigned int n = 0;

	nodes(b, status);
	for (unsigned int i = 0; i < PAGES; i++)
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

static uint64_t slow(void)
{
	return iopf_count(rig_bdf(0), "parked");
}

/* With @in_place no thread of the owner is needed. */
static void check_place(struct rig *r, int node, bool in_place, const char *what)
{
	uint64_t before = slow();
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
	if (in_place)
		tap_is(slow() - before, 0, "%s node %d: in place", what, node);
	rig_unmap(r, &b);
	mem_unmap(b.va, LEN);
}

/* Interleaved: each page has its node, on whatever node it is populated. */
static void interleave(struct rig *r, bool of_task)
{
	const char *what = of_task ? "set_mempolicy(INTERLEAVE)" : "mbind(INTERLEAVE)";
	static int cpu[PAGES], dev[PAGES];
	unsigned long both = 3;
	unsigned int differ = 0;
	uint64_t before;
	struct simbuf b;

	fresh(&b);
	if (of_task)
		must_sys(syscall(SYS_set_mempolicy, MPOL_INTERLEAVE, &both, 8));
	else
		must_sys(syscall(SYS_mbind, b.va, b.len, MPOL_INTERLEAVE, &both, 8, 0));
	touch(&b);
	nodes(&b, cpu);
	mem_drop(b.va, b.len);
	rig_map(r, &b);
	before = slow();
	rig_status_is(sim_write(&r->sim[0], &b, 0, LEN, 1, NULL), 0, "device writes");
	must_sys(syscall(SYS_set_mempolicy, MPOL_DEFAULT, NULL, 0));
	tap_is(slow() - before, 0, "%s: in place", what);
	nodes(&b, dev);
	for (unsigned int i = 0; i < PAGES; i++)
		differ += cpu[i] != dev[i];
	tap_is(differ, 0, "%s: each page where the CPU's is", what);
	tap_is(on_node(&b, 1), PAGES / 2, "%s: half of them on node 1", what);
	rig_unmap(r, &b);
	mem_unmap(b.va, LEN);
}

/* A number of a zone of node 1, all zones added up. */
static unsigned long zone_pages(const char *name)
{
	char line[128], fmt[32];
	unsigned long n, sum = 0;
	int node = -1;
	FILE *f = fopen("/proc/zoneinfo", "r");

	must_be(f);
	snprintf(fmt, sizeof(fmt), " %s %%lu", name);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "Node %d, zone", &node) != 1 && node == 1 &&
		    sscanf(line, fmt, &n) == 1)
			sum += n;
	}
	fclose(f);
	return sum;
}

/* Bound to a node that has hardly any memory left: not where other owners' faults queue up. */
static void full_node(struct rig *r, bool shared)
{
	const char *what = shared ? "shared memory bound to a full node"
				  : "memory bound to a full node";
	unsigned long mask = 2, i, most = zone_pages("pages free");
	volatile char *fill = mem_anon(most * MEM_PAGE);
	struct simbuf b;
	uint64_t before;
	int fd;

	fresh(&b);
	if (shared) {
		mem_unmap(b.va, LEN);
		b.va = mem_memfd(LEN, &fd);
	}
	must_sys(syscall(SYS_mbind, b.va, b.len, MPOL_BIND, &mask, 8, 0));
	must_sys(syscall(SYS_mbind, fill, most * MEM_PAGE, MPOL_BIND, &mask, 8, 0));
	rig_map(r, &b);
	before = slow();
	rig_status_is(sim_write(&r->sim[0], &b, 0, MEM_PAGE, 1, NULL), 0, "device writes");
	tap_is(slow() - before, 0, "%s: while there is room in place", what);
	/* The host begins to reclaim further below. */
	for (i = 0; i < most && (i % 16 || zone_pages("pages free") > zone_pages("high")); i++)
		fill[i * MEM_PAGE] = 1;
	rig_status_is(sim_write(&r->sim[0], &b, LEN / 2, MEM_PAGE, 1, NULL), 0, "device writes");
	tap_ok(slow() > before, "%s: by the owner's threads", what);
	tap_diag("%lu of %lu pages free, high is %lu", zone_pages("pages free"), most,
		 zone_pages("high"));
	mem_unmap((void *)fill, most * MEM_PAGE);
	rig_unmap(r, &b);
	mem_unmap(b.va, LEN);
	if (shared)
		close(fd);
}

/* The owner changes its policy while a thread of it populates by the old one. */
static void changed(struct rig *r)
{
	struct simbuf b = { mem_anon(2 * MEM_PAGE), RIG_IOVA, 2 * MEM_PAGE };
	static char page[MEM_PAGE] __attribute__((aligned(MEM_PAGE)));
	int uffd = uffd_missing(b.va, b.len), node[2];
	void *pages[2] = { b.va, (char *)b.va + MEM_PAGE };
	struct iopf_sim_cpl cpl;

	rig_map(r, &b);
	for (unsigned long i = 0; i < 2; i++) {
		struct iopf_sim_cmd cmd = sim_cmd(IOPF_SIM_OP_READ, &b, i * MEM_PAGE, MEM_PAGE, 0);
		unsigned long mask = 1ul << i;

		must_sys(syscall(SYS_set_mempolicy, MPOL_BIND, &mask, 8));
		sim_start(&r->sim[0], &cmd);
		uffd_asked(uffd);
		must_sys(syscall(SYS_set_mempolicy, MPOL_DEFAULT, NULL, 0));
		must_sys(syscall(SYS_set_mempolicy, MPOL_BIND, &mask, 8));
		must(uffd_give(uffd, (uintptr_t)pages[i], page, MEM_PAGE));
		sim_wait(&r->sim[0], &cpl);
		rig_status_is((int)cpl.status, IOPF_SIM_ST_OK, "the policy changes meanwhile");
	}
	must_sys(syscall(SYS_set_mempolicy, MPOL_DEFAULT, NULL, 0));
	must_sys(syscall(SYS_move_pages, 0, 2, pages, NULL, node, 0));
	tap_ok(node[0] == 0 && node[1] == 1, "each page is where the owner has put it");
	rig_unmap(r, &b);
	close(uffd);
	mem_unmap(b.va, b.len);
}

static void numa(struct rig *r)
{
	int node;
	char text[8];

	for (node = 0; node < 2; node++) {
		unsigned long mask = 1ul << node;

		must_sys(syscall(SYS_set_mempolicy, MPOL_BIND, &mask, 8));
		check_place(r, node, true, "set_mempolicy(BIND)");
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
	interleave(r, false);
	interleave(r, true);
	full_node(r, false);
	full_node(r, true);
	changed(r);
	cgroup_make("cs");
	for (node = 0; node < 2; node++) {
		snprintf(text, sizeof(text), "%d", node);
		cgroup_set("cs", "cpuset.mems", text);
		cgroup_enter("cs");
		check_place(r, node, false, "cpuset.mems");
	}
	cgroup_enter(NULL);
}

static void page_cache(struct rig *r)
{
	struct simbuf b = { .iova = RIG_IOVA, .len = 32 * MiB };
	long cpu, dev;
	size_t off;
	volatile char c = 0;
	int fd;

	cgroup_make("cpu");
	cgroup_make("dev");
	b.va = mem_file("/mnt/data", b.len, true, true, &fd);
	touch(&b);
	fsync(fd);
	mem_unmap(b.va, b.len);
	mem_sync_drop_caches();

	cgroup_enter("cpu");
	b.va = mmap(NULL, b.len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	for (off = 0; off < b.len; off += MEM_PAGE)
		c += ((volatile char *)b.va)[off];
	cpu = cgroup_field("cpu", "memory.stat", "file");
	mem_unmap(b.va, b.len);
	mem_sync_drop_caches();

	cgroup_enter("dev");
	b.va = mmap(NULL, b.len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	rig_map(r, &b);
	rig_status_is(sim_read(&r->sim[0], &b, 0, b.len, NULL), 0, "device reads the file");
	dev = cgroup_field("dev", "memory.stat", "file");
	tap_diag("page cache charged to the owner: CPU %ld KiB, device %ld KiB", cpu >> 10,
		 dev >> 10);
	tap_ok(dev > cpu / 2, "page cache that the device brings in is charged to the owner");
	rig_unmap(r, &b);
	mem_unmap(b.va, b.len);
	close(fd);
	cgroup_enter(NULL);
}

/* Write a file back, and let go of it. */
static void file_back(const struct simbuf *b, int fd)
{
	must_sys(msync(b->va, b->len, MS_SYNC));
	must_sys(fsync(fd));
	mem_unmap(b->va, b->len);
	close(fd);
}

/* Reads for the device, and the write-back of its writes, are I/O of the owner. */
static void io(struct rig *r)
{
	struct simbuf b = { .iova = RIG_IOVA, .len = 8 * MiB };
	char name[32];
	dev_t disk;
	int fd;

	cgroup_make("iocpu");
	cgroup_make("iodev");
	b.va = mem_file("/mnt/io", b.len, true, true, &fd);
	disk = cgroup_disk(fd, name);
	touch(&b);
	file_back(&b, fd);

	mem_sync_drop_caches();
	cgroup_enter("iocpu");
	b.va = mem_file("/mnt/io", b.len, true, false, &fd);
	simbuf_fill(&b, 0, b.len, 1);
	file_back(&b, fd);
	cgroup_enter(NULL);

	mem_sync_drop_caches();
	cgroup_enter("iodev");
	b.va = mem_file("/mnt/io", b.len, true, false, &fd);
	rig_map(r, &b);
	rig_status_is(sim_write(&r->sim[0], &b, 0, b.len, 2, NULL), 0, "device writes the file");
	rig_unmap(r, &b);
	rig_same(&b, 2, "memory that the device has written");
	file_back(&b, fd);
	cgroup_enter(NULL);

	tap_diag("%s: bytes read by CPU %ld, device %ld; written %ld, %ld", name,
		 cgroup_io("iocpu", disk, "rbytes"), cgroup_io("iodev", disk, "rbytes"),
		 cgroup_io("iocpu", disk, "wbytes"), cgroup_io("iodev", disk, "wbytes"));
	tap_ok(cgroup_io("iocpu", disk, "rbytes") >= (long)b.len, "the CPU's reads are charged");
	tap_ok(cgroup_io("iodev", disk, "rbytes") >= (long)b.len,
	       "reads for the device are charged to the owner");
	tap_ok(cgroup_io("iocpu", disk, "wbytes") >= (long)b.len, "the CPU's writes are charged");
	tap_ok(cgroup_io("iodev", disk, "wbytes") >= (long)b.len,
	       "write-back for the device is charged to the owner");
}

static void page_tables(struct rig *r)
{
	struct simbuf b = { .iova = RIG_IOVA, .len = 4096ul * 2 * MiB };
	struct iopf_sim_cmd cmd;
	long cpu, dev, before;
	volatile char c = 0;
	size_t off;

	cgroup_make("cpu2");
	cgroup_make("dev2");
	cgroup_enter("cpu2");
	b.va = mmap(NULL, b.len, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	must_be(b.va != MAP_FAILED);
	madvise(b.va, b.len, MADV_NOHUGEPAGE);
	before = cgroup_field("cpu2", "memory.stat", "pagetables");
	for (off = 0; off < b.len; off += 2 * MiB)
		c += ((volatile char *)b.va)[off];
	cpu = cgroup_field("cpu2", "memory.stat", "pagetables") - before;
	mem_unmap(b.va, b.len);

	cgroup_enter("dev2");
	b.va = mmap(NULL, b.len, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	must_be(b.va != MAP_FAILED);
	madvise(b.va, b.len, MADV_NOHUGEPAGE);
	rig_map(r, &b);
	before = cgroup_field("dev2", "memory.stat", "pagetables");
	cmd = sim_cmd(IOPF_SIM_OP_READ, &b, 0, b.len, 0);
	sim_cmd_order(&cmd, IOPF_SIM_ORDER_STRIDED, 8, 2 * MiB, 0);
	rig_status_is(sim_run(&r->sim[0], &cmd, NULL), 0, "device reads sparsely");
	dev = cgroup_field("dev2", "memory.stat", "pagetables") - before;
	tap_diag("CPU page tables, KiB charged: CPU %ld, device %ld; VmPTE %zu, kernel %ld",
		 cpu >> 10, dev >> 10, mem_status_kb(0, "VmPTE"),
		 cgroup_field("dev2", "memory.stat", "kernel") >> 10);
	tap_ok(dev > cpu / 2, "CPU page tables made for the device are charged to the owner");
	rig_unmap(r, &b);
	mem_unmap(b.va, b.len);
	cgroup_enter(NULL);
}

/* The CPU's own accesses: a signal at the second page. */
static void hugetlb_cpu(size_t len)
{
	pid_t pid = must_sys(fork());
	int status;

	if (!pid) {
		struct simbuf b = { .len = len };

		tap_forget();
		cgroup_enter("hugecpu");
		b.va = mmap(NULL, len, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
		must_be(b.va != MAP_FAILED);
		touch(&b);
		_exit(0);
	}
	must_sys(waitpid(pid, &status, 0));
	tap_ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS,
	       "hugetlb.2MB.max holds for the CPU");
}

static void hugetlb(struct rig *r)
{
	struct simbuf b = { .iova = RIG_IOVA, .len = 8 * MiB };

	must(mem_write_file("/proc/sys/vm/nr_hugepages", "8"));
	cgroup_make("hugecpu");
	cgroup_set("hugecpu", "hugetlb.2MB.max", "2097152");
	hugetlb_cpu(b.len);
	cgroup_make("huge");
	cgroup_set("huge", "hugetlb.2MB.max", "2097152");
	cgroup_enter("huge");
	b.va = mmap(NULL, b.len, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	must_be(b.va != MAP_FAILED);
	rig_map(r, &b);
	rig_status_is(sim_write(&r->sim[0], &b, 0, b.len, 1, NULL), IOPF_SIM_ST_INVALID,
		      "hugetlb.2MB.max holds for the device");
	tap_is((uint64_t)cgroup_read("huge", "hugetlb.2MB.current"), 2 * MiB,
	       "one page has been charged to the owner");
	rig_unmap(r, &b);
	mem_unmap(b.va, b.len);
	cgroup_enter(NULL);
}

static void high(struct rig *r)
{
	struct simbuf b = { .iova = RIG_IOVA, .len = 96 * MiB };
	long cpu, dev;

	cgroup_make("high");
	cgroup_set("high", "memory.high", "25165824");
	cgroup_enter("high");
	b.va = mem_anon(b.len);
	touch(&b);
	cpu = cgroup_read("high", "memory.current");
	mem_unmap(b.va, b.len);
	cgroup_enter(NULL);

	cgroup_make("high2");
	cgroup_set("high2", "memory.high", "25165824");
	cgroup_enter("high2");
	b.va = mem_anon(b.len);
	rig_map(r, &b);
	rig_status_is(sim_write(&r->sim[0], &b, 0, b.len, 1, NULL), 0, "device writes 96 MiB");
	dev = cgroup_read("high2", "memory.current");
	tap_diag("memory.high 24 MiB: after 96 MiB by CPU %ld MiB, by device %ld MiB",
		 cpu >> 20, dev >> 20);
	tap_ok(dev < 2 * cpu + (8 << 20), "memory.high applies to faults of the device");
	rig_unmap(r, &b);
	mem_unmap(b.va, b.len);
	cgroup_enter(NULL);
}

/*
 * If the cgroup has no room, the owner's threads populate the memory. Faults of other owners do not
 * wait.
 */
static void full(struct rig *r)
{
	struct simbuf b = { .iova = RIG_IOVA, .len = 256 * MEM_PAGE };
	uint64_t before;

	cgroup_make("full");
	cgroup_enter("full");
	b.va = mem_anon(b.len);
	rig_map(r, &b);
	before = slow();
	rig_status_is(sim_write(&r->sim[0], &b, 0, b.len / 2, 1, NULL), 0,
		      "device writes, with room");
	tap_is(slow() - before, 0, "in place");
	cgroup_set("full", "memory.high", "1");
	before = slow();
	rig_status_is(sim_write(&r->sim[0], &b, b.len / 2, 16 * MEM_PAGE, 1, NULL), 0,
		      "device writes, without room");
	tap_ok(slow() > before, "by the owner's threads");
	cgroup_set("full", "memory.high", "max");
	rig_unmap(r, &b);
	mem_unmap(b.va, b.len);
	cgroup_enter(NULL);
}

/*
 * Runs @fn in another process, in another cgroup, with another memory policy. Returns its exit
 * status.
 */
static int by_another(int (*fn)(void))
{
	unsigned long mask = 1;
	pid_t pid = must_sys(fork());
	int status;

	if (!pid) {
		tap_forget();
		cgroup_enter(NULL);
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

/* Another process pins the memory of the owner. The owner is charged. */
static void pinned_by_others(struct rig *r)
{
	struct simbuf b = { .iova = RIG_IOVA, .len = 16 * MiB };
	struct simbuf placed;
	unsigned long mask = 2;
	long cached;
	int fd;

	cgroup_make("pin");
	b.va = mem_file("/mnt/pinned", b.len, true, true, &fd);
	fsync(fd);
	mem_unmap(b.va, b.len);
	mem_sync_drop_caches();
	cgroup_enter("pin");
	b.va = mmap(NULL, b.len, PROT_READ, MAP_SHARED, fd, 0);
	must_be(b.va != MAP_FAILED);
	must(vfio_map_flags(&r->c, b.va, b.iova, b.len, VFIO_DMA_MAP_FLAG_READ));
	cached = cgroup_field("pin", "memory.stat", "file");
	tap_is(by_another(switch_off), 0, "another process switches the device off");
	cached = cgroup_field("pin", "memory.stat", "file") - cached;
	tap_diag("page cache charged to the owner: %ld KiB", cached >> 10);
	tap_ok(cached > (long)b.len / 2, "the pinned memory is charged to the owner");
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
	cgroup_enter(NULL);
}

int main(void)
{
	struct rig r;

	rig_backend_only();
	cgroup_use("+memory +cpuset +hugetlb +io");
	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	numa(&r);
	page_cache(&r);
	io(&r);
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
