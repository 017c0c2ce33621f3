// SPDX-License-Identifier: GPL-2.0-only
/*
 * Samples: see samples.h.
 *
 * The module's log is a ring. If iopfctl reads too slowly, the module overwrites the oldest events.
 * iopfctl counts the lost events. A loss makes the sample smaller, but is no error. Reaching
 * SAMPLES_MAX is no error either: the owner of the container controls the number of events.
 *
 * Only one program can sample a container at a time. samples_start() fails if another program does.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../print/message.h"
#include "samples.h"
#include "sysfs.h"

/* Number of events per read(): sysfs returns at most a page. */
#define SOME	(4096 / sizeof(struct iopf_sample_event))
/* Maximum number of consecutive reads that find their events overwritten. */
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

/* Read some events. Returns 0 or a negative errno; -EAGAIN: the module has overwritten them. */
static int read_some(struct samples *s)
{
	const size_t size = sizeof(*s->event);
	ssize_t n;
	int ret;

	if (s->next < s->head.first) {
		s->lost += s->head.first - s->next;
		s->next = s->head.first;
	}
	ret = make_room(s);
	if (ret)
		return ret;
	n = pread(s->fd, s->event + s->nr, min(SOME, s->head.next - s->next) * size,
		  (off_t)(sizeof(s->head) + s->next * size));
	if (n < 0)
		return errno == EPIPE || errno == EINTR ? -EAGAIN : -errno;
	if (n < (ssize_t)size)
		return -EBADMSG;
	s->nr += (size_t)n / size;
	s->next += (size_t)n / size;
	return 0;
}

/**
 * samples_more() - read the new events in the log
 * @s: the log
 *
 * Return: 0 or a negative errno; -EBADMSG: the format of the log is unknown
 */
int samples_more(struct samples *s)
{
	unsigned int tries = TRIES;
	int ret = read_head(s);

	while (!ret && tries && s->next < s->head.next && s->nr < SAMPLES_MAX) {
		ret = read_some(s);
		if (ret == -EAGAIN) {
			tries--;
			ret = read_head(s);
		} else {
			tries = TRIES;
		}
	}
	return ret;
}

/**
 * samples_start() - start to sample a container
 * @s: out: the log; the caller calls samples_free(), even after a failure
 * @container: its number; the caller keeps the string
 * @interval_ms: the interval of sampling
 * @max: maximum number of chunks to sample; 0: leave it unchanged
 *
 * Return: an exit status, after a message on failure
 */
int samples_start(struct samples *s, const char *container, unsigned int interval_ms,
		  unsigned int max)
{
	char path[PATH_MAX];
	uint64_t now;
	int ret;

	*s = (struct samples){ .container = container, .fd = -1 };
	ret = sysfs_read_u64(&now, SYSFS_CONTAINERS "/%s/" SAMPLES_DIR "/interval_ms", container);
	if (ret == -ENOENT)
		return ctl_fail(CTL_NOT_FOUND,
				"there is no container %s; iopfctl list shows all",
				container);
	if (ret)
		return ctl_fail_errno(ret, "container %s", container);
	if (now)
		return ctl_fail(CTL_FAILED,
				"another program samples container %s; "
				"if that program has ended, write 0 to %s/"
				SYSFS_CONTAINERS "/%s/" SAMPLES_DIR "/interval_ms",
				container, sysfs_root(), container);
	if (max) {
		ret = write_number(s, "max_chunks", max);
		if (ret)
			return ctl_fail_errno(ret, "container %s: sampling %u chunks", container,
					      max);
	}
	ret = write_number(s, "interval_ms", interval_ms);
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
 * samples_stop() - stop sampling; the log remains
 * @s: the log
 *
 * Return: 0 or a negative errno
 */
int samples_stop(struct samples *s)
{
	return write_number(s, "interval_ms", 0);
}

/** samples_free() - free the log, after samples_stop() */
void samples_free(struct samples *s)
{
	if (s->fd >= 0)
		close(s->fd);
	free(s->event);
	*s = (struct samples){ .fd = -1 };
}
