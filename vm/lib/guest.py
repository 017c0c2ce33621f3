# SPDX-License-Identifier: GPL-2.0-only
"""The initial RAM file system of a guest, made of busybox, vm/guest, modules and the job."""

import os
import shlex
import shutil
import subprocess

import cpio
from paths import BUILD, TOP, die

# Modules that every guest has, for tests that load them. A module that the kernel lacks (in the debug kernel it is
# built in or left out) is an error only when something loads it.
USUAL = ("vfio", "vfio_iommu_type1", "vfio_pci", "virtio_blk", "virtio_pci", "virtio_console",
         "zram", "lz4", "crc32c_generic", "ext4")


def busybox():
    """Path of a static busybox, since the guest has no libraries. For a static program ldd fails."""
    for path in ("/bin/busybox", shutil.which("busybox"), "/usr/lib/busybox/busybox-static"):
        if path and os.path.exists(path) and subprocess.run(
                ["ldd", path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                check=False).returncode:
            return path
    return die("there is no static busybox; run scripts/setup vm")


def base(archive):
    path = busybox()
    archive.host("bin/busybox", path)
    listing = subprocess.run([path, "--list"], stdout=subprocess.PIPE, check=True).stdout
    for name in listing.decode().split():
        if name != "busybox":
            archive.symlink("bin/" + name, "busybox")
    for name in ("dev", "proc", "sys", "tmp", "run", "mnt", "out", "root", "etc", "usr"):
        archive.directory(name)
    for name in ("sbin", "usr/bin", "usr/sbin"):
        archive.symlink(name, "/bin")
    # The kernel opens /dev/console for process 1 before devtmpfs is mounted.
    archive.device("dev/console", 5, 1)
    archive.device("dev/null", 1, 3, 0o666)
    archive.file("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n")
    archive.file("etc/group", b"root:x:0:\n")


def add_dir(archive, where, path):
    """All files of a directory of the build, if it exists."""
    if os.path.isdir(path):
        for name in sorted(os.listdir(path)):
            if os.path.isfile(os.path.join(path, name)):
                archive.host(where + "/" + name, os.path.join(path, name))


def libraries(path):
    """The libraries of a program, and its loader. A static program, or a script, has none."""
    with open(path, "rb") as f:
        if f.read(4) != b"\x7fELF":
            return []
    # ldd fails for a static one.
    listing = subprocess.run(["ldd", path], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                             check=False).stdout.decode()
    found = []
    for line in listing.splitlines():
        words = line.split()
        if "not found" in line:
            die(f"{path} needs {words[0]}, which is not there")
        found += [word for word in words if word.startswith("/")][:1]
    return found


def find_test(name):
    """Path of a test, given by name or as a file. Compiled tests are in build/tests, scripts in the tree."""
    places = [name] if "/" in name else [os.path.join(BUILD, "tests", name)] + [
        os.path.join(TOP, "tests", where, name + suffix)
        for where in ("vm", "clients") for suffix in ("", ".sh")]
    for path in places:
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    return die(f"there is no test {name} (looked for {', '.join(places)})")


def build(path, kernel, job):
    """Write the archive for a job (see vm/run for its fields) to path."""
    archive = cpio.Archive()
    base(archive)
    here = os.path.join(TOP, "vm", "guest")
    archive.host("init", os.path.join(here, "init"))
    archive.host("iopf/lib.sh", os.path.join(here, "lib.sh"))
    archive.host("iopf/run-tests", os.path.join(here, "run-tests"))
    archive.host("iopf/boot-is", os.path.join(here, "boot-is"))
    archive.host("iopf/complaints", os.path.join(TOP, "vm", "complaints"))
    for name in ("iopf-load", "iopf-unload"):
        archive.host("iopf/bin/" + name, os.path.join(here, name))

    # Modules that the guest loads by itself. A file system comes after the checksum that it needs.
    loads = ["virtio_blk"] if job.swap or job.disk or job.image else []
    loads += ["crc32c_generic", "ext4"] if job.disk or job.image or job.pmem else []
    loads += ["nd_e820", "nd_pmem"] if job.pmem else []
    loads = [m for m in loads if kernel.has(m)] + list(job.modules)
    kernel.add_modules(archive, [m for m in USUAL if kernel.has(m)] + loads)
    for name, ko in sorted(kernel.our_modules(job.variant).items()):
        archive.host("iopf/modules/" + name, ko)

    add_dir(archive, "iopf/bin", os.path.join(BUILD, "bin"))
    for name in sorted(os.listdir(os.path.join(TOP, "tests", "lib"))
                       if os.path.isdir(os.path.join(TOP, "tests", "lib")) else ()):
        if name.endswith(".sh"):
            archive.host("iopf/lib/" + name, os.path.join(TOP, "tests", "lib", name))

    if job.boot == "numa" and job.mode == "tests":
        archive.host("iopf/bin/interleave", os.path.join(BUILD, "tests", "interleave"))
    lines = []
    for test, seconds in job.tests:
        source = find_test(test)
        name = os.path.basename(source)
        archive.host("iopf/tests/" + name, source)
        lines.append(f"{name} {seconds}\n")
    archive.file("iopf/tests.list", "".join(lines).encode())
    if job.mode != "tests":
        directory = os.path.join(BUILD, "tests")
        for name in sorted(os.listdir(directory) if os.path.isdir(directory) else ()):
            # To unpack all tests takes long, so a command gets only the tests that it names.
            if name.startswith("t_") and os.access(os.path.join(directory, name), os.X_OK) and \
               (job.mode == "shell" or name in " ".join(job.command)):
                archive.host("iopf/tests/" + name, os.path.join(directory, name))
    archive.file("iopf/command", (shlex.join(job.command) + "\n").encode())
    for source, target in job.add:
        archive.host(target, source)
        if os.path.isfile(source):
            for library in libraries(source):
                archive.host(library, library)
    archive.file("iopf/job", "".join(
        f"{key}={shlex.quote(value)}\n" for key, value in (
            ("MODE", job.mode), ("MODULES", " ".join(loads)),
            ("SWAP", "1" if job.swap else ""), ("DISK", "1" if job.disk else ""),
            ("PMEM", "1" if job.pmem else ""), ("BOOT", job.boot or ""),
            ("IMAGE", "1" if job.image else ""))).encode())
    archive.write(path)
