// The only file that sees jansson. It reads a whole object at once; what is needed is copied out of
// it into one buffer that has room for all of it from the start, so that views stay where they are.
// Keys that mean nothing are refused: a misspelt "data" would be an event without data.

#include "client-cli/event_json.h"

#include <jansson.h>

#include "client-cli/json.h"
#include "client-cli/views.h"

void event_json_deinit(struct event_json *event)
{
    buffer_deinit(&event->text);
}

static struct weir_bytes kept_since(const struct event_json *event, size_t before)
{
    return (struct weir_bytes){.data = event->text.data + before,
                               .length = event->text.length - before};
}

static int keep(struct event_json *event, json_t *string, struct weir_bytes *out)
{
    size_t before = event->text.length;
    int err = buffer_append(&event->text,
                            bytes_of(json_string_value(string), json_string_length(string)));
    *out = kept_since(event, before);
    return err;
}

static int keep_base64(struct event_json *event, json_t *string, struct weir_bytes *out)
{
    size_t before = event->text.length;
    int err = base64_decode(bytes_of(json_string_value(string), json_string_length(string)),
                            &event->text);
    *out = kept_since(event, before);
    return err;
}

static int read_name(struct event_json *event, json_t *name, struct reason *reason)
{
    struct weir_bytes kept;
    if (!json_is_string(name)) {
        return reason_set(reason, ERR_INVALID, "namespace is not a string");
    }
    if (strlen(json_string_value(name)) != json_string_length(name)) {
        return reason_set(reason, ERR_INVALID, "namespace contains a NUL");
    }
    int err = keep(event, name, &kept);
    event->name = kept.data;
    return err != 0 ? err : buffer_append(&event->text, bytes_of("", 1));
}

static int read_data(struct event_json *event, const json_t *object, struct reason *reason)
{
    json_t *data = json_object_get(object, "data");
    json_t *base64 = json_object_get(object, "data_base64");
    event->data = (struct weir_bytes){0};
    if (data && base64) {
        return reason_set(reason, ERR_INVALID, "both data and data_base64");
    }
    if (data && !json_is_null(data)) {
        if (!json_is_string(data)) {
            return reason_set(reason, ERR_INVALID, "data is not a string");
        }
        return keep(event, data, &event->data);
    }
    if (base64 && !json_is_null(base64)) {
        if (!json_is_string(base64) || keep_base64(event, base64, &event->data) != 0) {
            return reason_set(reason, ERR_INVALID, "data_base64 is not a string of base64");
        }
    }
    return 0;
}

static int read_parent(struct event_json *event, json_t *parent, struct reason *reason)
{
    struct weir_reason why = {.text = "it contains a NUL"};
    const char *text = json_string_value(parent);
    if (!text) {
        return reason_set(reason, ERR_INVALID, "parent is not a string");
    }
    if (strlen(text) != json_string_length(parent) ||
        weir_id_parse(text, &event->parent, &why) != 0) {
        return reason_set(reason, ERR_INVALID, "parent is not an id: %s", why.text);
    }
    return 0;
}

// A string, or {"base64": string}.
static int read_value(struct event_json *event, json_t *value, struct weir_attribute *attribute,
                      struct reason *reason)
{
    json_t *base64 = json_object_size(value) == 1 ? json_object_get(value, "base64") : NULL;
    if (json_is_string(value)) {
        attribute->is_text = true;
        return keep(event, value, &attribute->value);
    }
    if (json_is_string(base64) && keep_base64(event, base64, &attribute->value) == 0) {
        attribute->is_text = false;
        return 0;
    }
    return reason_set(reason, ERR_INVALID,
                      "an attribute is neither a string nor {\"base64\": ...} nor a list of these");
}

static int read_key(struct event_json *event, const char *key, json_t *values,
                    struct reason *reason)
{
    size_t count = json_is_array(values) ? json_array_size(values) : 1;
    size_t before = event->text.length;
    int err = buffer_append(&event->text, bytes_of_text(key));
    struct weir_bytes name = kept_since(event, before);
    if (strcmp(key, ATTRIBUTE_PARENT) == 0) {
        return reason_set(reason, ERR_INVALID, "the attribute p is the parent: use parent");
    }
    for (size_t i = 0; err == 0 && i < count; i++) {
        if (event->attributes_count == ATTRIBUTES_MAX) {
            return reason_set(reason, ERR_INVALID, "more than %d attributes", ATTRIBUTES_MAX);
        }
        struct weir_attribute *attribute = &event->own[event->attributes_count++];
        attribute->key = name;
        err = read_value(event, json_is_array(values) ? json_array_get(values, i) : values,
                         attribute, reason);
    }
    return err;
}

static int read_attributes(struct event_json *event, json_t *object, struct reason *reason)
{
    if (!json_is_object(object)) {
        return reason_set(reason, ERR_INVALID, "attributes is not an object");
    }
    const char *key;
    json_t *values;
    event->attributes = event->own;
    event->attributes_count = 0;
    json_object_foreach(object, key, values)
    {
        int err = read_key(event, key, values, reason);
        if (err != 0) {
            return err;
        }
    }
    return 0;
}

static int check_keys(json_t *object, struct reason *reason)
{
    static const char *const known[] = {"id",   "namespace",   "timestamp", "parent",
                                        "data", "data_base64", "attributes"};
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value)
    {
        bool is_known = false;
        for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
            is_known = is_known || strcmp(key, known[i]) == 0;
        }
        if (!is_known) {
            return reason_set(reason, ERR_INVALID, "unknown key '%.100s'", key);
        }
    }
    return 0;
}

static int read_object(struct event_json *event, json_t *object, struct reason *reason)
{
    json_t *name = json_object_get(object, "namespace");
    json_t *parent = json_object_get(object, "parent");
    json_t *attributes = json_object_get(object, "attributes");
    int err = check_keys(object, reason);
    if (err == 0 && name) {
        err = read_name(event, name, reason);
    }
    err = err != 0 ? err : read_data(event, object, reason);
    if (err == 0 && parent && !json_is_null(parent)) {
        err = read_parent(event, parent, reason);
    }
    if (err == 0 && attributes && !json_is_null(attributes)) {
        err = read_attributes(event, attributes, reason);
    }
    return err;
}

int event_json_read(struct event_json *event, struct bytes line, struct weir_id parent_default,
                    const struct weir_attribute *attributes_default, size_t attributes_count,
                    struct reason *reason)
{
    json_error_t error;
    json_t *object = json_loadb((const char *)line.data, line.length,
                                JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &error);
    if (!object) {
        return reason_set(reason, ERR_INVALID, "not JSON: %s", error.text);
    }
    buffer_clear(&event->text);
    event->name = NULL;
    event->parent = parent_default;
    event->attributes = attributes_default;
    event->attributes_count = attributes_count;
    int err = buffer_reserve(&event->text, line.length + 1);
    if (err == 0) {
        err = json_is_object(object) ? read_object(event, object, reason)
                                     : reason_set(reason, ERR_INVALID, "not a JSON object");
    }
    json_decref(object);
    if (err == ERR_MEMORY) {
        return reason_set(reason, err, "%s", err_text(err));
    }
    return err;
}
