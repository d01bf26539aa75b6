# SPDX-License-Identifier: Apache-2.0
"""stele doctor on machines that are made sick: each condition is found, and the
command that it prints mends it."""

import json
import os
import signal
import subprocess

import pytest

import support
import trees
from support import PATIENCE


@pytest.fixture
def image(stele, scratch):
    os.mkdir(os.path.join(scratch, "source"))
    trees.put(os.path.join(scratch, "source/file"), b"content\n")
    path = os.path.join(scratch, "image.stele")
    stele.build(os.path.join(scratch, "source"), path)
    return path


@pytest.fixture
def point(scratch):
    path = os.path.join(scratch, "mnt")
    os.mkdir(path)
    return path


class Space:
    """A process in a mount namespace of its own, after some commands."""

    def __init__(self, script, *words, flags=()):
        self.process = subprocess.Popen(
            ["unshare", "-m", *flags, "sh", "-e", "-c",
             script + "\necho ready; exec cat", "sh", *words],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if line != "ready\n":
            self.end()
        assert line == "ready\n"

    def run(self, *words):
        return subprocess.run(
            ["nsenter", "-t", str(self.process.pid), "-m", *words],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            timeout=PATIENCE)

    def end(self):
        self.process.stdin.close()
        self.process.wait(PATIENCE)
        self.process.stdout.close()


@pytest.fixture
def spaces():
    made = []

    def make(*words, **more):
        made.append(Space(*words, **more))
        return made[-1]

    yield make
    for s in made:
        s.end()


def doctor(stele, *words):
    """(exit code, findings)"""
    done = stele.run("doctor", *words, "--json")
    assert done.stderr == b""
    return done.returncode, [json.loads(x) for x in done.stdout.splitlines()]


def attempts(m):
    """What was refused; the log tells of other events, too."""
    return [r for r in m.log() if "error" in r]


def bad(findings):
    return [f for f in findings if f["level"] != "note"]


def the_only(stele, kind, *words):
    """The one finding there is besides notes."""
    code, found = doctor(stele, *words)
    found = bad(found)
    assert code == 1
    assert [f["kind"] for f in found] == [kind], found
    return found[0]


def is_well(stele, *words):
    code, found = doctor(stele, *words)
    assert (code, bad(found)) == (0, [])
    return True


def mend(stele, finding):
    """What a person would do: run the command as it stands."""
    folder = os.path.dirname(stele.binary)
    env = dict(stele.env, PATH=f"{folder}:{os.environ['PATH']}")
    done = subprocess.run(["bash", "-c", finding["command"]], env=env,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=PATIENCE)
    assert done.returncode == 0, (finding["command"], done.stdout)


def test_all_is_well(stele, image, point):
    m = stele.mount(image, point)
    assert is_well(stele, point)
    done = stele.run("doctor", point)
    assert done.returncode == 0
    assert done.stdout.endswith(b"1 mount, all is well\n")
    # Looking at it leaves no trace in the record.
    assert attempts(m) == []
    m.umount()


def test_no_image_there(stele, image, point, scratch):
    stele.refuses(8, "doctor", point, says=[point])
    stele.refuses(8, "doctor", "/proc", says=["/proc"])
    stele.refuses(8, "doctor", os.path.join(scratch, "missing"),
                  says=["missing"])
    stele.refuses(2, "doctor", point, point)
    stele.refuses(2, "doctor", "--json", "--clean")


def test_read_only_in_a_container(stele, image, point, scratch, spaces):
    """As a runtime does it for a container with a read-only root."""
    m = stele.mount(image, point)
    there = os.path.join(scratch, "it's there\n")
    os.mkdir(there)
    space = spaces('mount --bind "$1" "$2"; mount -i -o remount,bind,ro "$2"',
                   point, there)
    # Blind it is: the same errno, and no record.
    touch = ("touch", os.path.join(there, "new"))
    assert "Read-only" in space.run(*touch).stderr
    assert attempts(m) == []

    found = the_only(stele, "read-only", point)
    assert found["level"] == "blind"
    assert found["mount"] == point
    assert f"process {space.process.pid} (cat)" in found["what"]
    mend(stele, found)
    assert is_well(stele, point)
    options = space.run("findmnt", "-no", "OPTIONS", there).stdout
    assert "nosuid,nodev" in options  # as it was
    assert "Read-only" in space.run(*touch).stderr
    assert [r["op"] for r in attempts(m)] == ["create"]


def test_read_only_here(stele, image, point, scratch):
    stele.mount(image, point)
    second = os.path.join(scratch, "second")
    os.mkdir(second)
    subprocess.run(["mount", "--bind", point, second], check=True)
    subprocess.run(["mount", "-i", "-o", "remount,bind,ro", second], check=True)
    found = the_only(stele, "read-only", point)
    assert second in found["what"]
    mend(stele, found)
    assert is_well(stele, point)
    subprocess.run(["umount", second], check=True)


def test_read_only_altogether(stele, image, point):
    m = stele.mount(image, point)
    subprocess.run(["mount", "-i", "-o", "remount,ro", point], check=True)
    found = the_only(stele, "read-only", point)
    mend(stele, found)
    assert is_well(stele, point)
    with pytest.raises(OSError):
        open(m.path("new"), "w")
    assert len(attempts(m)) == 1


def test_covered(stele, image, scratch):
    parent = os.path.join(scratch, "parent")
    point = os.path.join(parent, "mnt")
    os.makedirs(point)
    stele.mount(image, point)
    for where in (point, parent):
        subprocess.run(["mount", "-t", "tmpfs", "none", where], check=True)
        found = the_only(stele, "covered", point)
        assert where in found["what"]
        mend(stele, found)
        assert is_well(stele, point)


def test_covered_in_a_container(stele, image, point, spaces):
    stele.mount(image, point)
    space = spaces('mount -t tmpfs none "$1"', point)
    found = the_only(stele, "covered", point)
    assert str(space.process.pid) in found["command"]
    mend(stele, found)
    assert is_well(stele, point)


def kill(m):
    pid = m.pid()
    os.kill(pid, signal.SIGKILL)
    support.wait_until(lambda: support.gone(pid), "the end of the daemon")
    with pytest.raises(OSError):
        os.listdir(m.point)


def test_dead(stele, image, point):
    m = stele.mount(image, point)
    kill(m)
    _, found = doctor(stele, point)
    kinds = {f["kind"]: f for f in bad(found)}
    assert set(kinds) == {"dead", "stale-lock"}
    mend(stele, kinds["dead"])
    assert not support.is_mounted(point)
    assert stale(stele) == [("stale-lock", m.ledger + "-lock")]
    clean(stele)
    assert stale(stele) == []


def stale(stele):
    """(kind, path) of what lies around in the state folder of this test. Not
    all findings: other mounts of this machine are none of our business."""
    _, found = doctor(stele)
    return [(f["kind"], f["what"].split(":")[0].removesuffix(
        " leads to nothing")) for f in found
        if f["level"] == "stale" and f["kind"] != "dead"]


def clean(stele):
    """Clean everything, in a mount namespace of its own: what others of this
    machine have mounted stays, and what the test has too."""
    done = subprocess.run(
        ["unshare", "-m", stele.binary, "doctor", "--clean"], env=stele.env,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, timeout=PATIENCE)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_clean(stele, image, scratch):
    """What is dead goes, what lives stays, and so does every record."""
    dead, alive = (stele.mount(image, os.path.join(scratch, n))
                   for n in ("dead", "alive"))
    with pytest.raises(OSError):
        open(dead.path("x"), "w")
    kill(dead)
    gone = stele.mount(image, os.path.join(scratch, "gone"))
    gone.umount()
    os.unlink(gone.ledger)
    link = dict(stale(stele))["dangling-link"]
    assert os.path.islink(link)

    said = clean(stele)
    assert f"unmounted {dead.point}" in said
    assert f"unmounted {alive.point}" not in said
    assert f"removed {dead.ledger}-lock" in said
    assert any(line.startswith("removed ") and line.endswith("gone.ledger")
               for line in said)
    assert not os.path.lexists(link)
    assert not os.path.exists(dead.ledger + "-lock")
    assert os.path.exists(alive.ledger + "-lock")
    assert stale(stele) == []
    with open(alive.path("file")) as f:
        assert f.read() == "content\n"
    # That was in another namespace; here it is done by name.
    assert support.is_mounted(dead.point)
    assert stele.ok("doctor", "--clean", dead.point) == (
        f"unmounted {dead.point}\n")
    assert not support.is_mounted(dead.point)
    assert len(attempts(dead)) == 1
    assert stele.ok("doctor", "--clean", alive.point) == "nothing to clean\n"
    alive.umount()


def test_clean_of_one(stele, image, scratch):
    """With a mount point only what belongs to it."""
    one, two = (stele.mount(image, os.path.join(scratch, n))
                for n in ("one", "two"))
    kill(one)
    kill(two)
    out = stele.ok("doctor", "--clean", one.point)
    assert out.count("\n") == 2
    assert not support.is_mounted(one.point)
    assert support.is_mounted(two.point)
    stele.ok("doctor", "--clean", two.point)
    assert stale(stele) == []


def test_lock_in_use_stays(stele, image, point):
    """The holder of a lock need not be a daemon that serves a mount."""
    m = stele.mount(image, point)
    m.umount()
    lock = m.ledger + "-lock"
    holder = subprocess.Popen(
        ["flock", "-x", lock, "sh", "-c", "echo; exec cat"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    holder.stdout.readline()
    assert stale(stele) == []
    clean(stele)
    assert os.path.exists(lock)
    holder.communicate(timeout=PATIENCE)
    assert stale(stele) == [("stale-lock", lock)]
    clean(stele)
    assert not os.path.exists(lock)


def test_stopped(stele, image, point):
    """It says so in time, although whoever asks the mount waits."""
    m = stele.mount(image, point)
    pid = m.pid()
    os.kill(pid, signal.SIGSTOP)
    try:
        found = the_only(stele, "stopped", point)
        assert found["daemon"] == pid
        mend(stele, found)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert is_well(stele, point)
    m.umount()


def test_only_who_mounted_it(stele, image, point):
    m = stele.mount(image, point, "-o", "noallow_other,suid")
    found = the_only(stele, "no-allow-other", point)
    assert os.stat(m.path("file"))
    mend(stele, found)
    assert is_well(stele, point)
    row = [r for r in support.mounts() if r[0] == point][0]
    assert "allow_other" in row[3].split(",")
    assert "nosuid" not in row[1].split(",")


def of_image(stele, image):
    _, found = doctor(stele)
    return [f for f in bad(found) if f.get("image") == image]


def test_pid_namespace(stele, image, scratch, spaces):
    """A daemon in a container does not see who calls from the host."""
    shared = os.path.join(scratch, "shared")
    point = os.path.join(shared, "mnt")
    os.mkdir(shared)
    subprocess.run(["mount", "--bind", shared, shared], check=True)
    subprocess.run(["mount", "--make-shared", shared], check=True)
    os.mkdir(point)
    spaces('STELE_STATE="$1" "$2" mount "$3" "$4"', stele.state,
           stele.binary, image, point,
           flags=("-p", "-f", "--kill-child", "--mount-proc",
                  "--propagation", "unchanged"))
    found = the_only(stele, "pid-namespace", point)
    assert found["level"] == "blind"
    mend(stele, found)
    assert is_well(stele, point)


def test_mount_in_a_container_only(stele, image, point, spaces):
    """It is found without being mounted here."""
    spaces('STELE_STATE="$1" "$2" mount "$3" "$4"; '
           'mount -i -o remount,bind,ro "$4"', stele.state,
           stele.binary, image, point,
           flags=("-p", "-f", "--kill-child", "--mount-proc"))
    assert not support.is_mounted(point)
    found = {f["kind"]: f for f in of_image(stele, image)}
    assert set(found) == {"pid-namespace", "read-only"}
    assert "command" not in found["pid-namespace"]
    mend(stele, found["read-only"])
    assert [f["kind"] for f in of_image(stele, image)] == ["pid-namespace"]


def may_lower_oom_score():
    """It takes CAP_SYS_RESOURCE, which not every root has."""
    script = "echo -900 > /proc/self/oom_score_adj"
    return subprocess.run(["sh", "-c", script],
                          stderr=subprocess.DEVNULL).returncode == 0


def test_oom_score(stele, image, point):
    pid = stele.mount(image, point).pid()

    def adjust(value):
        with open(f"/proc/{pid}/oom_score_adj", "w") as f:
            f.write(value)

    adjust("500")
    found = the_only(stele, "oom", point)
    adjust("0")
    _, now = doctor(stele, point)
    assert [f["level"] for f in now if f["kind"] == "oom"] == ["note"]
    if may_lower_oom_score():
        mend(stele, found)
        assert "oom" not in [f["kind"] for f in doctor(stele, point)[1]]


def test_read_ahead(stele, image, point):
    stele.mount(image, point)
    dev = os.stat(point).st_dev
    knob = f"/sys/class/bdi/{os.major(dev)}:{os.minor(dev)}/read_ahead_kb"
    if not os.path.exists(knob):
        pytest.skip(f"no {knob}")
    with open(knob, "w") as f:
        f.write("128")
    found = the_only(stele, "read-ahead", point)
    assert found["level"] == "slow"
    mend(stele, found)
    assert is_well(stele, point)


def test_ledger_in_memory(stele, image, point, small_disk):
    ledger = os.path.join(small_disk, "x.ledger")
    m = stele.mount(image, point, ledger=ledger)
    _, found = doctor(stele, point)
    kinds = {f["kind"]: f for f in bad(found)}
    assert set(kinds) == {"in-memory", "full"}
    assert kinds["in-memory"]["ledger"] == ledger
    # 1 MiB is little: there is a command that makes it more.
    mend(stele, kinds["full"])
    found = the_only(stele, "in-memory", point)
    # The place that is proposed lies outside of this test's folder: put one
    # inside in its place.
    words = found["command"].split()
    place = words[words.index("--ledger") + 1]
    assert place.startswith("/var/lib/stele/") and place.endswith(".ledger")
    found["command"] = found["command"].replace(
        place, os.path.join(os.path.dirname(point), "kept.ledger"))
    mend(stele, found)
    assert is_well(stele, point)
    assert m.point == point


def test_full(stele, image, point, ext4):
    """Not in memory: it shows what takes the room."""
    stele.mount(image, point, ledger=os.path.join(ext4, "x.ledger"))
    assert is_well(stele, point)
    free = os.statvfs(ext4)
    size = free.f_bavail * free.f_frsize - (40 << 20)
    filler = os.path.join(ext4, "filler")
    with open(filler, "wb") as f:
        os.posix_fallocate(f.fileno(), 0, size)
    found = the_only(stele, "full", point)
    shown = subprocess.run(["bash", "-c", found["command"]], text=True,
                           stdout=subprocess.PIPE, check=True).stdout
    assert ext4 in shown
    os.unlink(filler)
    assert is_well(stele, point)


def test_mode_and_owner(stele, image, point):
    m = stele.mount(image, point)
    for change, kind in ((lambda: os.chmod(m.ledger, 0o644), "ledger-mode"),
                         (lambda: os.chown(m.ledger, 1, 1), "ledger-owner")):
        change()
        found = the_only(stele, kind, point)
        mend(stele, found)
        assert is_well(stele, point)


def test_a_user_cannot_see_all(stele, image, point):
    """Without root it says what it could not look at."""
    if support.have("setpriv"):
        pytest.skip("no setpriv")
    stele.mount(image, point)
    done = subprocess.run(
        ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups",
         stele.binary, "doctor", "--json", point], stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, timeout=PATIENCE,
        env=dict(stele.env, STELE_STATE="/nonexistent"))
    assert (done.returncode, done.stderr) == (0, b"")
    found = [json.loads(x) for x in done.stdout.splitlines()]
    unseen = [f for f in found if f["kind"] == "unseen"]
    assert unseen[0]["command"] == "sudo stele doctor"
