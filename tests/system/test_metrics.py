# SPDX-License-Identifier: Apache-2.0
"""The metrics of a mount, read by a parser that takes nothing but OpenMetrics;
anchors and alerts of a mount that is really there."""

import json
import os
import re
import socket
import stat

import pytest

from support import wait_until

# OpenMetrics 1.0, the parts of it that we write.
NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*"'
SAMPLE = re.compile(
    rf"({NAME})(?:\{{((?:{LABEL}(?:,{LABEL})*)?)\}})? ([0-9]+(?:\.[0-9]+)?)")
SUFFIX = {"counter": ("_total",), "gauge": ("",), "info": ("_info",)}


def parse(text):
    """{(family, labels): value}; fails for what is not OpenMetrics."""
    assert text.endswith("\n# EOF\n") and text.count("# EOF") == 1
    text.encode("ascii")
    values, families, family = {}, {}, None
    for line in text.splitlines()[:-1]:
        if line.startswith("# "):
            _, word, name, rest = line.split(" ", 3)
            assert re.fullmatch(NAME, name)
            if word == "TYPE":
                assert name not in families, f"{name} comes twice"
                assert rest in SUFFIX
                families[name] = {"TYPE": rest}
                family = name
            else:
                assert word in ("HELP", "UNIT") and name == family
                assert word not in families[name] and "samples" not in families[name]
                families[name][word] = rest
            if word == "UNIT":
                assert name.endswith("_" + rest)
            continue
        m = SAMPLE.fullmatch(line)
        assert m and family, f"no sample: {line}"
        kind = families[family]["TYPE"]
        assert m[1] in [family + s for s in SUFFIX[kind]], line
        families[family]["samples"] = True
        labels = tuple(sorted(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', m[2] or "")))
        assert len({k for k, _ in labels}) == len(labels)
        assert (family, labels) not in values, f"twice: {line}"
        values[family, labels] = float(m[3])
    assert all("HELP" in f for f in families.values())
    return values


BAD = [
    "x 1\n# EOF\n",
    "# TYPE a counter\n# HELP a b\na 1\n# EOF\n",
    "# TYPE a gauge\n# HELP a b\na 1\na 1\n# EOF\n",
    "# TYPE a gauge\n# HELP a b\na{x=\"\"\"} 1\n# EOF\n",
    "# TYPE a gauge\n# HELP a b\na -\n# EOF\n",
    "# TYPE a gauge\n# HELP a b\na 1\n",
]


@pytest.mark.parametrize("text", BAD)
def test_the_parser_is_strict(text):
    with pytest.raises(AssertionError):
        parse(text)


@pytest.fixture
def image(stele, scratch):
    source = os.path.join(scratch, "source")
    os.makedirs(os.path.join(source, "pit"))
    path = os.path.join(scratch, "app.stele")
    stele.build(source, path)
    return path


def read(path):
    with open(path) as f:
        return f.read()


def ask(path, request=b""):
    """What a socket answers to who says this."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(60)
        s.connect(path)
        if request:
            s.sendall(request)
        answer = b""
        while piece := s.recv(65536):
            answer += piece
    return answer.decode("ascii")


def attempts(values, op):
    return values["stele_attempts", (("op", op), ("rule", "image"))]


def test_a_file_is_kept_up_to_date(stele, scratch, image, attempt):
    path = os.path.join(scratch, "metrics.prom")
    m = stele.mount(image, os.path.join(scratch, "mnt"), "--metrics", "file:" + path)
    assert attempts(parse(read(path)), "mkdir") == 0
    for i in range(5):
        attempt.one(m, f"mkdir pit/{i}")
    wait_until(lambda: attempts(parse(read(path)), "mkdir") == 5, "five attempts")
    m.umount()
    values = parse(read(path))
    assert attempts(values, "mkdir") == 5
    assert attempts(values, "unlink") == 0
    assert values["stele_records", ()] == values["stele_checkpoint_records", ()] == 7
    assert values["stele_ledger_bytes", ()] > 4096


def test_a_socket_answers(stele, scratch, image, attempt):
    path = os.path.join(scratch, "metrics.socket")
    m = stele.mount(image, os.path.join(scratch, "mnt"), "--metrics", "unix:" + path)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o660
    attempt.one(m, "mkdir pit/x")
    assert attempts(parse(ask(path)), "mkdir") == 1
    head, body = ask(path, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").split("\r\n\r\n", 1)
    assert head.startswith("HTTP/1.0 200 OK\r\n")
    assert f"Content-Length: {len(body)}" in head
    assert attempts(parse(body), "mkdir") == 1
    m.umount()
    assert not os.path.exists(path)


def test_anchors_and_alerts(stele, scratch, image, attempt):
    notes = os.path.join(scratch, "notes")
    told = os.path.join(scratch, "told")
    program = os.path.join(scratch, "program")
    with open(program, "w") as f:
        f.write(f"#!/bin/sh\ncat >> {told}\n")
    os.chmod(program, 0o700)
    m = stele.mount(image, os.path.join(scratch, "mnt"), "--anchor", "file:" + notes,
                    "--alert", "exec:" + program)
    for i in range(5):
        attempt.one(m, f"mkdir pit/{i}")
    # Five processes: each is told of. (Before the end, since a child that is
    # about to run the program still looks like a second daemon.)
    wait_until(lambda: os.path.exists(told) and read(told).count("\n") == 5, "five alerts")
    m.umount()
    rows = [json.loads(line) for line in read(told).splitlines()]
    assert [r["path"] for r in rows] == [f"/pit/{i}" for i in range(5)]
    assert all(r["op"] == "mkdir" and r["suppressed"] == 0 for r in rows)
    assert [r["seq"] for r in rows] == sorted(r["seq"] for r in rows)
    assert all(r["mount_point"] == os.fspath(m.point) for r in rows)

    # The anchors hold when they are held against the ledger.
    stele.ok("log", "verify", m.ledger, "--expect", notes)


def test_a_hook_that_fails_at_the_end(stele, scratch, image, attempt):
    """What it leaves on record is signed, too: no false alarm of a crash."""
    hook = os.path.join(scratch, "hook")
    with open(hook, "w", encoding="ascii") as f:
        f.write("#!/bin/sh\nsleep 1\nexit 1\n")
    os.chmod(hook, 0o755)
    m = stele.mount(image, os.path.join(scratch, "mnt"), "--alert",
                    f"exec:{hook}")
    assert attempt.one(m, "mkdir new") == "EROFS"
    m.umount()
    assert m.log("--op", "alarm")
    stele.ok("log", "verify", m.ledger)
