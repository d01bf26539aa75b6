# SPDX-License-Identifier: Apache-2.0
"""What OCSF 1.9.0 says about the events that stele writes, and a check of an
event against it.

The tables were written by hand from the schema's own files (ocsf/ocsf-schema:
events/base_event, events/system/system and file_activity, the objects below,
the profiles host, security_control, container, record_integrity and
linux/linux_users). They name only attributes that we may use, with the type of
each: an attribute that is not here is an error even if the schema has it, so
that using one means looking it up first."""

# Of an object: its attributes with their types; which are required; of which
# at least one must be there. A type is str, int, bool, dict (free), the name of
# an object, or a list of one of these.
OBJECTS = {
    "metadata": {
        "attributes": {
            "version": str, "product": "product", "profiles": [str],
            "sequence": int, "uid": str, "event_code": str,
            "original_time": str, "log_name": str, "logged_time": int,
            "labels": [str], "log_provider": str},
        "required": {"version", "product"}},
    "product": {
        "attributes": {"name": str, "vendor_name": str, "version": str,
                       "uid": str, "feature": dict},
        "one_of": {"name", "uid"}},
    "device": {
        "attributes": {"type_id": int, "type": str, "hostname": str,
                       "uid": str, "name": str, "boot_uid": str,
                       "boot_time": int, "os": "os", "ip": str},
        "required": {"type_id"},
        "one_of": {"ip", "uid", "name", "hostname", "instance_uid"},
        "enums": {"type_id": set(range(16)) | {99}}},
    "os": {
        "attributes": {"name": str, "type_id": int, "type": str,
                       "version": str},
        "required": {"name", "type_id"},
        "enums": {"type_id": {0, 99, 100, 101, 200, 201, 300, 301, 302, 400,
                              401, 402}}},
    "actor": {
        "attributes": {"process": "process", "user": "user",
                       "session": "session"},
        "one_of": {"process", "user", "session", "application"}},
    "process": {
        "attributes": {
            "pid": int, "tid": int, "ptid": int, "uid": str, "cpid": str,
            "name": str, "cmd_line": str, "path": str, "file": "file",
            "working_directory": str, "created_time": int, "user": "user",
            "session": "session", "parent_process": "process",
            "ancestry": ["process_entity"], "xattributes": dict,
            "container": "container", "namespace_pid": int,
            "euid": int, "egid": int, "auid": int, "group": "group"},
        "one_of": {"pid", "uid", "cpid"},
        # attributes that only a profile brings
        "profiles": {"container": {"container", "namespace_pid"},
                     "linux/linux_users": {"euid", "egid", "auid", "group"}}},
    "process_entity": {
        "attributes": {"pid": int, "uid": str, "cpid": str, "name": str,
                       "cmd_line": str, "path": str, "created_time": int},
        "one_of": {"cmd_line", "name", "path", "pid", "uid", "cpid"}},
    "file": {
        "attributes": {
            "name": str, "type_id": int, "type": str, "path": str,
            "parent_folder": str, "volume": str, "uid": str, "size": int,
            "owner": "user", "hashes": ["fingerprint"], "is_deleted": bool,
            "is_readonly": bool, "xattributes": dict},
        "required": {"name", "type_id"},
        "enums": {"type_id": set(range(9)) | {99}}},
    "user": {
        "attributes": {"uid": str, "name": str, "groups": ["group"],
                       "type_id": int},
        "one_of": {"account", "name", "uid"}},
    "group": {
        "attributes": {"uid": str, "name": str},
        "one_of": {"name", "uid"}},
    "session": {
        "attributes": {"uid": str, "terminal": str}},
    "container": {
        "attributes": {"uid": str, "runtime": str, "pod_uuid": str,
                       "name": str, "hash": "fingerprint"},
        "one_of": {"uid", "name"}},
    "policy": {
        "attributes": {"name": str, "uid": str, "version": str,
                       "is_applied": bool, "desc": str},
        "one_of": {"name", "type", "uid"}},
    "fingerprint": {
        "attributes": {"algorithm": str, "algorithm_id": int, "value": str,
                       "encoding": str, "encoding_id": int,
                       "serialization": str, "serialization_id": int},
        "required": {"algorithm_id", "value"},
        "enums": {"algorithm_id": set(range(19)) | {99},
                  "encoding_id": {0, 1, 2, 3, 99},
                  "serialization_id": set(range(9)) | {99}}},
    "attestation": {
        "attributes": {"uid": str, "authority_uid": str, "chain_uid": str,
                       "fingerprint": "fingerprint",
                       "prev_event": "prev_event"},
        "one_of": {"fingerprint", "signatures"}},
    "prev_event": {
        "attributes": {"uid": str, "type_uid": int,
                       "fingerprint": "fingerprint"},
        "required": {"uid"}},
}

