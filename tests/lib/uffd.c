// SPDX-License-Identifier: GPL-2.0-only
/*
 * A userfaultfd without a thread: see uffd.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "simdev.h"
#include "tap.h"
#include "uffd.h"

int uffd_open(const void *va, size_t len, uint64_t features, uint64_t mode)
{
	struct uffdio_register reg = { .range = { (uintptr_t)va, len }, .mode = mode };
	struct uffdio_api api = { .api = UFFD_API, .features = features };
	int uffd = (int)must_sys(syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK));

	must_sys(ioctl(uffd, UFFDIO_API, &api));
	must_sys(ioctl(uffd, UFFDIO_REGISTER, &reg));
	return uffd;
}

int uffd_missing(const void *va, size_t len)
{
	return uffd_open(va, len, 0, UFFDIO_REGISTER_MODE_MISSING);
}

uint64_t uffd_asked(int uffd)
{
	unsigned int spins = 0;
	struct uffd_msg msg;

	while (read(uffd, &msg, sizeof(msg)) != sizeof(msg)) {
		must_be(spins < 60000);
		sim_nap(&spins);
	}
	must_be(msg.event == UFFD_EVENT_PAGEFAULT);
	return msg.arg.pagefault.address;
}

int uffd_give(int uffd, uint64_t to, const void *from, size_t len)
{
	struct uffdio_copy copy = { .dst = to, .src = (uintptr_t)from, .len = len };

	return ioctl(uffd, UFFDIO_COPY, &copy) ? -errno : 0;
}
