/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The format ocsf: the Open Cybersecurity Schema Framework, version 1.9.0. An
 * attempt is a File System Activity (class 1001) with the profiles
 * security_control, container and linux_users as far as they apply; an event
 * of the mount is a Base Event, as no class is about a recorder's own state.
 * What the schema has no attribute for is in "unmapped".
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "util/log_map.h"
#include "util/log_out.h"
#include "util/log_record.h"
#include "util/out.h"

#define SCHEMA "1.9.0"

enum { FILE_ACTIVITY = 1001, OTHER = 99, SHA_256 = 3, HEX = 1 };

static const struct {
	int id;
	const char *caption;
} activities[LOG_CLASSES] = {
	[LOG_EVENT] = {OTHER, NULL},
	[LOG_CREATE] = {1, "Create"},
	[LOG_UPDATE] = {3, "Update"},
	[LOG_DELETE] = {4, "Delete"},
	[LOG_RENAME] = {5, "Rename"},
	[LOG_ATTRIBUTES] = {6, "Set Attributes"},
	[LOG_SECURITY] = {7, "Set Security"},
	[LOG_OPEN] = {14, "Open"},
	[LOG_PROBE] = {OTHER, "Access Check"},
};

static const struct {
	int id;
	const char *caption;
} severities[LOG_LEVELS] = {
	[LOG_NOTE] = {1, "Informational"},
	[LOG_REFUSED] = {2, "Low"},
	[LOG_ODD] = {3, "Medium"},
	[LOG_BAD] = {4, "High"},
};

/* Of attempts and events. */
static const struct log_map common[] = {
	{"time", QUERY_T_REAL, LOG_MAP_MILLI},
	{"metadata.sequence", QUERY_SEQ, LOG_MAP_PLAIN},
	{"metadata.event_code", QUERY_OP, LOG_MAP_PLAIN},
	{"metadata.original_time", QUERY_T_REAL, LOG_MAP_PLAIN},
	{"device.hostname", QUERY_HOST, LOG_MAP_PLAIN},
	{"device.uid", QUERY_MACHINE_ID, LOG_MAP_PLAIN},
	{"device.boot_uid", QUERY_BOOT_ID, LOG_MAP_PLAIN},
	{"unmapped.boot_time_ns", QUERY_T_BOOT, LOG_MAP_PLAIN},
	{"unmapped.mount_id", QUERY_MOUNT_ID, LOG_MAP_PLAIN},
	{"unmapped.mount_point", QUERY_MOUNT_POINT, LOG_MAP_PLAIN},
	{"unmapped.mount_label", QUERY_LABEL, LOG_MAP_PLAIN},
	{"unmapped.image_id", QUERY_IMAGE_ID, LOG_MAP_PLAIN},
	{"unmapped.image_path", QUERY_IMAGE_PATH, LOG_MAP_PLAIN},
	{"unmapped.tree_id", QUERY_TREE_ID, LOG_MAP_PLAIN},
	{"unmapped.policy_digest", QUERY_POLICY_DIGEST, LOG_MAP_PLAIN},
	{"unmapped.path_raw", QUERY_PATH, LOG_MAP_RAW},
	{0},
};

static const struct log_map of_event[] = {
	{"unmapped.path", QUERY_PATH, LOG_MAP_PLAIN},
	{"count", QUERY_COUNT, LOG_MAP_PLAIN},
	{0},
};

