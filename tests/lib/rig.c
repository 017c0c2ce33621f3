// SPDX-License-Identifier: GPL-2.0-only
/*
 * The rig: see rig.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rig.h"

#define RIG_DOMAIN	"10f5"

#define RIG_BUSY_SPINS	20000

/* Modules in the order of unloading: each module after its users. */
static const char * const rig_modules[] = {
	"iopf_failure", "iopf_holder", "iopf_pinner", "iopf_pagetable", "iopf_mediator",
	"vfio_iommu_iopf", "iopf_sim", "iopf_sim_iommu", "iopf_sim_mdev",
};

static bool rig_loaded;
/* Whether the backend has been printed since the modules were loaded. */
static bool rig_said;
static bool rig_no_backend;

bool rig_stock(void)
{
	const char *env = getenv("NOBACKEND");

	return rig_no_backend || (env && *env && *env != '0');
}

bool rig_debug_kernel(void)
{
	return !access("/proc/lockdep", F_OK);
}

void rig_backend_only(void)
{
	if (rig_stock())
		tap_skip_all("this test needs the backend, and NOBACKEND is set");
}

int rig_unload(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(rig_modules); i++) {
		if (syscall(SYS_delete_module, rig_modules[i], O_NONBLOCK) && errno != ENOENT)
			return -errno;
	}
	rig_loaded = false;
	return 0;
}

int rig_unload_soon(void)
{
	unsigned int spins = 0;
	int err;

	do {
		err = rig_unload();
		sim_nap(&spins);
	} while (err == -EAGAIN && spins < RIG_BUSY_SPINS);
	return err;
}

void rig_load(const char *sim_args, const char *iopf_args)
{
	char command[512];
	int status;

	rig_no_backend = !iopf_args;
	snprintf(command, sizeof(command), "%siopf-load %s -- %s >/dev/null",
		 rig_stock() ? "NOBACKEND=1 " : "", sim_args, iopf_args ? iopf_args : "");
	status = system(command);
	if (status)
		tap_bail("%s: status 0x%x", command, status);
	rig_loaded = true;
	rig_said = false;
}

const char *rig_bdf(unsigned int n)
{
	static char names[64][VFIO_BDF_LEN];

	must_be(n < 64);
	snprintf(names[n], sizeof(names[n]), RIG_DOMAIN ":00:%02x.%x", n % 32, n / 32);
	return names[n];
}

int rig_bind(const char *bdf)
{
	char path[128];
	int err;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver_override", bdf);
	err = mem_write_file(path, "vfio-pci");
	if (err)
		return err;
	return mem_write_file("/sys/bus/pci/drivers_probe", "%s", bdf);
}

void rig_served_right(const char *bdf)
{
	const char *by = iopf_text(bdf, "backend");

	if (rig_stock())
		by = "stock type1, backend not loaded";
	if (!rig_said)
		tap_diag("%s: served by %s", bdf, *by ? by : "nobody knows");
	rig_said = true;
	if (rig_stock())
		return;
	tap_ok(strstr(by, "iopf"), "%s is served by vfio_iommu_iopf", bdf);
}

/*
 * A fault in progress keeps the memory of a killed process for a moment. That memory includes the
 * mapping of the BAR, which keeps the device open. So the next user may find the device busy.
 */
static int rig_open_device(struct rig *r, unsigned int i, const char *bdf, int type)
{
	unsigned int spins = 0;
	int err;

	do {
		err = vfio_dev_open(&r->vfio[i], &r->c, bdf, type);
		if (err == -EBUSY)
			sim_nap(&spins);
	} while (err == -EBUSY && spins < RIG_BUSY_SPINS);
	if (spins)
		tap_diag("%s was busy, %u attempts", bdf, spins);
	return err;
}

void rig_open_at(struct rig *r, unsigned int first, unsigned int devices, int type)
{
	unsigned int i;

	must_be(devices <= RIG_MAX_DEVICES);
	if (!rig_loaded)
		rig_load("", "");
	memset(r, 0, sizeof(*r));
	must(vfio_container_open(&r->c));
	for (i = 0; i < devices; i++) {
		must(rig_open_device(r, i, rig_bdf(first + i), type));
		must(sim_up(&r->sim[i], &r->vfio[i], NULL));
		r->devices++;
	}
	if (devices)
		rig_served_right(r->vfio[0].bdf);
}

void rig_open(struct rig *r, unsigned int devices, int type)
{
	rig_open_at(r, 0, devices, type);
}

void rig_open_mapped(struct rig *r, struct simbuf *b)
{
	rig_open(r, 1, VFIO_TYPE1v2_IOMMU);
	b->va = mem_anon(b->len);
	rig_map(r, b);
}

struct simbuf rig_buffer(struct rig *r, size_t len)
{
	struct simbuf b = { mem_anon(len), RIG_IOVA, len };

	memset(b.va, 1, b.len);
	rig_map(r, &b);
	return b;
}

void rig_buffer_free(struct rig *r, struct simbuf *b)
{
	rig_unmap(r, b);
	mem_unmap(b->va, b->len);
}

void rig_end(struct rig *r)
{
	rig_clean(r);
	rig_close(r);
	rig_balanced();
}

void rig_end_unmapped(struct rig *r)
{
	rig_clean(r);
	rig_balanced();
	rig_close(r);
}

