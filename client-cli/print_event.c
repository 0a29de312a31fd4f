// People: an empty line, the id, the namespace, the time, the body as it is; on a terminal, control
// characters are shown and not sent, because a body must not be able to drive somebody's terminal.
// JSON: one object per line, keys in a fixed order, readable by `weir produce --json`. Raw: each
// body followed by a newline.

#include "client-cli/print_event.h"

#include <stdio.h>

#include "client-cli/calendar.h"
#include "client-cli/json.h"
#include "proto/base/limits.h"
#include "proto/base/utf8.h"
#include "proto/model/namespace.h"

bool format_parse(const char *text, bool allows_raw, enum format *format_out)
{
    if (strcmp(text, "human") == 0) {
        *format_out = FORMAT_HUMAN;
    } else if (strcmp(text, "json") == 0) {
        *format_out = FORMAT_JSON;
    } else if (allows_raw && strcmp(text, "raw") == 0) {
        *format_out = FORMAT_RAW;
    } else {
        return false;
    }
    return true;
}

static int append_shown(struct buffer *out, struct bytes data)
{
    static const char digits[] = "0123456789abcdef";
    size_t i = 0;
    while (i < data.length) {
        size_t length = utf8_sequence(data.data + i, data.length - i);
        uint8_t byte = data.data[i];
        bool is_control = (byte < 0x20 && byte != '\n' && byte != '\t') || byte == 0x7f ||
                          (length == 2 && byte == 0xc2 && data.data[i + 1] < 0xa0);
        int err;
        if (length == 0 || is_control) {
            char shown[4] = {'\\', 'x', digits[byte >> 4], digits[byte & 15]};
            err = buffer_append(out, bytes_of(shown, sizeof shown));
            length = 1;
        } else {
            err = buffer_append(out, bytes_of(data.data + i, length));
        }
        if (err != 0) {
            return err;
        }
        i += length;
    }
    return 0;
}

static int print_human(struct output *output, const struct weir_event *event)
{
    struct buffer *out = &output->buffer;
    char id[EVENT_ID_TEXT_LENGTH + 1];
    char parent[EVENT_ID_TEXT_LENGTH + 1];
    char timestamp[TIMESTAMP_TEXT_LENGTH + 1];
    struct event_id parent_id = event_parent(&event->fields);
    bool has_parent = !event_id_is_none(parent_id);
    event_id_format(event->id, id);
    event_id_format(parent_id, parent);
    timestamp_format(event->timestamp_ms, timestamp);
    int err = output_text(output, "\nEventId: %s%s%s\nNamespace: ", id,
                          has_parent ? ", Parent: " : "", has_parent ? parent : "");
    if (err == 0) {
        err = buffer_append(out, event->fields.name);
    }
    if (err == 0) {
        err = output_text(output, "\nTimestamp: %s\n", timestamp);
    }
    if (err != 0 || event->fields.data.length == 0) {
        return err;
    }
    err = output->is_terminal ? append_shown(out, event->fields.data)
                              : buffer_append(out, event->fields.data);
    return err != 0 ? err : buffer_append(out, bytes_of("\n", 1));
}

static int print_raw(struct output *output, const struct weir_event *event)
{
    int err = buffer_append(&output->buffer, event->fields.data);
    return err != 0 ? err : buffer_append(&output->buffer, bytes_of("\n", 1));
}

static int append_value(struct buffer *out, const struct attribute *attribute)
{
    if (utf8_is_valid(attribute->value)) {
        return json_append_string(out, attribute->value);
    }
    int err = json_append(out, "{\"base64\":");
    err = err != 0 ? err : json_append_base64(out, attribute->value);
    return err != 0 ? err : json_append(out, "}");
}

static size_t count_of_key(const struct attribute *attributes, size_t count, struct bytes key)
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        found += bytes_equal(attributes[i].key, key);
    }
    return found;
}

