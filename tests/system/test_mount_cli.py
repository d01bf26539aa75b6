# SPDX-License-Identifier: Apache-2.0
"""The mount as its users see it: the daemon, the options, mount(8), the log."""

import errno
import json
import os
import shutil
import subprocess

import pytest

import support
import trees
from support import NOBODY


@pytest.fixture
def source(scratch):
    top = os.path.join(scratch, "source")
    os.makedirs(top + "/bin")
    shutil.copy(os.path.realpath("/usr/bin/touch"), top + "/bin/touch")
    trees.put(top + "/file", b"content\n")
    trees.put(top + "/large", os.urandom(1_000_000))
    trees.put(top + "/other", os.urandom(1_000_000))
    os.symlink("file", top + "/link")
    return top


@pytest.fixture
def image(stele, source, scratch):
    path = os.path.join(scratch, "image.stele")
    stele.build(source, path)
    return path


@pytest.fixture
def point(scratch):
    path = os.path.join(scratch, "mnt")
    os.mkdir(path)
    return path


def row_of(point):
    """(options, type, superblock options) of the mount there."""
    rows = [r[1:] for r in support.mounts() if r[0] == os.path.realpath(point)]
    assert len(rows) == 1
    return rows[0]


def test_daemon_is_a_daemon(stele, image, point):
    m = stele.mount(image, point)
    pid = m.pid()
    for fd in range(3):
        assert os.readlink(f"/proc/{pid}/fd/{fd}") == "/dev/null"
    with open(f"/proc/{pid}/stat") as f:
        words = f.read().rsplit(")", 1)[1].split()
    parent, session = int(words[1]), int(words[3])
    assert session != os.getsid(0)
    assert parent != os.getpid()
    # It keeps no folder busy.
    assert os.readlink(f"/proc/{pid}/cwd") == "/"
    m.umount()


def test_mount_answers_at_once(stele, image, point):
    """When the command is back the files are there: no moment of waiting."""
    for _ in range(10):
        m = stele.mount(image, point)
        with open(os.path.join(point, "file")) as f:
            assert f.read() == "content\n"
        m.umount()
        assert os.listdir(point) == []


def test_options_in_the_mount_table(stele, image, point):
    stele.mount(image, point)
    options, kind, super_options = row_of(point)
    words = set(options.split(",")) | set(super_options.split(","))
    assert kind == "fuse.stele"
    assert {"rw", "nosuid", "nodev", "allow_other"} <= words
    assert not {"ro", "default_permissions", "suid", "dev"} & words


def test_suid_is_said_aloud(stele, image, point):
    stele.mount(image, point, "-o", "suid")
    options = row_of(point)[0].split(",")
    assert "nosuid" not in options and "nodev" in options


def test_noexec(stele, image, point):
    stele.mount(image, point, "-o", "noexec,noatime")
    assert "noexec" in row_of(point)[0].split(",")
    with pytest.raises(PermissionError):
        subprocess.run([os.path.join(point, "bin/touch")], check=False)


def test_unknown_option_is_refused(stele, image, point):
    stele.refuses(2, "mount", image, point, "-o", "bogus=1", says=["bogus"])
    assert not support.is_mounted(point)


def test_second_mount_on_the_same_point(stele, image, point):
    """Two ledgers of one mount point would be two truths: it is refused."""
    m = stele.mount(image, point)
    with pytest.raises(OSError):
        open(m.path("file"), "w")
    rows = stele.log(point)
    assert len(rows) == 1
    for more in ([], ["--ledger", m.ledger + ".other"]):
        stele.refuses(8, "mount", image, point, *more, says=[point])
        # The log of the one that is there is still found by its place.
        assert stele.log(point) == rows
        assert not os.path.exists(m.ledger + ".other")
    assert len([r for r in support.mounts() if r[0] == point]) == 1
    with open(os.path.join(point, "file")) as f:
        assert f.read() == "content\n"
    m.umount()


