# SPDX-License-Identifier: Apache-2.0
"""Declared writable paths: what each is like, how much it takes, what is kept,
and that a mount that fails leaves nothing."""

import errno
import glob
import json
import os
import signal
import stat
import subprocess
import threading

import pytest

import support
from support import (CHANGED, DENIED, INPUT, MOUNT, NOBODY, SYSTEM, USAGE,
                     is_mounted, mounts, wait_until)

MIB = 1 << 20


def write(path, text="", mode=0o644):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    os.chmod(path, mode)


def make_root(folder):
    root = os.path.join(folder, "root")
    write(f"{root}/etc/app.conf", "colour = red\n", 0o640)
    os.chown(f"{root}/etc/app.conf", 33, 34)
    write(f"{root}/srv/app/run", "#!/bin/sh\necho ran\n", 0o755)
    write(f"{root}/srv/app/twin", "one\n")
    os.link(f"{root}/srv/app/twin", f"{root}/srv/app/other")
    os.makedirs(f"{root}/srv/app/folder/below")
    os.chown(f"{root}/srv/app", 5, 6)
    os.chmod(f"{root}/srv/app", 0o750)
    os.makedirs(f"{root}/tmp")
    os.chmod(f"{root}/tmp", 0o1777)
    os.makedirs(f"{root}/secret")
    os.chmod(f"{root}/secret", 0o700)
    os.symlink("/srv", f"{root}/link")
    return root


@pytest.fixture(scope="module")
def image(module_stele, module_scratch):
    path = os.path.join(module_scratch, "app.stele")
    module_stele.ok("build", make_root(module_scratch), "-o", path)
    return path


@pytest.fixture
def point(scratch):
    return os.path.join(scratch, "mnt")


def declare(*words):
    return [x for w in words for x in ("--writable", w)]


def attach(stele, image, point, *words, options=()):
    return stele.mount(image, point, *declare(*words), *options)


def at(path):
    """(options, type, super options) of what is mounted exactly there."""
    rows = [row[1:] for row in mounts() if row[0] == os.path.realpath(path)]
    assert len(rows) == 1, (path, rows)
    return rows[0]


def loops(folder):
    """Loop devices whose file lies below the folder."""
    found = []
    for name in glob.glob("/sys/block/loop*/loop/backing_file"):
        try:
            with open(name, encoding="utf-8") as f:
                backing = f.read()
        except OSError:
            continue  # it was given back meanwhile
        if folder in backing:
            found.append(name)
    return found


def nothing_left(stele, point):
    """No mount, no daemon, no loop device, no lock."""
    assert not [m for m in mounts() if m[0].startswith(stele.folder + "/mnt")]
    wait_until(lambda: not support.processes_naming(point), "the daemon's end")
    wait_until(lambda: not loops(stele.folder), "the loop device's end")


def error_of(call, *args, **more):
    try:
        call(*args, **more)
    except OSError as e:
        return errno.errorcode[e.errno]
    return "ok"


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


# ---- what each is like ----

ROWS = [
    # word, kind of file system, mode, uid, gid, first names
    ("/tmp:tmp,seed=empty", "tmpfs", 0o1777, 0, 0, []),
    ("/srv/app:tmp", "overlay", 0o750, 5, 6,
     ["folder", "other", "run", "twin"]),
    ("/srv/app:storage", "overlay", 0o750, 5, 6,
     ["folder", "other", "run", "twin"]),
    ("/srv/app:storage,seed=empty", None, 0o750, 5, 6, []),
    ("/srv/app:storage,size=16M", "overlay", 0o750, 5, 6,
     ["folder", "other", "run", "twin"]),
    ("/srv/app:storage,size=16M,seed=empty", "ext4", 0o750, 5, 6, []),
    ("/new:tmp", "tmpfs", 0o755, 0, 0, []),
    ("/new/very/deep:storage", None, 0o755, 0, 0, []),
    ("/new:tmp,mode=2711,uid=7,gid=8", "tmpfs", 0o2711, 7, 8, []),
    ("/srv/app:tmp,mode=0700,uid=7", "overlay", 0o700, 7, 6,
     ["folder", "other", "run", "twin"]),
    ("/srv/app:storage,size=16M,mode=0701,gid=9", "overlay", 0o701, 5, 9,
     ["folder", "other", "run", "twin"]),
]


@pytest.mark.parametrize("row", ROWS, ids=[r[0] for r in ROWS])
def test_is_as_declared(stele, image, point, row):
    word, kind, mode, uid, gid, names = row
    if "size=16M" in word and "storage" in word:
        need_loop()
    m = attach(stele, image, point, word)
    path = point + word.split(":")[0]
    st = os.stat(path)
    assert (stat.S_IMODE(st.st_mode), st.st_uid, st.st_gid) == (mode, uid, gid)
    assert sorted(os.listdir(path)) == names
    options, fstype, _ = at(path)
    assert kind is None or fstype == kind
    assert "nodev" in options and "nosuid" in options
    assert "noexec" not in options
    write(f"{path}/a/file", "text")
    assert read(f"{path}/a/file") == "text"
    # Everything else is refused, and was not touched.
    assert error_of(write, f"{point}/etc/new") == "EROFS"
    m.umount()
    nothing_left(stele, point)


