// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sampling of this test's container: see sample.h.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "knob.h"
#include "sample.h"
#include "simdev.h"
#include "tap.h"

const char *sample_path(const char *name)
{
	DIR *d = opendir(KNOB_IOPF_DIR "/containers");
	static char path[128];
	struct dirent *e;
	long newest = 0;

	must_be(d);
	/* "." and ".." give 0, which is not the number of a container. */
	while ((e = readdir(d))) {
		long id = strtol(e->d_name, NULL, 10);

		if (id > newest)
			newest = id;
	}
	closedir(d);
	must_be(newest);
	snprintf(path, sizeof(path), KNOB_IOPF_DIR "/containers/%ld/%s", newest, name);
	return path;
}

int sample_set(const char *name, uint64_t value)
{
	char file[32];

	snprintf(file, sizeof(file), "sampling/%s", name);
	return knob_write_try(value, "%s", sample_path(file));
}

uint64_t sample_get(const char *name)
{
	char file[32];
	uint64_t value;

	snprintf(file, sizeof(file), "sampling/%s", name);
	must(knob_read_try(&value, "%s", sample_path(file)));
	return value;
}

/* Read bytes at an offset of the log. Return their number, or a negative errno. */
static ssize_t log_read(void *buf, size_t size, uint64_t off)
{
	int fd = open(sample_path("sampling/log"), O_RDONLY | O_CLOEXEC), err;
	ssize_t n;

	must_sys(fd);
	n = pread(fd, buf, size, (off_t)off);
	err = errno;
	close(fd);
	return n < 0 ? -err : n;
}

int sample_head(struct iopf_sample_header *head)
{
	ssize_t n = log_read(head, sizeof(*head), 0);

	must_be(n < 0 || n == sizeof(*head));
	return n < 0 ? (int)n : 0;
}

int sample_events(uint64_t from, struct iopf_sample_event *event, size_t n)
{
	size_t got = 0;

	while (got < n) {
		ssize_t bytes = log_read(event + got, (n - got) * sizeof(*event),
					 sizeof(struct iopf_sample_header) +
						 (from + got) * sizeof(*event));

		if (bytes < 0)
			return (int)bytes;
		if (!bytes)
			break;
		must_be(bytes % sizeof(*event) == 0);
		got += (size_t)bytes / sizeof(*event);
	}
	return (int)got;
}

void sample_all(void)
{
	unsigned int spins = 0;
	uint64_t resident;

	do {
		must(knob_read_try(&resident, "%s", sample_path("resident")));
		sim_nap(&spins);
	} while (resident);
}
