# SPDX-License-Identifier: Apache-2.0
"""An ordinary user, with fusermount3 and without root: build, mount, read, be
refused, read the log, unmount."""

import json
import os
import pwd
import stat
import subprocess

import pytest

import support
import trees
from support import NOBODY, PATIENCE

# One with a name, which fusermount3 asks for, and not NOBODY: another user.
USER = pwd.getpwnam("games").pw_uid
pytestmark = pytest.mark.user


class User:
    """Runs commands as an ordinary user with a home of his own."""

    def __init__(self, binary, home, prefix):
        self.binary, self.home, self.prefix = binary, home, prefix
        self.env = {"HOME": home, "PATH": "/usr/bin:/bin:/usr/sbin:/sbin",
                    "LC_ALL": "C.UTF-8"}

    def run(self, *words, env=(), **more):
        return subprocess.run(
            [*self.prefix, *map(str, words)], env={**self.env, **dict(env)},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, timeout=PATIENCE,
            cwd=self.home, **more)

    def ok(self, *words, **more):
        done = self.run(*words, **more)
        assert done.returncode == 0, (words, done.returncode, done.stderr)
        return done.stdout

    def stele(self, *words):
        return self.ok(self.binary, *words)


@pytest.fixture
def namespace(scratch):
    """A mount namespace in which everybody may open /dev/fuse, as udev has it
    on an ordinary machine; gives the words that enter it."""
    if os.geteuid():
        yield []
        return
    node = os.path.join(scratch, "fuse")
    os.mknod(node, stat.S_IFCHR | 0o666, os.makedev(10, 229))
    os.chmod(node, 0o666)
    p = subprocess.Popen(
        ["unshare", "-m", "--propagation", "private", "sh", "-e", "-c",
         'mount --bind "$1" /dev/fuse; echo; exec sleep 1000', "sh", node],
        stdout=subprocess.PIPE)
    p.stdout.readline()
    yield ["nsenter", "-t", str(p.pid), "-m"]
    p.kill()
    p.wait()


@pytest.fixture
def user(namespace, scratch, stele_binary):
    reason = support.have("fusermount3")
    if reason:
        pytest.skip(reason)
    home = os.path.join(scratch, "home")
    os.mkdir(home, 0o700)
    prefix = []
    if os.geteuid() == 0:
        os.chown(home, USER, USER)
        # Entering a namespace leads to its root folder.
        prefix = [*namespace, "env", "-C", home, "setpriv",
                  f"--reuid={USER}", f"--regid={USER}", "--clear-groups",
                  "--inh-caps=-all"]
    person = User(stele_binary, home, prefix)
    if person.run("test", "-r", "/dev/fuse", "-a", "-w",
                  "/dev/fuse").returncode:
        pytest.skip("this user may not open /dev/fuse")
    yield person
    person.run("fusermount3", "-u", "-z", home + "/mnt")
    # It signs its last records, in the folder that is about to go.
    support.wait_until(lambda: not support.processes_naming(home),
                       "the end of the daemon")


@pytest.fixture
def mounted(user):
    """A mount made by the user."""
    user.ok("sh", "-e", "-c", "mkdir tree tree/folder mnt; echo hello "
            ">tree/file; chmod 600 tree/file; echo inner >tree/folder/inner; "
            "ln -s file tree/link")
    user.stele("build", "tree", "-o", "mine.stele", "-q")
    user.stele("mount", "mine.stele", "mnt")
    return user


def test_whole_way(mounted):
    user = mounted
    assert user.ok("cat", "mnt/file", "mnt/folder/inner") == "hello\ninner\n"
    assert user.ok("stat", "-c", "%u %a", "mnt/file").split() == [
        str(os.geteuid() or USER), "600"]
    done = user.run("sh", "-c", "echo no >mnt/file")
    assert done.returncode and "Read-only file system" in done.stderr
    done = user.run("mkdir", "mnt/new")
    assert done.returncode and "Read-only file system" in done.stderr
    rows = [json.loads(line) for line in
            user.stele("log", "mnt", "--json").splitlines()]
    assert [(r["op"], r["path"], r["error"]) for r in rows] == [
        ("open", "/file", "EROFS"), ("mkdir", "/new", "EROFS")]
    assert {r["uid"] for r in rows} == {os.geteuid() or USER}
    assert rows[1]["comm"] == "mkdir"
    user.stele("umount", "mnt")
    assert user.ok("ls", "mnt") == ""
    # The log can be read when the mount is gone.
    again = user.stele("log", "mnt", "--json").splitlines()
    assert [json.loads(line)["seq"] for line in again] == [
        r["seq"] for r in rows]


