# SPDX-License-Identifier: Apache-2.0
"""Mounts with writable paths that fail, or are killed, leave nothing."""

import glob
import os
import subprocess
import threading

import pytest

import support
from support import (INPUT, MOUNT, SYSTEM, is_mounted, mounts, wait_until)
from writable import (attach, declare, fill, image, need_loop, nothing_left,
                      point, read, write)


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
