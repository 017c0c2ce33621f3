// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fuzz target for the chunk map: programs of operations against the model.
 */
#include "fuzz.h"

#include "model_chunkmap.h"

const unsigned int fuzz_smoke_runs = 1000;

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	chunkmap_run(data, size);
	return 0;
}
