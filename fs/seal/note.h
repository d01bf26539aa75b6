/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signed notes (C2SP signed-note) and what ours say. A note is text, an empty
 * line, and signature lines "— NAME BASE64(key hash, signature)". One kind is
 * the checkpoint (C2SP tlog-checkpoint), which any tool for transparency logs
 * can read:
 *
 *	ORIGIN
 *	SIZE			decimal, below 2^63, no leading zeros
 *	ROOT			base64 of 32 bytes
 *
 * The other kind hands the right to sign from one key to the next:
 *
 *	ORIGIN
 *	stele key N		the number of the new key, from 1
 *	VKEY			the new key, as below
 *	SIZE			the tree when the old key ended
 *	ROOT
 *
 * It is signed by the old key, number N - 1. Key 0 is the one that a verifier
 * must know. A key is written as C2SP does: NAME+HEX8+BASE64(0x01, public key),
 * where NAME is the origin and HEX8 the first four bytes of SHA-256(NAME "\n"
 * 0x01 public key).
 *
 * Notes come from files that anybody may have made: parsing is strict, bounded
 * and never reads past len. Thread-safe, no state.
 */
#ifndef FS_SEAL_NOTE_H
#define FS_SEAL_NOTE_H

#include "fs/base/base64.h"
#include "fs/base/buf.h"
#include "fs/codec/digest.h"
#include "fs/codec/sign.h"

/* Bytes of a whole note: room for 16 witnesses beside us, as C2SP wants. */
#define NOTE_MAX 4096
/* Bytes of an origin, which has no space, '+' or control character. */
#define NOTE_ORIGIN_MAX 255
/* Bytes of a VKEY with its NUL. */
#define NOTE_KEY_MAX 384

struct note_key {
	char name[NOTE_ORIGIN_MAX + 1];
	uint8_t key[SIGN_PUBLIC_LEN];
};

enum note_kind { NOTE_CHECKPOINT, NOTE_NEXT_KEY };

struct note {
	enum note_kind kind;
	char origin[NOTE_ORIGIN_MAX + 1];
	uint64_t size;
	struct digest root;
	uint64_t number;      /* NOTE_NEXT_KEY: N */
	struct note_key next; /* NOTE_NEXT_KEY */
};

/* Write a note and sign it. 0, -ENOMEM, -E2BIG, -EINVAL for a bad origin. */
int note_make(const struct note *n, const uint8_t seed[SIGN_SEED_LEN],
	struct buf *ret) must_check;

/* Read a note without believing it. 0, -EBADMSG when it is none of ours, or
 * -ENOMEM. */
int note_parse(const void *text, size_t len, struct note *ret) must_check;

/*
 * Is it signed by this key? Other signatures (of witnesses) may be there too.
 * 0; -ENOKEY when no line is by this key; -EBADMSG when one is and is wrong, or
 * the note is malformed; -ENOMEM.
 */
int note_check(
	const void *text, size_t len, const struct note_key *key) must_check;

/* A key as text, and back. 0 or -ENOMEM; -EBADMSG when it is malformed or its
 * hash wrong. */
int note_key_print(const struct note_key *k, char ret[NOTE_KEY_MAX]) must_check;
int note_key_parse(
	const char *text, size_t len, struct note_key *ret) must_check;

/* True when it can name a log. */
bool note_is_origin(const char *text);

#endif
