/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may do what: against the rules as Linux documents them, and against the
 * kernel itself, on real files.
 */
#include "fs/mount/perm.h"

#include <linux/capability.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/lib/image_sample.h"
#include "tests/unit/perm_kit.h"
#include "tests/unit/unit.h"

#define BIT(cap) (UINT64_C(1) << (cap))

static struct subjects subjects;
static const char *missing;	    /* why the kernel cannot be asked */
static const char *missing_user_ns; /* why not there */

/* Containers may forbid them, and so does a second thread (a sanitizer's). */
static bool has_user_namespaces(void)
{
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (child == 0)
		_exit(unshare(CLONE_NEWUSER) < 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	return status == 0;
}

static int set_up(void **state)
{
	if (geteuid() != 0) {
		missing = missing_user_ns = "files of other users need root";
		return 0;
	}
	if (!subjects_new(&subjects, 7))
		missing = "no ACLs where temporary files are";
	missing_user_ns = missing;
	if (!missing && !has_user_namespaces())
		missing_user_ns = "no user namespace can be made";
	return 0;
}

static int tear_down(void **state)
{
	if (geteuid() == 0)
		subjects_done(&subjects);
	return 0;
}

static void compare(const struct who *w, const struct asking *a, bool access)
{
	for (int i = 0; i < SUBJECTS; i++) {
		const struct subject *s = &subjects.all[i];
		const int *kernel =
			access ? a->answers->real[i] : a->answers->effective[i];
		struct image_node node = subject_node(&subjects, s);
		struct caller c;

		caller_init(&c, a->answers->tid, access ? w->ruid : w->euid,
			access ? w->rgid : w->egid);
		for (unsigned mask = 0; mask < 8; mask++) {
			int r = perm_check(subjects.img, &node, &c, mask);

			if (r != -kernel[mask])
				fail_msg("%s %u: mode %o of %u:%u, acl %zu, "
					 "for %u:%u, %llx: %d, the kernel "
					 "says %d",
					access ? "access" : "check", mask,
					s->mode, s->uid, s->gid, s->acl_len,
					c.uid, c.gid,
					(unsigned long long)w->effective, r,
					-kernel[mask]);
		}
		caller_done(&c);
	}
}

static void compare_owner(const struct who *w, const struct asking *a)
{
	for (int i = 0; i < SUBJECTS; i++) {
		struct image_node node =
			subject_node(&subjects, &subjects.all[i]);
		struct caller c;

		caller_init(&c, a->answers->tid, w->euid, w->egid);

		bool may = perm_is_owner(&node, &c);

		if (may != (a->answers->utime[i] == 0))
			fail_msg("owner %u:%u, caller %u:%u, %llx: %d, the "
				 "kernel says %d",
				node.uid, node.gid, w->euid, w->egid,
				(unsigned long long)w->effective, may,
				a->answers->utime[i]);
		caller_done(&c);
	}
}

static void compare_delete(const struct who *w, const struct asking *a)
{
	for (int i = 0; i < PARENTS; i++) {
		struct image_node dir =
			subject_node(&subjects, &subjects.parents[i]);
		struct image_node victim = victim_node(&subjects, i);
		struct caller c;

		caller_init(&c, a->answers->tid, w->euid, w->egid);

		bool may = perm_may_delete(subjects.img, &dir, &victim, &c);

		if (may != (a->answers->rmdir[i] == ENOTEMPTY))
			fail_msg("%o of %u in %o of %u: caller %u:%u, %llx: "
				 "%d, the kernel says %d",
				victim.mode, victim.uid, dir.mode, dir.uid,
				w->euid, w->egid,
				(unsigned long long)w->effective, may,
				a->answers->rmdir[i]);
		caller_done(&c);
	}
}

/* What a map makes of an id, as the header of perm_kit has it. */
static bool map_id(const char *map, uint32_t id, uint32_t *ret)
{
	uint32_t in, out, count;
	int used;

	*ret = id;
	while (map &&
		sscanf(map, "%u %u %u%n", &in, &out, &count, &used) == 3) {
		*ret = id - out + in;
		if (id >= out && id - out < count)
			return true;
		map += used;
	}
	return !map;
}

/* Is it root to itself? */
static bool is_root(const struct who *w)
{
	uint32_t inside;

	return map_id(w->uid_map, w->euid, &inside) && inside == 0;
}

/*
 * access(2) asks for the real user, with other capabilities. Where the ids are
 * the same nothing tells it from a chdir(2): then it is answered as that.
 */
static bool access_is_known(const struct who *w)
{
	if (w->ruid != w->euid || w->rgid != w->egid)
		return true;
	return w->effective == (is_root(w) ? w->permitted : 0);
}

static void compare_all(const struct who *w)
{
	struct asking a;

	who_begin(&a, &subjects, w);
	compare(w, &a, false);
	if (access_is_known(w))
		compare(w, &a, true);
	compare_owner(w, &a);
	compare_delete(w, &a);
	who_end(&a);
}

/* user::rwx user:1000:r-- group::rw- group:2000:r-x mask::r-- other::rwx */
static const struct sample_xattr acl[] = {
	{"system.posix_acl_access",
		"\2\0\0\0\1\0\7\0\377\377\377\377\2\0\4\0\350\3\0\0"
		"\4\0\6\0\377\377\377\377\10\0\5\0\320\7\0\0"
		"\20\0\4\0\377\377\377\377\40\0\7\0\377\377\377\377",
		52},
	{NULL, NULL, 0},
};

#define BAD_ACL(name, value)                                           \
	static const struct sample_xattr name[] = {                    \
		{"system.posix_acl_access", value, sizeof(value) - 1}, \
		{NULL, NULL, 0},                                       \
	}

BAD_ACL(acl_empty, "");
BAD_ACL(acl_short, "\2\0\0");
BAD_ACL(acl_old, "\1\0\0\0\40\0\7\0\377\377\377\377");
BAD_ACL(acl_odd, "\2\0\0\0\40\0\7\0\377\377\377");
BAD_ACL(acl_no_other, "\2\0\0\0\1\0\7\0\377\377\377\377");
BAD_ACL(acl_bad_tag, "\2\0\0\0\100\0\7\0\377\377\377\377");

#define SEARCH BIT(CAP_DAC_READ_SEARCH)
#define OVERRIDE BIT(CAP_DAC_OVERRIDE)

/*
 * path_resolution(7), acl(5) and capabilities(7), a rule at a time; owner 500,
 * group 600. The caller is in its group and in one more.
 */
static const struct rule {
	const char *what;
	uint32_t mode;
	const struct sample_xattr *acl;
	uint32_t uid, gid, group;
	uint64_t caps;
	const char *may; /* "rwx", or '-', or "e" for -EIO */
} rules[] = {
	{"owner", S_IFREG | 0640, NULL, 500, 1, 1, 0, "rw-"},
	{"owner, not group", S_IFREG | 0070, NULL, 500, 600, 600, 0, "---"},
	{"group", S_IFREG | 0640, NULL, 1, 600, 1, 0, "r--"},
	{"one more group", S_IFREG | 0640, NULL, 1, 1, 600, 0, "r--"},
	{"group, not other", S_IFREG | 0607, NULL, 1, 600, 1, 0, "---"},
	{"other", S_IFREG | 0604, NULL, 1, 1, 1, 0, "r--"},
	{"root is nobody", S_IFREG | 0600, NULL, 0, 0, 0, 0, "---"},
	{"set-id bits do not matter", S_IFREG | 07000, NULL, 500, 600, 1, 0,
		"---"},
	{"override", S_IFREG | 0, NULL, 1, 1, 1, OVERRIDE, "rw-"},
	{"override, one x", S_IFREG | 0001, NULL, 500, 1, 1, OVERRIDE, "rwx"},
	{"override, folder", S_IFDIR | 0, NULL, 1, 1, 1, OVERRIDE, "rwx"},
	{"search, no x", S_IFREG | 0, NULL, 1, 1, 1, SEARCH, "r--"},
	{"search, folder", S_IFDIR | 0, NULL, 1, 1, 1, SEARCH, "r-x"},
	{"ACL: owner", S_IFREG | 0747, acl, 500, 1, 1, 0, "rwx"},
	{"ACL: user", S_IFREG | 0747, acl, 1000, 2000, 600, 0, "r--"},
	{"ACL: owning group", S_IFREG | 0747, acl, 1, 600, 1, 0, "r--"},
	{"ACL: group", S_IFREG | 0747, acl, 1, 1, 2000, 0, "r--"},
	{"ACL: other", S_IFREG | 0747, acl, 1, 1, 1, 0, "rwx"},
	{"ACL: folder", S_IFDIR | 0747, acl, 1, 2000, 1, 0, "r--"},
	{"ACL: search", S_IFDIR | 0747, acl, 1, 2000, 1, SEARCH, "r-x"},
	{"ACL: not without group bits", S_IFREG | 0705, acl, 1000, 1, 1, 0,
		"r-x"},
	{"bad ACL", S_IFREG | 0777, acl_empty, 1, 1, 1, 0, "e"},
	{"bad ACL", S_IFREG | 0777, acl_short, 1, 1, 1, 0, "e"},
	{"bad ACL", S_IFREG | 0777, acl_old, 1, 1, 1, 0, "e"},
	{"bad ACL", S_IFREG | 0777, acl_odd, 1, 1, 1, 0, "e"},
	{"bad ACL", S_IFREG | 0777, acl_no_other, 1, 1, 1, 0, "e"},
	{"bad ACL", S_IFREG | 0777, acl_bad_tag, 1, 1, 1, 0, "e"},
	{"bad ACL, root", S_IFREG | 0777, acl_bad_tag, 0, 0, 0, OVERRIDE, "e"},
	{"bad ACL, owner", S_IFREG | 0747, acl_short, 500, 1, 1, 0, "rwx"},
};

/* An image with one file or folder for each rule, "00" and so on. */
static struct image *open_rules(struct buf *bytes)
{
	static const struct sample_content empty = {(const uint8_t *)"", 0};
	static char names[ARRAY_LEN(rules)][8];
	struct sample_entry entries[1 + ARRAY_LEN(rules)] = {
		{.ino = 1, .mode = S_IFDIR | 0755}};
	struct sample sample = {
		.entries = entries,
		.entry_count = ARRAY_LEN(entries),
		.contents = &empty,
		.frame_size = LAYOUT_FRAME_MIN,
	};
	struct image *img;
	struct source *src;
	struct diag diag = {0};

	for (uint32_t i = 0; i < ARRAY_LEN(rules); i++) {
		(void)snprintf(names[i], sizeof(names[i]), "%02u", i);
		entries[1 + i] = (struct sample_entry){
			.parent = 1,
			.ino = i + 2,
			.name = names[i],
			.mode = rules[i].mode,
			.uid = 500,
			.gid = 600,
			.xattrs = rules[i].acl,
		};
	}
	assert_int_equal(sample_image(&sample, bytes), 0);
	assert_int_equal(source_from_memory(bytes->data, bytes->len, &src), 0);
	if (image_open(src, &img, &diag) < 0)
		fail_msg("%s", diag.text);
	return img;
}

/* Each mask of the three, and so each combination. */
static void check_rule(
	const struct image *img, const struct image_node *node, size_t i)
{
	const struct rule *rule = &rules[i];
	gid_t group = rule->group;
	struct caller c = {
		.uid = rule->uid,
		.real_uid = rule->uid,
		.fs_uid = rule->uid,
		.gid = rule->gid,
		.real_gid = rule->gid,
		.fs_gid = rule->gid,
		.loaded = true,
		.visible = true,
		.effective = rule->caps,
		.groups = &group,
		.group_count = 1,
		.same_user_ns = true,
	};
	unsigned may = 0;

	for (unsigned j = 0; j < 3 && rule->may[0] != 'e'; j++)
		may |= rule->may[j] == '-' ? 0 : PERM_READ >> j;
	for (unsigned mask = 1; mask < 8; mask++) {
		int want = rule->may[0] == 'e' ? -EIO
			   : mask & ~may       ? -EACCES
					       : 0;
		int r = perm_check(img, node, &c, mask);

		if (r != want)
			fail_msg("%s, %u: %d", rule->what, mask, r);
	}
	assert_int_equal(perm_has_acl(img, node), rule->acl != NULL);
}

static void test_rules(void **state)
{
	struct buf bytes = {.max = 1 << 20};
	struct image *img = open_rules(&bytes);

	for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
		struct image_node node;

		assert_int_equal(image_node(img, i + 2, &node), 0);
		check_rule(img, &node, i);
	}
	image_free(img);
	buf_done(&bytes);
}

