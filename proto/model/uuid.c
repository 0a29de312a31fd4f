// Digits and dashes have fixed places, so both directions walk the text once; reading changes
// nothing of the result until all of it is right.

#include "proto/model/uuid.h"

static bool is_dash_position(size_t at)
{
    return at == 8 || at == 13 || at == 18 || at == 23;
}

void uuid_format(const struct uuid *uuid, char out[UUID_TEXT_LENGTH + 1])
{
    static const char DIGITS[] = "0123456789abcdef";
    size_t digit = 0;
    for (size_t at = 0; at < UUID_TEXT_LENGTH; at++) {
        if (is_dash_position(at)) {
            out[at] = '-';
            continue;
        }
        uint8_t byte = uuid->bytes[digit / 2];
        out[at] = DIGITS[digit % 2 == 0 ? byte >> 4 : byte & 15];
        digit++;
    }
    out[UUID_TEXT_LENGTH] = '\0';
}

static int digit_value(char digit)
{
    if (digit >= '0' && digit <= '9') {
        return digit - '0';
    }
    if (digit >= 'a' && digit <= 'f') {
        return digit - 'a' + 10;
    }
    if (digit >= 'A' && digit <= 'F') {
        return digit - 'A' + 10;
    }
    return -1;
}

int uuid_parse(const char *text, struct uuid *uuid_out)
{
    if (strlen(text) != UUID_TEXT_LENGTH) {
        return ERR_INVALID;
    }
    struct uuid uuid = {0};
    size_t digit = 0;
    for (size_t at = 0; at < UUID_TEXT_LENGTH; at++) {
        int value = digit_value(text[at]);
        if (is_dash_position(at) ? text[at] != '-' : value < 0) {
            return ERR_INVALID;
        }
        if (value >= 0) {
            uuid.bytes[digit / 2] = (uint8_t)(uuid.bytes[digit / 2] << 4 | value);
            digit++;
        }
    }
    *uuid_out = uuid;
    return 0;
}
