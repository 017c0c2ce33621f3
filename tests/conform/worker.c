// SPDX-License-Identifier: GPL-2.0-only
/*
 * The process of a side: see worker.h.
 *
 * The process waits in read() for a byte, executes the request in the box, and sends a byte back.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "args.h"
#include "rig.h"
#include "side.h"
#include "worker.h"

#define STOCK_LIMIT	"/sys/module/vfio_iommu_type1/parameters/dma_entry_limit"
#define LIMIT_DEFAULT	65535u

/**
 * struct worker - the process's own
 * @s: which side it is
 * @fd: the container; -1: closed
 * @type: that side_fresh() made it with
 * @odd: dma_entry_limit was changed, or the container's backend was left or chosen anew
 * @limited: CAP_IPC_LOCK is dropped
 * @gone: some of VA_GONE was taken away
 * @joined: bit mask of the groups in the container
 * @group: file descriptors, -1: closed
 * @vdev: devices; fd -1: closed
 * @sim: the same, up
 * @base_kb: VmLck, VmPin without anything mapped
 */
struct worker {
	const struct side *s;
	int fd;
	unsigned int type;
	bool odd;
	bool limited;
	bool gone;
	unsigned int joined;
	int group[CONFORM_GROUPS];
	struct vfio_dev vdev[CONFORM_GROUPS];
	struct simdev sim[CONFORM_GROUPS];
	long base_kb[2];
};

static const char *bdf_of(const struct worker *w, unsigned int group)
{
	return rig_bdf(w->s->first + 2 * group);
}

static long call(int fd, unsigned long request, unsigned long arg)
{
	int ret = ioctl(fd, request, arg);

	return ret < 0 ? -errno : ret;
}

/* Limits */

static void set_cap_ipc_lock(bool on)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	must_sys(syscall(SYS_capget, &head, data));
	if (on)
		data[0].effective |= 1u << CAP_IPC_LOCK;
	else
		data[0].effective &= ~(1u << CAP_IPC_LOCK);
	must_sys(syscall(SYS_capset, &head, data));
}

static void set_memlock(struct worker *w, uint64_t bytes)
{
	struct rlimit limit;

	w->limited = bytes != CONFORM_ALWAYS;
	must_sys(getrlimit(RLIMIT_MEMLOCK, &limit));
	limit.rlim_cur = limit.rlim_max;
	if (w->limited)
		limit.rlim_cur = bytes + (uint64_t)w->base_kb[0] * 1024;
	must_sys(setrlimit(RLIMIT_MEMLOCK, &limit));
	set_cap_ipc_lock(!w->limited);
}

static void set_entry_limit(uint64_t limit)
{
	if (limit == CONFORM_ALWAYS)
		limit = LIMIT_DEFAULT;
	must(mem_write_file(STOCK_LIMIT, "%llu", (unsigned long long)limit));
	if (iopf_loaded())
		must(iopf_param("dma_entry_limit", limit));
}

/* The container */

static void close_device(struct vfio_dev *d)
{
	vfio_dev_put(d);
	munmap((void *)VA_BAR, PART_LEN);
}

static void close_all(struct worker *w)
{
	unsigned int i;

	for (i = 0; i < CONFORM_GROUPS; i++) {
		if (w->vdev[i].fd >= 0)
			close_device(&w->vdev[i]);
		if (w->group[i] >= 0)
			close(w->group[i]);
		w->group[i] = -1;
	}
	if (w->fd >= 0)
		close(w->fd);
	w->fd = -1;
	w->joined = 0;
}

static long join(struct worker *w, unsigned int group)
{
	long ret;

	if (w->group[group] < 0) {
		w->group[group] = vfio_group_open(bdf_of(w, group));
		if (w->group[group] < 0)
			return w->group[group];
	}
	ret = call(w->group[group], VFIO_GROUP_SET_CONTAINER, (unsigned long)&w->fd);
	if (!ret)
		w->joined |= 1u << group;
	return ret;
}

