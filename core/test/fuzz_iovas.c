// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fuzz target for the usable addresses: programs of holes and apertures against the model.
 */
#include "fuzz.h"

#include "model_iovas.h"

const unsigned int fuzz_smoke_runs = 30000;

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	iovas_run(data, size);
	return 0;
}
