// What a node sends is checked before it goes into JSON, which must be UTF-8.

#include "client-cli/status_text.h"

#include "proto/model/namespace.h"

void status_format_uuid(struct bytes uuid, char out[UUID_TEXT_LENGTH + 1])
{
    struct uuid value = {0};
    if (uuid.length == sizeof value.bytes) {
        memcpy(value.bytes, uuid.data, sizeof value.bytes);
    }
    uuid_format(&value, out);
}

int status_append_text(struct buffer *out, struct bytes text)
{
    return utf8_is_valid(text) ? json_append_string(out, text) : ERR_INVALID;
}

bool status_take_line(struct bytes *lines, struct bytes *line_out)
{
    if (lines->length == 0) {
        return false;
    }
    const uint8_t *end = memchr(lines->data, '\n', lines->length);
    size_t length = end ? (size_t)(end - lines->data) : lines->length;
    *line_out = bytes_of(lines->data, length);
    length += end != NULL;
    *lines = bytes_of(lines->data + length, lines->length - length);
    return true;
}
