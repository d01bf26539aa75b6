/* SPDX-License-Identifier: Apache-2.0 */
/* The state folder of a mount: its lock and what it remembers. */
#include "fs/upper/state.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/db/db.h"
#include "tests/lib/workdir.h"
#include "tests/unit/unit.h"

static int lock(const struct workdir *w, int *ret, struct diag *diag)
{
	return state_lock(workdir_path(w, "a/b"), "/mnt", ret, diag);
}

static struct state *open_new(const struct workdir *w)
{
	struct state *s;
	struct diag diag = {0};

	workdir_folder(w, "s");
	assert_int_equal(chmod(workdir_path(w, "s"), 0700), 0);
	if (state_open(workdir_path(w, "s"), &s, &diag) < 0)
		fail_msg("%s", diag.text);
	return s;
}

static void test_one_user_at_a_time_who_is_named(void **state)
{
	struct diag diag = {0};
	struct stat st;
	int first, second;

	assert_int_equal(lock(*state, &first, &diag), 0);
	assert_int_equal(stat(workdir_path(*state, "a/b"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(lock(*state, &second, &diag), -EBUSY);
	assert_non_null(strstr(diag.text, "in use by the mount on /mnt (pro"));

	/* As long as any copy of it is open. */
	int copy = dup(first);

	(void)close(first);
	assert_int_equal(lock(*state, &second, &diag), -EBUSY);
	(void)close(copy);
	assert_int_equal(lock(*state, &second, &diag), 0);
	(void)close(second);
}

static void test_a_folder_of_others_is_refused(void **state)
{
	struct diag diag = {0};
	int fd;

	workdir_folder(*state, "a");
	workdir_folder(*state, "a/b");
	assert_int_equal(chmod(workdir_path(*state, "a/b"), 0770), 0);
	assert_int_equal(lock(*state, &fd, &diag), -EPERM);
	assert_int_equal(chmod(workdir_path(*state, "a/b"), 0755), 0);
	if (geteuid() == 0) {
		assert_int_equal(chown(workdir_path(*state, "a/b"), 7, 7), 0);
		assert_int_equal(lock(*state, &fd, &diag), -EPERM);
		assert_int_equal(chown(workdir_path(*state, "a/b"), 0, 0), 0);
	}
	assert_int_equal(lock(*state, &fd, &diag), 0);
	(void)close(fd);
}

static void test_what_is_put_is_found_again(void **state)
{
	static const struct state_storage kinds[] = {
		{.place = PLAN_FOLDER, .form = PLAN_EMPTY},
		{.place = PLAN_FOLDER,
			.form = PLAN_OVERLAY,
			.seeded = true,
			.tree_id = {{1, 2, 3}}},
		{.place = PLAN_FOLDER,
			.form = PLAN_FILE,
			.seeded = true,
			.tree_id = {{9}}},
		{.place = PLAN_VOLUME, .form = PLAN_EMPTY, .size = INT64_MAX},
	};
	struct state_storage got;
	struct diag diag = {0};
	struct state *s = open_new(*state);

	assert_int_equal(state_get(s, "x", &got, &diag), -ENOENT);
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		assert_int_equal(
			state_put(s, "x", "/var/\xff", &kinds[i], &diag), 0);
		state_close(s);
		assert_int_equal(
			state_open(workdir_path(*state, "s"), &s, &diag), 0);
		assert_int_equal(state_get(s, "x", &got, &diag), 0);
		assert_int_equal(got.place, kinds[i].place);
		assert_int_equal(got.form, kinds[i].form);
		assert_int_equal(got.size, kinds[i].size);
		assert_int_equal(got.seeded, kinds[i].seeded);
		assert_true(digest_equal(&got.tree_id, &kinds[i].tree_id));
	}
	state_close(s);
}

static void test_what_is_aborted_is_not_there(void **state)
{
	const struct state_storage plain = {.place = PLAN_FOLDER};
	const struct state_mount m = {.mount_point = "/mnt", .image = "/i"};
	struct state_storage got;
	struct diag diag = {0};
	struct state *s = open_new(*state);

	assert_int_equal(state_begin(s, &diag), 0);
	assert_int_equal(state_put(s, "x", "/x", &plain, &diag), 0);
	state_abort(s);
	assert_int_equal(state_get(s, "x", &got, &diag), -ENOENT);
	assert_int_equal(state_begin(s, &diag), 0);
	assert_int_equal(state_put(s, "x", "/x", &plain, &diag), 0);
	assert_int_equal(state_put_mount(s, &m, &diag), 0);
	assert_int_equal(state_put_mount(s, &m, &diag), 0);
	assert_int_equal(state_commit(s, &diag), 0);
	assert_int_equal(state_get(s, "x", &got, &diag), 0);
	state_close(s);
}

static void run_sql(const struct workdir *w, const char *sql)
{
	_cleanup_(db_close) struct db *db = NULL;
	struct diag diag = {0};

	assert_int_equal(
		db_open(workdir_path(w, "s/state.db"), 0, &db, &diag), 0);
	assert_int_equal(db_exec(db, sql), 0);
}

static void test_what_we_do_not_know_is_refused(void **state)
{
	static const struct {
		const char *sql;
		int err;
		const char *says;
	} cases[] = {
		{"PRAGMA user_version = 2", -EOPNOTSUPP, "is newer"},
		{"PRAGMA application_id = 7; PRAGMA user_version = 1", -EBADMSG,
			"not one of a state folder"},
	};
	struct diag diag = {0};
	struct state *s = open_new(*state);

	state_close(s);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		run_sql(*state, cases[i].sql);
		assert_int_equal(
			state_open(workdir_path(*state, "s"), &s, &diag),
			cases[i].err);
		assert_non_null(strstr(diag.text, cases[i].says));
	}
	workdir_text(*state, "s/state.db", "this is no database at all, but");
	assert_int_equal(
		state_open(workdir_path(*state, "s"), &s, &diag), -EBADMSG);
	assert_non_null(strstr(diag.text, "/s/state.db: it is damaged"));
}

static void test_a_row_that_makes_no_sense_is_damage(void **state)
{
	struct state_storage got;
	struct diag diag = {0};
	struct state *s = open_new(*state);

	state_close(s);
	run_sql(*state,
		"PRAGMA ignore_check_constraints = 1; INSERT INTO storage "
		"VALUES('x', x'2f', 'moon', 'empty', 0, NULL, 0, 0)");
	assert_int_equal(state_open(workdir_path(*state, "s"), &s, &diag), 0);
	assert_int_equal(state_get(s, "x", &got, &diag), -EBADMSG);
	state_close(s);
}

#define STATE_TEST(f) \
	cmocka_unit_test_setup_teardown(f, workdir_set_up, workdir_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		STATE_TEST(test_one_user_at_a_time_who_is_named),
		STATE_TEST(test_a_folder_of_others_is_refused),
		STATE_TEST(test_what_is_put_is_found_again),
		STATE_TEST(test_what_is_aborted_is_not_there),
		STATE_TEST(test_what_we_do_not_know_is_refused),
		STATE_TEST(test_a_row_that_makes_no_sense_is_damage),
	};

	return cmocka_run_group_tests_name("state", tests, NULL, NULL);
}
