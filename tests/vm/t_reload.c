// SPDX-License-Identifier: GPL-2.0-only
/*
 * vfio_iommu_type1 is loaded after the backend: again, or for the first time. The VFIO core asks
 * the module first that registered last. So the backend has to register again, or report that it
 * is not asked. Containers in use are not affected. Both modules can be unloaded, in either order.
 *
 * vm: --mem 1024
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "dma.h"
#include "rig.h"

#define LEN	(2 * MiB)
#define FRONT	KNOB_IOPF_DIR "/first"
/* Registrations that the backend may have at a time; kmod/iopf/vfio/front.c. */
#define FRONTS	4
#define AGAIN	"vfio_iommu_type1 was loaded after this module; registered again"
#define BEHIND	"vfio_iommu_type1 was loaded after this module and is asked first"

static int unload(const char *module)
{
	return syscall(SYS_delete_module, module, O_NONBLOCK) ? -errno : 0;
}

static void load_type1(void)
{
	must_be(!system("modprobe vfio_iommu_type1 allow_unsafe_interrupts=1"));
}

static void reload_type1(void)
{
	must(unload("vfio_iommu_type1"));
	load_type1();
}

static bool in_front(void)
{
	uint64_t front;

	must(knob_read_try(&front, FRONT));
	return front;
}

static bool says(unsigned int n, const char *by, const char *reason)
{
	const char *text = iopf_text(rig_bdf(n), "backend");
	bool good = !strcmp(text, by);

	text = iopf_text(rig_bdf(n), "reason");
	good &= *reason ? !!strstr(text, reason) : !*text;
	if (!good)
		tap_diag("%s: served by %s: %s", rig_bdf(n), iopf_text(rig_bdf(n), "backend"),
			 iopf_text(rig_bdf(n), "reason"));
	return good;
}

/* Open device @n. The data is right, and it is served by faults or pinned. */
static void opens(struct rig *r, const struct simbuf *b, unsigned int n, bool faults,
		  const char *what)
{
	size_t pinned = mem_status_kb(0, "VmLck");

	memset(r, 0, sizeof(*r));
	must(vfio_container_open(&r->c));
	must(vfio_dev_open(&r->vfio[0], &r->c, rig_bdf(n), VFIO_TYPE1v2_IOMMU));
	must(sim_up(&r->sim[0], &r->vfio[0], NULL));
	r->devices = 1;
	rig_map(r, b);
	tap_is(mem_status_kb(0, "VmLck") - pinned, faults ? 0 : LEN / 1024, "%s: %s", what,
	       faults ? "faults" : "pinned");
	rig_both_ways(&r->sim[0], b, n + 1, what);
}

static void serves(const struct simbuf *b, unsigned int n, bool faults, const char *what)
{
	struct rig r;

	opens(&r, b, n, faults, what);
	rig_close(&r);
}

static void check_idle(const struct simbuf *b)
{
	rig_load("devices=2", "ids=10f5:00:00.0");
	tap_ok(in_front(), "in front after loading");
	for (unsigned int i = 0; i < 2 * FRONTS; i++) {
		kmsg_mark();
		reload_type1();
		tap_ok(in_front() && kmsg_count(AGAIN) == 1, "type1 again: said, and in front");
	}
	tap_ok(says(0, "none", "") && says(1, "none", ""), "devices have nothing to say");
	serves(b, 0, true, "after reloads");
	serves(b, 1, false, "a device that may not fault is left to type1");
}

