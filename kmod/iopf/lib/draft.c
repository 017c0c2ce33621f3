// SPDX-License-Identifier: GPL-2.0-only
/*
 * Collect a text of rules that is written to a file in sysfs.
 *
 * sysfs passes one page at a time, so a program with a longer text writes full pages. A full page
 * is a draft, and a shorter write ends the text. A text must begin at offset 0, and only the writer
 * of a draft may continue it. Any other write is an error, so that no rule is lost silently. If a
 * text has exactly the length of some pages, its writer must append an empty line.
 *
 * Locking: the lock of the file's owner.
 */
#include <linux/mm.h>
#include <linux/slab.h>

#include "../../../core/devtable.h"
#include "draft.h"
#include "params.h"

#define DRAFT_MAX (IOPF_DEVTABLE_MAX_TEXT + PAGE_SIZE)

/**
 * iopf_draft_drop() - discard a draft
 * @d: the draft
 */
void iopf_draft_drop(struct iopf_draft *d)
{
	kvfree(d->text);
	*d = (struct iopf_draft){ };
}

/**
 * iopf_draft_write() - append a page, and use the text if it is complete
 * @d: the draft
 * @name: name of the file in sysfs
 * @file: the open file of the writer
 * @buf: the page
 * @off: offset of the page in the text
 * @count: length of the page
 * @replace: uses the complete text; returns 0 or a negative error number
 *
 * Return: @count or a negative error number.
 */
ssize_t iopf_draft_write(struct iopf_draft *d, const char *name, const struct file *file,
			 const char *buf, loff_t off, size_t count,
			 int (*replace)(const char *text, size_t len))
{
	int ret;

	if (!off)
		iopf_draft_drop(d);
	if (off != d->len || (off && file != d->writer)) {
		pr_err(IOPF_DRIVER_NAME ": %s: a write has to begin at offset 0, or where the last write of the same file ended\n",
		       name);
		return -EINVAL;
	}
	if (!off && count < PAGE_SIZE)
		return replace(buf, count) ?: count;

	if (!d->text) {
		d->text = kvmalloc(DRAFT_MAX, GFP_KERNEL);
		if (!d->text)
			return -ENOMEM;
		d->writer = file;
	}
	/* There is room for a page beyond the maximum: @replace refuses a text that is too long. */
	memcpy(d->text + off, buf, count);
	d->len += count;
	if (count == PAGE_SIZE && d->len <= IOPF_DEVTABLE_MAX_TEXT)
		return count;
	ret = replace(d->text, d->len);
	iopf_draft_drop(d);
	return ret ?: count;
}
