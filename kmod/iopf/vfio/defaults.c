// SPDX-License-Identifier: GPL-2.0-only
/*
 * The limits that a container has from its start, and the limits that outlive it.
 *
 * A group of devices brings limits along into a container. They come from two sources:
 *
 *   rules   the administrator's table of limits, /sys/kernel/vfio_iopf/limits: by device, by user,
 *           by cgroup. core/limtable.h describes the text. A write replaces the whole table.
 *   kept    the values that an administrator has set on a live container. They are kept with each
 *           device of the container and with the container's owner. So a user can't get rid of a
 *           value by moving the groups to another container, from any process.
 *
 * A device's own kept values come first. For a value that the device lacks, the stricter of two
 * counts: the value kept for its owner, and the value of the first rule that matches. When several
 * devices and the container have a value, the strictest counts. limits.c applies the values before
 * the group is attached, so before the first fault and the first pin.
 *
 * owner.c defines when two owners are the same.
 *
 * Kept values are removed when an administrator forgets them (/sys/kernel/vfio_iopf/limits_sticky),
 * when the device is unbound from its VFIO driver, and when the owner's cgroup or process is gone.
 * Only an administrator's write makes an entry. At most KEPT_OWNERS entries of owners exist; beyond
 * that the oldest is removed. Each device of a container has its own entry.
 *
 * keeping vs regrouping: the writer looks up the entries and puts the value into force under one
 *   hold of the container's lock, for all groups of the container. So a group that leaves right
 *   afterwards has the value. A group that is being attached gets the value once it is attached:
 *   iopf_limits_joined().
 *
 * Locking: defaults_lock, a mutex; inside of the container's lock and of the IOMMU core's lock of a
 * group. Its holder waits for nothing but memory.
 */
#include <linux/cgroup.h>
#include <linux/cleanup.h>
#include <linux/cred.h>
#include <linux/device.h>
#include <linux/iommu.h>
#include <linux/limits.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/pid.h>
#include <linux/sched/signal.h>
#include <linux/seq_buf.h>
#include <linux/slab.h>
#include <linux/sysfs.h>
#include <linux/uidgid.h>

#include "../device/table.h"
#include "../lib/draft.h"
#include "../lib/params.h"
#include "../pin/emulated.h"
#include "attach.h"
#include "container.h"
#include "defaults.h"
#include "owner.h"

#define KEPT_OWNERS	1024

/* Bytes that are enough to print a rule around its text, or a kept entry without its key. */
#define LINE_EXTRA	512

/**
 * struct limit_table - rules and the text they point into
 * @rules: the rules
 * @len: bytes of text
 * @text: the text
 */
struct limit_table {
	struct iopf_limtable *rules;
	size_t len;
	char text[] __counted_by(len);
};

/**
 * struct kept - the values that are kept for a device or an owner
 * @node: in the list of all entries, oldest first
 * @users: number of writes in progress that will store a value in the entry
 * @device: name of the device; NULL: the entry of an owner
 * @owner: the owner
 * @settings: the kept values; an entry without values has no effect
 */
struct kept {
	struct list_head node;
	unsigned int users;
	char *device;
	struct iopf_owner owner;
	struct iopf_settings settings;
};

/**
 * struct iopf_keep - a write whose value will be kept
 * @nr: number of entries
 * @max: room in @kept
 * @kept: the entries; this write is a user of each
 */
struct iopf_keep {
	unsigned int nr;
	unsigned int max;
	struct kept *kept[] __counted_by(max);
};

static DEFINE_MUTEX(defaults_lock); /* order: inside of the container's */
static struct limit_table *defaults_table;
static struct iopf_draft defaults_draft;
static LIST_HEAD(defaults_kept);
static unsigned int defaults_owners;

/* Kept values */

static void kept_free(struct kept *k)
{
	list_del(&k->node);
	defaults_owners -= !k->device;
	kfree(k->device);
	iopf_owner_end(&k->owner);
	kfree(k);
}

/* Remove the values of an entry. Free it, unless a write in progress will store a value. */
static void kept_drop(struct kept *k)
{
	k->settings.set = 0;
	if (!k->users)
		kept_free(k);
}

/* Drop the entries of owners that are gone, and the oldest entries beyond KEPT_OWNERS. */
static void kept_prune(void)
{
	struct kept *k, *next;

	list_for_each_entry_safe(k, next, &defaults_kept, node)
		if (!k->device && !k->users &&
		    (iopf_owner_gone(&k->owner) || defaults_owners > KEPT_OWNERS))
			kept_drop(k);
}

