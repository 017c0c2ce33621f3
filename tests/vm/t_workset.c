// SPDX-License-Identifier: GPL-2.0-only
/*
 * Working sets: a process exports the working set of its devices, and exits; another process
 * imports it, and the devices find the memory mapped, the hottest first. Malformed working sets are
 * rejected or do no harm.
 *
 * vm: --mem 1024
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "prefault.h"
#include "rig.h"
#include "uffd.h"

#define BLOCKS	6
#define LEN	(BLOCKS * MEM_HUGE)
#define PAGES	(LEN / MEM_PAGE)
#define HEADER	16
/* Offsets: the second half of a block, and some pages of another block. */
#define HALF	2
#define SPARSE	3

/* Shared memory, by which a process hands its working set to the next. */
struct legacy {
	size_t size;
	size_t pages;
	uint8_t set[4096];
};

static uint64_t faults(void)
{
	return iopf_count(rig_bdf(0), "faults");
}

static void touch(struct rig *r, const struct simbuf *b, size_t page)
{
	must_be(sim_write(&r->sim[0], b, page * MEM_PAGE, 8, 1, NULL) == IOPF_SIM_ST_OK);
}

static void touch_all(struct rig *r, const struct simbuf *b, size_t first, size_t n, size_t step)
{
	struct iopf_sim_cmd cmd = sim_cmd(IOPF_SIM_OP_WRITE, b, first * MEM_PAGE, n * MEM_PAGE, 1);

	sim_cmd_order(&cmd, IOPF_SIM_ORDER_STRIDED, 8, step * MEM_PAGE, 0);
	must_be(sim_run(&r->sim[0], &cmd, NULL) == IOPF_SIM_ST_OK);
}

/* The usual load: a part of the memory, some of it repeatedly. */
static void use(struct rig *r, const struct simbuf *b)
{
	size_t page;

	touch_all(r, b, 0, 512, 1);
	touch_all(r, b, 512, 512, 1);
	touch_all(r, b, HALF * 512 + 256, 256, 1);
	touch_all(r, b, 5 * 512, 512, 1);
	/* Backwards, at unequal distances: no stream, so nothing between is prefetched. */
	for (page = 24; page--;)
		touch(r, b, SPARSE * 512 + 100 + page * (page + 1) / 2);
}

/* The mapped pages: all that were touched, and those that were prefetched. */
static size_t mapped_pages(void)
{
	return sim_iommu_count("leaves_4k") + 512 * sim_iommu_count("leaves_2m");
}

/* Memory that the host unmaps and the device refaults is hot: block 5 more than block 1. */
static void heat(struct rig *r, const struct simbuf *b)
{
	unsigned int i;

	for (i = 0; i < 5; i++) {
		must_sys(madvise((char *)b->va + 5 * MEM_HUGE, MEM_PAGE, MADV_DONTNEED));
		touch(r, b, 5 * 512);
		if (i >= 3) {
			must_sys(madvise((char *)b->va + MEM_HUGE, MEM_PAGE, MADV_DONTNEED));
			touch(r, b, 512);
		}
	}
}

static void run_child(void (*life)(struct legacy *l, int fd), struct legacy *l, int fd,
		      const char *what)
{
	int status;
	pid_t pid = tap_fork(true);

	if (!pid) {
		life(l, fd);
		_exit(tap_quiet_failures() ? 1 : 0);
	}
	must_sys(waitpid(pid, &status, 0));
	tap_ok(WIFEXITED(status) && !WEXITSTATUS(status), "%s (status 0x%x)", what, status);
}

static struct simbuf memory_of(int fd)
{
	struct simbuf b = { .iova = RIG_IOVA, .len = LEN };

	b.va = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	must_be(b.va != MAP_FAILED);
	return b;
}

static void first_life(struct legacy *l, int fd)
{
	struct simbuf b = memory_of(fd);
	struct rig r;
	uint8_t *set;

	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	rig_map(&r, &b);
	use(&r, &b);
	heat(&r, &b);
	set = workset_get(&r.c, 0, &l->size);
	l->pages = mapped_pages();
	tap_ok(l->pages >= 512 + 512 + 256 + 512 + 24 && l->pages < PAGES - 512, "%zu pages",
	       l->pages);
	must_be(l->size <= sizeof(l->set));
	memcpy(l->set, set, l->size);
	/* A record of two bytes is a whole block without a gap before it. */
	tap_diag("%zu bytes", l->size);
	tap_ok(l->size <= HEADER + 3 * 3 + 7 + 70, "few bytes");
}

