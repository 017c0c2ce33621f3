/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_CHARGE_H
#define IOPF_CHARGE_H

#include <linux/types.h>

struct iopf_mm;
struct mm_struct;
struct task_struct;
struct work_struct;

int iopf_charge(struct task_struct *task, struct mm_struct *mm, bool lock_cap, long pages,
		bool now);
bool iopf_charge_undo(struct iopf_mm *m, long pages);
int iopf_charge_settle(struct iopf_mm *m);
void iopf_charge_exit(void);
void iopf_charge_settle_work(struct work_struct *work);

#endif /* IOPF_CHARGE_H */
