# SPDX-License-Identifier: Apache-2.0
"""Are the changes that were told exactly those between two snapshots? A
snapshot is a walk with lstat and read, which knows nothing of overlays."""

import base64
import hashlib
import os
import stat

KINDS = {stat.S_IFDIR: "folder", stat.S_IFLNK: "link", stat.S_IFCHR: "char",
         stat.S_IFBLK: "block", stat.S_IFIFO: "fifo", stat.S_IFSOCK: "socket",
         stat.S_IFREG: "file"}


def look(path):
    st = os.lstat(path)
    kind = KINDS[stat.S_IFMT(st.st_mode)]
    facts = {
        "type": kind, "mode": "%04o" % stat.S_IMODE(st.st_mode),
        "owner": (st.st_uid, st.st_gid), "mtime": st.st_mtime_ns,
        "size": st.st_size if kind in ("file", "link") else 0,
        "attributes": {
            name: os.getxattr(path, name, follow_symlinks=False)
            for name in os.listxattr(path, follow_symlinks=False)},
        "content": None, "target": None, "device": None,
        "id": (st.st_dev, st.st_ino), "nlink": st.st_nlink,
    }
    if kind == "file":
        with open(path, "rb") as f:
            facts["content"] = hashlib.sha256(f.read()).hexdigest()
    if kind == "link":
        facts["target"] = os.readlink(path)
    if kind in ("char", "block"):
        facts["device"] = [os.major(st.st_rdev), os.minor(st.st_rdev)]
    return facts


def snapshot(top, prefix):
    """{path: facts}; paths as they are in the image, where top is prefix."""
    top = os.fsencode(top)
    prefix = b"" if prefix == "/" else os.fsencode(prefix)
    found, todo = {}, [b""]
    while todo:
        at = todo.pop()
        facts = look(top + at)
        found[prefix + at or b"/"] = facts
        if facts["type"] == "folder":
            todo += [at + b"/" + name for name in os.listdir(top + at)]
    return found


def names(snap):
    """{id: the set of paths}"""
    groups = {}
    for path, facts in snap.items():
        if facts["type"] != "folder":
            groups.setdefault(facts["id"], set()).add(path)
    return groups


def path_of(line, key):
    """A name that is no UTF-8 is told twice; see util/out.h."""
    if key + "_raw" in line:
        return base64.b64decode(line[key + "_raw"])
    return line[key].encode()


ORDER = ["type", "mode", "owner", "size", "content", "mtime", "attributes",
         "target", "device"]


def what_differs(a, b):
    if a["type"] != b["type"]:
        return ["type"]
    return [key for key in ORDER if a[key] != b[key] and (
        key != "size" or a["type"] == "file")]


def parts(path):
    return [p for p in path.split(b"/") if p]


def is_below(path, top):
    return parts(path)[:len(parts(top))] == parts(top)


class Model:
    """What was before, changed as is told line by line."""

    def __init__(self, before, lines):
        self.before = before
        self.lines = [dict(line, path=path_of(line, "path"))
                      for line in lines]
        self.renames = {path_of(line, "from"): line["path"]
                        for line in self.lines if line["change"] == "renamed"}
        assert len(self.renames) == sum(
            line["change"] == "renamed" for line in self.lines)
        self.removed = set()   # old paths
        self.told = {}         # new path: its line
        self.known = []        # old paths of renames that were told
        self.place = {}        # new path: old paths that belong there
        for old in before:
            self.place.setdefault(self.new_path(old), []).append(old)

    def governor(self, old):
        """The renamed folder that an old path is in, or is."""
        found = None
        for source in self.renames:
            if is_below(old, source) and (
                    found is None or len(source) > len(found)):
                found = source
        return found

    def new_path(self, old):
        source = self.governor(old)
        if source is None:
            return old
        rest = parts(old)[len(parts(source)):]
        return b"/".join([self.renames[source], *rest])

    def take(self, path):
        """The old path that a removal at this place, at this point of the
        list, can only mean."""
        fitting = [old for old in self.place.get(path, [])
                   if old not in self.removed and (
                       self.governor(old) is None
                       or self.governor(old) in self.known)]
        assert fitting, f"{path}: removed, but nothing was there"
        return max(fitting, key=lambda old: self.known.index(
            self.governor(old)) if self.governor(old) else -1)

    def apply(self):
        for line in self.lines:
            path, change = line["path"], line["change"]
            if change == "removed":
                old = self.take(path)
                self.removed.add(old)
                assert_node(line["a"], self.before[old], path)
                continue
            assert path not in self.told, f"{path}: told twice"
            self.told[path] = line
            if change == "renamed":
                self.known.append(path_of(line, "from"))

    def survivors(self):
        """{new path: old path} of what is still there."""
        found = {}
        for path, olds in self.place.items():
            left = [old for old in olds if old not in self.removed]
            assert len(left) <= 1, f"{path}: {left} are all there"
            if left:
                found[path] = left[0]
        return found