static void second_life(struct legacy *l, int fd)
{
	struct simbuf b = memory_of(fd);
	struct vfio_iopf_prefault_status s;
	uint64_t id, before, count;
	int efd = must_sys(eventfd(0, 0));
	struct rig r;
	size_t page;

	/* At first nothing is mapped. */
	mem_punch(fd, 0, LEN);
	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	rig_map(&r, &b);
	must(workset_put(&r.c, l->set, l->size, efd, &id));
	must_sys(read(efd, &count, sizeof(count)));
	must(prefault_query(&r.c, id, &s));
	tap_diag("state %u, %llu pages, %llu mapped, %llu missed, %llu present", s.state,
		 (unsigned long long)s.pages, (unsigned long long)s.mapped,
		 (unsigned long long)s.failed, (unsigned long long)s.already_mapped);
	tap_is(s.state, VFIO_IOPF_PREFAULT_STATE_DONE, "done");
	tap_is(s.pages, l->pages, "the pages that were used");
	tap_ok(s.mapped + s.already_mapped == s.pages && !s.failed, "all of them");
	/* Shared memory: a fault of the CPU may map further pages of the file. */
	tap_is(mem_incore(b.va, LEN), l->pages, "those are populated, and no others");
	before = faults();
	use(&r, &b);
	tap_is(faults() - before, 0, "the device goes without a fault");
	/* Elsewhere the device faults as usual. */
	touch(&r, &b, 4 * 512);
	tap_is(faults() - before, 1, "but elsewhere");
	for (page = 0; page < PAGES; page += 512)
		touch(&r, &b, page);
	rig_both_ways(&r.sim[0], &b, 3, "after that");
	rig_end(&r);
}

/* The blocks in the order of their requests. Each gets its pages at once. */
static void third_life(struct legacy *l, int fd)
{
	/* Block 5 was refaulted five times, block 1 twice; the others follow by address. */
	static const unsigned int order[] = { 5, 1, 0, HALF, SPARSE };
	struct simbuf b = { mem_anon(LEN), RIG_IOVA, LEN };
	struct vfio_iopf_prefault_status s = { };
	unsigned int asked = 0, spins = 0;
	struct uffd_msg msg;
	struct rig r;
	uint64_t id;
	int uffd;

	(void)fd;
	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	rig_map(&r, &b);
	uffd = uffd_missing(b.va, b.len);
	must(workset_put(&r.c, l->set, l->size, -1, &id));
	while (s.state < VFIO_IOPF_PREFAULT_STATE_DONE) {
		struct uffdio_zeropage zero = { };
		unsigned int block;

		if (read(uffd, &msg, sizeof(msg)) == sizeof(msg)) {
			block = (msg.arg.pagefault.address - (uintptr_t)b.va) / MEM_HUGE;
			if (asked < ARRAY_SIZE(order))
				tap_is(block, order[asked], "the hottest first");
			asked++;
			zero.range.start = (uintptr_t)b.va + block * MEM_HUGE;
			zero.range.len = MEM_HUGE;
			must_sys(ioctl(uffd, UFFDIO_ZEROPAGE, &zero));
		}
		must_be(spins < 60000);
		sim_nap(&spins);
		must(prefault_query(&r.c, id, &s));
	}
	tap_is(asked, ARRAY_SIZE(order), "each block was asked for once");
	tap_ok(s.mapped == l->pages && !s.failed, "and is there");
	close(uffd);
	rig_close(&r);
}

/* The heat of each block, from a working set of adjacent whole blocks. */
static void heats(struct rig *r, uint32_t flags, unsigned int *heat, unsigned int blocks)
{
	size_t size, at = HEADER;
	uint8_t *set = workset_get(&r->c, flags, &size);
	unsigned int i;

	for (i = 0; i < blocks; i++) {
		must_be(at + 2 <= size && !(set[at] & 0x30));
		heat[i] = set[at++] & 15;
		/* The number of blocks in the gap. */
		while (set[at++] & 0x80)
			must_be(at < size);
	}
	must_be(at == size);
	free(set);
}

static void check_heat(struct rig *r)
{
	struct simbuf b = { mem_anon(LEN), RIG_IOVA, LEN };
	unsigned int heat[BLOCKS], i;

	memset(b.va, 1, LEN);
	rig_map(r, &b);
	touch_all(r, &b, 0, PAGES, 1);
	for (i = 0; i < 20; i++) {
		mem_drop(b.va, MEM_PAGE);
		touch(r, &b, 0);
		if (i < 3) {
			mem_drop((char *)b.va + MEM_HUGE, 5 * MEM_PAGE);
			touch_all(r, &b, 512, 5, 1);
		}
	}
	heats(r, 0, heat, BLOCKS);
	tap_ok(heat[0] == 15 && heat[1] == 3 && !heat[2], "heat: %u, %u, %u", heat[0], heat[1],
	       heat[2]);
	heats(r, VFIO_IOPF_WORKING_SET_AGE, heat, BLOCKS);
	tap_ok(heat[0] == 15 && heat[1] == 3, "asking changes nothing");
	heats(r, 0, heat, BLOCKS);
	tap_ok(heat[0] == 7 && heat[1] == 1 && !heat[2], "but when it is asked to: %u, %u", heat[0],
	       heat[1]);
	rig_unmap(r, &b);
	mem_unmap(b.va, LEN);
}