/* Find or make the entry of a device, or with @device NULL of an owner, and become its user. */
static struct kept *kept_get(const char *device, const struct iopf_owner *owner)
{
	struct kept *k;

	lockdep_assert_held(&defaults_lock);

	list_for_each_entry(k, &defaults_kept, node)
		if (device ? k->device && !strcmp(k->device, device) :
			     !k->device && iopf_owner_equal(&k->owner, owner))
			goto found;
	k = kzalloc(sizeof(*k), GFP_KERNEL);
	if (!k)
		return NULL;
	if (device) {
		k->device = kstrdup(device, GFP_KERNEL);
		if (!k->device) {
			kfree(k);
			return NULL;
		}
	} else {
		iopf_owner_copy(&k->owner, owner);
		defaults_owners++;
	}
	list_add_tail(&k->node, &defaults_kept);
found:
	k->users++;
	return k;
}

static int keep_count(struct device *dev, void *data)
{
	(*(unsigned int *)data)++;
	return 0;
}

static int keep_device(struct device *dev, void *data)
{
	struct iopf_keep *keep = data;

	/* The device joined its group after keep_count(), and has no user yet. */
	if (keep->nr == keep->max)
		return 0;
	guard(mutex)(&defaults_lock);
	keep->kept[keep->nr] = kept_get(dev_name(dev), NULL);
	if (!keep->kept[keep->nr])
		return -ENOMEM;
	keep->nr++;
	return 0;
}

static int keep_each(struct iopf_container *c, int (*fn)(struct device *dev, void *data),
		     void *data)
{
	struct iopf_attach *at;
	int ret;

	list_for_each_entry(at, &c->attaches, faults.node) {
		ret = iommu_group_for_each_dev(at->group, data, fn);
		if (ret)
			return ret;
	}
	return iopf_emulated_each(&c->space, fn, data);
}

/**
 * iopf_keep_begin() - prepare to keep a value that an administrator is about to set
 * @c: the container, locked
 *
 * Return: the argument of iopf_keep_end(), which can't fail; or an error pointer: -ENODEV when the
 * container has no group, so is being set up or has been released; -ENOMEM.
 */
struct iopf_keep *iopf_keep_begin(struct iopf_container *c)
{
	struct iopf_keep *keep;
	unsigned int nr = 1;
	int ret;

	lockdep_assert_held(&c->space.lock);

	if (iopf_space_groupless(&c->space))
		return ERR_PTR(-ENODEV);
	keep_each(c, keep_count, &nr);
	keep = kzalloc(struct_size(keep, kept, nr), GFP_KERNEL);
	if (!keep)
		return ERR_PTR(-ENOMEM);
	keep->max = nr;
	scoped_guard(mutex, &defaults_lock) {
		keep->kept[0] = kept_get(NULL, &c->owner);
		ret = keep->kept[0] ? 0 : -ENOMEM;
		keep->nr = !ret;
	}
	if (!ret)
		ret = keep_each(c, keep_device, keep);
	if (ret) {
		iopf_keep_end(keep, 0, 0, false);
		return ERR_PTR(ret);
	}
	return keep;
}

/**
 * iopf_keep_end() - keep the value that has been set
 * @keep: of iopf_keep_begin(); is freed
 * @setting: the setting
 * @value: its value
 * @good: the value has been set; otherwise nothing is kept
 */
void iopf_keep_end(struct iopf_keep *keep, enum iopf_setting setting, u64 value, bool good)
{
	scoped_guard(mutex, &defaults_lock) {
		for (unsigned int i = 0; i < keep->nr; i++) {
			struct kept *k = keep->kept[i];

			if (good) {
				k->settings.value[setting] = value;
				k->settings.set |= BIT(setting);
				list_move_tail(&k->node, &defaults_kept);
			}
			if (!--k->users && !k->settings.set)
				kept_free(k);
		}
		kept_prune();
	}
	kfree(keep);
}

/**
 * iopf_keep_forget_device() - forget the values of a device that leaves its VFIO driver
 * @name: name of the device
 */
void iopf_keep_forget_device(const char *name)
{
	struct kept *k, *next;

	guard(mutex)(&defaults_lock);
	list_for_each_entry_safe(k, next, &defaults_kept, node)
		if (k->device && !strcmp(k->device, name))
			kept_drop(k);
}

/* Limits that a group brings along */

