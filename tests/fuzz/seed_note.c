/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the first inputs of fuzz_note into a folder. */
#include <string.h>

#include "tests/lib/note_sample.h"

/* An input is what it is, by a letter, and then the text. */
static int write_seed(
	const char *folder, const char *name, char kind, const struct buf *b)
{
	char path[4096];

	(void)snprintf(path, sizeof(path), "%s/seed-%s", folder, name);

	FILE *f = fopen(path, "we");

	if (!f)
		return -1;

	bool ok = fputc(kind, f) == kind &&
		  fwrite(b->data, 1, b->len, f) == b->len;

	return fclose(f) == 0 && ok ? 0 : -1;
}

/* As keyfile.h describes it, the sum being that of the lines before. */
static int add_key_file(struct buf *b, bool with_next)
{
	uint8_t seed[SIGN_SEED_LEN];
	struct digest d = {{0}};
	int r = buf_printf(b,
		"stele-key 1\norigin " NOTE_SAMPLE_ORIGIN "\nnumber 1\nseed ");

	note_sample_seed(1, seed);
	if (r == 0)
		r = base64_add(b, seed, sizeof(seed));
	note_sample_seed(2, seed);
	if (r == 0 && with_next)
		r = buf_printf(b, "\nnext ");
	if (r == 0 && with_next)
		r = base64_add(b, seed, sizeof(seed));
	if (r == 0)
		r = buf_printf(b, "\nsize 3\nroot ");
	if (r == 0)
		r = base64_add(b, &d, sizeof(d));
	if (r == 0)
		r = buf_printf(b, "\n");
	if (r == 0)
		r = digest_of(b->data, b->len, &d);
	if (r == 0)
		r = buf_printf(b, "sum ");
	if (r == 0)
		r = base64_add(b, &d, sizeof(d));
	return r == 0 ? buf_printf(b, "\n") : r;
}

static int write_notes(const char *folder)
{
	_cleanup_buf_ struct buf b = {.max = NOTE_MAX};
	struct note_key key;
	char text[NOTE_KEY_MAX];
	int r;

	note_sample_checkpoint(0, &b);
	r = write_seed(folder, "checkpoint", 'n', &b);
	b.len = 0;
	note_sample_handover(0, &b);
	if (r == 0)
		r = write_seed(folder, "next-key", 'n', &b);
	b.len = 0;
	note_sample_key(0, &key);
	if (r == 0)
		r = note_key_print(&key, text);
	if (r == 0)
		r = buf_add(&b, text, strlen(text));
	return r == 0 ? write_seed(folder, "key", 'k', &b) : r;
}

static int write_proof(const char *folder)
{
	_cleanup_buf_ struct buf b = {.max = PROOF_MAX};
	struct proof p;
	int r;

	note_sample_proof(&p);
	r = write_seed(folder, "items", 'i', &p.extra);
	if (r == 0)
		r = proof_make(&p, &b);
	if (r == 0)
		r = write_seed(folder, "proof", 'p', &b);
	proof_done(&p);
	return r;
}

static int write_key_files(const char *folder)
{
	_cleanup_buf_ struct buf b = {.max = 4096};
	int r = add_key_file(&b, false);

	if (r == 0)
		r = write_seed(folder, "key-file", 'f', &b);
	b.len = 0;
	if (r == 0)
		r = add_key_file(&b, true);
	if (r == 0)
		r = write_seed(folder, "key-file-next", 'f', &b);
	b.len = 0;
	if (r == 0)
		r = buf_add(&b, "Zm9vYmE=", 8);
	return r == 0 ? write_seed(folder, "base64", 'b', &b) : r;
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
		return 2;
	}
	return write_notes(argv[1]) < 0 || write_proof(argv[1]) < 0 ||
	       write_key_files(argv[1]) < 0;
}
