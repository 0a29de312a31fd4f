// The only file that sees jansson. It reads a whole object at once; what is needed is copied out of
// it into one buffer that has room for all of it from the start, so that views stay where they are.
// Keys that mean nothing are refused: a misspelt "data" would be an event without data.

#include "client-cli/event_json.h"

#include <jansson.h>

#include "client-cli/json.h"
#include "proto/base/limits.h"

void event_json_deinit(struct event_json *event)
{
    buffer_deinit(&event->text);
    buffer_deinit(&event->attributes);
}

static int keep(struct event_json *event, json_t *string, struct bytes *out)
{
    size_t before = event->text.length;
    int err = buffer_append(&event->text,
                            bytes_of(json_string_value(string), json_string_length(string)));
    *out = bytes_of(event->text.data + before, event->text.length - before);
    return err;
}

static int keep_base64(struct event_json *event, json_t *string, struct bytes *out)
{
    size_t before = event->text.length;
    int err = base64_decode(bytes_of(json_string_value(string), json_string_length(string)),
                            &event->text);
    *out = bytes_of(event->text.data + before, event->text.length - before);
    return err;
}

static int read_data(struct event_json *event, const json_t *object, struct reason *reason)
{
    json_t *data = json_object_get(object, "data");
    json_t *base64 = json_object_get(object, "data_base64");
    event->data = (struct bytes){0};
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
    struct reason why = {0};
    if (!json_is_string(parent)) {
        return reason_set(reason, ERR_INVALID, "parent is not a string");
    }
    struct bytes text = bytes_of(json_string_value(parent), json_string_length(parent));
    if (event_id_parse(text, &event->parent, &why) != 0) {
        return reason_set(reason, ERR_INVALID, "parent is not an id: %s", why.text);
    }
    return 0;
}

// A string, or {"base64": string}.
static int read_value(struct event_json *event, json_t *value, struct attribute *attribute,
                      struct reason *reason)
{
    json_t *base64 = json_object_size(value) == 1 ? json_object_get(value, "base64") : NULL;
    if (json_is_string(value)) {
        attribute->value_is_text = true;
        return keep(event, value, &attribute->value);
    }
    if (json_is_string(base64) && keep_base64(event, base64, &attribute->value) == 0) {
        attribute->value_is_text = false;
        return 0;
    }
    return reason_set(reason, ERR_INVALID,
                      "an attribute is neither a string nor {\"base64\": ...} nor a list of these");
}

struct attribute_list {
    struct attribute items[ATTRIBUTES_MAX];
    size_t count;
};

static int read_key(struct event_json *event, const char *key, json_t *values,
                    struct attribute_list *list, struct reason *reason)
{
    size_t count = json_is_array(values) ? json_array_size(values) : 1;
    size_t before = event->text.length;
    int err = buffer_append(&event->text, bytes_of_text(key));
    struct bytes name = bytes_of(event->text.data + before, event->text.length - before);
    if (bytes_equal(name, bytes_of_text(ATTRIBUTE_PARENT))) {
        return reason_set(reason, ERR_INVALID, "the attribute p is the parent: use parent");
    }
    for (size_t i = 0; err == 0 && i < count; i++) {
        if (list->count == ATTRIBUTES_MAX) {
            return reason_set(reason, ERR_INVALID, "more than %d attributes", ATTRIBUTES_MAX);
        }
        struct attribute *attribute = &list->items[list->count++];
        attribute->key = name;
        err = read_value(event, json_is_array(values) ? json_array_get(values, i) : values,
                         attribute, reason);
    }
    return err;
}

static int read_attributes(struct event_json *event, json_t *object, struct attribute_list *list,
                           struct reason *reason)
{
    if (!json_is_object(object)) {
        return reason_set(reason, ERR_INVALID, "attributes is not an object");
    }
    const char *key;
    json_t *values;
    json_object_foreach(object, key, values)
    {
        int err = read_key(event, key, values, list, reason);
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

static int read_object(struct event_json *event, json_t *object, struct event_id parent_default,
                       const struct attribute *attributes_default, size_t attributes_count,
                       struct reason *reason)
{
    struct attribute_list list = {0};
    json_t *name = json_object_get(object, "namespace");
    json_t *parent = json_object_get(object, "parent");
    json_t *attributes = json_object_get(object, "attributes");
    int err = check_keys(object, reason);
    event->has_name = name != NULL;
    event->parent = parent_default;
    if (err == 0 && name) {
        err = json_is_string(name) ? keep(event, name, &event->name)
                                   : reason_set(reason, ERR_INVALID, "namespace is not a string");
    }
    err = err != 0 ? err : read_data(event, object, reason);
    if (err == 0 && parent && !json_is_null(parent)) {
        err = read_parent(event, parent, reason);
    }
    if (attributes && !json_is_null(attributes)) {
        err = err != 0 ? err : read_attributes(event, attributes, &list, reason);
        attributes_default = list.items;
        attributes_count = list.count;
    }
    buffer_clear(&event->attributes);
    if (err == 0 && (attributes_count > 0 || !event_id_is_none(event->parent))) {
        err = attributes_append(&event->attributes, attributes_default, attributes_count,
                                event->parent);
    }
    return err;
}

int event_json_read(struct event_json *event, struct bytes line, struct event_id parent_default,
                    const struct attribute *attributes_default, size_t attributes_count,
                    struct reason *reason)
{
    json_error_t error;
    json_t *object = json_loadb((const char *)line.data, line.length,
                                JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &error);
    if (!object) {
        return reason_set(reason, ERR_INVALID, "not JSON: %s", error.text);
    }
    buffer_clear(&event->text);
    int err = buffer_reserve(&event->text, line.length + 1);
    if (err == 0) {
        err = json_is_object(object) ? read_object(event, object, parent_default,
                                                   attributes_default, attributes_count, reason)
                                     : reason_set(reason, ERR_INVALID, "not a JSON object");
    }
    json_decref(object);
    if (err == ERR_MEMORY) {
        return reason_set(reason, err, "%s", err_text(err));
    }
    return err;
}
