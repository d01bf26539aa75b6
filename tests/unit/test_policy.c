/* SPDX-License-Identifier: Apache-2.0 */
/* Policies: what they mean, and each way to get one wrong. */
#include "fs/policy/policy.h"

#include <string.h>

#include "tests/unit/unit.h"

static void parse(const char *text, struct policy *ret)
{
	struct diag diag = {0};

	if (policy_parse(text, strlen(text), "app.yaml", ret, &diag) < 0)
		fail_msg("%s: %s", text, diag.text);
}

static void assert_prints(const struct policy *p, const char *want)
{
	_cleanup_buf_ struct buf got;

	buf_init(&got, 65536);
	assert_int_equal(policy_print(p, &got), 0);
	assert_int_equal(buf_add(&got, "", 1), 0);
	assert_string_equal(got.data, want);
}

/* What is read back from the canonical text is the same again. */
static void assert_means(const char *text, const char *want)
{
	struct policy p, again;

	parse(text, &p);
	assert_prints(&p, want);
	parse(want, &again);
	assert_prints(&again, want);
	policy_done(&p);
	policy_done(&again);
}

static void test_all_keys(void **state)
{
	assert_means(
		"writable:\n"
		"  /var/log/nginx: {source: storage, size: 512M}\n"
		"  /tmp: {source: tmp, size: 64M, mode: \"1777\", inodes: 9}\n"
		"  /srv/uploads: {source: host, path: /data/uploads/}\n"
		"  /etc/app:\n"
		"    source: storage\n"
		"    seed: image\n"
		"    name: settings\n"
		"  /run/: {source: tmp, seed: empty, uid: 33, gid: 34,\n"
		"          noexec: true, nosuid: true, nodev: false}\n",
		"writable:\n"
		"  \"/etc/app\": {source: storage, seed: image, name: "
		"\"settings\"}\n"
		"  \"/run\": {source: tmp, seed: empty, uid: 33, gid: 34, "
		"noexec: true, nosuid: true, nodev: false}\n"
		"  \"/srv/uploads\": {source: host, path: \"/data/uploads\"}\n"
		"  \"/tmp\": {source: tmp, size: 67108864, inodes: 9, mode: "
		"\"1777\"}\n"
		"  \"/var/log/nginx\": {source: storage, size: 536870912}\n");
}

static void test_nothing_is_writable(void **state)
{
	assert_means("writable: {}", "writable: {}\n");
}

/* A path may hold what YAML and JSON have a meaning for. */
static void test_odd_paths(void **state)
{
	assert_means("writable: {\"/a\\\"b\\\\c: #d\\u0001\": {source: tmp}, "
		     "'/\xc3\xa9 x': {source: tmp}, /: {source: tmp}}",
		"writable:\n"
		"  \"/\": {source: tmp}\n"
		"  \"/a\\u0022b\\u005cc: #d\\u0001\": {source: tmp}\n"
		"  \"/\xc3\xa9 x\": {source: tmp}\n");
}

static void test_upsun(void **state)
{
	struct policy p;

	parse("mounts:\n"
	      "    'web/uploads':\n"
	      "        source: storage\n"
	      "        source_path: uploads\n"
	      "    '/.tmp':\n"
	      "        source: tmp\n"
	      "        source_path: files/.tmp\n"
	      "    'cache': {source: instance}\n"
	      "    'old': {source: local, source_path: 'x/y'}\n"
	      "    'shared': {source: service, service: svc, source_path: z}\n"
	      "    'older': 'shared:files/rsrc'\n",
		&p);
	assert_int_equal(p.count, 6);

	const struct {
		const char *path;
		enum policy_source source;
		const char *name;
	} want[] = {
		{"/.tmp", POLICY_TMP, NULL},
		{"/cache", POLICY_TMP, NULL},
		{"/old", POLICY_STORAGE, ":x/y"},
		{"/older", POLICY_STORAGE, ":rsrc"},
		{"/shared", POLICY_STORAGE, "svc:z"},
		{"/web/uploads", POLICY_STORAGE, ":uploads"},
	};

	for (size_t i = 0; i < p.count; i++) {
		assert_string_equal(p.paths[i].path, want[i].path);
		assert_int_equal(p.paths[i].source, want[i].source);
		assert_int_equal(!p.paths[i].name, !want[i].name);
		if (want[i].name)
			assert_string_equal(p.paths[i].name, want[i].name);
	}
	policy_done(&p);
}

#define ONE(keys) "writable: {/a: {" keys "}}"

