/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_PIN_H
#define IOPF_PIN_H

#include <linux/mm.h>

struct iopf_area;
struct iopf_space;
struct iopf_range;

typedef int (*iopf_pin_fn)(struct iopf_space *space, void *data);

int iopf_pin_run(struct iopf_space *space, iopf_pin_fn fn, void *data);
int iopf_pin_run_held(struct iopf_space *space, iopf_pin_fn fn, void *data);
void iopf_pin_end(struct iopf_space *space);
int iopf_pin_run_now(struct iopf_space *space, iopf_pin_fn fn, void *data);
int iopf_pin_require(struct iopf_area *area, const struct iopf_range *range);
void iopf_pin_drop(struct iopf_area *area, const struct iopf_range *range);
int iopf_pin_page(struct iopf_area *area, u64 iova, struct page **page);

#endif /* IOPF_PIN_H */
