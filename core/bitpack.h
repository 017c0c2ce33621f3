/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Packing runs of bits, one behind the other, into 64-bit words.
 *
 * The bitmaps that user space gets are arrays of 64-bit words, lowest bit first; the
 * bits of one area may begin and end anywhere in a word.
 */
#ifndef IOPF_CORE_BITPACK_H
#define IOPF_CORE_BITPACK_H

#include "shim.h"

/**
 * struct iopf_bitpack - the word that is being filled
 * @word: its bits so far
 * @fill: how many; less than 64
 */
struct iopf_bitpack {
	u64 word;
	unsigned int fill;
};

/* Words that iopf_bitpack_add() may complete with @n bits. */
#define IOPF_BITPACK_WORDS(n) (((n) + 63) / 64)

/**
 * iopf_bitpack_init() - begin inside a word
 * @p: the packer
 * @word: the word's value now; bits from @fill on are dropped
 * @fill: bits of it that stay; less than 64
 */
static inline void iopf_bitpack_init(struct iopf_bitpack *p, u64 word, unsigned int fill)
{
	p->word = word & ((1ULL << fill) - 1);
	p->fill = fill;
}

/**
 * iopf_bitpack_add() - append bits
 * @p: the packer
 * @bits: a bitmap
 * @first: first bit of it to append
 * @n: how many
 * @out: completed words; room for IOPF_BITPACK_WORDS(@n)
 *
 * Return: how many words have been completed.
 */
static inline unsigned int iopf_bitpack_add(struct iopf_bitpack *p, const unsigned long *bits,
					    unsigned int first, unsigned int n, u64 *out)
{
	unsigned int words = 0;

	while (n) {
		unsigned int skip = first % BITS_PER_LONG;
		unsigned int take = min(n, min(BITS_PER_LONG - skip, 64 - p->fill));
		u64 part = bits[first / BITS_PER_LONG] >> skip;

		if (take < 64)
			part &= (1ULL << take) - 1;
		p->word |= part << p->fill;
		p->fill += take;
		first += take;
		n -= take;
		if (p->fill == 64) {
			out[words++] = p->word;
			p->word = 0;
			p->fill = 0;
		}
	}
	return words;
}

#endif /* IOPF_CORE_BITPACK_H */