def test_same_image_twice(stele, image, scratch):
    one = stele.mount(image, os.path.join(scratch, "one"))
    two = stele.mount(image, os.path.join(scratch, "two"))
    for m in (one, two):
        with pytest.raises(OSError):
            open(m.path("file"), "w")
    one.umount()
    with open(two.path("file")) as f:
        assert f.read() == "content\n"
    assert len(one.log()) == len(two.log()) == 1


def test_umount_of_what_is_no_mount(stele, image, point):
    stele.refuses(8, "umount", point, says=[point])


def test_umount_while_busy(stele, image, point):
    m = stele.mount(image, point)
    with open(m.path("file")):
        done = stele.run("umount", point)
        assert done.returncode == 8
        assert done.stderr.count(b"\n") == 1
        assert os.fsencode(point) in done.stderr
        assert support.is_mounted(point)
    m.umount()


def test_umount_by_other_programs(stele, image, point):
    """umount(8) and fusermount3 end the daemon as well."""
    for command in (["umount"], ["fusermount3", "-u"]):
        if support.have(command[0]):
            continue
        m = stele.mount(image, point)
        pid = m.pid()
        subprocess.run([*command, point], check=True)
        support.wait_until(lambda p=pid: support.gone(p), "the daemon's end")


def test_terminated_daemon_unmounts(stele, image, point):
    m = stele.mount(image, point)
    pid = m.pid()
    os.kill(pid, 15)
    support.wait_until(lambda: support.gone(pid), "the daemon's end")
    assert not support.is_mounted(point)


@pytest.fixture
def mount_helper(stele):
    """mount(8) looks for helpers in /sbin only."""
    link = "/sbin/mount.fuse.stele"
    if os.path.lexists(link):
        pytest.skip(f"{link} is already there, of an installed version")
    os.symlink(stele.binary, link)
    yield link
    os.unlink(link)


def test_mount_program(stele, mount_helper, image, point):
    """mount -t fuse.stele, as in /etc/fstab."""
    subprocess.run(["mount", "-t", "fuse.stele", "-o", "rw,noexec,_netdev",
                    image, point], check=True, env=stele.env,
                   timeout=support.PATIENCE)
    try:
        assert row_of(point)[1] == "fuse.stele"
        assert "noexec" in row_of(point)[0].split(",")
        with pytest.raises(OSError) as e:
            open(os.path.join(point, "file"), "w")
        assert e.value.errno == errno.EROFS
        (row,) = stele.log(point)
        assert (row["op"], row["path"]) == ("open", "/file")
    finally:
        subprocess.run(["umount", point], check=True)


def test_mount_program_refuses_what_it_cannot(stele, mount_helper, scratch,
                                               point):
    trees.put(scratch + "/no-image", b"x" * 10_000)
    done = subprocess.run(["mount", "-t", "fuse.stele", scratch + "/no-image",
                           point], env=stele.env, stderr=subprocess.PIPE)
    assert done.returncode != 0
    assert b"no-image" in done.stderr
    assert not support.is_mounted(point)


def test_log_while_mounted_and_after(stele, image, point, attempt):
    m = stele.mount(image, point)
    for i in range(3):
        attempt.run(m, [f"mkdir made-{i}"], uid=NOBODY)
        rows = stele.log(point)  # by mount point
        assert [r["path"] for r in rows] == [f"/made-{n}" for n in range(i + 1)]
        assert rows == m.log()   # by file
    m.umount()
    assert m.log() == rows
    # The next mount goes on in the same ledger.
    m = stele.mount(image, point, ledger=m.ledger)
    attempt.run(m, ["mkdir again"])
    assert [r["path"] for r in m.log()] == [r["path"] for r in rows] + [
        "/again"]
    m.umount()
    # With the ends of the mounts, no number is left out.
    every = m.log("--events")
    assert [r["seq"] for r in every] == list(range(1, len(every) + 1))
    assert [r["op"] for r in every if r["type"] == "event"] == [
        "mount", "unmount"] * 2


