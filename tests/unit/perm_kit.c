/* SPDX-License-Identifier: Apache-2.0 */
/* Real files and an image of them; see perm_kit.h. */
#include "tests/unit/perm_kit.h"

#include <endian.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "tests/lib/image_sample.h"
#include "tests/unit/unit.h"

#define ACL_NAME "system.posix_acl_access"

/* Few, so that they often meet. */
static const uint32_t ids[] = {0, 0, 1000, 1000, 1001, 1002, 65534, 100000};

static uint32_t any_id(struct prng *prng)
{
	return ids[prng_below(prng, ARRAY_LEN(ids))];
}

static void add_entry(
	struct subject *s, uint16_t tag, uint64_t perm, uint32_t id)
{
	uint16_t le16[2] = {htole16(tag), htole16((uint16_t)perm & 7)};
	uint32_t le32 = htole32(id);

	memcpy(s->acl + s->acl_len, le16, sizeof(le16));
	memcpy(s->acl + s->acl_len + 4, &le32, sizeof(le32));
	s->acl_len += 8;
}

/* Up to three named entries, with different ids in order, as must be. */
static int add_named(struct subject *s, struct prng *prng, uint16_t tag)
{
	static const uint32_t sorted[] = {0, 1000, 1001, 1002, 65534, 100000};
	int count = 0;

	for (size_t i = 0; i < ARRAY_LEN(sorted); i++) {
		if (count == 3 || prng_below(prng, 4))
			continue;
		add_entry(s, tag, prng_next(prng), sorted[i]);
		count++;
	}
	return count;
}

static void random_acl(struct subject *s, struct prng *prng)
{
	uint32_t version = htole32(2);
	int named;

	memcpy(s->acl, &version, sizeof(version));
	s->acl_len = sizeof(version);
	add_entry(s, 0x01, prng_next(prng), UINT32_MAX);
	named = add_named(s, prng, 0x02);
	add_entry(s, 0x04, prng_next(prng), UINT32_MAX);
	named += add_named(s, prng, 0x08);
	if (named || prng_below(prng, 2))
		add_entry(s, 0x10, prng_next(prng), UINT32_MAX);
	add_entry(s, 0x20, prng_next(prng), UINT32_MAX);
}

/* Make it, and read back what became of it: mode and ACL change each other. */
static void make(int dir, struct subject *s, struct prng *prng, uint32_t type)
{
	struct stat st;
	char path[64];
	ssize_t len;

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", dir, s->name);
	assert_int_equal(type == S_IFDIR
				 ? mkdirat(dir, s->name, 0700)
				 : mknodat(dir, s->name, type | 0600, 0),
		0);
	assert_int_equal(
		fchownat(dir, s->name, any_id(prng), any_id(prng), 0), 0);
	if (prng_below(prng, 2)) {
		random_acl(s, prng);
		assert_int_equal(
			setxattr(path, ACL_NAME, s->acl, s->acl_len, 0), 0);
	}
	if (prng_below(prng, 3))
		assert_int_equal(
			fchmodat(dir, s->name, prng_next(prng) & 07777, 0), 0);
	assert_int_equal(fstatat(dir, s->name, &st, 0), 0);
	s->mode = st.st_mode;
	s->uid = st.st_uid;
	s->gid = st.st_gid;
	len = getxattr(path, ACL_NAME, s->acl, sizeof(s->acl));
	if (len < 0)
		assert_int_equal(errno, ENODATA);
	s->acl_len = len < 0 ? 0 : (size_t)len;
}

static bool has_acls(int dir)
{
	static const uint8_t acl[] = {2, 0, 0, 0, 1, 0, 7, 0, 255, 255, 255,
		255, 4, 0, 5, 0, 255, 255, 255, 255, 32, 0, 5, 0, 255, 255, 255,
		255};

	return fsetxattr(dir, ACL_NAME, acl, sizeof(acl), 0) == 0;
}

