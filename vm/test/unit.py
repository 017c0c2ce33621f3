#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Unit tests of vm/lib, which decides the verdicts of all other tests. Prints TAP."""

import contextlib
import io
import os
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import types

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "lib"))

# pylint: disable=wrong-import-position
import complaints
import cpio
import machine
import rundir
import schedule
import state
import suite
import tap

points = []


def check(good, what):
    points.append(bool(good))
    print(f"{'ok' if good else 'not ok'} {len(points)} - {what}")


def counts(lines, status):
    """(passed, failed, skipped) of a test that prints lines and ends with status."""
    report = tap.Report()
    with contextlib.redirect_stdout(io.StringIO()):
        test = tap.Test(report, "t")
        for line in lines:
            test.line(line)
        test.end(status)
    return report.passed, report.failed, report.skipped


def test_tap():
    for what, lines, status, want in (
            ("all good", ["1..2", "ok 1 - a", "ok 2"], 0, (2, 0, 0)),
            ("plan at the end", ["ok 1 - a", "1..1"], 0, (1, 0, 0)),
            ("a failed point", ["1..2", "ok 1", "not ok 2 - b"], 1, (1, 1, 0)),
            ("a failed point, but status 0", ["1..1", "not ok 1"], 0, (0, 1, 0)),
            ("all good, but status 1", ["1..1", "ok 1"], 1, (1, 1, 0)),
            ("killed", ["1..2", "ok 1"], 137, (1, 2, 0)),
            ("no plan", ["ok 1"], 0, (1, 1, 0)),
            ("nothing at all", [], 0, (0, 1, 0)),
            ("too few points", ["1..3", "ok 1"], 0, (1, 1, 0)),
            ("too many points", ["1..1", "ok 1", "ok 2"], 0, (2, 1, 0)),
            ("a skipped point", ["1..2", "ok 1 # SKIP why", "ok 2"], 0, (1, 0, 1)),
            ("skipped as a whole", ["1..0 # SKIP why"], 77, (0, 0, 1)),
            ("skipped as a whole, status 0", ["1..0 # SKIP why"], 0, (0, 0, 1)),
            ("skipped after a failure", ["not ok 1", "1..1"], 77, (0, 1, 0)),
            ("an unfinished feature does not pass", ["1..1", "not ok 1 # TODO"], 0, (0, 1, 0)),
            ("gave up", ["1..3", "ok 1", "Bail out! no device"], 1, (1, 1, 0)),
            ("other output is no point", ["1..1", "okay", "not okay", "ok 1"], 0, (1, 0, 0)),
    ):
        got = counts(lines, status)
        check(got == want, f"tap: {what}" + ("" if got == want else f": {got}, want {want}"))


