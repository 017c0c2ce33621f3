// SPDX-License-Identifier: GPL-2.0-only
/*
 * PCI devices through libpci: see pci.h.
 *
 * Only root may read more than the first 64 bytes of configuration space. For other users the
 * capabilities are unknown. A device may vanish while libpci reads it: then its configuration space
 * reads as all ones, and shows no capabilities.
 */
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pci/pci.h>

#include "../print/message.h"
#include "pci.h"
#include "sysfs.h"

/* The first byte of extended configuration space. */
#define EXT_CONFIG	0x100

#define HEADER_TYPE	0x7f

#define FILL \
	(PCI_FILL_IDENT | PCI_FILL_CLASS | PCI_FILL_CLASS_EXT | PCI_FILL_SUBSYS | \
	 PCI_FILL_CAPS | PCI_FILL_EXT_CAPS)

/* While libpci reads a device, pci_error() jumps to @failed. @failure is its message. */
static jmp_buf *failed;
static char failure[256];

/* libpci calls pci_error() for errors, pci_quiet() for warnings. pci_error() must not return. */
static void __attribute__((noreturn, format(printf, 1, 2))) pci_error(char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(failure, sizeof(failure), fmt, args);
	va_end(args);
	if (failed)
		longjmp(*failed, 1);
	ctl_note("libpci: %s", failure);
	exit(ctl_flush(CTL_FAILED));
}

static void __attribute__((format(printf, 1, 2))) pci_quiet(char *fmt, ...)
{
	(void)fmt;
}

/* Whether this user may read all of configuration space. */
static bool config_readable(struct pci_dev *d)
{
	u8 last;

	/* A conventional PCI device has 256 bytes, and no extended capabilities. */
	return pci_read_block(d, EXT_CONFIG - 1, &last, 1);
}

static enum fact capability(struct pci_dev *d, unsigned int id, unsigned int ctrl, u16 enable)
{
	struct pci_cap *cap = pci_find_cap(d, id, PCI_CAP_EXTENDED);

	if (!cap)
		return FACT_NO;
	return pci_read_word(d, cap->addr + ctrl) & enable ? FACT_ON : FACT_YES;
}

/**
 * struct devices - all devices
 * @pacc: libpci's handle
 * @nr: number of devices
 * @sorted: the devices, in the order of their addresses
 */
struct devices {
	struct pci_access *pacc;
	size_t nr;
	struct pci_dev **sorted;
};

static uint64_t address(const struct pci_dev *d)
{
	return (uint64_t)(uint32_t)d->domain << 32 | d->bus << 16 | d->dev << 8 | d->func;
}

static int by_address(const void *a, const void *b)
{
	uint64_t x = address(*(struct pci_dev *const *)a), y = address(*(struct pci_dev *const *)b);

	return x < y ? -1 : x > y;
}

static struct pci_dev *find(const struct devices *all, const char *name)
{
	struct pci_dev key = { 0 }, *wanted = &key, **found;
	unsigned int domain, bus, dev, func;

	if (sscanf(name, "%x:%x:%x.%u", &domain, &bus, &dev, &func) != 4)
		return NULL;
	key.domain = (int)domain;
	key.bus = bus;
	key.dev = dev;
	key.func = func;
	found = bsearch(&wanted, all->sorted, all->nr, sizeof(wanted), by_address);
	return found ? *found : NULL;
}

