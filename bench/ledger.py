# SPDX-License-Identifier: Apache-2.0
"""
The price of a record: refused creates on a stele mount, on a read-only mount of
the kernel that nobody watches, and on the same one watched by Debian's auditd
with the one rule that sees them. Each round takes all of them in turns.
"""

import argparse
import contextlib
import datetime
import glob
import json
import os
import pathlib
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import report
from systems import ROOT, STELE, Failed, call

EACH_RUN = 100_000  # refused creates, shared among the processes
PROCESSES = (1, 2, 8)
READS = 20_000
PATIENCE = 60
KINDS = {"create": "one name again and again", "names": "each name once"}


def log(text):
    print(text, file=sys.stderr, flush=True)


class Watched:
    """A folder whose writes are refused; the subclasses say who writes it
    down."""

    name = ""
    what = ""

    def __init__(self, work):
        self.work = work
        self.point = str(work / f"mnt-{self.name.replace(' ', '-')}")
        os.makedirs(self.point)

    def start(self):
        """Make it ready, with nothing written down yet."""

    def stop(self):
        """Undo start. Afterwards kept() and size() can be asked."""

    def kept(self):
        """Records there are, by their own count; None: none are made."""
        return None

    def size(self):
        """Bytes that they take."""
        return 0


class Kernel(Watched):
    name = "kernel"
    what = "read-only bind mount, nobody watches"

    def __init__(self, work):
        super().__init__(work)
        self.source = str(work / f"source-{self.name}")
        os.makedirs(self.source)
        pathlib.Path(self.source, "small").write_bytes(b"x" * 1000)

    def start(self):
        call("mount", "--bind", self.source, self.point)
        call("mount", "-o", "remount,ro,bind", self.point)

    def stop(self):
        call("umount", self.point)


