# SPDX-License-Identifier: GPL-2.0-only
"""Tests in virtual machines. Tests that need the same machine share a boot.

vm/guest/run-tests runs the tests and puts marks into the output: a line of "@@", a word and the test's
name. The lines between BEGIN and END are the test's output.

If a guest dies or a test cannot be killed, that test has failed, and the tests that have not begun get
a new boot. So each test runs exactly once.

If hangs are retried, a test that hangs has no verdict and gets a new boot too, up to a number of times.
After the last one it has failed.
"""

import argparse
import re
import shlex
import time

import boots
import complaints
import machine
import options
import rundir
import tap
from paths import die

MARK = "@@ "
OPTIONS = re.compile(r"\bvm:[ \t]*(--.*?)\s*(?:\*/)?$", re.M)
ALSO = re.compile(r"\balso:[ \t]*([a-z0-9 ]+?)\s*(?:\*/)?$", re.M)
# Seconds that the host adds to a test's limit. The guest enforces the limit itself, and prints stacks then.
GRACE = 120


def read_options(source):
    """The machine options in the "vm:" lines of a test's source, and the boots in its "also:" line."""
    with open(source, encoding="utf-8") as f:
        text = f.read(16384)
    words = [w for found in OPTIONS.findall(text) for w in shlex.split(found)]
    also = [w for found in ALSO.findall(text) for w in found.split()]
    for name in also:
        if name not in boots.BOOTS:
            die(f"{source}: its also: line: there is no boot {name} (there are: {' '.join(boots.BOOTS)})")
    return options.test_parser(source).parse_args(words), also


class Group:
    """Tests that share a boot."""

    def __init__(self, args):
        self.args = args
        self.tests = []             # (file, seconds)

    def title(self):
        given = vars(self.args)
        default = vars(options.test_parser().parse_args([]))
        words = []
        for key, value in sorted(given.items()):
            if value != default[key] and key != "test_timeout":
                for one in value if isinstance(value, list) else [value]:
                    words.append(f"--{key.replace('_', '-')}" + (f" {one}" if one is not True else ""))
        return " ".join(words) or "default machine"

    def part(self, tests):
        """A group of some of its tests, for a separate machine."""
        part = Group(self.args)
        part.tests = tests
        return part

    def name(self, path):
        """The name of a test in this machine."""
        return base(path) + (f" [{self.args.boot}]" if self.args.boot else "")

    def names(self):
        return [self.name(path) for path, _ in self.tests]


def group(tests, scale, only=None):
    """Group (file to run, source with the options) pairs. scale: factor for time limits. A test is in a group for
    each way to boot its machine; with only, in the group for that way ("plain": the test's own machine)."""
    groups = {}
    for path, source in tests:
        args, also = read_options(source)
        seconds = args.test_timeout * scale
        for boot in [args.boot] + also:
            if only and only != (boot or "plain"):
                continue
            args.boot = boot
            key = repr(sorted((k, v) for k, v in vars(args).items() if k != "test_timeout"))
            if key not in groups:
                groups[key] = Group(argparse.Namespace(**vars(args)))
            groups[key].tests.append((path, seconds))
    return list(groups.values())


def base(path):
    return path.rsplit("/", 1)[-1]


class Boot:
    """One boot for some tests. It follows the marks, and passes each test's lines to its stream."""

    def __init__(self, report, tests, retry=False, name=base):
        self.report = report
        self.retry = retry
        self.name = name            # function: name of a test
        self.clean = []             # tests that have ended without a failed point
        self.used = {}              # name: processor time, and time on the clock, in seconds
        self.start = None
        self.hung = []              # names
        self.seconds = {base(p): s for p, s in tests}
        self.begun = set()
        self.current = None
        self.tail = ""
        self.machine = None

    def text(self, data):
        lines = (self.tail + data).split("\n")
        self.tail = lines.pop()
        for line in lines:
            line = line.rstrip("\r")
            if line.startswith(MARK):
                self._mark(line.split()[1:])
            elif self.current:
                self.current.line(line)
            elif line.strip():
                self.report.diag(line)

    def _mark(self, words):
        word, name = words[0], words[1]
        if word == "BEGIN":
            self.begun.add(name)
            self.current = tap.Test(self.report, self.name(name), hold=self.retry)
            self.current.base = name
            if self.retry:
                self.report.diag(f"{name} is running")
        elif not self.current:
            return
        elif word == "TIMEOUT":
            self.current.hang(f"did not end within {self.seconds[name]} s")
        elif word == "LEFTOVER":
            self.current.fail("the modules could not be unloaded after it")
        elif word == "COMPLAINT":
            if not self.machine.job.expect_complaint:
                self.current.complain()
        elif word == "STUCK":
            self.current.hang("could not be killed")
            self.finish(None)
        elif word == "END":
            self.finish(int(words[2]))

    def finish(self, status):
        """End the current test: with a status, without one (it has failed), or because it hung."""
        if self.current.hung:
            self.current.forget()
            self.hung.append(self.current.base)
        elif status is not None:
            self.current.end(status)
            if not self.current.failed:
                self.clean.append(self.current)
        else:
            self.current.release()
        self.current = None

    def event(self, words):
        """Handle an event of the verdict channel. The host's time limit depends on the present test."""
        if words[0] in ("BEGIN", "END"):
            now = (self.machine.cpu_seconds(), time.monotonic())
            if words[0] == "BEGIN":
                self.start = now
            else:
                self.used[words[1]] = tuple(b - a for a, b in zip(self.start or now, now))
        if words[0] == "BEGIN":
            self.machine.extend(self.seconds[words[1]] + GRACE)
        elif words[0] in ("END", "BOOT"):
            self.machine.extend(GRACE * 4)


