# SPDX-License-Identifier: Apache-2.0
"""What the black-box tests share: the program under test, the helper that makes
single system calls, mounts, and private file systems over loop devices."""

import errno
import json
import os
import re
import shutil
import signal
import subprocess
import time

NOBODY = 65534

# Exit codes; see util/exit.h.
NO, USAGE, INPUT, UNSUPPORTED, DENIED, SYSTEM, CHANGED, MOUNT = range(1, 9)

# Long enough for a loaded machine; reached only when something hangs.
PATIENCE = 120


class Failure(AssertionError):
    """The program did something else than it should."""


def q(path):
    """An argument in a script for the helper: %XX for what would split it."""
    raw = os.fsencode(path)
    return "".join(
        chr(c) if 0x21 <= c < 0x7F and c != 0x25 else "%%%02x" % c for c in raw
    )


def errno_name(e):
    return errno.errorcode[e.errno]


def mounts():
    """(mount point, options, type, options of the superblock) of each mount."""
    rows = []
    with open("/proc/self/mountinfo", "rb") as f:
        for line in f:
            left, right = line.rstrip(b"\n").split(b" - ", 1)
            words = left.split(b" ")
            kind, _source, options = right.split(b" ", 2)
            point = re.sub(
                rb"\\([0-7]{3})", lambda m: bytes([int(m[1], 8)]), words[4]
            )
            rows.append((os.fsdecode(point), words[5].decode(), kind.decode(),
                         options.decode()))
    return rows


def is_mounted(path):
    return any(row[0] == os.path.realpath(path) for row in mounts())


def unmount_below(folder):
    """Detach everything that is still mounted at or below a folder of ours."""
    folder = os.path.realpath(folder)
    for point, *_ in reversed(mounts()):
        if point == folder or point.startswith(folder + "/"):
            subprocess.run(["umount", "-l", point], check=False,
                           stderr=subprocess.DEVNULL)


def wait_until(condition, what, seconds=PATIENCE):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise Failure(f"waited {seconds} s for {what}")
        time.sleep(0.002)


def processes_naming(text):
    """Pids of the processes that have text as part of an argument."""
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        try:
            with open(f"/proc/{name}/cmdline", "rb") as f:
                words = f.read()
        except OSError:
            continue  # it ended meanwhile
        if os.fsencode(text) in words:
            found.append(int(name))
    return found


def gone(pid):
    try:
        with open(f"/proc/{pid}/stat", "rb") as f:
            return f.read().rsplit(b")", 1)[1].split()[0] in b"ZX"
    except OSError:
        return True


