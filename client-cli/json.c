// Consuming as JSON is bound by this file, so it copies runs of plain characters at once and looks
// each byte up in a table. Room for the worst case is reserved first.

#include "client-cli/json.h"

#include <inttypes.h>
#include <stdio.h>

// 0: as is, 'u': \u00xx, else the letter behind the backslash.
static const char escapes[256] = {
    'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'b',         't',           'n',          'u',
    'f', 'r', 'u', 'u', 'u', 'u', 'u', 'u', 'u',         'u',           'u',          'u',
    'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', ['"'] = '"', ['\\'] = '\\', [0x7f] = 'u',
};

enum { ESCAPE_LENGTH_MAX = 6 };

int json_append_string(struct buffer *out, struct bytes utf8)
{
    static const char digits[] = "0123456789abcdef";
    if (utf8.length > SIZE_MAX / ESCAPE_LENGTH_MAX - 2) {
        return ERR_MEMORY;
    }
    int err = buffer_reserve(out, utf8.length * ESCAPE_LENGTH_MAX + 2);
    if (err != 0) {
        return err;
    }
    uint8_t *to = out->data + out->length;
    const uint8_t *from = utf8.data;
    const uint8_t *end = utf8.length > 0 ? from + utf8.length : from; // from may be NULL
    *to++ = '"';
    while (from < end) {
        const uint8_t *run = from;
        while (from < end && !escapes[*from]) {
            from++;
        }
        memcpy(to, run, (size_t)(from - run));
        to += from - run;
        if (from == end) {
            break;
        }
        uint8_t byte = *from++;
        *to++ = '\\';
        *to++ = (uint8_t)escapes[byte];
        if (escapes[byte] == 'u') {
            *to++ = '0';
            *to++ = '0';
            *to++ = (uint8_t)digits[byte >> 4];
            *to++ = (uint8_t)digits[byte & 15];
        }
    }
    *to++ = '"';
    out->length = (size_t)(to - out->data);
    return 0;
}

int json_append_base64(struct buffer *out, struct bytes bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    int err = buffer_reserve(out, (bytes.length + 2) / 3 * 4 + 2);
    if (err != 0) {
        return err;
    }
    uint8_t *to = out->data + out->length;
    *to++ = '"';
    size_t i = 0;
    for (; i + 3 <= bytes.length; i += 3) {
        uint32_t group =
            (uint32_t)bytes.data[i] << 16 | (uint32_t)bytes.data[i + 1] << 8 | bytes.data[i + 2];
        *to++ = (uint8_t)digits[group >> 18];
        *to++ = (uint8_t)digits[group >> 12 & 63];
        *to++ = (uint8_t)digits[group >> 6 & 63];
        *to++ = (uint8_t)digits[group & 63];
    }
    if (i < bytes.length) {
        bool has_two = i + 1 < bytes.length;
        uint32_t group =
            (uint32_t)bytes.data[i] << 16 | (has_two ? (uint32_t)bytes.data[i + 1] << 8 : 0);
        *to++ = (uint8_t)digits[group >> 18];
        *to++ = (uint8_t)digits[group >> 12 & 63];
        *to++ = (uint8_t)(has_two ? digits[group >> 6 & 63] : '=');
        *to++ = '=';
    }
    *to++ = '"';
    out->length = (size_t)(to - out->data);
    return 0;
}

int json_append_number(struct buffer *out, uint64_t number)
{
    char text[24];
    int length = snprintf(text, sizeof text, "%" PRIu64, number);
    return buffer_append(out, bytes_of(text, (size_t)length));
}

static int base64_digit(uint8_t byte)
{
    if (byte >= 'A' && byte <= 'Z') {
        return byte - 'A';
    }
    if (byte >= 'a' && byte <= 'z') {
        return byte - 'a' + 26;
    }
    if (byte >= '0' && byte <= '9') {
        return byte - '0' + 52;
    }
    return byte == '+' ? 62 : byte == '/' ? 63 : -1;
}

int base64_decode(struct bytes text, struct buffer *out)
{
    if (text.length % 4 != 0) {
        return ERR_INVALID;
    }
    int err = buffer_reserve(out, text.length / 4 * 3);
    if (err != 0) {
        return err;
    }
    size_t length = out->length;
    for (size_t i = 0; i < text.length; i += 4) {
        const uint8_t *four = text.data + i;
        bool is_last = i + 4 == text.length;
        int padding = is_last && four[3] == '=' ? (four[2] == '=' ? 2 : 1) : 0;
        uint32_t group = 0;
        for (int j = 0; j < 4; j++) {
            int digit = j >= 4 - padding ? 0 : base64_digit(four[j]);
            if (digit < 0) {
                return ERR_INVALID;
            }
            group = group << 6 | (uint32_t)digit;
        }
        out->data[length++] = (uint8_t)(group >> 16);
        if (padding < 2) {
            out->data[length++] = (uint8_t)(group >> 8);
        }
        if (padding < 1) {
            out->data[length++] = (uint8_t)group;
        }
    }
    out->length = length;
    return 0;
}