static int get(struct rig *r, void *data, uint64_t *size, uint32_t flags, uint32_t argsz)
{
	struct vfio_iopf_working_set set = {
		.argsz = argsz, .flags = flags, .data = (uintptr_t)data, .size = *size,
	};
	int err = vfio_ioctl(&r->c, VFIO_IOPF_WORKING_SET_SAVE, &set);

	*size = set.size;
	return err;
}

static void check_get(struct rig *r)
{
	struct simbuf b = { mem_anon(LEN), RIG_IOVA, LEN };
	struct simbuf half = { b.va, RIG_IOVA + LEN, MEM_HUGE / 2 };
	struct simbuf rest = { (char *)b.va + MEM_HUGE, half.iova + half.len, MEM_HUGE / 2 };
	const uint32_t argsz = sizeof(struct vfio_iopf_working_set);
	uint8_t data[256], again[256];
	uint64_t size = 0, need, i;

	tap_errno_is(get(r, NULL, &size, 0, argsz), -ENOSPC, "nothing is used, and no room");
	tap_is(size, HEADER, "it needs a header");
	tap_errno_is(get(r, data, &size, 0, argsz), 0, "with room for that");
	rig_map(r, &b);
	size = sizeof(data);
	must(get(r, data, &size, 0, argsz));
	tap_is(size, HEADER, "mapped is not used");
	use(r, &b);
	need = 0;
	tap_errno_is(get(r, NULL, &need, 0, argsz), -ENOSPC, "no room");
	for (i = 0; i < need; i++) {
		memset(again, 0xa5, sizeof(again));
		size = i;
		if (get(r, again, &size, 0, argsz) != -ENOSPC || size != need)
			break;
		while (size < sizeof(again) && again[size] == 0xa5)
			size++;
		if (size != sizeof(again))
			break;
	}
	tap_is(i, need, "less room than it takes: none of it is overrun");
	size = sizeof(data);
	must(get(r, data, &size, 0, argsz));
	tap_is(size, need, "it has the announced size");
	tap_errno_is(get(r, data, &size, 2, argsz), -EINVAL, "a flag that is none");
	tap_errno_is(get(r, data, &size, 0, argsz - 1), -EINVAL, "argsz");
	tap_errno_is(get(r, (void *)8, &size, 0, argsz), -EFAULT, "a buffer nowhere");
	rig_unmap(r, &b);
	/* Two areas, each with half of a block. */
	rig_map(r, &half);
	rig_map(r, &rest);
	touch_all(r, &half, 0, 256, 1);
	touch_all(r, &rest, 0, 256, 1);
	size = sizeof(data);
	must(get(r, data, &size, 0, argsz));
	tap_ok(data[8] == 1 && !(data[HEADER] & 0x30), "halves of two areas make one block");
	rig_unmap(r, &half);
	rig_unmap(r, &rest);
	mem_unmap(b.va, LEN);
}

/* Less memory is mapped now, or it is read-only. */
static void check_less(struct rig *r, const struct legacy *l)
{
	struct simbuf b = { mem_anon(LEN), RIG_IOVA, MEM_HUGE + 100 * MEM_PAGE };
	struct simbuf ro = { (char *)b.va + 5 * MEM_HUGE, RIG_IOVA + 5 * MEM_HUGE, MEM_HUGE };
	struct vfio_iopf_prefault_status s;
	uint64_t id, before;

	rig_map(r, &b);
	must(vfio_map_flags(&r->c, ro.va, ro.iova, ro.len, VFIO_DMA_MAP_FLAG_READ));
	must(workset_put(&r->c, l->set, l->size, -1, &id));
	prefault_wait(&r->c, id, &s);
	tap_is(s.state, VFIO_IOPF_PREFAULT_STATE_DONE, "less is mapped now");
	tap_is(s.mapped, 512 + 100 + 512, "mapped memory is ready");
	tap_is(s.failed, l->pages - s.mapped, "unmapped memory is counted");
	before = faults();
	must_be(sim_read(&r->sim[0], &ro, 0, ro.len, NULL) == IOPF_SIM_ST_OK);
	tap_is(faults() - before, 0, "read-only memory can be read");
	rig_unmap(r, &b);
	must(vfio_unmap(&r->c, ro.iova, ro.len));
	mem_unmap(b.va, LEN);
}

