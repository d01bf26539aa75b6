# SPDX-License-Identifier: Apache-2.0
"""The formats of stele log: what they say is right, whole, and cannot be forged
by names. Others' schemas are held against the tables in *_facts.py."""

import base64
import contextlib
import csv
import datetime
import io
import json
import os
import re
import shutil
import sqlite3
import stat
import subprocess

import pytest

import ecs_facts
import falco_facts
import ocsf_facts
import trees
from support import NOBODY, USAGE, Mounted, q

# Names that would be something else where they are printed.
HOSTILE = [
    b"new\nline", b"red\x1b[31m", b"tab\tand\rreturn", b"bad\xff\xfeutf8",
    "\u202egnp.exe".encode(), b"c1\xc2\x9b31m", b"=cmd|'x'!A0", b"+1+1",
    b"-2+3", b"@SUM(A1)", b'quo"te,comma', b"back\\slash", b"&<b>html",
    "\uff1dwide".encode(), b"percent%s%n", b"{\"json\":1}",
]
SAME = 5  # attempts one after another, with a record each
FLOOD = 900


@pytest.fixture(scope="module")
def m(module_stele, module_scratch, attempt):
    """A ledger with all kinds of records."""
    top = os.path.join(module_scratch, "source")
    os.makedirs(top + "/folder")
    trees.put(top + "/file", b"content\n")
    os.chmod(top + "/folder", 0o777)
    image = os.path.join(module_scratch, "formats.stele")
    module_stele.build(top, image)
    mount = module_stele.mount(image, os.path.join(module_scratch, "mnt"))
    script = ["unlink file", "rename file folder/x 0", "symlink there link",
              "mkdir folder/new", "chmod file 04755", "chown file 12 34",
              "truncate file 5", "setxattr file user.x value 0",
              "setxattr file security.other value 0",
              "access file 2 0", "open file 1 0",
              "utimes file set", f"mknod pipe {stat.S_IFIFO | 0o644}"]
    script += ["mkdir " + q(name) for name in HOSTILE]
    script += ["truncate file 7"] * SAME
    results = attempt.run(mount, script)
    assert set(results) == {"EROFS"}
    assert attempt.one(mount, "unlink file", uid=NOBODY) != "ok"
    # Enough, and fast enough, for records that stand for several attempts.
    attempt.run(mount, ["mkdir folder/@", "unlink file"], times=2 * FLOOD)
    mount.umount()
    return mount


@pytest.fixture(scope="module")
def rows(m):
    found = m.log("--events")
    assert {"attempt", "event"} == {r["type"] for r in found}
    assert any(r.get("targets", 1) > 1 for r in found), "nothing was folded"
    return found


def lines(stele, m, *words):
    text = stele.ok("log", m.ledger, *words)
    assert text.endswith("\n")
    return text.splitlines()


def objects(stele, m, form, *more):
    return [json.loads(line)
            for line in lines(stele, m, "-o", form, "--events", *more)]


def attempts(found):
    return sum(r["count"] for r in found if r["type"] == "attempt")


def test_every_format_has_every_record(module_stele, m, rows):
    for form in ("json", "ocsf", "ecs", "falco", "timesketch"):
        assert len(objects(module_stele, m, form)) == len(rows), form
    assert attempts(rows) == 13 + len(HOSTILE) + SAME + 1 + 2 * FLOOD


def test_json_is_the_same_by_both_names(module_stele, m):
    assert module_stele.ok("log", m.ledger, "--json") == \
        module_stele.ok("log", m.ledger, "-o", "json")
    module_stele.refuses(USAGE, "log", m.ledger, "--json", "-o", "csv",
                         says=["--json"])
    module_stele.refuses(USAGE, "log", m.ledger, "-o", "xml",
                         says=["xml", "timesketch"])