class Attempt:
    """The helper program; see attempt.c for the calls and their arguments."""

    def __init__(self, binary):
        self.binary = str(binary)

    def command(self, root, uid=None, ruid=None, gid=None, groups=None,
                caps=None, userns=None, hold=None, times=None, log=False,
                thread=None):
        words = [self.binary]
        if uid is not None and gid is None:
            gid = uid
        if uid is not None and groups is None:
            groups = ""
        for name, value in (("uid", uid), ("ruid", ruid), ("gid", gid),
                            ("groups", groups), ("caps", caps),
                            ("userns", userns), ("hold", hold),
                            ("times", times), ("thread", thread)):
            if value is not None:
                words += [f"--{name}", str(value)]
        return words + (["--log"] if log else []) + [os.fspath(root)]

    def start(self, root, script, stdout=subprocess.PIPE, **who):
        """Start it; it begins when its script has been read to the end."""
        p = subprocess.Popen(self.command(root, **who), stdin=subprocess.PIPE,
                             stdout=stdout, text=True)
        p.stdin.write("".join(line + "\n" for line in script))
        p.stdin.flush()
        return p

    def run(self, root, script, **who):
        """Run the lines; the list of their results: "ok" or an errno name."""
        script = list(script)
        done = subprocess.run(
            self.command(root, **who), text=True, timeout=PATIENCE,
            input="".join(line + "\n" for line in script),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if done.returncode:
            raise Failure(f"helper: {done.stderr.strip()}")
        results = done.stdout.splitlines()
        if len(results) != len(script):
            raise Failure(f"{len(results)} results of {len(script)} calls")
        return results

    def one(self, root, line, **who):
        return self.run(root, [line], **who)[0]


def counts(text):
    """{"EROFS": 3, "ok": 1} from a line of the helper's totals."""
    return {k: int(v) for k, v in (w.split("=") for w in text.split())}


class Mounted:
    """One mount of an image."""

    def __init__(self, stele, point, ledger, process=None):
        self.stele = stele
        self.point = str(point)
        self.ledger = str(ledger)
        self.process = process  # when it runs in the foreground

    def __fspath__(self):
        return self.point

    def path(self, name):
        return os.path.join(self.point, name)

    def pid(self):
        """The daemon's process."""
        if self.process:
            return self.process.pid
        found = [p for p in processes_naming(self.point)
                 if os.path.realpath(f"/proc/{p}/exe") == self.stele.binary]
        if len(found) != 1:
            raise Failure(f"daemons of {self.point}: {found}")
        return found[0]

    def log(self, *more):
        return self.stele.log(self.ledger, *more)

    def umount(self):
        pid = self.pid()
        self.stele.ok("umount", self.point)
        if self.process:
            self.process.wait(PATIENCE)
        else:
            wait_until(lambda: gone(pid), "the end of the daemon")
        if is_mounted(self.point):
            raise Failure(f"{self.point} is still mounted")

    def kill(self, number=signal.SIGKILL):
        """End the daemon by force and take away what it leaves behind."""
        pid = self.pid()
        os.kill(pid, number)
        if self.process:
            self.process.wait(PATIENCE)
        wait_until(lambda: gone(pid), "the end of the daemon")
        subprocess.run(["umount", "-l", self.point], check=False,
                       stderr=subprocess.DEVNULL)


class Stele:
    """The program under test, with a state folder of its own."""

    def __init__(self, binary, folder):
        self.binary = str(binary)
        self.folder = str(folder)
        self.state = os.path.join(self.folder, "state")
        self.env = dict(os.environ, STELE_STATE=self.state, LC_ALL="C.UTF-8")
        self.env.pop("SOURCE_DATE_EPOCH", None)
        self.mounted = []

    def run(self, *words, **more):
        more.setdefault("timeout", PATIENCE)
        more.setdefault("env", self.env)
        more.setdefault("stdin", subprocess.DEVNULL)
        if "input" in more:
            del more["stdin"]
        return subprocess.run([self.binary, *map(os.fspath, words)],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              **more)

    def ok(self, *words, **more):
        done = self.run(*words, **more)
        if done.returncode:
            raise Failure(f"stele {' '.join(map(str, words))}: exit "
                          f"{done.returncode}: {done.stderr.decode()}")
        return done.stdout.decode("utf-8", "surrogateescape")

    def refuses(self, codes, *words, says=(), **more):
        """It must end with the code, or one of a set, and with one line of
        explanation, which names each of says."""
        done = self.run(*words, **more)
        text = done.stderr.decode("utf-8", "replace")
        what = f"stele {' '.join(map(str, words))}: exit {done.returncode}"
        codes = codes if isinstance(codes, set) else {codes}
        if done.returncode not in codes:
            raise Failure(f"{what}, not {codes}: {text}")
        if text.count("\n") != 1 or not text.endswith("\n"):
            raise Failure(f"{what}, not one line of explanation: {text!r}")
        for word in ("stele ", *says):
            if str(word) not in text:
                raise Failure(f"{what}: {text!r} does not name {word!r}")
        return text

    def run_as(self, uid, *words):
        """As another user, with a state folder of his own."""
        state = os.path.join(self.folder, f"state-{uid}")
        os.makedirs(state, exist_ok=True)
        os.chown(state, uid, uid)
        return subprocess.run(
            ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups",
             "--inh-caps=-all", self.binary, *map(os.fspath, words)],
            env=dict(self.env, STELE_STATE=state), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE,
            text=True)

    def build(self, source, image, *options):
        """Build; {"image": id, "tree": id}."""
        self.ok("build", source, "-o", image, "-q", *options)
        return self.ids(image)

    def ids(self, image):
        facts = json.loads(self.ok("info", image, "--json"))
        return {"image": facts["image_id"], "tree": facts["tree_id"]}

    def mount(self, image, point, *options, ledger=None, foreground=False):
        os.makedirs(point, exist_ok=True)
        ledger = ledger or os.path.join(
            self.folder, os.path.basename(str(point)) + ".ledger")
        words = ["mount", image, point, "--ledger", ledger, *options]
        process = None
        if foreground:
            process = subprocess.Popen(
                [self.binary, *map(os.fspath, words), "-f"], env=self.env,
                stdin=subprocess.DEVNULL)
            wait_until(lambda: process.poll() is not None or is_mounted(point),
                       f"the mount at {point}")
            if process.poll() is not None:
                raise Failure(f"stele mount -f: exit {process.returncode}")
            os.stat(point)  # answered only once it serves
        else:
            self.ok(*words)
        self.mounted.append(Mounted(self, point, ledger, process))
        return self.mounted[-1]

    def log(self, where, *more):
        """The records; none is exit code 1."""
        done = self.run("log", where, "--json", *more)
        if done.returncode != (0 if done.stdout else 1):
            raise Failure(f"stele log: exit {done.returncode}: {done.stderr}")
        return [json.loads(line) for line in done.stdout.splitlines()]

    def end(self):
        """Leave no mount and no daemon behind, whatever the test did."""
        for m in self.mounted:
            if is_mounted(m.point):
                subprocess.run(["umount", "-l", m.point], check=False)
            if m.process and m.process.poll() is None:
                try:
                    m.process.wait(10)
                except subprocess.TimeoutExpired:
                    m.process.kill()
                    m.process.wait()
        for pid in processes_naming(self.folder):
            try:
                own = os.path.realpath(f"/proc/{pid}/exe") == self.binary
                if own:
                    wait_until(lambda p=pid: gone(p), "a daemon", 10)
            except (OSError, Failure):
                os.kill(pid, signal.SIGKILL)


