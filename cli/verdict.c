// SPDX-License-Identifier: GPL-2.0-only
/*
 * The verdict on a device: see verdict.h. Nothing is read here.
 *
 * What decides, in order: what the device has shown; what it lacks for good; what can't be read;
 * what would have to be changed. Whether the IOMMU's driver turns page faults on for a device is
 * its own affair, and shows only when it is asked to, by the first container: so "faults" is said
 * only of a device that was served, and "cannot" of one for which it was refused.
 *
 * A capability is no permission: with all of them a device may still not cope with a page fault on
 * some of its accesses, which is what the device table is about.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "../core/mode.h"
#include "../core/reason.h"
#include "../core/word.h"
#include "verdict.h"

#define MODULE	"vfio_iommu_iopf"

static void __attribute__((format(printf, 3, 4))) why(struct verdict *v, enum verdict_kind kind,
						      const char *fmt, ...)
{
	va_list args;

	v->kind = kind;
	va_start(args, fmt);
	vsnprintf(v->why, sizeof(v->why), fmt, args);
	va_end(args);
}

static void __attribute__((format(printf, 2, 3))) need(struct verdict *v, const char *fmt, ...)
{
	va_list args;

	if (v->nr_needs == VERDICT_NEEDS)
		return;
	va_start(args, fmt);
	vsnprintf(v->needs[v->nr_needs++], sizeof(v->needs[0]), fmt, args);
	va_end(args);
}

/* Whether @word is the reason that the module gives. */
static bool because(const struct facts *f, const char *word)
{
	return iopf_word_is(f->reason, strcspn(f->reason, ":"), word);
}

/* That reason as a sentence. */
static const char *sentence(const struct facts *f)
{
	const char *colon = strstr(f->reason, ": ");

	return colon ? colon + 2 : f->reason;
}

static bool shown(struct verdict *v, const struct facts *f)
{
	if (f->mode == IOPF_MODE_NONE)
		return false;
	if (!strcmp(f->served_by, MODULE) && !*f->reason) {
		why(v, VERDICT_FAULTS, "served by " MODULE "%s%s",
		    *f->container ? " in container " : "", f->container);
		return true;
	}
	/* It was served before, and nothing stands against it since. */
	if (f->faults && !*f->reason) {
		why(v, VERDICT_FAULTS, "not in use; it has faulted since it was bound");
		return true;
	}
	return false;
}

static bool lacks(struct verdict *v, const struct facts *f)
{
	if (f->bridge)
		why(v, VERDICT_CANNOT, "a bridge is not handed to programs");
	else if (!*f->iommu && !f->iommus)
		why(v, VERDICT_CANNOT,
		    "no IOMMU is in use (it may be off in the firmware, or want intel_iommu=on on the kernel's command line)");
	else if (!*f->iommu)
		why(v, VERDICT_CANNOT, "it is not behind an IOMMU");
	else if (f->pri == FACT_NO && f->stall == FACT_NO)
		why(v, VERDICT_CANNOT, "it has no page request interface (PRI)");
	else if (f->pri >= FACT_YES && f->ats == FACT_NO)
		why(v, VERDICT_CANNOT, "it has PRI, but no address translation services (ATS)");
	else if (f->prs == FACT_NO && f->stall != FACT_YES)
		why(v, VERDICT_CANNOT, "its IOMMU (%s) takes no page requests", f->iommu);
	else if (f->mode != IOPF_MODE_NONE && because(f, IOPF_REASON_REFUSED))
		why(v, VERDICT_CANNOT,
		    "when it was last used its IOMMU's driver (%s) refused to turn page faults on",
		    f->iommu);
	else
		return false;
	return true;
}

static bool hidden(struct verdict *v, const struct facts *f)
{
	if (f->pri != FACT_UNKNOWN || f->stall == FACT_YES || f->faults)
		return false;
	why(v, VERDICT_UNKNOWN, "only root can read its capabilities; run it as root");
	return true;
}

/* What the module had against it when it was last used holds no more. */
static bool asked_before_allowed(const struct facts *f)
{
	return f->mode != IOPF_MODE_NONE && because(f, IOPF_REASON_DISABLED);
}

