// SPDX-License-Identifier: GPL-2.0-only
/*
 * Policies of ranges: which memory becomes resident and pinned, and which can be dropped, for each
 * policy and each change of policy, while a device uses the memory. Further: parts of a mapping,
 * ranges over several mappings, defaults of containers and devices, charges; a failed change has no
 * effect.
 *
 * vm: --mem 1024
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dirty.h"
#include "dma.h"
#include "policy.h"
#include "rig.h"

#define LEN	(8 * MiB)
#define KiB	1024ul

#define DEFAULT		VFIO_IOPF_POLICY_DEFAULT
#define FAULT		VFIO_IOPF_POLICY_FAULT
#define PREFAULT	VFIO_IOPF_POLICY_PREFAULT
#define PIN		VFIO_IOPF_POLICY_PIN

static const char * const name[] = { "default", "fault", "prefault", "pin" };

static void pinned_is(struct rig *r, size_t bytes, const char *what)
{
	policy_pinned_is(r->vfio[0].bdf, bytes, what);
}

static void policy_is(struct rig *r, uint64_t iova, uint32_t own, uint32_t effective,
		      uint64_t size, const char *what)
{
	struct vfio_iopf_policy p;

	must(policy_get(&r->c, iova, &p));
	tap_ok(p.policy == own && p.effective == effective && p.size == size,
	       "%s: at 0x%llx it is %s (%s), for 0x%llx bytes", what, (unsigned long long)iova,
	       name[p.policy], name[p.effective], (unsigned long long)p.size);
}

/* Check data both ways, and drop the pages that can be dropped. */
static void works(struct rig *r, const struct simbuf *b, uint64_t seed, const char *what)
{
	rig_both_ways(&r->sim[0], b, seed, what);
}

/* Wait for all prefault requests. */
static void prefaulted(struct rig *r)
{
	unsigned int spins = 0;

	while (policy_count(r->vfio[0].bdf, "prefault_requests"))
		sim_nap(&spins);
}

/* Set each policy on unpopulated memory, then let the host drop it. */
static void check_each(struct rig *r, const struct simbuf *b)
{
	uint64_t requests;

	must(policy_set(&r->c, b->iova, LEN, FAULT));
	tap_is(mem_resident(b->va, LEN), 0, "fault: nothing is there before it is used");
	pinned_is(r, 0, "fault");
	policy_is(r, b->iova, FAULT, FAULT, LEN, "fault");

	must(policy_set(&r->c, b->iova, LEN, PREFAULT));
	prefaulted(r);
	tap_is(mem_resident(b->va, LEN), LEN / MEM_PAGE, "prefault: all of it is there soon");
	pinned_is(r, 0, "prefault");
	requests = sim_count(r->vfio[0].bdf, "requests");
	works(r, b, 1, "prefault");
	tap_is(sim_count(r->vfio[0].bdf, "requests"), requests, "prefault: nothing is faulted");
	mem_drop(b->va, LEN);
	tap_is(mem_resident(b->va, LEN), 0, "prefault: it can go again");

	must(policy_set(&r->c, b->iova, LEN, PIN));
	tap_is(mem_resident(b->va, LEN), LEN / MEM_PAGE, "pin: all of it is there at once");
	pinned_is(r, LEN, "pin");
	requests = sim_count(r->vfio[0].bdf, "requests");
	works(r, b, 3, "pin");
	tap_is(sim_count(r->vfio[0].bdf, "requests"), requests, "pin: nothing is faulted");

	must(policy_set(&r->c, b->iova, LEN, DEFAULT));
	pinned_is(r, 0, "default");
	policy_is(r, b->iova, DEFAULT, FAULT, LEN, "default");
	mem_drop(b->va, LEN);
	tap_is(mem_resident(b->va, LEN), 0, "default: it can go again");
	works(r, b, 5, "default");
}