/* Of a process that cannot be seen nothing is assumed. */
static void test_invisible(void **state)
{
	static const pid_t tids[] = {0, INT32_MAX};

	for (size_t i = 0; i < ARRAY_LEN(tids); i++) {
		struct caller c;

		caller_init(&c, tids[i], 0, 600);
		assert_true(caller_in_group(&c, 600));
		assert_false(caller_in_group(&c, 0));
		assert_false(caller_is_capable(&c, CAP_SYS_ADMIN));
		assert_false(caller_has_capability(&c, CAP_DAC_OVERRIDE, 0, 0));
		caller_done(&c);
	}
}

static const uint64_t sets[] = {
	0,
	0,
	BIT(CAP_DAC_OVERRIDE),
	BIT(CAP_DAC_READ_SEARCH),
	BIT(CAP_FOWNER),
	BIT(CAP_DAC_OVERRIDE) | BIT(CAP_FOWNER),
	BIT(CAP_DAC_READ_SEARCH) | BIT(CAP_FOWNER),
	BIT(CAP_DAC_OVERRIDE) | BIT(CAP_DAC_READ_SEARCH) | BIT(CAP_FOWNER),
};

/* Ids as the files have them, and one that none has. */
static const uint32_t ids[] = {0, 1000, 1001, 1002, 65534, 100000, 77};

