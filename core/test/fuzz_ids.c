// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fuzz target for the device list: compares any text with the model. One device gets its name from
 * the text, so that names match sometimes.
 */
#include "fuzz.h"

#include "model_ids.h"

const unsigned int fuzz_smoke_runs = 40000;

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	/* Memory of the exact size, so that a sanitizer sees reads beyond the end. */
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
