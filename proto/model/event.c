// msgpack by hand: an event needs five of its forms, and a general decoder would build a tree where
// three views are enough. The usual form is inlined from the header; what is here takes every form
// that msgpack allows for the same thing, element by element. Claimed counts and lengths are only
// ever compared with the bytes that are left; nothing is allocated. Writers use the shortest form.

#include "proto/model/event.h"

enum {
    MSGPACK_FIXARRAY = 0x90,
    MSGPACK_FIXSTR = 0xa0,
    MSGPACK_BIN8 = 0xc4,
    MSGPACK_BIN16 = 0xc5,
    MSGPACK_BIN32 = 0xc6,
    MSGPACK_STR8 = 0xd9,
    MSGPACK_STR16 = 0xda,
    MSGPACK_STR32 = 0xdb,
    MSGPACK_ARRAY16 = 0xdc,
    MSGPACK_ARRAY32 = 0xdd,
    MSGPACK_HEAD_MAX = 5,
    ATTRIBUTE_KEY_BYTES_MAX = 255,
};

// The takers read one element at `at` and return the place behind it, or NULL when it is no such
// element or reaches beyond `end`. They are inlined so that places stay in registers.

static inline const uint8_t *take_span(const uint8_t *at, const uint8_t *end, size_t length,
                                       struct bytes *out)
{
    if (length > (size_t)(end - at)) {
        return NULL;
    }
    *out = bytes_of(at, length);
    return at + length;
}

// A span behind its length, a big-endian number of 1, 2 or 4 bytes: 1 << shift.
static inline const uint8_t *take_sized(const uint8_t *at, const uint8_t *end, unsigned shift,
                                        struct bytes *out)
{
    if ((size_t)(end - at) < (size_t)1 << shift) {
        return NULL;
    }
    size_t length = shift == 0 ? at[0] : shift == 1 ? load_be16(at) : load_be32(at);
    return take_span(at + ((size_t)1 << shift), end, length, out);
}

static inline const uint8_t *take_array(const uint8_t *at, const uint8_t *end, size_t *count_out)
{
    if (at == end) {
        return NULL;
    }
    uint8_t lead = *at++;
    if ((lead & 0xf0) == MSGPACK_FIXARRAY) {
        *count_out = lead & 0x0f;
        return at;
    }
    if (lead == MSGPACK_ARRAY16 && end - at >= 2) {
        *count_out = load_be16(at);
        return at + 2;
    }
    if (lead == MSGPACK_ARRAY32 && end - at >= 4) {
        *count_out = load_be32(at);
        return at + 4;
    }
    return NULL;
}

static inline const uint8_t *take_text(const uint8_t *at, const uint8_t *end, struct bytes *out)
{
    if (at == end) {
        return NULL;
    }
    uint8_t lead = *at++;
    if ((lead & 0xe0) == MSGPACK_FIXSTR) {
        return take_span(at, end, lead & 0x1f, out);
    }
    bool is_text = lead >= MSGPACK_STR8 && lead <= MSGPACK_STR32;
    return is_text ? take_sized(at, end, (unsigned)lead - MSGPACK_STR8, out) : NULL;
}

static inline const uint8_t *take_data(const uint8_t *at, const uint8_t *end, struct bytes *out)
{
    if (at == end) {
        return NULL;
    }
    uint8_t lead = *at++;
    bool is_data = lead >= MSGPACK_BIN8 && lead <= MSGPACK_BIN32;
    return is_data ? take_sized(at, end, (unsigned)lead - MSGPACK_BIN8, out) : NULL;
}

static inline const uint8_t *take_attribute(const uint8_t *at, const uint8_t *end,
                                            struct attribute *out)
{
    at = take_text(at, end, &out->key);
    if (!at) {
        return NULL;
    }
    const uint8_t *behind = take_data(at, end, &out->value);
    out->value_is_text = !behind;
    return behind ? behind : take_text(at, end, &out->value);
}

