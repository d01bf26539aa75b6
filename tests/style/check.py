#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Hold the repository against the rules of the house; TAP, one case a rule.
Usage: check.py [ROOT]
"""

import pathlib
import re
import shutil
import subprocess
import sys

import rules
import source

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Another release lays some lines out in another way.
CLANG_FORMAT = "14"


def clang_format(root, sources):
    """(why it is skipped or None, problems)"""
    for name in (f"clang-format-{CLANG_FORMAT}", "clang-format"):
        program = shutil.which(name)
        if program:
            break
    else:
        return "clang-format is not installed", []
    version = subprocess.run([program, "--version"], check=True, text=True,
                             stdout=subprocess.PIPE).stdout
    if f"version {CLANG_FORMAT}." not in version:
        return f"needs clang-format {CLANG_FORMAT}, not {version.strip()}", []
    files = [s.path for s in sources.values() if s.is_c]
    run = subprocess.run([program, "--dry-run", "-Werror", *files], cwd=root,
                         text=True, stderr=subprocess.PIPE, check=False)
    bad = re.findall(r"^(\S+?):(\d+):\d+: error", run.stderr, re.M)
    problems = [(path, int(line), "is not as clang-format -i leaves it")
                for path, line in dict.fromkeys(bad)]
    if run.returncode and not problems:
        problems.append((".clang-format", 1, run.stderr.strip()))
    return None, problems


def report(number, name, problems):
    print(f"{'not ok' if problems else 'ok'} {number} - {name}")
    for path, line, text in problems:
        print(f"# {path}:{line}: {text}")


def main(root):
    sources = source.read_tree(root)
    print(f"1..{len(rules.RULES) + 2}")

    # Rules that saw nothing would all be content.
    missing = [folder for folder in ("fs/base/", "util/", "tests/")
               if not any(p.startswith(folder) for p in sources)]
    report(1, "sources_found", [(m, 1, "no file seen") for m in missing])
    bad = bool(missing)
    for number, rule in enumerate(rules.RULES, 2):
        problems = sorted(rule(sources))
        report(number, rule.__name__, problems)
        bad |= bool(problems)

    skipped, problems = clang_format(root, sources)
    number = len(rules.RULES) + 2
    if skipped:
        print(f"ok {number} - clang_format # SKIP {skipped}")
    else:
        report(number, "clang_format", problems)
    return 1 if bad or problems else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT))
