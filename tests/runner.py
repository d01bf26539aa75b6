# SPDX-License-Identifier: Apache-2.0
"""
Build and run the tests, and count single test cases.

The parts, in this order:

  unit    gcc build with -Werror in build-test; meson's tests but "style"
  style   meson's tests of suite "style", from the same build
  asan    the unit part again in build-asan, with ASan and UBSan
  clang   clang build with -Werror in build-clang; counted as one case
  system  pytest over tests/system, against the program in build-test

A case is one function of a cmocka program, one line of a TAP program, one test
of pytest, or one whole program where nothing finer is known. A build that
fails, a test that meson lists and that did not run, a program that dies after
its last case and a mount, loop device or daemon left behind are failed cases.

The tests find what was built through the environment:

  STELE        the program
  STELE_BUILD  the build folder it is in
  TMPDIR       a folder of this run; gone afterwards
"""

import argparse
import fcntl
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET

ROOT = pathlib.Path(__file__).resolve().parent.parent
PARTS = ("unit", "style", "asan", "clang", "system")

# libfuse is not ours to keep free of warnings.
STRICT = ["-Dtests=enabled", "-Dwerror=true", "-Dlibfuse:werror=false"]
SANITIZE = ["-Db_sanitize=address,undefined", "-Db_lundef=false"]
BUILDS = {  # part: (folder, compiler, options)
    "unit": ("build-test", "gcc", STRICT),
    "asan": ("build-asan", "gcc", STRICT + SANITIZE),
    "clang": ("build-clang", "clang", STRICT),
}

# Seconds. Far above what they take: only a hang meets them.
LIMIT_BUILD = 900
LIMIT_MESON = 900
LIMIT_SYSTEM = 1500
LIMIT_ONE_CASE = 300  # after this pytest prints where it stands

# What XML 1.0 cannot carry.
UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
TAP_LINE = re.compile(
    r"^(not )?ok\b *\d* *-? *(.*?)(?: *# *(SKIP|TODO)\S* *(.*))?$", re.I)


class Tally:
    """What became of each case; prints as it goes, and at the end."""

    def __init__(self):
        self.passed, self.failed, self.skipped = [], [], []

    def ok(self, name):
        self.passed.append(name)

    def fail(self, name, log):
        self.failed.append(name)
        print(f"FAILED {name}")
        for line in (log or "(no output)").rstrip().splitlines()[-60:]:
            print("    " + line)

    def skip(self, name, reason):
        self.skipped.append(name)
        print(f"SKIPPED {name}: {reason or 'no reason given'}")

    def counts(self):
        return [len(x) for x in (self.passed, self.failed, self.skipped)]

    def line(self):
        return "{} passed, {} failed, {} skipped".format(*self.counts())