static const struct log_map of_attempt[] = {
	{"file.name", QUERY_PATH, LOG_MAP_BASE},
	{"file.path", QUERY_PATH, LOG_MAP_PLAIN},
	{"file.parent_folder", QUERY_PATH, LOG_MAP_FOLDER},
	{"file.volume", QUERY_MOUNT_POINT, LOG_MAP_PLAIN},
	{"file.uid", QUERY_INO, LOG_MAP_STRING},
	{"file.size", QUERY_TARGET_SIZE, LOG_MAP_PLAIN},
	{"file.owner.uid", QUERY_TARGET_UID, LOG_MAP_STRING},
	{"policy.name", QUERY_RULE, LOG_MAP_PLAIN},
	{"actor.user.uid", QUERY_UID, LOG_MAP_STRING},
	{"unmapped.op", QUERY_OP, LOG_MAP_PLAIN},
	{"unmapped.errno", QUERY_ERRNO, LOG_MAP_PLAIN},
	{"unmapped.dac_denied", QUERY_DAC_DENIED, LOG_MAP_PLAIN},
	{"unmapped.targets", QUERY_TARGETS, LOG_MAP_PLAIN},
	{"unmapped.times", QUERY_TIMES, LOG_MAP_PLAIN},
	{"unmapped.path2", QUERY_PATH2, LOG_MAP_PLAIN},
	{"unmapped.path2_raw", QUERY_PATH2, LOG_MAP_RAW},
	{"unmapped.parent_ino", QUERY_PARENT_INO, LOG_MAP_PLAIN},
	{"unmapped.target_mode", QUERY_TARGET_MODE, LOG_MAP_OCTAL},
	{"unmapped.target_gid", QUERY_TARGET_GID, LOG_MAP_PLAIN},
	{"unmapped.flags", QUERY_FLAGS, LOG_MAP_HEX},
	{"unmapped.mode", QUERY_MODE, LOG_MAP_OCTAL},
	{"unmapped.size", QUERY_SIZE, LOG_MAP_PLAIN},
	{"unmapped.offset", QUERY_OFF, LOG_MAP_PLAIN},
	{"unmapped.new_uid", QUERY_NEW_UID, LOG_MAP_PLAIN},
	{"unmapped.new_gid", QUERY_NEW_GID, LOG_MAP_PLAIN},
	{"unmapped.atime", QUERY_ATIME, LOG_MAP_PLAIN},
	{"unmapped.mtime", QUERY_MTIME, LOG_MAP_PLAIN},
	{"unmapped.xattr", QUERY_XATTR, LOG_MAP_PLAIN},
	{"unmapped.caller_visible", QUERY_CALLER_VISIBLE, LOG_MAP_PLAIN},
	{"unmapped.gid", QUERY_GID, LOG_MAP_PLAIN},
	{0},
};

/* Of the process, when it is known. */
static const struct log_map of_process[] = {
	{"pid", QUERY_PID, LOG_MAP_PLAIN},
	{"tid", QUERY_TID, LOG_MAP_PLAIN},
	{"name", QUERY_COMM, LOG_MAP_PLAIN},
	{"cmd_line", QUERY_CMDLINE, LOG_MAP_LINE},
	{"path", QUERY_EXE, LOG_MAP_PLAIN},
	{"working_directory", QUERY_CWD, LOG_MAP_PLAIN},
	{"created_time", QUERY_START_REAL, LOG_MAP_MILLI},
	{"namespace_pid", QUERY_VPID, LOG_MAP_PLAIN},
	{"container.uid", QUERY_CONTAINER, LOG_MAP_PLAIN},
	{"container.runtime", QUERY_RUNTIME, LOG_MAP_PLAIN},
	{"container.pod_uuid", QUERY_POD, LOG_MAP_PLAIN},
	{"user.uid", QUERY_EUID, LOG_MAP_STRING},
	{"group.uid", QUERY_EGID, LOG_MAP_STRING},
	{"euid", QUERY_EUID, LOG_MAP_PLAIN},
	{"egid", QUERY_EGID, LOG_MAP_PLAIN},
	{"auid", QUERY_AUID, LOG_MAP_ID},
	{"session.uid", QUERY_SES, LOG_MAP_ID_STRING},
	{"session.terminal", QUERY_TTY, LOG_MAP_TTY},
	{"xattributes.lsm_label", QUERY_LSM, LOG_MAP_PLAIN},
	{0},
};

static const struct log_map of_process_unmapped[] = {
	{"cmdline_note", QUERY_CMDLINE_NOTE, LOG_MAP_PLAIN},
	{"cgroup", QUERY_CGROUP, LOG_MAP_PLAIN},
	{"exe_raw", QUERY_EXE, LOG_MAP_RAW},
	{"exe_dev_major", QUERY_EXE_DEV_MAJOR, LOG_MAP_PLAIN},
	{"exe_dev_minor", QUERY_EXE_DEV_MINOR, LOG_MAP_PLAIN},
	{"exe_ino", QUERY_EXE_INO, LOG_MAP_PLAIN},
	{"cwd_raw", QUERY_CWD, LOG_MAP_RAW},
	{"ppid", QUERY_PPID, LOG_MAP_PLAIN},
	{"uid", QUERY_RUID, LOG_MAP_PLAIN},
	{"suid", QUERY_SUID, LOG_MAP_PLAIN},
	{"fsuid", QUERY_FSUID, LOG_MAP_PLAIN},
	{"gid", QUERY_RGID, LOG_MAP_PLAIN},
	{"sgid", QUERY_SGID, LOG_MAP_PLAIN},
	{"fsgid", QUERY_FSGID, LOG_MAP_PLAIN},
	{"groups", QUERY_GROUPS, LOG_MAP_LIST},
	{"umask", QUERY_UMASK, LOG_MAP_OCTAL},
	{"capabilities", QUERY_CAP_EFF, LOG_MAP_CAPS},
	{"seccomp", QUERY_SECCOMP, LOG_MAP_PLAIN},
	{"no_new_privs", QUERY_NO_NEW_PRIVS, LOG_MAP_PLAIN},
	{"pid_ns", QUERY_PID_NS, LOG_MAP_PLAIN},
	{"user_ns", QUERY_USER_NS, LOG_MAP_PLAIN},
	{"mnt_ns", QUERY_MNT_NS, LOG_MAP_PLAIN},
	{0},
};

