/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The format falco: alerts in the shape of Falco's json_output, for
 * falcosidekick and what else reads it. Names of output_fields are those of
 * Falco where it has one, with the same meaning; what it has none for begins
 * with "stele.".
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "util/log_map.h"
#include "util/log_out.h"
#include "util/log_record.h"
#include "util/out.h"

static const char *const priorities[LOG_LEVELS] = {
	[LOG_NOTE] = "Informational",
	[LOG_REFUSED] = "Warning",
	[LOG_ODD] = "Error",
	[LOG_BAD] = "Critical",
};

static const struct log_map common[] = {
	{"evt.num", QUERY_SEQ, LOG_MAP_PLAIN},
	{"evt.time", QUERY_T_REAL, LOG_MAP_NANO},
	{"evt.type", QUERY_OP, LOG_MAP_PLAIN},
	{"evt.hostname", QUERY_HOST, LOG_MAP_PLAIN},
	{"fd.name", QUERY_PATH, LOG_MAP_PLAIN},
	{"fd.filename", QUERY_PATH, LOG_MAP_BASE},
	{"fd.directory", QUERY_PATH, LOG_MAP_FOLDER},
	{"fs.path.name", QUERY_PATH, LOG_MAP_PLAIN},
	{"fs.path.target", QUERY_PATH2, LOG_MAP_PLAIN},
	{"stele.count", QUERY_COUNT, LOG_MAP_PLAIN},
	{"stele.last_time", QUERY_T_LAST, LOG_MAP_NANO},
	{"stele.path_raw", QUERY_PATH, LOG_MAP_RAW},
	{"stele.mount_point", QUERY_MOUNT_POINT, LOG_MAP_PLAIN},
	{"stele.image_id", QUERY_IMAGE_ID, LOG_MAP_PLAIN},
	{"stele.label", QUERY_LABEL, LOG_MAP_PLAIN},
	{"stele.boot_id", QUERY_BOOT_ID, LOG_MAP_PLAIN},
	{0},
};

static const struct log_map of_attempt[] = {
	{"fd.ino", QUERY_INO, LOG_MAP_PLAIN},
	{"user.uid", QUERY_UID, LOG_MAP_PLAIN},
	{"group.gid", QUERY_GID, LOG_MAP_PLAIN},
	{"user.loginuid", QUERY_AUID, LOG_MAP_ID},
	{"container.id", QUERY_CONTAINER, LOG_MAP_PLAIN},
	{"container.type", QUERY_RUNTIME, LOG_MAP_PLAIN},
	{"k8s.pod.uid", QUERY_POD, LOG_MAP_PLAIN},
	{"proc.pid", QUERY_PID, LOG_MAP_PLAIN},
	{"proc.vpid", QUERY_VPID, LOG_MAP_PLAIN},
	{"proc.ppid", QUERY_PPID, LOG_MAP_PLAIN},
	{"proc.name", QUERY_COMM, LOG_MAP_PLAIN},
	{"proc.exepath", QUERY_EXE, LOG_MAP_PLAIN},
	{"proc.exe_ino", QUERY_EXE_INO, LOG_MAP_PLAIN},
	{"proc.cmdline", QUERY_CMDLINE, LOG_MAP_LINE},
	{"proc.cwd", QUERY_CWD, LOG_MAP_PLAIN},
	{"proc.tty", QUERY_TTY, LOG_MAP_PLAIN},
	{"proc.pid.ts", QUERY_START_REAL, LOG_MAP_NANO},
	{"thread.tid", QUERY_TID, LOG_MAP_PLAIN},
	{"stele.rule", QUERY_RULE, LOG_MAP_PLAIN},
	{"stele.targets", QUERY_TARGETS, LOG_MAP_PLAIN},
	{"stele.dac_denied", QUERY_DAC_DENIED, LOG_MAP_PLAIN},
	{"stele.flags", QUERY_FLAGS, LOG_MAP_HEX},
	{"stele.mode", QUERY_MODE, LOG_MAP_OCTAL},
	{"stele.size", QUERY_SIZE, LOG_MAP_PLAIN},
	{"stele.xattr", QUERY_XATTR, LOG_MAP_PLAIN},
	{"stele.target_digest", QUERY_TARGET_DIGEST, LOG_MAP_PLAIN},
	{"stele.exe_digest", QUERY_EXE_DIGEST, LOG_MAP_PLAIN},
	{"stele.cgroup", QUERY_CGROUP, LOG_MAP_PLAIN},
	{0},
};

static const struct log_map of_event[] = {
	{"stele.text", QUERY_TEXT_OF_EVENT, LOG_MAP_PLAIN},
	{0},
};