static uint32_t any_id(struct prng *prng, const char *map)
{
	for (;;) {
		uint32_t id = ids[prng_below(prng, ARRAY_LEN(ids))];
		uint32_t inside;

		if (map_id(map, id, &inside))
			return id;
	}
}

static void fill_in(struct who *w, struct prng *prng)
{
	w->euid = w->ruid = any_id(prng, w->uid_map);
	w->egid = w->rgid = any_id(prng, w->gid_map);
	if (prng_below(prng, 3) == 0)
		w->ruid = any_id(prng, w->uid_map);
	if (prng_below(prng, 3) == 0)
		w->rgid = any_id(prng, w->gid_map);
	w->group_count = (int)prng_below(prng, 4);
	if (prng_below(prng, 8) == 0)
		w->group_count = GROUPS_MAX;
	for (int i = 0; i < w->group_count; i++)
		w->groups[i] = i < 3 ? any_id(prng, NULL) : 9000u + (uint32_t)i;
	w->permitted = sets[prng_below(prng, ARRAY_LEN(sets))];
	w->effective = prng_below(prng, 3) ? w->permitted
					   : w->permitted & prng_next(prng);
}

static void test_kernel(void **state)
{
	struct prng prng = {1};

	if (missing)
		skip_because(missing);
	for (int i = 0; i < 60; i++) {
		struct who w = {.in_thread = i % 2};

		fill_in(&w, &prng);
		compare_all(&w);
	}
}

