// SPDX-License-Identifier: GPL-2.0-only
/*
 * iopf_sim_mdev - emulated VFIO devices, as mediated devices are.
 *
 * Purpose: be a driver that uses vfio_pin_pages(), vfio_unpin_pages() and vfio_dma_rw() as
 * told by user space (include/uapi/linux/iopf_sim_mdev.h), so that an IOMMU backend's side of
 * them can be tested. The devices are platform devices, not children of the mdev bus: VFIO
 * sees no difference, and nothing has to be created before use.
 *
 * Invariants:
 *  - What is in @pins is pinned, as often as the entry counts; nothing else is.
 *  - A page is touched only under @lock, and only while it is in @pins.
 *  - When dma_unmap returns, nothing in its range is pinned (unless told to be slow); when
 *    close_device returns, nothing at all.
 *
 * Locking: iopf_sim_mdev.lock. It is taken in dma_unmap, so the backend may hold no lock there
 * that pinning or unpinning takes; and it is held over both of these. vfio_dma_rw() is called
 * without it.
 *
 * Vocabulary: a pin is one successful vfio_pin_pages() of one page; a page can have several.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/highmem.h>
#include <linux/iommu.h>
#include <linux/iopf_sim_mdev.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/platform_device.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vfio.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#define MAX_DEVICES	16

static unsigned int devices = 1;
module_param(devices, uint, 0444);
MODULE_PARM_DESC(devices, "number of devices, 1 to 16 (default 1)");

static_assert(sizeof(struct iopf_sim_mdev_pin) == 24);
static_assert(sizeof(struct iopf_sim_mdev_rw) == 32);
static_assert(sizeof(struct iopf_sim_mdev_status) == 56);
static_assert(sizeof(struct iopf_sim_mdev_ignore) == 16);

/**
 * struct pinned - a page the device has pinned
 * @page: the page
 * @count: how often
 * @prot: IOMMU_READ, IOMMU_WRITE: of all its pins together
 */
struct pinned {
	struct page *page;
	unsigned int count;
	int prot;
};

/**
 * struct iopf_sim_mdev - an emulated device
 * @vdev: for VFIO
 * @lock: protects the rest
 * @pins: struct pinned by page number of the IOVA
 * @status: counters; pages and pins are filled in when asked for
 * @ignore: so many notifications are still to be ignored
 */
struct iopf_sim_mdev {
	struct vfio_device vdev;
	struct mutex lock; /* everything below */
	struct xarray pins;
	struct iopf_sim_mdev_status status;
	u32 ignore;
};

static struct platform_device *device[MAX_DEVICES];

static struct iopf_sim_mdev *to_mdev(struct vfio_device *vdev)
{
	return container_of(vdev, struct iopf_sim_mdev, vdev);
}

/* The table of pins */

static int pin_note(struct iopf_sim_mdev *mdev, unsigned long index, struct page *page, int prot)
{
	struct pinned *pin = xa_load(&mdev->pins, index);
	int ret;

	lockdep_assert_held(&mdev->lock);

	if (pin) {
		if (pin->page != page)
			return -EIO;
		pin->count++;
		pin->prot |= prot;
		return 0;
	}
	pin = kmalloc(sizeof(*pin), GFP_KERNEL_ACCOUNT);
	if (!pin)
		return -ENOMEM;
	*pin = (struct pinned){ .page = page, .count = 1, .prot = prot };
	ret = xa_err(xa_store(&mdev->pins, index, pin, GFP_KERNEL_ACCOUNT));
	if (ret)
		kfree(pin);
	return ret;
}

/* One pin less. */
static void pin_forget(struct iopf_sim_mdev *mdev, unsigned long index)
{
	struct pinned *pin = xa_load(&mdev->pins, index);

	lockdep_assert_held(&mdev->lock);

	if (--pin->count)
		return;
	xa_erase(&mdev->pins, index);
	kfree(pin);
}

