// Nearly every name is plain ASCII and is judged eight bytes at a time. What fails that test is
// read again, character by character, which also finds the place for the reason.

#include "proto/model/namespace.h"

#include "proto/base/limits.h"
#include "proto/base/utf8.h"

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
    return ascii_is_printable(name.data, name.length) ? 0 : validate_characters(name, reason);
}

bool utf8_is_valid(struct bytes text)
{
    size_t at = 0;
    while (at < text.length) {
        size_t left = text.length - at;
        if (left >= 8 && (ascii_load(text.data + at) & ASCII_WORD(0x80)) == 0) {
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
