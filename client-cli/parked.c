#include "client-cli/parked.h"

#include <string.h>

#include "client-cli/views.h"

#define PARKED_PREFIX "/$weir/parked/"
#define ATTRIBUTE_WAS "was"

enum { COUNTER_BYTES = 8, KEY_BYTES = 10 };

static uint64_t big_endian(const uint8_t *bytes, size_t length)
{
    uint64_t number = 0;
    for (size_t i = 0; i < length; i++) {
        number = number << 8 | bytes[i];
    }
    return number;
}

bool parked_was(const struct weir_event *event, const struct weir_attribute *attribute,
                char out[WEIR_ID_TEXT_SIZE])
{
    size_t prefix = strlen(PARKED_PREFIX);
    if (event->name.length < prefix || memcmp(event->name.data, PARKED_PREFIX, prefix) != 0 ||
        attribute->value.length != KEY_BYTES ||
        !bytes_equal(bytes_from(attribute->key), bytes_of_text(ATTRIBUTE_WAS))) {
        return false;
    }
    const uint8_t *key = attribute->value.data;
    struct weir_id id = {
        .counter = big_endian(key, COUNTER_BYTES),
        .actor = (uint16_t)big_endian(key + COUNTER_BYTES, KEY_BYTES - COUNTER_BYTES),
    };
    weir_id_format(id, out);
    return true;
}
