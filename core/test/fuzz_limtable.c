// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fuzz target for the table of limits: parses any bytes, compares with the model, and matches the
 * rules against a few devices and owners.
 */
#include "fuzz.h"

#include "model_limtable.h"

const unsigned int fuzz_smoke_runs = 40000;

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static const struct iopf_subject subjects[] = {
		{ .id = { .name = "0000:01:00.0", .vendor = 0x8086, .device = 0x10c9,
			  .class = 0x020000, .pci = true }, .cgroup = "/" },
		{ .id = { .name = "0000:0a:00.1", .vendor = 0x144d, .pci = true }, .uid = 1000,
		  .cgroup = "/a/b" },
		{ .id = { .name = "mdev" }, .uid = U32_MAX, .cgroup = "/ab" },
	};

	if (size <= IOPF_DEVTABLE_MAX_TEXT)
		limtable_compare((const char *)data, size, subjects, ARRAY_SIZE(subjects));
	return 0;
}
