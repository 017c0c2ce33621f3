// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fuzz target for the chunk map: programs of operations against the model.
 */
#include "fuzz.h"

#include "model_chunkmap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	chunkmap_run(data, size);
	return 0;
}