/* Of a parent, of an ancestor. */
static const struct log_map of_ancestor[] = {
	{"pid", QUERY_PID, LOG_MAP_PLAIN},
	{"name", QUERY_COMM, LOG_MAP_PLAIN},
	{"cmd_line", QUERY_CMDLINE, LOG_MAP_LINE},
	{"path", QUERY_EXE, LOG_MAP_PLAIN},
	{"created_time", QUERY_START_REAL, LOG_MAP_MILLI},
	{0},
};

/* An array of one fingerprint, when the cell holds a digest. */
static int set_hashes(
	json_t *object, enum query_column column, const struct query_row *row)
{
	const struct log_map line = {.column = column, .as = LOG_MAP_PLAIN};
	json_t *value;
	int r = log_map_value(&line, row, &value);

	if (r < 0 || !value)
		return r;
	return log_map_set(object, "hashes",
		json_pack("[{s:s, s:i, s:s, s:i, s:o}]", "algorithm", "SHA-256",
			"algorithm_id", SHA_256, "encoding", "Hex",
			"encoding_id", HEX, "value", value));
}

/* ---- the file ---- */

enum { TYPE_UNKNOWN, TYPE_FILE, TYPE_FOLDER, TYPE_COUNT = 8 };

static const char *const type_captions[TYPE_COUNT] = {"Unknown", "Regular File",
	"Folder", "Character Device", "Block Device", "Local Socket",
	"Named Pipe", "Symbolic Link"};

static int type_of_mode(int64_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG: return TYPE_FILE;
	case S_IFDIR: return TYPE_FOLDER;
	case S_IFCHR: return 3;
	case S_IFBLK: return 4;
	case S_IFSOCK: return 5;
	case S_IFIFO: return 6;
	case S_IFLNK: return 7;
	}
	return TYPE_UNKNOWN;
}

/* What the target is, or would have become. */
static int type_of_target(const struct query_cell *cell)
{
	if (!cell[QUERY_TARGETS].null && cell[QUERY_TARGETS].number > 1)
		return TYPE_FOLDER; /* that all of them are in */
	if (!cell[QUERY_TARGET_MODE].null)
		return type_of_mode(cell[QUERY_TARGET_MODE].number);
	if (log_record_is(&cell[QUERY_OP], "mkdir") ||
		log_record_is(&cell[QUERY_OP], "rmdir"))
		return TYPE_FOLDER;
	if (log_record_is(&cell[QUERY_OP], "symlink"))
		return 7;
	return cell[QUERY_MODE].null ? TYPE_UNKNOWN
				     : type_of_mode(cell[QUERY_MODE].number);
}

static int set_file(json_t *root, const struct query_row *row)
{
	int type = type_of_target(row->cell);
	int r = log_map_number(root, "file.type_id", type);

	if (r == 0)
		r = log_map_text(root, "file.type", type_captions[type]);
	if (r == 0)
		r = set_hashes(json_object_get(root, "file"),
			QUERY_TARGET_DIGEST, row);
	return r;
}

/* ---- the process ---- */

static int set_program(json_t *process, const struct query_row *row)
{
	static const struct log_map map[] = {
		{"file.name", QUERY_EXE, LOG_MAP_BASE},
		{"file.path", QUERY_EXE, LOG_MAP_PLAIN},
		{0},
	};
	int r = log_map_nested(process, map, row);

	if (r < 0 || row->cell[QUERY_EXE].null)
		return r;
	r = log_map_number(process, "file.type_id", TYPE_FILE);
	if (r == 0)
		r = set_hashes(json_object_get(process, "file"),
			QUERY_EXE_DIGEST, row);
	return r;
}

static int set_instance(json_t *process, const struct query_row *row)
{
	char text[LOG_INSTANCE_ROOM];

	if (!log_record_instance(row, text))
		return 0;
	return log_map_set(process, "uid", json_string(text));
}

