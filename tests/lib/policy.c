// SPDX-License-Identifier: GPL-2.0-only
/*
 * Policies: see policy.h.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/ioctl.h>

#include "knob.h"
#include "mem.h"
#include "policy.h"
#include "tap.h"

int policy_set(struct vfio_container *c, uint64_t iova, uint64_t size, uint32_t policy)
{
	struct vfio_iopf_policy p = {
		.argsz = sizeof(p),
		.iova = iova,
		.size = size,
		.policy = policy,
	};

	return vfio_ioctl(c, VFIO_IOPF_POLICY, &p);
}

int policy_get(struct vfio_container *c, uint64_t iova, struct vfio_iopf_policy *p)
{
	*p = (struct vfio_iopf_policy){
		.argsz = sizeof(*p),
		.flags = VFIO_IOPF_POLICY_GET,
		.iova = iova,
	};
	return vfio_ioctl(c, VFIO_IOPF_POLICY, p);
}

int policy_map(struct vfio_container *c, const struct simbuf *b, uint32_t policy)
{
	struct vfio_iopf_map_dma map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uintptr_t)b->va,
		.iova = b->iova,
		.size = b->len,
		.policy = policy,
	};

	return vfio_ioctl(c, VFIO_IOPF_MAP_DMA, &map);
}

int policy_default(const char *bdf, const char *policy)
{
	char path[128];

	snprintf(path, sizeof(path), KNOB_IOPF_DIR "/containers/%llu/policy",
		 (unsigned long long)iopf_count(bdf, "container"));
	return mem_write_file(path, "%s", policy);
}

int policy_device(const char *bdf, const char *policy)
{
	char path[128];

	snprintf(path, sizeof(path), KNOB_IOPF_DIR "/devices/%s/policy", bdf);
	return mem_write_file(path, "%s", policy);
}

uint64_t policy_count(const char *bdf, const char *name)
{
	uint64_t value;

	must(knob_read_try(&value, KNOB_IOPF_DIR "/containers/%llu/%s",
			   (unsigned long long)iopf_count(bdf, "container"), name));
	return value;
}

int policy_lock(struct vfio_container *c, uint64_t iova, uint64_t size, uint32_t flags,
		uint64_t *id)
{
	struct vfio_iopf_lock lock = {
		.argsz = sizeof(lock),
		.flags = flags,
		.iova = iova,
		.size = size,
	};

	if (ioctl(c->fd, VFIO_IOPF_LOCK, &lock))
		return -errno;
	if (id)
		*id = lock.id;
	return 0;
}

int policy_unlock(struct vfio_container *c, uint64_t id, uint32_t flags)
{
	struct vfio_iopf_unlock unlock = {
		.argsz = sizeof(unlock),
		.flags = flags,
		.id = id,
	};

	return vfio_ioctl(c, VFIO_IOPF_UNLOCK, &unlock);
}

int policy_mode(const char *bdf, const char *mode)
{
	char path[128];

	snprintf(path, sizeof(path), KNOB_IOPF_DIR "/devices/%s/mode", bdf);
	return mem_write_file(path, "%s", mode);
}

int policy_table(const char *text)
{
	return mem_write_file(KNOB_IOPF_DIR "/device_table", "%s", text);
}

size_t policy_locked_kb(void)
{
	return mem_status_kb(0, "VmLck");
}

bool policy_charged_is(size_t bytes, const char *what)
{
	unsigned int spins = 0;

	/* If the address space is in use, the module uncharges it a moment later: charge.c. */
	while (policy_locked_kb() > bytes / 1024 && spins < 2000)
		sim_nap(&spins);
	return tap_is(policy_locked_kb(), bytes / 1024, "%s: KiB charged", what);
}

bool policy_pinned_is(const char *bdf, size_t bytes, const char *what)
{
	uint64_t pinned = policy_count(bdf, "pinned");
	size_t charged = policy_locked_kb() * 1024;

	return tap_ok(charged == bytes && pinned == bytes,
		      "%s: %zu KiB are pinned and charged (%zu charged, %llu pinned)", what,
		      bytes / 1024, charged / 1024, (unsigned long long)pinned / 1024);
}
