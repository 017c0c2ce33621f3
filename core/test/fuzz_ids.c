// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fuzz target for the device list: any text against the model. The name of one
 * of the devices is taken out of the text too, so that names match now and then.
 */
#include "fuzz.h"

#include "model_ids.h"

const unsigned int fuzz_smoke_runs = 40000;

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	/* The exact size: reading beyond the end shows. */
	char *list = strndup((const char *)data, size);
	char *name = NULL;
	struct iopf_id ids[] = {
		{ .name = "0000:01:00.0", .vendor = 0x8086, .device = 0x10c9, .pci = true },
		{ .name = "platform", .vendor = 0x8086, .device = 0x10c9 },
		{ .vendor = 0, .device = 0xa, .pci = true },
	};

	CHECK(list);
	name = strndup(list, strcspn(list, ",\n"));
	CHECK(name);
	ids[2].name = name;
	ids_compare(list, ids, ARRAY_SIZE(ids));
	free(name);
	free(list);
	return 0;
}
