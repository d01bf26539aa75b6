/* SPDX-License-Identifier: Apache-2.0 */
/* Ancestors of processes, kept for a while; see log_ancestors.h. */
#include "util/log_ancestors.h"

#include <stdlib.h>
#include <string.h>

#include "util/out.h"

#define LISTS 64

static void cells_of(struct query_ancestor *a, struct query_cell *ret[4])
{
	ret[0] = &a->comm;
	ret[1] = &a->exe;
	ret[2] = &a->exe_digest;
	ret[3] = &a->cmdline;
}

static void forget(struct log_ancestor_list *l)
{
	for (size_t i = 0; i < l->count; i++) {
		struct query_cell *cells[4];

		cells_of(&l->items[i], cells);
		for (size_t k = 0; k < ARRAY_LEN(cells); k++)
			free((char *)(uintptr_t)cells[k]->bytes);
	}
	*l = (struct log_ancestor_list){0};
}

/* The cells of the query live only during the call. */
static int own_bytes(struct query_cell *c)
{
	char *copy;

	if (!c->bytes)
		return 0;
	copy = malloc(c->len + 1);
	if (copy)
		memcpy(copy, c->bytes, c->len);
	c->bytes = copy;
	return copy ? 0 : -ENOMEM;
}

static int add(void *arg, const struct query_ancestor *a)
{
	struct log_ancestor_list *l = arg;
	struct query_cell *cells[4];
	int r = 0;

	if (l->count == LOG_ANCESTORS_MAX)
		return 0;
	l->items[l->count] = *a;
	cells_of(&l->items[l->count++], cells);
	/* All of them, so that each is ours or NULL. */
	for (size_t k = 0; k < ARRAY_LEN(cells); k++) {
		if (own_bytes(cells[k]) < 0)
			r = -ENOMEM;
	}
	return r;
}

static int read_list(struct query *q, int64_t proc, struct log_ancestor_list *l)
{
	int r = query_ancestors(q, proc, add, l);

	if (r < 0) {
		forget(l);
		return r;
	}
	l->proc = proc;
	l->known = true;
	return 0;
}

int log_ancestors_get(struct log_ancestors *a, struct query *q,
	const struct query_row *row, const struct log_ancestor_list **ret)
{
	static const struct log_ancestor_list none;
	const struct query_cell *proc = &row->cell[QUERY_PROC_ID];
	struct log_ancestor_list *l;
	int r = 0;

	*ret = &none;
	if (proc->null)
		return 0;
	if (!a->lists)
		a->lists = calloc(LISTS, sizeof(*a->lists));
	if (!a->lists)
		return -ENOMEM;
	l = &a->lists[(uint64_t)proc->number % LISTS];
	if (!l->known || l->proc != proc->number) {
		forget(l);
		r = read_list(q, proc->number, l);
	}
	*ret = l;
	return r;
}

void log_ancestors_done(struct log_ancestors *a)
{
	for (size_t i = 0; a->lists && i < LISTS; i++)
		forget(&a->lists[i]);
	free(a->lists);
	a->lists = NULL;
}

void log_ancestors_row(const struct query_ancestor *a, struct query_row *ret)
{
	for (int i = 0; i < QUERY_COLUMNS; i++)
		ret->cell[i] = (struct query_cell){.null = true};
	ret->names = (struct query_cell){.null = true};
	ret->cell[QUERY_PID] = (struct query_cell){.number = a->pid};
	ret->cell[QUERY_COMM] = a->comm;
	ret->cell[QUERY_EXE] = a->exe;
	ret->cell[QUERY_EXE_DIGEST] = a->exe_digest;
	ret->cell[QUERY_CMDLINE] = a->cmdline;
	ret->cell[QUERY_START_REAL] = a->start_real;
}

void log_ancestors_print(FILE *f, const struct log_ancestor_list *l)
{
	for (size_t i = 0; i < l->count; i++) {
		const struct query_cell *comm = &l->items[i].comm;

		fputs(i ? " < " : "", f);
		if (comm->null)
			putc('?', f);
		else
			out_name(f, comm->bytes, comm->len);
	}
}
