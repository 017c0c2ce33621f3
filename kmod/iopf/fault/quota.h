/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_QUOTA_H
#define IOPF_QUOTA_H

struct iopf_container;

void iopf_quota_share(struct iopf_container *c);
int iopf_quota_add_files(struct iopf_container *c);

#endif /* IOPF_QUOTA_H */
