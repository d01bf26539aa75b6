/* SPDX-License-Identifier: Apache-2.0 */
/* stele build: a folder or a tar archive becomes an image. */
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "fs/tree/build.h"
#include "fs/tree/pack.h"
#include "util/build_options.h"
#include "util/cmd.h"
#include "util/exit.h"
#include "util/out.h"
#include "util/progress.h"

/* Remarks that are shown without --verbose. */
#define REMARKS_SHOWN 10

struct build {
	struct build_options options;
	const char *source;
	struct tree_options tree;
	struct pack_options pack;
	struct progress bar;
	uint64_t remarks;
};

static void on_read(void *arg, uint64_t entries, uint64_t bytes)
{
	struct build *b = arg;

	progress_update(&b->bar, bytes, 0);
}

static void on_pack(void *arg, uint64_t done, uint64_t total)
{
	struct build *b = arg;

	progress_update(&b->bar, done, total);
}

/* Names of hostile archives come through here. */
static void on_remark(void *arg, const char *text)
{
	struct build *b = arg;

	b->remarks++;
	if (b->options.quiet ||
		(b->remarks > REMARKS_SHOWN && !b->options.verbose))
		return;
	progress_end(&b->bar);
	fputs("stele build: ", stderr);
	out_name(stderr, text, strlen(text));
	putc('\n', stderr);
}

static void tell_hidden_remarks(const struct build *b)
{
	if (b->remarks > REMARKS_SHOWN && !b->options.verbose &&
		!b->options.quiet)
		fprintf(stderr,
			"stele build: %" PRIu64 " more remarks; --verbose "
			"shows them\n",
			b->remarks - REMARKS_SHOWN);
}

/* ---- where from, where to ---- */

/* Does the folder that is open as fd lie in the other one, or is it that? */
static int is_within(int fd, const struct stat *other)
{
	_cleanup_close_ int at = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	struct stat st, last = {0};

	for (;;) {
		if (at < 0 || fstat(at, &st) < 0)
			return -errno;
		if (st.st_dev == other->st_dev && st.st_ino == other->st_ino)
			return 1;
		if (st.st_dev == last.st_dev && st.st_ino == last.st_ino)
			return 0; /* ".." of the root is the root */
		last = st;

		int up = openat(at, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);

		close_cleanup(&at);
		at = up;
	}
}

/* The folder that a path lies in, to be freed. NULL: out of memory. */
static char *folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return strdup(".");
	return slash == path ? strdup("/")
			     : strndup(path, (size_t)(slash - path));
}

/* Find out early what would only fail after all the work, or do harm: an image
 * that appears in its own source would change it, a device is no file to
 * replace. source: NULL for an archive. An exit_code. */
static int check_output(
	const char *path, const char *folder, const struct stat *source)
{
	_cleanup_close_ int fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return fail(exit_code_of(-errno), "write %s: %s: %s", path,
			folder, strerror(errno));
	if (lstat(path, &st) == 0 && !S_ISREG(st.st_mode))
		return fail(EXIT_USAGE,
			"write %s: it exists and is not a regular file", path);

	int within = source ? is_within(fd, source) : 0;

	if (within < 0)
		return fail(exit_code_of(within), "write %s: %s: %s", path,
			folder, strerror(-within));
	if (within)
		return fail(EXIT_USAGE,
			"write %s: it lies in the folder that is built; "
			"put the image somewhere else",
			path);
	return EXIT_OK;
}

static int read_archive(const struct build *b, bool is_stdin, struct tree **ret,
	struct diag *diag)
{
	_cleanup_close_ int fd =
		is_stdin ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
			 : open(b->source, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return diag_set(diag, -errno, "%s", strerror(errno));
	return tree_read_tar(fd, &b->tree, ret, diag);
}

/* Read SOURCE. An exit_code. */
static int read_source(struct build *b, const char *folder, struct tree **ret)
{
	const char *output = b->options.output;
	bool is_stdin = strcmp(b->source, "-") == 0;
	struct diag diag = {0};
	struct stat st = {0};
	int r;

	if (!is_stdin && stat(b->source, &st) < 0)
		return fail(exit_code_of(-errno), "read %s: %s", b->source,
			strerror(errno));

	if (is_stdin && isatty(STDIN_FILENO))
		return fail(EXIT_USAGE,
			"standard input is a terminal; give it an archive: "
			"tar -c DIR | stele build - -o IMAGE");

	bool is_folder = S_ISDIR(st.st_mode);
	int code = check_output(output, folder, is_folder ? &st : NULL);

	if (code != EXIT_OK)
		return code;
	progress_begin(&b->bar, "read", b->options.quiet);
	if (is_folder)
		r = tree_scan(b->source, &b->tree, ret, &diag);
	else
		r = read_archive(b, is_stdin, ret, &diag);
	progress_end(&b->bar);
	if (r < 0 && !is_folder && diag.text[0])
		return fail(exit_code_of(r), "read %s: %s",
			is_stdin ? "standard input" : b->source, diag.text);
	return r < 0 ? fail_diag(r, &diag) : EXIT_OK;
}

/* ---- what came out ---- */

static uint32_t count_files(const struct tree *t)
{
	uint32_t count = 0;

	for (uint32_t ino = 1; ino <= tree_node_count(t); ino++)
		count += S_ISREG(tree_node(t, ino)->mode);
	return count;
}

static double seconds_since(const struct timespec *start)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now); /* never fails */
	return (double)(now.tv_sec - start->tv_sec) +
	       (double)(now.tv_nsec - start->tv_nsec) / 1e9;
}

