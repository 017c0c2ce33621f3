// SPDX-License-Identifier: GPL-2.0-only
/*
 * Readings of the devices' counters: see rate.h.
 *
 * Between two readings a device may leave, come, or change containers; and one that was bound anew
 * counts from 0. Only a device that is in the container both times, and has not counted backwards,
 * counts for its rate.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "out.h"
#include "rate.h"
#include "sysfs.h"

/* A device in a container: 1; another: 0; or a negative errno. */
static int read_device(struct rate_device *d, const char *name)
{
	*d = (struct rate_device){ 0 };
	if (sysfs_read(d->container, sizeof(d->container), SYSFS_DEVICES "/%s/container", name) ||
	    sysfs_read_u64(&d->faults, SYSFS_DEVICES "/%s/faults", name) ||
	    !strcmp(d->container, "none"))
		return 0;
	d->name = strdup(name);
	return d->name ? 1 : -ENOMEM;
}

/* By container, then by name, both as people count. */
static int by_container(const void *a, const void *b)
{
	const struct rate_device *x = a, *y = b;
	int order = strverscmp(x->container, y->container);

	return order ? order : strverscmp(x->name, y->name);
}

/* The first device in a container; it ends where another begins, or with all. */
static const struct rate_device *first_of(const struct rate_reading *r, const char *container)
{
	unsigned int low = 0, high = r->nr;

	while (low < high) {
		unsigned int mid = low + (high - low) / 2;

		if (strverscmp(r->device[mid].container, container) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return r->device + low;
}

static bool is_in(const struct rate_reading *r, const struct rate_device *d, const char *container)
{
	return d < r->device + r->nr && !strcmp(d->container, container);
}

/**
 * rate_read() - read all devices that are in a container
 * @r: out; to be freed by rate_free()
 *
 * Return: 0 or a negative errno; there is nothing to free then.
 */
int rate_read(struct rate_reading *r)
{
	struct sysfs_names names;
	int ret;

	*r = (struct rate_reading){ 0 };
	ret = sysfs_list(&names, SYSFS_DEVICES);
	if (ret)
		return ret;
	r->device = calloc(names.nr + 1, sizeof(*r->device));
	if (!r->device)
		ret = -ENOMEM;
	for (unsigned int i = 0; ret >= 0 && i < names.nr; i++) {
		ret = read_device(&r->device[r->nr], names.name[i]);
		if (ret > 0)
			r->nr++;
	}
	clock_gettime(CLOCK_MONOTONIC, &r->at);
	sysfs_list_free(&names);
	if (ret < 0) {
		rate_free(r);
		return ret;
	}
	qsort(r->device, r->nr, sizeof(*r->device), by_container);
	return 0;
}

/** rate_free() - give back what rate_read() gave; also what was never read, all zero */
void rate_free(struct rate_reading *r)
{
	for (unsigned int i = 0; i < r->nr; i++)
		free(r->device[i].name);
	free(r->device);
	*r = (struct rate_reading){ 0 };
}

/**
 * rate_devices() - the devices in a container, for printing
 * @r: the reading
 * @container: the container
 *
 * Return: an array of their names
 */
struct json_object *rate_devices(const struct rate_reading *r, const char *container)
{
	struct json_object *names = out_array();

	for (const struct rate_device *d = first_of(r, container); is_in(r, d, container); d++)
		out_append(names, out_string(d->name));
	return names;
}

/**
 * rate_faults() - faults of the devices in a container, for printing
 * @r: the reading
 * @container: the container
 *
 * Return: a number
 */
struct json_object *rate_faults(const struct rate_reading *r, const char *container)
{
	uint64_t sum = 0;

	for (const struct rate_device *d = first_of(r, container); is_in(r, d, container); d++)
		sum += d->faults;
	return json_object_new_uint64(sum);
}

/**
 * rate_per_second() - faults per second in a container, for printing
 * @before: the first reading
 * @now: the second
 * @container: the container
 *
 * Return: a number; NULL when it can't be known: no device was there both times
 */
struct json_object *rate_per_second(const struct rate_reading *before,
				    const struct rate_reading *now, const char *container)
{
	double seconds = (now->at.tv_sec - before->at.tv_sec) +
			 (now->at.tv_nsec - before->at.tv_nsec) / 1e9;
	uint64_t faults = 0;
	bool known = false;

	for (const struct rate_device *d = first_of(now, container); is_in(now, d, container);
	     d++) {
		const struct rate_device *was = bsearch(d, before->device, before->nr, sizeof(*d),
							by_container);

		if (!was || was->faults > d->faults)
			continue;
		faults += d->faults - was->faults;
		known = true;
	}
	return known && seconds > 0 ? json_object_new_double(faults / seconds) : NULL;
}