/* User namespaces: ids are mapped in one piece, in several, of users alone, of
 * all, and not at all. */
static const struct {
	const char *uids, *gids;
} maps[] = {
	{"0 0 4294967295\n", "0 0 4294967295\n"},
	{"0 1000 1\n", "0 1000 1\n"},
	{"0 1000 3\n", "0 0 100001\n"},
	{"0 1000 1\n", "0 0 100001\n"},
	{"0 0 100001\n", "0 1000 1\n"},
	{"0 100000 65536\n", "0 100000 65536\n"},
	{"5 1000 2\n0 65534 1\n", "1 0 1\n0 1001 1\n"},
	{"1000 1000 1\n", "0 0 2000\n"},
};

static void test_user_namespace(void **state)
{
	struct prng prng = {2};

	if (missing_user_ns)
		skip_because(missing_user_ns);
	for (size_t i = 0; i < 5 * ARRAY_LEN(maps); i++) {
		struct who w = {
			.uid_map = maps[i % ARRAY_LEN(maps)].uids,
			.gid_map = maps[i % ARRAY_LEN(maps)].gids,
		};

		fill_in(&w, &prng);
		compare_all(&w);
	}
}

/* Root with all capabilities, in a namespace where nobody is mapped. */
static void test_unmapped(void **state)
{
	if (missing_user_ns)
		skip_because(missing_user_ns);
	for (size_t i = 0; i < ARRAY_LEN(sets); i++) {
		struct who w = {
			.uid_map = "",
			.gid_map = "",
			.permitted = sets[i],
			.effective = sets[i],
		};

		compare_all(&w);
	}
}

