// SPDX-License-Identifier: GPL-2.0-only
/*
 * Knobs and counters of a device, in debugfs: iopf_sim/<PCI address>/, one value a file.
 *
 * Purpose: tests make a device misbehave, and see what it has done.
 *
 * Invariants: a knob that counts down shows the remaining count. Writing 0 to a counter resets it;
 * a counter accepts no other value.
 *
 * Locking: the banks' locks protect bank counters. Every other value is one word.
 */
#include <linux/debugfs.h>

#include "device.h"

#define RETRY_LIMIT_DEFAULT	1000

static int counter_get(void *data, u64 *val)
{
	*val = atomic64_read(data);
	return 0;
}

static int counter_set(void *data, u64 val)
{
	if (val)
		return -EINVAL;
	atomic64_set(data, 0);
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(counter_fops, counter_get, counter_set, "%llu\n");

/* Counters that each bank has. debugfs shows their sum. */
static const struct {
	const char *name;
	size_t offset;
} bank_counters[] = {
	{ "atc_hits", offsetof(struct iopf_sim_bank, atc_hits) },
	{ "atc_misses", offsetof(struct iopf_sim_bank, atc_misses) },
	{ "atc_invalidations", offsetof(struct iopf_sim_bank, atc_invalidations) },
	{ "stale_uses", offsetof(struct iopf_sim_bank, stale_uses) },
	{ "dma_to_free", offsetof(struct iopf_sim_bank, dma_to_free) },
};

static_assert(ARRAY_SIZE(bank_counters) == IOPF_SIM_BANK_COUNTERS);

static int bank_counter_get(void *data, u64 *val)
{
	struct iopf_sim_bank_counter *counter = data;
	struct iopf_sim_endpoint *ep = counter->ep;
	u32 i;

	*val = 0;
	for (i = 0; i < ep->nr_banks; i++) {
		struct iopf_sim_bank *bank = &ep->bank[i];

		raw_spin_lock_irq(&bank->lock);
		*val += *(u64 *)((void *)bank + counter->offset);
		raw_spin_unlock_irq(&bank->lock);
	}
	return 0;
}

static int bank_counter_set(void *data, u64 val)
{
	struct iopf_sim_bank_counter *counter = data;
	struct iopf_sim_endpoint *ep = counter->ep;
	u32 i;

	if (val)
		return -EINVAL;
	for (i = 0; i < ep->nr_banks; i++) {
		struct iopf_sim_bank *bank = &ep->bank[i];

		raw_spin_lock_irq(&bank->lock);
		*(u64 *)((void *)bank + counter->offset) = 0;
		raw_spin_unlock_irq(&bank->lock);
	}
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(bank_counter_fops, bank_counter_get, bank_counter_set, "%llu\n");

static int atc_entries_get(void *data, u64 *val)
{
	struct iopf_sim_device *dev = data;

	*val = READ_ONCE(dev->ep.bank[0].atc_entries);
	return 0;
}

static int atc_entries_set(void *data, u64 val)
{
	struct iopf_sim_device *dev = data;

	if (val > IOPF_SIM_MAX_ATC)
		return -EINVAL;
	return iopf_sim_endpoint_set_atc(&dev->ep, val);
}
DEFINE_DEBUGFS_ATTRIBUTE(atc_entries_fops, atc_entries_get, atc_entries_set, "%llu\n");

static int atc_ignore_inv_get(void *data, u64 *val)
{
	struct iopf_sim_device *dev = data;

	*val = READ_ONCE(dev->ep.ignore_inv);
	return 0;
}

static int atc_ignore_inv_set(void *data, u64 val)
{
	struct iopf_sim_device *dev = data;

	if (val > 1)
		return -EINVAL;
	WRITE_ONCE(dev->ep.ignore_inv, val);
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(atc_ignore_inv_fops, atc_ignore_inv_get, atc_ignore_inv_set, "%llu\n");

static void add_knobs(struct iopf_sim_device *dev, struct dentry *dir)
{
#define KNOB(name)	debugfs_create_u32(#name, 0600, dir, &dev->knobs.name)
	KNOB(resp_delay_us);
	KNOB(resp_drop);
	KNOB(resp_dup);
	KNOB(resp_reorder);
	KNOB(bad_range);
	KNOB(bad_perm);
	KNOB(bad_group);
	KNOB(extra_groups);
	KNOB(extra_requests);
	KNOB(stop_marker);
	KNOB(resp_ignore);
	KNOB(retry_limit);
	KNOB(slow_poll);
#undef KNOB
	debugfs_create_file("atc_entries", 0600, dir, dev, &atc_entries_fops);
	debugfs_create_file("atc_ignore_inv", 0600, dir, dev, &atc_ignore_inv_fops);
}

static void add_counters(struct iopf_sim_device *dev, struct dentry *dir)
{
	u32 i;

#define COUNTER(name)	debugfs_create_file(#name, 0600, dir, &dev->counters.name, &counter_fops)
	COUNTER(requests);
	COUNTER(groups);
	COUNTER(responses_success);
	COUNTER(responses_invalid);
	COUNTER(responses_failure);
	COUNTER(responses_unexpected);
	COUNTER(bytes_read);
	COUNTER(bytes_written);
	COUNTER(commands);
	COUNTER(flr);
#undef COUNTER
	debugfs_create_file("prq_overflows", 0600, dir, &dev->ep.overflows, &counter_fops);
	for (i = 0; i < ARRAY_SIZE(bank_counters); i++) {
		dev->bank_counter[i].ep = &dev->ep;
		dev->bank_counter[i].offset = bank_counters[i].offset;
		debugfs_create_file(bank_counters[i].name, 0600, dir, &dev->bank_counter[i],
				    &bank_counter_fops);
	}
}

/**
 * iopf_sim_knobs_create() - set the defaults and add the debugfs directory
 * @dev: the device
 */
void iopf_sim_knobs_create(struct iopf_sim_device *dev)
{
	dev->knobs.retry_limit = RETRY_LIMIT_DEFAULT;
	dev->debugfs = debugfs_create_dir(dev->name, iopf_sim_debugfs());
	add_knobs(dev, dev->debugfs);
	add_counters(dev, dev->debugfs);
}

/**
 * iopf_sim_knobs_destroy() - remove the debugfs directory
 * @dev: the device
 */
void iopf_sim_knobs_destroy(struct iopf_sim_device *dev)
{
	debugfs_remove_recursive(dev->debugfs);
}
