// Small values of the public API: outcomes, ids, attributes, addresses.

#include <stdio.h>
#include <string.h>

#include "client/weir.h"
#include "proto/model/event.h"
#include "proto/model/glob.h"
#include "proto/model/namespace.h"
#include "proto/model/version_vector.h"

static_assert(WEIR_ERR_MEMORY == (int)ERR_MEMORY && WEIR_ERR_IO == (int)ERR_IO &&
                  WEIR_ERR_CORRUPT == (int)ERR_CORRUPT && WEIR_ERR_INVALID == (int)ERR_INVALID &&
                  WEIR_ERR_LIMIT == (int)ERR_LIMIT && WEIR_ERR_FULL == (int)ERR_FULL &&
                  WEIR_ERR_VERSION == (int)ERR_VERSION && WEIR_ERR_FOREIGN == (int)ERR_FOREIGN,
              "outcomes pass through");
static_assert(WEIR_ERR_NOT_FOUND == (int)ERR_NOT_FOUND && WEIR_ERR_TIMEOUT == (int)ERR_TIMEOUT &&
                  WEIR_ERR_CLOSED == (int)ERR_CLOSED && WEIR_ERR_UNKNOWN == (int)ERR_UNKNOWN &&
                  WEIR_ERR_BUSY == (int)ERR_BUSY && WEIR_ERR_DENIED == (int)ERR_DENIED &&
                  WEIR_ERR_CONNECT == (int)ERR_CONNECT &&
                  WEIR_ERR_UNSUPPORTED == (int)ERR_UNSUPPORTED,
              "outcomes pass through");
static_assert(sizeof(struct weir_reason) == sizeof(struct reason), "a reason fits");
static_assert(WEIR_ID_TEXT_SIZE == EVENT_ID_TEXT_LENGTH + 1, "an id fits");

const char *weir_err_name(int err)
{
    return err_name(err);
}

const char *weir_err_text(int err)
{
    return err_text(err);
}

const char *weir_version(void)
{
    return WEIR_VERSION;
}

struct weir_bytes weir_text(const char *text)
{
    return (struct weir_bytes){.data = text, .length = strlen(text)};
}

bool weir_is_text(struct weir_bytes bytes)
{
    return utf8_is_valid(bytes_of(bytes.data, bytes.length));
}

static struct event_id id_of(struct weir_id id)
{
    return (struct event_id){.counter = id.counter, .actor = id.actor};
}

int weir_id_compare(struct weir_id a, struct weir_id b)
{
    return event_id_compare(id_of(a), id_of(b));
}

void weir_id_format(struct weir_id id, char out[WEIR_ID_TEXT_SIZE])
{
    event_id_format(id_of(id), out);
}

static int give_reason(struct weir_reason *out, int err, const struct reason *reason)
{
    if (out && err < 0) {
        const struct reason *from = reason->text[0] ? reason : NULL;
        snprintf(out->text, sizeof out->text, "%s", from ? from->text : err_text(err));
    }
    return err;
}

int weir_id_parse(const char *text, struct weir_id *id_out, struct weir_reason *reason)
{
    struct reason why = {0};
    struct event_id id;
    int err = event_id_parse(bytes_of_text(text), &id, &why);
    if (err == 0) {
        *id_out = (struct weir_id){.counter = id.counter, .actor = id.actor};
    }
    return give_reason(reason, err, &why);
}

int weir_name_check(const char *name, struct weir_reason *reason)
{
    struct reason why = {0};
    return give_reason(reason, namespace_validate(bytes_of_text(name), &why), &why);
}

int weir_pattern_check(const char *pattern, struct weir_reason *reason)
{
    struct reason why = {0};
    struct glob *glob;
    int err = glob_compile(bytes_of_text(pattern), &glob, &why);
    if (err == 0) {
        glob_free(glob);
    }
    return give_reason(reason, err, &why);
}

int weir_cursor_check(const char *cursor, struct weir_reason *reason)
{
    struct reason why = {0};
    struct version_vector vector = {0};
    int err = version_vector_parse(bytes_of_text(cursor), &vector, &why);
    version_vector_deinit(&vector);
    return give_reason(reason, err, &why);
}

int weir_event_attribute(const struct weir_event *event, size_t *position,
                         struct weir_attribute *attribute_out)
{
    struct bytes encoded = bytes_of(event->attributes.data, event->attributes.length);
    struct bytes rest = encoded;
    size_t count;
    if (encoded.length == 0) {
        return WEIR_NOTHING;
    }
    if (attributes_begin(&rest, &count) != 0) {
        return WEIR_ERR_CORRUPT;
    }
    if (*position > 0) {
        if (*position > encoded.length) {
            return WEIR_ERR_INVALID;
        }
        rest = bytes_of(encoded.data + *position, encoded.length - *position);
    }
    if (rest.length == 0) {
        return WEIR_NOTHING;
    }
    struct attribute attribute;
    if (attributes_next(&rest, &attribute) != 0) {
        return WEIR_ERR_CORRUPT;
    }
    *position = encoded.length - rest.length;
    *attribute_out = (struct weir_attribute){
        .key = {.data = attribute.key.data, .length = attribute.key.length},
        .value = {.data = attribute.value.data, .length = attribute.value.length},
        .is_text = attribute.value_is_text,
    };
    return 0;
}

int weir_event_find(const struct weir_event *event, const char *key,
                    struct weir_attribute *attribute_out)
{
    size_t position = 0;
    for (;;) {
        struct weir_attribute attribute;
        int outcome = weir_event_attribute(event, &position, &attribute);
        if (outcome != 0) {
            return outcome;
        }
        if (attribute.key.length == strlen(key) &&
            memcmp(attribute.key.data, key, attribute.key.length) == 0) {
            *attribute_out = attribute;
            return 0;
        }
    }
}

static bool is_port(const char *text)
{
    size_t length = strlen(text);
    unsigned number = 0;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9' || i >= 5) {
            return false;
        }
        number = number * 10 + (unsigned)(text[i] - '0');
    }
    return number >= 1 && number <= 65535;
}

int weir_address_split(const char *address, struct weir_address_parts *parts_out,
                       struct weir_reason *reason)
{
    struct reason why = {0};
    const char *host = address;
    const char *port = "3000";
    size_t host_length = strlen(address);
    bool is_path = address[0] == '/' || address[0] == '.';
    if (is_path) {
        port = "";
    } else if (address[0] == '[') {
        const char *end = strchr(address, ']');
        host++;
        host_length = end ? (size_t)(end - host) : 0;
        if (end && end[1] == ':') {
            port = end + 2;
        } else if (end && end[1]) {
            host_length = 0;
        }
    } else if (strchr(address, ':') && strchr(address, ':') == strrchr(address, ':')) {
        port = strchr(address, ':') + 1;
        host_length = (size_t)(port - 1 - address);
    }
    if (host_length == 0 || host_length >= sizeof parts_out->host || (!is_path && !is_port(port))) {
        int err = reason_set(&why, ERR_INVALID,
                             "%s is no address: host:port, host, [IPv6]:port or /socket", address);
        return give_reason(reason, err, &why);
    }
    *parts_out = (struct weir_address_parts){0};
    memcpy(parts_out->host, host, host_length);
    memcpy(parts_out->port, port, strlen(port));
    return 0;
}
