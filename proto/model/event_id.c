// Both text forms are read by one pair of digit loops: the canonical one is told by its 25 digits,
// the short one by its separator. Overflow cannot pass: digits are counted before the value is.

#include "proto/model/event_id.h"

#include <assert.h>

#include "proto/base/limits.h"

enum { COUNTER_DIGITS = 20, ACTOR_DIGITS = 5 };

static void format_padded(uint64_t value, char *out, size_t digits)
{
    for (size_t i = digits; i > 0; i--) {
        out[i - 1] = (char)('0' + value % 10);
        value /= 10;
    }
}

static size_t format_number(uint64_t value, char *out)
{
    size_t digits = 1;
    for (uint64_t rest = value; rest >= 10; rest /= 10) {
        digits++;
    }
    format_padded(value, out, digits);
    return digits;
}

void event_id_format(struct event_id id, char out[EVENT_ID_TEXT_LENGTH + 1])
{
    format_padded(id.counter, out, COUNTER_DIGITS);
    format_padded(id.actor, out + COUNTER_DIGITS, ACTOR_DIGITS);
    out[EVENT_ID_TEXT_LENGTH] = '\0';
}

size_t event_id_format_short(struct event_id id, char out[EVENT_ID_SHORT_LENGTH_MAX + 1])
{
    size_t length = format_number(id.counter, out);
    out[length++] = '.';
    length += format_number(id.actor, out + length);
    out[length] = '\0';
    return length;
}

static bool parse_number(struct bytes digits, uint64_t max, uint64_t *value_out)
{
    if (digits.length == 0 || digits.length > COUNTER_DIGITS) {
        return false;
    }
    unsigned __int128 value = 0; // 20 digits can be more than 64 bits
    for (size_t i = 0; i < digits.length; i++) {
        if (digits.data[i] < '0' || digits.data[i] > '9') {
            return false;
        }
        value = value * 10 + (digits.data[i] - '0');
    }
    if (value == 0 || value > max) {
        return false;
    }
    *value_out = (uint64_t)value;
    return true;
}

static size_t find_separator(struct bytes text)
{
    size_t at = 0;
    while (at < text.length && text.data[at] != '.' && text.data[at] != '-') {
        at++;
    }
    return at;
}

int event_id_parse(struct bytes text, struct event_id *id_out, struct reason *reason)
{
    struct bytes counter_text = {0};
    struct bytes actor_text = {0};
    size_t separator = find_separator(text);
    if (separator < text.length) {
        counter_text = bytes_of(text.data, separator);
        actor_text = bytes_of(text.data + separator + 1, text.length - separator - 1);
    } else if (text.length == EVENT_ID_TEXT_LENGTH) {
        counter_text = bytes_of(text.data, COUNTER_DIGITS);
        actor_text = bytes_of(text.data + COUNTER_DIGITS, ACTOR_DIGITS);
    } else {
        return reason_set(reason, ERR_INVALID,
                          "an event id is counter.actor (1042.1) or its 25 digits");
    }
    uint64_t counter = 0;
    uint64_t actor = 0;
    if (!parse_number(counter_text, COUNTER_MAX, &counter)) {
        return reason_set(reason, ERR_INVALID,
                          "the counter of an event id is a number from 1 to 9223372036854775807");
    }
    if (actor_text.length > ACTOR_DIGITS || !parse_number(actor_text, ACTORS_MAX, &actor)) {
        return reason_set(reason, ERR_INVALID,
                          "the actor of an event id is a number from 1 to 65535");
    }
    *id_out = (struct event_id){.counter = counter, .actor = (uint16_t)actor};
    return 0;
}

void event_id_encode_key(struct event_id id, uint8_t out[EVENT_ID_KEY_LENGTH])
{
    store_be64(out, id.counter);
    store_be16(out + 8, id.actor);
}

struct event_id event_id_decode_key(const uint8_t key[EVENT_ID_KEY_LENGTH])
{
    return (struct event_id){.counter = load_be64(key), .actor = load_be16(key + 8)};
}
