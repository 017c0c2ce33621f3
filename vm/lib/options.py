# SPDX-License-Identifier: GPL-2.0-only
"""Options for the machine of a job. They are the same for vm/run and for a test's "vm:" line."""

import argparse
import os
import shlex

import boots
import machine
from paths import BUILD, die


def add_machine_options(p):
    p.add_argument("--mem", type=int, default=1024, metavar="MIB", help="memory (1024)")
    p.add_argument("--cpus", type=int, default=1, metavar="N", help="processors (1)")
    p.add_argument("--icount", action="store_true", help="deterministic instruction clock")
    p.add_argument("--swap", type=int, default=0, metavar="MIB", help="a disk with swap, swapped on")
    p.add_argument("--disk", type=int, default=0, metavar="MIB", help="a disk, ext4, on /mnt")
    p.add_argument("--pmem", type=int, default=0, metavar="MIB", help="persistent memory, ext4 with -o dax on /dax")
    p.add_argument("--nvme", type=int, default=0, metavar="MIB", help="an NVMe controller")
    p.add_argument("--image", metavar="FILE",
                   help="a disk image, mounted on /image: a file, or the name of one that vm/make-image made")
    p.add_argument("--device", action="append", default=[], metavar="QEMUARG",
                   help="argument of QEMU: -device by default, or '-option value'")
    p.add_argument("--machine", default="pc", help="QEMU's machine (pc; q35 for PCIe and VT-d)")
    p.add_argument("--add", action="append", default=[], metavar="HOST[:GUEST]",
                   help="file or directory for the guest (default /iopf/bin/NAME), also of build/")
    p.add_argument("--module", action="append", default=[], metavar="NAME",
                   help="kernel module to load, with its dependencies")
    p.add_argument("--append", action="append", default=[], metavar="ARGS",
                   help="arguments for the kernel's command line")
    p.add_argument("--boot", choices=sorted(boots.BOOTS), help="another way to boot; the guest checks it")
    p.add_argument("--variant", default="prod", choices=("prod", "controls"),
                   help="variant of our modules (prod)")
    p.add_argument("--test-timeout", type=int, default=120, metavar="S",
                   help="limit of one test in guest time (120)")
    p.add_argument("--expect-complaint", action="store_true",
                   help="kernel complaints do not fail the run")


class TestParser(argparse.ArgumentParser):
    """A parser of the "vm:" lines in a test's source. Its errors name the source."""

    source = None

    def error(self, message):
        die(f"{self.source}: its vm: lines: {message}")


def test_parser(source=None):
    p = TestParser(prog="vm:", add_help=False, allow_abbrev=False)
    p.source = source
    add_machine_options(p)
    return p


def device_args(items):
    argv = []
    for item in items:
        argv += shlex.split(item) if item.startswith("-") else ["-device", item]
    return argv


def make_job(args):
    """A job with the properties of the machine options."""
    job = machine.Job()
    for name in ("mem", "cpus", "icount", "swap", "disk", "pmem", "nvme", "append", "boot", "variant", "machine",
                 "expect_complaint"):
        setattr(job, name, getattr(args, name))
    job.devices = device_args(args.device)
    job.modules = [m for arg in args.module for m in arg.split(",")]
    if args.image:
        made = os.path.join(BUILD, "image", args.image)
        job.image = made if os.path.isfile(made) else args.image
        if not os.path.isfile(job.image):
            die(f"--image {args.image}: there is no such file; vm/make-image makes {made}")
    for item in args.add:
        host, _, guest = item.partition(":")
        made = os.path.join(BUILD, host)
        if not os.path.exists(host) and not os.path.exists(made):
            die(f"--add {host}: there is no such file, nor {made}")
        host = host if os.path.exists(host) else made
        job.add.append((host, guest or "/iopf/bin/" + os.path.basename(host.rstrip("/"))))
    boots.apply(job)
    return job