static void unpin(struct iopf_sim_mdev *mdev, unsigned long index, unsigned long n)
{
	while (n) {
		unsigned long now = min_t(unsigned long, n, VFIO_PIN_PAGES_MAX_ENTRIES);

		vfio_unpin_pages(&mdev->vdev, (dma_addr_t)index << PAGE_SHIFT, now);
		index += now;
		n -= now;
	}
}

/* Every pin in a range of page numbers, both ends included. Returns how many there were. */
static u64 unpin_range(struct iopf_sim_mdev *mdev, unsigned long first, unsigned long last)
{
	struct pinned *pin;
	unsigned long index;
	u64 gone = 0;

	lockdep_assert_held(&mdev->lock);

	xa_for_each_range(&mdev->pins, index, pin, first, last) {
		xa_erase(&mdev->pins, index);
		for (; pin->count; pin->count--, gone++)
			unpin(mdev, index, 1);
		kfree(pin);
	}
	return gone;
}

static void unpin_all(struct iopf_sim_mdev *mdev)
{
	mutex_lock(&mdev->lock);
	unpin_range(mdev, 0, ULONG_MAX);
	mutex_unlock(&mdev->lock);
}

/* Arguments */

/* The structure at @from, which begins with its size. Bytes we do not know must be zero. */
static int get_arg(void *to, size_t size, const void __user *from)
{
	u32 argsz;

	if (get_user(argsz, (const u32 __user *)from))
		return -EFAULT;
	if (argsz < size)
		return -EINVAL;
	if (argsz > PAGE_SIZE)
		return -E2BIG;
	return copy_struct_from_user(to, size, from, argsz);
}

static int to_prot(u32 flags)
{
	return (flags & IOPF_SIM_MDEV_F_READ ? IOMMU_READ : 0) |
	       (flags & IOPF_SIM_MDEV_F_WRITE ? IOMMU_WRITE : 0);
}

static int get_pin(struct iopf_sim_mdev_pin *pin, const void __user *arg, u32 flags)
{
	int ret = get_arg(pin, sizeof(*pin), arg);

	if (ret)
		return ret;
	if (pin->flags & ~flags || pin->reserved || !PAGE_ALIGNED(pin->iova))
		return -EINVAL;
	return pin->npages > IOPF_SIM_MDEV_MAX_PAGES ? -E2BIG : 0;
}

/* Pinning */

static int pin_locked(struct iopf_sim_mdev *mdev, const struct iopf_sim_mdev_pin *arg,
		      struct page **pages)
{
	unsigned long index = PHYS_PFN(arg->iova);
	int prot = to_prot(arg->flags);
	int done, i, ret = 0;

	lockdep_assert_held(&mdev->lock);

	done = vfio_pin_pages(&mdev->vdev, arg->iova, arg->npages, prot, pages);
	if (done < 0)
		return done;
	for (i = 0; i < done && !ret; i++)
		ret = pin_note(mdev, index + i, pages[i], prot);
	if (!ret && done == arg->npages)
		return done;

	/* The one that could not be noted is pinned, but not in the table. */
	if (ret)
		i--;
	while (i--)
		pin_forget(mdev, index + i);
	unpin(mdev, index, done);
	/* VFIO leaves it open whether a part can be pinned. It is of no use here. */
	return ret ?: -EIO;
}

static long do_pin(struct iopf_sim_mdev *mdev, void __user *arg)
{
	struct iopf_sim_mdev_pin pin;
	struct page **pages;
	int ret;

	ret = get_pin(&pin, arg, IOPF_SIM_MDEV_F_READ | IOPF_SIM_MDEV_F_WRITE);
	if (ret)
		return ret;
	if (!pin.flags)
		return -EINVAL;
	/* Room for one at least: that nothing is asked for is for VFIO to say. */
	pages = kvcalloc(pin.npages + 1, sizeof(*pages), GFP_KERNEL_ACCOUNT);
	if (!pages)
		return -ENOMEM;
	mutex_lock(&mdev->lock);
	ret = pin_locked(mdev, &pin, pages);
	mutex_unlock(&mdev->lock);
	kvfree(pages);
	return ret;
}

