// SPDX-License-Identifier: GPL-2.0-only
/*
 * Files of a container in sysfs: the limits of its budget, and its counters. docs/guide/limits.md
 * describes each file. vfio/limits.c puts limits into force.
 *
 * Locking: reading takes no lock that an owner could hold for long.
 */
#include <linux/ctype.h>
#include <linux/kernel.h>
#include <linux/kstrtox.h>
#include <linux/sysfs.h>

#include "../budget/budget.h"
#include "../lib/params.h"
#include "../vfio/container.h"
#include "../vfio/limits.h"
#include "limits.h"

/* The largest min_residency: how long a page may be kept mapped. */
#define STAY_MAX	NSEC_PER_SEC

static ssize_t pages_emit(char *buf, u64 pages)
{
	if (pages == IOPF_BUDGET_NONE)
		return sysfs_emit(buf, "max\n");
	return sysfs_emit(buf, "%llu\n", pages << PAGE_SHIFT);
}

/* Parse a size in the syntax of memory cgroups: "max", or bytes with or without a suffix. */
static int bytes_parse(const char *buf, u64 *bytes)
{
	char *end;

	if (sysfs_streq(buf, "max")) {
		*bytes = IOPF_SETTING_MAX;
		return 0;
	}
	if (!isdigit(*buf))
		return -EINVAL;
	*bytes = memparse(buf, &end);
	if (*end == '\n')
		end++;
	return *end ? -EINVAL : 0;
}

static ssize_t pages_show(struct iopf_container *c, enum iopf_setting setting, char *buf)
{
	return pages_emit(buf, iopf_limits_get(c, setting));
}

static ssize_t pages_store(struct iopf_container *c, enum iopf_setting setting, const char *buf,
			   size_t count)
{
	u64 bytes;

	return bytes_parse(buf, &bytes) ?: iopf_limits_set_budget(c, setting, bytes) ?: count;
}

#define LIMIT_SHOW(_name, _setting) \
	static ssize_t _name##_show(struct iopf_container *c, char *buf) \
	{ \
		return pages_show(c, _setting, buf); \
	}

#define LIMIT_STORE(_name, _setting) \
	static ssize_t _name##_store(struct iopf_container *c, const char *buf, size_t count) \
	{ \
		return pages_store(c, _setting, buf, count); \
	}

#define LIMIT_ATTR(_name) \
	static const struct iopf_container_attr limits_##_name = { \
		.attr = { .name = #_name, .mode = 0644 }, \
		.show = _name##_show, \
		.store = _name##_store, \
	}

LIMIT_SHOW(resident_high, IOPF_SETTING_RESIDENT_HIGH)
LIMIT_STORE(resident_high, IOPF_SETTING_RESIDENT_HIGH)
LIMIT_ATTR(resident_high);
LIMIT_SHOW(resident_max, IOPF_SETTING_RESIDENT_MAX)
LIMIT_STORE(resident_max, IOPF_SETTING_RESIDENT_MAX)
LIMIT_ATTR(resident_max);
LIMIT_SHOW(pinned_high, IOPF_SETTING_PINNED_HIGH)
LIMIT_STORE(pinned_high, IOPF_SETTING_PINNED_HIGH)
LIMIT_ATTR(pinned_high);
LIMIT_SHOW(pinned_max, IOPF_SETTING_PINNED_MAX)
LIMIT_STORE(pinned_max, IOPF_SETTING_PINNED_MAX)
LIMIT_ATTR(pinned_max);

static ssize_t aging_interval_show(struct iopf_container *c, char *buf)
{
	u64 aging_interval = READ_ONCE(c->space.evictor->lru.limits.aging_interval);

	if (aging_interval == IOPF_BUDGET_NONE)
		return sysfs_emit(buf, "max\n");
	return sysfs_emit(buf, "%llu\n", aging_interval / NSEC_PER_SEC);
}

static ssize_t aging_interval_store(struct iopf_container *c, const char *buf, size_t count)
{
	u64 value = IOPF_SETTING_MAX;
	u32 seconds;
	int ret;

	if (!sysfs_streq(buf, "max")) {
		ret = kstrtou32(buf, 0, &seconds);
		if (!ret && !seconds)
			ret = -EINVAL;
		if (ret)
			return ret;
		value = seconds;
	}
	return iopf_limits_set_budget(c, IOPF_SETTING_AGING_INTERVAL, value) ?: count;
}

