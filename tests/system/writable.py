# SPDX-License-Identifier: Apache-2.0
"""What the tests of declared writable paths share: an image, its fixtures, and
words for what is mounted where."""

import errno
import glob
import os

import pytest

import support
from support import mounts, wait_until

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


def need_loop():
    for reason in (support.has_loop(), support.have("mkfs.ext4")):
        if reason:
            pytest.skip(reason)


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


@pytest.fixture(scope="module")
def image(module_stele, module_scratch):
    path = os.path.join(module_scratch, "app.stele")
    module_stele.ok("build", make_root(module_scratch), "-o", path)
    return path


@pytest.fixture
def point(scratch):
    return os.path.join(scratch, "mnt")