// The head of an array of pairs.
static inline const uint8_t *take_pairs(const uint8_t *at, const uint8_t *end, size_t *pairs_out)
{
    size_t elements;
    at = take_array(at, end, &elements);
    if (!at || elements % 2 != 0 || elements > (size_t)(end - at)) {
        return NULL;
    }
    *pairs_out = elements / 2;
    return at;
}

static void set_rest(struct bytes *rest, const uint8_t *at)
{
    *rest = bytes_of(at, rest->length - (size_t)(at - rest->data));
}

int attributes_begin(struct bytes *rest, size_t *count_out)
{
    if (rest->length == 0) {
        *count_out = 0;
        return 0;
    }
    const uint8_t *at = take_pairs(rest->data, rest->data + rest->length, count_out);
    if (!at) {
        return ERR_INVALID;
    }
    set_rest(rest, at);
    return 0;
}

int attributes_next(struct bytes *rest, struct attribute *attribute_out)
{
    if (rest->length == 0) {
        return ERR_INVALID;
    }
    const uint8_t *at = take_attribute(rest->data, rest->data + rest->length, attribute_out);
    if (!at) {
        return ERR_INVALID;
    }
    set_rest(rest, at);
    return 0;
}

// The whole attributes array; an empty one counts as none.
static inline const uint8_t *take_attributes(const uint8_t *at, const uint8_t *end,
                                             struct bytes *out)
{
    const uint8_t *start = at;
    size_t pairs;
    at = take_pairs(at, end, &pairs);
    if (!at) {
        return NULL;
    }
    for (size_t i = 0; i < pairs; i++) {
        struct attribute attribute;
        at = take_attribute(at, end, &attribute);
        if (!at) {
            return NULL;
        }
    }
    *out = bytes_of(start, pairs == 0 ? 0 : (size_t)(at - start));
    return at;
}

int event_next_any(struct bytes *rest, struct event *event_out)
{
    if (rest->length == 0) {
        return ERR_INVALID;
    }
    const uint8_t *start = rest->data;
    const uint8_t *end = start + rest->length;
    size_t elements;
    const uint8_t *at = take_array(start, end, &elements);
    if (!at || elements < 2 || elements > 3) {
        return ERR_INVALID;
    }
    at = take_text(at, end, &event_out->name);
    at = at ? take_data(at, end, &event_out->data) : NULL;
    if (at && elements == 3) {
        at = take_attributes(at, end, &event_out->attributes);
    } else {
        event_out->attributes = bytes_of(at, 0);
    }
    if (!at) {
        return ERR_INVALID;
    }
    event_out->encoded = bytes_of(start, (size_t)(at - start));
    set_rest(rest, at);
    return 0;
}

static bool is_parent_key(struct bytes key)
{
    return key.length == 1 && key.data[0] == ATTRIBUTE_PARENT[0];
}

static bool parent_decode(const struct attribute *attribute, struct event_id *parent_out)
{
    if (attribute->value_is_text || attribute->value.length != EVENT_ID_KEY_LENGTH) {
        return false;
    }
    struct event_id id = event_id_decode_key(attribute->value.data);
    if (id.counter == 0 || id.counter > COUNTER_MAX || id.actor == 0) {
        return false;
    }
    *parent_out = id;
    return true;
}

static int attribute_validate(const struct attribute *attribute, bool allow_system,
                              struct reason *reason)
{
    struct bytes key = attribute->key;
    if (key.length == 0 || key.length > ATTRIBUTE_KEY_BYTES_MAX) {
        return reason_set(reason, ERR_INVALID, "an attribute key has %zu bytes, it must have 1..%d",
                          key.length, ATTRIBUTE_KEY_BYTES_MAX);
    }
    if (!utf8_is_valid(key)) {
        return reason_set(reason, ERR_INVALID, "an attribute key is not UTF-8");
    }
    if (key.data[0] == '$' && !allow_system) {
        return reason_set(reason, ERR_INVALID,
                          "the attribute key \"%.*s\" begins with '$': those are the system's",
                          (int)key.length, (const char *)key.data);
    }
    if (attribute->value_is_text && !utf8_is_valid(attribute->value)) {
        return reason_set(reason, ERR_INVALID,
                          "the text value of the attribute \"%.*s\" is not UTF-8: send it as bin",
                          (int)key.length, (const char *)key.data);
    }
    return 0;
}