static const struct log_map of_parent[] = {
	{"proc.pname", QUERY_COMM, LOG_MAP_PLAIN},
	{"proc.pexepath", QUERY_EXE, LOG_MAP_PLAIN},
	{"proc.pcmdline", QUERY_CMDLINE, LOG_MAP_LINE},
	{0},
};

/* Falco counts from the process itself: aname[1] is its parent. */
static int set_further(
	json_t *fields, const struct log_ancestor_list *list, size_t i)
{
	const struct {
		const char *name;
		enum query_column column;
	} further[] = {{"proc.aname", QUERY_COMM}, {"proc.apid", QUERY_PID}};
	struct query_row row;
	int r = 0;

	log_ancestors_row(&list->items[i], &row);
	for (size_t k = 0; r == 0 && k < ARRAY_LEN(further); k++) {
		struct log_map map[2] = {{.column = further[k].column}};
		char key[32];

		(void)snprintf(
			key, sizeof(key), "%s[%zu]", further[k].name, i + 1);
		map[0].key = key;
		r = log_map_flat(fields, map, &row);
	}
	return r;
}

static int set_ancestors(
	json_t *fields, struct log_out *o, const struct query_row *row)
{
	const struct log_ancestor_list *list;
	int r = log_ancestors_get(&o->ancestors, o->query, row, &list);
	struct query_row parent;

	if (r < 0 || list->count == 0)
		return r;
	log_ancestors_row(&list->items[0], &parent);
	r = log_map_flat(fields, of_parent, &parent);
	for (size_t i = 1; r == 0 && i < list->count; i++)
		r = set_further(fields, list, i);
	return r;
}

static int set_result(
	json_t *fields, const struct query_row *row, const struct log_record *r)
{
	int failed = json_object_set_new(fields, "evt.failed", json_true());

	if (r->error)
		failed |= json_object_set_new(
			fields, "evt.res", json_string(r->error));
	/* What Falco says of processes that are in no container. */
	if (row->cell[QUERY_CONTAINER].null && !row->cell[QUERY_PID].null)
		failed |= json_object_set_new(
			fields, "container.id", json_string("host"));
	return failed ? -ENOMEM : 0;
}

static int fill_fields(json_t *fields, struct log_out *o,
	const struct query_row *row, const struct log_record *r)
{
	int code = log_map_flat(fields, common, row);

	if (code == 0 && r->class == LOG_EVENT)
		return log_map_flat(fields, of_event, row);
	if (code == 0)
		code = log_map_flat(fields, of_attempt, row);
	if (code == 0)
		code = set_result(fields, row, r);
	return code < 0 ? code : set_ancestors(fields, o, row);
}

/* "12:34:56.123456789: Warning refused: unlink /etc/passwd by ..." */
static json_t *output_text(const struct log_record *r)
{
	uint32_t rest;
	int64_t sec = out_time_split(r->first, &rest);
	int64_t day = (sec % 86400 + 86400) % 86400;
	char *text = NULL;
	json_t *string;

	if (asprintf(&text,
		    "%02" PRId64 ":%02" PRId64 ":%02" PRId64 ".%09" PRIu32
		    ": %s %s",
		    day / 3600, day / 60 % 60, day % 60, rest,
		    priorities[r->level], r->message) < 0)
		return NULL;
	string = json_string(text);
	free(text);
	return string;
}

static int fill(json_t *root, struct log_out *o, const struct query_row *row,
	const struct log_record *r)
{
	static const struct log_map outer[] = {
		{"hostname", QUERY_HOST, LOG_MAP_PLAIN},
		{"time", QUERY_T_REAL, LOG_MAP_PLAIN},
		{0},
	};
	bool event = r->class == LOG_EVENT;
	json_t *fields = json_object();
	int failed = json_object_set_new(root, "output_fields", fields);
	char rule[64];

	if (failed)
		return -ENOMEM;
	(void)snprintf(rule, sizeof(rule),
		event ? "Ledger event: %s" : "Refused write: %s", r->op);
	failed |= json_object_set_new(root, "output", output_text(r));
	failed |= json_object_set_new(
		root, "priority", json_string(priorities[r->level]));
	failed |= json_object_set_new(root, "rule", json_string(rule));
	failed |= json_object_set_new(root, "source", json_string("stele"));
	failed |= json_object_set_new(root, "tags",
		json_pack("[sss]", "filesystem", "stele",
			log_record_class_name(r->class)));
	if (failed)
		return -ENOMEM;
	failed = log_map_flat(root, outer, row);
	return failed ? failed : fill_fields(fields, o, row, r);
}

static int print_row(struct log_out *o, const struct query_row *row)
{
	return log_out_object(o, row, fill);
}

const struct log_format log_out_falco = {
	.name = "falco",
	.what = "JSON lines as Falco's alerts, for falcosidekick",
	.row = print_row,
};
