/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scope-bound ownership: a variable marked _cleanup_x_ gives its resource back
 * when it goes out of scope, unless it was handed over with take_ptr/take_fd.
 * Also the attributes that every header uses.
 */
#ifndef FS_BASE_CLEANUP_H
#define FS_BASE_CLEANUP_H

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define must_check __attribute__((warn_unused_result))
#define format_like(fmt, first) __attribute__((format(printf, fmt, first)))

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* DEFINE_CLEANUP(foo_free, struct foo *) makes _cleanup_(foo_free) usable. */
#define DEFINE_CLEANUP(fn, type)                 \
	static inline void fn##_cleanup(type *p) \
	{                                        \
		if (*p)                          \
			fn(*p);                  \
	}                                        \
	struct fn##_cleanup_needs_a_semicolon

#define _cleanup_(fn) __attribute__((cleanup(fn##_cleanup)))

static inline void free_cleanup(void *p)
{
	free(*(void **)p);
}

static inline void close_cleanup(const int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		(void)close(*fd); /* nothing was written through it */
	errno = saved;
}

static inline void fclose_cleanup(FILE **f)
{
	if (*f)
		(void)fclose(*f); /* writers check fclose themselves */
}

static inline void closedir_cleanup(DIR **d)
{
	if (*d)
		(void)closedir(*d);
}

#define _cleanup_free_ __attribute__((cleanup(free_cleanup)))
#define _cleanup_close_ __attribute__((cleanup(close_cleanup)))
#define _cleanup_fclose_ __attribute__((cleanup(fclose_cleanup)))
#define _cleanup_closedir_ __attribute__((cleanup(closedir_cleanup)))

/* Hand over what a _cleanup_ variable owns; the variable is emptied. */
#define take_ptr(p)                         \
	({                                  \
		__typeof__(p) taken_ = (p); \
		(p) = NULL;                 \
		taken_;                     \
	})

#define take_fd(fd)                \
	({                         \
		int taken_ = (fd); \
		(fd) = -1;         \
		taken_;            \
	})

#endif
