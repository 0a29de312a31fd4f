// One step through UTF-8 text (Unicode 15, table 3-7), for those that look at characters, and many
// steps at once through what is plain ASCII, as nearly all names are.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define ASCII_WORD(byte) (0x0101010101010101u * (uint64_t)(byte))

static inline uint64_t ascii_load(const uint8_t *text)
{
    uint64_t word;
    memcpy(&word, text, sizeof word);
    return word;
}

// Eight bytes at a time: without a high bit in any of them, adding 0x60 sets the high bit of every
// byte that is no control character, and adding 1 that of DEL, with no carry between bytes.
static inline bool ascii_word_is_printable(uint64_t word)
{
    uint64_t wrong = word | ~(word + ASCII_WORD(0x60)) | (word + ASCII_WORD(0x01));
    return (wrong & ASCII_WORD(0x80)) == 0;
}

static inline bool ascii_is_printable(const uint8_t *text, size_t length)
{
    if (length < 8) {
        for (size_t i = 0; i < length; i++) {
            if (text[i] < 0x20 || text[i] >= 0x7f) {
                return false;
            }
        }
        return true;
    }
    if (length <= 16) {
        // They overlap. Both are looked at: no branch.
        return (int)ascii_word_is_printable(ascii_load(text)) &
               (int)ascii_word_is_printable(ascii_load(text + length - 8));
    }
    for (size_t at = 0; at < length - 8; at += 8) {
        if (!ascii_word_is_printable(ascii_load(text + at))) {
            return false;
        }
    }
    return ascii_word_is_printable(ascii_load(text + length - 8)); // overlaps the one before
}

static inline int utf8_is_continuation(uint8_t byte)
{
    return (byte & 0xc0) == 0x80;
}

// The length in bytes, 1..4, of the well-formed sequence at the front of text[0..length), which is
// not empty; 0 when there is none.
static inline size_t utf8_sequence(const uint8_t *text, size_t length)
{
    uint8_t lead = text[0];
    if (lead < 0x80) {
        return 1;
    }
    if (lead < 0xc2 || lead > 0xf4 || length < 2) {
        return 0;
    }
    if (lead < 0xe0) {
        return utf8_is_continuation(text[1]) ? 2 : 0;
    }
    // The second byte excludes overlong forms, surrogates, and what is above U+10FFFF.
    uint8_t low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    uint8_t high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (text[1] < low || text[1] > high || length < 3 || !utf8_is_continuation(text[2])) {
        return 0;
    }
    if (lead < 0xf0) {
        return 3;
    }
    return length >= 4 && utf8_is_continuation(text[3]) ? 4 : 0;
}

// Makes a text out of what may be none: control characters and malformed bytes become '?'.
static inline void utf8_clean(char *text)
{
    uint8_t *at = (uint8_t *)text;
    size_t left = strlen(text);
    while (left > 0) {
        size_t step = utf8_sequence(at, left);
        if (step <= 1) {
            if (step == 0 || at[0] < 0x20 || at[0] == 0x7f) {
                at[0] = '?';
            }
            step = 1;
        } else if (at[0] == 0xc2 && at[1] < 0xa0) { // C1 controls
            at[0] = at[1] = '?';
        }
        at += step;
        left -= step;
    }
}
