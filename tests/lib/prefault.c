// SPDX-License-Identifier: GPL-2.0-only
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "knob.h"
#include "prefault.h"
#include "tap.h"

int prefault_start(struct vfio_container *c, const struct vfio_iopf_range *ranges, unsigned int nr,
		   uint32_t flags, int eventfd, uint64_t *id)
{
	struct vfio_iopf_prefault prefault = {
		.argsz = sizeof(prefault),
		.flags = flags | (eventfd >= 0 ? VFIO_IOPF_PREFAULT_EVENTFD : 0),
		.eventfd = eventfd,
		.nr_ranges = nr,
		.ranges = (uintptr_t)ranges,
	};

	int err = vfio_ioctl(c, VFIO_IOPF_PREFAULT, &prefault);

	*id = prefault.id;
	return err;
}

static int ask(struct vfio_container *c, unsigned long cmd, uint64_t id,
	       struct vfio_iopf_prefault_status *s)
{
	*s = (struct vfio_iopf_prefault_status){ .argsz = sizeof(*s), .id = id };
	return vfio_ioctl(c, cmd, s);
}

int prefault_query(struct vfio_container *c, uint64_t id, struct vfio_iopf_prefault_status *s)
{
	return ask(c, VFIO_IOPF_PREFAULT_QUERY, id, s);
}

int prefault_cancel(struct vfio_container *c, uint64_t id, struct vfio_iopf_prefault_status *s)
{
	return ask(c, VFIO_IOPF_PREFAULT_CANCEL, id, s);
}

void prefault_wait(struct vfio_container *c, uint64_t id, struct vfio_iopf_prefault_status *s)
{
	unsigned int spins = 0;

	do {
		if (spins > 60000)
			tap_bail("request %llu does not end: state %u, %llu of %llu pages",
				 (unsigned long long)id, s->state,
				 (unsigned long long)(s->already_mapped + s->mapped + s->failed),
				 (unsigned long long)s->pages);
		if (spins)
			sim_nap(&spins);
		else
			spins = 1;
		must(prefault_query(c, id, s));
	} while (s->state < VFIO_IOPF_PREFAULT_STATE_DONE);
}

void prefault_run(struct vfio_container *c, const struct simbuf *b, uint32_t flags,
		  struct vfio_iopf_prefault_status *s)
{
	struct vfio_iopf_range range = { b->iova, b->len };
	uint64_t id;

	must(prefault_start(c, &range, 1, flags, -1, &id));
	prefault_wait(c, id, s);
	if (s->state != VFIO_IOPF_PREFAULT_STATE_DONE)
		tap_bail("prefaulting ended in state %u, error %u", s->state, s->error);
}

uint64_t prefault_knob(const char *name)
{
	struct dirent *entry;
	uint64_t pid, value;
	DIR *dir;

	dir = opendir(KNOB_IOPF_DIR "/containers");
	must_be(dir);
	while ((entry = readdir(dir))) {
		if (knob_read_try(&pid, KNOB_IOPF_DIR "/containers/%s/pid", entry->d_name) ||
		    pid != (uint64_t)getpid())
			continue;
		must(knob_read_try(&value, KNOB_IOPF_DIR "/containers/%s/%s", entry->d_name,
				   name));
		closedir(dir);
		return value;
	}
	tap_bail("this process has no container");
}

uint8_t *workset_get(struct vfio_container *c, uint32_t flags, size_t *size)
{
	struct vfio_iopf_working_set set = { .argsz = sizeof(set), .flags = flags };
	uint8_t *data = NULL;

	/* The working set may grow while a device works. If the buffer is too small, try again. */
	for (;;) {
		if (!ioctl(c->fd, VFIO_IOPF_WORKING_SET_SAVE, &set))
			break;
		if (errno != ENOSPC)
			tap_bail("VFIO_IOPF_WORKING_SET_SAVE: %s", strerror(errno));
		data = realloc(data, set.size);
		must_be(data);
		set.data = (uintptr_t)data;
	}
	*size = set.size;
	return data;
}

int workset_put(struct vfio_container *c, const void *data, size_t size, int eventfd, uint64_t *id)
{
	struct vfio_iopf_working_set_restore put = {
		.argsz = sizeof(put),
		.flags = eventfd >= 0 ? VFIO_IOPF_WORKING_SET_EVENTFD : 0,
		.eventfd = eventfd,
		.data = (uintptr_t)data,
		.size = size,
	};

	int err = vfio_ioctl(c, VFIO_IOPF_WORKING_SET_RESTORE, &put);

	*id = put.id;
	return err;
}
