/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_MEDIATE_H
#define IOPF_MEDIATE_H

struct iopf_area;
struct iopf_attach;
struct iopf_container;
struct iopf_device;

bool iopf_mediate_answers(const struct iopf_device *d);
int iopf_mediate_area(struct iopf_area *area);
void iopf_mediate_detach(struct iopf_container *c, struct iopf_attach *at);

#endif /* IOPF_MEDIATE_H */