def test_complaints():
    for line in (
            "BUG: unable to handle page fault for address: ffff",
            "BUG: KASAN: slab-use-after-free in iopf_chunk_put+0x1/0x2",
            "WARNING: CPU: 0 PID: 7 at kernel/x.c:1 f+0x1/0x2",
            "WARNING: possible circular locking dependency detected",
            "WARNING: suspicious RCU usage",
            "Oops: 0000 [#1] PREEMPT SMP",
            "Oops: general protection fault, probably for non-canonical address",
            "UBSAN: array-index-out-of-bounds in x.c:1:2",
            "BUG: sleeping function called from invalid context at x.c:1",
            "BUG: scheduling while atomic: t/1/0x2",
            "INFO: task t:1 blocked for more than 120 seconds.",
            "watchdog: BUG: soft lockup - CPU#0 stuck for 26s! [t:1]",
            "rcu: INFO: rcu_preempt self-detected stall on CPU",
            "refcount_t: underflow; use-after-free.",
            "list_del corruption. prev->next should be 1, but was 2.",
            "ODEBUG: free active (active state 0) object: 1 object type: timer_list",
            "BUG: Bad page state in process t  pfn:1",
            "BUG: Bad rss-counter state mm:1 type:2 val:3",
            "DEBUG_LOCKS_WARN_ON(1)",
            "unreferenced object 0xffff888003 (size 64):",
            "Kernel panic - not syncing: x",
            "WARNING: inconsistent lock state",
            "BUG kmalloc-64 (Not tainted): Redzone overwritten",
            "[ BUG: Invalid wait context ]",
    ):
        check(complaints.PATTERN.search(line), "complaint: " + line)
    for line in (
            "Spectre V2 : WARNING: Unprivileged eBPF is enabled",
            "iopf_sim: loading out-of-tree module taints kernel.",
            "FAULT_INJECTION: forcing a failure.",
            "vfio-pci 10f5:00:00.0: resetting",
            "pci 10f5:00:00.0: BAR 0 [mem 0x10000000-0x10003fff]",
            "rcu: Hierarchical SRCU implementation.",
            "Freeing unused kernel image (initmem) memory: 1348K",
    ):
        check(not complaints.PATTERN.search(line), "no complaint: " + line)
    text = "\n".join(["a"] * 10 + ["BUG: x", "b", "BUG: y"] + ["c"] * 200)
    found = complaints.excerpts(text)
    check(len(found) == 1 and found[0].startswith("a\na\na\nBUG: x\nb\nBUG: y\nc"),
          "complaints close together are one excerpt, with what is around")
    # The guest's grep reads the same file.
    with tempfile.NamedTemporaryFile("w", suffix=".re") as f, open(complaints.FILE) as patterns:
        f.writelines(line for line in patterns if not line.startswith("#"))
        f.flush()
        done = subprocess.run(["grep", "-E", "-c", "-f", f.name], input=text, text=True,
                              stdout=subprocess.PIPE, check=False)
    check(done.stdout.strip() == "2", "grep understands the expressions")


def test_cpio():
    def make(order):
        archive = cpio.Archive()
        for name in order:
            archive.file(name, b"x" * 5, 0o755)
        archive.symlink("b/link", "a")
        with tempfile.NamedTemporaryFile() as f:
            archive.write(f.name)
            with open(f.name, "rb") as g:
                return g.read()

    data = make(["b/a", "c"])
    check(data == make(["c", "b/a"]), "cpio: the order of adding does not show")
    check(len(data) % 4 == 0 and data.startswith(b"070701") and b"TRAILER!!!" in data,
          "cpio: form")
    names = [data[i + 110:data.index(b"\0", i + 110)] for i in range(0, len(data) - 6, 4)
             if data[i:i + 6] == b"070701"]
    check(names == [b"b", b"b/a", b"b/link", b"c", b"TRAILER!!!"],
          "cpio: directories appear, before what is in them")


