// SPDX-License-Identifier: GPL-2.0-only
/*
 * Processes that must not wait: see others.h.
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "others.h"
#include "blocked.h"

static void read_all(const char *dir)
{
	struct dirent *entry;
	char path[512], buf[4096];
	DIR *d = opendir(dir);
	int fd;

	must_be(d);
	while ((entry = readdir(d))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
		if (entry->d_type == DT_DIR) {
			read_all(path);
			continue;
		}
		fd = open(path, O_RDONLY);
		if (fd < 0)
			continue;
		(void)!read(fd, buf, sizeof(buf));
		close(fd);
	}
	closedir(d);
}

/* Another thread of the owner, and an administrator who writes to its files. */
static void owner_others(struct rig *owner)
{
	struct vfio_iommu_type1_info *info = vfio_get_info(&owner->c);
	char path[128];
	uint64_t nr;

	must_be(info);
	free(info);
	must(knob_read_try(&nr, KNOB_IOPF_DIR "/devices/%s/container", owner->vfio[0].bdf));
	snprintf(path, sizeof(path), KNOB_IOPF_DIR "/containers/%u/prefetch_max", (unsigned int)nr);
	must(mem_write_file(path, "max"));
}

static void others(struct rig *owner)
{
	struct simbuf b = { mem_anon(MiB), RIG_IOVA, MiB };
	struct rig r;

	owner_others(owner);
	rig_open_at(&r, 1, 1, VFIO_TYPE1v2_IOMMU);
	rig_map(&r, &b);
	must_be(rig_both_ways(&r.sim[0], &b, 1, "another device"));
	read_all(KNOB_IOPF_DIR);
	rig_unmap(&r, &b);
	rig_close(&r);
	must(mem_write_file("/sys/bus/pci/drivers/vfio-pci/unbind", "%s", rig_bdf(2)));
	must(rig_bind(rig_bdf(2)));
}

/**
 * struct waiter - a process that waits until it may run
 * @pid: the process; 0: there is none
 * @go: a pipe to it
 */
struct waiter {
	pid_t pid;
	int go;
};

static struct waiter other, unbinder;

/* Return: whether this is the process, and it may run. */
static bool waiter_fork(struct waiter *w)
{
	int go[2];
	char c;

	must_sys(pipe(go));
	w->pid = must_sys(fork());
	if (!w->pid) {
		close(go[1]);
		if (read(go[0], &c, 1) != 1)
			_exit(1);
		tap_forget();
		return true;
	}
	close(go[0]);
	w->go = go[1];
	return false;
}

static void waiter_go(struct waiter *w)
{
	char c = 0;

	must_be(write(w->go, &c, 1) == 1);
	close(w->go);
}

/* Return: the status of the process; -1: it does not end within @seconds. */
static int waiter_status(struct waiter *w, unsigned int seconds)
{
	int status;

	for (unsigned int i = 0; i < seconds * 100; i++) {
		if (waitpid(w->pid, &status, WNOHANG) == w->pid)
			return status;
		usleep(10000);
	}
	return -1;
}

void others_fork(struct rig *owner)
{
	if (other.pid || !waiter_fork(&other))
		return;
	tap_quiet(true);
	others(owner);
	_exit(0);
}

bool others_run(struct rig *owner, unsigned int seconds)
{
	int status;

	others_fork(owner);
	waiter_go(&other);
	status = waiter_status(&other, seconds);
	if (status < 0) {
		tap_diag("somebody waits");
		kill(other.pid, SIGKILL);
	}
	other.pid = 0;
	return !status;
}

void blocked_unbind_prepare(const char *bdf)
{
	if (waiter_fork(&unbinder))
		_exit(mem_write_file("/sys/bus/pci/drivers/vfio-pci/unbind", "%s", bdf) ? 1 : 0);
}

void blocked_unbind(void)
{
	waiter_go(&unbinder);
}

bool blocked_unbound(unsigned int seconds)
{
	return !waiter_status(&unbinder, seconds);
}