/* A text, and what the line about it must say. */
static const struct {
	const char *text, *says;
} bad[] = {
	{"", "empty"},
	{"# nothing\n", "empty"},
	{"[]", "1:1: expected: a block 'writable:'"},
	{"writable", "1:1: expected: a block"},
	{"writable: [/tmp]", "1:11: expected: paths"},
	{"writeable: {}", "1:1: writeable: a policy has the blocks"},
	{"writable: {}\nwritable: {}", "2:1: writable: this block is there "
				       "twice"},
	{"writable: {}\n---\nwritable: {}", "a second document"},
	{"writable: {/a: {source: tmp}\n", "no valid YAML"},
	{"writable: {/a: tmp}", "expected: a mapping such as"},
	{"writable: {[x]: {source: tmp}}", "expected: a path"},
	{"writable: {a: {source: tmp}}", "a path begins with '/'"},
	{"writable: {/a/../b: {source: tmp}}", "write the path without"},
	{"writable: {/a//b: {source: tmp}}", "write the path without"},
	{"writable: {/./b: {source: tmp}}", "write the path without"},
	{ONE(""), "/a: it has no source"},
	{ONE("source: disk"), "source: 'disk' is not storage, tmp or host"},
	{ONE("source: instance"), "is not storage, tmp or host"},
	{ONE("source: [tmp]"), "expected: a value"},
	{ONE("source: tmp, source: tmp"), "source: it is given twice"},
	{ONE("source: tmp, sise: 1M"), "sise: a path has source, path"},
	{ONE("source: tmp, source_path: x"), "source_path: a path has"},
	{ONE("source: tmp, size: 0"), "size: '0' is not a size"},
	{ONE("source: tmp, size: 64X"), "size: '64X' is not a size"},
	{ONE("source: tmp, size: 64MM"), "'64MM' is not a size"},
	{ONE("source: tmp, size: -1"), "'-1' is not a size"},
	{ONE("source: tmp, size: 9999999T"), "is not a size"},
	{ONE("source: tmp, size: 99999999999999999999"), "is not a size"},
	{ONE("source: tmp, size: M"), "is not a size"},
	{ONE("source: tmp, inodes: 0"), "is not a number of files"},
	{ONE("source: tmp, mode: 1888"), "is not permission bits"},
	{ONE("source: tmp, mode: 17777"), "is not permission bits"},
	{ONE("source: tmp, mode: rwx"), "is not permission bits"},
	{ONE("source: tmp, uid: www-data"), "is not a user id"},
	{ONE("source: tmp, uid: 4294967295"), "is not a user id"},
	{ONE("source: tmp, noexec: yes"), "'yes' is not true or false"},
	{ONE("source: tmp, seed: new"), "'new' is not image or empty"},
	{ONE("source: host"), "source host needs path"},
	{ONE("source: host, path: data"), "'data' is not an absolute path"},
	{ONE("source: host, path: /d, seed: empty"), "no seed"},
	{ONE("source: host, path: /d, size: 1M"), "no size"},
	{ONE("source: host, path: /d, mode: 0700"), "keeps its own mode"},
	{ONE("source: tmp, path: /d"), "path is for source host"},
	{ONE("source: tmp, name: x"), "name is for source storage"},
	{ONE("source: storage, name: a/b"), "without '/'"},
	{ONE("source: storage, name: ''"), "without '/'"},
	{ONE("source: storage, inodes: 5"), "need a size"},
	{"writable:\n  /a: {source: tmp}\n  /a/: {source: storage}",
		"app.yaml:2: '/a: {source: tmp}' and 3: '/a/: {source: "
		"storage}': the path is declared twice"},
	{"writable:\n  /d: {source: host, path: /x}\n  /d/e: {source: tmp}\n",
		"2: '/d: {source: host, path: /x}' and 3: '/d/e: {source: "
		"tmp}': nothing can be declared below"},
	{"writable:\n  /b: {source: storage, name: n}\n"
	 "  /a: {source: storage, name: n}\n",
		"one storage for two paths"},
	{"x: &x {source: tmp}", "1:1: x: a policy has"},
	{"writable: &w {}", "anchors are not used"},
	{"writable: {/a: &a {source: tmp}, /b: *a}", "anchors are not used"},
	{"writable: {/a: {source: &t tmp}}", "anchors are not used"},
	{"writable: {/a: *x}", "aliases are not used"},
	{"writable: {\"/a\\0b\": {source: tmp}}", "a NUL byte"},
	{"writable: {/\xff: {source: tmp}}", "no valid YAML"},
	{"mounts: {../x: {source: tmp}}", "write the path without"},
	{"mounts: {x: {source: host}}", "is not storage, instance, tmp"},
	{"mounts: {x: {source: tmp, size: 1M}}", "a mount has source"},
	{"mounts: {x: 'files'}", "expected a mapping"},
	{"mounts: {x: {source: storage, source_path: /y}}", "a relative path"},
	{"mounts: {x: {source: storage, source_path: ../y}}",
		"a relative path"},
};

