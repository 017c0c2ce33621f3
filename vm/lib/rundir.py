# SPDX-License-Identifier: GPL-2.0-only
"""The directory of a run, build/vm/run.*: kept when the run failed, the last few of them."""

import os
import shutil
import tempfile

from paths import BUILD, say

KEPT = 10


def in_use(path):
    try:
        with open(os.path.join(path, "pid"), encoding="ascii") as f:
            return os.path.exists("/proc/" + f.read())
    except OSError:
        return False


class RunDir:
    """Used by a with statement."""

    def __init__(self):
        self.keep = True
        self.quiet = False          # someone else says where it is
        self.path = None

    def __enter__(self):
        parent = os.path.join(BUILD, "vm")
        os.makedirs(parent, exist_ok=True)
        old = sorted((d for d in os.scandir(parent) if d.name.startswith("run.")),
                     key=lambda d: d.stat().st_mtime)
        for d in old[:-KEPT]:
            if not in_use(d.path):
                shutil.rmtree(d.path, ignore_errors=True)
        self.path = tempfile.mkdtemp(prefix="run.", dir=parent)
        with open(os.path.join(self.path, "pid"), "w", encoding="ascii") as f:
            f.write(str(os.getpid()))
        return self

    def __exit__(self, kind, value, trace):
        if self.keep and not self.quiet:
            say(f"console and all else of this run: {self.path}")
        elif not self.keep:
            shutil.rmtree(self.path, ignore_errors=True)
