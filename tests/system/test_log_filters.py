# SPDX-License-Identifier: Apache-2.0
"""What the filters of stele log let pass, over a real mount; and that a bad
value is one clear line."""

import json
import os
import signal
import subprocess
import time

import pytest

import trees
from support import NOBODY, wait_until

USAGE = 2


@pytest.fixture(scope="module")
def m(module_stele, module_scratch):
    source = os.path.join(module_scratch, "source")
    os.makedirs(source + "/folder")
    os.chmod(source + "/folder", 0o777)
    trees.put(source + "/file", b"content\n")
    image = os.path.join(module_scratch, "filters.stele")
    module_stele.build(source, image)
    return module_stele.mount(image, os.path.join(module_scratch, "mnt"))


@pytest.fixture(scope="module")
def tried(m):
    """A shell tries, and so does a child of a child of it; and nobody."""
    script = ("echo $$; mkdir folder/by-shell; "
              "sh -c '(cd folder; sh -c \"rm -f ../file; mkdir deep; :\"; :); :'")
    done = subprocess.run(["sh", "-c", script], cwd=m.point, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    shell = int(done.stdout)
    subprocess.run(["setpriv", f"--reuid={NOBODY}", "--clear-groups", "--",
                    "sh", "-c", "mkdir folder/by-nobody"], cwd=m.point,
                   stderr=subprocess.PIPE, check=False)
    return shell


def paths(rows):
    return sorted(r["path"] for r in rows)


def log(m, *words):
    return paths(m.log(*words))


def test_paths(m, tried):
    everything = ["/file", "/folder/by-nobody", "/folder/by-shell",
                  "/folder/deep"]
    assert log(m) == everything
    assert log(m, "--path", "/folder/by-*") == everything[1:3]
    assert log(m, "--path", "*deep") == everything[3:]
    assert log(m, "--path", "/file") == ["/file"]
    assert log(m, "--under", "/folder/") == everything[1:]
    assert log(m, "--under", "/folder", "--path", "*e?") == everything[3:]
    assert log(m, "--under", "/folder/deep", "--path", "*by*") == []
    assert log(m, "--path", "/fol") == []


def test_processes(m, tried):
    assert log(m, "--tree", str(tried)) == ["/file", "/folder/by-shell",
                                            "/folder/deep"]
    assert log(m, "--pid", str(tried)) == []  # mkdir is a child of the shell
    assert log(m, "--comm", "mkdir") == ["/folder/by-nobody",
                                         "/folder/by-shell", "/folder/deep"]
    assert log(m, "--comm", "rm") == ["/file"]
    assert log(m, "--exe", "*/rm") == ["/file"]
    assert log(m, "--exe", "rm") == []
    assert log(m, "--uid", str(NOBODY)) == ["/folder/by-nobody"]
    assert log(m, "--container", "0123456789abcdef0123456789abcdef") == []


def test_what_and_why(m, tried):
    assert log(m, "--op", "unlink") == ["/file"]
    assert log(m, "--rule", "image") == log(m)
    assert log(m, "--rule", "imag") == []
    assert log(m, "--errno", "EROFS") == log(m)
    assert log(m, "--errno", "erofs", "--op", "unlink") == ["/file"]
    assert log(m, "--errno", "30") == log(m)
    assert log(m, "--errno", "EIO") == []


def test_boots(m, tried):
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as f:
        boot = f.read().strip()
    assert log(m, "--boot", "0") == log(m)
    assert log(m, "--boot=-1") == []
    assert log(m, "--boot", boot) == log(m)
    assert log(m, "--boot", boot[:8]) == log(m)
    assert log(m, "--boot", boot.replace("-", "")[:12].upper()) == log(m)
    assert log(m, "--boot", "ffff" if boot[0] != "f" else "0000") == []


def test_times(m, tried):
    assert log(m, "--since", "-1h", "--until", "now") == log(m)
    assert log(m, "--until", "-1h") == []


def test_events_are_shown_when_asked_for(m, tried):
    assert {r["type"] for r in m.log()} == {"attempt"}
    shown = [r["op"] for r in m.log("--events") if r["type"] == "event"]
    assert shown[0] == "mount"
    assert [r["op"] for r in m.log("--op", "mount")] == ["mount"]
    assert "mount" not in [r["op"] for r in m.log("--uid", "0")]


def test_last_and_reverse(m, tried):
    rows = m.log()
    assert m.log("--reverse") == rows[::-1]
    assert m.log("-n", "2") == rows[-2:]
    assert m.log("-n", "2", "-r") == rows[:-3:-1]


@pytest.mark.parametrize("words, says", [
    (["--since", "soon"], "soon"),
    (["--until", "2026-02-31"], "2026-02-31"),
    (["--since", "-1h", "--until", "-2h"], "later"),
    (["--op", "paint"], "paint"),
    (["--errno", "EWRONG"], "EWRONG"),
    (["--errno", "0"], "'0'"),
    (["--errno", "4096"], "4096"),
    (["--boot", "1"], "--boot"),
    (["--boot", "xyz1"], "xyz1"),
    (["--boot", "-"], "--boot"),
    (["--boot", ""], "--boot"),
    (["--under", "folder"], "folder"),
    (["--comm", "sixteen-bytes-xx"], "15"),
    (["--container", "docker"], "docker"),
    (["--container", ""], "--container"),
    (["--pid", "0"], "--pid"),
    (["--tree", "two"], "two"),
    (["--uid", "4294967295"], "4294967295"),
    (["--last", "-1"], "--last"),
])
def test_bad_values(m, words, says):
    m.stele.refuses(USAGE, "log", m.point, *words, says=[says])


def test_a_flood_is_whole_before_it_is_over(m, tried):
    """Open records are in every answer but that of who follows, with each of
    their names; who follows sees them once, when they are closed."""
    count = 1500
    follower = subprocess.Popen(
        [m.stele.binary, "log", m.point, "--json", "--follow", "--path",
         "/folder/flood-*"], env=m.stele.env, stdout=subprocess.PIPE)
    for i in range(count):
        try:
            os.mkdir(os.path.join(m.point, f"folder/flood-{i}"))
        except OSError:
            pass
    rows = m.log("--path", "/folder/flood-*")
    assert sum(r["count"] for r in rows) == count
    assert log(m, "--path", "/folder/flood-1499") != []
    # A second without another, and it is a record like others.
    wait_until(lambda: all(r.get("seq") for r in
                           m.log("--path", "/folder/flood-*")),
               "the end of the flood")
    seen = 0
    while seen < count:
        seen += json.loads(follower.stdout.readline())["count"]
    assert seen == count
    follower.send_signal(signal.SIGTERM)
    follower.communicate()


def test_following_shows_a_record_at_once(m, tried):
    with subprocess.Popen(
            [m.stele.binary, "log", m.point, "--json", "--follow", "--path",
             "/folder/now-*"], env=m.stele.env,
            stdout=subprocess.PIPE) as follower:
        waits = []
        for i in range(5):
            try:
                os.mkdir(os.path.join(m.point, f"folder/now-{i}"))
            except OSError:
                start = time.monotonic()
            row = json.loads(follower.stdout.readline())
            waits.append(time.monotonic() - start)
            assert row["path"] == f"/folder/now-{i}"
        # 0.1 s on a machine that has nothing else to do.
        assert sorted(waits)[2] < 2, waits
        follower.terminate()
