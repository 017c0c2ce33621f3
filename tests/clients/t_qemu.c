// SPDX-License-Identifier: GPL-2.0-only
/*
 * QEMU as it is, with -device vfio-pci on the simulated device: the job all of this is for.
 *
 * A nested machine with 512 MiB of memory, whose processor is this program (qtest.h),
 * programs the device as a driver would: BAR, bus master, rings and buffers in guest
 * memory. The device then does DMA to guest memory. Served by the backend, the
 * machine has the memory it touched and no more, and the host can take memory back. The same
 * with the device switched off, so that stock type1 serves it, is the control: all of
 * the memory is there before the device did anything. Third, the backend with everything pinned.
 *
 * vm: --mem 1024 --image clients --test-timeout 150
 */
#include <fcntl.h>
#include <glob.h>
#include <inttypes.h>
#include <linux/falloc.h>
#include <linux/iopf_sim.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "qtest.h"
#include "rig.h"

#define GUEST_MIB	512
#define GUEST_LEN	(GUEST_MIB * MiB)

/* Of the guest's physical addresses: a hole for the BAR, rings, and what the device moves. */
#define GUEST_BAR	0xe0000000u
#define GUEST_SQ	(8 * MiB)
#define GUEST_CQ	(GUEST_SQ + MEM_PAGE)
#define GUEST_RINGS	2
#define ENTRIES		16
/* Single pages far from each other ... */
#define SPREAD		(16 * MiB)
#define SPREAD_PAGES	256
#define SPREAD_STRIDE	(MiB)
/* ... and a piece the driver fills and one the device copies it to. */
#define FILLED		(320 * MiB)
#define COPIED		(400 * MiB)
#define PIECE		(512 * 1024ul)

#define TOUCHED		((GUEST_RINGS + SPREAD_PAGES) * MEM_PAGE + 2 * PIECE)
/* Some pages more: what QEMU does by itself, and the neighbours of a fault. */
#define SLACK		MiB

#define DEVFN		(4 << 3)

/* A driver of the device, inside the nested machine. */
struct guest {
	struct qtest q;
	unsigned int kick;
	uint32_t tail;
	uint32_t head;
};

static const char * const qemu_argv[] = {
	"chroot", "/image", "qemu-system-x86_64", "-no-user-config", "-nodefaults",
	"-machine", "pc,accel=tcg,usb=off,memory-backend=ram", "-S", "-m", "512M",
	"-object", "memory-backend-memfd,id=ram,size=512M,share=on",
	"-device", "vfio-pci,host=10f5:00:00.0,addr=4", "-display", "none", "-vga", "none",
	"-nic", "none", "-serial", "none", "-monitor", "none", "-qtest", "stdio",
	"-qtest-log", "none", NULL,
};

/* What the container of process @pid says; bails out unless it has one. */
static uint64_t container(pid_t pid, const char *name)
{
	uint64_t value = 0;
	bool found = false;
	glob_t dirs;
	size_t i;

	if (glob(KNOB_IOPF_DIR "/containers/*", 0, NULL, &dirs))
		tap_bail("there is no container");
	for (i = 0; i < dirs.gl_pathc && !found; i++) {
		must(knob_read_try(&value, "%s/pid", dirs.gl_pathv[i]));
		found = value == (uint64_t)pid;
		if (found)
			must(knob_read_try(&value, "%s/%s", dirs.gl_pathv[i], name));
	}
	globfree(&dirs);
	if (!found)
		tap_bail("no container is QEMU's");
	return value;
}

static uint64_t guest_memory(struct guest *g)
{
	return mem_status_kb(g->q.pid, "RssShmem") * 1024;
}

static void guest_kick(struct guest *g)
{
	qtest_pci_write(&g->q, DEVFN, g->kick, 1);
}

