# SPDX-License-Identifier: Apache-2.0
"""What one record says: the request with all its arguments, and who made it."""

import os
import stat
import subprocess
import time

import pytest

import support
import trees
from support import NOBODY

RENAME_EXCHANGE = 2


@pytest.fixture(scope="module")
def source(module_scratch):
    top = os.path.join(module_scratch, "source")
    os.makedirs(top + "/folder/inner")
    os.chmod(top + "/folder", 0o755)
    trees.put(top + "/file", b"content\n")
    trees.put(top + "/secret", b"content\n")
    os.chmod(top + "/file", 0o644)
    os.chmod(top + "/secret", 0o600)
    os.setxattr(top + "/file", "user.tag", b"value")
    os.mkdir(top + "/closed", 0o700)
    trees.put(top + "/closed/file")
    trees.deep(os.fsencode(top))
    return top


@pytest.fixture(scope="module")
def m(module_stele, source, module_scratch):
    image = os.path.join(module_scratch, "record.stele")
    module_stele.build(source, image)
    return module_stele.mount(image, os.path.join(module_scratch, "mnt"))


@pytest.fixture
def only(m):
    """What was recorded since the test began; one record is expected."""
    before = m.log("--last", "1")
    last = before[0]["seq"] if before else 0

    def new():
        rows = [r for r in m.log("--last", "50") if r["seq"] > last]
        assert len(rows) == 1, rows
        return rows[0]

    return new


def has(row, **facts):
    found = {k: row.get(k) for k in facts}
    assert found == facts


def ino(m, name):
    return os.lstat(m.path(name)).st_ino


# A call, and what its record holds besides the operation and the path.
REQUESTS = [
    ("open file 1 0", "open", "/file", lambda m: {
        "ino": ino(m, "file")}),
    (f"open new {os.O_WRONLY | os.O_CREAT} 0640", "create", "/new", lambda m: {
        "parent_ino": 1, "mode": stat.S_IFREG | 0o640}),
    (f"open folder {os.O_TMPFILE | os.O_RDWR} 0600", "tmpfile", "/folder",
     lambda m: {"parent_ino": ino(m, "folder"), "mode": stat.S_IFREG | 0o600}),
    ("mkdir folder/new", "mkdir", "/folder/new", lambda m: {
        "parent_ino": ino(m, "folder"), "mode": stat.S_IFDIR | 0o755}),
    ("symlink there new", "symlink", "/new", lambda m: {"path2": "there"}),
    (f"mknod new {stat.S_IFIFO | 0o644}", "mknod", "/new", lambda m: {
        "mode": stat.S_IFIFO | 0o644}),
    ("bind new", "mknod", "/new", lambda m: {
        "mode": stat.S_IFSOCK | 0o755}),
    ("link file new 0", "link", "/new", lambda m: {"path2": "/file"}),
    ("unlink file", "unlink", "/file", lambda m: {"ino": ino(m, "file")}),
    ("rmdir folder/inner", "rmdir", "/folder/inner", lambda m: {
        "ino": ino(m, "folder/inner")}),
    ("rename file folder/new 0", "rename", "/file", lambda m: {
        "path2": "/folder/new", "ino": ino(m, "file")}),
    (f"rename file secret {RENAME_EXCHANGE}", "rename", "/file", lambda m: {
        "path2": "/secret", "flags": RENAME_EXCHANGE}),
    ("chmod file 04755", "chmod", "/file", lambda m: {
        "mode": stat.S_IFREG | 0o4755}),
    ("chown file 12 34", "chown", "/file", lambda m: {
        "new_uid": 12, "new_gid": 34}),
    ("chown file 12 -1", "chown", "/file", lambda m: {"new_uid": 12}),
    ("utimes file set", "utimes", "/file", lambda m: {
        "atime": "2001-09-09T01:46:40.000000001Z",
        "mtime": "2001-09-09T01:46:41.000000002Z"}),
    ("utimes file mtime", "utimes", "/file", lambda m: {
        "atime": None, "mtime": "2001-09-09T01:46:41.000000002Z"}),
    ("truncate file 12345", "truncate", "/file", lambda m: {"size": 12345}),
    ("setxattr file user.new value 0", "setxattr", "/file", lambda m: {
        "xattr": "user.new", "size": 5}),
    ("removexattr file user.tag", "removexattr", "/file", lambda m: {
        "xattr": "user.tag"}),
    ("access file 2 0", "access", "/file", lambda m: {"flags": os.W_OK}),
    ("ioctl file SETFLAGS 16", "setflags", "/file", lambda m: {
        "ino": ino(m, "file")}),
]


@pytest.mark.parametrize("line,op,path,more", REQUESTS,
                         ids=[r[0].replace(" ", "_") for r in REQUESTS])
def test_request(m, only, attempt, line, op, path, more):
    assert attempt.one(m, line) == "EROFS"
    has(only(), op=op, path=path, error="EROFS", type="attempt", **more(m))


@pytest.mark.parametrize("line,denied", [
    ("open secret 1 0", True), ("open file 1 0", True), ("mkdir new", True),
    ("chmod file 0600", True), ("setxattr file user.x v 0", True),
    ("truncate file 0", True), ("unlink file", True),
    ("chown file 5 5", True), ("access file 2 0", True)])
