// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fuzz target for the device table: parses any bytes, compares with the model, and matches the
 * rules against a few devices.
 */
#include "fuzz.h"

#include "model_devtable.h"

const unsigned int fuzz_smoke_runs = 60000;

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static const struct iopf_id ids[] = {
		{ .name = "0000:01:00.0", .vendor = 0x8086, .device = 0x10c9, .subvendor = 0x15d9,
		  .subdevice = 1, .class = 0x020000, .pci = true },
		{ .name = "0000:0a:00.1", .vendor = 0x144d, .device = 0xa808, .class = 0x010802,
		  .pci = true },
		{ .name = "platform", .vendor = 0x8086, .device = 0x10c9 },
	};

	/* The input ends with its memory, so a sanitizer sees reads beyond it. */
	if (size <= IOPF_DEVTABLE_MAX_TEXT)
		devtable_compare((const char *)data, size, ids, ARRAY_SIZE(ids));
	return 0;
}
