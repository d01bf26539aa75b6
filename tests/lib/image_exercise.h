/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Do to an image all that can be done to it, and stop the process (abort) when
 * something that image_open promises does not hold.
 */
#ifndef TESTS_LIB_IMAGE_EXERCISE_H
#define TESTS_LIB_IMAGE_EXERCISE_H

#include <stddef.h>

/*
 * Open the bytes as an image; if that works, list every folder, look up every
 * name, read every attribute, link, piece and frame, and check it. 0 when the
 * image is good, else what image_open or image_check says.
 */
int image_exercise(const void *data, size_t len);

/* The same for the bytes with the superblock's own digest put right. */
int image_exercise_super(const void *data, size_t len);

/* The same for the bytes with all sizes and digests put right. */
int image_exercise_sealed(const void *data, size_t len);

#endif