def test_log_filters(stele, image, point, attempt):
    m = stele.mount(image, point)
    attempt.run(m, ["mkdir a", "mkdir b", "unlink file", "chmod file 0600"])
    assert {r["op"] for r in m.log("--op", "mkdir")} == {"mkdir"}
    assert [r["op"] for r in m.log("--path", "/file")] == ["unlink", "chmod"]
    assert m.log("--since", "2100-01-01") == []
    assert len(m.log("--since", "2000-01-01")) == 4
    stele.refuses(2, "log", m.ledger, "--op", "bogus", says=["bogus"])
    text = stele.ok("log", m.ledger)
    assert text.count("\n") >= 4 and "EROFS" in text and "mkdir" in text


def test_log_follows(stele, image, point, attempt):
    m = stele.mount(image, point)
    follower = subprocess.Popen(
        [stele.binary, "log", point, "--json", "--follow"], env=stele.env,
        stdout=subprocess.PIPE, text=True)
    try:
        for i in range(3):
            attempt.run(m, [f"mkdir made-{i}"])
            row = json.loads(follower.stdout.readline())
            assert row["path"] == f"/made-{i}"
    finally:
        follower.terminate()
        follower.wait(support.PATIENCE)
        follower.stdout.close()


def test_log_cannot_be_forged_by_names(stele, image, point):
    """A name with a newline and colours is still one plain line."""
    m = stele.mount(image, point)
    name = b"x\n2026-01-01 1 sh open EROFS shadow\x1b[31m\xff\xe2\x80\xae"
    with pytest.raises(OSError):
        os.mkdir(os.path.join(os.fsencode(m.point), name))
    done = stele.run("log", m.ledger)
    lines = [line for line in done.stdout.splitlines() if b"mkdir" in line]
    assert len(lines) == 1 and b"\\n2026" in lines[0]
    assert not {0x1B, 0xFF} & set(done.stdout)
    assert "\u202e".encode() not in done.stdout
    (row,) = m.log()
    assert row["op"] == "mkdir"
    assert row["path"] != os.fsdecode(b"/" + name)


def test_record_names_the_program_of_the_image(stele, source, image, point):
    """A program that came with the image is named by its content."""
    digest = subprocess.run(["sha256sum", source + "/bin/touch"], check=True,
                            stdout=subprocess.PIPE, text=True).stdout.split()[0]
    m = stele.mount(image, point)
    subprocess.run([m.path("bin/touch"), m.path("new")], check=False,
                   stderr=subprocess.DEVNULL)
    with pytest.raises(OSError):
        open(m.path("file"), "w")
    inside, outside = m.log()
    assert inside["comm"] == "touch" and inside["exe_digest"] == digest
    assert inside["cmdline"] == [m.path("bin/touch"), m.path("new")]
    assert "exe_digest" not in outside
    m.umount()


def flip(path, at):
    with open(path, "r+b") as f:
        f.seek(at)
        byte = f.read(1)[0]
        f.seek(at)
        f.write(bytes([byte ^ 0x40]))


def test_damage_under_a_mount(stele, image, point):
    """What changed behind our back is an error for that read, is recorded, and
    does not take the rest with it."""
    m = stele.mount(image, point)
    with open(m.path("other"), "rb") as f:
        before = f.read()
    flip(image, 4096 + 500_000)  # in the frames, which begin at 4096
    flip(image, 4096 + 1_500_000)
    with open("/proc/sys/vm/drop_caches", "w") as control:
        control.write("1")
    broken = 0
    for name in ("large", "other"):
        try:
            with open(m.path(name), "rb") as f:
                data = f.read()
            # Served from the cache: then it is still the right content.
            assert name != "other" or data == before
        except OSError as e:
            assert e.errno == errno.EIO
            broken += 1
    assert broken
    with open(m.path("file")) as f:
        assert f.read() == "content\n"
    damage = m.log("--op", "damage")
    assert len(damage) >= broken and {r["type"] for r in damage} == {"event"}
    assert {r["path"] for r in damage} <= {"/large", "/other"}
    m.umount()
    assert stele.run("verify", image, "-q").returncode == 3
