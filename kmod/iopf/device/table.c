// SPDX-License-Identifier: GPL-2.0-only
/*
 * The device table: which devices may fault, and how. The rules are in core/devtable.h.
 *
 * The first match counts: the module parameter "ids", then the administrator's rules, then the
 * built-in rules of the module. A device without a match may not fault, whatever its registers
 * offer.
 *
 * /sys/kernel/vfio_iopf/device_table shows the rules in force, in that order. Each line has the
 * origin, the line number in the text of the origin, the rule, and its source as a comment. A write
 * replaces all rules of the administrator. A text with a mistake is refused: the log says where the
 * mistake is, and nothing changes. A device that is not in use gets its ruling from a new table at
 * once. A device in use gets it when it is released. A mode that was written by hand lasts until
 * then.
 *
 * A ruling is the result of the tables for one device, ready to be applied. First the rulings of
 * all devices are allocated. After that no step can fail.
 *
 * Locking: iopf_devices_lock. The module's parameter lock protects the list "ids", and nests
 * inside.
 */
#include <linux/device.h>
#include <linux/moduleparam.h>
#include <linux/pci.h>
#include <linux/seq_buf.h>
#include <linux/slab.h>
#include <linux/sysfs.h>

#include "../../../core/devtable.h"
#include "../lib/draft.h"
#include "../lib/params.h"
#include "device.h"
#include "table.h"

/* The list of devices that may fault; under the module's parameter lock. */
static char iopf_ids[1024];

static int ids_set(const char *val, const struct kernel_param *kp)
{
	const char *bad;
	size_t len;

	if (strlen(val) >= sizeof(iopf_ids)) {
		pr_err(IOPF_DRIVER_NAME ": ids: longer than %zu characters\n",
		       sizeof(iopf_ids) - 1);
		return -ENOSPC;
	}
	if (iopf_ids_check(val, &bad, &len)) {
		pr_err(IOPF_DRIVER_NAME ": ids: '%.*s' is neither vendor:device, a device's name, nor 'all'\n",
		       (int)min(len, (size_t)64), bad);
		return -EINVAL;
	}
	strscpy(iopf_ids, val, sizeof(iopf_ids));
	strim(iopf_ids);
	return 0;
}

static int ids_get(char *buf, const struct kernel_param *kp)
{
	return sysfs_emit(buf, "%s\n", iopf_ids);
}

static const struct kernel_param_ops ids_ops = {
	.set = ids_set,
	.get = ids_get,
};

module_param_cb(ids, &ids_ops, NULL, 0644);
MODULE_PARM_DESC(ids,
		 "Devices that may fault, regardless of the device table: vendor:device in hexadecimal (* for any device), device names, or all; comma-separated; applies to new devices, and when the table is written (default: none)");

/**
 * struct iopf_table - rules, and the text that they point into
 * @rules: the rules
 * @len: bytes of text
 * @text: the text
 */
struct iopf_table {
	struct iopf_devtable *rules;
	size_t len;
	char text[] __counted_by(len);
};

static struct iopf_table *table_builtin;
static struct iopf_table *table_admin;

static struct iopf_draft table_draft;

/**
 * struct iopf_ruling - the result of the tables for one device
 * @mode: how the device may fault
 * @policy: default policy of the device
 * @nr_windows: number of windows
 * @windows: addresses at which the device does not fault, or NULL
 * @rule: the rule that decided, and its origin
 */
struct iopf_ruling {
	enum iopf_mode mode;
	enum iopf_policy policy;
	unsigned int nr_windows;
	struct iopf_range *windows;
	char *rule;
};

#define RULE_IDS_FORMAT "ids - %s"
#define RULE_DEFAULT "default - address * none"
/* Size of the text around a rule and its source. */
#define RULE_EXTRA (sizeof("builtin 4294967295 ") + sizeof(" # ") + sizeof("\n"))

static void table_free(struct iopf_table *t)
{
	if (t)
		kvfree(t->rules);
	kvfree(t);
}

