/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Readings: which device is in which container, and how often it has faulted. Two of them give the
 * rate of faults.
 */
#ifndef CLI_RATE_H
#define CLI_RATE_H

#include <stdint.h>
#include <time.h>

#include <json-c/json.h>

/**
 * struct rate_device - a device, when it was read
 * @name: its name
 * @container: the container it was in, as text
 * @faults: faults since it was bound to a VFIO driver
 */
struct rate_device {
	char *name;
	char container[16];
	uint64_t faults;
};

/**
 * struct rate_reading - the devices in containers
 * @at: when they were read
 * @nr: how many
 * @device: sorted by container, then by name, as people count
 */
struct rate_reading {
	struct timespec at;
	unsigned int nr;
	struct rate_device *device;
};

int rate_read(struct rate_reading *r);
void rate_free(struct rate_reading *r);
struct json_object *rate_devices(const struct rate_reading *r, const char *container);
struct json_object *rate_faults(const struct rate_reading *r, const char *container);
struct json_object *rate_per_second(const struct rate_reading *before,
				    const struct rate_reading *now, const char *container);

#endif /* CLI_RATE_H */