def need_loop():
    for reason in (support.has_loop(), support.have("mkfs.ext4")):
        if reason:
            pytest.skip(reason)


def test_overlays_have_what_makes_them_whole(stele, image, point):
    attach(stele, image, point, "/srv/app:storage", "/tmp:tmp")
    for path in ("/srv/app", "/tmp"):
        options = at(point + path)[2].split(",")
        assert {"index=on", "redirect_dir=on", "xino=on"} <= set(options)
    app = point + "/srv/app"
    write(f"{app}/twin", "two\n")  # hard links stay one file
    assert read(f"{app}/other") == "two\n"
    assert os.stat(f"{app}/twin").st_ino == os.stat(f"{app}/other").st_ino
    os.rename(f"{app}/folder", f"{app}/moved")  # and folders can move
    assert os.listdir(f"{app}/moved") == ["below"]


@pytest.mark.parametrize("source", ["tmp", "storage", "tmp,seed=empty",
                                    "storage,seed=empty"])
def test_flags_are_the_kernels(stele, image, point, source):
    attach(stele, image, point, f"/srv/app:{source},noexec,nosuid",
           f"/tmp:{source}")
    for path, flagged in (("/srv/app", True), ("/tmp", False)):
        program = f"{point}{path}/program"
        write(program, "#!/bin/sh\n", 0o755)
        assert error_of(subprocess.run, [program], check=True) == (
            "EACCES" if flagged else "ok")
        assert ("noexec" in at(point + path)[0].split(",")) == flagged
    os.mknod(f"{point}/tmp/null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    assert error_of(open, f"{point}/tmp/null", "rb") == "EACCES"


def test_set_id_counts_only_where_the_mount_says_suid(stele, image, scratch):
    for suid in (False, True):
        m = attach(stele, image, f"{scratch}/m{suid:d}", "/tmp:tmp",
                   options=["-o", "suid"] if suid else [])
        assert ("nosuid" in at(m.path("tmp"))[0].split(",")) != suid


def test_single_files(stele, image, point, scratch):
    write(f"{scratch}/host.txt", "of the host\n")
    m = attach(stele, image, point, "/etc/app.conf:storage",
               f"/etc/host:host,path={scratch}/host.txt",
               "/srv/app/twin:tmp,mode=0600")
    conf = m.path("etc/app.conf")
    st = os.stat(conf)
    assert (stat.S_IMODE(st.st_mode), st.st_uid, st.st_gid) == (0o640, 33, 34)
    assert read(conf) == "colour = red\n"
    write(conf, "colour = blue\n")
    assert read(m.path("etc/host")) == "of the host\n"
    write(m.path("etc/host"), "changed\n")
    assert read(f"{scratch}/host.txt") == "changed\n"
    write(m.path("srv/app/twin"), "mine\n")
    assert stat.S_IMODE(os.stat(m.path("srv/app/twin")).st_mode) == 0o644
    assert read(m.path("srv/app/other")) == "one\n"
    m.umount()
    m = attach(stele, image, point, "/etc/app.conf:storage",
               "/srv/app/twin:tmp")
    assert read(m.path("etc/app.conf")) == "colour = blue\n"
    assert read(m.path("srv/app/twin")) == "one\n"
    assert "host" not in os.listdir(m.path("etc"))


def test_a_folder_of_the_host_is_there_with_its_mounts(stele, image, point,
                                                       scratch):
    host = f"{scratch}/a,b:c\\d e"
    os.makedirs(f"{host}/sub")
    subprocess.run(["mount", "-t", "tmpfs", "none", f"{host}/sub"], check=True)
    write(f"{host}/sub/file", "x")
    policy = f"{scratch}/p.yaml"
    write(policy, json.dumps({"writable": {
        "/up": {"source": "host", "path": host, "noexec": True}}}))
    m = stele.mount(image, point, "--policy", policy)
    assert read(m.path("up/sub/file")) == "x"
    write(m.path("up/new"), "y")
    assert read(f"{host}/new") == "y"
    assert "noexec" in at(m.path("up/sub"))[0].split(",")
    # Later mounts of the host do not come through.
    os.makedirs(f"{host}/later")
    subprocess.run(["mount", "-t", "tmpfs", "none", f"{host}/later"],
                   check=True)
    assert not is_mounted(m.path("up/later"))
    m.umount()
    assert is_mounted(f"{host}/sub")


def test_the_root_itself(stele, image, point):
    words = "/:storage", "/tmp:tmp,seed=empty", "/data/x:tmp"
    m = attach(stele, image, point, *words)
    write(m.path("etc/new"), "kept")
    write(m.path("tmp/gone"), "")
    os.rename(m.path("srv"), m.path("moved"))
    assert os.listdir(m.path("data")) == ["x"]
    m.umount()
    nothing_left(stele, point)
    m = attach(stele, image, point, *words)
    assert read(m.path("etc/new")) == "kept"
    assert read(m.path("moved/app/twin")) == "one\n"
    assert os.listdir(m.path("tmp")) == []
    os.kill(m.pid(), signal.SIGTERM)
    wait_until(lambda: not is_mounted(point), "the end of the mount")
    nothing_left(stele, point)


def test_nesting(stele, image, point):
    words = ("/srv:tmp,seed=empty", "/srv/app:storage", "/srv/app/folder:tmp",
             "/srv/x/y:tmp")
    m = attach(stele, image, point, *words)
    assert sorted(os.listdir(m.path("srv"))) == ["app", "x"]
    assert "twin" in os.listdir(m.path("srv/app"))
    assert os.listdir(m.path("srv/app/folder")) == ["below"]
    write(m.path("srv/app/folder/gone"), "")
    write(m.path("srv/app/kept"), "")
    m.umount()
    m = attach(stele, image, point, *words)
    assert os.listdir(m.path("srv/app/folder")) == ["below"]
    assert "kept" in os.listdir(m.path("srv/app"))


def test_a_point_that_was_removed_is_made_again(stele, image, point):
    m = attach(stele, image, point, "/srv/app:storage")
    os.rmdir(m.path("srv/app/folder/below"))
    os.rmdir(m.path("srv/app/folder"))
    m.umount()
    m = attach(stele, image, point, "/srv/app:storage",
               "/srv/app/folder/below:tmp")
    assert at(m.path("srv/app/folder/below"))[1] == "overlay"
    m.umount()


def test_a_link_in_what_was_kept_leads_nowhere(stele, image, point, scratch):
    m = attach(stele, image, point, "/data:storage")
    os.symlink("/etc", m.path("data/x"))
    m.umount()
    text = stele.refuses(SYSTEM, "mount", image, point,
                         *declare("/data:storage", "/data/x/y:tmp"),
                         says=["/data/x/y", "symbolic links"])
    assert "making the folder" in text
    nothing_left(stele, point)


# ---- what the image lacks ----

def test_what_the_image_lacks_appears_and_is_refused(stele, image, point,
                                                     attempt):
    m = attach(stele, image, point, "/aaa/b/c:tmp", "/zz:tmp", "/etc/b:tmp",
               "/secret/x:tmp")
    top = ["aaa", "etc", "link", "secret", "srv", "tmp", "zz"]
    assert sorted(os.listdir(point)) == top
    assert os.listdir(m.path("aaa")) == ["b"]
    st, root = os.stat(m.path("aaa/b")), os.stat(point)
    assert (stat.S_IMODE(st.st_mode), st.st_uid, st.st_gid) == (0o755, 0, 0)
    assert st.st_nlink == 3 and st.st_mtime_ns == root.st_mtime_ns
    assert root.st_nlink == 2 + 6
    assert os.listxattr(m.path("aaa")) == []
    # A listing that goes on from any place gives the rest.
    assert attempt.run(point, ["mkdir aaa/new", "rmdir aaa/b",
                               "mkdir aaa/b/f", "chmod aaa 0700"]) == [
        "EROFS"] * 4
    paths = [r["path"] for r in m.log() if r.get("path", "").startswith("/aaa")]
    assert set(paths) == {"/aaa/new", "/aaa/b", "/aaa/b/f", "/aaa"}
    assert all(r["rule"] == "image" for r in m.log() if r.get("rule"))


def test_seeking_in_a_folder_with_both(stele, image, point):
    m = attach(stele, image, point,
               *[f"/srv/n{i:02}:tmp" for i in range(30)])
    code = ("import ctypes, os, sys\n"
            "c = ctypes.CDLL(None, use_errno=True)\n"
            "c.opendir.restype = c.readdir.restype = ctypes.c_void_p\n"
            "c.telldir.restype = ctypes.c_long\n"
            "c.telldir.argtypes = c.readdir.argtypes = [ctypes.c_void_p]\n"
            "c.seekdir.argtypes = [ctypes.c_void_p, ctypes.c_long]\n"
            "d = c.opendir(os.fsencode(sys.argv[1]))\n"
            "def name():\n"
            "    e = c.readdir(d)\n"
            "    return ctypes.string_at(e + 19) if e else None\n"
            "at, names = [], []\n"
            "while True:\n"
            "    at.append(c.telldir(d)); n = name()\n"
            "    if n is None: break\n"
            "    names.append(n)\n"
            "assert len(names) == 33 == len(set(names)), names\n"
            "for i in reversed(range(len(names))):\n"
            "    c.seekdir(d, at[i])\n"
            "    assert [name() for _ in names[i:]] == names[i:], i\n"
            "    assert name() is None\n")
    subprocess.run(["/usr/bin/python3", "-c", code, m.path("srv")], check=True)


def test_below_a_guarded_folder(stele, image, point, attempt):
    m = attach(stele, image, point, "/secret/data:tmp,mode=1777")
    assert attempt.one(m.path("secret"), "stat data", uid=NOBODY) != "ok"
    # The refusal has not detached it.
    assert at(m.path("secret/data"))[1] == "tmpfs"
    write(m.path("secret/data/file"), "x")


# ---- limits ----

def fill(path):
    """Bytes that fit into a new file."""
    done = 0
    fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
    try:
        while True:
            done += os.write(fd, bytes(4096))
    except OSError as e:
        assert e.errno == errno.ENOSPC
    finally:
        os.close(fd)
    return done


def create_all(folder):
    """How many files there may be."""
    count = 0
    while True:
        try:
            os.close(os.open(f"{folder}/n{count}", os.O_CREAT, 0o644))
        except OSError as e:
            assert e.errno == errno.ENOSPC
            return count
        count += 1


@pytest.mark.parametrize("seed", ["empty", "image"])
def test_memory_limits_are_exact(stele, image, point, seed):
    attach(stele, image, point, f"/tmp:tmp,seed={seed},size=1M,inodes=20")
    tmp = point + "/tmp"
    for _ in range(2):  # what is removed can be used again
        assert fill(f"{tmp}/f") == MIB
        assert error_of(write, f"{point}/etc/x", "y") == "EROFS"
        os.unlink(f"{tmp}/f")
    for _ in range(2):
        assert create_all(tmp) == 20
        for name in os.listdir(tmp):
            os.unlink(f"{tmp}/{name}")
    st = os.statvfs(tmp)
    assert st.f_blocks * st.f_frsize == MIB


@pytest.mark.parametrize("seed", ["empty", "image"])
def test_volume_limits(stele, image, point, seed):
    need_loop()
    words = f"/tmp:storage,seed={seed},size=16M,inodes=200",
    m = attach(stele, image, point, *words)
    tmp = point + "/tmp"
    first = fill(f"{tmp}/f")
    assert 10 * MIB < first <= 16 * MIB
    os.unlink(f"{tmp}/f")
    assert fill(f"{tmp}/f") >= first - 64 * 1024
    os.unlink(f"{tmp}/f")
    assert 200 <= create_all(tmp) <= 256
    m.umount()
    nothing_left(stele, point)


def test_a_volume_grows_and_does_not_shrink(stele, image, point):
    need_loop()
    m = attach(stele, image, point, "/data:storage,size=16M")
    write(m.path("data/file"), "kept")
    before = os.statvfs(m.path("data")).f_blocks
    m.umount()
    m = attach(stele, image, point, "/data:storage,size=64M")
    assert os.statvfs(m.path("data")).f_blocks > 3 * before
    assert read(m.path("data/file")) == "kept"
    m.umount()
    nothing_left(stele, point)
    stele.refuses(SYSTEM, "mount", image, point,
                  *declare("/data:storage,size=32M"),
                  says=["/data", "cannot shrink"])
    nothing_left(stele, point)


# ---- what is kept ----

@pytest.mark.parametrize("how", ["umount", "kill"])
def test_storage_is_kept_and_tmp_is_gone(stele, image, point, how):
    need_loop()
    words = ("/srv/app:storage", "/data:storage", "/vol:storage,size=16M",
             "/tmp:tmp", "/new:tmp")
    m = attach(stele, image, point, *words)
    names = ["srv/app", "data", "vol", "tmp", "new"]
    for name in names:
        write(m.path(f"{name}/file"), name)
        with open(m.path(f"{name}/file"), "rb") as f:
            os.fsync(f.fileno())
    if how == "kill":
        os.kill(m.pid(), signal.SIGKILL)
        wait_until(lambda: not support.processes_naming(point), "its end")
        # Who died does not touch what was written.
        for name in names[1:3] + names[4:]:
            assert read(m.path(f"{name}/file")) == name
        stele.ok("umount", point)
    else:
        m.umount()
    nothing_left(stele, point)
    m = attach(stele, image, point, *words)
    for name in names[:3]:
        assert read(m.path(f"{name}/file")) == name
    for name in names[3:]:
        assert not os.path.exists(m.path(f"{name}/file"))
    m.umount()


def test_plain_umount_of_the_whole(stele, image, point):
    m = attach(stele, image, point, "/tmp:tmp", "/srv/app:storage", "/a/b:tmp")
    pid = m.pid()
    subprocess.run(["umount", "-R", point], check=True)
    wait_until(lambda: support.gone(pid), "the daemon's end")
    nothing_left(stele, point)


def test_umount_of_one_in_use_names_it(stele, image, point):
    m = attach(stele, image, point, "/tmp:tmp", "/data:tmp")
    with open(m.path("tmp/open"), "w", encoding="utf-8"):
        stele.refuses(MOUNT, "umount", point, says=[f"{point}/tmp", "fuser"])
    stele.ok("umount", "--lazy", point)
    nothing_left(stele, point)


def test_another_name_keeps_what_was_there(stele, image, point):
    m = attach(stele, image, point, "/a:storage,name=box")
    write(m.path("a/file"), "x")
    m.umount()
    m = attach(stele, image, point, "/b:storage,name=box", "/a:storage")
    assert read(m.path("b/file")) == "x"
    assert os.listdir(m.path("a")) == []
    state = glob.glob(stele.state + "/mounts/*")
    assert sorted(os.listdir(state[0] + "/storage")) == ["+box", "a"]


def test_a_storage_of_another_kind_is_not_taken(stele, image, point):
    need_loop()
    attach(stele, image, point, "/srv/app:storage").umount()
    for word, says in (("/srv/app:storage,seed=empty", "to start as the image"),
                       ("/srv/app:storage,size=16M", "has no size")):
        stele.refuses(SYSTEM, "mount", image, point, *declare(word),
                      says=["/srv/app", says])
        nothing_left(stele, point)


# ---- another image ----

@pytest.fixture
def images(stele, scratch):
    root = make_root(scratch)
    first, second = f"{scratch}/1.stele", f"{scratch}/2.stele"
    stele.ok("build", root, "-o", first)
    write(f"{root}/aaa/more", "moves the numbers of all inodes")
    write(f"{root}/srv/app/brand-new", "of the second\n")
    write(f"{root}/srv/app/twin", "of the second\n")
    os.rmdir(f"{root}/srv/app/folder/below")
    stele.ok("build", root, "-o", second)
    return first, second


@pytest.mark.parametrize("size", ["", ",size=16M"])
def test_another_image_below_what_was_written(stele, images, point, size):
    need_loop()
    word = "/srv/app:storage" + size
    m = attach(stele, images[0], point, word)
    app = point + "/srv/app"
    write(f"{app}/run", "changed\n")
    write(f"{app}/mine", "new\n")
    os.unlink(f"{app}/other")
    m.umount()
    done = stele.run("mount", images[1], point, *declare(word),
                     "--on-image-change", "refuse")
    assert done.returncode == CHANGED
    assert b"/srv/app" in done.stderr and b"another image" in done.stderr
    nothing_left(stele, point)
    done = stele.run("mount", images[1], point, *declare(word))
    assert done.returncode == 0, done.stderr
    assert b"/srv/app: the image changed; what was written stays" in done.stderr
    assert read(f"{app}/run") == "changed\n"
    assert read(f"{app}/mine") == "new\n"
    assert not os.path.exists(f"{app}/other")
    assert read(f"{app}/brand-new") == "of the second\n"
    assert read(f"{app}/twin") == "of the second\n"
    inodes = [os.stat(e).st_ino for e in glob.glob(app + "/*")]
    assert len(inodes) == len(set(inodes))
    write(f"{app}/twin", "again\n")
    stele.ok("umount", point)
    # The second time there is nothing to say.
    done = stele.run("mount", images[1], point, *declare(word))
    assert (done.returncode, done.stderr) == (0, b"")
    assert read(f"{app}/twin") == "again\n"
    stele.ok("umount", point)
    done = stele.run("mount", images[0], point, *declare(word),
                     "--on-image-change=reset")
    assert done.returncode == 0 and b"is removed" in done.stderr
    assert read(f"{app}/run") == "#!/bin/sh\necho ran\n"
    assert not os.path.exists(f"{app}/mine")
    stele.ok("umount", point)
    nothing_left(stele, point)


def conflicts(text):
    end = ": it was written, and changed in the image, too"
    return sorted(line.removeprefix("stele mount: ").removesuffix(end)
                  for line in text.splitlines() if line.endswith(end))


@pytest.mark.parametrize("size", ["", ",size=16M"])
def test_files_that_changed_on_both_sides_are_named(stele, scratch, point,
                                                    size):
    need_loop()
    root, files = f"{scratch}/root", f"{scratch}/root/d"
    for name in ("same", "both", "mine", "theirs", "gone-there", "gone-here",
                 "gone-here-changed", "gone-both", "old/kept", "old/changed",
                 "old/untouched", "mode"):
        write(f"{files}/{name}", name)
    os.symlink("a", f"{files}/link")
    stele.ok("build", root, "-o", f"{scratch}/1.stele")
    for name in ("both", "theirs", "gone-here-changed", "old/changed"):
        write(f"{files}/{name}", "theirs")
    os.chmod(f"{files}/mode", 0o600)
    os.unlink(f"{files}/gone-there")
    os.unlink(f"{files}/gone-both")
    os.unlink(f"{files}/link")
    os.symlink("b", f"{files}/link")
    os.utime(f"{files}/mine", (7, 7))  # times alone are no change
    write(f"{files}/new-in-both", "theirs")
    write(f"{files}/new-there", "theirs")
    stele.ok("build", root, "-o", f"{scratch}/2.stele")

    word = "/d:storage" + size
    m = attach(stele, f"{scratch}/1.stele", point, word, "/d/mode:tmp")
    here = m.path("d")
    for name in ("same", "both", "mine", "gone-there", "new-in-both",
                 "new-here"):
        write(f"{here}/{name}", "mine")
    for name in ("gone-here", "gone-here-changed", "gone-both", "link"):
        os.unlink(f"{here}/{name}")
    os.symlink("mine", f"{here}/link")
    os.rename(f"{here}/old", f"{here}/moved")
    for name in ("kept", "changed"):
        write(f"{here}/moved/{name}", "mine")
    m.umount()
    want = [f"/d/{name}" for name in (
        "both", "gone-here-changed", "gone-there", "link", "moved/changed",
        "new-in-both")]
    # "refuse" says it, too, and has changed nothing.
    for _ in range(2):
        done = stele.run("mount", f"{scratch}/2.stele", point, *declare(word),
                         "--on-image-change=refuse")
        assert done.returncode == CHANGED
        assert conflicts(done.stderr.decode()) == want
        assert b"and 6 of its files changed" in done.stderr
    done = stele.run("mount", f"{scratch}/2.stele", point, *declare(word))
    assert done.returncode == 0, done.stderr
    assert conflicts(done.stderr.decode()) == want
    assert read(f"{here}/moved/kept") == "mine"
    assert read(f"{here}/moved/untouched") == "old/untouched"
    assert read(f"{here}/theirs") == "theirs"
    stele.ok("umount", point)


def test_a_kept_file_of_another_image(stele, images, point):
    m = attach(stele, images[0], point, "/srv/app/twin:storage",
               "/srv/app/run:storage")
    write(m.path("srv/app/twin"), "mine\n")
    m.umount()
    done = stele.run("mount", images[1], point, *declare(
        "/srv/app/twin:storage", "/srv/app/run:storage"))
    assert done.returncode == 0
    assert conflicts(done.stderr.decode()) == ["/srv/app/twin"]
    assert read(m.path("srv/app/twin")) == "mine\n"
    stele.ok("umount", point)
    stele.ok("mount", images[0], point, *declare("/srv/app/twin:storage"),
             "--on-image-change=reset")
    assert read(m.path("srv/app/twin")) == "one\n"
    stele.ok("umount", point)


def test_the_root_over_another_image(stele, images, point):
    # The root of each image is the same inode: the kernel would not notice.
    m = attach(stele, images[0], point, "/:storage")
    write(m.path("srv/app/run"), "changed\n")
    m.umount()
    stele.ok("mount", images[1], point, *declare("/:storage"))
    assert read(m.path("srv/app/run")) == "changed\n"
    assert read(m.path("srv/app/brand-new")) == "of the second\n"
    assert read(m.path("aaa/more")) == "moves the numbers of all inodes"
    stele.ok("umount", point)


# ---- when it fails ----

FAILURES = [
    (["/tmp:tmp", "/data:storage", "/up:host,path=/not/there"], SYSTEM,
     ["/up", "/not/there", "No such file"]),
    (["/tmp:tmp", "/link/x:tmp"], INPUT, ["/link/x", "/srv/x"]),
    (["/tmp:tmp", "/etc/app.conf:tmp,size=1M"], INPUT, ["/etc/app.conf"]),
    (["/tmp:tmp", "/data:storage,size=4K"], SYSTEM, ["/data", "mkfs.ext4"]),
]


@pytest.mark.parametrize("words,code,says", FAILURES,
                         ids=[f[0][-1] for f in FAILURES])
def test_one_that_fails_leaves_none(stele, image, point, words, code, says):
    need_loop()
    os.mkdir(point)
    stele.refuses(code, "mount", image, point, *declare(*words), says=says)
    nothing_left(stele, point)


def test_in_the_foreground_too(stele, image, point):
    os.mkdir(point)
    stele.refuses(SYSTEM, "mount", "-f", image, point, "--ledger",
                  point + ".ledger", *declare("/tmp:tmp", "/up:host,path=/not/there"),
                  says=["/up"])
    nothing_left(stele, point)
    m = stele.mount(image, point, *declare("/data/x:tmp"), foreground=True)
    wait_until(lambda: is_mounted(f"{point}/data/x"), "the writable path")
    write(m.path("data/x/file"), "x")
    m.umount()
    nothing_left(stele, point)


def test_a_full_disk(stele, image, point, small_disk):
    state = f"{small_disk}/state"
    os.mkdir(point)
    fill(f"{small_disk}/ballast")
    stele.refuses(SYSTEM, "mount", image, point, "--state", state,
                  *declare("/tmp:tmp", "/data:storage"))
    nothing_left(stele, point)
    os.unlink(f"{small_disk}/ballast")
    stele.ok("mount", image, point, "--state", state,
             *declare("/data:storage"))
    write(f"{point}/data/x", "y")
    stele.ok("umount", point)


def inject(stele, what, image, point, *words, only=(), options=()):
    """Mount with a system call that fails or kills; how it ended."""
    return subprocess.run(
        ["strace", "-qq", "-o", "/dev/null", *only, "-e",
         f"trace={what.split(':')[0]}", "-e", f"inject={what}", stele.binary,
         "mount", image, point, *declare(*words), *options],
        env=stele.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, timeout=support.PATIENCE)


PLAN = ("/srv/app:storage", "/data:storage", "/vol:storage,size=16M",
        "/tmp:tmp", "/srv/app/folder:tmp", "/etc/app.conf:storage")


def need_strace():
    reason = support.have("strace")
    if reason:
        pytest.skip(reason)


@pytest.mark.parametrize("call,count", [
    ("fsopen", 5), ("fsmount", 5), ("open_tree", 2), ("move_mount", 6)])
def test_a_failing_step_leaves_none(stele, image, point, call, count):
    need_loop()
    need_strace()
    os.mkdir(point)
    for n in range(1, count + 1):
        done = inject(stele, f"{call}:error=ENOMEM:when={n}", image, point,
                      *PLAN)
        assert done.returncode == SYSTEM, (n, done)
        assert done.stderr.count("\n") == 1 and "/" in done.stderr
        nothing_left(stele, point)
    stele.ok("mount", image, point, *declare(*PLAN))


@pytest.mark.parametrize("call,count", [
    ("fsopen", 4), ("move_mount", 6), ("renameat", 4), ("mkdirat", 9)])
def test_killed_at_any_step_leaves_none(stele, image, point, scratch, call,
                                        count):
    need_loop()
    need_strace()
    os.mkdir(point)
    kills = 0
    for n in range(1, 100):
        done = inject(stele, f"{call}:signal=KILL:when={n}", image, point,
                      *PLAN, options=["--state", f"{scratch}/s{n}"])
        if done.returncode == 0:
            break
        kills += 1
        assert done.returncode in (-9, 137), (n, done)
        wait_until(lambda: not is_mounted(point), "the unmounting")
        nothing_left(stele, point)
        # What was begun is no hindrance.
        stele.ok("mount", image, point, "--state", f"{scratch}/s{n}",
                 *declare(*PLAN))
        write(f"{point}/srv/app/x", "y")
        stele.ok("umount", point)
        nothing_left(stele, point)
    stele.ok("umount", point)
    assert kills >= count


def test_no_loop_device(stele, image, point):
    need_loop()
    need_strace()
    os.mkdir(point)
    done = inject(stele, "ioctl:error=ENOSPC", image, point,
                  "/tmp:tmp", "/vol:storage,size=16M",
                  only=["-P", "/dev/loop-control"])
    assert done.returncode != 0
    assert "/vol" in done.stderr and "loop device" in done.stderr
    nothing_left(stele, point)


def test_a_damaged_volume(stele, image, point):
    need_loop()
    attach(stele, image, point, "/vol:storage,size=16M").umount()
    volume, = glob.glob(stele.state + "/mounts/*/volumes/vol.ext4")
    with open(volume, "r+b") as f:
        f.seek(1024)
        f.write(bytes(1024))
    stele.refuses(SYSTEM, "mount", image, point, "--writable",
                  "/vol:storage,size=16M", says=["/vol", "ext4"])
    nothing_left(stele, point)


def test_two_mounts_do_not_share_a_state(stele, image, scratch):
    state = f"{scratch}/one"
    points = [f"{scratch}/mnt{i}" for i in range(4)]
    results = [None] * len(points)

    def race(i):
        os.mkdir(points[i])
        results[i] = stele.run("mount", image, points[i], "--state", state,
                               *declare("/srv/app:storage"))

    threads = [threading.Thread(target=race, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    won = [i for i in range(4) if results[i].returncode == 0]
    assert len(won) == 1, results
    for i in set(range(4)) - set(won):
        assert results[i].returncode == MOUNT
        assert b"in use by the mount on " in results[i].stderr
        assert not is_mounted(points[i])
    stele.refuses(MOUNT, "mount", image, points[won[0] - 1], "--state", state,
                  *declare("/srv/app:storage"), says=[points[won[0]]])
    stele.ok("umount", points[won[0]])
    stele.ok("mount", image, points[won[0] - 1], "--state", state,
             *declare("/srv/app:storage"))
    stele.ok("umount", points[won[0] - 1])


def test_two_hundred_paths(stele, image, point):
    m = attach(stele, image, point, *[f"/many/{i}:tmp" for i in range(150)],
               *[f"/kept/{i}:storage" for i in range(49)], "/srv/app:storage")
    assert len([x for x in mounts() if x[0].startswith(point + "/")]) == 200
    for i in range(150):
        write(m.path(f"many/{i}/x"), str(i))
    assert read(m.path("many/77/x")) == "77"
    m.umount()
    nothing_left(stele, point)


# ---- who may, and who is told ----

def test_the_ledger_knows_the_policy(stele, image, point, scratch):
    policy = f"{scratch}/p.yaml"
    write(policy, "writable:\n  /tmp: {source: tmp}\n")
    digest = stele.ok("policy", "check", policy, image).split()[-1]
    m = stele.mount(image, point, "--policy", policy)
    assert error_of(write, m.path("etc/x")) == "EROFS"
    record = m.log()[0]
    assert record["policy_digest"] == digest
    assert record["rule"] == "image"


def test_ordinary_users_are_told_why_not(stele, image, point, scratch):
    os.chmod(image, 0o644)
    os.makedirs(point)
    os.chown(point, NOBODY, NOBODY)
    done = stele.run_as(NOBODY, "mount", image, point, "--writable", "/tmp")
    assert done.returncode == DENIED
    assert "user namespace" in str(done.stderr)
    assert not is_mounted(point)


def test_in_a_user_namespace(stele, image, point, scratch):
    probe = subprocess.run(["unshare", "-Urm", "true"], check=False)
    if probe.returncode:
        pytest.skip("no user namespaces")
    os.makedirs(point)
    script = (
        'set -e; S="$1"; I="$2"; M="$3"\n'
        '"$S" mount "$I" "$M" --writable /srv/app:storage '
        '--writable /tmp:tmp,size=1M --writable /new/x:tmp '
        '--writable /data:storage,noexec --writable /etc/app.conf:storage\n'
        'grep -q " - overlay stele .*userxattr" /proc/self/mountinfo\n'
        'echo changed > "$M/srv/app/run"; rm "$M/srv/app/other"\n'
        'rm -r "$M/srv/app/folder"; mkdir "$M/srv/app/folder"\n'
        'ls "$M/srv/app/folder" | wc -l\n'
        'echo x > "$M/tmp/x"; echo x > "$M/new/x/x"; echo x > "$M/data/x"\n'
        'printf "#!/bin/sh\\n" > "$M/data/p"; chmod +x "$M/data/p"\n'
        '! "$M/data/p" 2>/dev/null\n'
        '! touch "$M/etc/y" 2>/dev/null\n'
        '"$S" umount "$M"\n'
        '"$S" mount "$I" "$M" --writable /srv/app:storage\n'
        'cat "$M/srv/app/run"; ls "$M/srv/app"\n'
        '"$S" umount "$M"\n')
    done = subprocess.run(
        ["unshare", "-Urm", "sh", "-c", script, "sh", stele.binary, image,
         point], env=stele.env, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, timeout=support.PATIENCE)
    assert done.returncode == 0, done
    assert done.stdout.split() == ["0", "changed", "folder", "run", "twin"]


# ---- the command line ----

def test_check_says_what_it_means(stele, image, scratch):
    policy = f"{scratch}/p.yaml"
    write(policy, "writable:\n"
          "  /tmp: {source: tmp, size: 64M, mode: \"1777\"}\n"
          "  /srv/app: {source: storage, noexec: true}\n"
          "  /data: {source: storage, size: 1G}\n")
    lines = stele.ok("policy", "check", policy, image).splitlines()
    assert lines[0] == (
        "/data: starts empty, kept in storage 'data'; at most 1.0G; 0755 0:0; "
        "nodev; the image lacks it, so an empty folder appears there")
    assert lines[1] == (
        "/srv/app: starts as the image has it, kept in storage 'srv-app'; "
        "0750 5:6; noexec,nodev")
    assert lines[2] == (
        "/tmp: starts as the image has it, in memory, gone at unmount; at "
        "most 64M; 1777 0:0; nodev")
    assert stele.ok("policy", "check", "--plan", policy, image) == (
        "/data: volume STATE/volumes/data size=1073741824 -o nodev\n"
        "/srv/app: overlay of the image with its upper on "
        "STATE/storage/srv-app -o noexec,nodev\n"
        "/tmp: overlay of the image with its upper on tmpfs size=67108864 "
        "-o nodev\n")
    stele.refuses(USAGE, "policy", "check", "--plan", policy)
    stele.refuses(USAGE, "policy")
    write(policy, "writable:\n  /link/x: {source: tmp}\n")
    stele.refuses(INPUT, "policy", "check", policy, image,
                  says=["p.yaml:2: /link/x", "declare /srv/x instead"])


def test_words_that_make_no_sense(stele, image, point):
    os.mkdir(point)
    stele.refuses(USAGE, "mount", image, point, "--on-image-change=x")
    stele.refuses(INPUT, "mount", image, point, "--writable", "tmp")
    stele.refuses(SYSTEM, "mount", image, point, "--policy", "/not/there")
    assert not is_mounted(point)
