# SPDX-License-Identifier: GPL-2.0-only
"""Other ways to boot a machine: what a test needs is the same, what the kernel does to memory is not.

A test names those it is run in beside its own machine, in a line "also: no5lvl zswap" of its opening comment.
vm/guest/boot-is says whether a boot is what it is called, before the tests and after them.
"""

# Name: words for the kernel's command line, those that are left out of it, MiB of swap if there is none.
BOOTS = {
    "no5lvl": (["no5lvl"], [], 0),
    # mitigations=off would win.
    "pti": (["pti=on"], ["mitigations=off"], 0),
    "zswap": (["zswap.enabled=1"], [], 512),
    "numa": (["numa=fake=2"], [], 0),
}


def apply(job):
    """Make a job's machine boot the way it names."""
    if not job.boot:
        return
    words, without, swap = BOOTS[job.boot]
    job.append = [w for w in words if w not in job.append] + job.append
    job.without = without
    job.swap = job.swap or swap