class Tally:
    """Sums over all machines."""

    def __init__(self):
        self.boots = self.repeated = self.retried = 0
        self.used = {}              # times of tests, as in Boot
        self.machines = []          # (processor time, time on the clock, description)


def run_group(report, kernel, grp, accel, tally, retries=0, done=None):
    """Run a group's tests. A test that hangs is run again, at most retries times. done: called with each test
    that has passed, if its boot had no error until its end."""
    todo = list(grp.tests)
    hangs = {}
    while todo:
        job = options.make_job(grp.args)
        job.mode, job.tests, job.accel, job.timeout = "tests", todo, accel, GRACE * 4
        boot = Boot(report, todo, retries > 0, grp.name)
        start = time.monotonic()

        def started(vm, boot=boot):
            boot.machine = vm

        with rundir.RunDir() as directory:
            status, vm, failed = machine.run(kernel, job, directory.path, boot.text,
                                             on_event=boot.event, on_start=started)
            clock = time.monotonic() - start
            tally.boots += 1 + failed
            tally.repeated += failed
            tally.machines.append((vm.used, clock, f"{grp.title()}: {' '.join(base(p) for p, _ in todo)}"))
            tally.used.update({grp.name(name): used for name, used in boot.used.items()})
            report.diag(f"boot for {len(todo)} tests, {grp.title()}: up after "
                        f"{vm.booted or 0:.1f} s, ended after {clock:.0f} s, {vm.used:.0f} s of processors")
            directory.keep = status not in (machine.OK, machine.SKIPPED)
            todo = after(report, job, boot, vm, status)
            if done and status in (machine.OK, machine.FAILED) and not vm.complained and not vm.unused:
                for test in boot.clean:
                    done(test)
            if directory.keep:
                report.diag(f"console of this boot: {directory.path}/console")
                directory.quiet = True
        for test in [t for t in job.tests if base(t[0]) in boot.hung]:
            name = base(test[0])
            hangs[name] = hangs.get(name, 0) + 1
            if hangs[name] > retries:
                report.point(False, f"{name}: hung {hangs[name]} times")
            else:
                report.diag(f"{name} hung and has no verdict; it is run again")
                todo.append(test)
                tally.retried += 1


def after(report, job, boot, vm, status):
    """Report how the boot ended. Returns the tests that need another boot."""
    todo = job.tests
    left = [t for t in todo if base(t[0]) not in boot.begun]
    if vm.booted is None:
        report.point(False, "the guest did not come up, twice: " +
                     ", ".join(base(t[0]) for t in left))
        return []
    if "kmemleak" in vm.complained:
        report.point(False, "kmemleak found leaks after " +
                     ", ".join(base(t[0]) for t in todo if t not in left))
    if vm.unused and not left:
        report.point(False, f"the boot {job.boot}: the kernel did not use its feature in " +
                     ", ".join(base(t[0]) for t in todo))
    found = complaints.excerpts(vm.console()) if not vm.complained else []
    if found and not job.expect_complaint:
        report.diag("\n".join(found))
    if boot.current:
        if vm.timed_out and not found:
            boot.current.hang("the guest hung")
        else:
            boot.current.fail("the kernel complained and the guest died" if found else
                              "the guest died")
        boot.finish(None)
        if not found:
            report.diag("\n".join(vm.console().splitlines()[-30:]))
    elif found and not job.expect_complaint:
        report.point(False, "the kernel complained outside any test")
    elif vm.exit is None and not vm.stuck:
        report.point(False, "the guest hung after the tests" if vm.timed_out else
                     "the guest ended without a verdict")
    elif vm.exit is not None and left:
        report.point(False, f"the guest ran only {len(boot.begun)} of {len(todo)} tests")
        return []
    if len(left) == len(todo):
        # No test has begun, so another boot would not help.
        if status == machine.OK:
            report.point(False, "the guest ran no test")
        return []
    return left