/**
 * iopf_table_complain() - log the mistake in a text of rules
 * @name: name of the file in sysfs
 * @err: the mistake
 */
void iopf_table_complain(const char *name, const struct iopf_devtable_error *err)
{
	if (err->len)
		pr_err(IOPF_DRIVER_NAME ": %s: line %u, column %u: '%.*s': %s\n", name, err->line,
		       err->column, (int)min(err->len, (size_t)64), err->word, err->why);
	else
		pr_err(IOPF_DRIVER_NAME ": %s: line %u, column %u: %s\n", name, err->line,
		       err->column, err->why);
}

/* Make a table from a copy of a text. For -EINVAL the mistake has been logged. */
static struct iopf_table *table_new(const char *text, size_t len)
{
	unsigned int room = iopf_devtable_room(text, len);
	struct iopf_table *t = kvmalloc(struct_size(t, text, len), GFP_KERNEL);
	struct iopf_devtable_error err;
	int ret = -ENOMEM;

	if (!t)
		return ERR_PTR(-ENOMEM);
	t->len = len;
	memcpy(t->text, text, len);
	t->rules = kvmalloc(struct_size(t->rules, rule, room), GFP_KERNEL);
	if (!t->rules)
		goto err_free;
	t->rules->max = room;
	ret = iopf_devtable_parse(t->rules, t->text, len, &err);
	if (ret) {
		iopf_table_complain("device_table", &err);
		goto err_free;
	}
	return t;

err_free:
	table_free(t);
	return ERR_PTR(ret);
}

/**
 * iopf_table_id() - return the identity of a device, which rules match
 * @dev: the device
 * @id: out: the identity
 */
void iopf_table_id(struct device *dev, struct iopf_id *id)
{
	*id = (struct iopf_id){ .name = dev_name(dev), .pci = dev_is_pci(dev) };
	if (id->pci) {
		const struct pci_dev *pdev = to_pci_dev(dev);

		id->vendor = pdev->vendor;
		id->device = pdev->device;
		id->subvendor = pdev->subsystem_vendor;
		id->subdevice = pdev->subsystem_device;
		id->class = pdev->class;
	}
}

/**
 * iopf_table_print() - print a rule, without a newline
 * @s: the buffer
 * @origin: origin of the rule
 * @r: the rule
 */
void iopf_table_print(struct seq_buf *s, enum iopf_origin origin, const struct iopf_rule *r)
{
	seq_buf_printf(s, "%s %u %.*s", iopf_origin_name(origin), r->line, (int)r->len, r->text);
	if (r->source_len)
		seq_buf_printf(s, " # %.*s", (int)r->source_len, r->source);
}

static char *rule_text(enum iopf_origin origin, const struct iopf_rule *r)
{
	size_t size = r->len + r->source_len + RULE_EXTRA;
	char *text = kmalloc(size, GFP_KERNEL);
	struct seq_buf s;

	if (!text)
		return NULL;
	seq_buf_init(&s, text, size);
	iopf_table_print(&s, origin, r);
	seq_buf_str(&s);
	return text;
}

static void ruling_free(struct iopf_ruling *r)
{
	if (r) {
		kfree(r->windows);
		kfree(r->rule);
	}
	kfree(r);
}

/* Make the ruling for a device, with @admin as the administrator's table. */
static struct iopf_ruling *ruling_new(struct device *dev, const struct iopf_table *admin)
{
	struct iopf_ruling *r = kzalloc(sizeof(*r), GFP_KERNEL);
	const struct iopf_rule *rule;
	struct iopf_verdict v;
	struct iopf_id id;

	if (!r)
		return NULL;
	iopf_table_id(dev, &id);
	kernel_param_lock(THIS_MODULE);
	v = iopf_devtable_judge(iopf_ids, admin->rules, table_builtin->rules, &id);
	if (v.origin == IOPF_ORIGIN_IDS)
		r->rule = kasprintf(GFP_KERNEL, RULE_IDS_FORMAT, iopf_ids);
	kernel_param_unlock(THIS_MODULE);