static int attributes_validate(struct bytes attributes, bool allow_system, struct reason *reason)
{
    if (attributes.length > ATTRIBUTES_BYTES_MAX) {
        return reason_set(reason, ERR_LIMIT, "the attributes have %zu bytes, %zu are allowed",
                          attributes.length, (size_t)ATTRIBUTES_BYTES_MAX);
    }
    size_t count;
    if (attributes_begin(&attributes, &count)) {
        return reason_set(reason, ERR_INVALID, "the attributes are not an array of pairs");
    }
    if (count > ATTRIBUTES_MAX) {
        return reason_set(reason, ERR_LIMIT, "the event has %zu attributes, %d are allowed", count,
                          ATTRIBUTES_MAX);
    }
    struct event_id parent = {0};
    for (size_t i = 0; i < count; i++) {
        struct attribute attribute;
        if (attributes_next(&attributes, &attribute)) {
            return reason_set(reason, ERR_INVALID, "attribute %zu is not a str and a str or bin",
                              i + 1);
        }
        int err = attribute_validate(&attribute, allow_system, reason);
        if (err) {
            return err;
        }
        if (!is_parent_key(attribute.key)) {
            continue;
        }
        if (!event_id_is_none(parent) || !parent_decode(&attribute, &parent)) {
            return reason_set(reason, ERR_INVALID,
                              "the attribute \"p\" is one event id in 10 bytes (bin)");
        }
    }
    return 0;
}

int event_validate_any(const struct event *event, uint64_t data_bytes_max, bool allow_system,
                       struct reason *reason)
{
    int err = namespace_validate(event->name, reason);
    if (err) {
        return err;
    }
    if (!allow_system && namespace_is_system(event->name)) {
        return reason_set(reason, ERR_INVALID,
                          "namespaces that begin with \"/$\" are the system's");
    }
    if (event->data.length > data_bytes_max) {
        return reason_set(reason, ERR_LIMIT, "the data has %zu bytes, %llu are allowed",
                          event->data.length, (unsigned long long)data_bytes_max);
    }
    if (event->attributes.length == 0) {
        return 0;
    }
    return attributes_validate(event->attributes, allow_system, reason);
}

// Writers: each returns the place behind what it wrote; room was reserved before.

static uint8_t *put_bytes(uint8_t *at, struct bytes bytes)
{
    if (bytes.length > 0) {
        memcpy(at, bytes.data, bytes.length);
    }
    return at + bytes.length;
}

// `lead8` is the lead byte of the form with one length byte; two and four follow it.
static uint8_t *put_sized(uint8_t *at, uint8_t lead8, struct bytes bytes)
{
    assert(bytes.length <= UINT32_MAX);
    if (bytes.length <= UINT8_MAX) {
        at[0] = lead8;
        at[1] = (uint8_t)bytes.length;
        return put_bytes(at + 2, bytes);
    }
    if (bytes.length <= UINT16_MAX) {
        at[0] = lead8 + 1;
        store_be16(at + 1, (uint16_t)bytes.length);
        return put_bytes(at + 3, bytes);
    }
    at[0] = lead8 + 2;
    store_be32(at + 1, (uint32_t)bytes.length);
    return put_bytes(at + 5, bytes);
}

