# SPDX-License-Identifier: GPL-2.0-only
"""Complaints of the kernel, found in its console output. The patterns are in vm/complaints."""

import os
import re

from paths import TOP

FILE = os.path.join(TOP, "vm", "complaints")
BEFORE, AFTER = 3, 60


def _load():
    with open(FILE, encoding="ascii") as f:
        lines = [line.rstrip("\n") for line in f]
    return re.compile("|".join("(?:" + p + ")" for p in lines if p and not p.startswith("#")))


PATTERN = _load()


def excerpts(text):
    """Excerpts: each complaint with surrounding lines. Neighbouring complaints make one excerpt."""
    lines = text.splitlines()
    found, last = [], -1
    for i, line in enumerate(lines):
        if not PATTERN.search(line):
            continue
        first = max(i - BEFORE, last + 1)
        if found and i <= last:
            continue
        last = min(i + AFTER, len(lines) - 1)
        found.append("\n".join(lines[first:last + 1]))
    return found
