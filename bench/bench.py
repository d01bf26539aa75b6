# SPDX-License-Identifier: Apache-2.0
"""
Measure every system on the same tree, in turns: each round takes all of them,
one after the other, and starts with another one. What drifts on the machine
drifts for all.
"""

import argparse
import datetime
import os
import pathlib
import random
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time

import report
import systems
from systems import ROOT, Failed, call

SEED = 20261122  # of the choice of files: the same in each run
RANDOM_FILES = 5000
TIMES = {"open": 20000, "small": 20000, "create": 20000}
GROUPS = ("build", "mount", "walk", "read", "random", "ops")
# Everything that find can print of a file without opening it.
FIND = "%p %y %i %m %n %U %G %s %b %T@ %C@ %l\\n"


def log(text):
    print(text, file=sys.stderr, flush=True)


def empty_caches():
    """Until the next access nothing of any file is in memory."""
    os.sync()
    with open("/proc/sys/vm/drop_caches", "w") as control:
        control.write("3")


class Tree:
    """What there is to be measured on, known beforehand."""

    def __init__(self, path):
        self.path = path
        self.things, self.bytes = 1, 0
        self.files, small = [], []
        for folder, folders, names in os.walk(path):
            self.things += len(folders) + len(names)
            for name in names:
                full = os.path.join(folder, name)
                status = os.lstat(full)
                if stat.S_ISREG(status.st_mode):
                    relative = os.path.relpath(full, path)
                    self.files.append(relative)
                    self.bytes += status.st_size
                    if 100 <= status.st_size <= 4000:
                        small.append(relative)
        if not small:
            raise Failed(f"{path} has no small file to open")
        self.files.sort()
        self.small = min(small)
        chooser = random.Random(SEED)
        self.chosen = chooser.sample(self.files,
                                     min(RANDOM_FILES, len(self.files)))


class Bench:
    def __init__(self, tree, work, groups, only):
        self.tree, self.groups = tree, groups
        self.probe_path = str(work / "probe")
        call("cc", "-O2", "-o", self.probe_path,
             str(ROOT / "bench" / "probe.c"))
        self.results = report.Results()
        self.mounted = None
        self.systems = []
        for kind in systems.ALL:
            system = kind(work, tree.path)
            if only and system.name not in only:
                continue
            why = system.missing()
            if why:
                self.drop(system, why)
            else:
                self.systems.append(system)

    def drop(self, system, why):
        log(f"{system.name}: {why}; left out")
        self.results.left_out[system.name] = why
        if system in self.systems:
            self.systems.remove(system)

    # -- single measurements

    def probe(self, what, *args, stdin=None):
        """Returns (seconds, things, bytes or errno)."""
        done = subprocess.run([self.probe_path, what, *map(str, args)],
                              input=stdin, capture_output=True, check=False)
        if done.returncode:
            raise Failed(done.stderr.decode(errors="replace").strip())
        seconds, things, count = done.stdout.split()
        return float(seconds), int(things), int(count)

    def find(self, system):
        start = time.perf_counter()
        call("find", system.point, "-fprintf", "/dev/null", FIND)
        return time.perf_counter() - start

    def walk(self, system):
        return self.whole("walk", system)

    def read(self, system):
        return self.whole("read", system)

    def whole(self, what, system):
        """All of the tree; a system that shows less of it is no match."""
        seconds, things, count = self.probe(what, system.point)
        if (things, count) != (self.tree.things, self.tree.bytes):
            raise Failed(f"{what}: {things} entries, {count} bytes instead of "
                         f"{self.tree.things} and {self.tree.bytes}")
        return seconds

    def random(self, system):
        names = b"".join(os.fsencode(x) + b"\0" for x in self.tree.chosen)
        return self.probe("files", system.point, stdin=names)[0]

    def mount(self, system):
        took = system.mount()
        self.mounted = system
        return took

    def unmount(self):
        if self.mounted:
            self.mounted.unmount()
            self.mounted = None

    def fresh(self, system):
        """Mounted, with nothing of it in memory."""
        self.unmount()
        empty_caches()
        return self.mount(system)

    # -- groups of them: each measures one system once

    def put(self, system, measure, value):
        if value is not None:
            self.results.add(system.name, measure, value)

    def group_build(self, system):
        # Its own format, not one that it borrows from another system.
        if "build" not in type(system).__dict__:
            return
        # The same start for all: the source in memory, nothing to be written.
        self.probe("read", self.tree.path)
        os.sync()
        made = system.image + ".new"
        start = time.perf_counter()
        system.build(made)
        with open(made, "rb") as image:
            os.fsync(image.fileno())
        self.put(system, "build", time.perf_counter() - start)
        self.put(system, "size", os.path.getsize(made))
        os.rename(made, system.image)

    def group_mount(self, system):
        self.put(system, "mount cold", self.fresh(system))
        self.unmount()
        self.put(system, "mount warm", self.mount(system))

    def group_walk(self, system):
        self.fresh(system)
        self.put(system, "walk cold", self.find(system))
        self.put(system, "walk warm", self.find(system))
        self.put(system, "lstat warm", self.walk(system))

    def group_read(self, system):
        self.fresh(system)
        self.put(system, "read cold", self.read(system))
        self.put(system, "memory", system.memory())
        self.put(system, "read warm", self.read(system))

    def group_random(self, system):
        self.fresh(system)
        self.put(system, "random cold", self.random(system))
        self.put(system, "random warm", self.random(system))

    def group_ops(self, system):
        if not self.mounted:
            self.mount(system)
        small = os.path.join(system.point, self.tree.small)
        kinds = {"open": small, "small": small}
        if system.refuses:
            kinds["create"] = os.path.join(system.point, "not-to-be-made")
        for kind, path in kinds.items():
            # The first ones fill caches.
            self.probe(kind, path, 100)
            seconds, count, errno = self.probe(kind, path, TIMES[kind])
            self.put(system, kind, seconds / count)
            if kind == "create":
                self.results.errnos[system.name] = errno

    # -- the run

    def one(self, system):
        # Not there when building is not measured, or not of this system.
        if system.image and not os.path.exists(system.image):
            system.build(system.image)
        for group in GROUPS:
            if group in self.groups and group != "build":
                getattr(self, "group_" + group)(system)
        self.unmount()

    def guarded(self, function, system):
        """What fails leaves the run, and the others go on."""
        try:
            function(system)
        except (Failed, OSError) as error:
            self.cleanup()
            self.drop(system, str(error))

    def round(self, number):
        turn = number % len(self.systems)
        order = self.systems[turn:] + self.systems[:turn]
        if "build" in self.groups:
            for system in order:
                self.guarded(self.group_build, system)
        for system in [s for s in order if s in self.systems]:
            self.guarded(self.one, system)

    def cleanup(self):
        """Whatever happened: nothing of ours stays mounted."""
        system, self.mounted = self.mounted, None
        points = [s.point for s in self.systems] + (
            [system.point] if system else [])
        for point in points:
            if os.path.ismount(point) and point != str(self.tree.path):
                subprocess.run(["umount", "-l", point], check=False)


