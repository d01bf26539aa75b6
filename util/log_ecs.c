/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The format ecs: the Elastic Common Schema, version 9. What it has no field
 * for is below "stele", a name of our own as its rules for custom fields ask.
 */
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "util/log_map.h"
#include "util/log_out.h"
#include "util/log_record.h"
#include "util/out.h"

#define SCHEMA "9.0.0"

/* event.type; what was refused has "denied" as well. */
static const char *const types[LOG_CLASSES] = {
	[LOG_EVENT] = "info",
	[LOG_CREATE] = "creation",
	[LOG_UPDATE] = "change",
	[LOG_DELETE] = "deletion",
	[LOG_RENAME] = "change",
	[LOG_ATTRIBUTES] = "change",
	[LOG_SECURITY] = "change",
	[LOG_OPEN] = "change",
	[LOG_PROBE] = "access",
};

static const char *const log_levels[LOG_LEVELS] = {
	[LOG_NOTE] = "info",
	[LOG_REFUSED] = "notice",
	[LOG_ODD] = "warning",
	[LOG_BAD] = "error",
};

static const struct log_map common[] = {
	{"@timestamp", QUERY_T_REAL, LOG_MAP_PLAIN},
	{"event.sequence", QUERY_SEQ, LOG_MAP_PLAIN},
	{"event.action", QUERY_OP, LOG_MAP_PLAIN},
	{"host.hostname", QUERY_HOST, LOG_MAP_PLAIN},
	{"host.name", QUERY_HOST, LOG_MAP_PLAIN},
	{"host.id", QUERY_MACHINE_ID, LOG_MAP_PLAIN},
	{"host.boot.id", QUERY_BOOT_ID, LOG_MAP_PLAIN},
	{"host.pid_ns_ino", QUERY_PID_NS, LOG_MAP_STRING},
	{"observer.version", QUERY_MOUNT_VERSION, LOG_MAP_PLAIN},
	{"file.path", QUERY_PATH, LOG_MAP_PLAIN},
	{"file.name", QUERY_PATH, LOG_MAP_BASE},
	{"file.directory", QUERY_PATH, LOG_MAP_FOLDER},
	{"stele.count", QUERY_COUNT, LOG_MAP_PLAIN},
	{"stele.path_raw", QUERY_PATH, LOG_MAP_RAW},
	{"stele.boot_time_ns", QUERY_T_BOOT, LOG_MAP_PLAIN},
	{"stele.mount.id", QUERY_MOUNT_ID, LOG_MAP_PLAIN},
	{"stele.mount.point", QUERY_MOUNT_POINT, LOG_MAP_PLAIN},
	{"stele.mount.label", QUERY_LABEL, LOG_MAP_PLAIN},
	{"stele.image.id", QUERY_IMAGE_ID, LOG_MAP_PLAIN},
	{"stele.image.path", QUERY_IMAGE_PATH, LOG_MAP_PLAIN},
	{"stele.image.tree_id", QUERY_TREE_ID, LOG_MAP_PLAIN},
	{0},
};