static ssize_t min_residency_show(struct iopf_container *c, char *buf)
{
	return sysfs_emit(buf, "%llu\n",
			  READ_ONCE(c->space.evictor->lru.limits.min_residency) / NSEC_PER_USEC);
}

static ssize_t min_residency_store(struct iopf_container *c, const char *buf, size_t count)
{
	u32 us;
	int ret;

	ret = kstrtou32(buf, 0, &us);
	if (!ret && us > STAY_MAX / NSEC_PER_USEC)
		ret = -EINVAL;
	return ret ?: iopf_limits_set_budget(c, IOPF_SETTING_MIN_RESIDENCY, us) ?: count;
}

static ssize_t hot_pinned_max_show(struct iopf_container *c, char *buf)
{
	return sysfs_emit(buf, "%lu\n", READ_ONCE(c->pins.hots.max) << PAGE_SHIFT);
}

static ssize_t hot_pinned_max_store(struct iopf_container *c, const char *buf, size_t count)
{
	u64 bytes;
	int ret = bytes_parse(buf, &bytes) ?:
					     iopf_limits_set(c, IOPF_SETTING_HOT_PINNED_MAX, bytes);

	if (ret)
		return ret;
	mod_delayed_work(iopf_wq, &c->space.evictor->work, 0);
	return count;
}

static ssize_t hot_show(struct iopf_container *c, char *buf)
{
	return sysfs_emit(buf, "%lu\n", READ_ONCE(c->pins.hots.pages) << PAGE_SHIFT);
}

static ssize_t generations_show(struct iopf_container *c, char *buf)
{
	struct iopf_budget b;

	spin_lock(&c->space.evictor->lock);
	b = c->space.evictor->lru;
	spin_unlock(&c->space.evictor->lock);
	return sysfs_emit(buf, "inactive %llu\nactive %llu\nunevictable %llu\n",
			  b.pages[IOPF_GEN_INACTIVE] << PAGE_SHIFT,
			  b.pages[IOPF_GEN_ACTIVE] << PAGE_SHIFT,
			  (b.pages[IOPF_GEN_UNEVICTABLE] + b.pinned) << PAGE_SHIFT);
}

#define COUNT_ATTR(_name, _expr) \
	static ssize_t _name##_show(struct iopf_container *c, char *buf) \
	{ \
		const struct iopf_budget *b = &c->space.evictor->lru; \
\
		return sysfs_emit(buf, "%llu\n", (u64)(_expr)); \
	} \
	static const struct iopf_container_attr limits_##_name = { \
		.attr = { .name = #_name, .mode = 0444 }, \
		.show = _name##_show, \
	}

COUNT_ATTR(evicted, READ_ONCE(b->evicted));
COUNT_ATTR(aged, READ_ONCE(b->aged));
COUNT_ATTR(refaults, READ_ONCE(b->refaults));
COUNT_ATTR(thrashing, READ_ONCE(b->thrashing));
COUNT_ATTR(thrash_events, READ_ONCE(b->thrash_events));

static const struct iopf_container_attr limits_aging_interval = {
	.attr = { .name = "aging_interval", .mode = 0644 },
	.show = aging_interval_show,
	.store = aging_interval_store,
};

static const struct iopf_container_attr limits_min_residency = {
	.attr = { .name = "min_residency", .mode = 0644 },
	.show = min_residency_show,
	.store = min_residency_store,
};

static const struct iopf_container_attr limits_hot_max = {
	.attr = { .name = "hot_pinned_max", .mode = 0644 },
	.show = hot_pinned_max_show,
	.store = hot_pinned_max_store,
};

static const struct iopf_container_attr limits_hot = {
	.attr = { .name = "hot_pinned", .mode = 0444 },
	.show = hot_show,
};

static const struct iopf_container_attr limits_generations = {
	.attr = { .name = "lru", .mode = 0444 },
	.show = generations_show,
};

const struct attribute *const iopf_limits_attrs[] = {
	&limits_resident_high.attr,
	&limits_resident_max.attr,
	&limits_pinned_high.attr,
	&limits_pinned_max.attr,
	&limits_aging_interval.attr,
	&limits_min_residency.attr,
	&limits_generations.attr,
	&limits_hot_max.attr,
	&limits_hot.attr,
	&limits_evicted.attr,
	&limits_aged.attr,
	&limits_refaults.attr,
	&limits_thrashing.attr,
	&limits_thrash_events.attr,
	NULL,
};
