/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_PIN_H
#define IOPF_PIN_H

#include <linux/mm.h>

struct iopf_area;
struct iopf_space;
struct iopf_range;
struct task_struct;

/* What stock type1 counts against RLIMIT_MEMLOCK: pages, but not reserved ones. */
static inline bool iopf_pin_counts(struct page *page)
{
	return !PageReserved(page);
}

typedef int (*iopf_pin_fn)(struct iopf_space *space, void *data);

int iopf_pin_run(struct iopf_space *space, iopf_pin_fn fn, void *data);
int iopf_pin_run_held(struct iopf_space *space, iopf_pin_fn fn, void *data);
void iopf_pin_end(struct iopf_space *space);
int iopf_pin_run_now(struct iopf_space *space, iopf_pin_fn fn, void *data);
int iopf_pin_require(struct iopf_area *area, const struct iopf_range *range);
void iopf_pin_drop(struct iopf_area *area, const struct iopf_range *range);
bool iopf_pin_counted(struct iopf_area *area, u64 iova);
void iopf_pin_repair_all(struct iopf_space *space);
int iopf_pin_page(struct iopf_area *area, u64 iova, struct page **page);
void iopf_pin_uncharge(struct iopf_area *area, long pages);
void iopf_pin_settle(struct iopf_space *space);
int iopf_pin_charge_new_owner(struct iopf_area *area, struct task_struct *task,
			      struct mm_struct *mm, bool lock_cap);

#endif /* IOPF_PIN_H */