static const struct log_map of_attempt[] = {
	{"rule.name", QUERY_RULE, LOG_MAP_PLAIN},
	{"rule.ruleset", QUERY_POLICY_DIGEST, LOG_MAP_PLAIN},
	{"user.id", QUERY_UID, LOG_MAP_STRING},
	{"group.id", QUERY_GID, LOG_MAP_STRING},
	{"container.id", QUERY_CONTAINER, LOG_MAP_PLAIN},
	{"container.runtime", QUERY_RUNTIME, LOG_MAP_PLAIN},
	{"orchestrator.resource.id", QUERY_POD, LOG_MAP_PLAIN},
	{"file.inode", QUERY_INO, LOG_MAP_STRING},
	{"file.mode", QUERY_TARGET_MODE, LOG_MAP_OCTAL},
	{"file.uid", QUERY_TARGET_UID, LOG_MAP_STRING},
	{"file.gid", QUERY_TARGET_GID, LOG_MAP_STRING},
	{"file.size", QUERY_TARGET_SIZE, LOG_MAP_PLAIN},
	{"file.hash.sha256", QUERY_TARGET_DIGEST, LOG_MAP_PLAIN},
	{"process.pid", QUERY_PID, LOG_MAP_PLAIN},
	{"process.vpid", QUERY_VPID, LOG_MAP_PLAIN},
	{"process.thread.id", QUERY_TID, LOG_MAP_PLAIN},
	{"process.thread.capabilities.effective", QUERY_CAP_EFF, LOG_MAP_CAPS},
	{"process.name", QUERY_COMM, LOG_MAP_PLAIN},
	{"process.executable", QUERY_EXE, LOG_MAP_PLAIN},
	{"process.hash.sha256", QUERY_EXE_DIGEST, LOG_MAP_PLAIN},
	{"process.command_line", QUERY_CMDLINE, LOG_MAP_LINE},
	{"process.args", QUERY_CMDLINE, LOG_MAP_WORDS},
	{"process.working_directory", QUERY_CWD, LOG_MAP_PLAIN},
	{"process.start", QUERY_START_REAL, LOG_MAP_PLAIN},
	{"process.user.id", QUERY_EUID, LOG_MAP_STRING},
	{"process.real_user.id", QUERY_RUID, LOG_MAP_STRING},
	{"process.saved_user.id", QUERY_SUID, LOG_MAP_STRING},
	{"process.group.id", QUERY_EGID, LOG_MAP_STRING},
	{"process.real_group.id", QUERY_RGID, LOG_MAP_STRING},
	{"process.saved_group.id", QUERY_SGID, LOG_MAP_STRING},
	{"process.supplemental_groups.id", QUERY_GROUPS, LOG_MAP_LIST},
	{"stele.errno", QUERY_ERRNO, LOG_MAP_PLAIN},
	{"stele.dac_denied", QUERY_DAC_DENIED, LOG_MAP_PLAIN},
	{"stele.targets", QUERY_TARGETS, LOG_MAP_PLAIN},
	{"stele.times", QUERY_TIMES, LOG_MAP_PLAIN},
	{"stele.path2", QUERY_PATH2, LOG_MAP_PLAIN},
	{"stele.path2_raw", QUERY_PATH2, LOG_MAP_RAW},
	{"stele.parent_ino", QUERY_PARENT_INO, LOG_MAP_PLAIN},
	{"stele.request.flags", QUERY_FLAGS, LOG_MAP_HEX},
	{"stele.request.mode", QUERY_MODE, LOG_MAP_OCTAL},
	{"stele.request.size", QUERY_SIZE, LOG_MAP_PLAIN},
	{"stele.request.offset", QUERY_OFF, LOG_MAP_PLAIN},
	{"stele.request.uid", QUERY_NEW_UID, LOG_MAP_PLAIN},
	{"stele.request.gid", QUERY_NEW_GID, LOG_MAP_PLAIN},
	{"stele.request.atime", QUERY_ATIME, LOG_MAP_PLAIN},
	{"stele.request.mtime", QUERY_MTIME, LOG_MAP_PLAIN},
	{"stele.request.xattr", QUERY_XATTR, LOG_MAP_PLAIN},
	{"stele.caller_visible", QUERY_CALLER_VISIBLE, LOG_MAP_PLAIN},
	{"stele.process.cmdline_note", QUERY_CMDLINE_NOTE, LOG_MAP_PLAIN},
	{"stele.process.cgroup", QUERY_CGROUP, LOG_MAP_PLAIN},
	{"stele.process.login_user", QUERY_AUID, LOG_MAP_ID},
	{"stele.process.session", QUERY_SES, LOG_MAP_ID},
	{"stele.process.umask", QUERY_UMASK, LOG_MAP_OCTAL},
	{"stele.process.seccomp", QUERY_SECCOMP, LOG_MAP_PLAIN},
	{"stele.process.no_new_privs", QUERY_NO_NEW_PRIVS, LOG_MAP_PLAIN},
	{"stele.process.lsm_label", QUERY_LSM, LOG_MAP_PLAIN},
	{"stele.process.user_ns", QUERY_USER_NS, LOG_MAP_PLAIN},
	{"stele.process.mnt_ns", QUERY_MNT_NS, LOG_MAP_PLAIN},
	{0},
};