// One key with all its values, at the place of the first: a JSON object has each key once.
static int append_key(struct buffer *out, const struct attribute *attributes, size_t count,
                      size_t i)
{
    struct bytes key = attributes[i].key;
    size_t left = count_of_key(attributes, count, key);
    bool is_list = left > 1;
    int err = json_append_string(out, key);
    err = err != 0 ? err : json_append(out, is_list ? ":[" : ":");
    for (; err == 0 && left > 0; i++) {
        if (bytes_equal(attributes[i].key, key)) {
            err = append_value(out, &attributes[i]);
            left--;
            if (err == 0 && left > 0) {
                err = json_append(out, ",");
            }
        }
    }
    return err == 0 && is_list ? json_append(out, "]") : err;
}

static int append_attributes(struct buffer *out, const struct weir_event *event)
{
    struct attribute attributes[ATTRIBUTES_MAX + 1];
    struct bytes rest = event->fields.attributes;
    size_t claimed = 0;
    size_t count = 0;
    int err = attributes_begin(&rest, &claimed);
    if (err != 0 || claimed > ATTRIBUTES_MAX + 1) {
        return ERR_CORRUPT;
    }
    for (; claimed > 0; claimed--) {
        if (attributes_next(&rest, &attributes[count]) != 0 ||
            !utf8_is_valid(attributes[count].key)) {
            return ERR_CORRUPT;
        }
        count += !bytes_equal(attributes[count].key, bytes_of_text(ATTRIBUTE_PARENT));
    }
    if (count == 0) {
        return json_append(out, "null");
    }
    err = json_append(out, "{");
    for (size_t i = 0; err == 0 && i < count; i++) {
        if (count_of_key(attributes, i, attributes[i].key) > 0) {
            continue; // shown already
        }
        err = i > 0 ? json_append(out, ",") : 0;
        err = err != 0 ? err : append_key(out, attributes, count, i);
    }
    return err != 0 ? err : json_append(out, "}");
}

static int print_json(struct output *output, const struct weir_event *event)
{
    struct buffer *out = &output->buffer;
    char text[128];
    char id[EVENT_ID_TEXT_LENGTH + 1];
    char timestamp[TIMESTAMP_TEXT_LENGTH + 1];
    if (!utf8_is_valid(event->fields.name)) {
        return ERR_CORRUPT;
    }
    event_id_format(event->id, id);
    int length = snprintf(text, sizeof text, "{\"id\":\"%s\",\"namespace\":", id);
    int err = buffer_append(out, bytes_of(text, (size_t)length));
    err = err != 0 ? err : json_append_string(out, event->fields.name);

    timestamp_format(event->timestamp_ms, timestamp);
    struct event_id parent = event_parent(&event->fields);
    if (event_id_is_none(parent)) {
        length = snprintf(text, sizeof text, ",\"timestamp\":\"%s\",\"parent\":null", timestamp);
    } else {
        event_id_format(parent, id);
        length =
            snprintf(text, sizeof text, ",\"timestamp\":\"%s\",\"parent\":\"%s\"", timestamp, id);
    }
    err = err != 0 ? err : buffer_append(out, bytes_of(text, (size_t)length));
    err = err != 0 ? err : json_append(out, ",\"attributes\":");
    err = err != 0 ? err : append_attributes(out, event);
    if (err != 0) {
        return err;
    }
    bool is_text = utf8_is_valid(event->fields.data);
    err = json_append(out, is_text ? ",\"data\":" : ",\"data_base64\":");
    if (err == 0) {
        err = is_text ? json_append_string(out, event->fields.data)
                      : json_append_base64(out, event->fields.data);
    }
    return err != 0 ? err : json_append(out, "}\n");
}

int print_event(struct output *output, enum format format, const struct weir_event *event)
{
    switch (format) {
    case FORMAT_HUMAN:
        return print_human(output, event);
    case FORMAT_JSON:
        return print_json(output, event);
    case FORMAT_RAW:
        return print_raw(output, event);
    }
    return 0;
}
