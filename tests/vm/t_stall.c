// SPDX-License-Identifier: GPL-2.0-only
/*
 * Nobody waits for somebody else's memory. Each access to user space's memory that an ioctl of a
 * container makes, and all that gets pinned, is held for as long as it takes another container to
 * be opened, used and closed, all files to be read, and a device to be unbound and bound again: one
 * at a time, then all that can be held at once. Where unbinding a device of the container would
 * wait, the wait ends.
 *
 * vm: --mem 1024 --module fuse
 */
#include <errno.h>
#include <linux/vfio_iopf.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "stall.h"

/* Nobody waits that long. */
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
		tap_ok(stall_known(cmd), "ioctl %u is held", nr);
	}
}

static void check_each(struct rig *r)
{
	for (unsigned int i = 0; i < stall_count(); i++) {
		stall_prepare(r, i);
		tap_ok(stall_begin(i), "%s: held", stall_name(i));
		tap_ok(stall_others(r, PATIENCE), "%s: nobody waits", stall_name(i));
		tap_is(stall_end(i), stall_want(i), "%s: goes on", stall_name(i));
	}
}

/* All at once, but for reports, of which one is made at a time, and what switches all to pinned. */
static void check_all(struct rig *r)
{
	bool *held = calloc(stall_count(), sizeof(*held)), report = false;
	bool good = true;

	must_be(held);
	for (unsigned int i = 0; i < stall_count(); i++) {
		if (stall_alone(i) || (stall_reports(i) && report))
			continue;
		report |= stall_reports(i);
		held[i] = true;
		stall_prepare(r, i);
	}
	for (unsigned int i = 0; i < stall_count(); i++)
		if (held[i])
			good &= stall_begin(i);
	tap_ok(good, "all at once: held");
	tap_ok(stall_others(r, PATIENCE), "all at once: nobody waits");
	for (unsigned int i = 0; i < stall_count(); i++)
		if (held[i])
			stall_release(i);
	for (unsigned int i = 0; i < stall_count(); i++)
		if (held[i])
			good &= stall_end(i) == stall_want(i);
	tap_ok(good, "all at once: go on");
	free(held);
}

/*
 * What pins for others holds what unbinding a device waits for: it gives up. The owner's device is
 * in use, so that it is unbound when the owner has closed it; one that is about to join, at once.
 */
static void check_unbind(struct rig *r, unsigned int i, unsigned int device)
{
	const char *name = stall_name(i);

	stall_prepare(r, i);
	tap_ok(stall_begin(i), "%s: held", name);
	stall_unbind();
	tap_ok(stall_over(i, PATIENCE), "%s: ends when device %u is being unbound", name, device);
	if (device)
		tap_ok(stall_unbound(PATIENCE), "%s: it is unbound meanwhile", name);
	tap_ok(stall_others(r, PATIENCE), "%s: nobody waits", name);
	tap_is(stall_end(i), -ENODEV, "%s: has failed", name);
}

/* Of the owner: its end is that of the rig. */
static void check_unbind_owner(struct rig *r)
{
	for (unsigned int i = 0; i < stall_count(); i++) {
		if (!stall_alone(i))
			continue;
		/* Before the device is open, for it would be the child's, too. */
		stall_unbind_prepare(rig_bdf(0));
		stall_open(r);
		check_unbind(r, i, 0);
		stall_close(r);
		tap_ok(stall_unbound(PATIENCE), "%s: unbound when it is closed", stall_name(i));
		must(rig_bind(rig_bdf(0)));
	}
}

static void check_unbind_joiner(struct rig *r)
{
	for (unsigned int i = 0; i < stall_count(); i++) {
		if (!stall_joins(i))
			continue;
		stall_unbind_prepare(rig_bdf(3));
		check_unbind(r, i, 3);
		must(rig_bind(rig_bdf(3)));
	}
}

int main(void)
{
	struct rig r;

	rig_backend_only();
	rig_load("devices=4", "");
	stall_open(&r);
	check_known(&r);
	tap_ok(stall_others(&r, PATIENCE), "nothing is held: nobody waits");
	check_each(&r);
	check_all(&r);
	check_unbind_joiner(&r);
	stall_close(&r);
	check_unbind_owner(&r);
	rig_balanced();
	return tap_done();
}
