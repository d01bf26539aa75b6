/* SPDX-License-Identifier: Apache-2.0 */
/* Counts ahead of the database; see tally.h. */
#include "fs/ledger/tally.h"

#include <endian.h>
#include <fcntl.h>
#include <string.h>

#include "fs/base/io.h"
#include "fs/codec/digest.h"
#include "fs/ledger/claim.h"

#define FILE_LEN ((size_t)TALLY_SLOTS * TALLY_SLOT)
#define SUFFIX "-tally"

struct tally {
	int fd;
};

/* A place in the file. */
struct slot {
	uint64_t sum; /* little-endian, as all of them */
	uint64_t fold, count, t_last;
	uint8_t times[TIMES_LEN];
};

_Static_assert(sizeof(struct slot) <= TALLY_SLOT, "a mark fits into its place");

static uint64_t sum_of(const struct slot *s)
{
	return htole64(checksum(&s->fold, sizeof(*s) - sizeof(s->sum)));
}

static void read_slot(const uint8_t *at, struct tally_mark *ret)
{
	struct slot s;

	memcpy(&s, at, sizeof(s));
	*ret = (struct tally_mark){0};
	if (!s.fold || s.sum != sum_of(&s))
		return;
	ret->fold = (int64_t)le64toh(s.fold);
	ret->count = (int64_t)le64toh(s.count);
	ret->t_last = (int64_t)le64toh(s.t_last);
	memcpy(ret->times, s.times, sizeof(ret->times));
}

/* A file that is too short holds fewer. */
static int read_marks(int fd, struct tally_mark ret[TALLY_SLOTS])
{
	_cleanup_free_ uint8_t *all = calloc(1, FILE_LEN);
	ssize_t n = all ? io_pread(fd, all, FILE_LEN, 0) : -ENOMEM;

	if (n < 0)
		return (int)n;
	for (size_t i = 0; i < TALLY_SLOTS; i++)
		read_slot(all + i * TALLY_SLOT, &ret[i]);
	return 0;
}

/* Zeros everywhere: then the space is ours, too. */
int tally_clear(struct tally *t)
{
	static const uint8_t zeros[4096];

	for (size_t off = 0; off < FILE_LEN; off += sizeof(zeros)) {
		int r = io_pwrite(t->fd, zeros, sizeof(zeros), off);

		if (r < 0)
			return r;
	}
	return 0;
}

int tally_open(const char *ledger, struct tally **ret,
	struct tally_mark left[TALLY_SLOTS], struct diag *diag)
{
	_cleanup_(tally_close) struct tally *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return diag_errno(diag, -ENOMEM, "ledger %s", ledger);
	t->fd = -1;
	r = claim_beside(ledger, SUFFIX, &t->fd, diag);
	if (r < 0)
		return r;
	r = read_marks(t->fd, left);
	if (r < 0)
		return diag_errno(diag, r, "%s%s", ledger, SUFFIX);
	*ret = take_ptr(t);
	return 0;
}

void tally_close(struct tally *t)
{
	if (!t)
		return;
	if (t->fd >= 0)
		(void)close(t->fd); /* every write was checked */
	free(t);
}

int tally_put(struct tally *t, unsigned slot, const struct tally_mark *mark)
{
	struct slot s = {.fold = htole64((uint64_t)mark->fold),
		.count = htole64((uint64_t)mark->count),
		.t_last = htole64((uint64_t)mark->t_last)};

	memcpy(s.times, mark->times, sizeof(s.times));
	s.sum = sum_of(&s);
	return io_pwrite(t->fd, &s, sizeof(s), (uint64_t)slot * TALLY_SLOT);
}

int tally_read(const char *ledger, struct tally_mark ret[TALLY_SLOTS])
{
	_cleanup_free_ char *name = NULL;
	_cleanup_close_ int fd = -1;

	memset(ret, 0, TALLY_SLOTS * sizeof(*ret));
	if (asprintf(&name, "%s%s", ledger, SUFFIX) < 0) {
		name = NULL;
		return -ENOMEM;
	}
	fd = open(name,
		O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	return read_marks(fd, ret);
}