static int set_ancestry(
	json_t *process, struct log_out *o, const struct query_row *row)
{
	const struct log_ancestor_list *list;
	int r = log_ancestors_get(&o->ancestors, o->query, row, &list);
	json_t *array;

	if (r < 0 || list->count == 0)
		return r;
	array = json_array();
	for (size_t i = 0; r == 0 && i < list->count; i++) {
		json_t *entity = json_object();
		struct query_row as_row;

		log_ancestors_row(&list->items[i], &as_row);
		r = log_map_nested(entity, of_ancestor, &as_row);
		if (r == 0 && i == 0) {
			r = log_map_set(process, "parent_process",
				json_deep_copy(entity));
			if (r == 0)
				r = set_program(json_object_get(process,
							"parent_process"),
					&as_row);
		}
		if (json_array_append_new(array, entity) < 0)
			r = -ENOMEM;
	}
	return log_map_set(process, "ancestry", array) < 0 ? -ENOMEM : r;
}

static int set_process(
	json_t *root, struct log_out *o, const struct query_row *row)
{
	json_t *process, *unmapped;
	int r;

	if (row->cell[QUERY_PROC_ID].null)
		return 0;
	r = log_map_set(root, "actor.process", json_object());
	if (r == 0)
		r = log_map_set(root, "unmapped.process", json_object());
	if (r < 0)
		return r;
	process = json_object_get(json_object_get(root, "actor"), "process");
	unmapped =
		json_object_get(json_object_get(root, "unmapped"), "process");
	r = log_map_nested(process, of_process, row);
	if (r == 0)
		r = set_program(process, row);
	if (r == 0)
		r = set_instance(process, row);
	if (r == 0)
		r = set_ancestry(process, o, row);
	return r < 0 ? r : log_map_nested(unmapped, of_process_unmapped, row);
}

/* ---- what ties it to the ledger ---- */

/*
 * The fingerprint of a record is the hash of its leaf in the ledger's Merkle
 * tree, so the serialization is none of the schema's: it is that of the ledger.
 */
static json_t *fingerprint(const struct digest *leaf)
{
	char hex[DIGEST_HEX_LEN + 1];

	digest_hex(leaf, hex);
	return json_pack("{s:s, s:i, s:s, s:i, s:s, s:i, s:s}", "algorithm",
		"SHA-256", "algorithm_id", SHA_256, "encoding", "Hex",
		"encoding_id", HEX, "serialization",
		"stele record as RFC 6962 leaf", "serialization_id", OTHER,
		"value", hex);
}

static int set_previous(json_t *attestation, struct log_out *o, int64_t seq)
{
	char id[LOG_OUT_ID_ROOM];
	struct digest leaf;
	int r = log_out_leaf(o, seq, &leaf);

	if (r <= 0)
		return r;
	(void)snprintf(id, sizeof(id), "%s:%" PRId64, o->origin, seq);
	r = log_map_text(attestation, "prev_event.uid", id);
	return r < 0 ? r
		     : log_map_set(attestation, "prev_event.fingerprint",
			       fingerprint(&leaf));
}

static int add_attestation(json_t *root, struct log_out *o, int64_t seq)
{
	json_t *attestation = json_object(), *profiles;
	struct digest leaf;
	int r = set_previous(attestation, o, seq - 1);

	if (r == 0)
		r = log_out_leaf(o, seq, &leaf);
	if (r <= 0) {
		json_decref(attestation);
		return r;
	}
	r = log_map_set(attestation, "fingerprint", fingerprint(&leaf));
	if (r == 0)
		r = log_map_text(attestation, "chain_uid", o->origin);
	if (r < 0) {
		json_decref(attestation);
		return r;
	}
	profiles =
		json_object_get(json_object_get(root, "metadata"), "profiles");
	if (json_array_append_new(profiles, json_string("record_integrity")) <
		0) {
		json_decref(attestation);
		return -ENOMEM;
	}
	return log_map_set(
		root, "attestation_list", json_pack("[o]", attestation));
}

/* Only of a whole record that has its number: one of its names is no leaf. */
static int set_attestation(
	json_t *root, struct log_out *o, const struct query_row *row)
{
	const struct query_cell *seq = &row->cell[QUERY_SEQ];

	if (seq->null || o->name || !o->attest || !*o->origin)
		return 0;
	return add_attestation(root, o, seq->number);
}

/* ---- the whole ---- */

