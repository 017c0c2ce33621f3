/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_APERTURE_H
#define IOPF_APERTURE_H

struct iopf_attach;
struct iopf_container;
struct iopf_iovas;

struct iopf_iovas *iopf_aperture_compute(struct iopf_container *c, struct iopf_attach *more);
int iopf_aperture_check(struct iopf_container *c, struct iopf_attach *at,
			struct iopf_iovas **iovas);
int iopf_aperture_msi(struct iopf_attach *at);

#endif /* IOPF_APERTURE_H */