/* The containers of each registration go on; when all registrations are in use, that is said. */
static void check_in_use(const struct simbuf *b)
{
	struct rig r[FRONTS];
	unsigned int spins = 0;
	struct simbuf own[FRONTS];
	struct dma dma;

	rig_load("devices=6", "");
	for (unsigned int i = 0; i < FRONTS; i++) {
		own[i] = (struct simbuf){ mem_anon(LEN), RIG_IOVA, LEN };
		opens(&r[i], &own[i], i, true, "with others in use");
		if (!i)
			dma_start_both(&dma, &r[0].sim[0], &own[0], 1);
		if (i < FRONTS - 1)
			reload_type1();
	}
	tap_ok(in_front(), "in front, each registration in use");
	kmsg_mark();
	reload_type1();
	tap_ok(!in_front(), "no registration is left: behind");
	tap_is(kmsg_count(BEHIND), 1, "the log says so");
	tap_errno_is(knob_write_try(1, FRONT), -EBUSY, "the way back is not free");
	for (unsigned int i = 0; i < FRONTS; i++)
		tap_ok(says(i, "vfio_iommu_iopf", ""), "device %u is in service as before", i);
	tap_ok(says(4, "vfio_iommu_type1", "shadowed: "),
	       "the reason of an unused device names the module that is asked first");
	serves(b, 4, false, "while behind");
	dma_wait_rounds(&dma, 2);
	tap_is(dma_stop(&dma), 0, "DMA was not disturbed by any of it");
	for (unsigned int i = 1; i < FRONTS; i++)
		rig_both_ways(&r[i].sim[0], &own[i], 10 + i, "a container of before");

	rig_close(&r[1]);
	while (!in_front() && spins < 20000)
		sim_nap(&spins);
	tap_ok(in_front(), "a registration gets free: in front again");
	tap_ok(says(1, "none", "") && says(4, "none", "") && says(5, "none", ""),
	       "unused devices have nothing to say any more");
	serves(b, 5, true, "in front again");
	for (unsigned int i = 0; i < FRONTS; i++) {
		if (i != 1)
			rig_close(&r[i]);
		mem_unmap(own[i].va, LEN);
	}
}

/* The administrator wants no automatism, but the way back. */
static void check_by_hand(const struct simbuf *b)
{
	struct simbuf other = { mem_anon(LEN), RIG_IOVA, LEN };
	struct rig before, behind;

	rig_load("devices=4", "stay_first=0");
	tap_errno_is(knob_write_try(0, FRONT), -EINVAL, "writing 0 is refused");
	tap_errno_is(knob_write_try(1, FRONT), 0, "in front already: nothing to do");
	opens(&before, b, 0, true, "opened before");
	kmsg_mark();
	reload_type1();
	tap_ok(!in_front(), "type1 is in front");
	tap_is(kmsg_count(BEHIND), 1, "the log says so, once");
	tap_ok(says(0, "vfio_iommu_iopf", ""), "a device in use has no reason");
	for (unsigned int i = 1; i < 4; i++)
		tap_ok(says(i, "vfio_iommu_type1", "write 1 to /sys/kernel/vfio_iopf/first"),
		       "the reason of device %u names the module, and the way back", i);
	/* Opened a moment ago it would be somebody else's; see that one released says so, too. */
	opens(&behind, &other, 1, false, "opened while behind");
	rig_close(&before);
	tap_ok(says(0, "vfio_iommu_type1", "shadowed: "), "a released device says so, too");
	must(mem_write_file("/sys/bus/pci/devices/10f5:00:03.0/remove", "1"));
	must(mem_write_file("/sys/bus/pci/rescan", "1"));
	must(rig_bind(rig_bdf(3)));
	tap_ok(says(3, "vfio_iommu_type1", "shadowed: "), "a new device says so, too");

	tap_errno_is(knob_write_try(1, FRONT), 0, "the way back");
	tap_ok(in_front(), "in front");
	tap_ok(says(0, "none", "") && says(2, "none", "") && says(3, "none", ""),
	       "unused devices have nothing to say any more");
	tap_ok(says(1, "vfio_iommu_type1", "opened_before: its container was opened"),
	       "one that is in use says that it has to be opened anew");
	serves(b, 2, true, "back in front");
	rig_both_ways(&behind.sim[0], &other, 7, "type1's container goes on");
	rig_close(&behind);
	serves(b, 1, true, "opened anew");
	mem_unmap(other.va, LEN);

	/* When type1 goes, nobody is asked before. */
	reload_type1();
	tap_ok(!in_front(), "behind once more");
	kmsg_mark();
	must(unload("vfio_iommu_type1"));
	tap_ok(in_front() && says(0, "none", "") && kmsg_count("vfio_iommu_type1 is gone"),
	       "type1 is unloaded: in front");
	serves(b, 0, true, "without type1");
	load_type1();
	tap_ok(!in_front(), "type1 is loaded: behind");
	tap_errno_is(unload("vfio_iommu_iopf"), 0, "unloads while behind");
}

