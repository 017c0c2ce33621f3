/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_PIN_H
#define IOPF_PIN_H

#include <linux/mm.h>

struct iopf_area;
struct iopf_container;
struct iopf_range;
struct task_struct;
struct work_struct;

/* What stock type1 counts against RLIMIT_MEMLOCK: pages, but not reserved ones. */
static inline bool iopf_pin_counts(struct page *page)
{
	return !PageReserved(page);
}

typedef int (*iopf_pin_fn)(struct iopf_container *c, void *data);

int iopf_pin_run(struct iopf_container *c, iopf_pin_fn fn, void *data);
int iopf_pin_run_held(struct iopf_container *c, iopf_pin_fn fn, void *data);
void iopf_pin_end(struct iopf_container *c);
int iopf_pin_run_now(struct iopf_container *c, iopf_pin_fn fn, void *data);
int iopf_pin_require(struct iopf_area *area, const struct iopf_range *range);
void iopf_pin_drop(struct iopf_area *area, const struct iopf_range *range);
bool iopf_pin_counted(struct iopf_area *area, u64 iova);
int iopf_pin_repair(struct iopf_area *area);
int iopf_pin_page(struct iopf_area *area, u64 iova, struct page **page);
void iopf_pin_uncharge(struct iopf_area *area, long pages);
void iopf_pin_settle(struct iopf_container *c);
void iopf_pin_settle_work(struct work_struct *work);
int iopf_pin_charge_new_owner(struct iopf_area *area, struct task_struct *task,
			      struct mm_struct *mm, bool lock_cap);

#endif /* IOPF_PIN_H */
