// SPDX-License-Identifier: GPL-2.0-only
/*
 * iopf_sim_mdev - emulated VFIO devices, as mediated devices are.
 *
 * Purpose: call vfio_pin_pages(), vfio_unpin_pages() and vfio_dma_rw() when user space asks for it
 * (include/uapi/linux/iopf_sim_mdev.h), to test how an IOMMU backend serves these calls. The
 * devices are platform devices, not children of the mdev bus: VFIO sees no difference, and user
 * space need not create the devices.
 *
 * Locking: none here.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/platform_device.h>

#include "mdev.h"

#define MAX_DEVICES	16

static unsigned int devices = 1;
module_param(devices, uint, 0444);
MODULE_PARM_DESC(devices, "number of devices, 1 to 16 (default 1)");

static struct platform_device *device[MAX_DEVICES];

static int mdev_probe(struct platform_device *pdev)
{
	struct iopf_sim_mdev *mdev;
	int ret;

	mdev = vfio_alloc_device(iopf_sim_mdev, vdev, &pdev->dev, &iopf_sim_mdev_ops);
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

/* VFIO creates the IOMMU group, so the driver core must not. */
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
			dev_err(&pdev->dev, "cannot register with VFIO\n");
			return -ENODEV;
		}
	}
	return 0;
}

static int __init iopf_sim_mdev_init(void)
{
	int ret;

	if (!devices || devices > MAX_DEVICES) {
		pr_err("bad parameter: need devices 1..%u\n", MAX_DEVICES);
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

MODULE_DESCRIPTION("Emulated VFIO devices that pin, read and write as user space tells them");
MODULE_LICENSE("GPL");
