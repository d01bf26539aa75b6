/* SPDX-License-Identifier: Apache-2.0 */
/* What a policy means for an image, and how the two contradict each other. */
#include "fs/upper/plan.h"

#include <string.h>
#include <sys/stat.h>

#include "fs/upper/name.h"
#include "tests/lib/image_sample.h"
#include "tests/unit/unit.h"

#define DIR S_IFDIR | 0755
#define LINK S_IFLNK | 0777

/* Breadth first, names sorted in each folder. */
static const struct sample_entry entries[] = {
	{0, 1, "", DIR, .mtime = 7},
	{1, 2, "etc", S_IFDIR | 0750, .uid = 3, .gid = 4},
	{1, 3, "fifo", .mode = S_IFIFO | 0600},
	{1, 4, "loop", LINK, .target = "loop"},
	{1, 5, "run", .mode = DIR},
	{1, 6, "tmp", .mode = S_IFDIR | 01777},
	{1, 7, "var", .mode = DIR},
	{2, 8, "app.conf", S_IFREG | 0640, .uid = 33, .content = 0},
	{7, 9, "lock", LINK, .target = "../run/lock"},
	{7, 10, "log", .mode = DIR},
	{7, 11, "run", LINK, .target = "/run"},
};

static const struct sample_content contents[] = {
	{(const uint8_t *)"x = 1\n", 6},
};

static int open_image(void **state)
{
	static const struct sample s = {
		.entries = entries,
		.entry_count = ARRAY_LEN(entries),
		.contents = contents,
		.frame_size = 65536,
		.level = 1,
	};
	static struct buf bytes = {.max = 1u << 20};
	struct source *src;
	struct diag diag;

	assert_int_equal(sample_image(&s, &bytes), 0);
	assert_int_equal(source_from_memory(bytes.data, bytes.len, &src), 0);
	if (image_open(src, (struct image **)state, &diag) < 0)
		fail_msg("%s", diag.text);
	return 0;
}

static int close_image(void **state)
{
	image_free(*state);
	return 0;
}

/* A policy with its plan. */
struct made {
	struct policy policy;
	struct plan plan;
};

static int make(const struct image *img, const char *text, struct made *ret,
	struct diag *diag)
{
	_cleanup_buf_ struct buf all = {.max = 65536};

	*ret = (struct made){0};
	assert_int_equal(buf_printf(&all, "writable:\n  %s", text), 0);
	if (policy_parse(all.data, all.len, "app.yaml", &ret->policy, diag) < 0)
		fail_msg("%s: %s", text, diag->text);

	int r = plan_new(&ret->policy, img, "app.yaml", &ret->plan, diag);

	if (r < 0)
		policy_done(&ret->policy);
	return r;
}

static void unmake(struct made *m)
{
	plan_done(&m->plan);
	policy_done(&m->policy);
}

static const struct {
	const char *text, *kind, *name;
	mode_t mode;
	uint32_t uid, gid, ino;
	bool appears;
} rows[] = {
	{"/tmp: {source: tmp, seed: empty, size: 1M}", "tmpfs", NULL, 01777, 0,
		0, 6, false},
	{"/etc: {source: tmp}", "overlay on tmpfs", NULL, 0750, 3, 4, 2, false},
	{"/etc: {source: tmp, mode: \"0700\", uid: 0, gid: 9}",
		"overlay on tmpfs", NULL, 0700, 0, 9, 2, false},
	{"/var/log: {source: storage, seed: empty}", "folder of the state",
		"var-log", 0755, 0, 0, 10, false},
	{"/var/log: {source: storage}", "overlay on a folder of the state",
		"var-log", 0755, 0, 0, 10, false},
	{"/var/log: {source: storage, size: 8M, seed: empty}", "volume",
		"var-log", 0755, 0, 0, 10, false},
	{"/var/log: {source: storage, size: 8M}", "overlay on a volume",
		"var-log", 0755, 0, 0, 10, false},
	{"/: {source: storage, name: all}", "overlay on a folder of the state",
		"+all", 0755, 0, 0, 1, false},
	{"/srv/a-b: {source: storage, uid: 5}", "folder of the state",
		"srv-a\\x2db", 0755, 5, 0, 0, true},
	{"/etc/app.conf: {source: storage}", "copy of a file", "etc-app.conf",
		0640, 33, 0, 8, false},
	{"/etc/app.conf: {source: tmp, mode: \"0600\"}", "copy of a file", NULL,
		0600, 33, 0, 8, false},
	{"/srv: {source: host, path: /proc}", "bind mount of the host", NULL, 0,
		0, 0, 0, true},
	{"/srv: {source: host, path: /proc/version}", "bind mount of the host",
		NULL, 0, 0, 0, 0, true},
	{"/srv: {source: host, path: /not/there}", "bind mount of the host",
		NULL, 0, 0, 0, 0, true},
	{"/etc/app.conf: {source: host, path: /proc/version}",
		"bind mount of the host", NULL, 0, 0, 0, 8, false},
};