/* A container that has a device that may not fault from the start may be either's. */
static void check_served(const struct worker *w)
{
	const char *by = iopf_text(bdf_of(w, 0), "backend");
	bool ours = w->s->kind != SIDE_STOCK;

	if (!iopf_loaded() || !(w->joined & 1) || w->joined & 1u << (CONFORM_GROUPS - 1))
		return;
	if (!!strstr(by, "iopf") != ours)
		tap_bail("%s: %s is served by %s", w->s->name, bdf_of(w, 0), by);
}

/* Which backend a container gets is decided when its type is set. */
static long set_iommu(struct worker *w, unsigned long type)
{
	long ret;

	if (iopf_loaded())
		(void)iopf_param("serve_pinned", w->s->kind == SIDE_PINNED);
	ret = call(w->fd, VFIO_SET_IOMMU, type);
	if (ret)
		return ret;
	w->odd = true;
	check_served(w);
	return 0;
}

static int open_anew(struct worker *w, unsigned int type)
{
	struct vfio_container c;
	long ret;

	close_all(w);
	ret = vfio_container_open(&c);
	if (ret)
		return (int)ret;
	w->fd = c.fd;
	w->type = type;
	if (type)
		ret = join(w, 0) ?: set_iommu(w, type);
	w->odd = false;
	return (int)ret;
}

static int64_t entries_left(struct worker *w)
{
	struct vfio_container c = { .fd = w->fd };

	return vfio_avail(&c);
}

static bool empty(struct worker *w)
{
	struct vfio_iommu_type1_dirty_bitmap stop = { .argsz = sizeof(stop), .flags = DIRTY_STOP };
	struct vfio_container c = { .fd = w->fd };

	/* Refused where there is no tracking, which is as good. */
	(void)call(w->fd, VFIO_IOMMU_DIRTY_PAGES, (unsigned long)&stop);
	return !vfio_unmap_flags(&c, 0, 0, UNMAP_ALL, NULL) && entries_left(w) == LIMIT_DEFAULT;
}

static long leave(struct worker *w, unsigned int group)
{
	long ret;

	if (w->group[group] < 0)
		return -EBADF;
	ret = call(w->group[group], VFIO_GROUP_UNSET_CONTAINER, 0);
	if (!ret)
		w->joined &= ~(1u << group);
	w->odd |= !w->joined;
	return ret;
}

/* Group 0 alone, as after open_anew(). */
static bool only_first(struct worker *w)
{
	unsigned int i;

	for (i = 1; i < CONFORM_GROUPS; i++) {
		if (!(w->joined & 1u << i))
			continue;
		if (w->vdev[i].fd >= 0)
			close_device(&w->vdev[i]);
		if (leave(w, i))
			return false;
	}
	return w->joined == 1;
}

static int fresh(struct worker *w, unsigned int type, bool anew)
{
	bool bad = false;

	if (w->limited)
		set_memlock(w, CONFORM_ALWAYS);
	if (w->gone)
		place_again();
	w->gone = false;
	if (w->odd)
		set_entry_limit(CONFORM_ALWAYS);
	if (!anew && w->fd >= 0 && type && type == w->type && !w->odd && only_first(w)) {
		if (empty(w))
			return 0;
		bad = true;
	}
	return open_anew(w, type) ?: (bad ? -EUCLEAN : 0);
}

/* Arguments */

static long do_arg(struct worker *w, const struct conform_op *op, struct conform_result *r,
		   unsigned long request, const void *arg, size_t len)
{
	long ret = call(w->fd, request, args_place(op, arg, len));

	args_fetch(op, r);
	if (r->has_bm)
		memcpy(r->bm, (void *)ARGS_BM_BASE, BM_LEN);
	return ret;
}

static long do_map(struct worker *w, const struct conform_op *op, struct conform_result *r)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = op->argsz,
		.flags = op->flags,
		.vaddr = op->va,
		.iova = op->iova,
		.size = op->size,
	};

	return do_arg(w, op, r, VFIO_IOMMU_MAP_DMA, &map, sizeof(map));
}

