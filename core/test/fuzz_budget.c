// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fuzz target for budgets: programs of faults, pins, evictions and limits against the model.
 */
#include "fuzz.h"

#include "model_budget.h"

const unsigned int fuzz_smoke_runs = 20000;

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	u64 refaults = 0, thrashed = 0;

	budget_run(data, size, &refaults, &thrashed);
	return 0;
}