def everything_below(folder):
    return sorted(os.path.join(a, n) for a, b, c in os.walk(folder)
                  for n in b + c)


def has_loop():
    """None, or why no file can be mounted over a loop device here."""
    if os.geteuid():
        return "loop mounts need root"
    if not os.path.exists("/dev/loop-control"):
        return "no /dev/loop-control on this machine"
    done = subprocess.run(["losetup", "-f"], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True)
    return f"no loop device: {done.stderr.strip()}" if done.returncode else None


def loop_mount(file, point, options):
    """None, or why it failed."""
    os.makedirs(point, exist_ok=True)
    done = subprocess.run(["mount", "-o", f"loop,{options}", file, point],
                          stderr=subprocess.PIPE, text=True)
    return None if done.returncode == 0 else done.stderr.strip()


def make_ext4(file, point, size=512 << 20, inodes=None, options=""):
    """A fresh ext4 in a sparse file, with room for 64 KiB xattrs."""
    with open(file, "wb") as f:
        f.truncate(size)
    more = ["-N", str(inodes)] if inodes else []
    subprocess.run(["mkfs.ext4", "-q", "-F", "-I", "256", "-b", "4096",
                    "-m", "0", "-O", "ea_inode,^has_journal", *more, file],
                   check=True, stdout=subprocess.DEVNULL)
    return loop_mount(file, point, "noatime" + options)


def make_squashfs(source, file, point, options="ro,nosuid,nodev"):
    subprocess.run(["mksquashfs", source, file, "-quiet", "-no-progress",
                    "-noappend"], check=True, stdout=subprocess.DEVNULL)
    return loop_mount(file, point, options)


def have(*programs):
    """None, or which program is missing."""
    for p in programs:
        if not shutil.which(p):
            return f"{p} is not installed"
    return None
