# SPDX-License-Identifier: Apache-2.0
"""
The runner's own counting: what programs print and how they end, and the cases
that it makes of it. It judges everything else, so it is shown each way to fail.
"""

import os
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
import runner  # noqa: E402

pytestmark = [pytest.mark.user, pytest.mark.nofuse]

CMOCKA = """noise
<?xml version="1.0" encoding="UTF-8" ?>
<testsuites>
  <testsuite name="tests" time="0.001" tests="{n}" failures="0" errors="0">
{cases}
  </testsuite>
</testsuites>
"""
GOOD = '<testcase name="good" time="0.0" ></testcase>'
BAD = '<testcase name="bad"><failure><![CDATA[0x1 != 0x2\x01]]></failure>' \
    "</testcase>"
ERROR = '<testcase name="boom"><error><![CDATA[exception]]></error></testcase>'
SKIPPED = '<testcase name="later"><skipped/></testcase>'


def cmocka(*cases):
    return CMOCKA.format(n=len(cases), cases="\n".join(cases))


# what: (protocol, meson's result, status, output, passed, failed, skipped)
PROGRAMS = {
    "a plain program": ("exitcode", "OK", 0, "fine\n", 1, 0, 0),
    "one that fails": ("exitcode", "FAIL", 1, "", 0, 1, 0),
    "one that hangs": ("exitcode", "TIMEOUT", -9, "", 0, 1, 0),
    "one that skips": ("exitcode", "SKIP", 77, "no kernel\n", 0, 0, 1),
    "cmocka, good": ("exitcode", "OK", 0, cmocka(GOOD, GOOD), 2, 0, 0),
    "cmocka, two groups": (
        "exitcode", "OK", 0, cmocka(GOOD) + cmocka(GOOD), 2, 0, 0),
    "cmocka, bad": ("exitcode", "FAIL", 1, cmocka(GOOD, BAD), 1, 1, 0),
    "cmocka, crash in a case": (
        "exitcode", "FAIL", 1, cmocka(GOOD, ERROR), 1, 1, 0),
    "cmocka, skipped": (
        "exitcode", "OK", 0, "skipped: no disk\n" + cmocka(SKIPPED), 0, 0, 1),
    "cmocka, leak found at the end": (
        "exitcode", "FAIL", 1, cmocka(GOOD) + "LeakSanitizer\n", 1, 1, 0),
    "cmocka, status hides a failure": (
        "exitcode", "OK", 0, cmocka(BAD), 0, 1, 0),
    "cmocka, not XML": (
        "exitcode", "OK", 0, "<testsuites><a></testsuites>", 0, 1, 0),
    "tap": ("tap", "FAIL", 0, "1..3\nok 1 - a\nnot ok 2 - b\n# why\n"
            "ok 3 # SKIP no loop\n", 1, 1, 1),
    "tap, dies after its last case": (
        "tap", "ERROR", 1, "1..1\nok 1 - a\n", 1, 1, 0),
    "tap, plan not met": ("tap", "ERROR", 0, "1..2\nok 1 - a\n", 1, 1, 0),
    "tap, nothing": ("tap", "ERROR", 0, "", 0, 1, 0),
}


@pytest.fixture
def run():
    run = runner.Run((), None)
    yield run
    os.rmdir(run.tmp)


@pytest.mark.parametrize("what", PROGRAMS)
def test_cases_are_counted(run, what):
    protocol, result, status, output, *counts = PROGRAMS[what]
    run.meson_result("program", {
        "result": result, "returncode": status, "stdout": output}, protocol)
    assert run.tally.counts() == counts
    assert run.tally.line() == "{} passed, {} failed, {} skipped".format(
        *counts)


def test_reasons_are_shown(run, capsys):
    run.meson_result("a", {"result": "OK", "returncode": 0, "stdout":
                           "skipped: no disk\n" + cmocka(SKIPPED)}, "exitcode")
    run.meson_result("b", {"result": "FAIL", "returncode": 1, "stdout":
                           "not ok 1 - x\n# because\n"}, "tap")
    said = capsys.readouterr().out
    assert "SKIPPED a: later: no disk" in said
    assert "FAILED b: x\n    # because" in said


def test_command_is_ended_with_its_children():
    status, output = runner.command(
        ["sh", "-c", "echo begun; sleep 1000 & sleep 1000"], 0.5)
    assert status == -1
    assert "begun" in output and "still running" in output