/* Parts of a range, several ranges, rounding to pages. */
static void check_parts(struct rig *r, const struct simbuf *b)
{
	struct simbuf more = { mem_anon(LEN), b->iova + LEN, LEN };
	uint64_t requests;

	must(policy_set(&r->c, b->iova + MiB, MiB, PIN));
	pinned_is(r, MiB, "a part");
	policy_is(r, b->iova, DEFAULT, FAULT, MiB, "before it");
	policy_is(r, b->iova + MiB + 5, PIN, PIN, MiB, "in it");
	policy_is(r, b->iova + 2 * MiB, DEFAULT, FAULT, LEN - 2 * MiB, "after it");
	must(policy_set(&r->c, b->iova + MiB + 3 * MEM_PAGE + 7, 2, FAULT));
	pinned_is(r, MiB - MEM_PAGE, "a page of it not");
	policy_is(r, b->iova + MiB, PIN, PIN, 3 * MEM_PAGE, "up to it");
	policy_is(r, b->iova + MiB + 3 * MEM_PAGE, FAULT, FAULT, MEM_PAGE, "the page");
	works(r, b, 7, "parts");
	mem_drop(b->va, MEM_PAGE);
	requests = sim_count(r->vfio[0].bdf, "requests");
	must_be(sim_touch(&r->sim[0], b, MiB, 3 * MEM_PAGE, NULL) == IOPF_SIM_ST_OK);
	tap_is(sim_count(r->vfio[0].bdf, "requests"), requests, "the part is not faulted");
	must_be(sim_touch(&r->sim[0], b, 0, MEM_PAGE, NULL) == IOPF_SIM_ST_OK);
	tap_ok(sim_count(r->vfio[0].bdf, "requests") > requests, "the rest is");

	rig_map(r, &more);
	must(policy_set(&r->c, b->iova + LEN - MiB, 2 * MiB, PIN));
	pinned_is(r, 3 * MiB - MEM_PAGE, "over two mappings");
	policy_is(r, b->iova + LEN - MiB, PIN, PIN, MiB, "as far as the first mapping");
	policy_is(r, more.iova, PIN, PIN, MiB, "the second mapping");
	works(r, &more, 9, "the second mapping");
	rig_unmap(r, &more);
	pinned_is(r, 2 * MiB - MEM_PAGE, "unmapped again");
	rig_map(r, &more);
	policy_is(r, more.iova, DEFAULT, FAULT, LEN, "mapped anew, the policy is gone");
	pinned_is(r, 2 * MiB - MEM_PAGE, "mapped anew");
	rig_unmap(r, &more);
	mem_unmap(more.va, LEN);
	must(policy_set(&r->c, b->iova, LEN, DEFAULT));
	pinned_is(r, 0, "all of it default");
}

/*
 * A huge page that was pinned as a whole: the IOMMU may map it by a leaf of 2 MiB. Splitting the
 * leaf would unmap its other parts for a moment. So the whole page stays pinned as long as a part
 * of it has to be.
 */
static void check_huge_parts(struct rig *r, const struct simbuf *b)
{
	uint64_t requests, id;

	must(policy_set(&r->c, b->iova, b->len, PIN));
	pinned_is(r, b->len, "pinned as one");
	tap_is(sim_iommu_count("leaves_2m"), 1, "pinned as one: it is a leaf");
	requests = sim_count(r->vfio[0].bdf, "requests");
	must(policy_set(&r->c, b->iova + 10 * MEM_PAGE, 20 * MEM_PAGE, FAULT));
	policy_is(r, b->iova + 10 * MEM_PAGE, FAULT, FAULT, 20 * MEM_PAGE, "a part may fault");
	pinned_is(r, b->len, "a part may fault, but is of the leaf");
	works(r, b, 17, "a part may fault");
	must(policy_lock(&r->c, b->iova + 20 * MEM_PAGE, 20 * MEM_PAGE, 0, &id));
	must(policy_set(&r->c, b->iova, b->len, FAULT));
	pinned_is(r, b->len, "all but a lock may fault");
	works(r, b, 19, "all but a lock may fault");
	tap_is(sim_iommu_count("leaves_2m"), 1, "all but a lock may fault: it is a leaf still");
	tap_is(sim_count(r->vfio[0].bdf, "requests"), requests, "no page did");
	must(policy_unlock(&r->c, id, 0));
	pinned_is(r, 0, "the last part is let go, and the leaf with it");
	must(policy_set(&r->c, b->iova, b->len, DEFAULT));
	works(r, b, 21, "a huge page, let go");
}

