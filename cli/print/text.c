// SPDX-License-Identifier: GPL-2.0-only
/*
 * Text from others, made safe to print: see text.h.
 */
#include <langinfo.h>
#include <limits.h>
#include <locale.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>
#include <wctype.h>

#include "array.h"
#include "memory.h"
#include "text.h"

#define REPLACEMENT	"\xef\xbf\xbd"	/* U+FFFD */

/* Ranges of characters that are invisible, or change how others look. Ascending. */
static const uint32_t hidden[][2] = {
	{ 0x00, 0x1f },		/* C0 controls */
	{ 0x7f, 0x9f },		/* DEL, C1 controls */
	{ 0xad, 0xad },		/* soft hyphen */
	{ 0x61c, 0x61c },	/* Arabic letter mark */
	{ 0x180e, 0x180e },	/* Mongolian vowel separator */
	{ 0x200b, 0x200f },	/* zero width, marks of direction */
	{ 0x2028, 0x202e },	/* separators, embeddings and overrides of direction */
	{ 0x2060, 0x206f },	/* joiners, isolates, deprecated controls */
	{ 0xfeff, 0xfeff },	/* byte order mark */
	{ 0xfff0, 0xfffb },	/* interlinear annotations */
	{ 0xe0000, 0xe0fff },	/* tags */
};

static bool is_hidden(uint32_t c)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(hidden); i++)
		if (c >= hidden[i][0] && c <= hidden[i][1])
			return true;
	return false;
}

/*
 * Decode the character at @s. @len, the number of bytes there, is not 0. Returns the length of the
 * character; 0: the first byte is invalid.
 */
static size_t decode(const char *s, size_t len, uint32_t *c)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	unsigned char first = *s;
	size_t n = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;

	if (!n || n > len || first > 0xf4)
		return 0;
	*c = n == 1 ? first : first & (0x7f >> n);
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		*c = *c << 6 | (s[i] & 0x3f);
	}
	return *c < least[n] || *c > 0x10ffff || (*c >= 0xd800 && *c < 0xe000) ? 0 : n;
}

static bool is_set(const char *name)
{
	const char *value = getenv(name);

	return value && *value;
}

/* Whether the charset of the requested locale is UTF-8. The locale need not be installed. */
static bool wants_utf8(void)
{
	static const char * const names[] = { "LC_ALL", "LC_CTYPE", "LANG" };

	for (unsigned int i = 0; i < ARRAY_SIZE(names); i++)
		if (is_set(names[i]))
			return strcasestr(getenv(names[i]), "utf-8") ||
			       strcasestr(getenv(names[i]), "utf8");
	/* No variable is set: UTF-8 is the default. */
	return true;
}

/**
 * text_init() - find out which characters can be printed
 *
 * iopfctl uses only the charset of the locale: numbers are the same everywhere.
 */
void text_init(void)
{
	const char *name = setlocale(LC_CTYPE, "");

	if (wants_utf8() && (!name || !strcmp(name, "C") || !strcmp(name, "POSIX")))
		setlocale(LC_CTYPE, "C.UTF-8");
}

/* Print a character in the locale's charset; false: it is invisible, or not in the charset. */
static bool put_visible(FILE *f, uint32_t c)
{
	char bytes[MB_LEN_MAX];
	mbstate_t state = { };
	size_t n;

	if (is_hidden(c) || (c >= 0x80 && (!iswprint((wint_t)c) || wcwidth((wchar_t)c) < 0)))
		return false;
	n = wcrtomb(bytes, (wchar_t)c, &state);
	return n != (size_t)-1 && fwrite(bytes, 1, n, f) == n;
}

/**
 * text_visible() - make a text safe for tables and messages
 * @s: any bytes
 * @len: number of bytes
 *
 * Return: the text, in the locale's charset; the caller frees it
 */
char *text_visible(const char *s, size_t len)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		ctl_no_memory();
	for (size_t at = 0, n; at < len; at += n) {
		uint32_t c;

		n = decode(s + at, len - at, &c);
		if (n && put_visible(f, c))
			continue;
		n = n ? n : 1;
		for (size_t i = at; i < at + n; i++)
			fprintf(f, "\\x%02x", (unsigned char)s[i]);
	}
	if (fclose(f))
		ctl_no_memory();
	return text;
}

/**
 * text_width() - the number of columns that a text takes
 * @visible: a text from text_visible()
 * @len: its length
 */
unsigned int text_width(const char *visible, size_t len)
{
	mbstate_t state = { };
	unsigned int width = 0;

	for (size_t at = 0, n; at < len; at += n) {
		wchar_t c;
		int columns;

		n = mbrtowc(&c, visible + at, len - at, &state);
		if (!n || n > len - at)
			break;
		columns = wcwidth(c);
		width += columns > 0 ? columns : 0;
	}
	return width;
}

static void put_escaped(FILE *to, uint32_t c)
{
	if (c >= 0x10000)
		fprintf(to, "\\u%04x\\u%04x", 0xd7c0 + (c >> 10), 0xdc00 | (c & 0x3ff));
	else
		fprintf(to, "\\u%04x", c);
}

/**
 * text_json() - print JSON whose strings may contain any bytes as valid, visible JSON
 * @to: the stream
 * @json: the output of json-c: strings contain all non-ASCII bytes, and C0 controls are escaped
 *
 * A terminal without UTF-8 gets ASCII, because it may take some bytes of UTF-8 for controls.
 */
void text_json(FILE *to, const char *json)
{
	bool ascii = isatty(fileno(to)) && strcmp(nl_langinfo(CODESET), "UTF-8");
	size_t len = strlen(json);

	for (size_t at = 0, n; at < len; at += n) {
		uint32_t c;

		n = decode(json + at, len - at, &c);
		if (!n) {
			n = 1;
			fputs(ascii ? "\\ufffd" : REPLACEMENT, to);
		} else if (c == '\n' || (!is_hidden(c) && (c < 0x80 || !ascii))) {
			fwrite(json + at, 1, n, to);
		} else {
			put_escaped(to, c);
		}
	}
}
