/* SPDX-License-Identifier: Apache-2.0 */
/* What verifying the ledger found, for its report. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "util/report.h"
#include "util/report_html.h"

static const struct {
	enum report_verdict verdict;
	const char *title, *meaning;
} verdicts[VERIFY_KINDS] = {
	[VERIFY_NOTE] = {REPORT_INTACT, "Intact",
		"Every record is as the mount wrote and signed it."},
	[VERIFY_CRASHED] = {REPORT_UNKNOWN, "End not signed",
		"The mount was killed, or the machine stopped, before it "
		"signed the last records. All before them are as they were "
		"written."},
	[VERIFY_NOT_SIGNED] = {REPORT_UNKNOWN, "Not signed",
		"A signature is missing or was changed: the records may be "
		"genuine, but nothing proves it for those after the last "
		"checkpoint that is well."},
	[VERIFY_EDITED] = {REPORT_FAULTY, "Edited",
		"Records were changed, removed or put in after the mount had "
		"written them."},
	[VERIFY_TRUNCATED] = {REPORT_FAULTY, "Truncated",
		"Records at the end were removed."},
	[VERIFY_ROLLED_BACK] = {REPORT_FAULTY, "Rolled back",
		"The ledger is older than a checkpoint that is known from "
		"elsewhere."},
	[VERIFY_FORKED] = {REPORT_FAULTY, "Forked",
		"The ledger disagrees with what is known from elsewhere: it is "
		"another one, or was written anew."},
};

static void on_found(void *arg, const struct verify_finding *found)
{
	FILE *f = arg;

	fprintf(f, "<li%s>",
		found->kind == VERIFY_NOTE ? "" : " class=\"fault\"");
	report_html_name(f, found->text, strlen(found->text));
	fputs("</li>\n", f);
}

static void print_signed(FILE *f, const struct verify_result *s)
{
	fputs("<p>", f);
	report_html_count(f, (int64_t)s->records, "record", "records");
	fputs(", standing for ", f);
	report_html_count(f, (int64_t)s->attempts, "attempt", "attempts");
	if (s->signed_size > 0) {
		fputs(". Signed up to record ", f);
		report_html_number(f, (int64_t)s->signed_size);
		fputs(" at ", f);
		report_html_moment(f, s->signed_time, REPORT_HTML_SECOND);
		fputs(" UTC", f);
	}
	fputs(".</p>\n", f);
	if (!*s->key)
		return;
	fputs("<p class=\"note\">", f);
	if (s->key_given)
		fputs("Judged by the public key that was given", f);
	else
		fputs("Judged by the ledger's own key: who can write the whole "
		      "file anew can make one that is intact, too. Compare the "
		      "key with one that was kept elsewhere",
			f);
	fputs(": <code>", f);
	report_html_name(f, s->key, strlen(s->key));
	fputs("</code></p>\n", f);
}

/* The lists of findings go behind the sentence, whose verdict is known only
 * after them. */
static int print_detail(const struct verify_result *s, const char *findings,
	struct report_integrity *ret)
{
	size_t len;
	FILE *f = open_memstream(&ret->detail_html, &len);

	if (!f)
		return -ENOMEM;
	fprintf(f, "<p>%s</p>\n", verdicts[s->kind].meaning);
	if (*findings)
		fprintf(f, "<ul>\n%s</ul>\n", findings);
	print_signed(f, s);
	return fclose(f) == 0 ? 0 : -ENOMEM;
}

int report_verify(const char *path, const struct verify_options *opt,
	struct report_integrity *ret, struct diag *diag)
{
	_cleanup_free_ char *findings = NULL;
	struct verify_result result;
	struct verify_hooks hooks = {.found = on_found};
	size_t len;
	FILE *f = open_memstream(&findings, &len);
	int r;

	if (!f)
		return -ENOMEM;
	hooks.arg = f;
	r = verify_ledger(path, opt, &hooks, &result, diag);
	if (fclose(f) != 0 && r == 0)
		r = -ENOMEM;
	if (r < 0)
		return r;
	ret->verdict = verdicts[result.kind].verdict;
	ret->title = verdicts[result.kind].title;
	return print_detail(&result, findings, ret);
}
