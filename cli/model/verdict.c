// SPDX-License-Identifier: GPL-2.0-only
/*
 * The verdict on a device: see verdict.h. This file reads nothing: it draws conclusions from facts.
 *
 * These functions decide, in this order:
 *
 *   has_faulted()  the device faults, or has faulted
 *   lacks()        the device lacks something, and no setting helps
 *   unreadable()   this user may not read the capabilities
 *   needs_*()      something has to change first
 *
 * The driver of the IOMMU decides whether it enables page faults for a device. It decides when the
 * first container opens the device. So the verdict is "enabled" only for a device that has been
 * served, and "unsupported" only for a device for which that driver has refused.
 *
 * A capability is no permission. A device with all capabilities may still be unable to take a page
 * fault on some accesses. So the device table says which devices may fault.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "../../core/mode.h"
#include "../../core/reason.h"
#include "../../core/word.h"
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

/* Whether the module's reason begins with @word. */
static bool because(const struct facts *f, const char *word)
{
	return iopf_word_is(f->reason, strcspn(f->reason, ":"), word);
}

/* Return the sentence after the first word of the module's reason. */
static const char *sentence(const struct facts *f)
{
	const char *colon = strstr(f->reason, ": ");

	return colon ? colon + 2 : f->reason;
}

static bool has_faulted(struct verdict *v, const struct facts *f)
{
	if (f->mode == IOPF_MODE_NONE)
		return false;
	if (!strcmp(f->backend, MODULE) && !*f->reason) {
		why(v, VERDICT_ENABLED, "served by " MODULE "%s%s",
		    *f->container ? " in container " : "", f->container);
		return true;
	}
	/* The module has served the device before, and gives no reason why it may not fault. */
	if (f->faults && !*f->reason) {
		why(v, VERDICT_ENABLED, "not in use; it has faulted since it was bound");
		return true;
	}
	return false;
}

static bool lacks_iommu(struct verdict *v, const struct facts *f)
{
	if (*f->iommu)
		return false;
	if (f->iommus)
		why(v, VERDICT_UNSUPPORTED, "it is not behind an IOMMU");
	else
		why(v, VERDICT_UNSUPPORTED,
		    "no IOMMU is active (the firmware may have disabled it, or it needs intel_iommu=on on the kernel's command line)");
	return true;
}

static bool lacks(struct verdict *v, const struct facts *f)
{
	if (f->bridge)
		why(v, VERDICT_UNSUPPORTED, "programs cannot use a bridge");
	else if (lacks_iommu(v, f))
		return true;
	else if (f->pri == FACT_NO && f->stall == FACT_NO)
		why(v, VERDICT_UNSUPPORTED, "it has no page request interface (PRI)");
	else if (f->pri >= FACT_YES && f->ats == FACT_NO)
		why(v, VERDICT_UNSUPPORTED,
		    "it has PRI, but no address translation services (ATS)");
	else if (f->prs == FACT_NO && f->stall != FACT_YES)
		why(v, VERDICT_UNSUPPORTED, "its IOMMU (%s) accepts no page requests", f->iommu);
	else if (f->mode != IOPF_MODE_NONE && because(f, IOPF_REASON_IOMMU_REFUSED))
		why(v, VERDICT_UNSUPPORTED,
		    "the driver of its IOMMU (%s) refused to enable page faults at its last use",
		    f->iommu);
	else
		return false;
	return true;
}

static bool unreadable(struct verdict *v, const struct facts *f)
{
	if (f->pri != FACT_UNKNOWN || f->stall == FACT_YES || f->faults)
		return false;
	why(v, VERDICT_UNKNOWN, "only root can read its capabilities; run iopfctl as root");
	return true;
}

/* Whether the module gave its reason before the device table permitted page faults. */
static bool asked_before_allowed(const struct facts *f)
{
	return f->mode != IOPF_MODE_NONE && because(f, IOPF_REASON_DISABLED);
}

