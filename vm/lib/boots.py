# SPDX-License-Identifier: GPL-2.0-only
"""Other ways to boot a machine, in which the kernel manages memory in another way.

A line "also: no5lvl zswap" in a test's opening comment names the boots in which it runs too, beside its own machine.
vm/guest/boot-is checks before and after the tests that a boot has the properties of its name.
"""

# Name: words to add to the kernel's command line, words to leave out, MiB of swap if the job has none.
BOOTS = {
    "no5lvl": (["no5lvl"], [], 0),
    # mitigations=off would switch PTI off.
    "pti": (["pti=on"], ["mitigations=off"], 0),
    "zswap": (["zswap.enabled=1"], [], 512),
    "numa": (["numa=fake=2"], [], 0),
}


def apply(job):
    """Change a job so that its machine boots in the way that the job names."""
    if not job.boot:
        return
    words, without, swap = BOOTS[job.boot]
    job.append = [w for w in words if w not in job.append] + job.append
    job.without = without
    job.swap = job.swap or swap
