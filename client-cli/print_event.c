// People: an empty line, the id, the namespace, the time, the body as it is; on a terminal, control
// characters are shown and not sent, because a body must not be able to drive somebody's terminal.
// JSON: one object per line, keys in a fixed order, readable by `weir produce --json`. Raw: each
// body followed by a newline.

#include "client-cli/print_event.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "client-cli/calendar.h"
#include "client-cli/json.h"
#include "client-cli/parked.h"
#include "client-cli/views.h"
#include "proto/base/limits.h"
#include "proto/base/utf8.h"

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

// What is printed around an event's own bytes, of bounded length.
struct line {
    char text[192];
    size_t length;
};

static void line_text(struct line *line, const char *text)
{
    size_t length = strlen(text);
    assert(length <= sizeof line->text - line->length);
    memcpy(line->text + line->length, text, length);
    line->length += length;
}

static void line_id(struct line *line, struct weir_id id)
{
    char text[WEIR_ID_TEXT_SIZE];
    weir_id_format(id, text);
    line_text(line, text);
}

static void line_timestamp(struct line *line, uint64_t ms)
{
    char text[TIMESTAMP_TEXT_LENGTH + 1];
    timestamp_format(ms, text);
    line_text(line, text);
}

static void line_number(struct line *line, uint32_t number)
{
    char text[12];
    snprintf(text, sizeof text, "%" PRIu32, number);
    line_text(line, text);
}

static int line_append(const struct line *line, struct buffer *out)
{
    return buffer_append(out, bytes_of(line->text, line->length));
}

static int print_human(struct output *output, const struct weir_event *event)
{
    struct buffer *out = &output->buffer;
    struct bytes data = bytes_from(event->data);
    struct line head = {0};
    line_text(&head, "\nEventId: ");
    line_id(&head, event->id);
    if (!id_is_none(event->parent)) {
        line_text(&head, ", Parent: ");
        line_id(&head, event->parent);
    }
    if (event->attempt > 1) {
        line_text(&head, ", Attempt: ");
        line_number(&head, event->attempt);
    }
    line_text(&head, "\nNamespace: ");
    struct line time = {0};
    line_text(&time, "\nTimestamp: ");
    line_timestamp(&time, event->timestamp_ms);
    line_text(&time, "\n");
    int err = line_append(&head, out);
    err = err != 0 ? err : buffer_append(out, bytes_from(event->name));
    err = err != 0 ? err : line_append(&time, out);
    if (err != 0 || data.length == 0) {
        return err;
    }
    err = output->is_terminal ? append_shown(out, data) : buffer_append(out, data);
    return err != 0 ? err : buffer_append(out, bytes_of("\n", 1));
}

static int print_raw(struct output *output, const struct weir_event *event)
{
    int err = buffer_append(&output->buffer, bytes_from(event->data));
    return err != 0 ? err : buffer_append(&output->buffer, bytes_of("\n", 1));
}

static int append_value(struct buffer *out, const struct weir_event *event,
                        const struct weir_attribute *attribute)
{
    struct bytes value = bytes_from(attribute->value);
    char was[WEIR_ID_TEXT_SIZE];
    if (parked_was(event, attribute, was)) {
        return json_append_string(out, bytes_of_text(was));
    }
    if (weir_is_text(attribute->value)) {
        return json_append_string(out, value);
    }
    int err = json_append(out, "{\"base64\":");
    err = err != 0 ? err : json_append_base64(out, value);
    return err != 0 ? err : json_append(out, "}");
}

static size_t count_of_key(const struct weir_attribute *attributes, size_t count, struct bytes key)
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        found += bytes_equal(bytes_from(attributes[i].key), key);
    }
    return found;
}

// One key with all its values, at the place of the first: a JSON object has each key once.
static int append_key(struct buffer *out, const struct weir_event *event,
                      const struct weir_attribute *attributes, size_t count, size_t i)
{
    struct bytes key = bytes_from(attributes[i].key);
    size_t left = count_of_key(attributes, count, key);
    bool is_list = left > 1;
    int err = json_append_string(out, key);
    err = err != 0 ? err : json_append(out, is_list ? ":[" : ":");
    for (; err == 0 && left > 0; i++) {
        if (bytes_equal(bytes_from(attributes[i].key), key)) {
            err = append_value(out, event, &attributes[i]);
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
    struct weir_attribute attributes[ATTRIBUTES_MAX + 1];
    size_t position = 0;
    size_t count = 0;
    int outcome;
    while (count <= ATTRIBUTES_MAX &&
           (outcome = weir_event_attribute(event, &position, &attributes[count])) != WEIR_NOTHING) {
        if (outcome != 0 || !weir_is_text(attributes[count].key)) {
            return ERR_CORRUPT;
        }
        count += !bytes_equal(bytes_from(attributes[count].key), bytes_of_text(ATTRIBUTE_PARENT));
    }
    if (count > ATTRIBUTES_MAX) {
        return ERR_CORRUPT;
    }
    if (count == 0) {
        return json_append(out, "null");
    }
    int err = json_append(out, "{");
    for (size_t i = 0; err == 0 && i < count; i++) {
        if (count_of_key(attributes, i, bytes_from(attributes[i].key)) > 0) {
            continue; // shown already
        }
        err = i > 0 ? json_append(out, ",") : 0;
        err = err != 0 ? err : append_key(out, event, attributes, count, i);
    }
    return err != 0 ? err : json_append(out, "}");
}

// Most text is ASCII, and that is seen eight bytes at a time.
static bool is_text(struct bytes bytes)
{
    uint64_t seen = 0;
    size_t i = 0;
    for (; i + 8 <= bytes.length; i += 8) {
        uint64_t eight;
        memcpy(&eight, bytes.data + i, 8);
        seen |= eight;
    }
    for (; i < bytes.length; i++) {
        seen |= bytes.data[i];
    }
    return (seen & 0x8080808080808080u) == 0 || weir_is_text(bytes_to(bytes));
}

static int print_json(struct output *output, const struct weir_event *event)
{
    struct buffer *out = &output->buffer;
    struct bytes name = bytes_from(event->name);
    struct bytes data = bytes_from(event->data);
    struct line head = {0};
    if (!is_text(name)) {
        return ERR_CORRUPT;
    }
    line_text(&head, "{\"id\":\"");
    line_id(&head, event->id);
    line_text(&head, "\",\"namespace\":");
    int err = line_append(&head, out);
    err = err != 0 ? err : json_append_string(out, name);

    struct line middle = {0};
    line_text(&middle, ",\"timestamp\":\"");
    line_timestamp(&middle, event->timestamp_ms);
    if (event->attempt > 0) {
        line_text(&middle, "\",\"attempt\":");
        line_number(&middle, event->attempt);
    } else {
        line_text(&middle, "\"");
    }
    if (id_is_none(event->parent)) {
        line_text(&middle, ",\"parent\":null,\"attributes\":");
    } else {
        line_text(&middle, ",\"parent\":\"");
        line_id(&middle, event->parent);
        line_text(&middle, "\",\"attributes\":");
    }
    err = err != 0 ? err : line_append(&middle, out);
    if (err == 0) {
        err = event->attributes.length == 0 ? json_append(out, "null")
                                            : append_attributes(out, event);
    }
    if (err != 0) {
        return err;
    }
    if (is_text(data)) {
        err = json_append(out, ",\"data\":");
        err = err != 0 ? err : json_append_string(out, data);
    } else {
        err = json_append(out, ",\"data_base64\":");
        err = err != 0 ? err : json_append_base64(out, data);
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