/* A part of a huge page is pinned: the rest is mapped by small pages. */
static void check_huge(struct rig *r)
{
	struct simbuf b = { mem_thp(MEM_HUGE), RIG_IOVA + 0x40000000, MEM_HUGE };

	rig_map(r, &b);
	works(r, &b, 11, "a huge page");
	must(policy_set(&r->c, b.iova + 64 * MEM_PAGE, 32 * MEM_PAGE, PIN));
	pinned_is(r, 32 * MEM_PAGE, "a part of a huge page");
	rig_same(&b, 12, "a part of a huge page");
	works(r, &b, 13, "a part of a huge page");
	must(policy_set(&r->c, b.iova, b.len, DEFAULT));
	pinned_is(r, 0, "a huge page again");
	works(r, &b, 15, "a huge page again");
	check_huge_parts(r, &b);
	rig_unmap(r, &b);
	mem_unmap(b.va, b.len);
}

/* Each change of policy, under DMA. */
static void check_under_dma(struct rig *r, const struct simbuf *b)
{
	unsigned int from, to;
	struct dma dma;
	int err = 0;

	simbuf_fill(b, 0, LEN, 20);
	dma_start_both(&dma, &r->sim[0], b, 20);
	for (from = DEFAULT; from <= PIN; from++) {
		for (to = DEFAULT; to <= PIN; to++) {
			size_t pinned = to == PIN ? LEN : 0;

			err = err ?: policy_set(&r->c, b->iova, LEN, from);
			dma_wait_rounds(&dma, 1);
			err = err ?: policy_set(&r->c, b->iova, LEN, to);
			if (policy_locked_kb() * KiB != pinned)
				err = err ?: -ERANGE;
			/* Change a part of the range, and back. */
			err = err ?: policy_set(&r->c, b->iova + MiB / 2, 3 * MiB, from);
			err = err ?: policy_set(&r->c, b->iova + MiB / 2, 3 * MiB, to);
			if (policy_locked_kb() * KiB != pinned)
				err = err ?: -ERANGE;
			prefaulted(r);
		}
	}
	must(policy_set(&r->c, b->iova, LEN, DEFAULT));
	tap_errno_is(err, 0, "each policy to each other under DMA");
	tap_is(dma_stop(&dma), 0, "under DMA: data right");
	dma_describe(&dma);
	pinned_is(r, 0, "after it");
}