static int print_json(
	const struct tree *t, const struct pack_result *res, double seconds)
{
	char image_id[DIGEST_HEX_LEN + 1], tree_id[DIGEST_HEX_LEN + 1];

	digest_hex(&res->image_id, image_id);
	digest_hex(&res->tree_id, tree_id);

	int r = out_json_line(stdout,
		json_pack("{s:s s:s s:I s:I s:I s:I s:I s:I s:I s:f}",
			"image_id", image_id, "tree_id", tree_id, "inodes",
			(json_int_t)tree_node_count(t), "entries",
			(json_int_t)tree_entry_count(t), "files",
			(json_int_t)count_files(t), "objects",
			(json_int_t)res->objects, "file_bytes",
			(json_int_t)res->file_bytes, "object_bytes",
			(json_int_t)res->object_bytes, "image_bytes",
			(json_int_t)res->image_bytes, "seconds", seconds));

	return r == -ENOMEM ? fail(EXIT_SYSTEM, "out of memory") : EXIT_OK;
}

/* The ids are the result; the rest is for a person who looks on. */
static void print_text(const struct build *b, const struct tree *t,
	const struct pack_result *res, double seconds)
{
	char id[DIGEST_HEX_LEN + 1], from[16], unique[16], to[16];
	bool looks_on = b->options.verbose || isatty(STDERR_FILENO);

	digest_hex(&res->image_id, id);
	printf("image %s\n", id);
	digest_hex(&res->tree_id, id);
	printf("tree %s\n", id);
	if (b->options.quiet || !looks_on)
		return;
	out_size(res->file_bytes, from);
	out_size(res->object_bytes, unique);
	out_size(res->image_bytes, to);
	(void)fflush(stdout); /* exit_flush tells of an error */
	fprintf(stderr,
		"%" PRIu32 " files, %s, of which %s different; image %s "
		"(%.0f%%), %.1f s\n",
		count_files(t), from, unique, to,
		res->file_bytes ? 100.0 * (double)res->image_bytes /
					  (double)res->file_bytes
				: 100.0,
		seconds);
}

static int build(struct build *b)
{
	_cleanup_free_ char *folder = folder_of(b->options.output);
	_cleanup_(tree_free) struct tree *tree = NULL;
	struct pack_result res;
	struct diag diag = {0};
	struct timespec start;

	if (!folder)
		return fail(EXIT_SYSTEM, "out of memory");

	const char *tmp = getenv("TMPDIR");

	/* What has room for the image has most likely room for the contents;
	 * the usual place for temporary files is often memory. */
	b->tree.spool_dir = tmp && *tmp ? tmp : folder;
	(void)clock_gettime(CLOCK_MONOTONIC, &start); /* never fails */

	int code = read_source(b, folder, &tree);

	if (code != EXIT_OK)
		return code;

	int r = tree_seal(tree, &diag);

	if (r == 0) {
		progress_begin(&b->bar, "pack", b->options.quiet);
		r = pack(tree, b->options.output, &b->pack, &res, &diag);
		progress_end(&b->bar);
	}
	tell_hidden_remarks(b);
	if (r < 0)
		return fail_diag(r, &diag);
	if (b->options.json)
		return print_json(tree, &res, seconds_since(&start));
	print_text(b, tree, &res, seconds_since(&start));
	return EXIT_OK;
}

/* ---- the command line ---- */

#define AT(field) offsetof(struct build_options, field)