static long do_unmap(struct worker *w, const struct conform_op *op, struct conform_result *r)
{
	struct {
		struct vfio_iommu_type1_dma_unmap unmap;
		struct vfio_bitmap bitmap;
	} arg = {
		.unmap = {
			.argsz = op->argsz,
			.flags = op->flags,
			.iova = op->iova,
			.size = op->size,
		},
	};
	size_t len = sizeof(arg.unmap);

	if (op_has_bitmap(op)) {
		arg.bitmap = args_bitmap(op, r);
		len = sizeof(arg);
	}
	return do_arg(w, op, r, VFIO_IOMMU_UNMAP_DMA, &arg, len);
}

static long do_dirty(struct worker *w, const struct conform_op *op, struct conform_result *r)
{
	struct {
		struct vfio_iommu_type1_dirty_bitmap dirty;
		struct vfio_iommu_type1_dirty_bitmap_get get;
	} arg = {
		.dirty = { .argsz = op->argsz, .flags = op->flags },
		.get = { .iova = op->iova, .size = op->size },
	};
	size_t len = sizeof(arg.dirty);

	if (op_has_bitmap(op)) {
		arg.get.bitmap = args_bitmap(op, r);
		len = sizeof(arg);
	}
	return do_arg(w, op, r, VFIO_IOMMU_DIRTY_PAGES, &arg, len);
}

static long do_info(struct worker *w, const struct conform_op *op, struct conform_result *r)
{
	/* What follows argsz is out: it keeps the canary unless written. */
	return do_arg(w, op, r, VFIO_IOMMU_GET_INFO, &op->argsz, sizeof(op->argsz));
}

/* Devices */

static int map_bar(struct vfio_dev *d)
{
	struct vfio_region_info bar = {
		.argsz = sizeof(bar),
		.index = VFIO_PCI_BAR0_REGION_INDEX,
	};

	if (ioctl(d->fd, VFIO_DEVICE_GET_REGION_INFO, &bar))
		return -errno;
	if (mmap((void *)VA_BAR, bar.size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, d->fd,
		 (off_t)bar.offset) == MAP_FAILED)
		return -errno;
	return 0;
}

static int open_device(struct worker *w, unsigned int group)
{
	struct vfio_dev *d = &w->vdev[group];
	int err;

	if (d->fd >= 0)
		return 0;
	if (w->group[group] < 0)
		return -EBADF;
	memset(d, 0, sizeof(*d));
	snprintf(d->bdf, sizeof(d->bdf), "%s", bdf_of(w, group));
	d->group_fd = w->group[group];
	d->fd = -1;
	err = vfio_dev_get(d);
	if (err) {
		d->fd = -1;
		return err;
	}
	must(sim_up(&w->sim[group], d, NULL));
	return map_bar(d);
}

static long do_device(struct worker *w, const struct conform_op *op, struct conform_result *r)
{
	struct simbuf dma = { NULL, op->iova, op->size };
	struct simbuf seen = { (void *)op->va, op->iova, op->size };
	int err = open_device(w, op->group);
	long ret;

	if (err) {
		r->skipped = true;
		return err;
	}
	if (op->kind == OP_WRITE)
		ret = sim_write(&w->sim[op->group], &dma, 0, op->size, op->value, NULL);
	else
		ret = sim_read(&w->sim[op->group], &dma, 0, op->size, NULL);
	if (op->va)
		r->sum = simbuf_sum(&seen, 0, op->size);
	return ret;
}

/* Steps */

/* Of the container. */
static long do_ioctl(struct worker *w, const struct conform_op *op, struct conform_result *r)
{
	switch ((enum conform_kind)op->kind) {
	case OP_EXTENSION:
		return call(w->fd, VFIO_CHECK_EXTENSION, op->value);
	case OP_IOCTL:
		return call(w->fd, op->value, op->va);
	case OP_INFO:
		return do_info(w, op, r);
	case OP_AVAIL:
		return entries_left(w);
	case OP_MAP:
		return do_map(w, op, r);
	case OP_UNMAP:
		return do_unmap(w, op, r);
	case OP_DIRTY:
		return do_dirty(w, op, r);
	default:
		break;
	}
	tap_bail("%s: no such step: %u", w->s->name, op->kind);
}