static int unpin_locked(struct iopf_sim_mdev *mdev, unsigned long index, unsigned long n)
{
	unsigned long i;

	lockdep_assert_held(&mdev->lock);

	for (i = 0; i < n; i++)
		if (!xa_load(&mdev->pins, index + i))
			return -ENOENT;
	for (i = 0; i < n; i++)
		pin_forget(mdev, index + i);
	unpin(mdev, index, n);
	return 0;
}

static long do_unpin(struct iopf_sim_mdev *mdev, void __user *arg)
{
	struct iopf_sim_mdev_pin pin;
	int ret;

	ret = get_pin(&pin, arg, 0);
	if (ret)
		return ret;
	mutex_lock(&mdev->lock);
	ret = unpin_locked(mdev, PHYS_PFN(pin.iova), pin.npages);
	mutex_unlock(&mdev->lock);
	return ret;
}

/* Transfers */

/**
 * struct transfer - a call of vfio_dma_rw(), by whoever
 * @work: to have it done by a kernel thread
 * @mdev: the device
 * @iova: where in the container
 * @data: the buffer, in the kernel
 * @len: bytes
 * @write: into the container
 * @ret: what came of it
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

/* Each page of the transfer is there and may be used like that. */
static int pinned_check(struct iopf_sim_mdev *mdev, const struct iopf_sim_mdev_rw *rw)
{
	int prot = rw->flags & IOPF_SIM_MDEV_F_WRITE ? IOMMU_WRITE : IOMMU_READ;
	unsigned long index, last = PHYS_PFN(rw->iova + rw->len - 1);

	lockdep_assert_held(&mdev->lock);

	for (index = PHYS_PFN(rw->iova); index <= last; index++) {
		struct pinned *pin = xa_load(&mdev->pins, index);

		if (!pin)
			return -ENOENT;
		if (!(pin->prot & prot))
			return -EACCES;
	}
	return 0;
}

static int pinned_rw(struct iopf_sim_mdev *mdev, const struct iopf_sim_mdev_rw *rw, char *data)
{
	size_t left = rw->len, n;
	u64 iova = rw->iova;
	int ret;

	guard(mutex)(&mdev->lock);

	ret = pinned_check(mdev, rw);
	if (ret)
		return ret;
	for (; left; left -= n, iova += n, data += n) {
		struct pinned *pin = xa_load(&mdev->pins, PHYS_PFN(iova));

		n = min_t(size_t, left, PAGE_SIZE - offset_in_page(iova));
		if (rw->flags & IOPF_SIM_MDEV_F_WRITE)
			memcpy_to_page(pin->page, offset_in_page(iova), data, n);
		else
			memcpy_from_page(data, pin->page, offset_in_page(iova), n);
	}
	return 0;
}

typedef int (*rw_fn)(struct iopf_sim_mdev *mdev, const struct iopf_sim_mdev_rw *rw, char *data);

static int dma_rw_fn(struct iopf_sim_mdev *mdev, const struct iopf_sim_mdev_rw *rw, char *data)
{
	return dma_rw(mdev, rw, data);
}