def test_nothing_but_plain_text_is_printed(module_stele, m):
    """No control character, whatever the names are."""
    for form in ("short", "wide", "json", "ocsf", "ecs", "falco", "csv",
                 "timesketch"):
        raw = module_stele.run("log", m.ledger, "-o", form,
                               "--names").stdout
        text = raw.decode("utf-8")  # which must not fail
        if form == "csv":
            text = text.replace("\r\n", "\n")
        odd = {c for c in text if c != "\n" and (
            ord(c) < 32 or 0x7F <= ord(c) < 0xA0 or c in "\u202e\u2028")}
        assert not odd, (form, odd)


# ---- short and wide ----

LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} +(\d+|-) +(\S+) +"
                  r"([a-z_]+) +([A-Z]+|-) +(.*?)( ×(\d+))? (\S+)$")


def counted(found):
    total = 0
    for line in found:
        match = LINE.match(line)
        assert match, line
        total += int(match[7] or 1)
    return total


def test_short_counts_every_attempt(module_stele, m, rows):
    found = lines(module_stele, m)
    assert counted(found) == attempts(rows)
    assert any("names) ×" in line for line in found)
    assert all(line.endswith(" image") for line in found)


def test_lines_that_are_alike_are_one(module_stele, m, rows):
    assert sum(r["op"] == "truncate" for r in rows) == 1 + SAME
    found = lines(module_stele, m, "--op", "truncate")
    assert [LINE.match(line)[7] for line in found] == [str(1 + SAME)]
    found = lines(module_stele, m, "--op", "truncate", "-r")
    assert [LINE.match(line)[7] for line in found] == [str(1 + SAME)]
    found = lines(module_stele, m, "--op", "truncate", "-o", "csv")
    assert len(found) == 1 + 1 + SAME, "a program gets every record"


def test_names_expands_every_format(module_stele, m, rows):
    """--names: a row for each name, and the counts stay."""
    found = objects(module_stele, m, "json", "--names")
    assert attempts(found) == attempts(rows)
    made = {r["path"] for r in found if r["op"] == "mkdir"}
    assert {f"/folder/{i}" for i in range(0, 2 * FLOOD, 2)} <= made
    assert counted(lines(module_stele, m, "--names")) == attempts(rows)
    ids = [r["metadata"]["uid"]
           for r in objects(module_stele, m, "ocsf", "--names")]
    assert len(set(ids)) == len(ids)


def test_wide_names_program_and_ancestors(module_stele, m):
    found = lines(module_stele, m, "-o", "wide", "--op", "chmod")
    assert len(found) == 1
    assert re.search(r" exe=\S*/attempt cwd=\S+ by=\S+", found[0])


# ---- JSON by others' schemas ----

def test_ocsf(module_stele, m, rows):
    found = objects(module_stele, m, "ocsf")
    for event in found:
        assert not ocsf_facts.problems(event), event
    by_op = {e["metadata"]["event_code"]: e for e in found}
    for op, activity in (("unlink", 4), ("mkdir", 1), ("rename", 5),
                         ("chmod", 7), ("utimes", 6), ("truncate", 3),
                         ("open", 14), ("access", 99), ("symlink", 1)):
        assert by_op[op]["activity_id"] == activity, op
        assert by_op[op]["status_code"] == "EROFS"
        assert by_op[op]["disposition_id"] == by_op[op]["action_id"] == 2
    xattrs = {e["unmapped"]["xattr"]: e["activity_id"] for e in found
              if e["metadata"]["event_code"] == "setxattr"}
    assert xattrs == {"user.x": 6, "security.other": 7}
    assert by_op["mount"]["class_uid"] == 0
    for event, row in zip(found, rows):
        assert event["metadata"].get("sequence") == row["seq"]
        assert event["time"] == timestamp(row["time"]) // 1_000_000
        assert event.get("count", 1) == row["count"]
        if row["count"] > 1:
            assert event["duration"] == event["end_time"] - event["start_time"]
            assert event["start_time"] <= event["end_time"]


