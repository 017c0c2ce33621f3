/* SPDX-License-Identifier: GPL-2.0-only */
/* The end of the program when memory runs out. */
#ifndef CLI_MEMORY_H
#define CLI_MEMORY_H

_Noreturn void ctl_no_memory(void);

#endif /* CLI_MEMORY_H */
