# SPDX-License-Identifier: GPL-2.0-only
"""KVM or TCG.

That /dev/kvm can be opened says little: on some machines (nested virtualization) guests then hang. So
KVM is trusted only after it has booted the kernel to the point where it looks for its root, within
seconds. The verdict holds until the machine reboots or QEMU changes.
"""

import ctypes
import functools
import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
import time

from paths import CACHE, die, say

QEMU = "qemu-system-x86_64"
PROBE_SECONDS = 10
PROBE_SIGN = b"Unable to mount root fs"


PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)
RUNNER = os.getpid()


def die_with_parent():
    """Make the kernel kill this process when the runner ends. The child calls this before exec."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != RUNNER:
        os._exit(1)


def pick(wanted, kernel, icount):
    if not shutil.which(QEMU):
        die(f"there is no {QEMU}; run scripts/setup vm")
    if wanted != "auto":
        return wanted
    if icount or not _may_open():
        return "tcg"
    cached = _cache_name()
    try:
        with open(cached, encoding="ascii") as f:
            verdict = f.read().strip()
        if verdict in ("kvm", "tcg"):
            return verdict
    except OSError:
        pass
    verdict = "kvm" if _boots(kernel) else "tcg"
    if verdict == "tcg":
        say("/dev/kvm is there but a guest does not boot with it; using TCG")
    os.makedirs(CACHE, exist_ok=True)
    with open(cached, "w", encoding="ascii") as f:
        f.write(verdict + "\n")
    return verdict


@functools.lru_cache(maxsize=None)
def _may_open():
    may = os.access("/dev/kvm", os.R_OK | os.W_OK)
    if not may and os.path.exists("/dev/kvm"):
        say("/dev/kvm is there but this user may not open it; using TCG, which is slow")
    return may


def _cache_name():
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as f:
        boot = f.read().strip()
    version = subprocess.run([QEMU, "--version"], stdout=subprocess.PIPE, check=True).stdout
    return os.path.join(CACHE, "accel-" + hashlib.sha256(boot.encode() + version).hexdigest()[:16])


def _boots(kernel):
    say(f"trying KVM (at most {PROBE_SECONDS} s, once)")
    with tempfile.NamedTemporaryFile() as console:
        argv = [QEMU, "-accel", "kvm", "-cpu", "host", "-m", "256", "-nodefaults", "-display",
                "none", "-no-reboot", "-serial", "file:" + console.name, "-kernel", kernel.image,
                "-append", "console=ttyS0 panic=-1"]
        with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, preexec_fn=die_with_parent) as qemu:
            try:
                end = time.monotonic() + PROBE_SECONDS
                while time.monotonic() < end:
                    with open(console.name, "rb") as f:
                        if PROBE_SIGN in f.read():
                            return True
                    if qemu.poll() is not None:
                        return False
                    time.sleep(0.05)
                return False
            finally:
                if qemu.poll() is None:
                    qemu.kill()
