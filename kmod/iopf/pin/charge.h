/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_PIN_CHARGE_H
#define IOPF_PIN_CHARGE_H

#include <linux/mm.h>

struct iopf_area;
struct iopf_mm;
struct iopf_space;
struct task_struct;

/* Stock type1 counts pages against RLIMIT_MEMLOCK, except reserved pages. */
static inline bool iopf_pin_counts(struct page *page)
{
	return !PageReserved(page);
}

void iopf_pin_give_back(struct iopf_space *space, struct iopf_mm *m, long pages);
void iopf_pin_uncharge(struct iopf_area *area, long pages);
void iopf_pin_settle(struct iopf_space *space);
int iopf_pin_charge_new_owner(struct iopf_area *area, struct task_struct *task,
			      struct mm_struct *mm, bool lock_cap);
long iopf_pin_count_new(struct iopf_area *area, u64 iova, struct page **pages, unsigned int n);
bool iopf_pin_counted(struct iopf_area *area, u64 iova);

#endif /* IOPF_PIN_CHARGE_H */
