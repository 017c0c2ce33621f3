// SPDX-License-Identifier: GPL-2.0-only
/*
 * A plugin of QEMU that counts how often the guest executes each instruction, between marks that
 * the guest's program sets (bench/mark.h).
 *
 * Each address has a running count, which the translated code increments. When a phase is switched
 * on, the plugin subtracts all counts from the phase's share. When the phase is switched off, it
 * adds all counts. So a mark costs a walk over all addresses, and an instruction costs an addition.
 *
 * The plugin works only with one emulated processor, or with one thread that emulates all of them
 * (vm/run --icount), since there are no locks. An instruction that faults and is executed again
 * counts twice. Each repetition of "rep stosb" and the like counts, as in the instruction clock.
 *
 * Vocabulary: a phase is a unit of measurement. It has one or more spans, from on to off.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "../mark.h"
#include "qemu.h"

#define PHASES		64
#define ADDRS_BITS	21
#define ADDRS		(1u << ADDRS_BITS)	/* most addresses; a run of a kernel has 300 000 */

/* Arrays with a common index. They never move, since translated code has addresses of @count. */
static uint64_t *addr, *count, *share[PHASES];
static uint32_t used;
static uint32_t *hash;	/* index + 1, or 0 */
static unsigned int phase;
static bool on;
static const char *out;

static void fail(const char *what)
{
	fprintf(stderr, "counter: %s\n", what);
	exit(2);
}

/* Reserve zeroed memory, which the kernel allocates at the first use. */
static void *reserve(size_t size)
{
	void *va = mmap(NULL, size, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (va == MAP_FAILED)
		fail("no memory");
	return va;
}

static uint32_t find(uint64_t where)
{
	uint32_t slot = (uint32_t)((where * 0x9e3779b97f4a7c15ull) >> (64 - ADDRS_BITS - 1));

	while (hash[slot] && addr[hash[slot] - 1] != where)
		slot = (slot + 1) % (2 * ADDRS);
	if (!hash[slot]) {
		if (used == ADDRS)
			fail("more instructions than there is room for");
		addr[used] = where;
		hash[slot] = ++used;
	}
	return hash[slot] - 1;
}

static void next(void)
{
	if (++phase == PHASES)
		fail("too many phases");
	share[phase] = reserve(ADDRS * sizeof(*share[phase]));
}

static void switch_to(bool wanted)
{
	if (on == wanted || !phase)
		fail("marks out of order");
	on = wanted;
	for (uint32_t i = 0; i < used; i++)
		share[phase][i] += on ? -count[i] : count[i];
}

static void on_mark(unsigned int cpu, void *userdata)
{
	(void)cpu;
	switch ((uintptr_t)userdata) {
	case MARK_NEXT:
		next();
		break;
	case MARK_ON:
		switch_to(true);
		break;
	case MARK_OFF:
		switch_to(false);
		break;
	default:
		fail("a mark of no known kind");
	}
}

static void translate(uint64_t id, struct qemu_plugin_tb *tb)
{
	const size_t head = sizeof(MARK_HEAD) - 1, tail = sizeof(MARK_TAIL) - 1;
	size_t n = qemu_plugin_tb_n_insns(tb);

	(void)id;
	for (size_t i = 0; i < n; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		const uint8_t *code = qemu_plugin_insn_data(insn);
		uint32_t index = find(qemu_plugin_insn_vaddr(insn));

		qemu_plugin_register_vcpu_insn_exec_inline(insn, QEMU_PLUGIN_INLINE_ADD_U64,
							   &count[index], 1);
		if (qemu_plugin_insn_size(insn) != MARK_LEN ||
		    memcmp(code, MARK_HEAD, head) || memcmp(code + head + 1, MARK_TAIL, tail))
			continue;
		qemu_plugin_register_vcpu_insn_exec_cb(insn, on_mark, QEMU_PLUGIN_CB_NO_REGS,
						       (void *)(uintptr_t)code[head]);
	}
}

/* Write a line for each instruction that ran in a phase: address, phase, count. */
static void finish(uint64_t id, void *userdata)
{
	FILE *f = fopen(out, "w");

	(void)id;
	(void)userdata;
	if (!f)
		fail("the file to write to can't be created");
	for (unsigned int p = 1; p <= phase; p++) {
		for (uint32_t i = 0; i < used; i++) {
			if (share[p][i])
				fprintf(f, "%llx %u %llu\n", (unsigned long long)addr[i], p,
					(unsigned long long)share[p][i]);
		}
	}
	if (fclose(f))
		fail("the file could not be written");
}

int qemu_plugin_version = QEMU_PLUGIN_VERSION;

int qemu_plugin_install(uint64_t id, const struct qemu_info_t *info, int argc, char **argv)
{
	(void)info;
	for (int i = 0; i < argc; i++) {
		if (!strncmp(argv[i], "out=", 4))
			out = strdup(argv[i] + 4);
	}
	if (!out)
		fail("out=FILE is missing");
	addr = reserve(ADDRS * sizeof(*addr));
	count = reserve(ADDRS * sizeof(*count));
	hash = reserve(2 * ADDRS * sizeof(*hash));
	qemu_plugin_register_vcpu_tb_trans_cb(id, translate);
	qemu_plugin_register_atexit_cb(id, finish, NULL);
	return 0;
}