	r->mode = v.mode;
	rule = v.rule;
	if (rule) {
		r->policy = rule->policy;
		r->nr_windows = rule->nr_windows;
		r->rule = rule_text(v.origin, rule);
	} else if (v.origin == IOPF_ORIGIN_DEFAULT) {
		r->rule = kstrdup(RULE_DEFAULT, GFP_KERNEL);
	}
	if (r->nr_windows)
		r->windows = kmemdup_array(rule->window, r->nr_windows, sizeof(*r->windows),
					   GFP_KERNEL);
	if (!r->rule || (r->nr_windows && !r->windows)) {
		ruling_free(r);
		return NULL;
	}
	return r;
}

/* Apply a ruling, and free it. */
static void ruling_apply(struct iopf_device *d, struct iopf_ruling *r)
{
	swap(d->windows, r->windows);
	swap(d->rule, r->rule);
	d->nr_windows = r->nr_windows;
	WRITE_ONCE(d->policy, r->policy);
	WRITE_ONCE(d->mode, r->mode);
	WRITE_ONCE(d->enabled, r->mode != IOPF_MODE_NONE);
	ruling_free(r);
}

/* Return whether a ruling changes nothing but the text of the rule. */
static bool ruling_is(const struct iopf_device *d, const struct iopf_ruling *r)
{
	return d->mode == r->mode && d->enabled == (r->mode != IOPF_MODE_NONE) &&
	       d->policy == r->policy && d->nr_windows == r->nr_windows &&
	       !memcmp(d->windows, r->windows, array_size(r->nr_windows, sizeof(*r->windows)));
}

/**
 * iopf_table_device() - apply the tables to a new device
 * @d: the device
 *
 * Context: under iopf_devices_lock.
 * Return: 0 or -ENOMEM.
 */
int iopf_table_device(struct iopf_device *d)
{
	struct iopf_ruling *r;

	lockdep_assert_held(&iopf_devices_lock);

	r = ruling_new(d->dev, table_admin);
	if (!r)
		return -ENOMEM;
	ruling_apply(d, r);
	return 0;
}

/* Free the rulings of a device. */
void iopf_table_device_free(struct iopf_device *d)
{
	ruling_free(d->ruling);
	kfree(d->windows);
	kfree(d->rule);
}

/**
 * iopf_table_released() - apply the ruling that waited until the device was released
 * @d: the device
 *
 * Context: under iopf_devices_lock.
 */
void iopf_table_released(struct iopf_device *d)
{
	lockdep_assert_held(&iopf_devices_lock);

	if (d->ruling)
		ruling_apply(d, d->ruling);
	d->ruling = NULL;
}

/* Allocate the ruling of a new table for a device. */
static int table_prepare(struct iopf_device *d, void *data)
{
	d->ruling_new = ruling_new(d->dev, data);
	return d->ruling_new ? 0 : -ENOMEM;
}

static int table_abort(struct iopf_device *d, void *data)
{
	ruling_free(d->ruling_new);
	d->ruling_new = NULL;
	return 0;
}

static int table_commit(struct iopf_device *d, void *data)
{
	struct iopf_ruling *r = d->ruling_new;

	/* Drop the ruling of the previous table, which the device did not get yet. */
	ruling_free(d->ruling);
	d->ruling = NULL;
	d->ruling_new = NULL;
	if (!d->attach) {
		ruling_apply(d, r);
		return 0;
	}
	if (ruling_is(d, r)) {
		/* The windows are in use, so they must not be replaced. */
		swap(d->rule, r->rule);
		ruling_free(r);
		return 0;
	}
	d->ruling = r;
	dev_info(d->dev, IOPF_DRIVER_NAME ": is in use with mode %s; mode %s of the new device table applies when it is released\n",
		 iopf_mode_name(d->mode), iopf_mode_name(r->mode));
	return 0;
}

