/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For drivers that stand between user space and a device (VFIO variant drivers), when the device
 * takes I/O page faults in some of its accesses only: say where it does not, so that vfio-iopf
 * keeps that pinned and has the rest faulted in.
 *
 * A driver knows where queues and rings are because it sees them being set up. It registers as the
 * device's mediator before the device does DMA, and locks each range before it lets the
 * device know of it:
 *
 *	probe:			m = vfio_iopf_mediator_register(dev);
 *	a queue is set up:	ret = vfio_iopf_lock_range(m, iova, size);
 *				if (!ret) tell the device; else fail as the device would
 *	a queue is torn down:	tell the device; vfio_iopf_unlock_range(m, iova, size);
 *	remove:			vfio_iopf_mediator_unregister(m);
 *
 * That there is a mediator is taken for the word that all else may fault, if the administrator has
 * said that the device is a selective one. Locks end when the device leaves its container, which is
 * when it has been closed.
 *
 * All of it sleeps, and vfio_iopf_lock_range() may wait for a disk or for user space. None of it
 * may be called from a dma_unmap() callback, under mmap_lock, or with a lock held that the driver
 * takes in vfio_device_ops.dma_unmap().
 */
#ifndef _LINUX_VFIO_IOPF_MEDIATOR_H
#define _LINUX_VFIO_IOPF_MEDIATOR_H

#include <linux/types.h>

struct device;
struct vfio_iopf_mediator;

struct vfio_iopf_mediator *vfio_iopf_mediator_register(struct device *dev);
void vfio_iopf_mediator_unregister(struct vfio_iopf_mediator *m);
int vfio_iopf_lock_range(struct vfio_iopf_mediator *m, u64 iova, u64 size);
int vfio_iopf_unlock_range(struct vfio_iopf_mediator *m, u64 iova, u64 size);

#endif /* _LINUX_VFIO_IOPF_MEDIATOR_H */
