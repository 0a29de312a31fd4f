// Nearly every name is plain ASCII, so eight bytes are judged at a time: without a high bit in any
// of them, adding 0x60 sets the high bit of every byte that is no C0 control, and adding 1 that of
// DEL, with no carry between bytes. The last eight overlap the ones before instead of being looped
// over. What fails that test is read again, character by character, which also finds the place.

#include "proto/model/namespace.h"

#include "proto/base/limits.h"
#include "proto/base/utf8.h"

#define EVERY_BYTE(byte) (0x0101010101010101u * (uint64_t)(byte))

static uint64_t load_word(const uint8_t *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

// Up to seven bytes, filled up with '/'.
static uint64_t load_short_word(const uint8_t *at, size_t length)
{
    uint64_t word = EVERY_BYTE('/');
    memcpy(&word, at, length);
    return word;
}

static bool word_is_ascii(uint64_t word)
{
    return (word & EVERY_BYTE(0x80)) == 0;
}

static bool word_is_printable_ascii(uint64_t word)
{
    uint64_t wrong = word | ~(word + EVERY_BYTE(0x60)) | (word + EVERY_BYTE(0x01));
    return (wrong & EVERY_BYTE(0x80)) == 0;
}

static bool is_printable_ascii(struct bytes text)
{
    if (text.length < 8) {
        return word_is_printable_ascii(load_short_word(text.data, text.length));
    }
    size_t last = text.length - 8;
    for (size_t at = 0; at < last; at += 8) {
        if (!word_is_printable_ascii(load_word(text.data + at))) {
            return false;
        }
    }
    return word_is_printable_ascii(load_word(text.data + last));
}

static int validate_characters(struct bytes name, struct reason *reason)
{
    for (size_t at = 0; at < name.length;) {
        const uint8_t *character = name.data + at;
        size_t step = utf8_sequence(character, name.length - at);
        if (step == 0) {
            return reason_set(reason, ERR_INVALID, "the namespace is not UTF-8 at byte %zu", at);
        }
        bool is_control = character[0] < 0x20 || character[0] == 0x7f ||
                          (character[0] == 0xc2 && character[1] < 0xa0);
        if (is_control) {
            return reason_set(reason, ERR_INVALID,
                              "the namespace has a control character (0x%02x) at byte %zu",
                              character[step - 1], at);
        }
        at += step;
    }
    return 0;
}

int namespace_validate(struct bytes name, struct reason *reason)
{
    if (name.length == 0) {
        return reason_set(reason, ERR_INVALID, "the namespace is empty");
    }
    if (name.length > NAMESPACE_BYTES_MAX) {
        return reason_set(reason, ERR_LIMIT, "the namespace has %zu bytes, %d are allowed",
                          name.length, NAMESPACE_BYTES_MAX);
    }
    return is_printable_ascii(name) ? 0 : validate_characters(name, reason);
}

bool utf8_is_valid(struct bytes text)
{
    size_t at = 0;
    while (at < text.length) {
        size_t left = text.length - at;
        if (left >= 8 && word_is_ascii(load_word(text.data + at))) {
            at += 8;
            continue;
        }
        size_t step = utf8_sequence(text.data + at, left);
        if (step == 0) {
            return false;
        }
        at += step;
    }
    return true;
}
