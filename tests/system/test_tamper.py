# SPDX-License-Identifier: Apache-2.0
"""Whatever is done to the ledger of a real mount is found by stele log verify,
named, and has its own exit code; what nobody touched is intact."""

import json
import os
import shutil
import sqlite3
import time

import pytest

import support
from support import INPUT, NO, UNSUPPORTED, USAGE

(EDITED, TRUNCATED, ROLLED_BACK, FORKED, UNSIGNED, CRASHED) = range(20, 26)

# Changes of mode, each to another one: no two are folded.
CALLS = 300
TABLES = {"mount": "id = 1", "proc": "id = 1", "attempt": "seq = 100",
          "event": "seq = 1", "node": "ino > 0"}


def calls(first, count=CALLS):
    return [f"chmod file {mode:04o}" for mode in range(first, first + count)]


class Evidence:
    """A ledger that two mounts wrote, one after another, with copies."""

    def __init__(self, stele, folder):
        self.stele = stele
        self.folder = folder
        self.ledger = os.path.join(folder, "good.ledger")
        self.older = os.path.join(folder, "older.ledger")
        self.anchors = os.path.join(folder, "anchors")
        self.key = ""

    def copy(self, folder, ledger=None, keyfile=True):
        """A copy to spoil."""
        ledger = ledger or self.ledger
        path = os.path.join(folder, "spoiled.ledger")
        for name in os.listdir(folder):
            if name.startswith("spoiled"):
                os.unlink(os.path.join(folder, name))
        shutil.copy(ledger, path)
        if keyfile:
            shutil.copy(ledger + "-key", path + "-key")
        return path

    def verify(self, path, *words):
        """(exit code, findings, result)"""
        done = self.stele.run("log", "verify", path, "--json", *words)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        if not lines:
            return done.returncode, [], done.stderr.decode()
        assert lines[-1]["code"] == done.returncode
        return done.returncode, lines[:-1], lines[-1]


@pytest.fixture(scope="module")
def evidence(module_stele, module_scratch, attempt):
    e = Evidence(module_stele, module_scratch)
    source = os.path.join(module_scratch, "source")
    os.mkdir(source)
    with open(os.path.join(source, "file"), "w") as f:
        f.write("content\n")
    image = os.path.join(module_scratch, "image.stele")
    module_stele.build(source, image)
    for first in (0, CALLS):
        m = module_stele.mount(image, os.path.join(module_scratch, "mnt"),
                               "--anchor", f"file:{e.anchors}",
                               ledger=e.ledger)
        assert attempt.run(m, calls(first)) == ["EROFS"] * CALLS
        m.umount()
        if first == 0:
            e.copy(module_scratch)
            for end in ("", "-key"):
                shutil.copy(e.ledger + end, e.older + end)
    e.key = module_stele.ok("log", "key", e.ledger).strip()
    e.image = image
    return e


def change(path, sql):
    db = sqlite3.connect(path)
    db.executescript(sql)
    db.commit()
    db.close()


def texts(found, kind):
    return [f["text"] for f in found if f["kind"] == kind]


@pytest.mark.parametrize("words", [
    (), ("--public-key", "KEY"), ("--expect", "ANCHORS"),
    ("--public-key", "KEY", "--expect", "ANCHORS")])
def test_an_untouched_ledger_is_intact(evidence, words):
    given = {"KEY": evidence.key, "ANCHORS": evidence.anchors}
    code, found, result = evidence.verify(
        evidence.ledger, *(given.get(w, w) for w in words))
    assert code == 0, found
    assert [f for f in found if f["kind"] != "note"] == []
    assert result["attempts"] == 2 * CALLS
    assert result["signed_size"] == result["records"]
    assert result["key_file"]
    assert result["key_given"] == ("KEY" in words)
    assert (result["expected"] > 0) == ("ANCHORS" in words)


@pytest.mark.parametrize("table", TABLES)
def test_no_column_can_be_changed(evidence, scratch, table):
    """Also the time: t_real is one of them."""
    db = sqlite3.connect(evidence.ledger)
    columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
    db.close()
    for column in columns:
        path = evidence.copy(scratch)
        change(path, f"""UPDATE {table} SET {column} =
               CASE typeof({column}) WHEN 'integer' THEN {column} + 10000
               WHEN 'null' THEN 1 ELSE {column} || 'x' END
               WHERE {TABLES[table]}""")
        code, found, _ = evidence.verify(path, "-k", evidence.key)
        assert code == EDITED, (column, found)


