/* SPDX-License-Identifier: Apache-2.0 */
/* The tree of processes of a report; see report_tree.h. */
#include "util/report_tree.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "fs/base/cleanup.h"
#include "fs/codec/digest.h"
#include "util/report_html.h"

enum {
	NODES = 4000,  /* lines, more than anybody reads */
	KNOWN = 65536, /* processes that are told apart; a power of two */
	ALIKE = 4,     /* processes of a program under a parent with lines of
			* their own */
	DEPTH = LOG_ANCESTORS_MAX + 2,
	LINE_TEXT = 160, /* bytes of a command line that are shown */
};

/* Nodes refer to each other by number; 0 is the root, and none's child. */
struct node {
	char *label_html; /* owned */
	uint64_t program; /* hash of what makes processes alike */
	int64_t pid, start;
	int64_t own, total; /* attempts; with those below */
	int64_t processes;  /* that share the line */
	bool shared;
	uint32_t child, next;
};

struct known {
	int64_t proc; /* 0: free */
	uint32_t node;
};

struct report_tree {
	struct query *query;
	struct log_ancestors *ancestors;
	struct node *nodes;
	uint32_t count;
	struct known *known;
	size_t known_count;
	int64_t unknown; /* attempts whose process is not known */
};

struct report_tree *report_tree_new(struct query *q, struct log_ancestors *a)
{
	struct report_tree *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->query = q;
	t->ancestors = a;
	t->nodes = calloc(NODES, sizeof(*t->nodes));
	t->known = calloc(KNOWN, sizeof(*t->known));
	t->count = 1;
	if (t->nodes && t->known)
		return t;
	report_tree_free(t);
	return NULL;
}

void report_tree_free(struct report_tree *t)
{
	if (!t)
		return;
	for (uint32_t i = 0; t->nodes && i < t->count; i++)
		free(t->nodes[i].label_html);
	free(t->nodes);
	free(t->known);
	free(t);
}

/* ---- putting a process into the tree ---- */

static uint64_t program_of(const struct query_row *row)
{
	const struct query_cell *comm = &row->cell[QUERY_COMM],
				*exe = &row->cell[QUERY_EXE];

	return checksum(comm->bytes, comm->null ? 0 : comm->len) * 31 +
	       checksum(exe->bytes, exe->null ? 0 : exe->len);
}

/* Arguments with spaces between, cut. */
static void print_line(FILE *f, const struct query_cell *c)
{
	char text[LINE_TEXT];
	size_t len = c->len;

	while (len > 0 && c->bytes[len - 1] == '\0')
		len--;
	for (size_t i = 0; i < len && i < sizeof(text); i++)
		text[i] = c->bytes[i] ? c->bytes[i] : ' ';
	report_html_name(f, text, len < sizeof(text) ? len : sizeof(text));
	if (len > sizeof(text))
		fputs("\xe2\x80\xa6", f); /* an ellipsis */
}

static char *make_label(const struct query_row *row, bool shared)
{
	const struct query_cell *cell = row->cell;
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return NULL;
	fputs("<b>", f);
	report_html_cell(f, &cell[QUERY_COMM]);
	fputs("</b>", f);
	if (!shared)
		fprintf(f, " <span class=\"pid\">%" PRId64 "</span>",
			cell[QUERY_PID].number);
	if (!cell[QUERY_EXE].null) {
		fputs(" <code>", f);
		report_html_cell(f, &cell[QUERY_EXE]);
		fputs("</code>", f);
	}
	if (!shared && !cell[QUERY_CMDLINE].null && cell[QUERY_CMDLINE].len) {
		fputs(" <span class=\"args\">", f);
		print_line(f, &cell[QUERY_CMDLINE]);
		fputs("</span>", f);
	}
	if (fclose(f) == 0)
		return text;
	free(text);
	return NULL;
}

/*
 * The child of a parent that stands for this process, or else has room for it;
 * 0: none.
 */
static uint32_t find_child(
	const struct report_tree *t, uint32_t parent, const struct node *want)
{
	unsigned alike = 0;

	for (uint32_t i = t->nodes[parent].child; i; i = t->nodes[i].next) {
		const struct node *n = &t->nodes[i];

		if (n->program != want->program)
			continue;
		if (n->shared && want->shared)
			return i;
		if (!n->shared && n->pid == want->pid &&
			n->start == want->start)
			return i;
		alike++;
	}
	return alike < ALIKE ? 0 : UINT32_MAX;
}

/* From the node of a parent to that of a process, made when there is none; the
 * parent itself when there is no room any more. */
static int enter(struct report_tree *t, const struct query_row *row,
	bool is_ancestor, uint32_t *at)
{
	uint32_t parent = *at;
	struct node n = {.program = program_of(row),
		.pid = row->cell[QUERY_PID].number,
		.start = row->cell[QUERY_START_REAL].number};
	uint32_t found = find_child(t, parent, &n);

	if (found == UINT32_MAX) {
		n.shared = true;
		found = find_child(t, parent, &n);
		if (found == UINT32_MAX)
			found = 0;
		else if (!is_ancestor)
			t->nodes[found].processes++;
	}
	*at = found ? found : parent;
	if (found || t->count == NODES)
		return 0;
	n.label_html = make_label(row, n.shared);
	if (!n.label_html)
		return -ENOMEM;
	n.processes = 1;
	n.next = t->nodes[parent].child;
	*at = t->count++;
	t->nodes[*at] = n;
	t->nodes[parent].child = *at;
	return 0;
}

