// One step through UTF-8 text (Unicode 15, table 3-7), for those that look at characters.
#pragma once

#include <stddef.h>
#include <stdint.h>

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
