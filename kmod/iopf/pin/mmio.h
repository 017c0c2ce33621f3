/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_MMIO_H
#define IOPF_MMIO_H

struct iopf_area;
struct iopf_chunk;
struct iopf_space;

int iopf_pin_mmio(struct iopf_area *area, struct iopf_chunk *chunk, unsigned int page);
void iopf_pin_repair_all(struct iopf_space *space);

#endif /* IOPF_MMIO_H */