def test_ocsf_check_finds_faults(module_stele, m):
    """The check is no rubber stamp."""
    good = json.loads(lines(module_stele, m, "-o", "ocsf", "--op", "chmod")[0])

    def faulty(change):
        event = json.loads(json.dumps(good))
        change(event)
        return ocsf_facts.problems(event)

    assert not faulty(lambda e: None)
    assert faulty(lambda e: e.update(extra=1))
    assert faulty(lambda e: e.pop("actor"))
    assert faulty(lambda e: e["file"].pop("type_id"))
    assert faulty(lambda e: e["actor"]["process"].update(pid="1"))
    assert faulty(lambda e: e.update(type_uid=100101))
    assert faulty(lambda e: e.update(severity_id=7))
    assert faulty(lambda e: e["metadata"]["profiles"].remove(
        "security_control"))


def test_ocsf_attests_records_of_a_signed_log(module_stele, m):
    """Each record names its leaf and the one before; the chain is whole."""
    found = [e for e in objects(module_stele, m, "ocsf")
             if "sequence" in e["metadata"]]
    if not any("attestation_list" in e for e in found):
        pytest.skip("this ledger has no name to attest with")
    leaf = {}
    for event in found:
        (one,) = event["attestation_list"]
        number = event["metadata"]["sequence"]
        assert event["metadata"]["uid"] == f"{one['chain_uid']}:{number}"
        leaf[number] = one["fingerprint"]
        if number == 1:
            assert "prev_event" not in one
            continue
        before = one["prev_event"]
        assert before["uid"] == f"{one['chain_uid']}:{number - 1}"
        assert before["fingerprint"] == leaf[number - 1]
    assert sorted(leaf) == list(range(1, len(leaf) + 1))
    assert len({f["value"] for f in leaf.values()}) == len(leaf)


def test_ecs(module_stele, m, rows):
    found = objects(module_stele, m, "ecs")
    for document, row in zip(found, rows):
        assert not ecs_facts.problems(document), document
        assert document["@timestamp"] == row["time"]
        assert document["event"]["action"] == row["op"]
        if row["type"] == "attempt":
            assert document["event"]["outcome"] == "failure"
            assert document["event"]["type"][1:] == ["denied"]
            assert document["process"]["pid"] == row["pid"]
            assert document["file"]["path"] == row["path"]
    kinds = {d["event"]["action"]: d["event"]["type"][0] for d in found}
    assert kinds["unlink"] == "deletion" and kinds["mkdir"] == "creation"
    assert kinds["chmod"] == "change" and kinds["mount"] == "info"
    link = next(d for d in found if d["event"]["action"] == "symlink")
    assert link["file"]["target_path"] == "there"
    found[0]["file.extra"] = 1
    assert ecs_facts.problems(found[0])


def test_falco(module_stele, m, rows):
    found = objects(module_stele, m, "falco")
    for alert, row in zip(found, rows):
        assert not falco_facts.problems(alert), alert
        assert alert["time"] == row["time"]
        assert f" {alert['priority']} " in alert["output"]
        fields = alert["output_fields"]
        assert fields["evt.type"] == row["op"]
        if row["type"] == "attempt":
            assert fields["proc.pid"] == row["pid"]
            assert fields["fd.name"] == row["path"]
            assert fields["evt.res"] == "EROFS"
            assert fields["container.id"] == row.get("container", "host")
    found[0]["output_fields"]["proc.bogus"] = 1
    assert falco_facts.problems(found[0])


def timestamp(text):
    """Nanoseconds of a time in UTC."""
    whole, fraction = text.rstrip("Z").split(".")
    moment = datetime.datetime.fromisoformat(whole + "+00:00")
    return int(moment.timestamp()) * 10 ** 9 + int(fraction)


def test_timesketch(module_stele, m, rows):
    for event, row in zip(objects(module_stele, m, "timesketch"), rows):
        assert event["message"] and event["timestamp_desc"]
        moment = datetime.datetime.fromisoformat(event["datetime"])
        assert moment.tzinfo and "." in event["datetime"]
        assert event["timestamp"] == timestamp(row["time"]) // 1000
        assert not any(isinstance(v, (dict, list)) for v in event.values())
        assert event["op"] == row["op"] and event.get("path") == row.get("path")


