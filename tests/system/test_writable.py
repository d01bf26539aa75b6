# SPDX-License-Identifier: Apache-2.0
"""Declared writable paths: what each is like, how much it takes, who may."""

import json
import os
import signal
import stat
import subprocess

import pytest

import support
from support import (DENIED, INPUT, NOBODY, SYSTEM, USAGE, is_mounted, mounts,
                     wait_until)
from writable import (MIB, at, attach, create_all, declare, error_of, fill,
                      image, need_loop, nothing_left, point, read, write)


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