ROWS = "(SELECT {0}, mount_id, t_real, t_boot, {1}, path, text, count" \
       " FROM event WHERE seq = 1)"

TAMPERINGS = {
    "edit a record": (
        "UPDATE attempt SET path = '/nothing' WHERE seq = 77",
        EDITED, "record 77: edited"),
    "delete a record": (
        "DELETE FROM attempt WHERE seq = 77", EDITED, "record 77: removed"),
    "delete the last records": (
        "DELETE FROM attempt WHERE seq > 590;"
        "DELETE FROM event WHERE seq > 590", TRUNCATED, "record 590"),
    "delete the last records with their checkpoints": (
        "DELETE FROM attempt WHERE seq > 310;"
        "DELETE FROM event WHERE seq > 310;"
        "DELETE FROM checkpoint WHERE size > 310;"
        "DELETE FROM anchor WHERE size > 310;"
        "DELETE FROM tile WHERE n > 0", ROLLED_BACK, "key file"),
    "put a record in": (
        "INSERT INTO event SELECT * FROM " + ROWS.format(77, "kind"),
        EDITED, "record 77: put in"),
    "put a sign of life behind the end": (
        "INSERT INTO event SELECT * FROM "
        + ROWS.format("(SELECT max(seq) + 1 FROM event)", "'heartbeat'"),
        CRASHED, "not signed"),
    "swap two records": (
        "UPDATE attempt SET seq = -1 WHERE seq = 60;"
        "UPDATE attempt SET seq = 60 WHERE seq = 61;"
        "UPDATE attempt SET seq = 61 WHERE seq = -1",
        EDITED, "records 60 to 61: edited"),
    "swap two segments": (
        "UPDATE tile SET n = 99 WHERE n = 0;"
        "UPDATE tile SET n = 0 WHERE n = 1;"
        "UPDATE tile SET n = 1 WHERE n = 99;"
        + "".join(
            f"UPDATE {table} SET seq = seq + 100000 WHERE seq <= 256;"
            f"UPDATE {table} SET seq = seq - 256 WHERE seq BETWEEN 257 AND 512;"
            f"UPDATE {table} SET seq = seq - 99744 WHERE seq > 100000;"
            for table in ("attempt", "event")),
        EDITED, "one or more of the records"),
    "set the time of a record back": (
        "UPDATE attempt SET t_real = t_real - 86400000000000 WHERE seq = 200",
        EDITED, "record 200: edited"),
    "remove a signature": (
        "UPDATE checkpoint SET note = substr(note, 1, instr(note,"
        " char(10) || char(10)) + 1) WHERE size ="
        " (SELECT max(size) FROM checkpoint)", UNSIGNED, "malformed"),
    "remove the last checkpoint": (
        "DELETE FROM checkpoint WHERE size ="
        " (SELECT max(size) FROM checkpoint)", UNSIGNED, "removed"),
    "remove all checkpoints": (
        "DELETE FROM checkpoint", UNSIGNED, "removed"),
    "change a root": (
        "UPDATE checkpoint SET note = replace(note, substr(note, instr(note,"
        " char(10) || char(10)) - 9, 4), 'AAAA')", UNSIGNED,
        "wrong signature"),
    "change the hashes of a tile": (
        "UPDATE tile SET leaves = zeroblob(8192) WHERE n = 1",
        EDITED, "tile 1"),
    "change a tile's root": (
        "UPDATE tile SET root = zeroblob(32) WHERE n = 1", EDITED, "tile 1"),
    "edit a record and its tile": (
        "UPDATE attempt SET uid = 5 WHERE seq = 77;"
        "DELETE FROM tile WHERE n = 0", EDITED, "one or more of the records"),
    "remove records as retention does": (
        "DELETE FROM attempt WHERE seq <= 256;"
        "DELETE FROM event WHERE seq <= 256;"
        "UPDATE tile SET leaves = NULL WHERE n = 0", EDITED,
        "not by retention"),
    "remove the key": (
        "DELETE FROM epoch", UNSIGNED, "no key"),
    "remove the name": (
        "DELETE FROM meta WHERE key = 'origin'", UNSIGNED, "its name"),
    "change what operations are called": (
        "UPDATE op SET name = 'read' WHERE name = 'chmod'", EDITED,
        "table op"),
}