static int set_classes(
	json_t *root, const struct log_record *r, const char *activity)
{
	bool event = r->class == LOG_EVENT;
	int class = event ? 0 : FILE_ACTIVITY, id = activities[r->class].id;
	const char *name = event ? "Base Event" : "File System Activity";
	json_t *object = json_pack(
		"{s:i, s:s, s:i, s:s, s:i, s:s, s:i, s:i, s:s, s:s}",
		"category_uid", event ? 0 : 1, "category_name",
		event ? "Uncategorized" : "System Activity", "class_uid", class,
		"class_name", name, "activity_id", id, "activity_name",
		activity, "type_uid", class * 100 + id, "severity_id",
		severities[r->level].id, "severity",
		severities[r->level].caption, "message", r->message);
	int code = object ? json_object_update(root, object) : -1;

	json_decref(object);
	return code < 0 ? -ENOMEM : 0;
}

static int set_metadata(json_t *root, struct log_out *o,
	const struct query_row *row, const struct log_record *r)
{
	json_t *profiles = json_array();
	char id[LOG_OUT_ID_ROOM];
	int failed = 0;

	failed |= log_map_set(root, "metadata.version", json_string(SCHEMA));
	failed |= log_map_set(root, "metadata.product",
		json_pack("{s:s, s:s, s:s}", "name", "stele", "vendor_name",
			"stele", "version", STELE_VERSION));
	if (log_out_id(o, row, id))
		failed |= log_map_text(root, "metadata.uid", id);
	failed |= json_array_append_new(profiles, json_string("host"));
	if (r->class != LOG_EVENT)
		failed |= json_array_append_new(
			profiles, json_string("security_control"));
	if (!row->cell[QUERY_PROC_ID].null)
		failed |= json_array_append_new(
			profiles, json_string("linux/linux_users"));
	if (!row->cell[QUERY_CONTAINER].null || !row->cell[QUERY_VPID].null)
		failed |= json_array_append_new(
			profiles, json_string("container"));
	failed |= log_map_set(root, "metadata.profiles", profiles);
	return failed ? -ENOMEM : 0;
}

static int set_device(json_t *root, const struct query_row *row)
{
	int r = log_map_number(root, "device.type_id", 0);

	/* One of its names is required. */
	if (r == 0 && row->cell[QUERY_HOST].null &&
		row->cell[QUERY_MACHINE_ID].null)
		r = log_map_text(root, "device.name", "unknown");
	return r < 0 ? r
		     : log_map_set(root, "device.os",
			       json_pack("{s:s, s:i}", "name", "Linux",
				       "type_id", 200));
}

static int set_refusal(json_t *root, const struct log_record *r)
{
	json_t *object = json_pack("{s:i, s:s, s:i, s:s, s:i, s:s}",
		"status_id", 2, "status", "Failure", "action_id", 2, "action",
		"Denied", "disposition_id", 2, "disposition", "Blocked");
	int code = object ? json_object_update(root, object) : -1;

	json_decref(object);
	if (code < 0)
		return -ENOMEM;
	code = log_map_text(root, "status_code", r->error);
	if (code < 0 || r->count == 1)
		return code;
	code = log_map_number(root, "count", r->count);
	if (code == 0)
		code = log_map_number(root, "start_time", r->first / 1000000);
	if (code == 0)
		code = log_map_number(root, "end_time", r->end / 1000000);
	return code < 0 ? code
			: log_map_number(root, "duration",
				  r->end / 1000000 - r->first / 1000000);
}

static int fill_attempt(json_t *root, struct log_out *o,
	const struct query_row *row, const struct log_record *r)
{
	int code = set_classes(root, r, activities[r->class].caption);

	if (code == 0)
		code = set_refusal(root, r);
	if (code == 0)
		code = log_map_nested(root, of_attempt, row);
	if (code == 0)
		code = log_map_set(root, "policy.is_applied", json_true());
	if (code == 0)
		code = set_file(root, row);
	return code < 0 ? code : set_process(root, o, row);
}

static int fill(json_t *root, struct log_out *o, const struct query_row *row,
	const struct log_record *r)
{
	int code = log_map_nested(root, common, row);

	if (code == 0)
		code = set_metadata(root, o, row, r);
	if (code == 0)
		code = set_device(root, row);
	if (code == 0)
		code = set_attestation(root, o, row);
	if (code < 0)
		return code;
	if (r->class != LOG_EVENT)
		return fill_attempt(root, o, row, r);
	code = set_classes(root, r, r->op);
	return code < 0 ? code : log_map_nested(root, of_event, row);
}

static int print_row(struct log_out *o, const struct query_row *row)
{
	return log_out_object(o, row, fill);
}

const struct log_format log_out_ocsf = {
	.name = "ocsf",
	.what = "JSON lines by OCSF " SCHEMA ", class File System Activity",
	.attests = true,
	.row = print_row,
};
