/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A QEMU machine whose processor is this program: QEMU's qtest protocol, over two pipes.
 *
 * QEMU is unmodified and has all its devices, but runs no guest code. Text commands make the
 * accesses of the guest's CPU to ports and memory. So a nested machine needs neither firmware nor a
 * system. Debian's QEMU lacks the accelerator qtest. A machine that is never started (-S) works,
 * too.
 *
 * If the set-up fails, or QEMU ends, the test bails out.
 */
#ifndef TESTS_LIB_QTEST_H
#define TESTS_LIB_QTEST_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

/**
 * struct qtest - a running machine
 * @pid: QEMU
 * @to: its standard input
 * @from: its standard output
 * @line: its last answer
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
 * @argv: program and arguments, NULL at the end; must contain "-S -qtest stdio"
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
 * Return: its offset; 0: the device does not have it
 */
unsigned int qtest_pci_find_cap(struct qtest *q, unsigned int devfn, unsigned int id);

#endif /* TESTS_LIB_QTEST_H */