def test_would_have_been_denied_anyway(m, only, attempt, line, denied):
    """Nobody is told EROFS as everybody; the record says what else stood in
    the way. Root it would have been allowed."""
    assert attempt.one(m, line, uid=NOBODY) == "EROFS"
    has(only(), dac_denied=denied, uid=NOBODY, gid=NOBODY)


@pytest.mark.parametrize("line", ["open secret 1 0", "mkdir new",
                                  "chmod file 0600", "unlink file"])
def test_root_was_refused_only_by_the_image(m, only, attempt, line):
    assert attempt.one(m, line) == "EROFS"
    has(only(), dac_denied=False, uid=0, gid=0)


def test_who(m, only, attempt):
    """The process, from the facts that the kernel vouches for."""
    before = time.time()
    p = attempt.start(m, ["mkdir new"], uid=NOBODY, groups="5000,5001")
    p.communicate(timeout=support.PATIENCE)
    row = only()
    binary = os.path.realpath(attempt.binary)
    has(row, pid=p.pid, tid=p.pid, ppid=os.getpid(), caller_visible=True,
        comm="attempt", exe=binary, cwd=m.point, uid=NOBODY, gid=NOBODY,
        proc_uid=NOBODY, proc_euid=NOBODY, groups="5000 5001", cap_eff=0,
        cmdline=attempt.command(m, uid=NOBODY, groups="5000,5001"),
        mount_point=m.point)
    with open("/proc/sys/kernel/random/boot_id") as f:
        assert row["boot_id"] == f.read().strip()
    assert row["pid_ns"] == os.stat("/proc/self/ns/pid").st_ino
    assert row["mnt_ns"] == os.stat("/proc/self/ns/mnt").st_ino
    taken = time.strptime(row["time"][:19], "%Y-%m-%dT%H:%M:%S")
    assert abs(before - time.mktime(taken) + time.timezone) < 60 + \
        support.PATIENCE
    assert row["ancestors"][0]["pid"] == os.getpid()
    assert row["image_id"] == m.stele.ids(row["image_path"])["image"]


@pytest.mark.parametrize("thread", ["plain", "lonely"])
def test_thread(m, only, attempt, thread):
    """Another thread than the first, also when the first has ended; with ids
    of its own."""
    p = attempt.start(m, ["mkdir new"], thread=thread, uid=NOBODY)
    out, _ = p.communicate(timeout=support.PATIENCE)
    assert out == "EROFS\n"
    row = only()
    has(row, pid=p.pid, uid=NOBODY, comm="attempt",
        exe=os.path.realpath(attempt.binary))
    assert row["tid"] != p.pid


def test_one_process_many_programs(m, only, attempt):
    """The same process before and after exec is told apart."""
    subprocess.run(
        ["bash", "-c", 'echo >"$1/a"; exec bash -c \'echo >"$1/b"\' again "$1"',
         "first", m.point], stderr=subprocess.DEVNULL)
    rows = m.log("--last", "2")
    assert [r["path"] for r in rows] == ["/a", "/b"]
    assert rows[0]["pid"] == rows[1]["pid"]
    assert rows[0]["proc_id"] != rows[1]["proc_id"]
    assert rows[0]["cmdline"][3] == "first"
    assert rows[1]["cmdline"][3] == "again"


def test_deep_path_is_whole(m, only):
    """A path longer than PATH_MAX is recorded to the end."""
    fd = os.open(m.point, os.O_RDONLY)
    name, times = "long" * 60, 22
    for _ in range(times):
        below = os.open(name, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    with pytest.raises(OSError):
        os.open("bottom", os.O_WRONLY, dir_fd=fd)
    os.close(fd)
    path = "/" + "/".join([name] * times + ["bottom"])
    assert len(path) > 4096
    has(only(), op="open", path=path)


def test_names_of_any_bytes(m, only):
    """What is no UTF-8 is kept, byte by byte, beside what can be shown."""
    import base64
    name = b"odd\xff\n\x1b[1m\xe2\x80\xae"
    with pytest.raises(OSError):
        os.mkdir(os.path.join(os.fsencode(m.point), name))
    row = only()
    assert base64.b64decode(row["path_raw"]) == b"/" + name
    assert "\x1b" not in row["path"] and "\n" not in row["path"]


def test_caller_in_another_pid_namespace(m, only):
    """A container below us is visible by the pid that we see."""
    done = subprocess.run(
        ["unshare", "--pid", "--fork", "mkdir", m.path("new")],
        stderr=subprocess.DEVNULL)
    assert done.returncode
    row = only()
    has(row, comm="mkdir", caller_visible=True)
    assert row["pid"] > 2
    assert row["pid_ns"] != os.stat("/proc/self/ns/pid").st_ino


def test_refused_below_a_closed_folder(m, attempt):
    """Who may not enter gets no further than that: no write was refused."""
    before = m.log("--last", "1")
    for line in ("open closed/file 1 0", "mkdir closed/new", "unlink closed/x"):
        assert attempt.one(m, line, uid=NOBODY) in ("EACCES", "ENOMEM")
    assert m.log("--last", "1") == before


def test_stuck_caller_does_not_stop_others(m, attempt):
    """A caller that is stopped in the middle of it holds up nobody."""
    p = attempt.start(m, ["mkdir a-@"], times=100_000)
    p.stdin.close()
    p.stdin = None
    try:
        for i in range(20):
            os.kill(p.pid, 19)
            assert attempt.one(m, f"mkdir other-{i}") == "EROFS"
            os.kill(p.pid, 18)
    finally:
        p.kill()
        p.communicate()
