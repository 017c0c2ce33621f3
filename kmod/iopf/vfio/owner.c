// SPDX-License-Identifier: GPL-2.0-only
/*
 * Owners of containers. Limits are kept for an owner.
 *
 * An owner is defined by a property that an unprivileged user can't change:
 *
 *   outside the root cgroup          the cgroup and all cgroups below it. A process can move down,
 *                                    but not up. The user is no such property: in a user namespace
 *                                    it can change
 *   in the root cgroup, not root     the user
 *   in the root cgroup, root         the process. Root can set limits anyhow
 */
#include <linux/cgroup.h>
#include <linux/cred.h>
#include <linux/limits.h>
#include <linux/pid.h>
#include <linux/sched.h>
#include <linux/seq_buf.h>
#include <linux/uidgid.h>
#include <linux/user_namespace.h>

#include "owner.h"

/**
 * iopf_owner_init() - record the current process as the owner of a container
 * @o: out
 */
void iopf_owner_init(struct iopf_owner *o)
{
	o->uid = current_uid();
	o->process = get_pid(task_tgid(current));
	rcu_read_lock();
	do {
		o->cgroup = task_dfl_cgroup(current);
	} while (!cgroup_tryget(o->cgroup));
	rcu_read_unlock();
}

/**
 * iopf_owner_end() - undo iopf_owner_init()
 * @o: the owner, or zeroes
 */
void iopf_owner_end(struct iopf_owner *o)
{
	put_pid(o->process);
	if (o->cgroup)
		cgroup_put(o->cgroup);
	*o = (struct iopf_owner){ };
}

void iopf_owner_copy(struct iopf_owner *to, const struct iopf_owner *o)
{
	*to = *o;
	get_pid(to->process);
	cgroup_get(to->cgroup);
}

static bool owner_rooted(const struct iopf_owner *o)
{
	return !cgroup_parent(o->cgroup);
}

/* Whether limits that are kept for @o apply to @other, too. */
bool iopf_owner_covers(const struct iopf_owner *o, const struct iopf_owner *other)
{
	if (!owner_rooted(o))
		return cgroup_is_descendant(other->cgroup, o->cgroup);
	if (!uid_eq(o->uid, GLOBAL_ROOT_UID))
		return uid_eq(o->uid, other->uid);
	return o->process == other->process;
}

/* Whether the owner is gone, so that it can make no more containers. */
bool iopf_owner_gone(const struct iopf_owner *o)
{
	if (!owner_rooted(o))
		return !(o->cgroup->self.flags & CSS_ONLINE);
	return uid_eq(o->uid, GLOBAL_ROOT_UID) && !pid_has_task(o->process, PIDTYPE_TGID);
}

bool iopf_owner_equal(const struct iopf_owner *a, const struct iopf_owner *b)
{
	return iopf_owner_covers(a, b) && iopf_owner_covers(b, a);
}

/* Print the owner in the syntax of a rule. @path: room for PATH_MAX bytes. */
void iopf_owner_print(struct seq_buf *s, const struct iopf_owner *o, char *path)
{
	if (!owner_rooted(o)) {
		cgroup_path(o->cgroup, path, PATH_MAX);
		seq_buf_printf(s, "cgroup %s", path);
	} else if (!uid_eq(o->uid, GLOBAL_ROOT_UID)) {
		seq_buf_printf(s, "user %u", from_kuid(&init_user_ns, o->uid));
	} else {
		seq_buf_printf(s, "process %d", pid_nr(o->process));
	}
}
