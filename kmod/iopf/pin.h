/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_PIN_H
#define IOPF_PIN_H

struct iopf_area;

int iopf_pin_area(struct iopf_area *area);
void iopf_pin_undo(struct iopf_area *area);

#endif /* IOPF_PIN_H */