/* Replace the administrator's rules by a text. */
static int table_replace(const char *text, size_t len)
{
	struct iopf_table *t;
	int ret;

	lockdep_assert_held(&iopf_devices_lock);

	t = table_new(text, len);
	if (IS_ERR(t))
		return PTR_ERR(t);
	ret = iopf_devices_each(table_prepare, t);
	if (ret) {
		iopf_devices_each(table_abort, NULL);
		table_free(t);
		return ret;
	}
	iopf_devices_each(table_commit, NULL);
	table_free(table_admin);
	table_admin = t;
	pr_info(IOPF_DRIVER_NAME ": table: %u rules of the administrator\n", t->rules->nr);
	return 0;
}

static ssize_t table_write(struct file *file, struct kobject *kobj, struct bin_attribute *attr,
			   char *buf, loff_t off, size_t count)
{
	guard(mutex)(&iopf_devices_lock);
	return iopf_draft_write(&table_draft, "device_table", file, buf, off, count, table_replace);
}

static void table_show_rules(struct seq_buf *s, enum iopf_origin origin,
			     const struct iopf_devtable *t)
{
	for (unsigned int i = 0; i < t->nr; i++) {
		iopf_table_print(s, origin, &t->rule[i]);
		seq_buf_putc(s, '\n');
	}
}

static size_t table_shown(const struct iopf_table *t)
{
	return t->len + t->rules->nr * RULE_EXTRA;
}

static ssize_t table_read(struct file *file, struct kobject *kobj, struct bin_attribute *attr,
			  char *buf, loff_t off, size_t count)
{
	struct seq_buf s;
	ssize_t ret;
	size_t size;
	char *all;

	guard(mutex)(&iopf_devices_lock);
	size = table_shown(table_admin) + table_shown(table_builtin) +
	       sizeof(RULE_IDS_FORMAT "\n") + sizeof(iopf_ids) + sizeof(RULE_DEFAULT "\n");
	all = kvmalloc(size, GFP_KERNEL);
	if (!all)
		return -ENOMEM;
	seq_buf_init(&s, all, size);
	kernel_param_lock(THIS_MODULE);
	if (*iopf_ids)
		seq_buf_printf(&s, RULE_IDS_FORMAT "\n", iopf_ids);
	kernel_param_unlock(THIS_MODULE);
	table_show_rules(&s, IOPF_ORIGIN_ADMIN, table_admin->rules);
	table_show_rules(&s, IOPF_ORIGIN_BUILTIN, table_builtin->rules);
	seq_buf_puts(&s, RULE_DEFAULT "\n");
	WARN_ON_ONCE(seq_buf_has_overflowed(&s));
	ret = memory_read_from_buffer(buf, count, &off, all, seq_buf_used(&s));
	kvfree(all);
	return ret;
}

static struct bin_attribute table_attr = {
	.attr = { .name = "device_table", .mode = 0644 },
	.read = table_read,
	.write = table_write,
};

/**
 * iopf_table_init() - parse the built-in rules, and create the file of the table
 * @root: /sys/kernel/vfio_iopf
 *
 * Context: before iopf_devices_init().
 * Return: 0 or a negative error number.
 */
int iopf_table_init(struct kobject *root)
{
	int ret;

	table_builtin = table_new(iopf_devtable_builtin, iopf_devtable_builtin_len);
	if (IS_ERR(table_builtin))
		return PTR_ERR(table_builtin);
	table_admin = table_new("", 0);
	if (IS_ERR(table_admin)) {
		ret = PTR_ERR(table_admin);
		goto err_builtin;
	}
	ret = sysfs_create_bin_file(root, &table_attr);
	if (ret)
		goto err_admin;
	return 0;

err_admin:
	table_free(table_admin);
err_builtin:
	table_free(table_builtin);
	return ret;
}

/* Called after iopf_devices_exit(). */
void iopf_table_exit(struct kobject *root)
{
	sysfs_remove_bin_file(root, &table_attr);
	iopf_draft_drop(&table_draft);
	table_free(table_admin);
	table_free(table_builtin);
}