/* Enter the ancestors from the top, then the process. */
static int enter_all(
	struct report_tree *t, const struct query_row *row, uint32_t *ret)
{
	const struct log_ancestor_list *list;
	int r = log_ancestors_get(t->ancestors, t->query, row, &list);
	uint32_t at = 0;

	for (size_t i = r == 0 ? list->count : 0; r == 0 && i-- > 0;) {
		struct query_row ancestor;

		log_ancestors_row(&list->items[i], &ancestor);
		r = enter(t, &ancestor, true, &at);
	}
	if (r == 0)
		r = enter(t, row, false, &at);
	*ret = at;
	return r;
}

static struct known *slot_of(const struct report_tree *t, int64_t proc)
{
	size_t i = (uint64_t)proc * UINT64_C(0x9e3779b97f4a7c15) >> 48;

	while (t->known[i].proc && t->known[i].proc != proc)
		i = (i + 1) % KNOWN;
	return &t->known[i];
}

int report_tree_add(
	struct report_tree *t, const struct query_row *row, int64_t count)
{
	const struct query_cell *proc = &row->cell[QUERY_PROC_ID];
	struct known *slot;
	int r = 0;

	if (proc->null || proc->number <= 0) {
		t->unknown += count;
		return 0;
	}
	slot = slot_of(t, proc->number);
	if (!slot->proc) {
		/* Always leaves a free slot, so that searches end. */
		if (t->known_count >= KNOWN / 4 * 3) {
			t->unknown += count;
			return 0;
		}
		r = enter_all(t, row, &slot->node);
		if (r < 0)
			return r;
		slot->proc = proc->number;
		t->known_count++;
	}
	t->nodes[slot->node].own += count;
	return 0;
}

/* ---- printing ---- */

/* Children get higher numbers than their parents, so one way back adds up. */
static void add_up(struct node *nodes, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		nodes[i].total = nodes[i].own;
	for (uint32_t i = count; i-- > 0;) {
		for (uint32_t c = nodes[i].child; c; c = nodes[c].next)
			nodes[i].total += nodes[c].total;
	}
}

/* The child with the most attempts that was not taken yet, and of those with as
 * many the one that came first, which is last in the list; takes it. */
static uint32_t take_largest(struct node *nodes, uint32_t parent)
{
	uint32_t *best = NULL, found;

	for (uint32_t *i = &nodes[parent].child; *i; i = &nodes[*i].next) {
		if (!best || nodes[*i].total >= nodes[*best].total)
			best = i;
	}
	if (!best)
		return 0;
	found = *best;
	*best = nodes[found].next;
	return found;
}

static void print_node(FILE *f, const struct node *n)
{
	fputs(n->label_html, f);
	if (n->shared) {
		fputs(" <span class=\"pid\">", f);
		/* Those that only started others were not counted. */
		if (n->child)
			fputs("further processes", f);
		else
			report_html_count(f, n->processes, "further process",
				"further processes");
		fputs("</span>", f);
	}
	fputs(" <span class=\"n\">", f);
	report_html_number(f, n->total);
	if (n->child && n->own) {
		fputs(" <small>(own ", f);
		report_html_number(f, n->own);
		fputs(")</small>", f);
	}
	fputs("</span>", f);
}

/* Depth first without recursion; the copy of the nodes is used up. */
static void print_nodes(FILE *f, struct node *nodes)
{
	uint32_t path[DEPTH] = {0};
	unsigned depth = 0;

	for (;;) {
		uint32_t at = take_largest(nodes, path[depth]);

		if (!at) {
			if (depth == 0)
				return;
			depth--;
			fputs("</ul></details></li>\n", f);
			continue;
		}
		assert(depth + 1 < DEPTH);
		if (!nodes[at].child) {
			fputs("<li>", f);
			print_node(f, &nodes[at]);
			fputs("</li>\n", f);
			continue;
		}
		fputs("<li><details open><summary>", f);
		print_node(f, &nodes[at]);
		fputs("</summary><ul>\n", f);
		path[++depth] = at;
	}
}

void report_tree_print(FILE *f, const struct report_tree *t)
{
	_cleanup_free_ struct node *nodes = calloc(t->count, sizeof(*nodes));

	if (!nodes) {
		fputs("<p>(out of memory)</p>\n", f);
		return;
	}
	memcpy(nodes, t->nodes, t->count * sizeof(*nodes));
	add_up(nodes, t->count);
	fputs("<ul class=\"tree\">\n", f);
	print_nodes(f, nodes);
	if (nodes[0].own || t->unknown) {
		fputs("<li><i>processes that are not known</i> "
		      "<span class=\"n\">",
			f);
		report_html_number(f, nodes[0].own + t->unknown);
		fputs("</span></li>\n", f);
	}
	fputs("</ul>\n", f);
}
