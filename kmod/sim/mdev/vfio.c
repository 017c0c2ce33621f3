// SPDX-License-Identifier: GPL-2.0-only
/*
 * Emulated VFIO devices: their ioctls, and the callbacks that VFIO calls.
 *
 * Invariants: when dma_unmap returns, nothing in its range is pinned, unless user space asked the
 * device to ignore the notification. When close_device returns, nothing is pinned.
 *
 * Locking: dma_unmap takes iopf_sim_mdev.lock, which is held over pinning and unpinning elsewhere.
 * So a backend must not call dma_unmap under a lock that pinning or unpinning takes.
 */
#include <linux/mm.h>
#include <linux/uaccess.h>

#include "mdev.h"

static_assert(sizeof(struct iopf_sim_mdev_pin) == 24);
static_assert(sizeof(struct iopf_sim_mdev_rw) == 32);
static_assert(sizeof(struct iopf_sim_mdev_status) == 56);
static_assert(sizeof(struct iopf_sim_mdev_ignore) == 16);

static struct iopf_sim_mdev *to_mdev(struct vfio_device *vdev)
{
	return container_of(vdev, struct iopf_sim_mdev, vdev);
}

static long do_status(struct iopf_sim_mdev *mdev, void __user *arg)
{
	struct iopf_sim_mdev_status status;
	int ret;

	ret = iopf_sim_mdev_get_arg(&status, sizeof(status), arg);
	if (ret)
		return ret;
	if (status.flags)
		return -EINVAL;
	mutex_lock(&mdev->lock);
	status = mdev->status;
	iopf_sim_mdev_count_pins(mdev, &status);
	mutex_unlock(&mdev->lock);
	status.argsz = sizeof(status);
	return copy_to_user(arg, &status, sizeof(status)) ? -EFAULT : 0;
}

static long do_ignore(struct iopf_sim_mdev *mdev, void __user *arg)
{
	struct iopf_sim_mdev_ignore ignore;
	int ret;

	ret = iopf_sim_mdev_get_arg(&ignore, sizeof(ignore), arg);
	if (ret)
		return ret;
	if (ignore.flags || ignore.reserved || ignore.unmaps > IOPF_SIM_MDEV_MAX_IGNORE)
		return -EINVAL;
	mutex_lock(&mdev->lock);
	mdev->ignore = ignore.unmaps;
	mutex_unlock(&mdev->lock);
	return 0;
}

static long do_get_info(void __user *arg)
{
	unsigned long minsz = offsetofend(struct vfio_device_info, num_irqs);
	struct vfio_device_info info;

	if (copy_from_user(&info, arg, minsz))
		return -EFAULT;
	if (info.argsz < minsz)
		return -EINVAL;
	/* No regions and no interrupts: the interface is ioctls only. */
	info.flags = VFIO_DEVICE_FLAGS_RESET;
	info.num_regions = 0;
	info.num_irqs = 0;
	return copy_to_user(arg, &info, minsz) ? -EFAULT : 0;
}

static long mdev_ioctl(struct vfio_device *vdev, unsigned int cmd, unsigned long arg)
{
	struct iopf_sim_mdev *mdev = to_mdev(vdev);
	void __user *uarg = (void __user *)arg;

	switch (cmd) {
	case VFIO_DEVICE_GET_INFO:
		return do_get_info(uarg);
	case VFIO_DEVICE_RESET:
		iopf_sim_mdev_unpin_all(mdev);
		return 0;
	case IOPF_SIM_MDEV_PIN:
		return iopf_sim_mdev_pin(mdev, uarg);
	case IOPF_SIM_MDEV_UNPIN:
		return iopf_sim_mdev_unpin(mdev, uarg);
	case IOPF_SIM_MDEV_DMA_RW:
		return iopf_sim_mdev_rw(mdev, uarg, IOPF_SIM_MDEV_F_WRITE | IOPF_SIM_MDEV_F_KTHREAD,
					iopf_sim_mdev_dma_rw);
	case IOPF_SIM_MDEV_PINNED_RW:
		return iopf_sim_mdev_rw(mdev, uarg, IOPF_SIM_MDEV_F_WRITE, iopf_sim_mdev_pinned_rw);
	case IOPF_SIM_MDEV_STATUS:
		return do_status(mdev, uarg);
	case IOPF_SIM_MDEV_IGNORE:
		return do_ignore(mdev, uarg);
	default:
		return -ENOTTY;
	}
}

static void mdev_dma_unmap(struct vfio_device *vdev, u64 iova, u64 length)
{
	struct iopf_sim_mdev *mdev = to_mdev(vdev);

	guard(mutex)(&mdev->lock);

	mdev->status.unmaps++;
	mdev->status.unmap_iova = iova;
	mdev->status.unmap_size = length;
	if (mdev->ignore) {
		mdev->ignore--;
		return;
	}
	mdev->status.unpinned += iopf_sim_mdev_unpin_range(mdev, PHYS_PFN(iova),
							   PHYS_PFN(iova + length - 1));
}

static int mdev_open(struct vfio_device *vdev)
{
	struct iopf_sim_mdev *mdev = to_mdev(vdev);

	guard(mutex)(&mdev->lock);

	memset(&mdev->status, 0, sizeof(mdev->status));
	mdev->ignore = 0;
	return 0;
}

static void mdev_close(struct vfio_device *vdev)
{
	iopf_sim_mdev_unpin_all(to_mdev(vdev));
}

static int mdev_init(struct vfio_device *vdev)
{
	struct iopf_sim_mdev *mdev = to_mdev(vdev);

	mutex_init(&mdev->lock);
	xa_init(&mdev->pins);
	return 0;
}

const struct vfio_device_ops iopf_sim_mdev_ops = {
	.name = "iopf_sim_mdev",
	.init = mdev_init,
	.open_device = mdev_open,
	.close_device = mdev_close,
	.ioctl = mdev_ioctl,
	.dma_unmap = mdev_dma_unmap,
	.bind_iommufd = vfio_iommufd_emulated_bind,
	.unbind_iommufd = vfio_iommufd_emulated_unbind,
	.attach_ioas = vfio_iommufd_emulated_attach_ioas,
	.detach_ioas = vfio_iommufd_emulated_detach_ioas,
};