/* Defaults of the container and the devices, for existing and new mappings. */
static void check_default(struct rig *r, const struct simbuf *b)
{
	struct simbuf more = { mem_anon(MiB), b->iova + LEN, MiB };
	const char *bdf = r->vfio[0].bdf;
	struct dma dma;
	int i, err = 0;

	must(policy_set(&r->c, b->iova, MiB, FAULT));
	tap_errno_is(policy_default(bdf, "pin"), 0, "pin by default");
	pinned_is(r, LEN - MiB, "by default: all that has no policy of its own");
	policy_is(r, b->iova + MiB, DEFAULT, PIN, LEN - MiB, "by default");
	rig_map(r, &more);
	pinned_is(r, LEN, "by default: a new mapping");
	rig_unmap(r, &more);
	must(policy_map(&r->c, &more, FAULT));
	pinned_is(r, LEN - MiB, "unless it comes with a policy");
	works(r, &more, 31, "a mapping with a policy");
	rig_unmap(r, &more);
	must(policy_set(&r->c, b->iova, MiB, DEFAULT));
	pinned_is(r, LEN, "a range that gives up its policy");

	dma_start_both(&dma, &r->sim[0], b, 32);
	for (i = 0; i < 8; i++) {
		err = err ?: policy_default(bdf, i % 2 ? "pin" : "fault");
		dma_wait_rounds(&dma, i % 2);
	}
	tap_errno_is(err, 0, "to pin and back while the device runs");
	tap_is(dma_stop(&dma), 0, "while it runs: data right");
	must(policy_default(bdf, "fault"));
	pinned_is(r, 0, "fault by default");

	mem_drop(b->va, LEN);
	must(policy_default(bdf, "prefault"));
	prefaulted(r);
	tap_is(mem_resident(b->va, LEN), LEN / MEM_PAGE, "prefault by default: it is there");
	rig_map(r, &more);
	prefaulted(r);
	tap_is(mem_resident(more.va, MiB), MiB / MEM_PAGE, "prefault: a new mapping, too");
	rig_unmap(r, &more);
	pinned_is(r, 0, "prefault by default");

	must(policy_default(bdf, "device"));
	tap_errno_is(policy_device(bdf, "pin"), 0, "the device asks for pin");
	pinned_is(r, LEN, "the device asks for it");
	tap_errno_is(policy_default(bdf, "fault"), 0, "the container's word is stronger");
	pinned_is(r, 0, "the container's word");
	must(policy_default(bdf, "device"));
	tap_errno_is(policy_device(bdf, "default"), 0, "the device asks for nothing");
	pinned_is(r, 0, "the device asks for nothing");
	tap_errno_is(policy_default(bdf, "default"), -EINVAL, "a word that says nothing");
	tap_errno_is(policy_default(bdf, "pinn"), -EINVAL, "no word at all");
	tap_errno_is(policy_device(bdf, "device"), -EINVAL, "not a device's word");
	mem_unmap(more.va, MiB);
}

/* Two devices: the stronger default counts, as long as its device is attached. */
static void check_strongest(void)
{
	struct simbuf b = { mem_anon(MiB), RIG_IOVA, MiB };
	struct vfio_dev second;
	struct rig r;

	must(policy_device(rig_bdf(1), "pin"));
	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	rig_map(&r, &b);
	pinned_is(&r, 0, "one device");
	must(vfio_dev_open(&second, &r.c, rig_bdf(1), VFIO_TYPE1v2_IOMMU));
	pinned_is(&r, MiB, "one that asks for pin has joined");
	works(&r, &b, 41, "one that asks for pin has joined");
	vfio_dev_close(&second);
	pinned_is(&r, 0, "it has left");
	works(&r, &b, 43, "it has left");
	must(policy_device(rig_bdf(1), "default"));
	rig_close(&r);
	mem_unmap(b.va, MiB);
}

/* Memory is pinned by a policy and by a device that may not fault: either can end first. */
static void check_with_pinner(struct rig *r, const struct simbuf *b)
{
	const char *bdf = r->vfio[0].bdf;

	must(policy_set(&r->c, b->iova, MiB, PIN));
	must(iopf_enable(bdf, false));
	pinned_is(r, LEN, "a device that may not fault");
	must(policy_set(&r->c, b->iova, MiB, FAULT));
	pinned_is(r, LEN, "fault: the device still may not");
	must(policy_set(&r->c, b->iova, 2 * MiB, PIN));
	must(iopf_enable(bdf, true));
	pinned_is(r, 2 * MiB, "the device may fault again: policy pin stays");
	works(r, b, 51, "the policy alone");
	must(policy_set(&r->c, b->iova, LEN, DEFAULT));
}