def test_bytes_that_are_no_text_are_not_lost(module_stele, m):
    raw = b"/bad\xff\xfeutf8"
    (row,) = [r for r in m.log("--op", "mkdir") if "path_raw" in r]
    assert base64.b64decode(row["path_raw"]) == raw
    (event,) = [e for e in objects(module_stele, m, "ocsf", "--op", "mkdir")
                if "path_raw" in e["unmapped"]]
    assert base64.b64decode(event["unmapped"]["path_raw"]) == raw
    assert event["file"]["path"] == row["path"] == "/bad\\xff\\xfeutf8"


# What each kind of event is worth, by OCSF's severity_id.
EVENTS = {"damage": 4, "lost": 4, "mount": 1, "unmount": 1, "heartbeat": 1,
          "recovery": 3, "gap": 4, "prune": 3, "clock": 3, "alarm": 4}


def test_every_kind_of_event_in_every_format(module_stele, m, scratch):
    """A ledger into which one event of each kind was put."""
    m2 = Mounted(module_stele, m.point, scratch + "/events.ledger")
    shutil.copy(m.ledger, m2.ledger)
    with contextlib.closing(sqlite3.connect(m2.ledger)) as db:
        (last,) = db.execute("SELECT max(seq) FROM (SELECT seq FROM attempt "
                             "UNION SELECT seq FROM event)").fetchone()
        for i, kind in enumerate(EVENTS):
            db.execute("INSERT INTO event VALUES(?, 1, ?, ?, ?, ?, ?, ?)",
                       (last + 1 + i, 10 ** 18 + i, i, kind, b"/p\n\xff",
                        "what\x1b[31m", 7))
        db.commit()
    count = str(len(EVENTS))
    for form in ("short", "wide", "csv"):
        text = "\n".join(lines(module_stele, m2, "-o", form, "--events", "-n",
                               count))
        assert all(kind in text for kind in EVENTS), form
        assert "what\\e[31m" in text and "/p\\n\\xff" in text, form
    for kind, event in zip(EVENTS, objects(module_stele, m2, "ocsf", "-n",
                                           count)):
        assert not ocsf_facts.problems(event), event
        assert event["severity_id"] == EVENTS[kind] and event["count"] == 7
        assert event["activity_name"] == kind and kind in event["message"]
    for kind, event in zip(EVENTS, objects(module_stele, m2, "ecs", "-n",
                                           count)):
        assert not ecs_facts.problems(event), event
        assert event["event"]["action"] == kind
        assert event["event"]["severity"] == EVENTS[kind]
    for kind, event in zip(EVENTS, objects(module_stele, m2, "falco", "-n",
                                           count)):
        assert not falco_facts.problems(event), event
        assert event["rule"] == f"Ledger event: {kind}"
        assert (event["priority"] == "Critical") == (EVENTS[kind] == 4)
    for kind, event in zip(EVENTS, objects(module_stele, m2, "timesketch",
                                           "-n", count)):
        assert event["timestamp_desc"] == "Ledger event"
        assert event["op"] == kind


# ---- CSV ----

def test_csv_is_rfc_4180(module_stele, m, rows):
    raw = module_stele.run("log", m.ledger, "-o", "csv", "--events").stdout
    assert raw.count(b"\r\n") == raw.count(b"\n") == len(rows) + 1
    table = list(csv.DictReader(io.StringIO(raw.decode(), newline="")))
    assert len(table) == len(rows)
    for line, row in zip(table, rows):
        assert None not in line and None not in line.values()
        assert line["type"] == row["type"] and line["op"] == row["op"]
        assert line["count"] == str(row["count"])
        assert line["time"] == row["time"]
        assert line["error"] == row.get("error", "")


def test_csv_has_no_formulas(module_stele, m):
    """Whatever an attacker calls a file or a process."""
    program = "=HYPERLINK(1)"
    raw = module_stele.run("log", m.ledger, "-o", "csv").stdout.decode()
    table = list(csv.reader(io.StringIO(raw, newline="")))
    for line in table:
        for cell in line:
            assert not re.match(r"[=+@\uff1d\uff0b\uff0d\uff20]", cell), cell
            assert not cell.startswith("-") or re.match(r"-\d+$", cell), cell
    assert program not in raw