BASE = {
    "attributes": {
        "activity_id": int, "activity_name": str, "category_uid": int,
        "category_name": str, "class_uid": int, "class_name": str,
        "type_uid": int, "type_name": str, "severity_id": int,
        "severity": str, "time": int, "start_time": int, "end_time": int,
        "duration": int, "count": int, "message": str,
        "metadata": "metadata", "status": str, "status_id": int,
        "status_code": str, "status_detail": str, "unmapped": dict,
        "device": "device", "actor": "actor",
        "attestation_list": ["attestation"],
        "action": str, "action_id": int, "disposition": str,
        "disposition_id": int, "policy": "policy", "is_alert": bool},
    "required": {"activity_id", "category_uid", "class_uid", "type_uid",
                 "severity_id", "time", "metadata"},
    "profiles": {
        "host": {"device", "actor"},
        "record_integrity": {"attestation_list"},
        "security_control": {"action", "action_id", "disposition",
                             "disposition_id", "policy", "is_alert"}},
    "enums": {"severity_id": set(range(7)) | {99},
              "status_id": {0, 1, 2, 99}, "action_id": {0, 1, 2, 3, 4, 99},
              "disposition_id": set(range(28)) | {99}},
}

CLASSES = {
    0: {"name": "Base Event", "category": (0, "Uncategorized"),
        "activities": {0: "Unknown", 99: None}, "attributes": {},
        "required": set()},
    1001: {
        "name": "File System Activity", "category": (1, "System Activity"),
        "activities": {
            0: "Unknown", 1: "Create", 2: "Read", 3: "Update", 4: "Delete",
            5: "Rename", 6: "Set Attributes", 7: "Set Security",
            8: "Get Attributes", 9: "Get Security", 10: "Encrypt",
            11: "Decrypt", 12: "Mount", 13: "Unmount", 14: "Open", 99: None},
        "attributes": {"file": "file", "file_result": "file",
                       "access_mask": int, "component": str},
        "required": {"actor", "device", "file"}},
}

SEVERITIES = {0: "Unknown", 1: "Informational", 2: "Low", 3: "Medium",
              4: "High", 5: "Critical", 6: "Fatal"}
PROFILES = {"host", "security_control", "container", "record_integrity",
            "linux/linux_users"}
MOST = 2 ** 63 - 1


def problems_of_value(value, kind, where, profiles):
    if isinstance(kind, list):
        if not isinstance(value, list):
            yield f"{where} is no array"
            return
        for i, one in enumerate(value):
            yield from problems_of_value(one, kind[0], f"{where}[{i}]",
                                         profiles)
    elif isinstance(kind, str):
        yield from problems_of_object(value, OBJECTS[kind], where, profiles)
    elif kind is int:
        if type(value) is not int or not -MOST - 1 <= value <= MOST:
            yield f"{where} is no integer: {value!r}"
    elif not isinstance(value, kind):
        yield f"{where} is no {kind.__name__}: {value!r}"


def problems_of_object(value, rules, where, profiles):
    if not isinstance(value, dict):
        yield f"{where} is no object: {value!r}"
        return
    for name in rules.get("required", set()) - set(value):
        yield f"{where}.{name} is required"
    one_of = rules.get("one_of")
    if one_of and not one_of & set(value):
        yield f"{where} has none of {sorted(one_of)}"
    for name, one in value.items():
        if name not in rules["attributes"]:
            yield f"{where}.{name} is unknown"
            continue
        for profile, brings in rules.get("profiles", {}).items():
            if name in brings and profile not in profiles:
                yield f"{where}.{name} needs the profile {profile}"
        yield from problems_of_value(one, rules["attributes"][name],
                                     f"{where}.{name}", profiles)
        allowed = rules.get("enums", {}).get(name)
        if allowed is not None and one not in allowed:
            yield f"{where}.{name} = {one} is not in the schema"


def problems(event):
    """All that is wrong with an event, as lines."""
    rules = CLASSES.get(event.get("class_uid"))
    if not rules:
        return [f"class_uid {event.get('class_uid')} is none that we know"]
    profiles = set(event.get("metadata", {}).get("profiles", []))
    found = [f"profile {p} is unknown" for p in profiles - PROFILES]
    merged = dict(BASE, attributes=BASE["attributes"] | rules["attributes"],
                  required=BASE["required"] | rules["required"])
    found += problems_of_object(event, merged, "event", profiles)
    if found:
        return found
    activity, name = event["activity_id"], event.get("activity_name")
    if activity not in rules["activities"]:
        found.append(f"activity_id {activity} is not of this class")
    elif name != (rules["activities"][activity] or name):
        found.append(f"activity_name {name} is not the caption")
    if activity == 99 and not name:
        found.append("activity 99 without its name")
    if event["type_uid"] != event["class_uid"] * 100 + activity:
        found.append(f"type_uid {event['type_uid']} does not fit")
    if event.get("class_name") != rules["name"]:
        found.append(f"class_name {event.get('class_name')}")
    if (event["category_uid"], event.get("category_name")) != \
            rules["category"]:
        found.append(f"category {event['category_uid']}")
    if event.get("severity") != SEVERITIES.get(event["severity_id"]):
        found.append(f"severity {event.get('severity')}")
    if not event["metadata"]["version"].startswith("1.9."):
        found.append(f"version {event['metadata']['version']}")
    return found