void rig_close(struct rig *r)
{
	unsigned int i;

	for (i = 0; i < r->devices; i++)
		vfio_dev_close(&r->vfio[i]);
	r->devices = 0;
	vfio_container_close(&r->c);
}

pid_t rig_fork_user(int group, size_t bytes)
{
	struct rlimit limit = { bytes, bytes };
	char path[64];
	pid_t pid;

	must_sys(chmod("/dev/vfio/vfio", 0666));
	snprintf(path, sizeof(path), "/dev/vfio/%d", group);
	must_sys(chmod(path, 0666));
	pid = must_sys(fork());
	if (pid)
		return pid;
	tap_forget();
	must_sys(setrlimit(RLIMIT_MEMLOCK, &limit));
	must_sys(setresgid(1000, 1000, 1000));
	must_sys(setresuid(1000, 1000, 1000));
	return 0;
}

void rig_map(struct rig *r, const struct simbuf *b)
{
	must(vfio_map(&r->c, b->va, b->iova, b->len));
}

void rig_unmap(struct rig *r, const struct simbuf *b)
{
	must(vfio_unmap(&r->c, b->iova, b->len));
}

bool rig_both_ways(struct simdev *s, const struct simbuf *b, uint64_t seed, const char *what)
{
	struct iopf_sim_cmd cmd;
	struct iopf_sim_cpl cpl;
	size_t wrong;
	int status;

	status = sim_write(s, b, 0, b->len, seed, &cpl);
	if (status)
		return tap_ok(false, "%s: device writes: %s at 0x%llx", what,
			      sim_status_name((unsigned int)status),
			      (unsigned long long)cpl.result);
	wrong = simbuf_differs(b, 0, b->len, seed);
	if (wrong)
		return tap_ok(false, "%s: CPU finds %zu wrong words of the device's", what, wrong);

	simbuf_fill(b, 0, b->len, seed + 1);
	cmd = sim_cmd(IOPF_SIM_OP_VERIFY, b, 0, b->len, seed + 1);
	status = sim_run(s, &cmd, &cpl);
	if (status)
		return tap_ok(false, "%s: device reads: %s at 0x%llx, %llu words", what,
			      sim_status_name((unsigned int)status),
			      (unsigned long long)cpl.result,
			      (unsigned long long)cpl.mismatches);

	/* Random writes may leave out pages. The pattern is the same, so nothing changes. */
	cmd = sim_cmd(IOPF_SIM_OP_WRITE, b, 0, b->len, seed + 1);
	sim_cmd_order(&cmd, IOPF_SIM_ORDER_RANDOM, 256, 256, seed);
	if (cmd.count > 4096)
		cmd.count = 4096;
	status = sim_run(s, &cmd, &cpl);
	wrong = simbuf_differs(b, 0, b->len, seed + 1);
	return tap_ok(!status && !wrong, "%s: data both ways, %zu KiB", what, b->len / 1024);
}

void rig_unpinned(const char *what)
{
	if (!rig_stock())
		tap_is(mem_status_kb(0, "VmLck") + mem_status_kb(0, "VmPin"), 0,
		       "%s: nothing is pinned", what);
}

bool rig_status_is(int got, int want, const char *what, ...)
{
	char text[256];
	va_list args;

	va_start(args, what);
	vsnprintf(text, sizeof(text), what, args);
	va_end(args);
	tap_ok(got == want, "%s: %s", text, sim_status_name((unsigned int)want));
	if (got != want)
		tap_diag("ended with %s", sim_status_name((unsigned int)got));
	return got == want;
}

bool rig_same(const struct simbuf *b, uint64_t seed, const char *what)
{
	size_t wrong = simbuf_differs(b, 0, b->len, seed);

	return tap_ok(!wrong, "%s: every byte is right, %zu KiB", what, b->len / 1024);
}

void rig_clean(struct rig *r)
{
	uint64_t stale = 0, freed = 0;
	unsigned int i;

	for (i = 0; i < r->devices; i++) {
		stale += sim_count(r->vfio[i].bdf, "stale_uses");
		freed += sim_count(r->vfio[i].bdf, "dma_to_free");
	}
	tap_is(stale, 0, "no stale translation was used");
	tap_is(freed, 0, "no DMA went to freed memory");
	tap_is(sim_iommu_count("unmap_holes") + sim_iommu_count("map_collisions"), 0,
	       "no hole unmapped, nothing mapped twice");
}

void rig_describe_faults(const char *bdf)
{
	static const char *const names[] = {
		"faults",	"page_requests",     "parked",
		"retries",	"retries_exhausted", "responses_invalid",
		"pages_mapped",
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(names) && !rig_stock(); i++)
		tap_diag("%s: %s %s", bdf, names[i], iopf_text(bdf, names[i]));
}

static uint64_t rig_leaves(void)
{
	return sim_iommu_count("leaves_4k") + sim_iommu_count("leaves_2m") +
	       sim_iommu_count("leaves_1g");
}

void rig_balanced_soon(void)
{
	unsigned int spins = 0;

	while (rig_leaves() && spins < RIG_BUSY_SPINS)
		sim_nap(&spins);
	rig_balanced();
}

void rig_balanced(void)
{
	tap_is(rig_leaves(), 0, "nothing is left mapped in the IOMMU");
}