def test_mount_table(mounted):
    line = mounted.ok("findmnt", "-n", "-o", "FSTYPE,OPTIONS",
                      mounted.home + "/mnt")
    kind, options = line.split()
    assert kind == "fuse.stele"
    words = options.split(",")
    assert {"rw", "nosuid", "nodev"} <= set(words)
    assert not {"allow_other", "default_permissions", "ro"} & set(words)


def test_others_stay_out(mounted, namespace):
    """Without allow_other the kernel lets nobody else in, not even root."""
    if os.geteuid():
        pytest.skip("needs root to be somebody else")
    os.chmod(mounted.home, 0o755)
    for who in (["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}",
                 "--clear-groups"], []):
        done = subprocess.run([*namespace, *who, "ls", mounted.home + "/mnt"],
                              stderr=subprocess.PIPE, text=True)
        assert done.returncode and "Permission denied" in done.stderr


def test_allow_other_is_explained(user):
    """fusermount3 allows it only when /etc/fuse.conf does."""
    user.ok("mkdir", "tree", "mnt")
    user.stele("build", "tree", "-o", "mine.stele", "-q")
    with open("/etc/fuse.conf") as f:
        allowed = any(line.strip() == "user_allow_other" for line in f)
    done = user.run(user.binary, "mount", "mine.stele", "mnt", "-o",
                    "allow_other")
    if allowed:
        assert done.returncode == 0, done.stderr
        return
    assert done.returncode in (5, 8)
    assert done.stderr.count("\n") == 1
    assert "user_allow_other" in done.stderr


def test_foreign_mount_point(user):
    """A folder of somebody else's is refused."""
    if os.geteuid():
        pytest.skip("needs root to make a folder of somebody else's")
    user.ok("mkdir", "tree")
    user.stele("build", "tree", "-o", "mine.stele", "-q")
    foreign = os.path.join(os.path.dirname(user.home), "foreign")
    os.mkdir(foreign, 0o755)
    done = user.run(user.binary, "mount", "mine.stele", foreign)
    assert done.returncode in (5, 8)
    assert done.stderr.count("\n") == 1 and foreign in done.stderr


def test_files_of_root_keep_their_owner(user, scratch):
    """A user may mount an image that root made; he sees true owners and reads
    only what he may."""
    if os.geteuid():
        pytest.skip("needs root to make files of root's")
    top = os.path.join(scratch, "roots")
    os.mkdir(top)
    trees.put(top + "/open", b"open\n")
    trees.put(top + "/secret", b"secret\n")
    os.chmod(top + "/secret", 0o600)
    image = os.path.join(scratch, "roots.stele")
    subprocess.run([user.binary, "build", top, "-o", image, "-q"], check=True)
    user.ok("mkdir", "mnt")
    user.stele("mount", image, "mnt")
    assert user.ok("cat", "mnt/open") == "open\n"
    assert user.ok("stat", "-c", "%u:%g", "mnt/secret") == "0:0\n"
    assert "Permission denied" in user.run("cat", "mnt/secret").stderr
    user.stele("umount", "mnt")


def doctor(user, *words):
    done = user.run(user.binary, "doctor", "--json", *words)
    assert done.stderr == ""
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_doctor(mounted):
    """Their own mount, with their own rights: what others cannot enter is said,
    and what is dead is cleaned by fusermount3."""
    user = mounted
    where = os.path.join(user.home, "mnt")
    found, = [f for f in doctor(user, "mnt") if f["level"] != "note"]
    assert found["kind"] == "no-allow-other"
    assert found["mount"] == where
    daemon = found["daemon"]
    user.ok("kill", "-9", str(daemon))
    support.wait_until(lambda: support.gone(daemon), "the end of the daemon")
    kinds = {f["kind"] for f in doctor(user, "mnt") if f["level"] != "note"}
    assert kinds == {"dead", "stale-lock"}
    if os.geteuid() == 0:
        # Root is not let in, and sees it all the same, from another namespace.
        done = subprocess.run([user.binary, "doctor", "--json"], text=True,
                              stdout=subprocess.PIPE, timeout=PATIENCE)
        assert [f["kind"] for f in map(json.loads, done.stdout.splitlines())
                if f.get("mount") == where] == ["dead"]
    lines = user.ok(user.binary, "doctor", "--clean", "mnt").splitlines()
    assert lines[0] == f"unmounted {where}"
    assert lines[1].startswith("removed ") and lines[1].endswith("-lock")
    assert len(lines) == 2
    assert user.run("findmnt", where).returncode == 1
    assert user.run(user.binary, "doctor", "mnt").returncode == 8
