/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_TYPE1_H
#define IOPF_TYPE1_H

int iopf_type1_register(void);
void iopf_type1_unregister(void);

#endif /* IOPF_TYPE1_H */
