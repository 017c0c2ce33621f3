// SPDX-License-Identifier: GPL-2.0-only
/*
 * PCI devices through libpci: see pci.h.
 *
 * Only root may read more than the first 64 bytes of configuration space; for others capabilities
 * are unknown. A device may go while it is looked at: it reads as all ones then, and has none.
 */
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pci/pci.h>

#include "cmd.h"
#include "pci.h"
#include "sysfs.h"

/* The first byte of extended configuration space. */
#define EXT_CONFIG	0x100

#define HEADER_TYPE	0x7f

#define FILL \
	(PCI_FILL_IDENT | PCI_FILL_CLASS | PCI_FILL_CLASS_EXT | PCI_FILL_SUBSYS | \
	 PCI_FILL_CAPS | PCI_FILL_EXT_CAPS)

/* libpci wants functions of its own for its messages; the first may not return. */
static void __attribute__((noreturn, format(printf, 1, 2))) pci_error(char *fmt, ...)
{
	va_list args;

	fprintf(stderr, "iopfctl: libpci: ");
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	exit(CTL_FAILED);
}

static void __attribute__((format(printf, 1, 2))) pci_quiet(char *fmt, ...)
{
	(void)fmt;
}

/* Whether all of configuration space can be read. */
static bool config_readable(struct pci_dev *d)
{
	u8 last;

	/* A conventional PCI device has 256 bytes, and none of these capabilities. */
	return pci_read_block(d, EXT_CONFIG - 1, &last, 1);
}

static enum fact capability(struct pci_dev *d, unsigned int id, unsigned int ctrl, u16 enable)
{
	struct pci_cap *cap = pci_find_cap(d, id, PCI_CAP_EXTENDED);

	if (!cap)
		return FACT_NO;
	return pci_read_word(d, cap->addr + ctrl) & enable ? FACT_ON : FACT_YES;
}

static struct pci_dev *find(struct pci_access *pacc, const char *name)
{
	for (struct pci_dev *d = pacc->devices; d; d = d->next) {
		char own[FACTS_NAME];

		snprintf(own, sizeof(own), "%04x:%02x:%02x.%d", d->domain, d->bus, d->dev, d->func);
		if (!strcmp(own, name))
			return d;
	}
	return NULL;
}

static void capabilities(struct facts *f, struct pci_access *pacc, struct pci_dev *d)
{
	struct pci_dev *pf = d;
	struct pci_cap *pri;

	if (*f->physfn) {
		/* PRI and PASID are the physical function's, for all of its virtual ones. */
		pf = find(pacc, f->physfn);
		if (pf)
			pci_fill_info(pf, PCI_FILL_CAPS | PCI_FILL_EXT_CAPS);
	}
	if (!config_readable(d) || !pf || !config_readable(pf))
		return;
	f->ats = capability(d, PCI_EXT_CAP_ID_ATS, PCI_ATS_CTRL, PCI_ATS_CTRL_ENABLE);
	f->pri = capability(pf, PCI_EXT_CAP_ID_PRI, PCI_PRI_CTRL, PCI_PRI_CTRL_ENABLE);
	f->pasid = capability(pf, PCI_EXT_CAP_ID_PASID, PCI_PASID_CTRL, PCI_PASID_CTRL_ENABLE);
	pri = pci_find_cap(pf, PCI_EXT_CAP_ID_PRI, PCI_CAP_EXTENDED);
	f->pri_failed = pri && pci_read_word(pf, pri->addr + PCI_PRI_STATUS) & PCI_PRI_STATUS_RF;
}

static void fill(struct facts *f, struct pci_access *pacc, struct pci_dev *d)
{
	*f = (struct facts){ 0 };
	snprintf(f->name, sizeof(f->name), "%04x:%02x:%02x.%d", d->domain, d->bus, d->dev,
		 d->func);
	pci_fill_info(d, FILL);
	f->vendor = d->vendor_id;
	f->device = d->device_id;
	/* As the kernel has them: 0, where libpci says that it does not know. */
	f->subvendor = d->subsys_vendor_id == 0xffff ? 0 : d->subsys_vendor_id;
	f->subdevice = d->subsys_id == 0xffff ? 0 : d->subsys_id;
	f->class = (uint32_t)d->device_class << 8 | d->prog_if;
	f->bridge = (pci_read_byte(d, PCI_HEADER_TYPE) & HEADER_TYPE) != PCI_HEADER_TYPE_NORMAL;
	/* From pci.ids only: to ask udev's database as well leaks, each time. */
	if (!pci_lookup_name(pacc, f->label, sizeof(f->label),
			     PCI_LOOKUP_VENDOR | PCI_LOOKUP_DEVICE | PCI_LOOKUP_NO_HWDB,
			     d->vendor_id, d->device_id))
		f->label[0] = 0;
	sysfs_link(f->physfn, sizeof(f->physfn), SYSFS_PCI "/%s/physfn", f->name);
	capabilities(f, pacc, d);
}

static uint64_t address(const struct pci_dev *d)
{
	return (uint64_t)(uint32_t)d->domain << 32 | d->bus << 16 | d->dev << 8 | d->func;
}

static int by_address(const void *a, const void *b)
{
	uint64_t x = address(*(struct pci_dev *const *)a), y = address(*(struct pci_dev *const *)b);

	return x < y ? -1 : x > y;
}

static int each_sorted(struct pci_access *pacc, int (*each)(struct facts *f, void *data),
		       void *data)
{
	struct pci_dev **sorted, *d;
	struct facts *f;
	size_t nr = 0;
	int ret = 0;

	for (d = pacc->devices; d; d = d->next)
		nr++;
	sorted = calloc(nr + 1, sizeof(*sorted));
	f = malloc(sizeof(*f));
	if (!sorted || !f) {
		ret = ctl_fail_errno(-ENOMEM, "listing PCI devices");
		goto out;
	}
	nr = 0;
	for (d = pacc->devices; d; d = d->next)
		sorted[nr++] = d;
	qsort(sorted, nr, sizeof(*sorted), by_address);
	for (size_t i = 0; !ret && i < nr; i++) {
		fill(f, pacc, sorted[i]);
		ret = each(f, data);
	}
out:
	free(f);
	free(sorted);
	return ret;
}

/**
 * pci_each() - go through the PCI devices, in the order of their addresses
 * @each: is called with what configuration space says of each; may change it; ends it by
 *        returning something other than 0
 * @data: for @each
 *
 * Return: what @each returned last; 0 without any device.
 */
int pci_each(int (*each)(struct facts *f, void *data), void *data)
{
	struct pci_access *pacc;
	char path[PATH_MAX];
	int ret;

	if (!sysfs_there(SYSFS_PCI))
		return 0;
	pacc = pci_alloc();
	pacc->error = pci_error;
	pacc->warning = pci_quiet;
	pacc->method = PCI_ACCESS_SYS_BUS_PCI;
	snprintf(path, sizeof(path), "%s/bus/pci", sysfs_root());
	pci_set_param(pacc, "sysfs.path", path);
	pci_init(pacc);
	pci_scan_bus(pacc);
	ret = each_sorted(pacc, each, data);
	pci_cleanup(pacc);
	return ret;
}
