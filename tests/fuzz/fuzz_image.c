/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target of the image reader. Each input is tried as it is, with the
 * superblock's digest put right, and with all sizes and digests put right,
 * since otherwise the digests would stop nearly every input at the door. The
 * mutator changes the superblock, one section or the frames of an image and
 * leaves the rest whole.
 */
#include <string.h>

#include "fs/image/layout.h"
#include "tests/fuzz/fuzz.h"
#include "tests/lib/image_exercise.h"
#include "tests/lib/image_parts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	(void)image_exercise(data, len);
	(void)image_exercise_super(data, len);
	(void)image_exercise_sealed(data, len);
	return 0;
}

#ifdef FUZZING
/* Bytes of the superblock with a meaning of their own. */
#define SUPER_USED offsetof(struct layout_super, reserved)

/* Change one table by what libFuzzer likes to do to bytes. */
static int mutate_table(struct buf *table, size_t room)
{
	size_t max = table->len + room;

	if (max < 64)
		max = 64;
	if (!buf_reserve(table, max - table->len))
		return -1;
	table->len = LLVMFuzzerMutate((uint8_t *)table->data, table->len, max);
	return 0;
}

/* Add to one 32-bit field: most fields are numbers near to others. */
static void nudge_field(struct buf *table, unsigned seed)
{
	uint32_t value;

	if (table->len < sizeof(value))
		return;

	size_t at = seed / 16 % (table->len / sizeof(value)) * sizeof(value);

	memcpy(&value, table->data + at, sizeof(value));
	value += seed % 16 - 7;
	memcpy(table->data + at, &value, sizeof(value));
}

size_t LLVMFuzzerCustomMutator(
	uint8_t *data, size_t len, size_t max, unsigned seed)
{
	struct image_parts parts;
	_cleanup_buf_ struct buf image = {.max = SIZE_MAX / 2};
	unsigned which = seed % (SECTION_COUNT + 3);
	size_t room = len < max ? max - len : 0;
	int r = -1;

	if (which == SECTION_COUNT + 1 && len >= SUPER_USED) {
		(void)LLVMFuzzerMutate(data, SUPER_USED, SUPER_USED);
		return len;
	}
	if (which > SECTION_COUNT || image_parts_read(data, len, &parts) < 0)
		return LLVMFuzzerMutate(data, len, max);

	struct buf *table =
		which == SECTION_COUNT ? &parts.frames : &parts.tables[which];

	if (seed / 64 % 4 == 0 && which < SECTION_COUNT)
		parts.packed[which] = !parts.packed[which];
	if (seed / 256 % 2) {
		nudge_field(table, seed / 512);
		r = 0;
	} else {
		r = mutate_table(table, room);
	}
	if (r == 0)
		r = image_parts_write(&parts, &image);
	image_parts_done(&parts);
	if (r < 0 || image.len > max)
		return LLVMFuzzerMutate(data, len, max);
	memcpy(data, image.data, image.len);
	return image.len;
}
#endif
