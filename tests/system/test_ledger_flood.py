# SPDX-License-Identifier: Apache-2.0
"""Nothing is refused that is not in the ledger: under a flood from many
processes, and when the daemon is killed at any moment."""

import collections
import json
import os
import random
import re
import time

import pytest

import support
from support import NOBODY, PATIENCE

PROCESSES = 8
EACH = 20_000
CLIENTS = 50
ROUNDS = 200
VERIFIED = 20  # each so many rounds: it takes longer than they do
CRASHED = 25  # exit code

# Refused calls of mixed kinds with the record of each; '@' is the number of
# the call, so that some paths come again and again and some only once.
MIXED = [
    ("open file 1 0", "open", "/file", None),
    (f"open file {os.O_RDWR | os.O_TRUNC} 0", "open", "/file", None),
    (f"open pit/new-@ {os.O_WRONLY | os.O_CREAT} 0644", "create",
     "/pit/new-@", None),
    (f"open pit {os.O_TMPFILE | os.O_RDWR} 0600", "tmpfile", "/pit", None),
    ("mkdir pit/dir-@", "mkdir", "/pit/dir-@", None),
    ("unlink file", "unlink", "/file", None),
    ("rmdir empty", "rmdir", "/empty", None),
    ("rename file pit/moved-@ 0", "rename", "/file", "/pit/moved-@"),
    ("symlink nowhere-@ pit/link-@", "symlink", "/pit/link-@", "nowhere-@"),
    ("link file pit/hard-@ 0", "link", "/pit/hard-@", "/file"),
    ("mknod pit/fifo-@ 010644", "mknod", "/pit/fifo-@", None),
    ("chmod file 0777", "chmod", "/file", None),
    ("chown file 1 1", "chown", "/file", None),
    ("utimes file set", "utimes", "/file", None),
    ("truncate file 7", "truncate", "/file", None),
    ("setxattr file user.x v 0", "setxattr", "/file", None),
    ("removexattr file user.tag", "removexattr", "/file", None),
    ("access file 2 0", "access", "/file", None),
]


@pytest.fixture
def image(stele, scratch):
    source = os.path.join(scratch, "source")
    for folder in ("", "pit", "empty"):
        os.mkdir(os.path.join(source, folder))
    with open(os.path.join(source, "file"), "w") as f:
        f.write("content\n")
    os.setxattr(os.path.join(source, "file"), "user.tag", b"value")
    path = os.path.join(scratch, "flood.stele")
    stele.build(source, path)
    return path


def expected(number):
    """The record of the call with this number."""
    _line, op, path, path2 = MIXED[number % len(MIXED)]
    return (op, path.replace("@", str(number)),
            path2.replace("@", str(number)) if path2 else None)


LINE = re.compile(r"\S+ \S+ +(\d+) attempt +(\S+) +EROFS +(\S+)"
                  r"(?: -> (\S+))?(?: ×(\d+))? image")


def records_by_process(stele, ledger, *more):
    """{pid: how often each record} of what stele log prints for people: for so
    many records JSON would take longer than making them."""
    found = collections.defaultdict(collections.Counter)
    done = stele.run("log", ledger, "--names", *more)
    assert done.returncode in (0, support.NO), done.stderr
    for line in done.stdout.decode().splitlines():
        pid, op, path, path2, count = LINE.fullmatch(line).groups()
        found[int(pid)][op, path, path2] += int(count or 1)
    return found


def test_flood_is_recorded_to_the_last(stele, scratch, image, attempt):
    m = stele.mount(image, os.path.join(scratch, "mnt"))
    script = [line for line, *_ in MIXED]
    flood = {}
    for i in range(PROCESSES):
        uid = NOBODY if i % 2 else 0
        flood[attempt.start(m, script, uid=uid, times=EACH)] = uid
    for p in flood:
        p.stdin.close()
        p.stdin = None
    refused = {}
    for p in flood:
        out, _ = p.communicate(timeout=PATIENCE)
        assert p.returncode == 0
        refused[p.pid] = [support.counts(line) for line in out.splitlines()]
    m.umount()

    held = records_by_process(stele, m.ledger)
    assert set(held) == set(refused)
    wanted = collections.Counter(expected(n) for n in range(EACH))
    for pid, answers in refused.items():
        # Every call was answered EROFS, so the records are known one by one.
        assert all(set(c) == {"EROFS"} for c in answers)
        assert sum(c["EROFS"] for c in answers) == EACH
        assert held[pid] == wanted
    for p, uid in flood.items():
        assert {row["uid"] for row in m.log("--pid", str(p.pid))} == {uid}
    # Far fewer records than attempts, and as many as it counts itself.
    facts = json.loads(
        stele.ok("log", "summary", "--json", m.ledger).splitlines()[0])
    assert facts["attempts"] == PROCESSES * EACH
    assert facts["records"] < facts["attempts"] / 10
    assert os.path.getsize(m.ledger) < 30 * facts["attempts"]


@pytest.mark.parametrize("names", ["same", "distinct"])
@pytest.mark.parametrize("processes,each", [(1, 20_000), (10, 2000),
                                            (1000, 20)])
