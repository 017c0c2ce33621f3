# SPDX-License-Identifier: GPL-2.0-only
"""Directories and error messages. The shell scripts have the same in common.sh."""

import os
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("IOPF_BUILD") or os.path.join(TOP, "build")
CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME") or
                     os.path.join(os.path.expanduser("~"), ".cache"), "vfio-iopf")
PROG = os.path.basename(sys.argv[0])


def say(text):
    print(f"{PROG}: {text}", file=sys.stderr, flush=True)


def die(text):
    say(text)
    raise SystemExit(2)
