#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Show every rule something bad, which it must find, and something good, which it
must let pass; TAP. A rule that is not shown both is a failure.
"""

import pathlib
import shutil
import sys
import tempfile

import check
import rules
from source import Source, read_tree

SPDX = "/* SPDX-License-Identifier: Apache-2.0 */\n"


def handlers(leave_out=None):
    return ", ".join(f".{names[0]} = op_{names[0]}"
                     for names in rules.MUTATING if names[0] != leave_out)


def ops(text):
    """fs/mount/ops.c with these handlers."""
    return {"fs/mount/ops.c": "static const struct fuse_lowlevel_ops ops = {"
            f"\n\t.lookup = op_lookup, {text},\n}};\n"}


def function(lines):
    return "int f(void)\n{\n" + "\tg();\n" * (lines - 2) + "}\n"


# rule: (bad, good); bad is a list of (files, a part of what it must say), good
# a list of files. Files are {path: text}, or {path: (text, executable)}.
CASES = {
    "include_direction": ([
        ({"fs/image/a.c": '#include "fs/view/view.h"\n'}, "upward"),
        ({"fs/base/a.h": '#include "fs/codec/zstd.h"\n'}, "upward"),
        ({"fs/mount/a.c": '#include "util/out.h"\n'}, "upward"),
        ({"fs/image/a.c": '#include "fs/seal/note.h"\n'}, "sideways"),
        ({"fs/codec/a.c": '# include "fs/db/db.h"\n'}, "sideways"),
        ({"fs/tree/a.c": '#include "tree.h"\n'}, "not a path from the root"),
        ({"fs/tree/a.c": '#include "../base/buf.h"\n'}, "not a path"),
        ({"fs/tree/a.c": '#include "fs/attic/old.h"\n'}, "not a path"),
        ({"fs/attic/a.c": ""}, "no floor"),
        ({"fs/a.c": ""}, "no floor"),
    ], [
        {"fs/view/a.c": '#include "fs/view/view.h"\n'
                        '#include "fs/image/image.h"\n#include <stdio.h>\n'},
        {"util/a.c": '#include "util/out.h"\n#include "fs/mount/mount.h"\n'},
        {"tests/unit/a.c": '#include "fs/image/image_internal.h"\n'},
        {"fs/base/a.c": '/* as in\n#include "fs/view/view.h"\n*/\n'},
    ]),
    "include_own_header_first": ([
        ({"fs/base/a.c": '#include <stdio.h>\n#include "fs/base/a.h"\n',
          "fs/base/a.h": ""}, 'must be "fs/base/a.h"'),
        ({"fs/base/a.c": "int a;\n", "fs/base/a.h": ""}, "first include"),
    ], [
        {"fs/base/a.c": '#include "fs/base/a.h"\n#include <stdio.h>\n',
         "fs/base/a.h": ""},
        {"util/cmd_a.c": "#include <stdio.h>\n"},
    ]),
    "caged_libraries": ([
        ({"fs/image/a.c": "#include <openssl/evp.h>\n"}, "fs/codec only"),
        ({"fs/image/a.c": "#include <xxhash.h>\n"}, "fs/codec only"),
        ({"fs/tree/a.c": "#include <zstd.h>\n"}, "fs/codec only"),
        ({"fs/ledger/a.c": "#include <sqlite3.h>\n"}, "fs/db only"),
        ({"fs/mount/a.c": "#include <archive_entry.h>\n"}, "fs/tree only"),
        ({"fs/view/a.c": "#include <fuse_lowlevel.h>\n"}, "fs/mount only"),
        ({"util/a.c": "#include <fuse3/fuse.h>\n"}, "fs/mount only"),
        ({"util/a.c": "#include <linux/fuse.h>\n"}, "fs/mount only"),
        ({"fs/ledger/a.c": "#include <jansson.h>\n"}, "util only"),
    ], [
        {"fs/codec/a.c": "#include <openssl/evp.h>\n#include <zstd.h>\n"
                         "#include <xxhash.h>\n"},
        {"fs/db/a.c": "#include <sqlite3.h>\n"},
        {"fs/tree/a.c": "#include <archive.h>\n"},
        {"fs/mount/a.c": "#include <fuse_lowlevel.h>\n"},
        {"util/a.c": "#include <jansson.h>\n"},
        {"fs/image/a.c": '#include "fs/codec/zstd.h"\n'},
        {"tests/unit/a.c": "#include <sqlite3.h>\n"},
    ]),
    "replies_in_mount_only": ([
        ({"fs/view/a.c": "\tfuse_reply_err(req, 0);\n"}, "fuse_reply_err"),
        ({"util/a.c": "\tfuse_reply_none(req);\n"}, "fuse_reply_none"),
    ], [
        {"fs/mount/a.c": "\tfuse_reply_err(req, 0);\n"},
        {"fs/view/a.c": "/* no fuse_reply_err here */\n"},
    ]),
    "erofs_in_gate_only": ([
        ({"fs/mount/ops.c": "\treturn -EROFS;\n"}, "gate.c only"),
        ({"fs/mount/gate.h": "#define NO EROFS\n"}, "gate.c only"),
        ({"util/a.c": "\tif (r == -EROFS)\n"}, "gate.c only"),
    ], [
        {"fs/mount/gate.c": "\treturn -EROFS;\n"},
        {"fs/mount/ops.c": "/* the gate answers EROFS */\n"},
        {"util/a.c": '\t.description = "answers EROFS",\n'},
        {"tests/unit/a.c": "\tassert_int_equal(r, -EROFS);\n"},
    ]),
    "no_enosys_in_mount": ([
        ({"fs/mount/ops.c": "\treply(req, ENOSYS);\n"}, "never asks again"),
    ], [
        {"fs/mount/ops.c": "/* never ENOSYS */\n"},
        {"fs/tree/a.c": "\tif (errno == ENOSYS)\n"},
    ]),
    "mutating_handlers": ([
        (ops(handlers(names[0])), f"no handler for {' or '.join(names)}")
        for names in rules.MUTATING
    ] + [
        (ops(handlers().replace("op_rename", "NULL")), "rename is NULL"),
        (ops(handlers().replace("op_ioctl", "0")), "ioctl is NULL"),
        (ops(handlers().replace("op_mkdir", "(void *)0")), "mkdir is NULL"),
        (ops(handlers("unlink") + ", /* .unlink = op_unlink */"),
         "no handler for unlink"),
        ({"fs/mount/ops.c": "int f(void);\n"}, "no initialiser"),
        ({"fs/mount/ops.c": "\t*ret = (struct fuse_lowlevel_ops){\n\t\t"
                            ".lookup = op_lookup,\n\t};\n"}, "for setattr"),
    ], [
        ops(handlers()),
        ops(handlers().replace("write_buf", "write")),
        {"fs/mount/ops.c": "\t*ret = (struct fuse_lowlevel_ops){\n\t\t"
                           + handlers() + ",\n\t};\n"},
        {"fs/base/a.c": ""},
    ]),
    "file_length": ([
        ({"fs/base/a.c": "\n" * 601}, "601 lines"),
        ({"tests/run.py": "\n" * 601}, "601 lines"),
    ], [
        {"fs/base/a.c": "\n" * 600},
        {"fs/FORMAT.md": "\n" * 900},
    ]),
    "function_length": ([
        ({"fs/base/a.c": function(61)}, "f has 61 lines"),
        ({"tests/unit/a.c": function(5) + function(70)}, "70 lines"),
    ], [
        {"fs/base/a.c": function(60) * 2},
        {"fs/base/a.c": "const int a[] = {\n" + "\t1,\n" * 99 + "};\n"},
    ]),
    "line_width": ([
        ({"fs/base/a.c": "x" * 81 + "\n"}, "81 columns"),
        ({"fs/base/a.c": "\t" * 10 + "x\n"}, "81 columns"),
        ({"tests/a.py": "#" * 101 + "\n"}, "101 columns"),
    ], [
        {"fs/base/a.c": "\t" * 9 + "x" * 8 + "\n"},
        {"fs/base/a.c": '\t"' + "é" * 70 + '"\n'},
        {"fs/FORMAT.md": "x" * 200 + "\n"},
    ]),
    "banned_calls": ([
        ({"fs/base/a.c": f"\t{name} (a, b);\n"}, f"{name}() is banned")
        for name in rules.BANNED
    ], [
        {"fs/base/a.c": "\tfile_system(a);\n\tx = snprintf(a);\n"
                        '\t/* strcpy() */ s("system()");\n'},
    ]),
    "comment_form": ([
        ({"fs/base/a.c": "int a; // why\n"}, "comments are"),
        ({"fs/base/a.c": "/* a */ int a; // why\n"}, "comments are"),
        ({"fs/base/a.c": "#if 0\nint a;\n#endif\n"}, "#if 0"),
    ], [
        {"fs/base/a.c": '/* see // here */\nconst char *a = "//";\n'
                        "char b = '\"'; /* \" // */\n#if 01\n#endif\n"},
    ]),
    "leftovers": ([
        ({"fs/base/a.c": f"/*\n * {word}: later\n */\n"}, f"{word} in a")
        for word in ("TODO", "FIXME", "XXX", "HACK")
    ] + [
        ({"tests/a.py": "x = 1  # TODO\n"}, "TODO in a comment"),
        ({"meson.build": "# FIXME\n"}, "FIXME in a comment"),
    ], [
        {"fs/base/a.c": 'char t[] = "x.XXXXXX"; /* as in x.XXXXXX */\n'},
        {"tests/a.py": 'WORD = " # TODO"\n'},
    ]),
    "licence_line": ([
        ({"fs/base/a.c": "int a;\n"}, "no SPDX"),
        ({"fs/base/a.c": "\n" + SPDX}, "no SPDX"),
        ({"tests/a.py": '"""doc"""\n'}, "no SPDX"),
        ({"tests/run": "#!/bin/bash\nset -e\n"}, "no SPDX"),
        ({"tests/a.sh": "# SPDX-License-Identifier: MIT\n"}, "no SPDX"),
    ], [
        {"fs/base/a.c": SPDX},
        {"tests/run": "#!/bin/sh\n" + SPDX.replace("/*", "#").
         replace(" */", "")},
        {"fs/README.md": "# House\n"},
    ]),
    "header_guard": ([
        ({"fs/base/a.h": "#ifndef A_H\n#define A_H\n#endif\n"}, "FS_BASE_A_H"),
        ({"fs/base/a.h": "#ifndef FS_BASE_A_H\n#define FS_BASE_B_H\n#endif\n"},
         "FS_BASE_A_H"),
        ({"fs/base/a.h": "#include <stdio.h>\n#ifndef FS_BASE_A_H\n"
                         "#define FS_BASE_A_H\n#endif\n"}, "FS_BASE_A_H"),
        ({"fs/base/a.h": "#ifndef FS_BASE_A_H\n#define FS_BASE_A_H\n#endif\n"
                         "int a;\n"}, "FS_BASE_A_H"),
        ({"fs/base/a.h": "#pragma once\n"}, "FS_BASE_A_H"),
        ({"fs/base/a.h": ""}, "FS_BASE_A_H"),
        ({"tests/unit/a.h": "#pragma once\nint a;\n"}, "TESTS_UNIT_A_H"),
    ], [
        {"fs/base/a.h": SPDX + "/* What. */\n#ifndef FS_BASE_A_H\n"
                               "#define FS_BASE_A_H\n\nint a;\n\n#endif\n"},
    ]),
    "whitespace": ([
        ({"fs/base/a.c": "int a; \n"}, "end of the line"),
        ({"meson.build": "\t\n"}, "end of the line"),
        ({"fs/base/a.c": "int a;\r\n"}, "end of the line"),
        ({"fs/base/a.c": "int a;"}, "no newline"),
        ({"fs/base/a.c": "int a;\n\n"}, "blank lines"),
    ], [
        {"fs/base/a.c": "int a;\n\nint b;\n", "fs/base/b.c": ""},
    ]),
    "executable_bits": ([
        ({"tests/run": ("#!/bin/sh\n", False)}, "not executable"),
        ({"fs/base/a.c": ("int a;\n", True)}, "no script"),
    ], [
        {"tests/run": ("#!/bin/sh\n", True), "tests/a.py": ("x = 1\n", False)},
    ]),
    "fs_is_silent": ([
        ({"fs/base/a.c": '\tprintf("a");\n'}, "printf"),
        ({"fs/base/a.c": "\tfprintf(stderr, a);\n"}, "stderr"),
        ({"fs/mount/a.c": "\t_exit(1);\n"}, "_exit"),
        ({"fs/mount/a.c": '\tgetenv("HOME");\n'}, "getenv"),
    ], [
        {"fs/base/a.c": "\tsnprintf(a, 1, b);\n\tsource->exit(1);\n"},
        {"util/a.c": '\tprintf("a");\n\texit(1);\n'},
    ]),
    "no_mutable_globals": ([
        ({"fs/base/a.c": "static int a;\n"}, "a is a mutable global"),
        ({"fs/base/a.c": "unsigned long long count = 0;\n"}, "count is"),
        ({"fs/base/a.c": "static struct foo *foos[3] = {\n};\n"}, "foos is"),
        ({"fs/base/a.c": "struct foo bar;\n"}, "bar is"),
    ], [
        {"fs/base/a.c": "static const int a = 1;\nstruct foo;\n"
                        "static const char *const b[] = {\n};\n"
                        "int f(int a);\nextern int c;\n"
                        "typedef int d;\nenum { A };\n\tint local;\n"
                        "static volatile sig_atomic_t stop;\n"},
        {"util/a.c": "static int a;\n"},
    ]),
}


def make(files):
    sources = {}
    for path, text in files.items():
        text, executable = text if isinstance(text, tuple) else (text, False)
        sources[path] = Source(path, text, executable)
    return sources


def try_rule(rule):
    """What is wrong with the rule, in lines."""
    bad, good = CASES.get(rule.__name__, ([], []))
    if not bad or not good:
        yield "it is not shown something bad and something good"
    for files, words in bad:
        found = list(rule(make(files)))
        if not any(words in text for _, _, text in found):
            yield f"found {found} instead of '{words}' in {files}"
    for files in good:
        found = list(rule(make(files)))
        if found:
            yield f"found {found} in {files}"


def try_lines():
    """Is the problem told where it is?"""
    files = {"fs/base/a.c": '/* a\n * b */\n\n"\\"";\tstrcpy(a, b);\n'}
    found = list(rules.banned_calls(make(files)))
    if [(path, line) for path, line, _ in found] != [("fs/base/a.c", 4)]:
        yield f"found {found} instead of line 4"


def try_tree(folder):
    """Are the right files read, with their modes?"""
    for path in ("fs/a.c", "build/b.c", ".git/c.c", "subprojects/x/d.c",
                 "tests/run", "tests/fuzz/corpus/e.txt", "tests/f.bin"):
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("#!/bin/sh\n" if path == "tests/run" else "")
    (folder / "tests/run").chmod(0o755)
    found = {s.path: s.executable for s in read_tree(folder).values()}
    if found != {"fs/a.c": False, "tests/run": True}:
        yield f"found {found}"


def try_clang_format(folder):
    """Nothing is found where clang-format cannot run: check.py says so."""
    shutil.copy(check.ROOT / ".clang-format", folder)
    (folder / "good.c").write_text("int f(int a)\n{\n\treturn a;\n}\n")
    (folder / "bad.c").write_text("int f (int a) {\n  return a; }\n")
    skipped, problems = check.clang_format(folder, read_tree(folder))
    if not skipped and {path for path, _, _ in problems} != {"bad.c"}:
        yield f"found {problems}"


def main():
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for name in ("tree", "format"):
            (folder / name).mkdir()
        cases = [(rule.__name__, try_rule(rule)) for rule in rules.RULES]
        cases += [
            ("line_numbers", try_lines()),
            ("read_tree", try_tree(folder / "tree")),
            ("clang_format", try_clang_format(folder / "format")),
            ("no_case_without_rule", iter(sorted(
                set(CASES) - {rule.__name__ for rule in rules.RULES}))),
        ]
        return run(cases)


def run(cases):
    failed = 0
    print(f"1..{len(cases)}")
    for number, (name, problems) in enumerate(cases, 1):
        lines = list(problems)
        failed += bool(lines)
        print(f"{'not ok' if lines else 'ok'} {number} - {name}")
        for line in lines:
            print("# " + line.replace("\n", "\\n"))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
