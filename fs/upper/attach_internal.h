/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of attaching share. */
#ifndef FS_UPPER_ATTACH_INTERNAL_H
#define FS_UPPER_ATTACH_INTERNAL_H

#include "fs/upper/attach.h"
#include "fs/upper/state.h"

/* All give the descriptor of a detached mount, or -errno and diag. */

/* Of a step that is kept; its record is put into the open transaction. */
int attach_storage(const struct attach *a, struct state *state,
	const struct plan_step *s, struct diag *diag) must_check;

/* An overlay whose upper and work lie in dir. */
int attach_overlay(const struct attach *a, const struct plan_step *s, int dir,
	struct diag *diag) must_check;

/* A bind mount of a name in dir. */
int attach_bind(const struct attach *a, const struct plan_step *s, int dir,
	const char *name, struct diag *diag) must_check;

/* content_make with what the image has. 0 or -errno. */
int attach_make(const struct attach *a, const struct plan_step *s, int dir,
	struct diag *diag) must_check;

/* Add "PATH: text" to the notes; below is added to the step's path. 0 or
 * -errno.
 */
int attach_note(const struct attach *a, const struct plan_step *s,
	const char *below, const char *text) must_check;

unsigned attach_attrs(const struct attach *a, const struct plan_step *s);

#endif
