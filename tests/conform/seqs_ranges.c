// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ranges that sequences of more than one topic ask about.
 */
#include "seqs.h"

const struct seqs_range seqs_ranges[] = {
	{ "size 0", I0 + PG, 0 },
	{ "size 0, not mapped", I0, 0 },
	{ "size 0 at 0", 0, 0 },
	{ "size 1", I0 + PG, 1 },
	{ "size 1, not mapped", I0, 1 },
	{ "size misaligned", I0 + PG, 2 * PG - 8 },
	{ "size misaligned, over all", I0, 16 * PG - 8 },
	{ "iova misaligned", I0 + PG + 8, PG },
	{ "iova misaligned, over all", I0 + 8, 16 * PG },
	{ "both misaligned", I0 + PG + 8, PG - 8 },
	{ "both misaligned, over all", I0 + 8, 16 * PG - 8 },
	{ "everything there can be", 0, 1ull << 48 },
	{ "beyond the aperture too", 0, 1ull << 60 },
	{ "beyond the aperture only", 1ull << 60, PG },
	{ "half of 2^64", 0, 1ull << 63 },
	{ "all but the last page of 2^64", 0, -PG },
	{ "wraps", -PG, 2 * PG },
	{ "wraps far", I0, -PG },
	{ "ends at 2^64", -PG, PG },
	{ "ends at 2^64, from afar", I0, -I0 },
	{ "nothing there", I0 + 64 * PG, 16 * PG },
	{ "nothing there, larger", I0 + 64 * PG, 64 * PG },
	{ "the first page", 0, PG },
	{ "the reserved window", 0xfee00000, 0x100000 },
	{ "as large as a bitmap may be", 0, 0x7fffffffull * PG },
	{ "and a page", 0, 0x80000000ull * PG },
	{ NULL },
};