static void check_orders(const struct simbuf *b)
{
	struct rig r;

	/* Loaded before type1, which modprobe would not do. */
	must(rig_unload());
	must(unload("vfio_iommu_type1"));
	must_be(!system("insmod /iopf/modules/vfio_iommu_iopf.ko ids=all"));
	kmsg_mark();
	load_type1();
	tap_ok(in_front() && kmsg_count(AGAIN) == 1, "loaded before type1: in front all the same");
	tap_errno_is(unload("vfio_iommu_iopf"), 0, "unloads");

	/* Type1 first, with a container of a registration that was replaced. */
	rig_load("devices=1", "");
	opens(&r, b, 0, true, "used");
	reload_type1();
	must(unload("vfio_iommu_type1"));
	tap_errno_is(unload("vfio_iommu_iopf"), -EAGAIN, "busy with a replaced registration");
	rig_both_ways(&r.sim[0], b, 5, "type1 gone");
	rig_close(&r);
	rig_balanced();
	tap_errno_is(rig_unload_soon(), 0, "unloads after its last container");
	load_type1();
	must(rig_unload());
	/* And the other order: the backend, then type1. */
	rig_load("devices=1", "");
	reload_type1();
	tap_errno_is(rig_unload(), 0, "unloads, type1 in place");
	tap_errno_is(unload("vfio_iommu_type1"), 0, "then type1");
	load_type1();
}

static bool come_and_go_stop;

/* Containers are opened and closed. Either backend may serve them. */
static void *come_and_go(void *count)
{
	struct vfio_container c;
	struct vfio_dev d;
	int err;

	while (!__atomic_load_n(&come_and_go_stop, __ATOMIC_RELAXED)) {
		must(vfio_container_open(&c));
		err = vfio_dev_attach(&d, &c, rig_bdf(0), VFIO_TYPE1v2_IOMMU);
		/* Modprobe has been forked with the group open, and not begun yet. */
		must(err == -EBUSY ? 0 : err);
		if (!err)
			vfio_dev_close(&d);
		vfio_container_close(&c);
		if (!err)
			__atomic_add_fetch((unsigned long *)count, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

/* Registrations are replaced and reaped while containers of theirs begin and end. */
static void check_race(const struct simbuf *b)
{
	unsigned long count = 0, seen;
	unsigned int reloads = 0, spins;
	pthread_t thread;

	rig_load("devices=2", "");
	must_be(!pthread_create(&thread, NULL, come_and_go, &count));
	for (unsigned int i = 0; i < 200 && reloads < 20; i++) {
		/* It may serve a container that was opened just after it was loaded. */
		if (!unload("vfio_iommu_type1")) {
			load_type1();
			reloads++;
		}
		seen = __atomic_load_n(&count, __ATOMIC_RELAXED);
		for (spins = 0; spins < 20000 && __atomic_load_n(&count, __ATOMIC_RELAXED) == seen;)
			sim_nap(&spins);
	}
	__atomic_store_n(&come_and_go_stop, true, __ATOMIC_RELAXED);
	must_be(!pthread_join(thread, NULL));
	tap_is(reloads, 20, "type1 was reloaded while containers came and went");
	for (spins = 0; !in_front() && spins < 20000;)
		sim_nap(&spins);
	tap_ok(in_front(), "in front in the end");
	serves(b, 0, true, "after all that");
	tap_errno_is(rig_unload_soon(), 0, "unloads");
}

int main(void)
{
	struct simbuf b = { mem_anon(LEN), RIG_IOVA, LEN };

	rig_backend_only();
	check_idle(&b);
	check_in_use(&b);
	check_by_hand(&b);
	check_orders(&b);
	check_race(&b);
	return tap_done();
}