static void make_all(struct subjects *s, uint64_t seed)
{
	static const uint32_t types[] = {S_IFREG, S_IFREG, S_IFDIR, S_IFIFO};
	struct prng prng = {seed};

	for (uint32_t i = 0; i < SUBJECTS; i++) {
		struct subject *one = &s->all[i];

		(void)snprintf(one->name, sizeof(one->name), "s%03u", i);
		make(s->dir, one, &prng, types[prng_below(&prng, 4)]);
	}
	for (uint32_t i = 0; i < PARENTS; i++) {
		struct subject *one = &s->parents[i], *victim = &s->victims[i];

		(void)snprintf(one->name, sizeof(one->name), "t%03u", i);
		(void)snprintf(victim->name, sizeof(victim->name), "v");
		make(s->dir, one, &prng, S_IFDIR);

		int fd = openat(s->dir, one->name, O_RDONLY | O_DIRECTORY);

		assert_true(fd >= 0);
		make(fd, victim, &prng, S_IFDIR);
		assert_int_equal(mkdirat(fd, "v/full", 0700), 0);
		assert_int_equal(close(fd), 0);
	}
}

/* The table of a sample, on its way. */
struct table {
	struct sample_entry entries[1 + SUBJECTS + 2 * PARENTS];
	size_t count;
	struct sample_xattr xattrs[SUBJECTS + 2 * PARENTS][2];
	size_t xattr_count;
};

/* Equal sets must be the same set. */
static const struct sample_xattr *xattrs_of(
	struct table *t, const struct subject *s)
{
	struct sample_xattr *x;

	if (!s->acl_len)
		return NULL;
	for (size_t i = 0; i < t->xattr_count; i++) {
		x = t->xattrs[i];
		if (x->value_len == s->acl_len &&
			memcmp(x->value, s->acl, s->acl_len) == 0)
			return x;
	}
	x = t->xattrs[t->xattr_count++];
	*x = (struct sample_xattr){
		ACL_NAME, (const char *)s->acl, (uint32_t)s->acl_len};
	return x;
}

static void add_to_table(
	struct table *t, const struct subject *s, uint32_t parent)
{
	t->entries[t->count] = (struct sample_entry){
		.parent = parent,
		.ino = (uint32_t)t->count + 1,
		.name = s->name,
		.mode = s->mode,
		.uid = s->uid,
		.gid = s->gid,
		.xattrs = xattrs_of(t, s),
	};
	t->count++;
}

static void open_image(struct subjects *s)
{
	static const struct sample_content empty = {(const uint8_t *)"", 0};
	_cleanup_free_ struct table *t = calloc(1, sizeof(*t));
	struct sample sample = {
		.contents = &empty,
		.frame_size = LAYOUT_FRAME_MIN,
	};
	struct source *src;
	struct diag diag = {0};

	assert_non_null(t);
	t->entries[t->count++] =
		(struct sample_entry){.ino = 1, .mode = S_IFDIR | 0755};
	for (size_t i = 0; i < SUBJECTS; i++)
		add_to_table(t, &s->all[i], 1);
	for (size_t i = 0; i < PARENTS; i++)
		add_to_table(t, &s->parents[i], 1);
	for (uint32_t i = 0; i < PARENTS; i++)
		add_to_table(t, &s->victims[i], 2 + SUBJECTS + i);
	sample.entries = t->entries;
	sample.entry_count = t->count;
	buf_init(&s->bytes, 1 << 20);
	assert_int_equal(sample_image(&sample, &s->bytes), 0);
	assert_int_equal(
		source_from_memory(s->bytes.data, s->bytes.len, &src), 0);
	if (image_open(src, &s->img, &diag) < 0)
		fail_msg("%s", diag.text);
}

bool subjects_new(struct subjects *s, uint64_t seed)
{
	*s = (struct subjects){.dir = -1};
	assert_true(scratch_init(&s->scratch));
	/* Others must get in. */
	assert_int_equal(chmod(s->scratch.path, 0755), 0);
	s->dir = open(s->scratch.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(s->dir >= 0);
	if (!has_acls(s->dir))
		return false;
	make_all(s, seed);
	open_image(s);
	return true;
}

void subjects_done(struct subjects *s)
{
	image_free(s->img);
	buf_done(&s->bytes);
	assert_int_equal(close(s->dir), 0);
	scratch_done(&s->scratch);
}

static struct image_node walk(const struct subjects *s, const char *path)
{
	struct image_node node = {0};

	assert_int_equal(image_walk(s->img, path, &node), 0);
	return node;
}

struct image_node subject_node(
	const struct subjects *s, const struct subject *subject)
{
	return walk(s, subject->name);
}

struct image_node victim_node(const struct subjects *s, size_t i)
{
	char path[32];

	(void)snprintf(path, sizeof(path), "%s/%s", s->parents[i].name,
		s->victims[i].name);
	return walk(s, path);
}
