/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_DRAFT_H
#define IOPF_DRAFT_H

#include <linux/types.h>

struct file;

/**
 * struct iopf_draft - the beginning of a text that is longer than a page, and its writer
 * @writer: the open file of the writer
 * @text: the text so far, or NULL
 * @len: length of @text
 *
 * The owner's lock protects it.
 */
struct iopf_draft {
	const struct file *writer;
	char *text;
	size_t len;
};

ssize_t iopf_draft_write(struct iopf_draft *d, const char *name, const struct file *file,
			 const char *buf, loff_t off, size_t count,
			 int (*replace)(const char *text, size_t len));
void iopf_draft_drop(struct iopf_draft *d);

#endif /* IOPF_DRAFT_H */
