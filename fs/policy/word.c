/* SPDX-License-Identifier: Apache-2.0 */
/* A path from one word of the command line: PATH[:SOURCE][,KEY=VALUE]... */
#include <string.h>

#include "fs/policy/internal.h"

static int bad_word(
	struct diag *diag, const char *word, const char *part, const char *why)
{
	return diag_set(diag, -EBADMSG, "'%s': %s%s%s", word, part,
		*part ? ": " : "", why);
}

/* "size=64M", or a flag alone. Cuts the text. */
static int add_key(struct policy_draft *d, char *part, const char **ret_why)
{
	char *value = strchr(part, '=');
	enum policy_key key;
	int r;

	if (value)
		*value++ = '\0';
	r = draft_key(d, part, &key, ret_why);
	if (r == 0 && !value && key != KEY_NOEXEC && key != KEY_NOSUID &&
		key != KEY_NODEV) {
		*ret_why = "it needs a value, as in size=64M";
		r = -EINVAL;
	}
	if (r == 0)
		r = draft_set(d, key, value ? value : "true", ret_why);
	return r;
}

/* Head is PATH[:SOURCE]; a ':' may be part of the path, the source has none. */
static int read_word(struct policy_draft *d, char *word, const char **ret_part,
	const char **ret_why)
{
	char *rest = word;
	char *head = strsep(&rest, ",");
	char *source = strrchr(head, ':');
	char *part;
	int r;

	if (source)
		*source++ = '\0';
	r = draft_begin(d, head, false, ret_why);
	if (r == 0) {
		*ret_part = "source";
		r = draft_set(d, KEY_SOURCE, source ? source : "tmp", ret_why);
	}
	while (r == 0 && (part = strsep(&rest, ","))) {
		*ret_part = part;
		r = add_key(d, part, ret_why);
	}
	return r;
}

int policy_add_word(struct policy *p, const char *word, struct diag *diag)
{
	_cleanup_free_ char *copy = strdup(word);
	const char *why = "", *part = "";
	struct policy_draft d = {0};
	int r = copy ? read_word(&d, copy, &part, &why) : -ENOMEM;

	if (r == 0) {
		part = "";
		d.p.text = strdup(word);
		r = d.p.text ? draft_end(&d, p, &why) : -ENOMEM;
	}
	draft_done(&d);
	if (r == -EINVAL || r == -EEXIST || r == -E2BIG)
		return bad_word(diag, word, part, why);
	return r < 0 ? diag_errno(diag, r, "%s", word) : 0;
}