def assert_node(node, facts, path):
    kind = facts["type"]
    seen = {"type": kind, "mode": facts["mode"], "uid": facts["owner"][0],
            "gid": facts["owner"][1], "size": facts["size"]}
    for key, value in seen.items():
        assert node[key] == value, (path, key, node[key], value)
    if kind == "link":
        assert path_of(node, "target") == facts["target"], path
    if facts["device"]:
        assert node["rdev"] == facts["device"], path


def assert_order(lines):
    """By name, a folder before what is in it; what a renamed folder took the
    place of just before it."""
    kept = []
    for line in lines:
        if line["change"] == "renamed":
            while kept and is_below(kept[-1]["path"], line["path"]):
                assert kept.pop()["change"] == "removed", line["path"]
        kept.append(line)
    keys = [parts(line["path"]) for line in kept]
    assert keys == sorted(keys)
    assert len({line["path"] for line in kept}) == len(kept)


def assert_links(model, after, survivors):
    """Links are told of a name exactly when the set of names is another one;
    of a set that differs, at least one name is told."""
    groups_before, groups_after = names(model.before), names(after)

    def sets(path):
        """The old names of the file, now under these names, and before."""
        old = survivors[path]
        now = groups_after[after[path]["id"]]
        return now, groups_before[model.before[old]["id"]]

    def same(path):
        now, before = sets(path)
        whole = len(before) == model.before[survivors[path]]["nlink"]
        return whole and {survivors.get(p) for p in now} == before

    for path, old in survivors.items():
        kinds = {after[path]["type"], model.before[old]["type"]}
        if "folder" in kinds or len(kinds) == 2:
            continue
        line = model.told.get(path)
        if line:
            assert ("links" in line["what"]) != same(path), (
                    path, line, *sets(path))
        elif not same(path):
            now, before = sets(path)
            about = now | {model.new_path(o) for o in before}
            lost = any(o in model.removed for o in before)
            whole = len(before) == model.before[old]["nlink"]
            assert lost or not whole or about & set(model.told), (
                f"{path}: now {now}, before {before}, and nothing is told")
    for path, line in model.told.items():
        if line["b"]["type"] != "folder":
            count = len(groups_after[after[path]["id"]])
            assert line["b"]["nlink"] == count, (path, line["b"], count)


def check(before, after, lines):
    """Raise unless the lines are what changed before into after."""
    model = Model(before, lines)
    model.apply()
    assert_order(model.lines)
    survivors = model.survivors()
    added = {p for p, line in model.told.items() if line["change"] == "added"}
    assert not added & set(survivors), "added, but it was there"
    expected = added | set(survivors)
    assert expected == set(after), (
        f"there: {set(after) - expected}, not there: "
        f"{[(p, survivors.get(p)) for p in expected - set(after)]}")
    for path, old in survivors.items():
        line = model.told.get(path, {"what": []})
        what = [w for w in line["what"] if w != "links"]
        want = what_differs(before[old], after[path])
        if want == ["type"]:
            what = line["what"]
        assert what == want, (path, old, before[old], after[path], line)
        assert line["what"] or line["change"] == "renamed" if (
            path in model.told) else True
    for path, line in model.told.items():
        assert_node(line["b"], after[path], path)
    # What is told removed and added at one name did change its identity.
    again = {line["path"] for line in model.lines
             if line["change"] == "removed"} & added
    for path in again:
        assert any(is_below(path, new) for new in model.renames.values()), (
            f"{path}: removed and added, not changed")
    assert_links(model, after, survivors)
