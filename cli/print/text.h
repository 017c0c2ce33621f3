/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Text from others: names of programs, comments of rules, contents of files. It may contain any
 * bytes. Its author may want to control the terminal or to deceive the reader. So iopfctl never
 * prints it unchanged:
 *
 * - Tables and messages: each byte outside of a visible character becomes \xHH. So does a character
 *   that the locale's charset lacks. A backslash stays a backslash.
 * - JSON: each byte that is invalid in UTF-8 becomes U+FFFD. An invisible character becomes \uHHHH.
 *
 * Invisible characters are: controls (C0, C1, DEL), characters that change the direction of
 * writing, characters without width, and code points that are no characters.
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