static const struct log_map of_parent[] = {
	{"process.parent.pid", QUERY_PID, LOG_MAP_PLAIN},
	{"process.parent.name", QUERY_COMM, LOG_MAP_PLAIN},
	{"process.parent.executable", QUERY_EXE, LOG_MAP_PLAIN},
	{"process.parent.hash.sha256", QUERY_EXE_DIGEST, LOG_MAP_PLAIN},
	{"process.parent.command_line", QUERY_CMDLINE, LOG_MAP_LINE},
	{"process.parent.args", QUERY_CMDLINE, LOG_MAP_WORDS},
	{"process.parent.start", QUERY_START_REAL, LOG_MAP_PLAIN},
	{0},
};

static const struct log_map of_further[] = {
	{"pid", QUERY_PID, LOG_MAP_PLAIN},
	{"name", QUERY_COMM, LOG_MAP_PLAIN},
	{"executable", QUERY_EXE, LOG_MAP_PLAIN},
	{"start", QUERY_START_REAL, LOG_MAP_PLAIN},
	{0},
};

static const char *type_of_mode(const struct query_cell *mode)
{
	if (mode->null)
		return NULL;
	switch (mode->number & S_IFMT) {
	case S_IFREG: return "file";
	case S_IFDIR: return "dir";
	case S_IFLNK: return "symlink";
	case S_IFCHR:
	case S_IFBLK: return "device";
	case S_IFIFO: return "fifo";
	case S_IFSOCK: return "socket";
	}
	return NULL;
}

/* The parent in the schema's fields; who is above it in ours, as the schema
 * knows only one. */
static int set_ancestors(
	json_t *root, struct log_out *o, const struct query_row *row)
{
	const struct log_ancestor_list *list;
	int r = log_ancestors_get(&o->ancestors, o->query, row, &list);
	struct query_row as_row;
	json_t *array;

	if (r < 0 || list->count == 0)
		return r;
	log_ancestors_row(&list->items[0], &as_row);
	r = log_map_nested(root, of_parent, &as_row);
	if (r < 0 || list->count == 1)
		return r;
	array = json_array();
	for (size_t i = 1; r == 0 && i < list->count; i++) {
		json_t *object = json_object();

		log_ancestors_row(&list->items[i], &as_row);
		r = log_map_nested(object, of_further, &as_row);
		if (json_array_append_new(array, object) < 0)
			r = -ENOMEM;
	}
	if (log_map_set(root, "stele.process.ancestors", array) < 0)
		r = -ENOMEM;
	return r;
}

/* The hash of the record in the ledger's Merkle tree. */
static int set_leaf(
	json_t *root, struct log_out *o, const struct query_row *row)
{
	const struct query_cell *seq = &row->cell[QUERY_SEQ];
	char hex[DIGEST_HEX_LEN + 1];
	struct digest leaf;
	int r = seq->null || o->name || !o->attest
			? 0
			: log_out_leaf(o, seq->number, &leaf);

	if (r <= 0)
		return r;
	digest_hex(&leaf, hex);
	return log_map_text(root, "event.hash", hex);
}

