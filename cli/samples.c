// SPDX-License-Identifier: GPL-2.0-only
/*
 * Samples: see samples.h.
 *
 * The module's log is a ring: who reads too slowly finds the oldest events overwritten, which
 * is counted and, since it only makes the sample shorter, no error. Nor is it when there are more
 * events than we want to have in memory: who makes them is the owner of the container. One
 * samples at a time; if somebody does already, he is left in peace.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"
#include "samples.h"
#include "sysfs.h"

/* Events read at a time: what sysfs gives at a time. */
#define SOME	(4096 / sizeof(struct iopf_sample_event))
/* How often in a row what is to be read may be overwritten already, before it is left for later. */
#define TRIES	16

static int write_number(const struct samples *s, const char *file, unsigned int number)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", number);
	return sysfs_write(text, SYSFS_CONTAINERS "/%s/" SAMPLES_DIR "/%s", s->container, file);
}

static int read_head(struct samples *s)
{
	ssize_t n = pread(s->fd, &s->head, sizeof(s->head), 0);

	if (n != sizeof(s->head))
		return n < 0 ? -errno : -EBADMSG;
	if (memcmp(s->head.magic, IOPF_SAMPLE_MAGIC, sizeof(s->head.magic)) ||
	    s->head.version != IOPF_SAMPLE_VERSION ||
	    s->head.record != sizeof(struct iopf_sample_event) ||
	    !s->head.threshold || s->head.threshold > IOPF_SAMPLE_ALL)
		return -EBADMSG;
	return 0;
}

static int make_room(struct samples *s)
{
	size_t room = s->room ? 2 * s->room : 4096;
	void *p;

	if (s->nr + SOME <= s->room)
		return 0;
	p = reallocarray(s->event, room, sizeof(*s->event));
	if (!p)
		return -ENOMEM;
	s->event = p;
	s->room = room;
	return 0;
}

/**
 * samples_more() - read what is new in the log
 * @s: the log
 *
 * Return: 0 or a negative errno; -EBADMSG: it is no log that we know
 */
int samples_more(struct samples *s)
{
	const size_t size = sizeof(*s->event);
	unsigned int tries = TRIES;
	int ret = read_head(s);

	while (!ret && tries && s->next < s->head.next && s->nr < SAMPLES_MAX) {
		ssize_t n;

		if (s->next < s->head.first) {
			s->lost += s->head.first - s->next;
			s->next = s->head.first;
		}
		ret = make_room(s);
		if (ret)
			break;
		n = pread(s->fd, s->event + s->nr, min(SOME, s->head.next - s->next) * size,
			  (off_t)(sizeof(s->head) + s->next * size));
		if (n < 0 && (errno == EPIPE || errno == EINTR)) {
			/* Overwritten since the header was read. */
			tries--;
			ret = read_head(s);
			continue;
		}
		if (n < 0)
			ret = -errno;
		else if (n < (ssize_t)size)
			ret = -EBADMSG;
		if (ret)
			break;
		s->nr += (size_t)n / size;
		s->next += (size_t)n / size;
		tries = TRIES;
	}
	return ret;
}

/**
 * samples_start() - have a container sampled
 * @s: out; to be given to samples_free(), also on failure
 * @container: its number, which stays
 * @interval_ms: at what interval
 * @max: chunks to watch at most; 0: as it is
 *
 * Return: an exit status; what is wrong has been said
 */
int samples_start(struct samples *s, const char *container, unsigned int interval_ms,
		  unsigned int max)
{
	char path[PATH_MAX];
	uint64_t now;
	int ret;

	*s = (struct samples){ .container = container, .fd = -1 };
	ret = sysfs_read_u64(&now, SYSFS_CONTAINERS "/%s/" SAMPLES_DIR "/interval", container);
	if (ret == -ENOENT)
		return ctl_fail(CTL_NOT_FOUND,
				"there is no container %s; iopfctl list shows those there are",
				container);
	if (ret)
		return ctl_fail_errno(ret, "container %s", container);
	if (now)
		return ctl_fail(CTL_FAILED,
				"container %s is being sampled by somebody else; "
				"if nobody does, write 0 to %s/"
				SYSFS_CONTAINERS "/%s/" SAMPLES_DIR "/interval",
				container, sysfs_root(), container);
	if (max) {
		ret = write_number(s, "max", max);
		if (ret)
			return ctl_fail_errno(ret, "container %s: watching %u chunks", container,
					      max);
	}
	ret = write_number(s, "interval", interval_ms);
	if (ret)
		return ctl_fail_errno(ret, "container %s: sampling", container);
	snprintf(path, sizeof(path), "%s/" SYSFS_CONTAINERS "/%s/" SAMPLES_DIR "/log", sysfs_root(),
		 container);
	s->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (s->fd >= 0)
		return CTL_OK;
	ret = -errno;
	samples_stop(s);
	return ctl_fail_errno(ret, "%s", path);
}

/**
 * samples_stop() - have it sampled no more; the log stays
 * @s: the log
 *
 * Return: 0 or a negative errno
 */
int samples_stop(struct samples *s)
{
	return write_number(s, "interval", 0);
}

/** samples_free() - give back what samples_start() gave; sampling has been stopped */
void samples_free(struct samples *s)
{
	if (s->fd >= 0)
		close(s->fd);
	free(s->event);
	*s = (struct samples){ .fd = -1 };
}