static void needs(struct verdict *v, const struct facts *f)
{
	if (f->pri == FACT_NO && f->stall != FACT_YES && !f->faults)
		need(v,
		     "it waits for a missing page on the bus (stall), which nothing readable says; it has no PRI");
	if (f->pri_failed)
		need(v, "it is reset: its PRI has met a failure and is off");
	if (f->mode == IOPF_MODE_NONE && !strcmp(f->origin, "set"))
		need(v, "it is switched on: iopfctl set --device %s enabled=1", f->name);
	else if (f->mode == IOPF_MODE_NONE && *f->rule)
		need(v, "the device table lets it, which says '%s'", f->rule);
	else if (f->mode == IOPF_MODE_NONE)
		need(v,
		     "the device table lets it: iopfctl device add --apply pci %04x:%04x arbitrary, if it copes with page faults on all accesses",
		     f->vendor, f->device);
	if (f->mode == IOPF_MODE_SELECTIVE && !f->windows)
		need(v,
		     "somebody answers for what it does not fault in: a window in the device table, its driver, or its program (VFIO_IOPF_LOCK)");
	if (f->nr_others > FACTS_OTHERS)
		need(v, "the others of IOMMU group %s may fault, too: %s and %u more", f->group,
		     f->others, f->nr_others - FACTS_OTHERS);
	else if (*f->others)
		need(v, "the others of IOMMU group %s may fault, too: %s", f->group, f->others);
	if (!f->vfio)
		need(v, "it is bound to vfio-pci (%s%s)", *f->driver ? "now: " : "now to nothing",
		     f->driver);
	if (!f->loaded)
		need(v, "the module is loaded: modprobe " MODULE);
	if (because(f, IOPF_REASON_BEHIND))
		need(v,
		     "the module is asked before vfio_iommu_type1, which was loaded after it: write 1 to /sys/kernel/vfio_iopf/front");
	if (f->mode == IOPF_MODE_NONE || !*f->reason || because(f, IOPF_REASON_BEHIND))
		return;
	if (because(f, IOPF_REASON_UNSAFE))
		need(v,
		     "the module parameter allow_unsafe_interrupts permits that its interrupts are not remapped");
	else if (strcmp(f->served_by, MODULE))
		need(v, "its container is opened anew (%s serves the last%s%s)", f->served_by,
		     asked_before_allowed(f) ? "" : ": ",
		     asked_before_allowed(f) ? "" : sentence(f));
	else if (f->mode != IOPF_MODE_SELECTIVE || f->windows)
		need(v, "its container is not pinned: %s", sentence(f));
}

/**
 * verdict_judge() - judge a device
 * @v: out: the verdict
 * @f: what is known of the device
 */
void verdict_judge(struct verdict *v, const struct facts *f)
{
	*v = (struct verdict){ .kind = VERDICT_COULD };
	if (shown(v, f) || lacks(v, f) || hidden(v, f))
		return;
	needs(v, f);
	/* Neither has it been asked when it was not to fault. */
	if (!v->nr_needs || (v->nr_needs == 1 && asked_before_allowed(f)))
		need(v,
		     "its IOMMU's driver (%s) turns page faults on for it, which shows when it is first used",
		     f->iommu);
}

/** verdict_word() - a verdict in a word */
const char *verdict_word(enum verdict_kind kind)
{
	static const char * const words[] = {
		[VERDICT_FAULTS] = "faults",
		[VERDICT_COULD] = "could",
		[VERDICT_CANNOT] = "cannot",
		[VERDICT_UNKNOWN] = "unknown",
	};

	return words[kind];
}

/**
 * verdict_text() - a verdict as a sentence
 * @v: the verdict
 * @buf: out
 * @size: room in @buf
 */
void verdict_text(const struct verdict *v, char *buf, size_t size)
{
	size_t n = snprintf(buf, size, "%s%s%s", verdict_word(v->kind),
			    v->kind == VERDICT_COULD ? ", if " : ": ", v->why);

	for (unsigned int i = 0; i < v->nr_needs && n < size; i++)
		n += snprintf(buf + n, size - n, "%s%s", i ? "; and " : "", v->needs[i]);
}