def test_csv_defuses_a_formula_that_begins_a_cell(module_stele, stele, scratch,
                                                  attempt):
    """Paths begin with a slash; names of processes begin as they like."""
    top = os.path.join(scratch, "source")
    os.mkdir(top)
    trees.put(top + "/file", b"content\n")
    image = os.path.join(scratch, "csv.stele")
    stele.build(top, image)
    m = stele.mount(image, os.path.join(scratch, "mnt"))
    for name in ("=1+1", "@x", "+y", "-z"):
        subprocess.run(["bash", "-c", f"echo -n '{name}' >/proc/self/comm; "
                        f"echo >{m.path('file')}"], check=False,
                       stderr=subprocess.DEVNULL)
    m.umount()
    raw = stele.run("log", m.ledger, "-o", "csv").stdout.decode()
    table = list(csv.DictReader(io.StringIO(raw, newline="")))
    assert [r["comm"] for r in table] == ["'=1+1", "'@x", "'+y", "'-z"]


# ---- the rest of the command line ----

def test_completion_offers_the_formats(module_stele):
    text = module_stele.ok("help", "--completion", "bash")
    for option in ("-o", "--output"):
        assert f"'log':{option}) words='short wide json ocsf ecs falco csv " \
            "timesketch' ;;" in text


def test_help_names_every_format(module_stele):
    text = module_stele.ok("help", "log")
    for form in ("short", "wide", "json", "ocsf", "ecs", "falco", "csv",
                 "timesketch"):
        assert re.search(rf"^ {form} ", text, re.M), form


# ---- summary ----

def summary(stele, m, *words):
    return [json.loads(line) for line in
            stele.ok("log", "summary", m.ledger, "--json", *words).splitlines()]


def test_summary_counts_what_the_log_holds(module_stele, m, rows):
    total, *groups = summary(module_stele, m, "--by", "op")
    assert total["attempts"] == attempts(rows)
    want = {}
    for row in rows:
        if row["type"] == "attempt":
            want[row["op"]] = want.get(row["op"], 0) + row["count"]
    assert {g["key"]: g["count"] for g in groups} == want
    assert [g["count"] for g in groups] == sorted(want.values(), reverse=True)


def test_summary_tells_folded_names_apart(module_stele, m):
    _, *groups = summary(module_stele, m, "--by", "path", "-n", "100000")
    found = {g["key"]: g["count"] for g in groups}
    assert all(found[f"/folder/{i}"] == 1 for i in range(0, 2 * FLOOD, 2))
    assert found["/file"] >= FLOOD


def test_summary_overview_is_one_screen(module_stele, m, rows):
    text = module_stele.ok("log", "summary", m.ledger)
    assert text.startswith(f"{attempts(rows)} attempts in ")
    assert text.count("\n") <= 50
    for words in (" paths\n", " programs\n", " operations\n", " users\n",
                  "hours\n"):
        assert words in text
    assert "\u2588" in text
    for by in ("path", "exe", "comm", "container", "uid", "op", "rule",
               "hour", "process"):
        table = module_stele.ok("log", "summary", m.ledger, "--by", by)
        assert table.startswith("     COUNT") and len(table.splitlines()) > 1


def test_summary_takes_the_filters_of_the_log(module_stele, m):
    total, *groups = summary(module_stele, m, "--by", "uid", "--op", "unlink",
                             "--uid", str(NOBODY))
    assert total["attempts"] == 1
    assert [g["key"] for g in groups] == [NOBODY]
    done = module_stele.run("log", "summary", m.ledger, "--op", "fallocate")
    assert done.returncode == 1
    module_stele.refuses(USAGE, "log", "summary", m.ledger, "--by", "colour",
                         says=["colour", "container"])
    module_stele.refuses(USAGE, "log", "summary", m.ledger, "--new-since",
                         "soon", says=["soon"])