static int set_event(json_t *root, struct log_out *o,
	const struct query_row *row, const struct log_record *r)
{
	bool event = r->class == LOG_EVENT;
	int failed = 0;
	char id[LOG_OUT_ID_ROOM];

	failed |= log_map_text(root, "ecs.version", SCHEMA);
	failed |= log_map_text(root, "message", r->message);
	failed |= log_map_text(root, "log.level", log_levels[r->level]);
	failed |= log_map_text(root, "observer.vendor", "stele");
	failed |= log_map_text(root, "observer.product", "stele");
	failed |= log_map_text(root, "observer.type", "filesystem");
	failed |= log_map_text(root, "event.kind", "event");
	failed |= log_map_text(root, "event.provider", "stele");
	failed |= log_map_text(root, "event.module", "stele");
	failed |= log_map_text(root, "event.dataset", "stele.ledger");
	failed |=
		log_map_set(root, "event.severity", json_integer(r->level + 1));
	failed |= log_map_set(root, "event.category", json_pack("[s]", "file"));
	failed |= log_map_set(root, "event.type",
		event ? json_pack("[s]", types[r->class])
		      : json_pack("[ss]", types[r->class], "denied"));
	if (log_out_id(o, row, id))
		failed |= log_map_text(root, "event.id", id);
	if (set_leaf(root, o, row) < 0)
		return -ENOMEM;
	if (r->count > 1 && !event) {
		failed |= log_map_set(
			root, "event.start", log_map_time(r->first));
		failed |= log_map_set(root, "event.end", log_map_time(r->end));
		failed |= log_map_set(root, "event.duration",
			json_integer(
				r->end > r->first ? r->end - r->first : 0));
	}
	return failed ? -ENOMEM : 0;
}

static int set_tty(json_t *root, const struct query_cell *tty)
{
	int r;

	if (tty->null || tty->number == 0)
		return 0;
	r = log_map_set(root, "process.tty.char_device.major",
		json_integer(major((dev_t)tty->number)));
	return r < 0 ? r
		     : log_map_set(root, "process.tty.char_device.minor",
			       json_integer(minor((dev_t)tty->number)));
}

static int fill_attempt(json_t *root, struct log_out *o,
	const struct query_row *row, const struct log_record *r)
{
	const struct query_cell *cell = row->cell;
	char instance[LOG_INSTANCE_ROOM];
	int code = log_map_nested(root, of_attempt, row);

	if (code == 0)
		code = log_map_text(root, "event.outcome", "failure");
	if (code == 0)
		code = log_map_text(root, "error.code", r->error);
	if (code == 0)
		code = log_map_text(root, "file.type",
			type_of_mode(&cell[QUERY_TARGET_MODE]));
	if (code == 0 && log_record_is(&cell[QUERY_OP], "symlink"))
		code = log_map_set(root, "file.target_path",
			out_json_name(cell[QUERY_PATH2].bytes,
				cell[QUERY_PATH2].len));
	if (code == 0 && log_record_instance(row, instance))
		code = log_map_text(root, "process.entity_id", instance);
	if (code == 0)
		code = set_tty(root, &cell[QUERY_TTY]);
	if (code == 0 && cell[QUERY_PID].null)
		return 0;
	return code < 0 ? code : set_ancestors(root, o, row);
}

static int fill(json_t *root, struct log_out *o, const struct query_row *row,
	const struct log_record *r)
{
	static const struct log_map of_event[] = {
		{"event.reason", QUERY_TEXT_OF_EVENT, LOG_MAP_PLAIN},
		{0},
	};
	int code = log_map_nested(root, common, row);

	if (code == 0)
		code = set_event(root, o, row, r);
	if (code < 0)
		return code;
	return r->class == LOG_EVENT ? log_map_nested(root, of_event, row)
				     : fill_attempt(root, o, row, r);
}

static int print_row(struct log_out *o, const struct query_row *row)
{
	return log_out_object(o, row, fill);
}

const struct log_format log_out_ecs = {
	.name = "ecs",
	.what = "JSON lines by the Elastic Common Schema " SCHEMA,
	.attests = true,
	.row = print_row,
};