def test_suite():
    with tempfile.TemporaryDirectory() as d:
        def source(name, text):
            path = os.path.join(d, name)
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
            return path

        one = source("t_one.c", "/*\n * Text.\n *\n * vm: --mem 2048 --append 'a=b c'\n */\n")
        two = source("t_two.sh", "#!/bin/sh\n# vm: --append 'a=b c' --mem 2048 --test-timeout 7\n")
        three = source("t_three.c", "/* No options: vm-less. */\n")
        groups = suite.group([(p, p) for p in (one, two, three)], 2)
        check([[suite.base(p) for p, _ in g.tests] for g in groups] ==
              [["t_one.c", "t_two.sh"], ["t_three.c"]], "suite: same machine, same boot")
        check([s for _, s in groups[0].tests] == [240, 14], "suite: limits are scaled")
        check(groups[0].args.append == ["a=b c"], "suite: quotes in options")
        also = source("t_also.c", "/*\n * vm: --mem 2048\n * also: pti zswap\n */\n")
        groups = suite.group([(p, p) for p in (one, also)], 1)
        check([(g.args.boot, g.args.mem, [suite.base(p) for p, _ in g.tests]) for g in groups] ==
              [(None, 2048, ["t_one.c"]), (None, 2048, ["t_also.c"]), ("pti", 2048, ["t_also.c"]),
               ("zswap", 2048, ["t_also.c"])], "suite: other boots of the same machine")
        check([g.names() for g in groups[1:]] == [["t_also.c"], ["t_also.c [pti]"], ["t_also.c [zswap]"]],
              "suite: a name says in which")
        check([[g.args.boot for g in suite.group([(also, also)], 1, only)] for only in ("plain", "pti", "numa")] ==
              [[None], ["pti"], []], "suite: only one of them")
        for text in ("vm: --mem much", "also: somehow"):
            bad = source("t_bad.c", f"/*\n * {text}\n */\n")
            said = io.StringIO()
            with contextlib.redirect_stderr(said):
                try:
                    suite.group([(bad, bad)], 1)
                    status = None
                except SystemExit as e:
                    status = e.code
            check(status == 2 and bad in said.getvalue(), f"suite: {text}: an error that names the test")

    report = tap.Report()
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        boot = suite.Boot(report, [("/x/t_a", 5), ("/x/t_b", 5)])
        boot.text("@@ BEGIN t_a\n1..1\nok")
        boot.text(" 1 - half a line\n@@ END t_a 0\n@@ BEGIN t_b\n1..1\n@@ TIMEOUT t_b\n")
    check(report.passed == 1 and report.failed == 1 and boot.current.name == "t_b" and
          "ok 1 - t_a: half a line" in out.getvalue(), "suite: output in pieces")

    report = tap.Report()
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        boot = suite.Boot(report, [("/x/t_a", 5), ("/x/t_b", 5), ("/x/t_c", 5)], retry=True)
        boot.machine = types.SimpleNamespace(job=types.SimpleNamespace(expect_complaint=False))
        boot.text("@@ BEGIN t_a\nok 1 - before\n@@ TIMEOUT t_a\n@@ LEFTOVER t_a\n@@ END t_a 137\n")
        boot.text("@@ BEGIN t_b\n@@ TIMEOUT t_b\n@@ COMPLAINT t_b\n@@ END t_b 137\n")
        boot.text("@@ BEGIN t_c\nok 1 - good\nnot ok 2 - bad\n1..2\n@@ END t_c 1\n")
    check(boot.hung == ["t_a"] and "\n# before it hung: ok - t_a: before\n" in "\n" + out.getvalue(),
          "suite: a hang is no verdict where hangs are retried")
    check("- t_b: did not end within 5 s" in out.getvalue() and
          "- t_b: the kernel complained" in out.getvalue(), "suite: a complaint is, for all that")
    check(report.passed == 1 and "- t_c: bad" in out.getvalue() and boot.current is None,
          "suite: and so is an end")


def test_unused():
    """A boot fails if the kernel has not used the feature of the boot."""
    report = tap.Report()
    vm = types.SimpleNamespace(booted=1.0, complained=[], unused=True, timed_out=False, exit=0, stuck=False,
                               console=lambda: "")
    job = types.SimpleNamespace(boot="zswap", tests=[("/x/t_a", 5)], expect_complaint=False)
    with contextlib.redirect_stdout(io.StringIO()) as out:
        left = suite.after(report, job, types.SimpleNamespace(begun={"t_a"}, current=None), vm, machine.OK)
    check(left == [] and report.failed == 1 and "zswap" in out.getvalue(), "suite: a boot that was of no use")


def fake_groups(text):
    """Groups "memory[/boot]: tests". The digits in a test's name are its time."""
    groups = []
    for line in text.splitlines():
        what, _, tests = line.partition(": ")
        args = suite.options.test_parser().parse_args([])
        mem, _, args.boot = what.partition("/")
        args.mem, args.boot = int(mem), args.boot or None
        groups.append(suite.Group(args))
        groups[-1].tests = [(f"/x/{name}", 120) for name in tests.split()]
    return groups


class FakeWeights:
    """The digits in the name."""

    def __call__(self, name):
        return float("".join(c for c in name if c.isdigit()) or 1)

    given = __call__


