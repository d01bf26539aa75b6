# SPDX-License-Identifier: Apache-2.0
"""Whoever tries, and from wherever: from a container, from a user namespace,
without root, or through io_uring, the attempt is recorded with its process."""

import json
import os
import re
import shutil
import subprocess

import pytest

import support
from conftest import built, need
from support import NOBODY

CONTAINER = "0123456789abcdef" * 4
CALLS = [f"open new {os.O_WRONLY | os.O_CREAT} 0644", "mkdir new",
         "unlink file", "chmod file 0777", "rename file new 0"]
OPS = ["create", "mkdir", "unlink", "chmod", "rename"]


def put_program(root, binary, name):
    """A program and the libraries it needs, at the same places below root."""
    shutil.copy(binary, os.path.join(root, name))
    said = subprocess.run(["ldd", binary], stdout=subprocess.PIPE, text=True,
                          check=True).stdout
    for library in re.findall(r"(/\S+) \(0x", said):
        target = root + library
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copy(library, target)


@pytest.fixture(scope="module")
def image(module_stele, module_scratch):
    top = os.path.join(module_scratch, "root")
    # What a container's root must have for a runtime to mount on.
    for folder in ("proc", "dev", "sys", "empty"):
        os.makedirs(os.path.join(top, folder))
    with open(top + "/file", "w", encoding="ascii") as f:
        f.write("content\n")
    put_program(top, built("tests/system/attempt"), "attempt")
    for folder, _, names in os.walk(top):
        os.chmod(folder, 0o755)
    path = os.path.join(module_scratch, "root.stele")
    module_stele.build(top, path)
    return path


@pytest.fixture
def m(stele, scratch, image):
    return stele.mount(image, os.path.join(scratch, "mnt"), "-o",
                       "allow_other,suid")


def attempts(m, *more):
    return [r for r in m.log(*more) if r["type"] == "attempt"]


@pytest.fixture
def cgroups():
    """Folders of cgroups that a test adds are gone afterwards."""
    def all_of_them():
        return {folder for folder, _, _ in os.walk("/sys/fs/cgroup")}

    before = all_of_them()
    yield
    for folder in sorted(all_of_them() - before, reverse=True):
        os.rmdir(folder)


def runc(root, bundle, name, config, uid=None):
    """Run a container on root; what its first process prints."""
    os.makedirs(bundle)
    config["root"] = {"path": str(root), "readonly": False}
    with open(os.path.join(bundle, "config.json"), "w", encoding="ascii") as f:
        json.dump(config, f)
    state = os.path.join(bundle, "state")
    os.makedirs(state)
    words = ["runc", "--root", state, "run", "--bundle", bundle, name]
    if uid is not None:
        for path in (bundle, state):
            os.chown(path, uid, uid)
        words = ["setpriv", f"--reuid={uid}", f"--regid={uid}",
                 "--clear-groups", *words]
    script = os.path.join(bundle, "script")
    with open(script, "w", encoding="ascii") as f:
        f.write("".join(line + "\n" for line in CALLS))
    with open(script, encoding="ascii") as f:
        done = subprocess.run(words, stdin=f, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True,
                              timeout=support.PATIENCE)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def config_of(*more_namespaces):
    return {
        "ociVersion": "1.0.2",
        "process": {"args": ["/attempt", "/"], "cwd": "/",
                    "user": {"uid": 0, "gid": 0}, "noNewPrivileges": True},
        "mounts": [{"destination": "/dev", "type": "tmpfs",
                    "source": "tmpfs", "options": ["nosuid", "mode=755"]},
                   {"destination": "/proc", "type": "proc",
                    "source": "proc"}],
        "linux": {"namespaces": [{"type": t} for t in (
            "pid", "mount", "ipc", "uts", *more_namespaces)]},
    }


def test_container(m, scratch, cgroups):
    """In a container the process has other numbers; both are on record."""
    need(support.have("runc"))
    config = config_of()
    config["linux"]["cgroupsPath"] = "/docker/" + CONTAINER
    assert runc(m.point, os.path.join(scratch, "bundle"), "stele-test-caller",
                config) == ["EROFS"] * len(CALLS)
    rows = attempts(m)
    assert [r["op"] for r in rows] == OPS
    for row in rows:
        assert row["caller_visible"] and row["comm"] == "attempt"
        assert row["vpid"] == 1 and row["pid"] > 1
        assert row["container"] == CONTAINER and row["runtime"] == "docker"
        assert row["exe"] == m.path("attempt") or row["exe"] == "/attempt"
        assert row["no_new_privs"] == 1
        # The program lies in the image: its content is known.
        assert len(row["exe_digest"]) == 64
        names = [a["comm"] for a in row["ancestors"]]
        assert names and "python3" in names or "pytest" in names


def test_rootless_container(m, scratch, cgroups):
    """A container that an ordinary user started, as root of his own."""
    need(support.have("runc", "setpriv"))
    config = config_of("user")
    config["linux"]["uidMappings"] = config["linux"]["gidMappings"] = [
        {"containerID": 0, "hostID": NOBODY, "size": 1}]
    assert runc(m.point, os.path.join(scratch, "bundle"),
                "stele-test-rootless", config, uid=NOBODY) \
        == ["EROFS"] * len(CALLS)
    rows = attempts(m)
    assert [r["op"] for r in rows] == OPS
    for row in rows:
        assert row["caller_visible"] and row["uid"] == NOBODY
        assert row["vpid"] == 1
        assert row["user_ns"] != os.stat("/proc/self/ns/user").st_ino


def test_user_namespace(m, attempt):
    """Root of a user namespace is nobody special to us."""
    assert attempt.run(m, CALLS, uid=1000, userns="self") \
        == ["EROFS"] * len(CALLS)
    rows = attempts(m)
    assert [r["op"] for r in rows] == OPS
    assert {r["uid"] for r in rows} == {1000}
    assert {r["user_ns"] for r in rows} != {
        os.stat("/proc/self/ns/user").st_ino}


def test_unseen_caller(stele, scratch, image, attempt):
    """Who is outside of the mount's pid namespace is not guessed at."""
    point = os.path.join(scratch, "inner")
    ledger = os.path.join(scratch, "inner.ledger")
    os.mkdir(point)
    holder = subprocess.Popen(
        ["unshare", "-pf", "--kill-child",
         stele.binary, "mount", "-f", image, point, "--ledger",
         ledger], env=stele.env, stdin=subprocess.DEVNULL)
    try:
        support.wait_until(lambda: support.is_mounted(point), "the mount")
        os.stat(point)
        assert attempt.one(point, "mkdir new") == "EROFS"
        (row,) = [r for r in stele.log(ledger) if r["type"] == "attempt"]
        assert row["op"] == "mkdir" and not row["caller_visible"]
        for key in ("pid", "comm", "exe", "tid"):
            assert row.get(key) is None
    finally:
        subprocess.run(["umount", "-l", point], check=False)
        holder.wait(support.PATIENCE)


def test_io_uring(m):
    """No system call that a tracer could see, and all of it on record."""
    done = subprocess.run([built("tests/system/uring"), m.point],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, timeout=support.PATIENCE)
    if done.returncode == 77:
        pytest.skip(f"no io_uring here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    results = [line.split() for line in done.stdout.splitlines()]
    assert {answer for _, answer in results} == {"EROFS"}
    rows = attempts(m)
    assert [r["op"] for r in rows] == [name for name, _ in results]
    assert len(rows) == 10
    for row in rows:
        assert row["caller_visible"] and row["comm"] == "uring"