def arguments():
    parser = argparse.ArgumentParser(
        prog="bench/run", description="Measure stele beside other "
        "filesystems; bench/README.md says what the numbers mean.")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--tree", metavar="DIR", help="the tree to measure on "
                       "(a Debian root, made by debootstrap)")
    which.add_argument("--quick", action="store_true", help="a small made-up "
                       "tree and one round: to see that the bench works")
    parser.add_argument("--rounds", type=int, metavar="N",
                        help="how often everything is measured (5)")
    parser.add_argument("--only", action="append", metavar="WHAT",
                        help="only these systems or groups of measurements "
                        f"(groups: {', '.join(GROUPS)}; systems: "
                        f"{', '.join(s.name for s in systems.ALL)}); may be "
                        "given more than once")
    parser.add_argument("--work", default="/var/cache/stele-bench",
                        metavar="DIR", help="where the tree and the images "
                        "go; the disk that is measured (%(default)s)")
    parser.add_argument("-o", metavar="FILE", dest="output", help="where the "
                        "table goes (FILE.md and FILE.json; "
                        "bench/results/DATE-TREE)")
    args = parser.parse_args()
    names = [s.name for s in systems.ALL]
    for what in args.only or []:
        if what not in names and what not in GROUPS:
            parser.error(f"--only: no such system or group: {what}")
    args.groups = [g for g in GROUPS if g in (args.only or [])] or GROUPS
    args.systems = [n for n in names if n in (args.only or [])]
    args.rounds = args.rounds or (1 if args.quick else 5)
    if args.rounds < 1:
        parser.error("--rounds: at least one")
    return args


def made_up(path):
    """A small tree with a bit of everything, the same each time."""
    if path.exists():
        shutil.rmtree(path)
    chooser = random.Random(SEED)
    words = [chooser.randbytes(chooser.randint(2, 9)).hex().encode()
             for _ in range(2000)]
    for i in range(60):
        folder = path / f"d{i % 7}" / f"e{i}"
        folder.mkdir(parents=True)
        for j in range(40):
            size = int(chooser.paretovariate(0.9) * 300) % 400000
            text = b" ".join(chooser.choices(words, k=size // 10 + 1))
            (folder / f"f{j}").write_bytes(text[:size])
        (folder / "link").symlink_to("f0")


def find_tree(args):
    """Returns (name, path) of the tree."""
    work = pathlib.Path(args.work)
    if args.tree:
        path = pathlib.Path(args.tree).resolve()
        if not path.is_dir():
            raise Failed(f"--tree: {path} is no folder")
        return path.name, path
    if args.quick:
        made_up(work / "quick")
        return "quick", work / "quick"
    log("making a Debian root ...")
    call(str(ROOT / "util" / "debian-root"), "--include",
         "python3,gcc,git,perl", str(work / "debian"))
    return "debian", work / "debian"


def run(args):
    name, path = find_tree(args)
    tree = Tree(path)
    base = pathlib.Path(args.output or ROOT / "bench" / "results" /
                        f"{datetime.date.today()}-{name}")
    # Images beside the tree's disk: all are read from the same one.
    work = pathlib.Path(tempfile.mkdtemp(prefix="run.", dir=args.work))
    # Records of refused creates go with the rest of it.
    os.environ["STELE_STATE"] = str(work / "state")
    bench = None
    try:
        bench = Bench(tree, work, args.groups, args.systems)
        for number in range(args.rounds):
            log(f"round {number + 1} of {args.rounds} ...")
            bench.round(number)
        facts = report.facts(name, tree, work, args.rounds, bench.systems)
        text = report.write(base, facts, bench.results)
    finally:
        if bench:
            bench.cleanup()
        # Never through a mount: what it shows is not ours to remove.
        if any(os.path.ismount(entry) for entry in work.iterdir()):
            log(f"{work} is left: something is still mounted there")
        else:
            shutil.rmtree(work, ignore_errors=True)
    print(text)
    log(f"stored as {base}.md and {base}.json")


def main():
    args = arguments()
    # Ended from outside: still unmount.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    os.makedirs(args.work, exist_ok=True)
    try:
        empty_caches()
    except OSError as error:
        sys.exit(f"bench/run: cannot empty the kernel's caches: {error}; "
                 "run it as root and outside of a container")
    try:
        run(args)
    except Failed as error:
        sys.exit(f"bench/run: {error}")


if __name__ == "__main__":
    main()