/**
 * struct defaults_ask - a lookup of the settings of a group's devices
 * @owner: the owner of the container
 * @path: path of the owner's cgroup
 * @settings: in, out: the strictest values so far
 */
struct defaults_ask {
	const struct iopf_owner *owner;
	char *path;
	struct iopf_settings *settings;
};

static int defaults_device(struct device *dev, void *data)
{
	struct defaults_ask *ask = data;
	struct iopf_settings own = { }, others = { };
	const struct iopf_limit_rule *rule;
	struct iopf_subject subject;
	struct kept *k;

	iopf_table_id(dev, &subject.id);
	subject.uid = from_kuid(&init_user_ns, ask->owner->uid);
	subject.cgroup = ask->path;
	guard(mutex)(&defaults_lock);
	list_for_each_entry(k, &defaults_kept, node) {
		if (k->device && !strcmp(k->device, subject.id.name))
			own = k->settings;
		else if (!k->device && iopf_owner_covers(&k->owner, ask->owner))
			iopf_settings_restrict(&others, &k->settings);
	}
	rule = iopf_limtable_match(defaults_table->rules, &subject);
	if (rule)
		iopf_settings_restrict(&others, &rule->settings);
	iopf_settings_default(&own, &others);
	iopf_settings_restrict(ask->settings, &own);
	return 0;
}

/**
 * iopf_defaults_get() - get the settings that a group brings along into a container
 * @c: the container
 * @group: the group
 * @s: in: some settings; out: the stricter of these and the group's
 *
 * Return: 0 or -ENOMEM.
 */
int iopf_defaults_get(struct iopf_container *c, struct iommu_group *group, struct iopf_settings *s)
{
	struct defaults_ask ask = { .owner = &c->owner, .settings = s };
	int ret;

	ask.path = kmalloc(PATH_MAX, GFP_KERNEL);
	if (!ask.path)
		return -ENOMEM;
	/* A path that is too long is cut off. No rule can name more than its beginning. */
	if (cgroup_path(c->owner.cgroup, ask.path, PATH_MAX) < 0 && !*ask.path)
		strscpy(ask.path, "/", PATH_MAX);
	ret = iommu_group_for_each_dev(group, &ask, defaults_device);
	kfree(ask.path);
	return ret;
}

/* sysfs */

static void table_free(struct limit_table *t)
{
	if (t)
		kvfree(t->rules);
	kvfree(t);
}

/* Make a table from a copy of @text. For -EINVAL the log has the explanation. */
static struct limit_table *table_new(const char *text, size_t len)
{
	unsigned int room = iopf_devtable_room(text, len);
	struct limit_table *t = kvmalloc(struct_size(t, text, len), GFP_KERNEL);
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
	ret = iopf_limtable_parse(t->rules, t->text, len, &err);
	if (ret) {
		iopf_table_complain("limits", &err);
		goto err_free;
	}
	return t;

err_free:
	table_free(t);
	return ERR_PTR(ret);
}

static int table_replace(const char *text, size_t len)
{
	struct limit_table *t = table_new(text, len);

	lockdep_assert_held(&defaults_lock);

	if (IS_ERR(t))
		return PTR_ERR(t);
	table_free(defaults_table);
	defaults_table = t;
	pr_info(IOPF_DRIVER_NAME ": limits: %u rules of the administrator\n", t->rules->nr);
	return 0;
}

static ssize_t limits_write(struct file *file, struct kobject *kobj, struct bin_attribute *attr,
			    char *buf, loff_t off, size_t count)
{
	guard(mutex)(&defaults_lock);
	return iopf_draft_write(&defaults_draft, "limits", file, buf, off, count, table_replace);
}

static void kept_print_key(struct seq_buf *s, const struct kept *k, char *path)
{
	if (k->device)
		seq_buf_printf(s, "address %s", k->device);
	else
		iopf_owner_print(s, &k->owner, path);
}

static void kept_print(struct seq_buf *s, const struct kept *k, char *path)
{
	char value[24];

	kept_print_key(s, k, path);
	for (unsigned int i = 0; i < IOPF_SETTING_NR; i++) {
		if (!(k->settings.set & BIT(i)))
			continue;
		iopf_setting_print(value, sizeof(value), i, k->settings.value[i]);
		seq_buf_printf(s, " %s=%s", iopf_setting_name(i), value);
	}
	seq_buf_putc(s, '\n');
}