static void test_each_row(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct diag diag = {0};
		struct made m;

		if (make(*state, rows[i].text, &m, &diag) < 0)
			fail_msg("%s: %s", rows[i].text, diag.text);
		assert_int_equal(m.plan.count, 1);

		const struct plan_step *s = m.plan.steps;

		print_message("%s\n", rows[i].text);
		assert_string_equal(plan_kind(s), rows[i].kind);
		assert_int_equal(s->mode, rows[i].mode);
		assert_int_equal(s->uid, rows[i].uid);
		assert_int_equal(s->gid, rows[i].gid);
		assert_int_equal(s->ino, rows[i].ino);
		assert_int_equal(s->appears, rows[i].appears);
		assert_int_equal(s->on == PLAN_ON_IMAGE, true);
		if (rows[i].name)
			assert_string_equal(s->name, rows[i].name);
		else
			assert_null(s->name);
		assert_int_equal(
			s->is_file, strstr(rows[i].text, "app.conf") ||
					    strstr(rows[i].text, "version"));
		unmake(&m);
	}
}

static void test_contradictions_name_the_line_and_the_path(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{"/a: {source: tmp}\n  /srv: {source: tmp, seed: image}",
			"app.yaml:3: /srv: it is to start as the image has it "
			"(seed: image), and the image has nothing there"},
		{"/etc/app.conf: {source: tmp, size: 1M}",
			"app.yaml:2: /etc/app.conf: it is a single file in the "
			"image, which cannot have a size or inodes; declare "
			"its folder"},
		{"/etc/app.conf/x: {source: tmp}",
			"app.yaml:2: /etc/app.conf/x: /etc/app.conf is no "
			"folder in the image"},
		{"/fifo: {source: tmp}",
			"app.yaml:2: /fifo: the image has neither a folder nor "
			"a regular file there"},
		{"/var/run: {source: tmp}",
			"app.yaml:2: /var/run: /var/run is a symbolic link in "
			"the image; declare /run instead"},
		{"/var/run/a/b: {source: tmp}",
			"app.yaml:2: /var/run/a/b: /var/run is a symbolic link "
			"in the image; declare /run/a/b instead"},
		{"/var/lock: {source: tmp}",
			"app.yaml:2: /var/lock: /var/lock is a symbolic link "
			"in the image, and leads nowhere there"},
		{"/loop/x: {source: tmp}",
			"app.yaml:2: /loop/x: /loop is a symbolic link in the "
			"image, and leads nowhere there"},
		{"/etc: {source: host, path: /proc/version}",
			"app.yaml:2: /etc: the image has a folder there and "
			"the host a file at /proc/version"},
		{"/etc/app.conf: {source: host, path: /proc}",
			"app.yaml:2: /etc/app.conf: the image has a file there "
			"and the host a folder at /proc"},
		/* a folder that starts empty does not hide what is asked for */
		{"/var: {source: tmp, seed: empty}\n"
		 "  /var/run: {source: tmp, seed: image}",
			"app.yaml:3: /var/run: /var/run is a symbolic link in "
			"the image; declare /run instead"},
		{"/etc/app.conf: {source: tmp}\n"
		 "  /etc/app.conf/x: {source: tmp}",
			"app.yaml:3: /etc/app.conf/x: /etc/app.conf is no "
			"folder in the image"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct diag diag = {0};
		struct made m;

		assert_int_equal(
			make(*state, cases[i].text, &m, &diag), -EBADMSG);
		assert_string_equal(diag.text, cases[i].want);
	}
}

static void test_a_word_is_quoted_without_a_line(void **state)
{
	struct policy p = {0};
	struct plan plan;
	struct diag diag = {0};

	assert_int_equal(policy_add_word(&p, "/var/run:tmp,size=1M", &diag), 0);
	assert_int_equal(policy_finish(&p, &diag), 0);
	assert_int_equal(plan_new(&p, *state, NULL, &plan, &diag), -EBADMSG);
	assert_string_equal(diag.text,
		"'/var/run:tmp,size=1M': /var/run is a symbolic link in the "
		"image; declare /run instead");
	policy_done(&p);
}