/* Each report contains the pages that are pinned for writing. */
static void check_dirty(struct rig *r, const struct simbuf *b)
{
	struct dirty_map m;
	size_t page, dirty;
	int i;

	must(policy_set(&r->c, b->iova + MiB, MiB, PIN));
	must(dirty_track(&r->c, true));
	must_be(sim_write(&r->sim[0], b, 0, MEM_PAGE, 61, NULL) == IOPF_SIM_ST_OK);
	for (i = 0; i < 2; i++) {
		dirty_map_init(&m, b->iova, LEN);
		must(dirty_get(&r->c, &m));
		for (page = dirty = 0; page < LEN / MEM_PAGE; page++)
			dirty += dirty_page(&m, page) &&
				 page >= MiB / MEM_PAGE && page < 2 * MiB / MEM_PAGE;
		tap_is(dirty, MiB / MEM_PAGE, "report %d: pinned memory is dirty", i + 1);
		tap_is(dirty_page(&m, 0), !i, "report %d: the page that was written", i + 1);
		dirty_map_free(&m);
	}
	must(policy_set(&r->c, b->iova, LEN, DEFAULT));
	dirty_map_init(&m, b->iova, LEN);
	must(dirty_get(&r->c, &m));
	tap_ok(dirty_page(&m, MiB / MEM_PAGE), "unpinned: dirty once more");
	dirty_map_free(&m);
	must(dirty_track(&r->c, false));
}

static void check_bad_input(struct rig *r, const struct simbuf *b)
{
	const struct vfio_iopf_policy good = {
		.argsz = sizeof(good), .iova = b->iova, .size = LEN, .policy = PIN,
	};
	const struct vfio_iopf_map_dma map = {
		.argsz = sizeof(map), .flags = VFIO_DMA_MAP_FLAG_READ,
		.vaddr = (uintptr_t)b->va, .iova = b->iova + 4 * LEN, .size = MiB, .policy = PIN,
	};
	struct vfio_iopf_policy p = good;
	struct vfio_iopf_map_dma m = map;

	tap_is(ioctl(r->c.fd, VFIO_CHECK_EXTENSION, VFIO_IOPF_POLICY_EXT), 1, "the extension");
	vfio_head_refused(&r->c, VFIO_IOPF_POLICY, &good, 2, "");
	p.policy = PIN + 1;
	tap_errno_is(vfio_ioctl(&r->c, VFIO_IOPF_POLICY, &p), -EINVAL, "an unknown policy");
	p = good;
	p.size = 0;
	tap_errno_is(vfio_ioctl(&r->c, VFIO_IOPF_POLICY, &p), -EINVAL, "nothing");
	p = good;
	p.size = -p.iova + 1;
	tap_errno_is(vfio_ioctl(&r->c, VFIO_IOPF_POLICY, &p), -EINVAL, "beyond the end");
	p = good;
	p.size = LEN + 1;
	tap_errno_is(vfio_ioctl(&r->c, VFIO_IOPF_POLICY, &p), -ENOENT, "a page too many");
	p = good;
	p.iova--;
	tap_errno_is(vfio_ioctl(&r->c, VFIO_IOPF_POLICY, &p), -ENOENT, "a page too early");
	tap_errno_is(policy_get(&r->c, b->iova + LEN, &p), -ENOENT, "asked where nothing is");
	tap_errno_is(vfio_ioctl(&r->c, VFIO_IOPF_POLICY, NULL), -EFAULT, "no argument");

	m.argsz--;
	tap_errno_is(vfio_ioctl(&r->c, VFIO_IOPF_MAP_DMA, &m), -EINVAL, "map: argsz too small");
	m = map;
	m.reserved = 1;
	tap_errno_is(vfio_ioctl(&r->c, VFIO_IOPF_MAP_DMA, &m), -EINVAL, "map: reserved");
	m = map;
	m.flags |= VFIO_DMA_MAP_FLAG_VADDR;
	tap_errno_is(vfio_ioctl(&r->c, VFIO_IOPF_MAP_DMA, &m), -EINVAL,
		     "map: a flag that is not for this");
	m = map;
	m.policy = PIN + 1;
	tap_errno_is(vfio_ioctl(&r->c, VFIO_IOPF_MAP_DMA, &m), -EINVAL, "map: an unknown policy");
	m = map;
	m.iova = b->iova;
	tap_errno_is(vfio_ioctl(&r->c, VFIO_IOPF_MAP_DMA, &m), -EEXIST, "map: there already");
	policy_is(r, b->iova, DEFAULT, FAULT, LEN, "after all that");
	pinned_is(r, 0, "after all that");
}