class Auditd(Kernel):
    name = "auditd"
    what = ("the same under auditd with Debian's settings but a backlog of "
            "8192, rule -a always,exit -S all -F exit=-EROFS")

    def __init__(self, work):
        super().__init__(work)
        self.folder = work / "audit"
        self.process = None
        self.before = {}

    def start(self):
        super().start()
        self.before = status()
        shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(self.folder / "plugins.d", mode=0o700)
        given = pathlib.Path("/etc/audit/auditd.conf").read_text()
        for key, value in (("log_file", self.folder / "audit.log"),
                           ("plugin_dir", self.folder / "plugins.d")):
            given = re.sub(rf"(?m)^{key} *=.*$", f"{key} = {value}", given)
        (self.folder / "auditd.conf").write_text(given)
        self.process = subprocess.Popen(
            ["auditd", "-n", "-c", str(self.folder)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        self.wait(lambda: status()["pid"] == self.process.pid, "auditd")
        call("auditctl", "-b", "8192")
        call("auditctl", "-a", "always,exit", "-S", "all", "-F",
             "exit=-EROFS")

    def wait(self, condition, what):
        end = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > end or self.process.poll() is not None:
                raise Failed(f"{what} does not come")
            time.sleep(0.01)

    def stop(self):
        if self.process:
            # What waits in the kernel's queue is written yet.
            with contextlib.suppress(Failed):
                call("auditctl", "-D")
                self.wait(lambda: status()["backlog"] == 0, "an empty queue")
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(PATIENCE)
            self.process = None
            call("auditctl", "-b", str(self.before["backlog_limit"]))
            call("auditctl", "-e", str(self.before["enabled"]))
        super().stop()

    def files(self):
        return glob.glob(str(self.folder / "audit.log*"))

    def kept(self):
        count = 0
        for name in self.files():
            with open(name, "rb") as lines:
                count += sum(line.startswith(b"type=SYSCALL") and
                             b" exit=-30 " in line for line in lines)
        return count

    def size(self):
        return sum(map(os.path.getsize, self.files()))


def status():
    """What auditctl -s says, as numbers."""
    words = (line.split() for line in call("auditctl", "-s").splitlines())
    return {w[0]: int(w[1]) for w in words
            if len(w) == 2 and w[1].isdecimal()}


class Stele(Watched):
    name = "stele"
    what = "an image; each attempt is committed before it is answered"

    def __init__(self, work):
        super().__init__(work)
        source = work / "source-stele"
        source.mkdir()
        (source / "small").write_bytes(b"x" * 1000)
        self.image = str(work / "image.stele")
        self.ledger = str(work / "stele.ledger")
        call(STELE, "build", "-q", str(source), "-o", self.image)

    def start(self):
        for name in glob.glob(self.ledger + "*"):
            os.unlink(name)
        call(STELE, "mount", self.image, self.point, "--ledger", self.ledger)

    def stop(self):
        call(STELE, "umount", self.point)

    def kept(self):
        text = call(STELE, "log", "summary", "--json", self.ledger)
        return json.loads(text.splitlines()[0])["attempts"]

    def size(self):
        return os.path.getsize(self.ledger)


class Probe:
    def __init__(self, work):
        self.path = str(work / "probe")
        call("cc", "-O2", "-o", self.path, str(ROOT / "bench" / "probe.c"))

    def begin(self, what, *args):
        return subprocess.Popen([self.path, what, *map(str, args)],
                                stdout=subprocess.PIPE, text=True)

    @staticmethod
    def end(process):
        out, _ = process.communicate(timeout=600)
        if process.returncode:
            raise Failed("the probe failed")
        return float(out.split()[0])

    def run(self, what, *args):
        return self.end(self.begin(what, *args))


class Bench:
    def __init__(self, work):
        self.probe = Probe(work)
        self.results = report.Results()
        self.systems = [Kernel(work), Auditd(work), Stele(work)]

    def flood(self, system, kind, processes):
        """Refused creates by so many at once: what one of them takes, what was
        kept of them and what that needs."""
        each = EACH_RUN // processes
        system.start()
        try:
            path = os.path.join(system.point, "not-to-be-made")
            running = [self.probe.begin(kind, path, each)
                       for _ in range(processes)]
            took = max([Probe.end(p) for p in running])
        finally:
            system.stop()
        name = f"{kind} {processes}"
        self.results.add(system.name, f"{name} cost", took / each)
        kept = system.kept()
        if kept is not None:
            self.results.add(system.name, f"{name} kept", kept)
            if kept:
                self.results.add(system.name, f"{name} bytes",
                                 system.size() / kept)

    def beside(self, system):
        """A reader on the mount, alone and beside one who floods."""
        system.start()
        small = os.path.join(system.point, "small")
        try:
            self.probe.run("small", small, 100)
            quiet = self.probe.run("small", small, READS) / READS
            flood = self.probe.begin(
                "create", os.path.join(system.point, "not-to-be-made"),
                100 * EACH_RUN)
            try:
                busy = self.probe.run("small", small, READS) / READS
                if flood.poll() is not None:
                    raise Failed("the flood ended before the reader")
            finally:
                flood.kill()
                flood.communicate()
        finally:
            system.stop()
        self.results.add(system.name, "read quiet", quiet)
        self.results.add(system.name, "read beside", busy)

    def round(self, number):
        turn = number % len(self.systems)
        for system in self.systems[turn:] + self.systems[:turn]:
            for kind in KINDS:
                for processes in PROCESSES:
                    self.flood(system, kind, processes)
            self.beside(system)


def shown(results, system, measure, factor, digits):
    value = results.median(system, measure)
    if value is None:
        return "–"
    values = results.get(system, measure)
    return (f"{value * factor:.{digits}f} ({min(values) * factor:.{digits}f}–"
            f"{max(values) * factor:.{digits}f})")


def targets(results):
    """(what, measured, reached)"""
    cost = results.median("stele", "create 1 cost") * 1e6
    yield ("refused create, one process: at most 40 µs", f"{cost:.1f} µs",
           cost <= 40)
    ratio = results.ratio("create 2 cost", "stele", "auditd")
    yield ("two processes: at most half of auditd's", f"{ratio:.2f} ×",
           ratio <= 0.5)
    kept = min(min(results.get("stele", f"{kind} {n} kept"))
               for kind in KINDS for n in PROCESSES)
    yield (f"all {EACH_RUN:,} kept", f"{kept:,}", kept == EACH_RUN)
    for kind, most in (("names", 120), ("create", 30)):
        worst = max(results.median("stele", f"{kind} {n} bytes")
                    for n in PROCESSES)
        yield (f"{KINDS[kind]}: under {most} bytes a record", f"{worst:.1f}",
               worst < most)
    pairs = zip(results.get("stele", "read beside"),
                results.get("stele", "read quiet"))
    slower = statistics.median(a / b for a, b in pairs)
    yield ("a read beside a flood: at most 1.3 × its quiet latency",
           f"{slower:.2f} ×", slower <= 1.3)


def table(bench, work, rounds):
    r = bench.results
    lines = [f"# Refused creates, recorded: {datetime.date.today()}", "",
             f"{report.machine(work)}; {rounds} rounds, medians (smallest–"
             "largest).", ""]
    for s in bench.systems:
        lines.append(f"- {s.name}: {s.what}")
    lines += ["", "| to reach | measured | |", "|---|---|---|"]
    lines += [f"| {what} | {got} | {'yes' if good else '**no**'} |"
              for what, got, good in targets(r)]
    for kind, text in KINDS.items():
        lines += ["", f"## {EACH_RUN:,} refused creates, {text}", "",
                  "| | processes | µs each, as one process sees it | kept | "
                  "bytes a record |", "|---|---|---|---|---|"]
        for s in bench.systems:
            for n in PROCESSES:
                name = f"{kind} {n}"
                lines.append(
                    f"| {s.name} | {n} | {shown(r, s.name, name + ' cost', 1e6, 1)} "
                    f"| {shown(r, s.name, name + ' kept', 1, 0)} "
                    f"| {shown(r, s.name, name + ' bytes', 1, 1)} |")
    lines += ["", "## open+read+close of a small file on the same mount", "",
              "| | quiet, µs | beside one flooding process, µs |", "|---|---|---|"]
    for s in bench.systems:
        lines.append(f"| {s.name} | {shown(r, s.name, 'read quiet', 1e6, 1)} | "
                     f"{shown(r, s.name, 'read beside', 1e6, 1)} |")
    return "\n".join(lines) + "\n"


def run(args):
    for tool in ("auditd", "auditctl", "cc"):
        if not shutil.which(tool):
            raise Failed(f"no {tool} here; util/setup --bench installs it")
    if status()["pid"]:
        raise Failed("auditd runs on this machine already: its records would "
                     "be mixed with ours; stop it first")
    base = pathlib.Path(args.output or ROOT / "bench" / "results" /
                        f"{datetime.date.today()}-ledger")
    os.makedirs(args.work, exist_ok=True)
    work = pathlib.Path(tempfile.mkdtemp(prefix="ledger.", dir=args.work))
    os.environ["STELE_STATE"] = str(work / "state")
    try:
        bench = Bench(work)
        for number in range(args.rounds):
            log(f"round {number + 1} of {args.rounds} ...")
            bench.round(number)
        text = table(bench, work, args.rounds)
        base.with_suffix(".json").write_text(
            json.dumps({"machine": report.machine(work),
                        "values": bench.results.values}, indent=1) + "\n")
        base.with_suffix(".md").write_text(text)
    finally:
        if any(os.path.ismount(entry) for entry in work.iterdir()):
            log(f"{work} is left: something is still mounted there")
        else:
            shutil.rmtree(work, ignore_errors=True)
    print(text)
    log(f"stored as {base}.md and {base}.json")


def main():
    parser = argparse.ArgumentParser(
        prog="bench/ledger", description="Measure what recording refused "
        "writes costs, beside auditd; bench/README.md says what the numbers "
        "mean.")
    parser.add_argument("--rounds", type=int, default=5, metavar="N",
                        help="how often everything is measured (5)")
    parser.add_argument("--work", default="/var/cache/stele-bench",
                        metavar="DIR", help="where the ledgers and logs go; "
                        "the disk that is measured (%(default)s)")
    parser.add_argument("-o", metavar="FILE", dest="output", help="where the "
                        "table goes (FILE.md and FILE.json; "
                        "bench/results/DATE-ledger)")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        run(args)
    except Failed as error:
        sys.exit(f"bench/ledger: {error}")


if __name__ == "__main__":
    main()