/* Read the kept values, and with @rules also the rules. */
static ssize_t defaults_read(char *buf, loff_t off, size_t count, bool rules)
{
	const struct iopf_limtable *t;
	size_t size = PATH_MAX;
	struct seq_buf s;
	struct kept *k;
	char *all, *path;
	ssize_t ret;

	guard(mutex)(&defaults_lock);
	t = defaults_table->rules;
	kept_prune();
	list_for_each_entry(k, &defaults_kept, node)
		size += LINE_EXTRA + (k->device ? strlen(k->device) : PATH_MAX);
	if (rules)
		size += defaults_table->len + t->nr * LINE_EXTRA;
	all = kvmalloc(size, GFP_KERNEL);
	if (!all)
		return -ENOMEM;
	/* The last PATH_MAX bytes are room for the path of one cgroup at a time. */
	path = all + size - PATH_MAX;
	seq_buf_init(&s, all, size - PATH_MAX);
	list_for_each_entry(k, &defaults_kept, node) {
		if (!k->settings.set)
			continue;
		if (rules)
			seq_buf_puts(&s, "sticky - ");
		kept_print(&s, k, path);
	}
	for (unsigned int i = 0; rules && i < t->nr; i++) {
		iopf_table_print(&s, IOPF_ORIGIN_ADMIN, &t->rule[i].match);
		seq_buf_putc(&s, '\n');
	}
	WARN_ON_ONCE(seq_buf_has_overflowed(&s));
	ret = memory_read_from_buffer(buf, count, &off, all, seq_buf_used(&s));
	kvfree(all);
	return ret;
}

static ssize_t limits_read(struct file *file, struct kobject *kobj, struct bin_attribute *attr,
			   char *buf, loff_t off, size_t count)
{
	return defaults_read(buf, off, count, true);
}

static ssize_t kept_read(struct file *file, struct kobject *kobj, struct bin_attribute *attr,
			 char *buf, loff_t off, size_t count)
{
	return defaults_read(buf, off, count, false);
}

/* Forget the entry whose key is written, or all entries if "*" is written. */
static ssize_t kept_write(struct file *file, struct kobject *kobj, struct bin_attribute *attr,
			  char *buf, loff_t off, size_t count)
{
	size_t len = count && buf[count - 1] == '\n' ? count - 1 : count;
	bool all = len == 1 && *buf == '*', found = all;
	struct kept *k, *next;
	struct seq_buf s;
	char *key, *path;

	if (off || !len)
		return -EINVAL;
	key = kmalloc(3 * PATH_MAX, GFP_KERNEL);
	if (!key)
		return -ENOMEM;
	path = key + 2 * PATH_MAX;
	scoped_guard(mutex, &defaults_lock) {
		list_for_each_entry_safe(k, next, &defaults_kept, node) {
			seq_buf_init(&s, key, 2 * PATH_MAX);
			kept_print_key(&s, k, path);
			if (!all && (seq_buf_used(&s) != len || memcmp(key, buf, len)))
				continue;
			found = true;
			kept_drop(k);
		}
	}
	kfree(key);
	return found ? count : -ENOENT;
}

static struct bin_attribute limits_attr = {
	.attr = { .name = "limits", .mode = 0644 },
	.read = limits_read,
	.write = limits_write,
};

static struct bin_attribute kept_attr = {
	.attr = { .name = "limits_sticky", .mode = 0644 },
	.read = kept_read,
	.write = kept_write,
};

/**
 * iopf_defaults_init() - begin without rules and without kept values
 * @root: /sys/kernel/vfio_iopf
 *
 * Called before there are containers.
 *
 * Return: 0 or -errno.
 */
int iopf_defaults_init(struct kobject *root)
{
	int ret;

	defaults_table = table_new("", 0);
	if (IS_ERR(defaults_table))
		return PTR_ERR(defaults_table);
	ret = sysfs_create_bin_file(root, &limits_attr);
	if (ret)
		goto err_table;
	ret = sysfs_create_bin_file(root, &kept_attr);
	if (ret)
		goto err_limits;
	return 0;

err_limits:
	sysfs_remove_bin_file(root, &limits_attr);
err_table:
	table_free(defaults_table);
	return ret;
}

/* Called when all containers and devices are gone. */
void iopf_defaults_exit(struct kobject *root)
{
	struct kept *k, *next;

	sysfs_remove_bin_file(root, &kept_attr);
	sysfs_remove_bin_file(root, &limits_attr);
	list_for_each_entry_safe(k, next, &defaults_kept, node)
		kept_free(k);
	iopf_draft_drop(&defaults_draft);
	table_free(defaults_table);
}
