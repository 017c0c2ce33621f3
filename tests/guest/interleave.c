// SPDX-License-Identifier: GPL-2.0-only
/*
 * Run a program with its memory spread over the nodes, page by page: without that, all of it is on
 * the node of the processor for as long as there is room.
 *
 *	interleave PROGRAM [ARGUMENT...]
 */
#include <linux/mempolicy.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NODES	0x3ul	/* of numa=fake=2 */

int main(int argc, char **argv)
{
	unsigned long nodes = NODES;

	if (argc < 2)
		return 2;
	if (syscall(SYS_set_mempolicy, MPOL_INTERLEAVE, &nodes, 8 * sizeof(nodes))) {
		perror("interleave: set_mempolicy");
		return 1;
	}
	execv(argv[1], argv + 1);
	perror(argv[1]);
	return 1;
}
