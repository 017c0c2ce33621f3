// SPDX-License-Identifier: GPL-2.0-only
/*
 * Transfers between a buffer of user space and the memory of the container.
 *
 * Locking: vfio_dma_rw() is called without a lock.
 */
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/workqueue.h>

#include "mdev.h"

/**
 * struct transfer - a call of vfio_dma_rw()
 * @work: lets a kernel thread make the call
 * @mdev: the device
 * @iova: address in the container
 * @data: kernel buffer
 * @len: bytes
 * @write: from @data to the container
 * @ret: result of the call
 */
struct transfer {
	struct work_struct work;
	struct iopf_sim_mdev *mdev;
	u64 iova;
	void *data;
	size_t len;
	bool write;
	int ret;
};

static void transfer_work(struct work_struct *work)
{
	struct transfer *t = container_of(work, struct transfer, work);

	t->ret = vfio_dma_rw(&t->mdev->vdev, t->iova, t->data, t->len, t->write);
}

static int dma_rw(struct iopf_sim_mdev *mdev, const struct iopf_sim_mdev_rw *rw, void *data)
{
	struct transfer t = {
		.mdev = mdev,
		.iova = rw->iova,
		.data = data,
		.len = rw->len,
		.write = rw->flags & IOPF_SIM_MDEV_F_WRITE,
	};

	INIT_WORK_ONSTACK(&t.work, transfer_work);
	if (rw->flags & IOPF_SIM_MDEV_F_KTHREAD) {
		queue_work(system_unbound_wq, &t.work);
		flush_work(&t.work);
	} else {
		transfer_work(&t.work);
	}
	destroy_work_on_stack(&t.work);
	return t.ret;
}

int iopf_sim_mdev_dma_rw(struct iopf_sim_mdev *mdev, const struct iopf_sim_mdev_rw *rw, char *data)
{
	return dma_rw(mdev, rw, data);
}

long iopf_sim_mdev_rw(struct iopf_sim_mdev *mdev, void __user *arg, u32 flags,
		      iopf_sim_mdev_rw_fn fn)
{
	struct iopf_sim_mdev_rw rw;
	void *data;
	int ret;

	ret = iopf_sim_mdev_get_arg(&rw, sizeof(rw), arg);
	if (ret)
		return ret;
	if (rw.flags & ~flags || !rw.len || rw.iova + (rw.len - 1) < rw.iova)
		return -EINVAL;
	if (rw.len > IOPF_SIM_MDEV_MAX_RW)
		return -E2BIG;
	data = kvzalloc(rw.len, GFP_KERNEL_ACCOUNT);
	if (!data)
		return -ENOMEM;
	ret = -EFAULT;
	if (rw.flags & IOPF_SIM_MDEV_F_WRITE) {
		if (copy_from_user(data, u64_to_user_ptr(rw.data), rw.len))
			goto out_free;
		ret = fn(mdev, &rw, data);
	} else {
		ret = fn(mdev, &rw, data);
		if (!ret && copy_to_user(u64_to_user_ptr(rw.data), data, rw.len))
			ret = -EFAULT;
	}
out_free:
	kvfree(data);
	return ret;
}