def command(argv, limit, **more):
    """
    Run argv in its own process group; returns (status, output). What is still
    running at the limit is killed, with its children.
    """
    with subprocess.Popen(
            argv, cwd=ROOT, stdin=subprocess.DEVNULL, text=True,
            errors="replace", start_new_session=True,
            **{"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, **more},
    ) as process:
        try:
            output, _ = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
            return -1, (output or "") + f"\nstill running after {limit} s"
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        return process.returncode, output or ""


class Run:
    """One run of the suite: what was asked for, and what came of it."""

    def __init__(self, parts, pattern):
        self.parts = parts
        self.pattern = pattern
        self.tally = Tally()
        # /tmp may lie in memory, and without extended attributes.
        self.tmp = tempfile.mkdtemp(
            prefix="stele-test.", dir=os.environ.get("TMPDIR", "/var/tmp"))
        os.chmod(self.tmp, 0o755)  # tests drop to other users
        self.env = {**os.environ, "TMPDIR": self.tmp,
                    "PYTHONDONTWRITEBYTECODE": "1"}
        self.set_up, self.built = {}, {}

    def part(self, name, function, *args):
        """Run one part, and say what it brought and how long it took."""
        before, start = self.tally.counts(), time.monotonic()
        print(f"== {name}", flush=True)
        function(*args)
        new = [b - a for a, b in zip(before, self.tally.counts())]
        print("   {} passed, {} failed, {} skipped".format(*new),
              f"in {time.monotonic() - start:.1f} s", flush=True)

    # -- building

    def build(self, part):
        """Configure and compile, once; a failure is a failed case."""
        folder, compiler, _ = BUILDS[part]
        if part not in self.built:
            self.built[part] = self.configured(part)
            if self.built[part]:
                status, output = command(["ninja", "--quiet", "-C", folder],
                                         LIMIT_BUILD, env=self.env)
                self.built[part] = status == 0
                if status:
                    self.tally.fail(f"build {folder} ({compiler})", output)
        return self.built[part]

    def configured(self, part):
        """Configure, once; a failure is a failed case."""
        folder, compiler, options = BUILDS[part]
        if part not in self.set_up:
            output = self.configure(folder, options,
                                    {**self.env, "CC": compiler})
            self.set_up[part] = output is None
            if output is not None:
                self.tally.fail(f"configure {folder} ({compiler})", output)
        return self.set_up[part]

    @staticmethod
    def configure(folder, options, env):
        """Returns None, or what meson said when it failed."""
        # A folder that is there is used again, unless meson cannot (another
        # version of it made the folder, or a file of it is broken).
        if (ROOT / folder / "build.ninja").exists():
            status, _ = command(
                ["meson", "setup", "--reconfigure", folder, *options],
                LIMIT_BUILD, env=env)
            if status == 0:
                return None
        shutil.rmtree(ROOT / folder, ignore_errors=True)
        status, output = command(["meson", "setup", folder, *options],
                                 LIMIT_BUILD, env=env)
        return None if status == 0 else output

    def clang(self):
        if self.build("clang"):
            self.tally.ok("clang -Werror")

    # -- meson's tests

    def meson(self, part, wanted):
        """Run the tests of a build for which wanted(suites) is true."""
        if not self.build(part):
            return
        self.meson_tests(part, wanted)

    def style(self):
        """Scripts: they look at what does not compile, too."""
        if self.configured("unit"):
            self.meson_tests("unit", lambda suites: "style" in suites)

    def meson_tests(self, part, wanted):
        folder = BUILDS[part][0]
        _, listing = command(["meson", "introspect", "--tests", folder],
                             LIMIT_BUILD, env=self.env)
        tests = {
            test["name"]: test for test in json.loads(listing)
            if wanted({suite.split(":")[-1] for suite in test["suite"]})
            and (not self.pattern or self.pattern in test["name"])}
        if not tests:
            if not self.pattern:
                self.tally.fail(f"meson test -C {folder}",
                                "the build lists no such test")
            return
        failed = len(self.tally.failed)
        log = ROOT / folder / "meson-logs" / "testlog.json"
        log.unlink(missing_ok=True)
        status, output = command(
            ["meson", "test", "-C", folder, "--no-rebuild", *sorted(tests)],
            LIMIT_MESON, env={**self.env, "CMOCKA_MESSAGE_OUTPUT": "XML"})
        label = "" if part == "unit" else part + " "
        seen = set()
        if log.exists():
            for line in log.read_text(errors="replace").splitlines():
                result = json.loads(line)
                # "suite:name" or "project / suite / name", by version.
                name = re.split(r" / |:", result["name"])[-1]
                seen.add(name)
                self.meson_result(label + name, result,
                                  tests.get(name, {}).get("protocol"))
        for name in sorted(set(tests) - seen):
            self.tally.fail(label + name, "did not run\n" + output)
        if status and len(self.tally.failed) == failed:
            self.tally.fail(f"meson test -C {folder}", output)

    def meson_result(self, name, result, protocol):
        """Count the cases of one program that meson ran."""
        output = (result.get("stdout") or "") + (result.get("stderr") or "")
        if result["result"] == "SKIP":
            self.tally.skip(name, output.strip().split("\n")[-1])
            return
        before = len(self.tally.failed)
        if protocol == "tap":
            counted = self.tap(name, output)
        else:
            counted = self.cmocka(name, output)
        good = result["result"] in ("OK", "EXPECTEDFAIL")
        if good and not counted:
            self.tally.ok(name)
        elif not good and len(self.tally.failed) == before:
            # It died outside of any case: a sanitizer, a signal, the clock.
            self.tally.fail(
                name, f"{result['result']}, status {result['returncode']}\n"
                + output)

    def tap(self, program, output):
        """Count the lines of TAP; what follows one, up to the next, says why."""
        counted = 0
        lines = output.splitlines()
        starts = [i for i, line in enumerate(lines) if TAP_LINE.match(line)]
        for start, end in zip(starts, starts[1:] + [len(lines)]):
            counted += 1
            bad, name, directive, reason = TAP_LINE.match(
                lines[start]).groups()
            name = f"{program}: {name}"
            if directive and directive.upper() == "SKIP":
                self.tally.skip(name, reason)
            elif bad and not directive:
                self.tally.fail(name, "\n".join(lines[start + 1:end]))
            else:
                self.tally.ok(name)
        return counted

    def cmocka(self, program, output):
        """
        Count what cmocka printed as XML, one document a group. A skipped case
        gives its reason on a line of its own, "skipped: REASON".
        """
        counted = 0
        documents = re.findall(r"<testsuites>.*?</testsuites>", output, re.S)
        reasons = iter(re.findall(r"^skipped: (.*)$", output, re.M))
        for document in documents:
            try:
                cases = ET.fromstring(UNPRINTABLE.sub("?", document))
            except ET.ParseError as error:
                counted += 1
                self.tally.fail(program, f"cannot parse: {error}\n{output}")
                continue
            for case in cases.iter("testcase"):
                counted += 1
                name = f"{program}: {case.get('name')}"
                failure = case.find("failure")
                if failure is None:
                    failure = case.find("error")
                if failure is not None:
                    self.tally.fail(name, failure.text)
                elif case.find("skipped") is not None:
                    self.tally.skip(name, next(reasons, ""))
                else:
                    self.tally.ok(name)
        return counted

    # -- the system tests

    def system(self):
        if not self.build("unit"):
            return
        folder = ROOT / BUILDS["unit"][0]
        env = {**self.env, "STELE": str(folder / "util" / "stele"),
               "STELE_BUILD": str(folder)}
        report = folder / "system.xml"
        report.unlink(missing_ok=True)
        argv = [sys.executable, "-m", "pytest", "-q", "--no-header",
                "--no-summary", "--tb=short", "-p", "no:cacheprovider",
                "-o", "junit_family=xunit2",
                "-o", f"faulthandler_timeout={LIMIT_ONE_CASE}",
                f"--junitxml={report}", "tests/system"]
        if self.pattern:
            argv += ["-k", self.pattern]
        # Its progress goes straight to the terminal.
        sys.stdout.flush()
        status, _ = command(argv, LIMIT_SYSTEM, env=env, stdout=None)
        try:
            cases = list(ET.parse(report).iter("testcase"))
        except (OSError, ET.ParseError) as error:
            self.tally.fail("system", f"pytest ended with {status}: {error}")
            return
        failed = len(self.tally.failed)
        for case in cases:
            self.system_case(case)
        # 5 is "no test was selected".
        if status not in (0, 5) and len(self.tally.failed) == failed:
            self.tally.fail("system", f"pytest ended with status {status}")

    def system_case(self, case):
        where = (case.get("classname") or "").replace("tests.system.", "")
        name = f"{where}: {case.get('name')}"
        bad = [x for x in case if x.tag in ("failure", "error")]
        skipped = case.find("skipped")
        if bad:
            self.tally.fail(name, "\n".join(x.text or "" for x in bad))
        elif skipped is not None:
            self.tally.skip(name, skipped.get("message"))
        else:
            self.tally.ok(name)

    # -- afterwards

    def leftovers(self):
        """Nothing of this run may outlive it; what does, is named, ended."""
        own = (self.tmp + "/", *(str(ROOT / build[0]) + "/"
                                 for build in BUILDS.values()))
        for pid, exe in daemons(own):
            self.tally.fail("left behind", f"process {pid}: {exe}")
            os.kill(pid, signal.SIGKILL)
        for point in mounts_below(own):
            self.tally.fail("left behind", f"mount {point}")
            subprocess.run(["umount", "-l", point], check=False)
        for device, backing in loops(own):
            self.tally.fail("left behind", f"{device} over {backing}")
            subprocess.run(["losetup", "-d", device], check=False)

    def finish(self):
        self.leftovers()
        # Never through a mount: what it shows is not ours to remove.
        if list(mounts_below((self.tmp + "/",))):
            print(f"{self.tmp} is left: something is still mounted below it")
        else:
            shutil.rmtree(self.tmp, ignore_errors=True)
        # With sudo: what was built belongs to the owner of the checkout.
        if os.geteuid() == 0:
            folders = [ROOT / b[0] for b in BUILDS.values()]
            subprocess.run(
                ["chown", "-hR", f"--reference={ROOT}", ROOT / "subprojects",
                 *(f for f in folders if f.exists())], check=False)


def daemons(own):
    """(pid, program) of each process that runs a program below our folders."""
    for entry in os.listdir("/proc"):
        try:
            exe = os.readlink(f"/proc/{entry}/exe")
        except OSError:
            continue  # no process, or gone, or not ours to look at
        if entry.isdigit() and exe.startswith(own):
            yield int(entry), exe


def mounts_below(own):
    """Mount points below our folders, the innermost first."""
    points = []
    with open("/proc/self/mountinfo", "rb") as mounts:
        for line in mounts:
            point = os.fsdecode(re.sub(
                rb"\\([0-7]{3})", lambda m: bytes([int(m[1], 8)]),
                line.split()[4]))
            if point.startswith(own):
                points.append(point)
    return reversed(points)


def loops(own):
    """(device, file) of each loop device over a file below our folders."""
    for path in pathlib.Path("/sys/block").glob("loop*/loop/backing_file"):
        try:
            backing = path.read_text(errors="replace").rstrip("\n")
        except OSError:
            continue
        if backing.startswith(own):
            yield "/dev/" + path.parts[3], backing


def main():
    parser = argparse.ArgumentParser(
        prog="tests/run", description="Build and run the tests.",
        epilog="The last line counts the cases; exit status 0 means that some "
        "ran and none failed.")
    parser.add_argument("part", nargs="*", metavar="PART",
                        help=f"which parts ({', '.join(PARTS)}); all of them")
    parser.add_argument("-k", metavar="PATTERN", dest="pattern",
                        help="only tests with PATTERN in their name")
    args = parser.parse_args()
    for part in args.part:
        if part not in PARTS:
            parser.error(f"no such part: {part} (there are {', '.join(PARTS)})")

    start = time.monotonic()
    with open(ROOT / "tests" / "runner.py") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            sys.exit("tests/run: another run is using this checkout; wait for it")
        run = Run(args.part or PARTS, args.pattern)
        if os.geteuid():
            print("not root: the tests that need it will skip themselves")
        try:
            everything(run)
        except KeyboardInterrupt:
            run.tally.fail("interrupted", "not all tests were run")
        finally:
            run.finish()
    passed, failed, _ = run.tally.counts()
    if run.tally.failed:
        print("failed:", *run.tally.failed, sep="\n    ")
    print(f"took {time.monotonic() - start:.0f} s")
    print(run.tally.line(), flush=True)
    return 0 if passed and not failed else 1


def everything(run):
    if "unit" in run.parts:
        run.part("unit", run.meson, "unit", lambda s: "style" not in s)
    if "style" in run.parts:
        run.part("style", run.style)
    if "asan" in run.parts:
        run.part("asan", run.meson, "asan", lambda s: "style" not in s)
    # A pattern picks tests; a build is none.
    if "clang" in run.parts and not run.pattern:
        run.part("clang", run.clang)
    if "system" in run.parts:
        run.part("system", run.system)


if __name__ == "__main__":
    sys.exit(main())