def test_schedule():
    text = "1: t_a50 t_b10 t_c10 t_d50\n2: t_e1\n2/pti: t_e1\n"
    every = sorted(n for g in fake_groups(text) for n in g.names())
    parts, total = schedule.machines(fake_groups(text), FakeWeights(), 2)
    check(sorted(n for g in parts for n in g.names()) == every and total == 122 + 3 * schedule.BOOT,
          "schedule: nothing is left out")
    check([g.names() for g in parts] == [["t_a50", "t_b10"], ["t_c10", "t_d50"], ["t_e1"], ["t_e1 [pti]"]] or
          [len(g.tests) for g in parts][-2:] == [1, 1], "schedule: long groups in parts, the longest first")
    check(len(schedule.machines(fake_groups(text), FakeWeights(), 1)[0]) == 3, "schedule: not with one processor")
    for n in (1, 2, 3, 7):
        shards = [[name for g in schedule.shard(fake_groups(text), FakeWeights(), i, n) for name in g.names()]
                  for i in range(1, n + 1)]
        check(sorted(sum(shards, [])) == every, f"schedule: {n} shards have all tests, each once")

    order, most, now, lock = [], [0], [0], threading.Lock()

    def unit(width, name):
        def work():
            with lock:
                now[0] += min(width, 2)
                most[0] = max(most[0], now[0])
            time.sleep(0.01)
            with lock:
                now[0] -= min(width, 2)
                order.append(name)
        return width, work

    schedule.Pool(2).run([unit(2, "wide"), unit(1, "a"), unit(1, "b"), unit(9, "wider than all"), unit(1, "c")])
    check(order[0] == "wide" and sorted(order) == sorted(["wide", "a", "b", "c", "wider than all"]) and
          most[0] == 2 and now[0] == 0, "schedule: all units are run, on as many processors as there are")

    def fails():
        raise SystemExit(3)
    try:
        schedule.Pool(1).run([(1, fails), unit(1, "never")])
        status = None
    except SystemExit as e:
        status = e.code
    check(status == 3 and "never" not in order, "schedule: an error ends it")


def test_state():
    with tempfile.TemporaryDirectory() as d:
        paths = [os.path.join(d, name) for name in ("t_a", "t_b", "vmlinuz", "x.ko")]
        for path in paths:
            with open(path, "w", encoding="ascii") as f:
                f.write(path)
        kernel = types.SimpleNamespace(image=paths[2], our_modules=lambda variant: {"x.ko": paths[3]})

        def groups():
            result = fake_groups("1: t\n1/pti: t\n")
            for g in result:
                g.tests = [(paths[0], 5), (paths[1], 5)]
            return result

        def left():
            return [n for g in state.State(file, kernel).split(groups())[0] for n in g.names()]

        file = os.path.join(d, "state")
        g = groups()[1]
        state.State(file, kernel).done(g, g.tests[0], types.SimpleNamespace(points=5, skipped=1))
        check(left() == ["t_a", "t_b", "t_b [pti]"], "state: what has passed is left out, in its boot")
        had = state.State(file, kernel).split(groups())[1]
        check([(e["passed"], e["skipped"]) for e in had] == [(4, 1)], "state: and counted")
        for path in (paths[0], paths[2], paths[3]):
            with open(path, "a", encoding="ascii") as f:
                f.write("changed")
            check(len(left()) == 4, f"state: not when {os.path.basename(path)} is another")
            with open(path, "w", encoding="ascii") as f:
                f.write(path)
        check(len(left()) == 3, "state: and it is when it is as it was")


def test_collect():
    """An archive from a guest, whole and truncated."""
    with tempfile.TemporaryDirectory() as d:
        with open(os.path.join(d, "data"), "wb") as f:
            f.write(b"x" * 2000)
        files, out = os.path.join(d, "files"), os.path.join(d, "out")
        with tarfile.open(files, "w", format=tarfile.USTAR_FORMAT) as tar:
            tar.add(os.path.join(d, "data"), "data")
        vm = types.SimpleNamespace(job=types.SimpleNamespace(out=out), path=lambda name: files)
        with contextlib.redirect_stderr(io.StringIO()):
            check(machine.Machine.collect(vm) and os.path.getsize(os.path.join(out, "data")) == 2000,
                  "collect: all of it")
            # A header and four blocks of data.
            for size in (100, 512 + 100, 512 + 3 * 512):
                os.truncate(files, size)
                check(not machine.Machine.collect(vm), f"collect: {size} bytes of it are a failure")


def test_rundir():
    with tempfile.TemporaryDirectory() as d:
        check(rundir.age(d) > 0 and rundir.age(os.path.join(d, "gone")) == 0,
              "rundir: one that is being removed is no error")


test_tap()
test_complaints()
test_cpio()
test_collect()
test_rundir()
test_suite()
test_unused()
test_schedule()
test_state()
print(f"1..{len(points)}")
sys.exit(not all(points))
