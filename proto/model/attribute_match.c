// An event has few attributes and a subscription few matches: each match walks the attributes.

#include "proto/model/attribute_match.h"

#include "proto/base/limits.h"
#include "proto/model/event.h"

int attribute_matches_check(const struct attribute_match *matches, uint32_t count,
                            struct reason *reason)
{
    if (count > ATTRIBUTE_MATCHES_MAX) {
        return reason_set(reason, ERR_INVALID, "a subscription wants at most %d attributes, not %u",
                          ATTRIBUTE_MATCHES_MAX, (unsigned)count);
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct attribute_match *match = &matches[i];
        if (match->name.length == 0 || match->name.length > ATTRIBUTE_NAME_BYTES_MAX ||
            match->value.length > ATTRIBUTES_BYTES_MAX) {
            return reason_set(reason, ERR_INVALID,
                              "an attribute's name has 1 to %d bytes, its value at most %d",
                              ATTRIBUTE_NAME_BYTES_MAX, (int)ATTRIBUTES_BYTES_MAX);
        }
        if (!utf8_is_valid(match->name)) {
            return reason_set(reason, ERR_INVALID, "an attribute's name is not UTF-8");
        }
    }
    return 0;
}

static bool match_one(const struct attribute_match *match, struct bytes pairs, size_t count)
{
    for (; count > 0; count--) {
        struct attribute attribute;
        if (attributes_next(&pairs, &attribute)) {
            return false;
        }
        if (bytes_equal(attribute.key, match->name) && bytes_equal(attribute.value, match->value)) {
            return true;
        }
    }
    return false;
}

bool attribute_matches_all(const struct attribute_match *matches, uint32_t count,
                           struct bytes attributes)
{
    size_t pairs = 0;
    if (count > 0 && (attributes.length == 0 || attributes_begin(&attributes, &pairs))) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!match_one(&matches[i], attributes, pairs)) {
            return false;
        }
    }
    return true;
}
