/* SPDX-License-Identifier: Apache-2.0 */
/* Differences as they are found; see diff_print.h. */
#include "util/diff_print.h"

#include <string.h>

#include "util/diff_text.h"
#include "util/exit.h"

static void on_progress(void *arg, uint64_t bytes)
{
	struct diff_print *p = arg;

	progress_update(&p->bar, bytes, 0);
}

static int on_found(void *arg, const struct diff *diff)
{
	struct diff_print *p = arg;

	p->differences++;
	if (p->quiet)
		return -ECANCELED; /* one is enough */
	if (p->bar.shown)
		progress_end(&p->bar);
	p->err = p->json ? diff_json_print(diff) : diff_text_print(diff);
	/* What standard output says is told once, by exit_flush. */
	return p->err < 0 || ferror(stdout) ? -ECANCELED : 0;
}

static struct diff_hooks hooks_of(struct diff_print *p)
{
	return (struct diff_hooks){
		.found = on_found,
		.progress = on_progress,
		.arg = p,
	};
}

static unsigned flags_of(const struct diff_print *p)
{
	return (p->ignore_mtime ? DIFF_IGNORE_MTIME : 0u) |
	       (p->ignore_owner ? DIFF_IGNORE_OWNER : 0u);
}

static int end(struct diff_print *p, int r, const struct diag *diag)
{
	progress_end(&p->bar);
	if (p->err < 0)
		return fail(exit_code_of(p->err), "%s", strerror(-p->err));
	if (r < 0 && r != -ECANCELED)
		return fail_diag(r, diag);
	return p->differences ? EXIT_NO : EXIT_OK;
}

int diff_print_trees(
	struct diff_print *p, const struct tree *a, const struct tree *b)
{
	const struct diff_hooks hooks = hooks_of(p);
	struct diag diag = {0};

	progress_begin(&p->bar, "diff", p->quiet);
	return end(p, tree_diff(a, b, flags_of(p), &hooks, &diag), &diag);
}

int diff_print_changes(struct diff_print *p,
	const struct changes_source *sources, size_t count)
{
	const struct diff_hooks hooks = hooks_of(p);
	struct diag diag = {0};
	int r = 0;

	progress_begin(&p->bar, "diff", p->quiet);
	for (size_t i = 0; i < count && r == 0; i++)
		r = tree_changes(&sources[i], flags_of(p), &hooks, &diag);
	return end(p, r, &diag);
}
