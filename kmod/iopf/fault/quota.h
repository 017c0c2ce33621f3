/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_QUOTA_H
#define IOPF_QUOTA_H

struct list_head;

void iopf_quota_share(struct list_head *queues, unsigned int fault_workers_max,
		      unsigned int prefetch_max);
unsigned int iopf_quota_used(const struct list_head *queues);

#endif /* IOPF_QUOTA_H */
