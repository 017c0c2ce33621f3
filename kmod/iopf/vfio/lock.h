/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_LOCK_H
#define IOPF_LOCK_H

#include <linux/types.h>

struct iopf_container;
struct vfio_iopf_lock;

int iopf_lock_add(struct iopf_container *c, struct vfio_iopf_lock *lock);
int iopf_lock_remove(struct iopf_container *c, u64 id);
void iopf_lock_undo(struct iopf_container *c, u64 id);
int iopf_lock_complete(struct iopf_container *c, bool complete);

#endif /* IOPF_LOCK_H */
