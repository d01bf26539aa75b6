/* SPDX-License-Identifier: Apache-2.0 */
/* The timeline of a report as SVG; colours are those of the page. */
#include <inttypes.h>

#include "util/report.h"
#include "util/report_html.h"

enum {
	WIDTH = 1080,
	HEIGHT = 236,
	LEFT = 56,
	RIGHT = 12,
	TOP = 16,
	BOTTOM = 28,
	PLOT_WIDTH = WIDTH - LEFT - RIGHT,
	PLOT_HEIGHT = HEIGHT - TOP - BOTTOM,
	TICKS = 7,
};

#define DAY INT64_C(86400000000000)
#define MINUTE INT64_C(60000000000)
#define SECOND INT64_C(1000000000)

/* The next of 1, 2, 5, 10, 20, 50 ... */
static int64_t round_up(int64_t n)
{
	static const int64_t steps[] = {1, 2, 5};

	for (int64_t ten = 1; ten <= INT64_MAX / 100; ten *= 10) {
		for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
			if (steps[i] * ten >= n)
				return steps[i] * ten;
		}
	}
	return n;
}

static double x_of(const struct report_timeline *t, double bar)
{
	return LEFT + bar * PLOT_WIDTH / (double)t->count;
}

/* A number for the top that a few round steps reach. */
static int64_t top_of(int64_t tallest, int64_t *ret_step)
{
	*ret_step = round_up((tallest + 3) / 4);
	return (tallest + *ret_step - 1) / *ret_step * *ret_step;
}

/* Lines across with their numbers, from none to the top. */
static void print_scale(FILE *f, int64_t top, int64_t step)
{
	for (int64_t n = 0; n <= top; n += step) {
		double y = TOP + PLOT_HEIGHT -
			   (double)n / (double)top * PLOT_HEIGHT;

		fprintf(f,
			"<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" "
			"y2=\"%.1f\"/><text class=\"tick y\" x=\"%d\" "
			"y=\"%.1f\">",
			LEFT, WIDTH - RIGHT, y, y, LEFT - 8, y + 4);
		report_html_number(f, n);
		fputs("</text>\n", f);
	}
}

static enum report_html_form form_of(const struct report_timeline *t)
{
	int64_t span = (int64_t)t->count * t->width;

	return span > 4 * DAY		? REPORT_HTML_DATE
	       : t->width >= MINUTE / 2 ? REPORT_HTML_MINUTE
	       : t->width >= SECOND	? REPORT_HTML_CLOCK
					: REPORT_HTML_FRACTION;
}

static void print_times(FILE *f, const struct report_timeline *t)
{
	size_t every = (t->count + TICKS - 1) / TICKS;

	for (size_t i = 0; i < t->count; i += every) {
		double x = x_of(t, (double)i);

		fprintf(f,
			"<line class=\"axis\" x1=\"%.1f\" x2=\"%.1f\" "
			"y1=\"%d\" y2=\"%d\"/><text class=\"tick\" "
			"x=\"%.1f\" y=\"%d\">",
			x, x, TOP + PLOT_HEIGHT, TOP + PLOT_HEIGHT + 5, x,
			HEIGHT - 8);
		report_html_moment(
			f, t->start + (int64_t)i * t->width, form_of(t));
		fputs("</text>\n", f);
	}
}

static void print_bar(
	FILE *f, const struct report_timeline *t, size_t i, int64_t top)
{
	double slot = (double)PLOT_WIDTH / (double)t->count;
	double x = x_of(t, (double)i) + slot * 0.08, y = TOP + PLOT_HEIGHT;
	int64_t sum = 0;

	for (int c = 0; c < LOG_CLASSES; c++)
		sum += t->bars[i].count[c];
	if (sum == 0)
		return;
	fputs("<g><title>", f);
	report_html_moment(
		f, t->start + (int64_t)i * t->width, REPORT_HTML_SECOND);
	fputs(" UTC: ", f);
	report_html_count(f, sum, "attempt", "attempts");
	fputs("</title>", f);
	for (int c = 0; c < LOG_CLASSES; c++) {
		double height =
			(double)t->bars[i].count[c] / (double)top * PLOT_HEIGHT;

		if (t->bars[i].count[c] == 0)
			continue;
		/* A single attempt among many is still to be seen. */
		if (height < 1.5)
			height = 1.5;
		y -= height;
		fprintf(f,
			"<rect class=\"k-%s\" x=\"%.1f\" y=\"%.1f\" "
			"width=\"%.1f\" height=\"%.1f\"/>",
			log_record_class_name((enum log_class)c), x, y,
			slot * 0.84, height);
	}
	fputs("</g>\n", f);
}

/* Where something happened that should not. */
static void print_marks(FILE *f, const struct report *r)
{
	const struct report_timeline *t = &r->timeline;

	for (size_t i = 0; i < r->event_count; i++) {
		const struct report_event *e = &r->events[i];
		double bar = (double)(e->time - t->start) / (double)t->width;
		double x = x_of(t, bar);

		if (e->level < LOG_ODD || bar < 0 || bar > (double)t->count)
			continue;
		fprintf(f,
			"<path class=\"mark m-%d\" d=\"M%.1f %dl-5 -9h10z\"/>"
			"<line class=\"mark m-%d\" x1=\"%.1f\" x2=\"%.1f\" "
			"y1=\"%d\" y2=\"%d\"/>\n",
			(int)e->level, x, TOP - 2, (int)e->level, x, x, TOP,
			TOP + PLOT_HEIGHT);
	}
}

static void print_legend(FILE *f, const struct report_timeline *t)
{
	static const char *const words[LOG_CLASSES] = {
		[LOG_CREATE] = "create",
		[LOG_UPDATE] = "change content",
		[LOG_DELETE] = "delete",
		[LOG_RENAME] = "rename",
		[LOG_ATTRIBUTES] = "set attributes",
		[LOG_SECURITY] = "set owner or permissions",
		[LOG_OPEN] = "open for writing",
		[LOG_PROBE] = "ask for access",
	};

	fputs("<p class=\"legend\">", f);
	for (int c = 0; c < LOG_CLASSES; c++) {
		int64_t sum = 0;

		for (size_t i = 0; i < t->count; i++)
			sum += t->bars[i].count[c];
		if (sum == 0 || !words[c])
			continue;
		fprintf(f,
			"<span><i class=\"dot k-%s\"></i>%s "
			"<b>",
			log_record_class_name((enum log_class)c), words[c]);
		report_html_number(f, sum);
		fputs("</b></span> ", f);
	}
	fputs("</p>\n", f);
}

void report_chart(FILE *f, const struct report *r)
{
	const struct report_timeline *t = &r->timeline;
	int64_t step, top = top_of(t->tallest > 0 ? t->tallest : 1, &step);

	print_legend(f, t);
	fprintf(f,
		"<svg viewBox=\"0 0 %d %d\" role=\"img\" "
		"aria-label=\"Attempts by time\">\n",
		WIDTH, HEIGHT);
	print_scale(f, top, step);
	for (size_t i = 0; i < t->count; i++)
		print_bar(f, t, i, top);
	print_times(f, t);
	print_marks(f, r);
	fputs("</svg>\n<p class=\"note\">One bar is ", f);
	report_html_span(f, t->width);
	fputs("; times are UTC", f);
	if (form_of(t) != REPORT_HTML_DATE) {
		fputs(", from ", f);
		report_html_moment(f, t->start, REPORT_HTML_DATE);
	}
	fputs(".</p>\n", f);
}