static long do_rw(struct iopf_sim_mdev *mdev, void __user *arg, u32 flags, rw_fn fn)
{
	struct iopf_sim_mdev_rw rw;
	void *data;
	int ret;

	ret = get_arg(&rw, sizeof(rw), arg);
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

/* The rest of the interface */

static long do_status(struct iopf_sim_mdev *mdev, void __user *arg)
{
	struct iopf_sim_mdev_status status;
	struct pinned *pin;
	unsigned long index;
	int ret;

	ret = get_arg(&status, sizeof(status), arg);
	if (ret)
		return ret;
	if (status.flags)
		return -EINVAL;
	mutex_lock(&mdev->lock);
	status = mdev->status;
	xa_for_each(&mdev->pins, index, pin) {
		status.pages++;
		status.pins += pin->count;
	}
	mutex_unlock(&mdev->lock);
	status.argsz = sizeof(status);
	return copy_to_user(arg, &status, sizeof(status)) ? -EFAULT : 0;
}

static long do_ignore(struct iopf_sim_mdev *mdev, void __user *arg)
{
	struct iopf_sim_mdev_ignore ignore;
	int ret;

	ret = get_arg(&ignore, sizeof(ignore), arg);
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
	/* No regions, no interrupts: everything is an ioctl. */
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
		unpin_all(mdev);
		return 0;
	case IOPF_SIM_MDEV_PIN:
		return do_pin(mdev, uarg);
	case IOPF_SIM_MDEV_UNPIN:
		return do_unpin(mdev, uarg);
	case IOPF_SIM_MDEV_DMA_RW:
		return do_rw(mdev, uarg, IOPF_SIM_MDEV_F_WRITE | IOPF_SIM_MDEV_F_KTHREAD,
			     dma_rw_fn);
	case IOPF_SIM_MDEV_PINNED_RW:
		return do_rw(mdev, uarg, IOPF_SIM_MDEV_F_WRITE, pinned_rw);
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
	mdev->status.unpinned += unpin_range(mdev, PHYS_PFN(iova), PHYS_PFN(iova + length - 1));
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
	unpin_all(to_mdev(vdev));
}

static int mdev_init(struct vfio_device *vdev)
{
	struct iopf_sim_mdev *mdev = to_mdev(vdev);

	mutex_init(&mdev->lock);
	xa_init(&mdev->pins);
	return 0;
}

static const struct vfio_device_ops mdev_ops = {
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

/* Devices and driver */

static int mdev_probe(struct platform_device *pdev)
{
	struct iopf_sim_mdev *mdev;
	int ret;

	mdev = vfio_alloc_device(iopf_sim_mdev, vdev, &pdev->dev, &mdev_ops);
	if (IS_ERR(mdev))
		return PTR_ERR(mdev);
	ret = vfio_register_emulated_iommu_dev(&mdev->vdev);
	if (ret) {
		vfio_put_device(&mdev->vdev);
		return ret;
	}
	platform_set_drvdata(pdev, mdev);
	return 0;
}

static void mdev_remove(struct platform_device *pdev)
{
	struct iopf_sim_mdev *mdev = platform_get_drvdata(pdev);

	vfio_unregister_group_dev(&mdev->vdev);
	vfio_put_device(&mdev->vdev);
}

/* VFIO makes the IOMMU group: the driver core is to leave that alone. */
static struct platform_driver mdev_driver = {
	.probe = mdev_probe,
	.remove = mdev_remove,
	.driver = {
		.name = "iopf_sim_mdev",
	},
	.driver_managed_dma = true,
};

static void remove_devices(void)
{
	unsigned int i;

	for (i = 0; i < devices && device[i]; i++)
		platform_device_unregister(device[i]);
}

static int create_devices(void)
{
	struct platform_device *pdev;
	unsigned int i;

	for (i = 0; i < devices; i++) {
		pdev = platform_device_register_simple("iopf_sim_mdev", i, NULL, 0);
		if (IS_ERR(pdev))
			return PTR_ERR(pdev);
		device[i] = pdev;
		if (!platform_get_drvdata(pdev)) {
			dev_err(&pdev->dev, "VFIO did not take it\n");
			return -ENODEV;
		}
	}
	return 0;
}

static int __init iopf_sim_mdev_init(void)
{
	int ret;

	if (!devices || devices > MAX_DEVICES) {
		pr_err("bad parameter: devices 1..%u\n", MAX_DEVICES);
		return -EINVAL;
	}
	ret = platform_driver_register(&mdev_driver);
	if (ret)
		return ret;
	ret = create_devices();
	if (ret) {
		remove_devices();
		platform_driver_unregister(&mdev_driver);
	}
	return ret;
}

static void __exit iopf_sim_mdev_exit(void)
{
	remove_devices();
	platform_driver_unregister(&mdev_driver);
}

module_init(iopf_sim_mdev_init);
module_exit(iopf_sim_mdev_exit);

MODULE_DESCRIPTION("Emulated VFIO devices that pin, read and write as told");
MODULE_LICENSE("GPL");
