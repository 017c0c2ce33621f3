/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_MMS_H
#define IOPF_MMS_H

struct iopf_mm;
struct iopf_space;
struct list_head;
struct mm_struct;

int iopf_mms_follow(struct iopf_space *space);
struct iopf_mm *iopf_mms_get(struct iopf_space *space, struct mm_struct *mm);
void iopf_mms_reap(struct iopf_space *space);
void iopf_mms_end(struct iopf_space *space, struct list_head *ended);
void iopf_mms_wait(struct list_head *ended);

#endif /* IOPF_MMS_H */
