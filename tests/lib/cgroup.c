// SPDX-License-Identifier: GPL-2.0-only
/*
 * Cgroups: see cgroup.h.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "cgroup.h"
#include "mem.h"
#include "simdev.h"
#include "tap.h"

void cgroup_use(const char *controllers)
{
	/* The first mapping moves the process into a cgroup of its own. */
	mem_unmap(mem_anon(MEM_PAGE), MEM_PAGE);
	must(mem_write_file(CGROUP_ROOT "/cgroup.subtree_control", "%s", controllers));
}

bool cgroup_has(const char *controller)
{
	char word[64];
	bool has = false;
	FILE *f = fopen(CGROUP_ROOT "/cgroup.controllers", "r");

	must_be(f);
	while (!has && fscanf(f, "%63s", word) == 1)
		has = !strcmp(word, controller);
	fclose(f);
	return has;
}

void cgroup_make(const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), CGROUP_ROOT "/%s", name);
	must_be(!mkdir(path, 0755) || errno == EEXIST);
}

void cgroup_remove(const char *name)
{
	unsigned int spins = 0;
	char path[256];

	snprintf(path, sizeof(path), CGROUP_ROOT "/%s", name);
	while (rmdir(path) && errno == EBUSY && spins < 60000)
		sim_nap(&spins);
}

int cgroup_try(const char *name, const char *file, const char *text)
{
	char path[256];

	snprintf(path, sizeof(path), CGROUP_ROOT "/%s/%s", name, file);
	return mem_write_file(path, "%s", text);
}

void cgroup_set(const char *name, const char *file, const char *text)
{
	int err = cgroup_try(name, file, text);

	if (err)
		tap_bail("%s: %s > %s: %s", name, text, file, strerror(-err));
}

void cgroup_enter(const char *name)
{
	cgroup_set(name ?: ".", "cgroup.procs", "0");
}

static FILE *cgroup_open(const char *name, const char *file)
{
	char path[256];

	snprintf(path, sizeof(path), CGROUP_ROOT "/%s/%s", name, file);
	return fopen(path, "r");
}

long cgroup_read(const char *name, const char *file)
{
	FILE *f = cgroup_open(name, file);
	long v = -1;

	if (f && fscanf(f, "%ld", &v) != 1)
		v = -1;
	if (f)
		fclose(f);
	return v;
}

long cgroup_field(const char *name, const char *file, const char *field)
{
	FILE *f = cgroup_open(name, file);
	char key[64];
	long v, found = -1;

	while (f && fscanf(f, "%63s %ld", key, &v) == 2)
		if (!strcmp(key, field))
			found = v;
	if (f)
		fclose(f);
	return found;
}

long cgroup_io(const char *name, dev_t disk, const char *field)
{
	FILE *f = cgroup_open(name, "io.stat");
	char line[512], want[64], id[32];
	long found = 0;

	snprintf(id, sizeof(id), "%u:%u ", major(disk), minor(disk));
	snprintf(want, sizeof(want), " %s=", field);
	while (f && fgets(line, sizeof(line), f)) {
		const char *at = strstr(line, want);

		if (!strncmp(line, id, strlen(id)) && at)
			found = strtol(at + strlen(want), NULL, 10);
	}
	if (f)
		fclose(f);
	return found;
}

dev_t cgroup_disk(int fd, char *text)
{
	struct stat st;

	must_sys(fstat(fd, &st));
	snprintf(text, 32, "%u:%u", major(st.st_dev), minor(st.st_dev));
	return st.st_dev;
}
