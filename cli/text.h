/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Text that others wrote: names of programs, comments of rules, what a file says. It may be any
 * bytes, and whoever chose them may want the terminal to obey, or the reader to see what is not
 * there. So nothing of it is printed as it is:
 *
 * - for people every byte that is no part of a visible character becomes \xHH; of such characters
 *   those that the locale's charset has not do, too. A backslash stays one.
 * - in JSON each byte that is no UTF-8 becomes U+FFFD, and a character that can't be seen \uHHHH.
 *
 * Characters that can't be seen: controls (C0, C1, DEL), those that turn the direction of writing
 * or have no width, and what is no character.
 */
#ifndef CLI_TEXT_H
#define CLI_TEXT_H

#include <stddef.h>
#include <stdio.h>

void text_init(void);
char *text_visible(const char *s, size_t len);
unsigned int text_width(const char *visible, size_t len);
void text_json(FILE *to, const char *json);

#endif /* CLI_TEXT_H */
