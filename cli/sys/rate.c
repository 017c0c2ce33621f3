// SPDX-License-Identifier: GPL-2.0-only
/*
 * Readings of the fault counters: see rate.h.
 *
 * Between two readings a device may leave or join a container, and a counter may restart at 0. A
 * device counts for the rate of a container only if it is in that container in both readings, and
 * its counter has not decreased.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../print/out.h"
#include "rate.h"
#include "sysfs.h"

/* Returns 1 if the device is in a container, 0 if it is in none, or a negative errno. */
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

/* Compare by container, then by name: the order of struct rate_reading. */
static int by_container(const void *a, const void *b)
{
	const struct rate_device *x = a, *y = b;
	int order = strverscmp(x->container, y->container);

	return order ? order : strverscmp(x->name, y->name);
}

/* Return the first device in a container, or the position where it would be. */
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
 * rate_read() - read all devices in containers
 * @r: out: the reading; rate_free() frees it, except on failure
 *
 * Return: 0 or a negative errno
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

/** rate_free() - free a reading; it may be all zero */
void rate_free(struct rate_reading *r)
{
	for (unsigned int i = 0; i < r->nr; i++)
		free(r->device[i].name);
	free(r->device);
	*r = (struct rate_reading){ 0 };
}

/**
 * rate_devices() - the devices in a container, as a JSON value
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
 * rate_faults() - the number of faults of the devices in a container, as a JSON value
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
 * rate_per_second() - the faults per second in a container, as a JSON value
 * @before: the first reading
 * @now: the second reading
 * @container: the container
 *
 * Return: a number; NULL: no device is in the container in both readings
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
