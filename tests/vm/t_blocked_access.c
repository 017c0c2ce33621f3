// SPDX-License-Identifier: GPL-2.0-only
/*
 * An access to user space's memory blocks, and nobody else waits for it. The ioctls of a container
 * access such memory, and pin it. The test blocks each access, first one at a time, then as many as
 * possible at once. Meanwhile another process opens, uses and closes another container, reads all
 * files of the backend, and unbinds and binds a device. Where the unbinding of a device of the
 * container would wait for the access, the access ends.
 *
 * vm: --mem 1024 --module fuse
 */
#include <errno.h>
#include <linux/vfio_iopf.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "blocked.h"

/* A longer wait is a failure, in seconds. */
#define PATIENCE	120

/* An ioctl that is new has to be held, too. */
static void check_known(struct rig *r)
{
	for (unsigned int nr = 0; nr < 256; nr++) {
		unsigned long cmd = _IO(VFIO_TYPE, nr);

		/* The core's. */
		if (cmd == VFIO_GET_API_VERSION || cmd == VFIO_CHECK_EXTENSION ||
		    cmd == VFIO_SET_IOMMU)
			continue;
		if (ioctl(r->c.fd, cmd, NULL) && errno == ENOTTY)
			continue;
		tap_ok(blocked_known(cmd), "ioctl %u is held", nr);
	}
}

static void check_each(struct rig *r)
{
	for (unsigned int i = 0; i < blocked_count(); i++) {
		blocked_prepare(r, i);
		tap_ok(blocked_begin(i), "%s: held", blocked_name(i));
		tap_ok(blocked_others(r, PATIENCE), "%s: nobody waits", blocked_name(i));
		tap_is(blocked_end(i), blocked_want(i), "%s: goes on", blocked_name(i));
	}
}

/* All at once, without those that pin all memory. Only one report can be in progress. */
static void check_all(struct rig *r)
{
	bool *held = calloc(blocked_count(), sizeof(*held)), report = false;
	bool good = true;

	must_be(held);
	for (unsigned int i = 0; i < blocked_count(); i++) {
		if (blocked_alone(i) || (blocked_reports(i) && report))
			continue;
		report |= blocked_reports(i);
		held[i] = true;
		blocked_prepare(r, i);
	}
	for (unsigned int i = 0; i < blocked_count(); i++)
		if (held[i])
			good &= blocked_begin(i);
	tap_ok(good, "all at once: held");
	tap_ok(blocked_others(r, PATIENCE), "all at once: nobody waits");
	for (unsigned int i = 0; i < blocked_count(); i++)
		if (held[i])
			blocked_release(i);
	for (unsigned int i = 0; i < blocked_count(); i++)
		if (held[i])
			good &= blocked_end(i) == blocked_want(i);
	tap_ok(good, "all at once: go on");
	free(held);
}

/*
 * What pins for others holds what unbinding a device waits for: it gives up. The owner's device is
 * in use, so that it is unbound when the owner has closed it; one that is about to join, at once.
 */
static void check_unbind(struct rig *r, unsigned int i, unsigned int device)
{
	const char *name = blocked_name(i);

	blocked_prepare(r, i);
	tap_ok(blocked_begin(i), "%s: held", name);
	blocked_unbind();
	tap_ok(blocked_over(i, PATIENCE), "%s: ends when device %u is being unbound", name, device);
	if (device)
		tap_ok(blocked_unbound(PATIENCE), "%s: it is unbound meanwhile", name);
	tap_ok(blocked_others(r, PATIENCE), "%s: nobody waits", name);
	tap_is(blocked_end(i), -ENODEV, "%s: has failed", name);
}

/* It belongs to the owner. rig_close() closes it. */
static void check_unbind_owner(struct rig *r)
{
	for (unsigned int i = 0; i < blocked_count(); i++) {
		if (!blocked_alone(i))
			continue;
		/* Before the device is open, for it would be the child's, too. */
		blocked_unbind_prepare(rig_bdf(0));
		blocked_open(r);
		check_unbind(r, i, 0);
		blocked_close(r);
		tap_ok(blocked_unbound(PATIENCE), "%s: unbound when it is closed", blocked_name(i));
		must(rig_bind(rig_bdf(0)));
	}
}

static void check_unbind_joiner(struct rig *r)
{
	for (unsigned int i = 0; i < blocked_count(); i++) {
		if (!blocked_joins(i))
			continue;
		blocked_unbind_prepare(rig_bdf(3));
		check_unbind(r, i, 3);
		must(rig_bind(rig_bdf(3)));
	}
}

int main(void)
{
	struct rig r;

	rig_backend_only();
	rig_load("devices=4", "");
	blocked_open(&r);
	check_known(&r);
	tap_ok(blocked_others(&r, PATIENCE), "nothing is held: nobody waits");
	check_each(&r);
	check_all(&r);
	check_unbind_joiner(&r);
	blocked_close(&r);
	check_unbind_owner(&r);
	rig_balanced();
	return tap_done();
}