/* What a path lies in, and which the mount itself must show. */
static void test_nesting(void **state)
{
	static const struct {
		const char *path;
		size_t on;
		bool appears;
	} want[] = {
		{"/", PLAN_ON_IMAGE, false},
		{"/a/b", 0, true}, /* the overlay shows what the mount shows */
		{"/a/b/c", 1, false}, {"/a/x", 0, true}, {"/var", 0, false},
		{"/var/log", 4, false}, {"/var/log/app", 5, true},
		{"/var/run", 4, false}, /* the image's link is hidden */
	};
	struct diag diag = {0};
	struct made m;

	if (make(*state,
		    "/var/run: {source: tmp}\n"
		    "  /a/b/c: {source: tmp}\n"
		    "  /a/x: {source: tmp}\n"
		    "  /a/b: {source: tmp}\n"
		    "  /var: {source: tmp, seed: empty}\n"
		    "  /var/log: {source: tmp}\n"
		    "  /var/log/app: {source: tmp}\n"
		    "  /: {source: tmp}\n",
		    &m, &diag) < 0)
		fail_msg("%s", diag.text);
	assert_int_equal(m.plan.count, ARRAY_LEN(want));
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		const struct plan_step *s = &m.plan.steps[i];

		print_message("%s\n", want[i].path);
		assert_string_equal(s->declared->path, want[i].path);
		assert_int_equal(s->on, want[i].on);
		assert_int_equal(s->appears, want[i].appears);
	}
	unmake(&m);
}

static void test_without_an_image_nothing_is_contradicted(void **state)
{
	struct diag diag = {0};
	struct made m;

	if (make(NULL,
		    "/srv: {source: tmp, seed: image}\n"
		    "  /var/run/a: {source: storage}\n",
		    &m, &diag) < 0)
		fail_msg("%s", diag.text);
	assert_int_equal(m.plan.count, 2);
	assert_false(m.plan.steps[0].appears);
	assert_string_equal(m.plan.steps[1].name, "var-run-a");
	unmake(&m);
}

static void test_the_digest_names_the_meaning_and_not_the_spelling(void **state)
{
	static const char *const texts[] = {
		"/tmp: {source: tmp, size: 1M}\n  /a: {source: tmp}",
		"/a: {source: tmp}\n  /tmp: {size: 1024K, source: tmp}",
		"/a: {source: tmp}\n  /tmp: {size: 2M, source: tmp}",
	};
	struct digest digests[3];
	struct diag diag = {0};
	struct made m;

	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(make(*state, texts[i], &m, &diag), 0);
		digests[i] = m.plan.policy;
		unmake(&m);
	}
	assert_true(digest_equal(&digests[0], &digests[1]));
	assert_false(digest_equal(&digests[0], &digests[2]));
}

static void assert_name(int (*name)(const char *, struct buf *), const char *of,
	const char *want)
{
	_cleanup_buf_ struct buf b = {.max = 65536};

	assert_int_equal(name(of, &b), 0);
	assert_int_equal(buf_add(&b, "", 1), 0);
	assert_string_equal(b.data, want);
}

static void test_names_of_storages(void **state)
{
	char longest[NAME_LEN_MAX + 2];
	_cleanup_buf_ struct buf cut = {.max = 65536};

	assert_name(name_of_path, "/", "-");
	assert_name(name_of_path, "/var/log", "var-log");
	assert_name(name_of_path, "/var-log", "var\\x2dlog");
	assert_name(name_of_path, "/.x/.y", "\\x2ex-.y");
	assert_name(name_of_path, "/a b\n\xff", "a\\x20b\\x0a\\xff");
	assert_name(name_of_path, "/a+b@c", "a\\x2bb\\x40c");
	assert_name(name_of_word, "var", "+var");
	assert_name(name_of_word, ":web/uploads", "+:web-uploads");

	memset(longest, 'x', sizeof(longest));
	longest[0] = '/';
	longest[sizeof(longest) - 1] = '\0';
	assert_name(name_of_path, longest, longest + 1); /* 200 bytes */
	assert_int_equal(buf_printf(&cut, "%sy", longest), 0);
	assert_int_equal(buf_add(&cut, "", 1), 0);

	_cleanup_buf_ struct buf name = {.max = 65536};

	assert_int_equal(name_of_path(cut.data, &name), 0);
	assert_int_equal(name.len, 160 + 1 + 32);
	assert_int_equal(name.data[160], '@');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_row),
		cmocka_unit_test(
			test_contradictions_name_the_line_and_the_path),
		cmocka_unit_test(test_a_word_is_quoted_without_a_line),
		cmocka_unit_test(test_nesting),
		cmocka_unit_test(test_without_an_image_nothing_is_contradicted),
		cmocka_unit_test(
			test_the_digest_names_the_meaning_and_not_the_spelling),
		cmocka_unit_test(test_names_of_storages),
	};

	return cmocka_run_group_tests_name(
		"plan", tests, open_image, close_image);
}
