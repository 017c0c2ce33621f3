/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_PREFAULT_H
#define IOPF_PREFAULT_H

#include <linux/types.h>

struct iopf_container;
struct iopf_prefault;
struct iopf_prefaults;
struct iopf_range;
struct vfio_iopf_prefault;
struct vfio_iopf_prefault_status;

struct iopf_prefaults *iopf_prefaults_create(struct iopf_container *c);
void iopf_prefaults_end(struct iopf_prefaults *ps);
void iopf_prefaults_put(struct iopf_prefaults *ps);
void iopf_prefaults_count(struct iopf_prefaults *ps, unsigned int *held, u64 *pages);

struct iopf_prefault *iopf_prefault_of_ranges(struct iopf_container *c,
					      const struct vfio_iopf_prefault *arg);
struct iopf_prefault *iopf_prefault_of_workset(struct iopf_container *c, u8 *data, size_t size,
					       int eventfd);
struct iopf_prefault *iopf_prefault_of_policy(struct iopf_container *c,
					      const struct iopf_range *ranges, unsigned int nr);
u64 iopf_prefault_start_policy(struct iopf_prefault *p);
u64 iopf_prefault_id(const struct iopf_prefault *p);
int iopf_prefault_start(struct iopf_prefault *p);
void iopf_prefault_put(struct iopf_prefault *p);
int iopf_prefault_query(struct iopf_container *c, struct vfio_iopf_prefault_status *status,
			bool cancel);

#endif /* IOPF_PREFAULT_H */