static void capabilities(struct facts *f, const struct devices *all, struct pci_dev *d)
{
	struct pci_dev *pf = d;
	struct pci_cap *pri;

	if (*f->physfn) {
		/* Virtual functions use PRI and PASID of their physical function. */
		pf = find(all, f->physfn);
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

static void fill(struct facts *f, const struct devices *all, struct pci_dev *d)
{
	*f = (struct facts){ 0 };
	snprintf(f->name, sizeof(f->name), "%04x:%02x:%02x.%d", d->domain, d->bus, d->dev,
		 d->func);
	pci_fill_info(d, FILL);
	f->vendor = d->vendor_id;
	f->device = d->device_id;
	/* The kernel uses 0 where libpci uses 0xffff: unknown. */
	f->subvendor = d->subsys_vendor_id == 0xffff ? 0 : d->subsys_vendor_id;
	f->subdevice = d->subsys_id == 0xffff ? 0 : d->subsys_id;
	f->class = (uint32_t)d->device_class << 8 | d->prog_if;
	f->bridge = (pci_read_byte(d, PCI_HEADER_TYPE) & HEADER_TYPE) != PCI_HEADER_TYPE_NORMAL;
	/* Use pci.ids only: libpci leaks memory when it asks udev's database. */
	if (!pci_lookup_name(all->pacc, f->label, sizeof(f->label),
			     PCI_LOOKUP_VENDOR | PCI_LOOKUP_DEVICE | PCI_LOOKUP_NO_HWDB,
			     d->vendor_id, d->device_id))
		f->label[0] = 0;
	sysfs_link(f->physfn, sizeof(f->physfn), SYSFS_PCI "/%s/physfn", f->name);
	capabilities(f, all, d);
}

/*
 * Call fill(). If the device vanishes meanwhile, libpci calls pci_error(), which jumps back here.
 * Returns 0, -ENODEV if the device has vanished, or an exit status.
 */
static int try_fill(struct facts *f, const struct devices *all, struct pci_dev *d)
{
	jmp_buf here;

	if (!setjmp(here)) {
		failed = &here;
		fill(f, all, d);
		failed = NULL;
		return 0;
	}
	failed = NULL;
	if (!sysfs_there(SYSFS_PCI "/%s/vendor", f->name))
		return -ENODEV;
	return ctl_fail(CTL_FAILED, "reading PCI device %s: libpci: %s", f->name, failure);
}

static int sort(struct devices *all)
{
	size_t nr = 0;

	for (struct pci_dev *d = all->pacc->devices; d; d = d->next)
		nr++;
	all->sorted = calloc(nr + 1, sizeof(*all->sorted));
	if (!all->sorted)
		return ctl_fail_errno(-ENOMEM, "listing PCI devices");
	for (struct pci_dev *d = all->pacc->devices; d; d = d->next)
		all->sorted[all->nr++] = d;
	qsort(all->sorted, nr, sizeof(*all->sorted), by_address);
	return CTL_OK;
}

static int each_sorted(struct devices *all, int (*each)(struct facts *f, void *data), void *data)
{
	struct facts *f = malloc(sizeof(*f));
	int ret = 0;

	if (!f)
		return ctl_fail_errno(-ENOMEM, "listing PCI devices");
	for (size_t i = 0; !ret && i < all->nr; i++) {
		ret = try_fill(f, all, all->sorted[i]);
		if (ret == -ENODEV)
			ret = 0;
		else if (!ret)
			ret = each(f, data);
	}
	free(f);
	return ret;
}

/**
 * pci_each() - call a function for each PCI device, in the order of their addresses
 * @each: the function; it gets the facts from configuration space, and may change them; a return
 *        value other than 0 ends the iteration
 * @data: its second argument
 *
 * Return: the last return value of @each; 0 without any device
 */
int pci_each(int (*each)(struct facts *f, void *data), void *data)
{
	struct devices all = { 0 };
	char path[PATH_MAX];
	int ret;

	if (!sysfs_there(SYSFS_PCI))
		return 0;
	if (snprintf(path, sizeof(path), "%s/bus/pci", sysfs_root()) >= (int)sizeof(path))
		return ctl_fail_errno(-ENAMETOOLONG, "listing PCI devices");
	all.pacc = pci_alloc();
	all.pacc->error = pci_error;
	all.pacc->warning = pci_quiet;
	all.pacc->method = PCI_ACCESS_SYS_BUS_PCI;
	pci_set_param(all.pacc, "sysfs.path", path);
	pci_init(all.pacc);
	pci_scan_bus(all.pacc);
	ret = sort(&all);
	if (!ret)
		ret = each_sorted(&all, each, data);
	free(all.sorted);
	pci_cleanup(all.pacc);
	return ret;
}