/* Memory that is partly missing: all of it is pinned, or none. */
static void check_hole(struct rig *r)
{
	struct simbuf b = { mem_anon(LEN), RIG_IOVA + 0x40000000, LEN };

	rig_map(r, &b);
	must(policy_set(&r->c, b.iova + 2 * MiB, MiB, PIN));
	must_sys(munmap((char *)b.va + 6 * MiB, MEM_PAGE));
	tap_errno_is(policy_set(&r->c, b.iova, LEN, PIN), -EFAULT, "a page is missing");
	pinned_is(r, MiB, "the pinned part is");
	policy_is(r, b.iova, DEFAULT, FAULT, 2 * MiB, "what was not");
	rig_unmap(r, &b);
	tap_errno_is(policy_map(&r->c, &b, PIN), -EFAULT, "map: a page is missing");
	tap_errno_is(policy_get(&r->c, b.iova, &(struct vfio_iopf_policy){ }), -ENOENT,
		     "map: nothing is left of it");
	pinned_is(r, 0, "map: nothing is left of it");
	munmap(b.va, LEN);
}

/* RLIMIT_MEMLOCK of the user is less than the mapping. */
static void limited(void)
{
	struct simbuf b = { mem_anon(LEN), RIG_IOVA, LEN }, more = { mem_anon(LEN), 0, LEN };
	struct vfio_container c;
	struct vfio_dev d;
	struct simdev s;
	bool good;

	must(vfio_container_open(&c));
	must(vfio_dev_open(&d, &c, rig_bdf(0), VFIO_TYPE1v2_IOMMU));
	must(sim_up(&s, &d, NULL));
	must(vfio_map(&c, b.va, b.iova, LEN));
	good = policy_set(&c, b.iova, MiB, PIN) == 0;
	good &= policy_set(&c, b.iova + MiB, 2 * MiB, PIN) == -ENOMEM;
	good &= policy_locked_kb() == 1024;
	good &= policy_set(&c, b.iova + MiB, MiB, PIN) == 0;
	/* Pinned pages are not charged again. */
	good &= policy_set(&c, b.iova, 2 * MiB, PIN) == 0;
	good &= policy_locked_kb() == 2048;
	good &= policy_map(&c, &more, PIN) == -ENOMEM;
	good &= policy_locked_kb() == 2048;
	good &= policy_set(&c, b.iova + MiB / 2, MiB, FAULT) == 0;
	good &= policy_locked_kb() == 1024;
	good &= sim_write(&s, &b, 0, LEN, 71, NULL) == IOPF_SIM_ST_OK;
	good &= !simbuf_differs(&b, 0, LEN, 71);
	_exit(!good);
}

static void check_limit(void)
{
	int status;
	pid_t pid;

	pid = rig_fork_user(must(vfio_group_id(rig_bdf(0))), 2 * MiB);
	if (!pid)
		limited();
	must_sys(waitpid(pid, &status, 0));
	tap_is((unsigned int)status, 0, "a user with a limit of 2 MiB can pin 2 MiB, and no more");
}

int main(void)
{
	struct simbuf b = { .iova = RIG_IOVA, .len = LEN };
	struct rig r;

	rig_backend_only();
	rig_open_mapped(&r, &b);
	check_each(&r, &b);
	check_parts(&r, &b);
	check_huge(&r);
	check_under_dma(&r, &b);
	check_default(&r, &b);
	check_with_pinner(&r, &b);
	check_dirty(&r, &b);
	check_bad_input(&r, &b);
	check_hole(&r);
	must(policy_set(&r.c, b.iova, MiB, PIN));
	rig_clean(&r);
	rig_close(&r);
	tap_is(policy_locked_kb(), 0, "closing releases everything");
	rig_balanced();
	check_strongest();
	check_limit();
	rig_balanced();
	tap_errno_is(rig_unload_soon(), 0, "the modules can be unloaded");
	return tap_done();
}
