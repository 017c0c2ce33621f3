/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Sweeps: every short text of some words or of some characters.
 */
#ifndef IOPF_CORE_TEST_SWEEP_H
#define IOPF_CORE_TEST_SWEEP_H

#include <stdio.h>
#include <string.h>

/* Calls @check with each sequence of up to @most of @nr words, separated by blanks. */
static inline void sweep_words(const char *const *words, size_t nr, size_t most,
			       void (*check)(const char *text, size_t len))
{
	size_t combinations = 1;

	for (size_t n = 0; n <= most; n++, combinations *= nr) {
		for (size_t i = 0; i < combinations; i++) {
			char text[128] = "";
			size_t rest = i, len = 0;

			for (size_t k = 0; k < n; k++, rest /= nr)
				len += (size_t)sprintf(text + len, "%s ", words[rest % nr]);
			check(text, len ? len - 1 : 0);
		}
	}
}

/**
 * struct sweep_frame - the text around a word
 * @before: the text before the word
 * @after: the text after the word
 */
struct sweep_frame {
	const char *before;
	const char *after;
};

/* Calls @check with each word of up to @most characters of @alphabet in @frame. */
static inline void sweep_characters(const char *alphabet, size_t most,
				    const struct sweep_frame *frame,
				    void (*check)(const char *text, size_t len))
{
	size_t combinations = 1, base = strlen(alphabet);

	for (size_t n = 0; n <= most; n++, combinations *= base) {
		for (size_t i = 0; i < combinations; i++) {
			char word[8] = "", text[128];
			size_t rest = i;

			for (size_t k = 0; k < n; k++, rest /= base)
				word[k] = alphabet[rest % base];
			check(text, (size_t)sprintf(text, "%s%s%s", frame->before, word,
						    frame->after));
		}
	}
}

#endif /* IOPF_CORE_TEST_SWEEP_H */