@pytest.mark.parametrize("what", TAMPERINGS)
def test_each_way_to_tamper_is_found_and_named(evidence, scratch, what):
    sql, expected, words = TAMPERINGS[what]
    path = evidence.copy(scratch)
    change(path, sql)
    code, found, result = evidence.verify(path, "-k", evidence.key)
    assert code == expected, (found, result)
    assert any(words in f["text"] for f in found), found
    # And for a person: a line each, the verdict, what to do.
    done = evidence.stele.run("log", "verify", path, "-k", evidence.key)
    said = done.stdout.decode()
    assert done.returncode == expected
    assert words in said and result["result"] + ": " in said
    assert said.count("\n") >= 5


def test_a_change_of_keys_can_not_be_changed(evidence, scratch, attempt):
    """Keys change every 10,000 records; and when a ledger is recovered."""
    path = evidence.copy(scratch)
    change(path, "DELETE FROM attempt WHERE seq = 77")
    m = evidence.stele.mount(evidence.image, os.path.join(scratch, "mnt"),
                             "--recover", ledger=path)
    assert attempt.run(m, calls(0, 10)) == ["EROFS"] * 10
    m.umount()
    code, found, _ = evidence.verify(path, "-k", evidence.key)
    assert code == EDITED, found
    assert texts(found, "note"), found  # the recovery
    rows = sqlite3.connect(path).execute(
        "SELECT count(*) FROM epoch").fetchone()[0]
    assert rows == 2
    for sql in ("UPDATE epoch SET note = NULL WHERE number = 1",
                "UPDATE epoch SET size = size - 1 WHERE number = 1",
                "DELETE FROM epoch WHERE number = 1",
                "UPDATE epoch SET key = (SELECT key FROM epoch"
                " WHERE number = 0) WHERE number = 1"):
        shutil.copy(path, path + "-spoiled")
        change(path + "-spoiled", sql)
        _, found, _ = evidence.verify(path + "-spoiled")
        assert texts(found, "unsigned"), (sql, found)


def test_an_older_copy_is_found(evidence, scratch):
    path = evidence.copy(scratch, evidence.older)
    assert evidence.verify(path, "-k", evidence.key)[0] == 0
    code, found, _ = evidence.verify(path, "-e", evidence.anchors)
    assert code == ROLLED_BACK, found
    # The last note, as the line that goes to a log.
    with open(evidence.anchors) as f:
        notes = f.read().strip("\n").split("\n\n")
    line = "stele checkpoint " + " ".join("\n".join(notes[-2:]).split("\n"))
    code, found, _ = evidence.verify(path, "-e", line)
    assert code == ROLLED_BACK, found
    # The key file remembers, too.
    shutil.copy(evidence.ledger + "-key", path + "-key")
    code, found, _ = evidence.verify(path)
    assert code == ROLLED_BACK, found
    assert "key file" in texts(found, "rolled-back")[0]


def test_a_second_history_is_found(evidence, scratch, attempt):
    """An older copy with its older key goes on, and signs other records with
    the right key and the same numbers: only what was anchored tells."""
    path = evidence.copy(scratch, evidence.older)
    m = evidence.stele.mount(evidence.image, os.path.join(scratch, "mnt"),
                             ledger=path)
    assert attempt.run(m, calls(0)) == ["EROFS"] * CALLS
    m.umount()
    assert evidence.verify(path, "-k", evidence.key)[0] == 0
    code, found, _ = evidence.verify(path, "-e", evidence.anchors)
    assert code == FORKED, found
    shutil.copy(evidence.ledger + "-key", path + "-key")
    code, found, _ = evidence.verify(path)
    assert code == FORKED, found


def test_a_ledger_written_anew_is_found(evidence, scratch, attempt):
    path = os.path.join(scratch, "anew.ledger")
    m = evidence.stele.mount(evidence.image, os.path.join(scratch, "mnt"),
                             ledger=path)
    attempt.run(m, calls(0, 10))
    m.umount()
    assert evidence.verify(path)[0] == 0  # by its own key
    code, found, _ = evidence.verify(path, "-k", evidence.key)
    assert code == FORKED, found
    assert evidence.verify(path, "-e", evidence.anchors)[0] == FORKED
    shutil.copy(evidence.ledger + "-key", path + "-key")
    assert evidence.verify(path)[0] == FORKED
    # With the name of the true one it is no better.
    db = sqlite3.connect(evidence.ledger)
    name = db.execute("SELECT value FROM meta WHERE key = 'origin'")
    change(path, "UPDATE meta SET value = '" + name.fetchone()[0]
           + "' WHERE key = 'origin'")
    db.close()
    assert evidence.verify(path)[0] in (FORKED, UNSIGNED)


