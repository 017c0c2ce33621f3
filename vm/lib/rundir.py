# SPDX-License-Identifier: GPL-2.0-only
"""The directory of a run, build/vm/run.*. Only the last few directories of failed runs are kept."""

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


def age(path):
    """Time of the last change. Another runner may remove the directory at the same time."""
    try:
        return os.stat(path).st_mtime
    except OSError:
        return 0


class RunDir:
    """For use in a with statement."""

    def __init__(self):
        self.keep = True
        self.quiet = False          # the caller prints the path
        self.path = None

    def __enter__(self):
        parent = os.path.join(BUILD, "vm")
        os.makedirs(parent, exist_ok=True)
        old = sorted((os.path.join(parent, name) for name in os.listdir(parent)
                      if name.startswith("run.")), key=age)
        for path in old[:-KEPT]:
            if not in_use(path):
                shutil.rmtree(path, ignore_errors=True)
        self.path = tempfile.mkdtemp(prefix="run.", dir=parent)
        with open(os.path.join(self.path, "pid"), "w", encoding="ascii") as f:
            f.write(str(os.getpid()))
        return self

    def __exit__(self, kind, value, trace):
        if self.keep and not self.quiet:
            say(f"console and all else of this run: {self.path}")
        elif not self.keep:
            shutil.rmtree(self.path, ignore_errors=True)
