// SPDX-License-Identifier: GPL-2.0-only
/*
 * Files of a container in sysfs: the process that set it up, its policy, and how much is mapped.
 *
 * Any user may read them at any time. So reading walks no list, and takes no lock that an owner
 * could hold for long.
 */
#include <linux/string.h>
#include <linux/string_helpers.h>
#include <linux/sysfs.h>

#include "../lib/params.h"
#include "../prefault/requests.h"
#include "../vfio/container.h"
#include "../vfio/limits.h"
#include "container.h"

#define CONTAINER_ATTR(_name)                                         \
	static const struct iopf_container_attr container_##_name = { \
		.attr = { .name = #_name, .mode = 0444 },             \
		.show = _name##_show,                                 \
	}

static ssize_t pid_show(struct iopf_container *c, char *buf)
{
	return sysfs_emit(buf, "%d\n", c->pid);
}

CONTAINER_ATTR(pid);

/*
 * A program can set its name to any bytes. Escape control characters and backslashes, so that the
 * file has one line and nothing that a terminal interprets. Other bytes stay, since their character
 * set is unknown.
 */
static ssize_t comm_show(struct iopf_container *c, char *buf)
{
	static const char escaped[] =
		"\001\002\003\004\005\006\007\010\011\012\013\014\015\016\017"
		"\020\021\022\023\024\025\026\027\030\031\032\033\034\035\036\037"
		"\177\\";
	char text[4 * sizeof(c->comm) + 1];
	int len;

	len = string_escape_mem(c->comm, strnlen(c->comm, sizeof(c->comm)), text, sizeof(text) - 1,
				ESCAPE_SPACE | ESCAPE_SPECIAL | ESCAPE_HEX, escaped);
	return sysfs_emit(buf, "%.*s\n", len, text);
}

CONTAINER_ATTR(comm);

#define CONTAINER_COUNT_ATTR(_name, _expr)                               \
	static ssize_t _name##_show(struct iopf_container *c, char *buf) \
	{                                                                \
		return sysfs_emit(buf, "%lu\n", _expr);                  \
	}                                                                \
	CONTAINER_ATTR(_name)

CONTAINER_COUNT_ATTR(areas, READ_ONCE(c->space.nr_areas));
CONTAINER_COUNT_ATTR(mapped, READ_ONCE(c->space.area_pages) << PAGE_SHIFT);
CONTAINER_COUNT_ATTR(resident, iopf_space_resident(&c->space) << PAGE_SHIFT);
CONTAINER_COUNT_ATTR(pinned, atomic_long_read(&c->space.pinned_pages) << PAGE_SHIFT);

#define CONTAINER_PREFAULT_ATTR(_name, _format, _expr) \
	static ssize_t _name##_show(struct iopf_container *c, char *buf) \
	{ \
		unsigned int held; \
		u64 pages; \
\
		iopf_prefaults_count(c->space.prefaults, &held, &pages); \
		return sysfs_emit(buf, _format "\n", _expr); \
	} \
	CONTAINER_ATTR(_name)

CONTAINER_PREFAULT_ATTR(prefault_requests, "%u", held);
CONTAINER_PREFAULT_ATTR(prefault_pages, "%llu", pages);

/* The word for a container without a default policy: the policies of its devices apply. */
static const char policy_of_devices[] = "device";

static ssize_t policy_show(struct iopf_container *c, char *buf)
{
	enum iopf_policy policy = READ_ONCE(c->policy);

	return sysfs_emit(buf, "%s\n",
			  policy == IOPF_POLICY_DEFAULT ? policy_of_devices :
							  iopf_policy_name(policy));
}

static ssize_t policy_store(struct iopf_container *c, const char *buf, size_t count)
{
	size_t len = strcspn(buf, "\n");
	int policy = iopf_policy_parse(buf, len);

	if (iopf_word_is(buf, len, policy_of_devices))
		policy = IOPF_POLICY_DEFAULT;
	else if (policy <= IOPF_POLICY_DEFAULT)
		return -EINVAL;
	return iopf_limits_set_policy(c, policy) ?: count;
}

static const struct iopf_container_attr container_policy = {
	.attr = { .name = "policy", .mode = 0644 },
	.show = policy_show,
	.store = policy_store,
};

const struct attribute *const iopf_container_attrs[] = {
	&container_pid.attr,
	&container_comm.attr,
	&container_areas.attr,
	&container_mapped.attr,
	&container_resident.attr,
	&container_pinned.attr,
	&container_prefault_requests.attr,
	&container_prefault_pages.attr,
	&container_policy.attr,
	NULL,
};