static void test_bad(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct diag diag = {0};
		struct policy p;
		int r = policy_parse(bad[i].text, strlen(bad[i].text),
			"app.yaml", &p, &diag);

		if (r != -EBADMSG || !strstr(diag.text, bad[i].says) ||
			strncmp(diag.text, "app.yaml:", 9) != 0)
			fail_msg("%s: %d, %s", bad[i].text, r, diag.text);
		assert_null(p.paths);
	}
}

/* Each cut of a good text is refused or a shorter good text; never worse. */
static void test_cut(void **state)
{
	static const char text[] =
		"writable:\n  \"/a\\u0041\": {source: storage, size: 1M}\n"
		"mounts: {'x/y': {source: tmp, source_path: \"z\"}}\n";

	for (size_t len = 0; len < sizeof(text); len++) {
		struct diag diag = {0};
		struct policy p;
		int r = policy_parse(text, len, "cut", &p, &diag);

		assert_true(r == 0 || (r == -EBADMSG && diag.text[0]));
		policy_done(&p);
	}
}

static void test_words(void **state)
{
	static const char *const words[] = {"/tmp",
		"/var/log:storage,size=1G,noexec", "/a:b:host,path=/c:d",
		"/run:tmp,mode=0755,uid=1,gid=2,seed=empty,nodev=false,nosuid",
		"/c,size=4K"};
	struct policy p = {0};
	struct diag diag = {0};

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (policy_add_word(&p, words[i], &diag) < 0)
			fail_msg("%s", diag.text);
	}
	assert_int_equal(policy_finish(&p, &diag), 0);
	assert_prints(&p,
		"writable:\n"
		"  \"/a:b\": {source: host, path: \"/c:d\"}\n"
		"  \"/c\": {source: tmp, size: 4096}\n"
		"  \"/run\": {source: tmp, seed: empty, mode: \"0755\", uid: "
		"1, gid: 2, nosuid: true, nodev: false}\n"
		"  \"/tmp\": {source: tmp}\n"
		"  \"/var/log\": {source: storage, size: 1073741824, noexec: "
		"true}\n");
	policy_done(&p);
}

static const struct {
	const char *word, *says;
} bad_words[] = {
	{"", "a path begins with '/'"},
	{"tmp", "a path begins with '/'"},
	{"/a:disk", "source: storage, tmp or host"},
	{"/a:", "source: storage, tmp or host"},
	{"/a:tmp,", "a path has source"},
	{"/a:tmp,size", "it needs a value"},
	{"/a:tmp,size=x", "size: a size such as"},
	{"/a:tmp,source=tmp", "given twice"},
	{"/a:host", "needs path"},
};

static void test_bad_words(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(bad_words); i++) {
		struct policy p = {0};
		struct diag diag = {0};
		int r = policy_add_word(&p, bad_words[i].word, &diag);

		if (r != -EBADMSG || !strstr(diag.text, bad_words[i].says))
			fail_msg("'%s': %d, %s", bad_words[i].word, r,
				diag.text);
		assert_null(p.paths);
	}
}

static void test_find(void **state)
{
	static const struct {
		const char *path, *decides;
	} all[] = {
		{"/var", NULL},
		{"/", NULL},
		{"/var/lib", "/var/lib"},
		{"/var/lib/x", "/var/lib"},
		{"/var/library", NULL},
		{"/var/lib/app/y/z", "/var/lib/app"},
		{"/var/lib-x", "/var/lib-x"},
	};
	struct policy p;

	parse("writable: {/var/lib: {source: tmp}, /var/lib-x: {source: tmp}, "
	      "/var/lib/app: {source: storage}}",
		&p);
	/* A child comes right after its parent, whatever sorts between. */
	assert_string_equal(p.paths[1].path, "/var/lib/app");
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		const struct policy_path *found = policy_find(&p, all[i].path);

		assert_int_equal(!found, !all[i].decides);
		if (found)
			assert_string_equal(found->path, all[i].decides);
	}
	policy_done(&p);

	parse("writable: {/: {source: tmp}}", &p);
	assert_non_null(policy_find(&p, "/x/y"));
	policy_done(&p);
}

static void test_too_many(void **state)
{
	_cleanup_buf_ struct buf text;
	struct diag diag = {0};
	struct policy p;

	buf_init(&text, POLICY_TEXT_MAX);
	assert_int_equal(buf_printf(&text, "writable:\n"), 0);
	for (int i = 0; i <= POLICY_PATHS_MAX; i++)
		assert_int_equal(
			buf_printf(&text, "  /%d: {source: tmp}\n", i), 0);
	assert_int_equal(
		policy_parse(text.data, text.len, "many", &p, &diag), -EBADMSG);
	assert_non_null(strstr(diag.text, "more paths than"));
	assert_null(p.paths);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_keys),
		cmocka_unit_test(test_nothing_is_writable),
		cmocka_unit_test(test_odd_paths),
		cmocka_unit_test(test_upsun),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_bad_words),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_too_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