/* What firmware and driver do: address of the BAR, decoding, bus master, rings, enable. */
static void guest_start(struct guest *g)
{
	static const char zero[MEM_PAGE];
	unsigned int spins = 0;
	struct qtest *q = &g->q;
	uint32_t id, status;

	memset(g, 0, sizeof(*g));
	qtest_start(q, qemu_argv);
	id = qtest_pci_read(q, DEVFN, PCI_VENDOR_ID);
	if (!tap_is(id, IOPF_SIM_PCI_DEVICE << 16 | IOPF_SIM_PCI_VENDOR,
		    "the machine has the device"))
		tap_bail("nothing to drive");
	qtest_pci_write(q, DEVFN, PCI_BASE_ADDRESS_0, GUEST_BAR);
	qtest_pci_write(q, DEVFN, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	tap_is(qtest_readl(q, GUEST_BAR + IOPF_SIM_REG_MAGIC), IOPF_SIM_MAGIC,
	       "its registers are where they were put");
	g->kick = qtest_pci_find_cap(q, DEVFN, PCI_CAP_ID_VNDR);
	must_be(g->kick);
	g->kick += IOPF_SIM_VNDR_KICK;

	qtest_write(q, GUEST_SQ, zero, sizeof(zero));
	qtest_write(q, GUEST_CQ, zero, sizeof(zero));
	qtest_writeq(q, GUEST_BAR + IOPF_SIM_REG_SQ_BASE, GUEST_SQ);
	qtest_writeq(q, GUEST_BAR + IOPF_SIM_REG_CQ_BASE, GUEST_CQ);
	qtest_writel(q, GUEST_BAR + IOPF_SIM_REG_SQ_ENTRIES, ENTRIES);
	qtest_writel(q, GUEST_BAR + IOPF_SIM_REG_CQ_ENTRIES, ENTRIES);
	qtest_writel(q, GUEST_BAR + IOPF_SIM_REG_CTRL, IOPF_SIM_CTRL_ENABLE);
	guest_kick(g);
	do {
		status = qtest_readl(q, GUEST_BAR + IOPF_SIM_REG_STATUS);
		sim_nap(&spins);
	} while (!(status & (IOPF_SIM_STATUS_READY | IOPF_SIM_STATUS_HALTED)));
	must_be(status & IOPF_SIM_STATUS_READY);
}

/* Run one command: its completion's status. One that never completes is a hang, for the runner. */
static unsigned int guest_run(struct guest *g, const struct iopf_sim_cmd *cmd,
			      struct iopf_sim_cpl *cpl)
{
	struct qtest *q = &g->q;
	unsigned int spins = 0;
	uint32_t lap = g->head / ENTRIES + 1;

	qtest_write(q, GUEST_SQ + g->tail++ % ENTRIES * sizeof(*cmd), cmd, sizeof(*cmd));
	qtest_writel(q, GUEST_BAR + IOPF_SIM_REG_SQ_TAIL, g->tail);
	guest_kick(g);
	for (;;) {
		qtest_read(q, GUEST_CQ + g->head % ENTRIES * sizeof(*cpl), cpl, sizeof(*cpl));
		if (cpl->phase == (lap & 1))
			break;
		if (qtest_readl(q, GUEST_BAR + IOPF_SIM_REG_STATUS) & IOPF_SIM_STATUS_HALTED)
			tap_bail("the device halted: error %u at 0x%x",
				 qtest_readl(q, GUEST_BAR + IOPF_SIM_REG_ERROR),
				 qtest_readl(q, GUEST_BAR + IOPF_SIM_REG_ERROR_IOVA));
		sim_nap(&spins);
	}
	qtest_writel(q, GUEST_BAR + IOPF_SIM_REG_CQ_HEAD, ++g->head);
	if (cpl->cookie != cmd->cookie)
		tap_bail("completed cookie 0x%llx, expected 0x%llx",
			 (unsigned long long)cpl->cookie, (unsigned long long)cmd->cookie);
	return cpl->status;
}

static bool guest_done(struct guest *g, const struct iopf_sim_cmd *cmd, const char *what)
{
	struct iopf_sim_cpl cpl;
	unsigned int status = guest_run(g, cmd, &cpl);

	if (status)
		tap_diag("%s at 0x%llx", sim_status_name(status), (unsigned long long)cpl.result);
	return tap_ok(!status, "%s", what);
}

/* Words of guest memory that are not the pattern. */
static size_t guest_differs(struct guest *g, uint64_t addr, size_t len, uint64_t origin,
			    uint64_t seed)
{
	uint64_t words[MEM_PAGE / 8];
	size_t wrong = 0, i;

	for (; len; addr += MEM_PAGE, len -= MEM_PAGE) {
		qtest_read(&g->q, addr, words, MEM_PAGE);
		for (i = 0; i < MEM_PAGE / 8; i++)
			wrong += words[i] != iopf_sim_word(seed, addr - origin + 8 * i);
	}
	return wrong;
}

static struct iopf_sim_cmd command(unsigned int opcode, uint64_t addr, size_t len, uint64_t seed)
{
	struct simbuf b = { NULL, addr, len };

	return sim_cmd(opcode, &b, 0, len, seed);
}

static struct iopf_sim_cmd spread(unsigned int opcode, uint64_t seed)
{
	struct iopf_sim_cmd cmd = command(opcode, SPREAD, MEM_PAGE, seed);

	cmd.order = IOPF_SIM_ORDER_STRIDED;
	cmd.stride = SPREAD_STRIDE;
	cmd.count = SPREAD_PAGES;
	return cmd;
}

static size_t spread_differs(struct guest *g, uint64_t seed)
{
	size_t wrong = 0;
	unsigned int i;

	for (i = 0; i < SPREAD_PAGES; i++)
		wrong += guest_differs(g, SPREAD + i * SPREAD_STRIDE, MEM_PAGE, SPREAD, seed);
	return wrong;
}

/* Data in every direction, each byte compared. */
static void check_data(struct guest *g, const char *what)
{
	struct iopf_sim_cmd cmd = spread(IOPF_SIM_OP_WRITE, 1);
	uint64_t words[MEM_PAGE / 8], sum = 0;
	struct iopf_sim_cpl cpl;
	size_t at, i;

	tap_diag("%s: the device writes pages all over the guest", what);
	guest_done(g, &cmd, "the device writes");
	tap_is(spread_differs(g, 1), 0, "%s: the guest reads what the device wrote", what);

	for (at = 0; at < PIECE; at += MEM_PAGE) {
		for (i = 0; i < MEM_PAGE / 8; i++) {
			words[i] = iopf_sim_word(2, at + 8 * i);
			sum += words[i];
		}
		qtest_write(&g->q, FILLED + at, words, MEM_PAGE);
	}
	cmd = command(IOPF_SIM_OP_VERIFY, FILLED, PIECE, 2);
	guest_done(g, &cmd, "the device reads what the guest wrote");
	cmd = command(IOPF_SIM_OP_CHECKSUM, FILLED, PIECE, 0);
	must_be(!guest_run(g, &cmd, &cpl));
	tap_is(cpl.result, sum, "%s: and finds the same sum", what);
	cmd = command(IOPF_SIM_OP_COPY, COPIED, PIECE, 0);
	cmd.src = FILLED;
	guest_done(g, &cmd, "the device copies");
	tap_is(guest_differs(g, COPIED, PIECE, COPIED, 2), 0, "%s: the copy is right", what);
}

/* The memory of the guest, as the host's administrator reaches it. */
static int guest_memfd(struct guest *g)
{
	char pattern[64], target[128];
	ssize_t n = -1;
	int fd = -1;
	glob_t fds;
	size_t i;

	snprintf(pattern, sizeof(pattern), "/proc/%d/fd/*", g->q.pid);
	must_be(!glob(pattern, 0, NULL, &fds));
	for (i = 0; i < fds.gl_pathc && fd < 0; i++) {
		n = readlink(fds.gl_pathv[i], target, sizeof(target) - 1);
		target[n < 0 ? 0 : n] = 0;
		if (strstr(target, "memfd:"))
			fd = must_sys(open(fds.gl_pathv[i], O_RDWR));
	}
	globfree(&fds);
	must_be(fd >= 0);
	return fd;
}

/* The host takes memory back under the running guest; no pin is in the way. */
static void check_taken_back(struct guest *g)
{
	struct iopf_sim_cmd cmd = spread(IOPF_SIM_OP_VERIFY, 1);
	uint64_t before = container(g->q.pid, "resident");
	int fd = guest_memfd(g);

	mem_punch(fd, COPIED, PIECE);
	tap_is(before - container(g->q.pid, "resident"), PIECE,
	       "memory the host takes back is the device's no more");
	guest_done(g, &cmd, "the device finds the rest as it was");
	cmd = command(IOPF_SIM_OP_WRITE, COPIED, PIECE, 3);
	guest_done(g, &cmd, "it writes where there is no memory now");
	tap_is(guest_differs(g, COPIED, PIECE, COPIED, 3), 0, "the guest reads that");
	close(fd);
}

static void backend(const char *who)
{
	const char *by = iopf_text(rig_bdf(0), "backend");

	if (!tap_ok(!strcmp(by, who), "served by %s", who))
		tap_diag("served by '%s', reason '%s'", by, iopf_text(rig_bdf(0), "reason"));
}

static void near_touched(uint64_t got, const char *what)
{
	tap_diag("%s: %" PRIu64 " KiB, the device touched %lu KiB, the machine has %lu KiB", what,
		 got / 1024, TOUCHED / 1024, GUEST_LEN / 1024);
	tap_ok(got >= TOUCHED && got <= TOUCHED + SLACK, "%s is what was touched", what);
}

/* The administrator changes his mind while the machine runs: all of it pinned, and back. */
static void check_switched(struct guest *g)
{
	struct iopf_sim_cmd cmd = spread(IOPF_SIM_OP_VERIFY, 1);
	const char *bdf = rig_bdf(0);
	uint64_t faults;

	if (!tap_errno_is(iopf_enable(bdf, false), 0, "switched off while the machine runs"))
		return;
	tap_ok(guest_memory(g) >= GUEST_LEN - MiB, "all of the machine's memory is there");
	faults = iopf_count(bdf, "faults");
	guest_done(g, &cmd, "the device finds what it wrote");
	tap_is(iopf_count(bdf, "faults"), faults, "and faults no more");
	tap_errno_is(iopf_enable(bdf, true), 0, "switched on again");
	tap_is(container(g->q.pid, "pinned"), 0, "nothing is pinned");
	cmd = spread(IOPF_SIM_OP_WRITE, 4);
	guest_done(g, &cmd, "the device writes on");
	tap_is(spread_differs(g, 4), 0, "the guest reads that");
}

static void check_faulting(void)
{
	struct guest g;

	tap_diag("the backend, by faults");
	guest_start(&g);
	backend("vfio_iommu_iopf");
	tap_ok(container(g.q.pid, "mapped") >= GUEST_LEN, "all memory is mapped");
	tap_ok(container(g.q.pid, "resident") <= SLACK && guest_memory(&g) <= SLACK,
	       "and next to none is there");
	check_data(&g, "by faults");
	near_touched(container(g.q.pid, "resident"), "what the device can reach");
	near_touched(guest_memory(&g), "the machine's memory");
	tap_is(container(g.q.pid, "pinned"), 0, "nothing is pinned");
	/* It goes in equal strides and is had there before it comes: fewer faults than pages. */
	tap_ok(iopf_count(rig_bdf(0), "faults"), "the device faulted");
	tap_ok(iopf_count(rig_bdf(0), "pages_mapped") >= SPREAD_PAGES,
	       "and every page it touched was mapped");
	rig_describe_faults(rig_bdf(0));
	check_taken_back(&g);
	check_switched(&g);
	qtest_end(&g.q);
}

/* Everything pinned, by whom ever. */
static void check_pinned(const char *who)
{
	uint64_t faults = iopf_count(rig_bdf(0), "faults");
	struct guest g;

	guest_start(&g);
	backend(who);
	/* A PC has holes in its first MiB; what is behind them no device reaches. */
	tap_diag("the machine's memory: %" PRIu64 " KiB", guest_memory(&g) / 1024);
	tap_ok(guest_memory(&g) >= GUEST_LEN - MiB, "all of the machine's memory is there");
	check_data(&g, who);
	tap_is(iopf_count(rig_bdf(0), "faults"), faults, "nothing faulted");
	qtest_end(&g.q);
}

int main(void)
{
	/* For what is asked about the device only: it is QEMU that has it open. */
	struct rig r = { .devices = 1 };

	rig_backend_only();
	must_be(!system(". /iopf/lib/tap.sh; . /iopf/lib/client.sh; client_root"));
	rig_load("devices=1", "");
	snprintf(r.vfio[0].bdf, sizeof(r.vfio[0].bdf), "%s", rig_bdf(0));
	check_faulting();
	rig_clean(&r);
	rig_balanced_soon();

	tap_diag("stock type1");
	must(iopf_enable(rig_bdf(0), false));
	check_pinned("vfio_iommu_type1");

	tap_diag("the backend, all pinned");
	if (!tap_errno_is(iopf_param("serve_pinned", 1), 0, "serve_pinned can be set"))
		return tap_done();
	check_pinned("vfio_iommu_iopf");
	rig_clean(&r);
	rig_balanced_soon();
	tap_errno_is(rig_unload_soon(), 0, "the modules can be unloaded");
	return tap_done();
}
