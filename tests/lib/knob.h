/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Knobs and counters of the simulator (debugfs) and of the backend (sysfs), and the backend that
 * serves a device.
 *
 * The _try functions return 0 or a negative errno. The others bail out, because a test without its
 * knob is meaningless.
 */
#ifndef TESTS_LIB_KNOB_H
#define TESTS_LIB_KNOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KNOB_SIM_DIR	"/sys/kernel/debug/iopf_sim"
#define KNOB_IOPF_DIR	"/sys/kernel/vfio_iopf"

/** knob_read_try() - a number, decimal or 0x, from the file at the printf-style path */
int knob_read_try(uint64_t *value, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/** knob_read_text() - a line of text without its newline; -errno when it can't be read */
int knob_read_text(char *buf, size_t size, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/** knob_write_try() - write a number */
int knob_write_try(uint64_t value, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/** sim_knob() - set a knob of one simulated device */
void sim_knob(const char *bdf, const char *name, uint64_t value);

/** sim_knob_get() - read a knob of one simulated device, such as the number of drops left */
uint64_t sim_knob_get(const char *bdf, const char *name);

/** sim_count() - a counter of one simulated device */
uint64_t sim_count(const char *bdf, const char *name);

/** sim_count_try() - the same; returns 0 or a negative errno, for users who may not read it */
int sim_count_try(const char *bdf, const char *name, uint64_t *value);

/** sim_iommu_knob() - set a knob of the simulated IOMMU */
void sim_iommu_knob(const char *name, uint64_t value);

/** sim_iommu_knob_get() - read a knob of the simulated IOMMU */
uint64_t sim_iommu_knob_get(const char *name);

/** sim_iommu_count() - a counter of the simulated IOMMU */
uint64_t sim_iommu_count(const char *name);

/** sim_calm() - reset each knob of this device and of the IOMMU that causes errors */
void sim_calm(const char *bdf);

/** iopf_count() - a counter of the backend about one device */
uint64_t iopf_count(const char *bdf, const char *name);

/** iopf_text() - a text attribute of the backend about one device; "": absent */
const char *iopf_text(const char *bdf, const char *name);

/** iopf_enable() - write "enabled" of this device; 0 or a negative errno */
int iopf_enable(const char *bdf, bool on);

/** iopf_param() - set a parameter of the backend module; 0 or a negative errno */
int iopf_param(const char *name, uint64_t value);

/** iopf_serves_me() - whether the backend serves a container of this process */
bool iopf_serves_me(void);

/** iopf_loaded() - whether the backend is loaded */
bool iopf_loaded(void);

/** kmsg_mark() - remember this point of the kernel log */
void kmsg_mark(void);

/** kmsg_count() - number of records with @needle since kmsg_mark() */
unsigned int kmsg_count(const char *needle);

#endif /* TESTS_LIB_KNOB_H */
