// SPDX-License-Identifier: GPL-2.0-only
/*
 * No device gets memory that get_user_pages() refuses: each kind of memory, in each state of its
 * pages, for reading and for writing. A module asks pin_user_pages(), without FOLL_LONGTERM. The
 * test compares this with the device's accesses and with prefaulting, page by page. t_pfnmap tests
 * memory of devices (VM_PFNMAP), which GUP refuses and stock type1 maps.
 *
 * Before a device uses memory that must not be mapped, the test looks for it in the IOMMU. The
 * simulated device could not detect that it reaches secret memory, because that memory is not in
 * the kernel's direct map.
 *
 * vm: --mem 768 --swap 512 --disk 256 --pmem 32 --test-timeout 900
 * also: numa
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "prefault.h"
#include "rig.h"
#include "uffd.h"

#define PINNER	"/sys/kernel/debug/iopf_pinner/command"
#define PAGES	16
#define LEN	(PAGES * MEM_PAGE)
#define ROOM	(2 * MEM_HUGE)
#define POISON	3
#define PLAIN	(1024 * MEM_PAGE)

/* Addresses for each kind, one after the other: each at a boundary of 2 MiB, with as much space. */
static char *place;
static int pinner = -1;
static int fd = -1;

static void *anon_at(size_t len)
{
	void *va = mmap(place, len, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	must_be(va == place);
	must_sys(madvise(va, len, MADV_NOHUGEPAGE));
	return va;
}

static bool file_at(int file, int flags, off_t off)
{
	fd = file;
	return file >= 0 && mmap(place, LEN, PROT_READ | PROT_WRITE, flags | MAP_FIXED, file,
				 off) == place;
}

static bool path_at(const char *dir, int flags)
{
	char path[64];
	struct stat st;
	int file;

	if (stat(dir, &st))
		return false;
	snprintf(path, sizeof(path), "%s/gup", dir);
	file = must_sys(open(path, O_RDWR | O_CREAT | O_TRUNC, 0600));
	must_sys(ftruncate(file, LEN));
	return file_at(file, flags, 0);
}

static void fill(void)
{
	for (size_t i = 0; i < LEN; i += MEM_PAGE)
		place[i] = 1;
}

static bool make_anon(void)
{
	anon_at(LEN);
	fill();
	return true;
}

static bool make_zero(void)
{
	anon_at(LEN);
	for (size_t i = 0; i < LEN; i += MEM_PAGE)
		must_be(!*(volatile char *)(place + i));
	return true;
}

static bool make_thp(void)
{
	anon_at(MEM_HUGE);
	must_sys(madvise(place, MEM_HUGE, MADV_HUGEPAGE));
	fill();
	return true;
}

static bool make_lazy(void)
{
	make_anon();
	must_sys(madvise(place, LEN, MADV_FREE));
	return true;
}

static bool make_shared(void)
{
	int file = must_sys(memfd_create("gup", 0));

	must_sys(ftruncate(file, LEN));
	must_be(file_at(file, MAP_SHARED, 0));
	fill();
	return true;
}

static bool make_ramfs(void)
{
	(void)mkdir("/tmp", 0755);
	(void)mkdir("/tmp/ramfs", 0755);
	if (mount("none", "/tmp/ramfs", "ramfs", 0, NULL) && errno != EBUSY)
		return false;
	must_be(path_at("/tmp/ramfs", MAP_SHARED));
	fill();
	return true;
}

static bool make_ext4(void)
{
	if (!path_at("/mnt", MAP_SHARED))
		return false;
	fill();
	return true;
}

static bool make_ext4_private(void)
{
	if (!path_at("/mnt", MAP_PRIVATE))
		return false;
	for (size_t i = 0; i < LEN; i += MEM_PAGE)
		must_be(!*(volatile char *)(place + i));
	return true;
}

static bool make_dax(void)
{
	if (!path_at("/dax", MAP_SHARED))
		return false;
	fill();
	return true;
}

static bool make_hugetlb(void)
{
	(void)mem_write_file("/proc/sys/vm/nr_hugepages", "4");
	if (mmap(place, MEM_HUGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_FIXED, -1, 0) != place)
		return false;
	fill();
	return true;
}

static bool make_secret(void)
{
	int file = (int)syscall(SYS_memfd_secret, 0);

	if (file < 0)
		return false;
	must_sys(ftruncate(file, LEN));
	must_be(file_at(file, MAP_SHARED, 0));
	fill();
	return true;
}

static bool make_mlocked(void)
{
	make_shared();
	must_sys(mlock(place, LEN));
	return true;
}

static bool make_secret_mlocked(void)
{
	return make_secret() && !mlock(place, LEN);
}

static bool make_driver_io(void)
{
	must_be(file_at(dup(pinner), MAP_SHARED, 0));
	fill();
	return true;
}

static bool make_driver(void)
{
	must_be(file_at(dup(pinner), MAP_SHARED, PLAIN));
	fill();
	return true;
}

static bool make_none(void)
{
	make_anon();
	must_sys(mprotect(place, LEN, PROT_NONE));
	return true;
}

static bool make_read_only(void)
{
	make_anon();
	must_sys(mprotect(place, LEN, PROT_READ));
	return true;
}

static bool make_forked(void)
{
	pid_t pid;

	make_anon();
	pid = must_sys(fork());
	if (!pid)
		_exit(0);
	return true;
}

static bool make_soft_dirty(void)
{
	make_anon();
	must(mem_write_file("/proc/self/clear_refs", "4"));
	return true;
}

/* An access to the userfaultfd's memory gets an error, and does not wait. */
static bool uffd_at(uint64_t mode, uint64_t features)
{
	fd = uffd_open(place, LEN, UFFD_FEATURE_SIGBUS | features, mode);
	return true;
}

static bool make_uffd_missing(void)
{
	anon_at(LEN);
	return uffd_at(UFFDIO_REGISTER_MODE_MISSING, 0);
}

static bool make_uffd_wp(void)
{
	struct uffdio_writeprotect wp = {
		.range = { (uintptr_t)place, LEN }, .mode = UFFDIO_WRITEPROTECT_MODE_WP,
	};

	make_anon();
	uffd_at(UFFDIO_REGISTER_MODE_WP, UFFD_FEATURE_PAGEFAULT_FLAG_WP);
	must_sys(ioctl(fd, UFFDIO_WRITEPROTECT, &wp));
	return true;
}

static bool make_uffd_minor(void)
{
	int file = must_sys(memfd_create("gup", 0));

	must_sys(ftruncate(file, LEN));
	/* In the page cache, and in no page table. */
	for (size_t i = 0; i < LEN; i += MEM_PAGE)
		must_be(pwrite(file, "x", 1, (off_t)i) == 1);
	must_be(mmap(place, LEN, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file, 0) == place);
	close(file);
	return uffd_at(UFFDIO_REGISTER_MODE_MINOR, UFFD_FEATURE_MINOR_SHMEM);
}

/**
 * struct kind - a kind of memory
 * @name: for points
 * @make: have it at @place; false: this machine has none
 * @still: why its pages are not poisoned here, or NULL
 */
struct kind {
	const char *name;
	bool (*make)(void);
	const char *still;
};

static const struct kind kinds[] = {
	{ "anonymous", make_anon, NULL },
	{ "zero page", make_zero, "there is one for all" },
	{ "huge page", make_thp, NULL },
	{ "lazily freed", make_lazy, NULL },
	{ "shared", make_shared, NULL },
	{ "ramfs", make_ramfs, NULL },
	{ "ext4", make_ext4, NULL },
	{ "ext4, private", make_ext4_private, NULL },
	{ "persistent memory", make_dax, "a file system of the test's goes with it" },
	{ "hugetlb", make_hugetlb, NULL },
	{ "secret", make_secret, "it is not in the kernel's direct map" },
	{ "locked", make_mlocked, NULL },
	{ "secret, locked", make_secret_mlocked, "it is not in the kernel's direct map" },
	{ "a driver's, VM_IO", make_driver_io, "it belongs to a driver" },
	{ "a driver's", make_driver, "it belongs to a driver" },
	{ "PROT_NONE", make_none, NULL },
	{ "read-only", make_read_only, NULL },
	{ "forked", make_forked, NULL },
	{ "soft-dirty", make_soft_dirty, NULL },
	{ "userfaultfd, missing", make_uffd_missing, "it has no entry in the page table" },
	{ "userfaultfd, write-protected", make_uffd_wp, NULL },
	{ "userfaultfd, minor", make_uffd_minor, "it has no entry in the page table" },
};

static const char *state_fresh(void)
{
	return NULL;
}

/* Out of the batches of each processor, onto the lists; and moved. */
static const char *state_compacted(void)
{
	return mem_write_file("/proc/sys/vm/compact_memory", "1") ? "no compaction" : NULL;
}

static const char *state_aged(void)
{
	state_compacted();
	return mem_age() ? "the kernel can't be told to look" : NULL;
}

static const char *state_cold(void)
{
	state_compacted();
	(void)madvise(place, LEN, MADV_PAGEOUT);
	return NULL;
}

static const char *state_migrated(void)
{
	void *pages[PAGES];
	int nodes[PAGES], status[PAGES];

	state_compacted();
	for (unsigned int i = 0; i < PAGES; i++) {
		pages[i] = place + i * MEM_PAGE;
		nodes[i] = 1;
	}
	if (access("/sys/devices/system/node/node1", F_OK))
		return "one node only";
	(void)syscall(SYS_move_pages, 0, (unsigned long)PAGES, pages, nodes, status, MPOL_MF_MOVE);
	return NULL;
}

static void on_loss(int number)
{
	(void)number;
}

static const char *state_poisoned(void)
{
	bool lost;

	must_be(signal(SIGBUS, on_loss) != SIG_ERR);
	lost = !madvise(place + POISON * MEM_PAGE, MEM_PAGE, MADV_HWPOISON);
	must_be(signal(SIGBUS, SIG_DFL) != SIG_ERR);
	return lost ? NULL : "it can't be poisoned";
}

static const struct state {
	const char *name;
	const char *(*reach)(void);
} states[] = {
	{ "fresh", state_fresh },
	{ "on the LRU, compacted", state_compacted },
	{ "aged", state_aged },
	{ "paged out", state_cold },
	{ "migrated", state_migrated },
	{ "poisoned", state_poisoned },
};

/* The result of get_user_pages() for a page. */
static int gup(unsigned int page, bool writes)
{
	char text[64];
	int n = snprintf(text, sizeof(text), "%s %lx", writes ? "write" : "read",
			 (unsigned long)place + page * MEM_PAGE);

	return write(pinner, text, (size_t)n) == n ? 0 : -errno;
}

static uint64_t mapped_pages(void)
{
	return sim_iommu_count("leaves_4k") + 512 * sim_iommu_count("leaves_2m");
}

static void compare(struct rig *r, const struct simbuf *b, bool writes, const char *what)
{
	unsigned int never = 0, got = 0, missed = 0;
	struct vfio_iopf_prefault_status s;
	uint64_t mapped;

	prefault_run(&r->c, b, writes ? PREFAULT_WRITE : PREFAULT_READ, &s);
	mapped = mapped_pages();
	for (unsigned int i = 0; i < PAGES; i++)
		never += gup(i, false) && gup(i, true);
	if (!tap_ok(!never || mapped <= PAGES - never,
		    "%s: get_user_pages() never has %u pages, %llu are mapped", what, never,
		    (unsigned long long)mapped))
		return;
	for (unsigned int i = 0; i < PAGES; i++) {
		int status = writes ? sim_write(&r->sim[0], b, i * MEM_PAGE, MEM_PAGE, 1, NULL) :
				      sim_read(&r->sim[0], b, i * MEM_PAGE, MEM_PAGE, NULL);

		if (status == IOPF_SIM_ST_OK && gup(i, writes))
			got++;
		if (status != IOPF_SIM_ST_OK && !gup(i, writes))
			missed++;
	}
	tap_is(got, 0, "%s: the device gets no refused page", what);
	if (missed)
		tap_diag("%s: it gets %u pages less", what, missed);
}

static void check(struct rig *r, const struct kind *kind, const struct state *state)
{
	struct simbuf b = { anon_at(LEN), RIG_IOVA, LEN };
	const char *why = NULL;
	char what[128];

	snprintf(what, sizeof(what), "%s, %s", kind->name, state->name);
	rig_map(r, &b);
	if (!kind->make())
		why = "there is none here";
	else if (kind->still && state->reach == state_poisoned)
		why = kind->still;
	else
		why = state->reach();
	if (why) {
		tap_skip(why, "%s", what);
	} else {
		strcat(what, ": read");
		compare(r, &b, false, what);
		*strrchr(what, ':') = '\0';
		strcat(what, ": write");
		compare(r, &b, true, what);
	}
	rig_unmap(r, &b);
	mem_unmap(place, ROOM);
	if (fd >= 0)
		close(fd);
	fd = -1;
	must_be(mmap(place, ROOM, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
		place);
}

int main(void)
{
	unsigned int i, j;
	struct rig r;

	rig_backend_only();
	rig_load("devices=1", "");
	must_be(!system("insmod /iopf/modules/iopf_pinner.ko"));
	pinner = must_sys(open(PINNER, O_RDWR));
	place = mem_aligned(ROOM, MEM_HUGE);
	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		for (j = 0; j < ARRAY_SIZE(states); j++)
			check(&r, &kinds[i], &states[j]);
	if (access("/dev/kvm", F_OK))
		tap_skip("it needs KVM in the guest", "guest_memfd");
	else
		tap_skip("it can't be mmapped in this kernel", "guest_memfd");
	rig_clean(&r);
	rig_close(&r);
	rig_balanced();
	close(pinner);
	return tap_done();
}
