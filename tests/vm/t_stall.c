// SPDX-License-Identifier: GPL-2.0-only
/*
 * Nobody waits for somebody else's memory. Each access to user space's memory that an ioctl of a
 * container makes, and all that gets pinned, is held for as long as it takes another container to
 * be opened, used and closed, all files to be read, and a device to be unbound and bound again: one
 * at a time, then all that can be held at once.
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
	stall_close(&r);
	rig_balanced();
	return tap_done();
}
