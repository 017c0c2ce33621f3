/* SPDX-License-Identifier: GPL-2.0-only */
/* The version of vfio-iopf: of the module and of iopfctl. */
#ifndef IOPF_CORE_VERSION_H
#define IOPF_CORE_VERSION_H

#define IOPF_VERSION	"0.1"

#endif /* IOPF_CORE_VERSION_H */