static uint8_t *put_text(uint8_t *at, struct bytes text)
{
    if (text.length < 32) {
        *at = (uint8_t)(MSGPACK_FIXSTR | text.length);
        return put_bytes(at + 1, text);
    }
    return put_sized(at, MSGPACK_STR8, text);
}

static uint8_t *put_array(uint8_t *at, size_t count)
{
    assert(count <= UINT16_MAX);
    if (count < 16) {
        *at = (uint8_t)(MSGPACK_FIXARRAY | count);
        return at + 1;
    }
    *at = MSGPACK_ARRAY16;
    store_be16(at + 1, (uint16_t)count);
    return at + 3;
}

int event_append(struct buffer *out, struct bytes name, struct bytes data, struct bytes attributes)
{
    size_t room = 3 * MSGPACK_HEAD_MAX + name.length + data.length + attributes.length;
    int err = buffer_reserve(out, room);
    if (err) {
        return err;
    }
    uint8_t *at = put_array(out->data + out->length, attributes.length > 0 ? 3 : 2);
    at = put_text(at, name);
    at = put_sized(at, MSGPACK_BIN8, data);
    at = put_bytes(at, attributes);
    out->length = (size_t)(at - out->data);
    return 0;
}

int event_append_plain(struct buffer *out, struct bytes name, struct bytes data)
{
    int err = buffer_reserve(out, 3 * MSGPACK_HEAD_MAX + name.length + data.length);
    if (err) {
        return err;
    }
    uint8_t *at = put_array(out->data + out->length, 2);
    if (name.length < 32 && data.length <= UINT8_MAX) {
        *at = (uint8_t)(MSGPACK_FIXSTR | name.length);
        memcpy(at + 1, name.data, name.length);
        at += 1 + name.length;
        at[0] = MSGPACK_BIN8;
        at[1] = (uint8_t)data.length;
        at = put_bytes(at + 2, data);
    } else {
        at = put_text(at, name);
        at = put_sized(at, MSGPACK_BIN8, data);
    }
    out->length = (size_t)(at - out->data);
    return 0;
}

int attributes_append(struct buffer *out, const struct attribute *attributes, size_t count,
                      struct event_id parent)
{
    bool has_parent = !event_id_is_none(parent);
    if (count == 0 && !has_parent) {
        return 0;
    }
    size_t room = MSGPACK_HEAD_MAX + 2 * MSGPACK_HEAD_MAX + EVENT_ID_KEY_LENGTH;
    for (size_t i = 0; i < count; i++) {
        room += 2 * MSGPACK_HEAD_MAX + attributes[i].key.length + attributes[i].value.length;
    }
    int err = buffer_reserve(out, room);
    if (err) {
        return err;
    }
    uint8_t *at = put_array(out->data + out->length, 2 * (count + has_parent));
    if (has_parent) {
        uint8_t key[EVENT_ID_KEY_LENGTH];
        event_id_encode_key(parent, key);
        at = put_text(at, bytes_of_text(ATTRIBUTE_PARENT));
        at = put_sized(at, MSGPACK_BIN8, bytes_of(key, sizeof key));
    }
    for (size_t i = 0; i < count; i++) {
        const struct attribute *attribute = &attributes[i];
        at = put_text(at, attribute->key);
        at = attribute->value_is_text ? put_text(at, attribute->value)
                                      : put_sized(at, MSGPACK_BIN8, attribute->value);
    }
    out->length = (size_t)(at - out->data);
    return 0;
}

struct event_id event_parent(const struct event *event)
{
    struct event_id parent = {0};
    struct bytes rest = event->attributes;
    size_t count;
    if (rest.length == 0 || attributes_begin(&rest, &count)) {
        return parent;
    }
    for (size_t i = 0; i < count; i++) {
        struct attribute attribute;
        if (attributes_next(&rest, &attribute)) {
            break;
        }
        if (is_parent_key(attribute.key) && parent_decode(&attribute, &parent)) {
            break;
        }
    }
    return parent;
}
