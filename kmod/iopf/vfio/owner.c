// SPDX-License-Identifier: GPL-2.0-only
/*
 * Owners of containers, as far as limits are kept for them.
 *
 * Who is the same owner: what an unprivileged user can't change. Of a container set up in a cgroup
 * other than the root it is that cgroup and all below it, for a process can go down and not up;
 * its user can be another one in a user namespace. In the root cgroup it is the user; and of root
 * there, who can set limits anyhow, the process.
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
 * iopf_owner_init() - the current process as the owner of a container
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

/* Whether what is kept for @o is for @other, too. */
bool iopf_owner_covers(const struct iopf_owner *o, const struct iopf_owner *other)
{
	if (!owner_rooted(o))
		return cgroup_is_descendant(other->cgroup, o->cgroup);
	if (!uid_eq(o->uid, GLOBAL_ROOT_UID))
		return uid_eq(o->uid, other->uid);
	return o->process == other->process;
}

/* Whether there can be no more containers of it. */
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

/* The words of a rule for it. */
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
