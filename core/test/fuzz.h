/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What every fuzz target includes first. A target is one function under
 * libFuzzer's name and contract; clang's libFuzzer or our own driver
 * (fuzz_main.c) calls it.
 */
#ifndef IOPF_CORE_TEST_FUZZ_H
#define IOPF_CORE_TEST_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* For the models: here a broken promise ends the process, as fuzzers want it. */
#define CHECK(cond) do {						\
	if (!(cond)) {							\
		fprintf(stderr, "%s:%d: CHECK(%s)\n", __FILE__, __LINE__, #cond); \
		abort();						\
	}								\
} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif /* IOPF_CORE_TEST_FUZZ_H */
