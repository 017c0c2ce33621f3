/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A machine of QEMU's whose processor is this program: QEMU's qtest protocol, over two pipes.
 *
 * QEMU runs as it is, with all its devices, but no guest code: what the guest's CPU would do,
 * port and memory accesses, is told by text commands. So a nested machine needs neither
 * firmware nor a system. Debian does not ship the accelerator called qtest; a machine that is
 * never started (-S) does as well.
 *
 * Failures of set-up, and a QEMU that ends, bail out.
 */
#ifndef TESTS_LIB_QTEST_H
#define TESTS_LIB_QTEST_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

/**
 * struct qtest - a machine in operation
 * @pid: QEMU
 * @to: its standard input
 * @from: its standard output
 * @line: what it said last
 * @size: room in @line
 */
struct qtest {
	pid_t pid;
	FILE *to;
	FILE *from;
	char *line;
	size_t size;
};

/**
 * qtest_start() - start QEMU
 * @q: out
 * @argv: program and arguments, NULL at the end; "-S -qtest stdio" is the caller's to give
 */
void qtest_start(struct qtest *q, const char * const argv[]);

/** qtest_end() - end QEMU, wait for it */
void qtest_end(struct qtest *q);

/* Guest physical memory, BARs included. */
uint32_t qtest_readl(struct qtest *q, uint64_t addr);
void qtest_writel(struct qtest *q, uint64_t addr, uint32_t value);
void qtest_writeq(struct qtest *q, uint64_t addr, uint64_t value);
void qtest_read(struct qtest *q, uint64_t addr, void *buf, size_t len);
void qtest_write(struct qtest *q, uint64_t addr, const void *buf, size_t len);

/* Configuration space of bus 0, 32 bits at a time. */
uint32_t qtest_pci_read(struct qtest *q, unsigned int devfn, unsigned int reg);
void qtest_pci_write(struct qtest *q, unsigned int devfn, unsigned int reg, uint32_t value);

/**
 * qtest_pci_find_cap() - find a capability
 * @q: the machine
 * @devfn: the device, on bus 0
 * @id: PCI_CAP_ID_*
 *
 * Return: where it is, 0 when there is none
 */
unsigned int qtest_pci_find_cap(struct qtest *q, unsigned int devfn, unsigned int id);

#endif /* TESTS_LIB_QTEST_H */