def test_flood_of_one_kind(stele, scratch, image, attempt, processes, each,
                           names):
    m = stele.mount(image, os.path.join(scratch, "mnt"))
    line = "mkdir pit/dir" + ("-@" if names == "distinct" else "")
    flood = [attempt.start(m, [line], times=each) for _ in range(processes)]
    # All wait for the end of their scripts, and begin at about one moment.
    for p in flood:
        p.stdin.close()
        p.stdin = None
    for p in flood:
        out, _ = p.communicate(timeout=PATIENCE)
        assert support.counts(out) == {"EROFS": each}
    m.umount()
    held = records_by_process(stele, m.ledger)
    wanted = collections.Counter(
        ("mkdir", "/pit/dir" + (f"-{n}" if names == "distinct" else ""), None)
        for n in range(each))
    assert held == {p.pid: wanted for p in flood}


def answers_seen(path):
    """(number, answer) of each call in a client's own log."""
    with open(path, "rb") as f:
        text = f.read()
    # A line is written whole; so the last one is whole too.
    assert not text or text.endswith(b"\n")
    for line in text.decode().splitlines():
        _index, number, answer = line.split()
        yield int(number), answer


def one_kill(m, scratch, attempt, pause, name):
    """Clients write until the daemon is killed; {pid: numbers refused}."""
    clients, logs = [], []
    for i in range(3):
        logs.append(os.path.join(scratch, f"answers-{name}-{i}"))
        with open(logs[-1], "wb") as f:
            clients.append(attempt.start(
                m, [line for line, *_ in MIXED], stdout=f, times=1_000_000,
                log=True, uid=NOBODY if i else 0))
    for c in clients:
        c.stdin.close()
    support.wait_until(lambda: all(map(os.path.getsize, logs)),
                       "the first answer of each client")
    time.sleep(pause)
    m.kill()
    refused = {}
    for c, log in zip(clients, logs):
        assert c.wait(PATIENCE) == 0
        seen = list(answers_seen(log))
        refused[c.pid] = {n for n, answer in seen if answer == "EROFS"}
        others = {MIXED[n % len(MIXED)][0]: answer for n, answer in seen
                  if answer != "EROFS"}
        # Only the death of the daemon may end the refusals. (EIO is what the
        # kernel answers when it dies while it takes a request.)
        assert set(others.values()) <= {"ENOTCONN", "ECONNABORTED", "EIO"}, \
            others
        assert others, "the client did not see the end"
        os.unlink(log)
    return refused


def test_clients_that_are_killed(stele, scratch, image, attempt):
    """What a client was told before it died is there, and of what it asked for
    last, nothing or one record."""
    seed = int(os.environ.get("STELE_TEST_SEED", time.time_ns() % 10**9))
    print(f"STELE_TEST_SEED={seed}")
    chance = random.Random(seed)
    m = stele.mount(image, os.path.join(scratch, "mnt"))
    told = {}
    for i in range(CLIENTS):
        log = os.path.join(scratch, f"answers-{i}")
        with open(log, "wb") as f:
            client = attempt.start(m, [line for line, *_ in MIXED], stdout=f,
                                   times=1_000_000, log=True)
        client.stdin.close()
        support.wait_until(lambda: os.path.getsize(log), "its first answer")
        time.sleep(chance.uniform(0, 0.02))
        client.kill()
        client.wait(PATIENCE)
        seen = list(answers_seen(log))
        assert {answer for _, answer in seen} == {"EROFS"}
        told[client.pid] = collections.Counter(
            expected(number) for number, _ in seen)
    m.umount()
    held = records_by_process(stele, m.ledger)
    for pid, wanted in told.items():
        assert not wanted - held[pid]
        assert (held[pid] - wanted).total() <= 1
    stele.ok("log", "verify", m.ledger)


def test_kill_loses_no_answered_refusal(stele, scratch, image, attempt):
    """And the next mount goes on with a ledger that verifies: no false alarm."""
    seed = int(os.environ.get("STELE_TEST_SEED", time.time_ns() % 10**9))
    print(f"STELE_TEST_SEED={seed}")
    chance = random.Random(seed)
    ledger = os.path.join(scratch, "killed.ledger")
    total = 0
    for i in range(ROUNDS):
        m = stele.mount(image, os.path.join(scratch, "mnt"), ledger=ledger,
                        foreground=True)
        if i % VERIFIED == 1:
            stele.ok("log", "verify", ledger)
        refused = one_kill(m, scratch, attempt, chance.uniform(0, 0.02), i)
        for pid, numbers in refused.items():
            held = records_by_process(stele, ledger, "--pid", str(pid))[pid]
            wanted = collections.Counter(map(expected, numbers))
            assert not wanted - held, f"round {i}: lost {wanted - held}"
            # One more may be recorded whose answer died with the daemon.
            assert (held - wanted).total() <= 1
            total += len(numbers)
    assert total > ROUNDS * 3
    # Records that the last checkpoint does not cover, until it goes on.
    assert stele.run("log", "verify", ledger).returncode in (0, CRASHED)
    m = stele.mount(image, os.path.join(scratch, "mnt"), ledger=ledger)
    m.umount()
    stele.ok("log", "verify", ledger)
