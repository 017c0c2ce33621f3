/* SPDX-License-Identifier: GPL-2.0-only */
/* Sizes with units that are powers of 1024. */
#ifndef CLI_SIZE_H
#define CLI_SIZE_H

#include <stddef.h>
#include <stdint.h>

int size_parse(const char *text, uint64_t *bytes);
void size_text(uint64_t bytes, char *buf, size_t size);

#endif /* CLI_SIZE_H */
