/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The few functions of QEMU's plugin interface (version 1, QEMU 4.2 and later) that the counter
 * uses. QEMU of Debian 12 has the interface, but Debian has no header for it. QEMU's documentation
 * "QEMU TCG Plugins" describes the functions. The emulator provides them when it loads the plugin.
 */
#ifndef BENCH_PROFILE_QEMU_H
#define BENCH_PROFILE_QEMU_H

#include <stddef.h>
#include <stdint.h>

#define QEMU_PLUGIN_VERSION	1

struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_info_t;

enum qemu_plugin_cb_flags {
	QEMU_PLUGIN_CB_NO_REGS,
};

enum qemu_plugin_op {
	QEMU_PLUGIN_INLINE_ADD_U64,
};

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id,
					   void (*cb)(uint64_t id, struct qemu_plugin_tb *tb));
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn,
					    void (*cb)(unsigned int cpu, void *userdata),
					    enum qemu_plugin_cb_flags flags, void *userdata);
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *insn,
						enum qemu_plugin_op op, void *ptr, uint64_t imm);
void qemu_plugin_register_atexit_cb(uint64_t id, void (*cb)(uint64_t id, void *userdata),
				    void *userdata);

/* A plugin provides these symbols. */
extern int qemu_plugin_version;
int qemu_plugin_install(uint64_t id, const struct qemu_info_t *info, int argc, char **argv);

#endif /* BENCH_PROFILE_QEMU_H */
