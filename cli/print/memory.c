// SPDX-License-Identifier: GPL-2.0-only
/*
 * The end of the program when memory runs out.
 */
#include <stdio.h>
#include <stdlib.h>

#include "exit.h"
#include "memory.h"

/**
 * ctl_no_memory() - report that memory ran out, and exit
 *
 * Only code that reads or prints may call it. Such code leaves no change half done.
 */
void ctl_no_memory(void)
{
	fputs("iopfctl: out of memory; close other programs and try again\n", stderr);
	exit(CTL_FAILED);
}