static const struct opt options[] = {
	{
		.name = "output",
		.letter = 'o',
		.kind = OPT_STRING,
		.offset = AT(output),
		.value = "IMAGE",
		.help = "the image to write; one that exists is replaced",
	},
	{
		.name = "exclude",
		.kind = OPT_LIST,
		.offset = AT(exclude),
		.value = "PATTERN",
		.help = "leave out what matches, with all below it",
	},
	{
		.name = "exclude-from",
		.kind = OPT_LIST,
		.offset = AT(exclude_from),
		.value = "FILE",
		.help = "patterns from a file, one a line",
	},
	{
		.name = "one-file-system",
		.letter = 'x',
		.kind = OPT_FLAG,
		.offset = AT(one_file_system),
		.help = "leave mount points empty",
	},
	{
		.name = "owner",
		.kind = OPT_STRING,
		.offset = AT(owner),
		.value = "UID[:GID]",
		.help = "everything belongs to this user, or group",
	},
	{
		.name = "owner-names",
		.kind = OPT_FLAG,
		.offset = AT(owner_names),
		.help = "look up the names in an archive on this machine",
	},
	{
		.name = "numeric-owner",
		.kind = OPT_FLAG,
		.offset = AT(numeric_owner),
		.help = "take the numbers in an archive (the default)",
	},
	{
		.name = "mtime",
		.kind = OPT_STRING,
		.offset = AT(mtime),
		.value = "TIME",
		.help = "no time is later: YYYY-MM-DD[Thh:mm:ss] or @SECONDS",
	},
	{
		.name = "level",
		.kind = OPT_NUMBER,
		.offset = AT(level),
		.value = "N",
		.help = "compression, 1 fast to 22 small, 0 none (4)",
		.min = 0,
		.max = 22,
	},
	{
		.name = "frame-size",
		.kind = OPT_STRING,
		.offset = AT(frame_size),
		.value = "SIZE",
		.help = "bytes compressed together, 4K to 1M (128K)",
	},
	{
		.name = "jobs",
		.letter = 'j',
		.kind = OPT_NUMBER,
		.offset = AT(jobs),
		.value = "N",
		.help = "threads (as many as there are processors)",
		.min = 1,
		.max = 1024,
	},
	{
		.name = "json",
		.kind = OPT_FLAG,
		.offset = AT(json),
		.help = "the result as one JSON object",
	},
	{
		.name = "quiet",
		.letter = 'q',
		.kind = OPT_FLAG,
		.offset = AT(quiet),
		.help = "only the ids: no progress bar, no remarks",
	},
	{
		.name = "verbose",
		.letter = 'v',
		.kind = OPT_FLAG,
		.offset = AT(verbose),
		.help = "all remarks, and a summary",
	},
	{0},
};

static const struct example examples[] = {
	{"sudo stele build rootfs/ -o app.stele", "a folder"},
	{"docker export c1 | stele build - -o app.stele",
		"the root of a container, as a tar archive"},
	{"stele build -x --exclude '/var/cache/*' / -o /mnt/host.stele",
		"this machine, without its caches and other file systems"},
	{"stele build --mtime 2026-01-01 --owner 0:0 tree -o tree.stele",
		"the same image from every check-out of a repository"},
	{0},
};

/* Processors that this process may use. */
static unsigned processors(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		return (unsigned)CPU_COUNT(&set);

	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n > 0 ? (unsigned)n : 1;
}

static void set_hooks(struct build *b)
{
	b->tree.progress = on_read;
	b->tree.remark = on_remark;
	b->tree.arg = b;
	b->pack.progress = on_pack;
	b->pack.arg = b;
	b->pack.level = (int)b->options.level;
	b->pack.jobs =
		b->options.jobs ? (unsigned)b->options.jobs : processors();
}

static int run(const struct command *self, int argc, char **argv)
{
	struct build b = {.options.level = PACK_LEVEL_DEFAULT};
	struct build_patterns patterns = {0};
	int code, n = opt_parse(self, argc, argv, &b.options, &code);

	if (n < 0)
		return code;
	if (n != 1)
		code = opt_misuse(
			self, n ? "one SOURCE only" : "SOURCE missing");
	else if (!b.options.output || !*b.options.output)
		code = opt_misuse(self, "-o IMAGE missing");
	else
		code = build_options_apply(
			self, &b.options, &patterns, &b.tree, &b.pack);
	if (code == EXIT_OK) {
		b.source = argv[1];
		set_hooks(&b);
		code = build(&b);
	}
	build_patterns_done(&patterns);
	opt_list_done(&b.options.exclude);
	opt_list_done(&b.options.exclude_from);
	return code;
}

const struct command cmd_build = {
	.name = "build",
	.operands = "SOURCE -o IMAGE",
	.summary = "make an image of a folder or a tar archive",
	.description =
		"Reads SOURCE, which is a folder, a tar archive (plain or "
		"compressed with gzip, bzip2, xz, zstd or lz4) or '-' for an "
		"archive on standard input, and writes one image with all of "
		"it: every name, mode, owner, time, extended attribute, hard "
		"link and device. The same SOURCE gives the same image, byte "
		"by byte. The image appears under its name when it is whole, "
		"in place of one that was there; when something fails, nothing "
		"appears.\n"
		"\n"
		"Prints two lines, 'image HEX' and 'tree HEX': the id of the "
		"image's bytes, and the id of the tree, which does not depend "
		"on --level and --frame-size.\n"
		"\n"
		"A PATTERN that begins with '/' must match a whole path from "
		"the root of SOURCE, any other one the end of a path: '*.o', "
		"'/proc/*', '.git'. '*', '?' and '[...]' match no '/'.\n"
		"\n"
		"When SOURCE_DATE_EPOCH is set and --mtime is not given, no "
		"time in the image is later than that many seconds after "
		"1970. The contents of an archive are kept in an unnamed file "
		"in $TMPDIR, or beside IMAGE, until they are packed.\n"
		"\n"
		"Ends with 3 when an archive is malformed or cut off, with 5 "
		"when something cannot be read, with 7 when a file changes "
		"while it is read; the file is named.",
	.options = options,
	.examples = examples,
	.complete = OPERAND_PATH,
	.run = run,
};
