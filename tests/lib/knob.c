// SPDX-License-Identifier: GPL-2.0-only
/*
 * Knobs and counters: see knob.h.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "knob.h"
#include "mem.h"
#include "tap.h"

#define KNOB_PATH	256

static int knob_open(int flags, const char *fmt, va_list args)
{
	char path[KNOB_PATH];
	int fd;

	vsnprintf(path, sizeof(path), fmt, args);
	fd = open(path, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int knob_vread_text(char *buf, size_t size, const char *fmt, va_list args)
{
	int fd = knob_open(O_RDONLY, fmt, args);
	ssize_t n;

	buf[0] = 0;
	if (fd < 0)
		return fd;
	n = read(fd, buf, size - 1);
	if (n < 0)
		n = -errno;
	close(fd);
	if (n < 0)
		return (int)n;
	buf[n] = 0;
	buf[strcspn(buf, "\n")] = 0;
	return 0;
}

int knob_read_text(char *buf, size_t size, const char *fmt, ...)
{
	va_list args;
	int err;

	va_start(args, fmt);
	err = knob_vread_text(buf, size, fmt, args);
	va_end(args);
	return err;
}

int knob_read_try(uint64_t *value, const char *fmt, ...)
{
	char text[64], *end;
	va_list args;
	int err;

	va_start(args, fmt);
	err = knob_vread_text(text, sizeof(text), fmt, args);
	va_end(args);
	if (err)
		return err;
	*value = strtoull(text, &end, 0);
	/* Bool parameters of modules read as Y or N. */
	if (end == text) {
		if (text[0] != 'Y' && text[0] != 'N')
			return -EINVAL;
		*value = text[0] == 'Y';
	}
	return 0;
}

int knob_write_try(uint64_t value, const char *fmt, ...)
{
	char text[32];
	va_list args;
	int fd, err = 0;

	va_start(args, fmt);
	fd = knob_open(O_WRONLY, fmt, args);
	va_end(args);
	if (fd < 0)
		return fd;
	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	if (write(fd, text, strlen(text)) < 0)
		err = -errno;
	close(fd);
	return err;
}

static void knob_debugfs(void)
{
	if (!access(KNOB_SIM_DIR, R_OK))
		return;
	if (mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL) && errno != EBUSY)
		tap_bail("debugfs: %s", strerror(errno));
}

static uint64_t knob_get(const char *dir, const char *sub, const char *name)
{
	uint64_t value;
	int err;

	if (!strcmp(dir, KNOB_SIM_DIR))
		knob_debugfs();
	err = knob_read_try(&value, "%s/%s/%s", dir, sub, name);
	if (err)
		tap_bail("can't read %s/%s/%s: %s", dir, sub, name, strerror(-err));
	return value;
}

static void knob_set(const char *dir, const char *sub, const char *name, uint64_t value)
{
	int err;

	knob_debugfs();
	err = knob_write_try(value, "%s/%s/%s", dir, sub, name);
	if (err)
		tap_bail("can't write %s/%s/%s: %s", dir, sub, name, strerror(-err));
}

void sim_knob(const char *bdf, const char *name, uint64_t value)
{
	knob_set(KNOB_SIM_DIR, bdf, name, value);
}

uint64_t sim_knob_get(const char *bdf, const char *name)
{
	return knob_get(KNOB_SIM_DIR, bdf, name);
}

uint64_t sim_count(const char *bdf, const char *name)
{
	return knob_get(KNOB_SIM_DIR, bdf, name);
}

int sim_count_try(const char *bdf, const char *name, uint64_t *value)
{
	return knob_read_try(value, KNOB_SIM_DIR "/%s/%s", bdf, name);
}

void sim_iommu_knob(const char *name, uint64_t value)
{
	knob_set(KNOB_SIM_DIR, "iommu", name, value);
}

uint64_t sim_iommu_knob_get(const char *name)
{
	return knob_get(KNOB_SIM_DIR, "iommu", name);
}

uint64_t sim_iommu_count(const char *name)
{
	return knob_get(KNOB_SIM_DIR, "iommu", name);
}

void sim_calm(const char *bdf)
{
	static const char * const zero[] = {
		"resp_delay_us", "resp_drop", "resp_dup", "resp_reorder", "bad_range", "bad_perm",
		"bad_group", "extra_groups", "extra_requests", "stop_marker", "resp_ignore",
		"slow_poll", "atc_ignore_inv",
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(zero); i++)
		sim_knob(bdf, zero[i], 0);
}

uint64_t iopf_count(const char *bdf, const char *name)
{
	return knob_get(KNOB_IOPF_DIR "/devices", bdf, name);
}

const char *iopf_text(const char *bdf, const char *name)
{
	static char text[256];

	if (knob_read_text(text, sizeof(text), KNOB_IOPF_DIR "/devices/%s/%s", bdf, name))
		text[0] = 0;
	return text;
}

int iopf_enable(const char *bdf, bool on)
{
	return knob_write_try(on, KNOB_IOPF_DIR "/devices/%s/enabled", bdf);
}

int iopf_param(const char *name, uint64_t value)
{
	return knob_write_try(value, "/sys/module/vfio_iommu_iopf/parameters/%s", name);
}

bool iopf_serves_me(void)
{
	struct dirent *entry;
	uint64_t pid = 0;
	DIR *dir;

	dir = opendir(KNOB_IOPF_DIR "/containers");
	if (!dir)
		return false;
	while ((entry = readdir(dir)) && pid != (uint64_t)getpid()) {
		if (knob_read_try(&pid, KNOB_IOPF_DIR "/containers/%s/pid", entry->d_name))
			pid = 0;
	}
	closedir(dir);
	return pid == (uint64_t)getpid();
}

bool iopf_loaded(void)
{
	return !access("/sys/module/vfio_iommu_iopf", F_OK);
}

/* Sequence number of the last record before kmsg_mark(). */
static uint64_t kmsg_last;

/* Count records after @after with @needle (NULL: count none). *@last is the newest's number. */
static unsigned int kmsg_scan(uint64_t after, const char *needle, uint64_t *last)
{
	unsigned long long seq;
	unsigned int count = 0;
	char record[8192];
	ssize_t n;
	int fd;

	fd = must_sys(open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC));
	for (;;) {
		n = read(fd, record, sizeof(record) - 1);
		/* EPIPE: unread records were overwritten. Continue with the next one. */
		if (n < 0 && errno == EPIPE)
			continue;
		if (n <= 0)
			break;
		record[n] = 0;
		if (sscanf(record, "%*u,%llu,", &seq) != 1)
			continue;
		*last = seq;
		if (needle && seq > after && strstr(record, needle))
			count++;
	}
	close(fd);
	return count;
}

void kmsg_mark(void)
{
	kmsg_scan(0, NULL, &kmsg_last);
}

unsigned int kmsg_count(const char *needle)
{
	uint64_t last;

	return kmsg_scan(kmsg_last, needle, &last);
}