/*
 * The ids of a request need not be those of the thread that waits for it. What
 * nothing is known of has no capabilities. (An overlay's root is another case:
 * tests/system/test_borrowed_ids.py.)
 */
static void test_somebody_else(void **state)
{
	struct who w = {
		.ruid = 1000,
		.euid = 1001,
		.rgid = 1000,
		.egid = 1001,
		.permitted = BIT(CAP_DAC_OVERRIDE),
		.effective = BIT(CAP_DAC_OVERRIDE),
	};
	static const struct {
		uint32_t uid, gid;
		bool capable;
	} cases[] = {
		{0, 0, false},
		{0, 1000, false},
		{1001, 1001, true},  /* the thread itself */
		{1000, 1000, false}, /* access(2) */
		{1001, 1000, false},
		{1000, 1001, false},
		{65534, 65534, false},
	};
	struct asking a;

	if (missing)
		skip_because(missing);
	who_begin(&a, &subjects, &w);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct caller c;

		caller_init(&c, a.answers->tid, cases[i].uid, cases[i].gid);
		assert_int_equal(
			caller_has_capability(&c, CAP_DAC_OVERRIDE, 77, 77),
			cases[i].capable);
		caller_done(&c);
	}
	who_end(&a);
}

static const struct who rootless = {
	.ruid = 1000,
	.euid = 1000,
	.rgid = 1000,
	.egid = 1000,
	.groups = {999},
	.group_count = 1,
	.uid_map = "0 1000 1\n",
	.gid_map = "0 1000 1\n",
};

/*
 * We ourselves in a user namespace: the caller's group that has no number there
 * is shown as 65534. That gives no right to the files of that group.
 */
static int look_from_inside(void)
{
	struct caller c;

	caller_init(&c, getpid(), 0, 0);

	bool is_in = caller_in_group(&c, 65534);
	bool shown = c.group_count == 1 && c.groups[0] == 65534;

	caller_done(&c);
	return is_in ? EACCES : shown ? 0 : ENOENT;
}

static void test_unknown_group(void **state)
{
	struct asking a;

	if (missing_user_ns)
		skip_because(missing_user_ns);
	who_run(&a, &rootless, look_from_inside);
	assert_int_equal(a.answers->result, 0);
	who_end(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_invisible),
		cmocka_unit_test(test_kernel),
		cmocka_unit_test(test_user_namespace),
		cmocka_unit_test(test_unmapped),
		cmocka_unit_test(test_somebody_else),
		cmocka_unit_test(test_unknown_group),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
