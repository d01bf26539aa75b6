# SPDX-License-Identifier: Apache-2.0
"""Programs that fork for each attempt: every process is one that nobody has
seen before, and all of them together have the budget of their cgroup."""

import os
import sqlite3
import statistics
import subprocess
import time

from support import PATIENCE

SHELLS, EACH = 4, 100
RATE = 24 << 10
PAD = 1000  # bytes in the arguments of each process, all of them recorded

# Each process tries once; its arguments are long.
SHELL = """
i=0
while [ $i -lt $2 ]; do
    /bin/sh -c '{ : > "$0"; } 2>/dev/null' "pit/new-$1-$i" "$3"
    i=$((i + 1))
done
"""


def start_flood(point):
    return [subprocess.Popen(["/bin/sh", "-c", SHELL, "flood", str(i),
                              str(EACH), "x" * PAD], cwd=point)
            for i in range(SHELLS)]


def read_on(m, flood):
    """How long it takes to look something up and read, until the flood ends."""
    took = []
    while any(p.poll() is None for p in flood):
        begin = time.monotonic()
        assert not os.path.exists(m.path(f"nothing-{len(took)}"))
        with open(m.path("file"), encoding="ascii") as f:
            assert f.read() == "content\n"
        took.append(time.monotonic() - begin)
        time.sleep(0.02)
    return took


def numbers(ledger, sql):
    db = sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)
    try:
        return db.execute(sql).fetchone()
    finally:
        db.close()


def test_fork_flood_is_slow_and_complete(stele, scratch):
    source = os.path.join(scratch, "source")
    os.makedirs(os.path.join(source, "pit"))
    with open(os.path.join(source, "file"), "w", encoding="ascii") as f:
        f.write("content\n")
    image = os.path.join(scratch, "fork.stele")
    stele.build(source, image)
    m = stele.mount(image, os.path.join(scratch, "mnt"), "-o",
                    f"budget=0:{RATE}")
    begin = time.monotonic()
    flood = start_flood(m.point)
    reads = read_on(m, flood)
    took = time.monotonic() - begin
    for p in flood:
        p.wait(PATIENCE)
    m.umount()

    # Every process with its one attempt.
    total = SHELLS * EACH
    assert numbers(m.ledger, "SELECT sum(count), count(DISTINCT proc_id)"
                   " FROM attempt") == (total, total)
    assert numbers(m.ledger, "SELECT count(DISTINCT path) FROM attempt"
                   " WHERE CAST(path AS TEXT) GLOB '/pit/new-*'") == (total,)
    stele.ok("log", "verify", m.ledger)
    # It begins with a bucket of 8 s; the last answer is not waited for whole.
    assert took >= total * PAD / RATE - 8 - 2
    # A delayed answer holds no worker: who reads does not notice.
    assert len(reads) > 20
    assert statistics.median(reads) < 0.1