def test_a_live_ledger_is_intact_at_any_moment(evidence, scratch, attempt):
    path = os.path.join(scratch, "live.ledger")
    m = evidence.stele.mount(evidence.image, os.path.join(scratch, "mnt"),
                             ledger=path)
    flood = attempt.start(m, (line for _ in range(20) for line in calls(0)))
    flood.stdin.close()
    rounds = 0
    while flood.poll() is None or rounds < 3:
        code, found, _ = evidence.verify(path)
        assert code == 0, found
        rounds += 1
    flood.stdout.close()
    m.umount()
    assert evidence.verify(path)[0] == 0


def test_after_a_kill_it_is_unverifiable_until_it_is_gone_on_with(
        evidence, scratch, attempt):
    path = os.path.join(scratch, "killed.ledger")
    point = os.path.join(scratch, "mnt")
    m = evidence.stele.mount(evidence.image, point, ledger=path)
    support.wait_until(
        lambda: evidence.verify(path)[2]["signed_size"] > 0, "a checkpoint")
    attempt.run(m, calls(0, 50))
    m.kill()
    code, found, result = evidence.verify(path)
    if result["signed_size"] < result["records"]:
        assert code == CRASHED, found
    else:
        assert code == 0, found
    m = evidence.stele.mount(evidence.image, point, ledger=path)
    m.umount()
    code, found, result = evidence.verify(path)
    assert code == 0, found
    assert result["attempts"] == 50
    assert any("recovery" in text for text in texts(found, "note")) or \
        result["signed_size"] == result["records"]


def test_what_is_no_ledger_has_its_own_codes(evidence, scratch):
    stele = evidence.stele
    path = evidence.copy(scratch)
    change(path, "UPDATE meta SET value = 99 WHERE key = 'version'")
    stele.refuses(UNSUPPORTED, "log", "verify", path, says=("newer",))
    path = evidence.copy(scratch)
    change(path, "DROP TABLE checkpoint")  # as if it were never signed
    stele.refuses(INPUT, "log", "verify", path)
    path = evidence.copy(scratch)
    with open(path, "r+b") as f:
        f.seek(8192)
        f.write(os.urandom(4096))
    stele.refuses(INPUT, "log", "verify", path, says=("damaged",))
    stele.refuses(USAGE, "log", "verify")
    stele.refuses(USAGE, "log", "verify", path, "-k", "nonsense")
    stele.refuses(INPUT, "log", "verify", path, "-e", "/etc/passwd")
    stele.refuses(USAGE, "log", "check-proof", path)


def test_a_proof_needs_nothing_but_the_key(evidence, scratch):
    stele = evidence.stele
    proof = os.path.join(scratch, "proof")
    db = sqlite3.connect(evidence.ledger)
    modes = dict(db.execute("SELECT seq, mode FROM attempt"))
    db.close()
    for seq in (2, 256, 257, 300, max(modes)):
        stele.ok("log", "prove", evidence.ledger, str(seq), "-o", proof)
        shown = json.loads(stele.ok("log", "check-proof", proof, "-k",
                                    evidence.key, "--json"))
        assert shown["seq"] == seq
        rows = {row["row"]: row for row in shown["rows"]}
        assert rows["attempt"]["mode"] == modes[seq]
        assert rows["attempt"]["path"] == "/file"
        assert rows["process"]["comm"] == "attempt"
        assert rows["mount"]["image_path"] == evidence.image
        assert rows["target"]["size"] == 8
        said = stele.ok("log", "check-proof", proof, "-k", evidence.key)
        assert f"proved: record {seq} " in said and "/file" in said
    key = os.path.join(scratch, "vkey")
    with open(key, "w") as f:
        f.write(evidence.key + "\n")
    stele.ok("log", "check-proof", proof, "-k", key, "-q")

    with open(proof) as f:
        text = f.read()
    other = stele.folder + "-none"
    assert not os.path.exists(other)
    with open(proof, "w") as f:
        f.write(text.replace("index ", "index 1"))
    stele.refuses({EDITED, UNSIGNED}, "log", "check-proof", proof, "-k", key)
    stele.refuses(NO, "log", "prove", evidence.ledger, "99999")
    stele.refuses(USAGE, "log", "prove", evidence.ledger, "-1")


def test_it_does_not_take_long(evidence):
    """Not a benchmark: seconds would mean that something is read again and
    again."""
    begin = time.monotonic()
    assert evidence.verify(evidence.ledger)[0] == 0
    assert time.monotonic() - begin < 30