static int put(struct rig *r, const void *data, size_t size)
{
	struct vfio_iopf_prefault_status s;
	unsigned int spins = 0;
	uint64_t id;
	int err;

	/* A cancelled request may need some time to end. */
	while ((err = workset_put(&r->c, data, size, -1, &id)) == -EBUSY && spins < 60000)
		sim_nap(&spins);
	if (!err)
		must(prefault_cancel(&r->c, id, &s));
	return err;
}

/* Change one to four bytes at random. */
static void damage(uint8_t *set, size_t size)
{
	unsigned int k;

	for (k = 1 + (unsigned int)rand() % 4; k; k--) {
		/* Mostly behind the header, because a broken header hides other errors. */
		size_t at = rand() % 8 ? HEADER + (size_t)rand() % (size - HEADER)
				       : (size_t)rand() % size;

		if (rand() % 2)
			set[at] = (uint8_t)rand();
		else
			set[at] ^= 1u << rand() % 8;
	}
}

static void check_bad(struct rig *r, const struct legacy *l)
{
	struct simbuf b = { mem_anon(LEN), RIG_IOVA, LEN };
	struct vfio_iopf_working_set_restore p = {
		.argsz = sizeof(p), .data = (uintptr_t)l->set, .size = l->size,
	};
	unsigned int good = 0, bad = 0, other = 0, i;
	uint8_t set[sizeof(l->set)];
	size_t size;

	rig_map(r, &b);
	memcpy(set, l->set, l->size);
	tap_errno_is(put(r, set, l->size), 0, "a good one");
	for (size = 0; size < l->size; size++)
		other += put(r, set, size) != -EINVAL;
	tap_is(other, 0, "cut anywhere it is none");
	tap_errno_is(put(r, set, l->size + 1), -EINVAL, "one byte more is refused");
	tap_errno_is(put(r, set, VFIO_IOPF_WORKING_SET_MAX + 1ul), -E2BIG, "too large");
	tap_errno_is(put(r, set, ~0ul), -E2BIG, "much too large");
	tap_errno_is(put(r, (void *)8, l->size), -EFAULT, "nowhere");
	p.reserved = 1;
	tap_errno_is(vfio_ioctl(&r->c, VFIO_IOPF_WORKING_SET_RESTORE, &p), -EINVAL,
		     "something reserved");
	p.reserved = 0;
	vfio_head_refused(&r->c, VFIO_IOPF_WORKING_SET_RESTORE, &p, 2, "");
	p.flags = VFIO_IOPF_WORKING_SET_EVENTFD;
	p.eventfd = -1;
	tap_errno_is(vfio_ioctl(&r->c, VFIO_IOPF_WORKING_SET_RESTORE, &p), -EBADF,
		     "no such file");

	other = 0;
	for (i = 0; i < 5000; i++) {
		memcpy(set, l->set, l->size);
		size = l->size;
		damage(set, size);
		switch (put(r, set, size)) {
		case 0:
			good++;
			break;
		case -EINVAL:
			bad++;
			break;
		default:
			other++;
			tap_diag("input %u: neither", i);
		}
	}
	tap_ok(good && bad && !other, "damaged at random: refused, or another one (%u, %u, %u)",
	       bad, good, other);
	tap_is(prefault_knob("prefault_requests"), 0, "nothing is under way");
	rig_both_ways(&r->sim[0], &b, 9, "after that");
	rig_unmap(r, &b);
	mem_unmap(b.va, LEN);
}

int main(void)
{
	struct legacy *l = mem_shared_anon(sizeof(*l));
	struct simbuf b;
	struct rig r;
	int fd;

	rig_backend_only();
	srand(1);
	rig_load("devices=1", "");
	b = (struct simbuf){ mem_memfd(LEN, &fd), RIG_IOVA, LEN };
	run_child(first_life, l, fd, "a process leaves a working set of few bytes");
	must_be(l->size > HEADER);
	tap_diag("%zu bytes for %zu pages", l->size, l->pages);
	run_child(second_life, l, fd, "the next one has it ready, without a fault");
	run_child(third_life, l, fd, "the hottest first");
	mem_unmap(b.va, LEN);
	close(fd);

	rig_balanced_soon();
	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	check_get(&r);
	check_heat(&r);
	check_less(&r, l);
	check_bad(&r, l);
	rig_end(&r);
	return tap_done();
}
