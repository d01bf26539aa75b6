# SPDX-License-Identifier: Apache-2.0
"""What the Elastic Common Schema 9 says about the fields that stele uses, and a
check of a document against it.

Written by hand from the schema's own files (elastic/ecs: schemas/*.yml). Only
fields that we use are here; what is below "stele" is ours and free."""

import re

# Types: keyword and text are strings, long is an integer, date is ISO 8601,
# and a list means an array of that type.
FIELDS = {
    "@timestamp": "date", "message": "text", "ecs.version": "keyword",
    "log.level": "keyword",
    "event.sequence": "long", "event.action": "keyword",
    "event.kind": "keyword", "event.provider": "keyword",
    "event.module": "keyword", "event.dataset": "keyword",
    "event.severity": "long", "event.category": ["keyword"],
    "event.type": ["keyword"], "event.id": "keyword",
    "event.hash": "keyword", "event.outcome": "keyword",
    "event.start": "date", "event.end": "date", "event.duration": "long",
    "event.reason": "keyword",
    "error.code": "keyword",
    "rule.name": "keyword", "rule.ruleset": "keyword",
    "host.hostname": "keyword", "host.name": "keyword", "host.id": "keyword",
    "host.boot.id": "keyword", "host.pid_ns_ino": "keyword",
    "observer.vendor": "keyword", "observer.product": "keyword",
    "observer.type": "keyword", "observer.version": "keyword",
    "user.id": "keyword", "group.id": "keyword",
    "container.id": "keyword", "container.runtime": "keyword",
    "orchestrator.resource.id": "keyword",
    "file.path": "keyword", "file.name": "keyword",
    "file.directory": "keyword", "file.inode": "keyword",
    "file.mode": "keyword", "file.uid": "keyword", "file.gid": "keyword",
    "file.size": "long", "file.type": "keyword",
    "file.target_path": "keyword", "file.hash.sha256": "keyword",
    "process.pid": "long", "process.vpid": "long",
    "process.entity_id": "keyword", "process.name": "keyword",
    "process.executable": "keyword", "process.command_line": "keyword",
    "process.args": ["keyword"], "process.working_directory": "keyword",
    "process.start": "date", "process.hash.sha256": "keyword",
    "process.thread.id": "long",
    "process.thread.capabilities.effective": ["keyword"],
    "process.tty.char_device.major": "long",
    "process.tty.char_device.minor": "long",
    "process.user.id": "keyword", "process.real_user.id": "keyword",
    "process.saved_user.id": "keyword", "process.group.id": "keyword",
    "process.real_group.id": "keyword", "process.saved_group.id": "keyword",
    "process.supplemental_groups.id": ["keyword"],
    "process.parent.pid": "long", "process.parent.name": "keyword",
    "process.parent.executable": "keyword",
    "process.parent.command_line": "keyword",
    "process.parent.args": ["keyword"], "process.parent.start": "date",
    "process.parent.hash.sha256": "keyword",
}

REQUIRED = {"@timestamp", "ecs.version"}
VALUES = {
    "event.kind": {"alert", "asset", "enrichment", "event", "metric", "state",
                   "pipeline_error", "signal"},
    "event.outcome": {"failure", "success", "unknown"},
    "event.category": {"file", "host", "process", "intrusion_detection"},
    "event.type": {"access", "change", "creation", "deletion", "denied",
                   "error", "info"},
}
DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$")
CAPABILITY = re.compile(r"(CAP_[A-Z_]+|\d+)$")


def leaves(document, path=""):
    """(path, value) of what is no object."""
    for key, value in document.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{path}{key}.")
        else:
            yield path + key, value


def fits(value, kind):
    if isinstance(kind, list):
        return isinstance(value, list) and all(fits(v, kind[0])
                                               for v in value)
    if kind == "long":
        return type(value) is int and -2 ** 63 <= value < 2 ** 63
    if kind == "date":
        return isinstance(value, str) and bool(DATE.match(value))
    return isinstance(value, str)


def problems(document):
    """All that is wrong with a document, as lines."""
    found = {path: value for path, value in leaves(document)
             if not path.startswith("stele.")}
    wrong = [f"{path} is required" for path in REQUIRED - set(found)]
    for path, value in found.items():
        if path not in FIELDS:
            wrong.append(f"{path} is unknown")
        elif not fits(value, FIELDS[path]):
            wrong.append(f"{path} is no {FIELDS[path]}: {value!r}")
        elif path in VALUES and not VALUES[path] >= (
                set(value) if isinstance(value, list) else {value}):
            wrong.append(f"{path} = {value!r} is not in the schema")
    for name in document.get("process", {}).get("thread", {}).get(
            "capabilities", {}).get("effective", []):
        if not CAPABILITY.match(name):
            wrong.append(f"capability {name}")
    if not found.get("ecs.version", "").startswith("9."):
        wrong.append(f"ecs.version {found.get('ecs.version')}")
    return wrong
