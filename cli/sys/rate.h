/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Readings of the fault counters of all devices in containers. Two readings give the rate of
 * faults.
 */
#ifndef CLI_RATE_H
#define CLI_RATE_H

#include <stdint.h>
#include <time.h>

#include <json-c/json.h>

/**
 * struct rate_device - a device in a reading
 * @name: its name
 * @container: its container, as text
 * @faults: number of its faults since a VFIO driver was bound to it
 */
struct rate_device {
	char *name;
	char container[16];
	uint64_t faults;
};

/**
 * struct rate_reading - a reading
 * @at: its time
 * @nr: number of devices
 * @device: the devices, in the order of container and name, both by strverscmp()
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
