// SPDX-License-Identifier: GPL-2.0-only
/*
 * A machine of QEMU: see qtest.h.
 *
 * In the protocol, a command is a line. The answer is a line "OK", with a value if the command has
 * one. Lines that begin with IRQ may come between them.
 */
#include <inttypes.h>
#include <linux/pci_regs.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "qtest.h"
#include "tap.h"

/* The configuration mechanism of a PC: address, then data. */
#define PCI_ADDRESS_PORT	0xcf8
#define PCI_DATA_PORT		0xcfc
#define PCI_ADDRESS_ENABLE	0x80000000u

/* Capabilities lie after the header, and have at least four bytes each. */
#define PCI_CAPS_MOST		48

void qtest_start(struct qtest *q, const char * const argv[])
{
	int to[2], from[2];

	memset(q, 0, sizeof(*q));
	must_sys(pipe(to));
	must_sys(pipe(from));
	q->pid = must_sys(fork());
	if (!q->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(to[0], 0);
		dup2(from[1], 1);
		close(to[1]);
		close(from[0]);
		execvp(argv[0], (char * const *)argv);
		fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
		_exit(127);
	}
	close(to[0]);
	close(from[1]);
	signal(SIGPIPE, SIG_IGN);
	q->to = fdopen(to[1], "w");
	q->from = fdopen(from[0], "r");
	must_be(q->to && q->from);
}

static void qtest_gone(struct qtest *q) __attribute__((noreturn));

static void qtest_gone(struct qtest *q)
{
	int status = 0;

	waitpid(q->pid, &status, 0);
	tap_bail("QEMU ended, status 0x%x", status);
}

/* Return the answer to a command: the text after OK. */
static const char *qtest_answer(struct qtest *q)
{
	fputc('\n', q->to);
	if (fflush(q->to))
		qtest_gone(q);
	do {
		if (getline(&q->line, &q->size, q->from) < 0)
			qtest_gone(q);
	} while (!strncmp(q->line, "IRQ", 3));
	if (strncmp(q->line, "OK", 2))
		tap_bail("QEMU answers %.100s", q->line);
	return q->line + 2;
}

static uint64_t qtest_say(struct qtest *q, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static uint64_t qtest_say(struct qtest *q, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vfprintf(q->to, fmt, args);
	va_end(args);
	return strtoull(qtest_answer(q), NULL, 0);
}

void qtest_end(struct qtest *q)
{
	int status;

	kill(q->pid, SIGTERM);
	must_sys(waitpid(q->pid, &status, 0));
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		tap_bail("QEMU did not end well, status 0x%x", status);
	fclose(q->to);
	fclose(q->from);
	free(q->line);
}

uint32_t qtest_readl(struct qtest *q, uint64_t addr)
{
	return (uint32_t)qtest_say(q, "readl 0x%" PRIx64, addr);
}

void qtest_writel(struct qtest *q, uint64_t addr, uint32_t value)
{
	qtest_say(q, "writel 0x%" PRIx64 " 0x%" PRIx32, addr, value);
}

void qtest_writeq(struct qtest *q, uint64_t addr, uint64_t value)
{
	qtest_say(q, "writeq 0x%" PRIx64 " 0x%" PRIx64, addr, value);
}

static unsigned int qtest_digit(char c)
{
	return (unsigned int)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
}

void qtest_read(struct qtest *q, uint64_t addr, void *buf, size_t len)
{
	const char *hex;
	size_t i;

	fprintf(q->to, "read 0x%" PRIx64 " 0x%zx", addr, len);
	hex = qtest_answer(q);
	if (strncmp(hex, " 0x", 3) || strspn(hex + 3, "0123456789abcdefABCDEF") != 2 * len)
		tap_bail("QEMU answers a read with %.100s", hex);
	hex += 3;
	for (i = 0; i < len; i++)
		((uint8_t *)buf)[i] = (uint8_t)(qtest_digit(hex[2 * i]) << 4 |
						qtest_digit(hex[2 * i + 1]));
}

void qtest_write(struct qtest *q, uint64_t addr, const void *buf, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *from = buf;
	size_t i;

	fprintf(q->to, "write 0x%" PRIx64 " 0x%zx 0x", addr, len);
	for (i = 0; i < len; i++) {
		fputc(digits[from[i] >> 4], q->to);
		fputc(digits[from[i] & 15], q->to);
	}
	qtest_answer(q);
}

static void qtest_pci_select(struct qtest *q, unsigned int devfn, unsigned int reg)
{
	qtest_say(q, "outl 0x%x 0x%x", PCI_ADDRESS_PORT,
		  PCI_ADDRESS_ENABLE | devfn << 8 | (reg & ~3u));
}

uint32_t qtest_pci_read(struct qtest *q, unsigned int devfn, unsigned int reg)
{
	qtest_pci_select(q, devfn, reg);
	return (uint32_t)qtest_say(q, "inl 0x%x", PCI_DATA_PORT);
}

void qtest_pci_write(struct qtest *q, unsigned int devfn, unsigned int reg, uint32_t value)
{
	qtest_pci_select(q, devfn, reg);
	qtest_say(q, "outl 0x%x 0x%x", PCI_DATA_PORT, value);
}

unsigned int qtest_pci_find_cap(struct qtest *q, unsigned int devfn, unsigned int id)
{
	unsigned int where = qtest_pci_read(q, devfn, PCI_CAPABILITY_LIST) & 0xfc;
	unsigned int i;

	for (i = 0; where && i < PCI_CAPS_MOST; i++) {
		uint32_t head = qtest_pci_read(q, devfn, where);

		if ((head & 0xff) == id)
			return where;
		where = head >> 8 & 0xfc;
	}
	return 0;
}