static void needs_mode(struct verdict *v, const struct facts *f)
{
	if (f->mode == IOPF_MODE_SELECTIVE && !f->windows)
		need(v,
		     "its driver, its program (VFIO_IOPF_LOCK), or a window in the device table declares where it does not fault");
	if (f->mode != IOPF_MODE_NONE)
		return;
	if (!strcmp(f->origin, "override"))
		need(v, "it is enabled: iopfctl set --device %s enabled=1", f->name);
	else if (*f->rule)
		need(v, "the device table permits it (the matching rule is now '%s')", f->rule);
	else
		need(v,
		     "the device table permits it: iopfctl device add --apply pci %04x:%04x arbitrary, provided that it handles page faults on all accesses",
		     f->vendor, f->device);
}

static void needs_device(struct verdict *v, const struct facts *f)
{
	if (f->pri == FACT_NO && f->stall != FACT_YES && !f->faults)
		need(v, "it stalls on a missing page (no register shows that); it has no PRI");
	if (f->pri_failed)
		need(v, "it is reset: a Response Failure has disabled its PRI");
	needs_mode(v, f);
	if (f->nr_others > FACTS_OTHERS)
		need(v, "the other devices of IOMMU group %s may fault, too: %s and %u more",
		     f->group, f->others, f->nr_others - FACTS_OTHERS);
	else if (*f->others)
		need(v, "the other devices of IOMMU group %s may fault, too: %s", f->group,
		     f->others);
	if (!f->vfio)
		need(v, "it is bound to vfio-pci (now %s%s)", *f->driver ? "to " : "to no driver",
		     f->driver);
}

static void needs_module(struct verdict *v, const struct facts *f)
{
	bool old = asked_before_allowed(f);

	if (!f->loaded)
		need(v, "the module is loaded: modprobe " MODULE);
	if (because(f, IOPF_REASON_SHADOWED)) {
		need(v,
		     "VFIO asks the module before vfio_iommu_type1, which was loaded later: write 1 to /sys/kernel/vfio_iopf/first");
		return;
	}
	if (f->mode == IOPF_MODE_NONE || !*f->reason)
		return;
	if (because(f, IOPF_REASON_UNSAFE_INTERRUPTS))
		need(v,
		     "the module parameter allow_unsafe_interrupts is set: its interrupts are not remapped");
	else if (strcmp(f->backend, MODULE))
		need(v, "its program opens a new container (%s serves the last one%s%s)",
		     f->backend, old ? "" : ": ", old ? "" : sentence(f));
	else if (f->mode != IOPF_MODE_SELECTIVE || f->windows)
		need(v, "its container is not pinned: %s", sentence(f));
}

/**
 * verdict_judge() - judge a device
 * @v: out: the verdict
 * @f: the facts about the device
 */
void verdict_judge(struct verdict *v, const struct facts *f)
{
	*v = (struct verdict){ .kind = VERDICT_POSSIBLE };
	if (has_faulted(v, f) || lacks(v, f) || unreadable(v, f))
		return;
	needs_device(v, f);
	needs_module(v, f);
	/* The module has not asked the IOMMU's driver since page faults were permitted. */
	if (!v->nr_needs || (v->nr_needs == 1 && asked_before_allowed(f)))
		need(v,
		     "the driver of its IOMMU (%s) enables page faults for it (its first use shows that)",
		     f->iommu);
}

/** verdict_word() - the kind of a verdict, as a word */
const char *verdict_word(enum verdict_kind kind)
{
	static const char * const words[] = {
		[VERDICT_ENABLED] = "enabled",
		[VERDICT_POSSIBLE] = "possible",
		[VERDICT_UNSUPPORTED] = "unsupported",
		[VERDICT_UNKNOWN] = "unknown",
	};

	return words[kind];
}

/**
 * verdict_text() - the verdict as a sentence
 * @v: the verdict
 * @buf: out: the sentence
 * @size: size of @buf
 */
void verdict_text(const struct verdict *v, char *buf, size_t size)
{
	size_t n = snprintf(buf, size, "%s%s%s", verdict_word(v->kind),
			    v->kind == VERDICT_POSSIBLE ? ", if " : ": ", v->why);

	for (unsigned int i = 0; i < v->nr_needs && n < size; i++)
		n += snprintf(buf + n, size - n, "%s%s", i ? "; and " : "", v->needs[i]);
}