static long do_op(struct worker *w, const struct conform_op *op, struct conform_result *r)
{
	switch ((enum conform_kind)op->kind) {
	case OP_SET:
		return set_iommu(w, op->value);
	case OP_JOIN:
		return join(w, op->group);
	case OP_LEAVE:
		return leave(w, op->group);
	case OP_LIMIT:
		set_entry_limit(op->value);
		return 0;
	case OP_MEMLOCK:
		set_memlock(w, op->value);
		return 0;
	case OP_DEVICE:
		return open_device(w, op->group);
	case OP_WRITE:
	case OP_READ:
		return do_device(w, op, r);
	case OP_DROP:
		return madvise((void *)op->va, op->size, MADV_DONTNEED) ? -errno : 0;
	case OP_MUNMAP:
		return munmap((void *)op->va, op->size) ? -errno : 0;
	default:
		return do_ioctl(w, op, r);
	}
}

/* Both numbers in one go: this is done after each step. */
static void read_charges(long kb[2])
{
	static const char *const names[] = { "VmLck:", "VmPin:" };
	static char text[4096];
	unsigned int i;
	ssize_t n;
	int fd;

	fd = must_sys(open("/proc/self/status", O_RDONLY | O_CLOEXEC));
	n = must_sys(read(fd, text, sizeof(text) - 1));
	close(fd);
	text[n] = 0;
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		const char *at = strstr(text, names[i]);

		must_be(at);
		kb[i] = strtol(at + strlen(names[i]), NULL, 10);
	}
}

/* A child's charges begin at 0: what its parent has locked is not its own. */
static void charges(const struct worker *w, struct conform_result *r, bool child)
{
	long kb[2];

	read_charges(kb);
	r->locked_kb = kb[0] - (child ? 0 : w->base_kb[0]);
	r->pinned_kb = kb[1] - (child ? 0 : w->base_kb[1]);
}

static void apply(struct worker *w, const struct conform_op *op, struct conform_result *r)
{
	int status;
	pid_t pid;

	memset(r, 0, offsetof(struct conform_result, bm));
	r->sum = 0;
	if (op->kind == OP_LIMIT)
		w->odd = true;
	if (op->kind == OP_MUNMAP || op->kind == OP_DROP)
		w->gone = true;
	if (!op->child) {
		r->ret = do_op(w, op, r);
		charges(w, r, false);
		return;
	}
	pid = must_sys(fork());
	if (!pid) {
		r->ret = do_op(w, op, r);
		charges(w, r, true);
		_exit(0);
	}
	must_sys(waitpid(pid, &status, 0));
	if (status)
		tap_bail("%s: the child of a step ended with status 0x%x", w->s->name, status);
}

static void serve(struct worker *w, struct side_box *box)
{
	switch (box->request) {
	case SIDE_FRESH:
		box->result.ret = fresh(w, box->type, box->anew);
		break;
	case SIDE_APPLY:
		apply(w, &box->op, &box->result);
		break;
	case SIDE_THERE:
		box->result.ret = place_there(box->op.va);
		break;
	case SIDE_QUIT:
		close_all(w);
		set_entry_limit(CONFORM_ALWAYS);
		break;
	}
}

void side_work(const struct side *s, int in, int out)
{
	struct worker w = { .s = s, .fd = -1 };
	bool quit = false;
	unsigned int i;
	char byte;

	tap_forget();
	must_sys(prctl(PR_SET_PDEATHSIG, SIGKILL));
	for (i = 0; i < CONFORM_GROUPS; i++) {
		w.group[i] = -1;
		w.vdev[i].fd = -1;
	}
	place_all();
	read_charges(w.base_kb);
	/* After the answer, the box belongs to the other process. */
	while (!quit && read(in, &byte, 1) == 1) {
		quit = s->box->request == SIDE_QUIT;
		serve(&w, s->box);
		must_sys(write(out, &byte, 1));
	}
	_exit(!quit);
}
