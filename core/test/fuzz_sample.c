// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fuzz target for sampling: programs of watching, sampling and faults against the model.
 */
#include "fuzz.h"

#include "model_sample.h"

const unsigned int fuzz_smoke_runs = 3000;

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	sample_run(data, size);
	return 0;
}
