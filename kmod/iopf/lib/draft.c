// SPDX-License-Identifier: GPL-2.0-only
/*
 * Texts of rules that are written to a file in sysfs.
 *
 * sysfs gives us a page at a time, and who has a longer text writes full pages. So a full page is
 * a draft, and what is less ends it. A text must begin at the beginning of the file, and a draft
 * is for its writer to go on with; anything else is an error, so that no rule is lost
 * silently. A text of exactly so many pages wants an empty line more.
 *
 * Locking: the lock of whose file it is.
 */
#include <linux/mm.h>
#include <linux/slab.h>

#include "../../../core/devtable.h"
#include "draft.h"
#include "params.h"

#define DRAFT_MAX (IOPF_DEVTABLE_MAX_TEXT + PAGE_SIZE)

/**
 * iopf_draft_drop() - forget what has been written
 * @d: the draft
 */
void iopf_draft_drop(struct iopf_draft *d)
{
	kvfree(d->text);
	*d = (struct iopf_draft){ };
}

/**
 * iopf_draft_write() - take a page, and at the end the text
 * @d: the draft
 * @name: of the file in sysfs
 * @file: the writer
 * @buf: the page
 * @off: where it is in the text
 * @count: its length
 * @replace: takes the text; 0 or a negative error number
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
		pr_err(IOPF_DRIVER_NAME ": %s: not at the beginning, and not where this writer's last page ended\n",
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
	/* There is room: what is too long is refused below. */
	memcpy(d->text + off, buf, count);
	d->len += count;
	if (count == PAGE_SIZE && d->len <= IOPF_DEVTABLE_MAX_TEXT)
		return count;
	ret = replace(d->text, d->len);
	iopf_draft_drop(d);
	return ret ?: count;
}
