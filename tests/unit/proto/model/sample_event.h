// Events for tests: built from text, and bodies of random ones.
#pragma once

#include "proto/base/random.h"
#include "proto/model/event.h"
#include "tests/unit/sample_bytes.h"

static inline void append_event(struct buffer *out, const char *name, const char *data)
{
    struct bytes none = {0};
    ck_assert_int_eq(event_append(out, bytes_of_text(name), bytes_of_text(data), none), 0);
}

static inline const char *sample_name(struct random *random)
{
    static const char *const names[] = {
        "/a",
        "/a/b",
        "/b/.c",
        "x",
        "/$weir/node",
        "/$weir",
        "/orders/a-longer-name-than-thirty-two-bytes",
        "/names/that/do/not/fit/into/one/cache/line/of/sixty-four/bytes/at/all"};
    return names[random_below(random, sizeof names / sizeof names[0])];
}

// Appends events of all sizes of heads, some with attributes; of the system's namespaces too, or
// not.
static inline void append_random_events_of(struct buffer *out, struct random *random,
                                           unsigned count, bool with_system)
{
    static const size_t lengths[] = {0, 1, 40, 200, 255, 256, 300, 2000};
    uint8_t data[2000];
    for (unsigned i = 0; i < count; i++) {
        size_t length = lengths[random_below(random, sizeof lengths / sizeof lengths[0])];
        random_bytes(random, data, length);
        struct buffer attributes = {0};
        if (random_below(random, 3) == 0) {
            struct attribute one = {.key = bytes_of_text("type"), .value = bytes_of(data, length)};
            struct event_id parent = {.counter = random_below(random, 2), .actor = 1};
            parent.actor = parent.counter ? 1 : 0;
            ck_assert_int_eq(attributes_append(&attributes, &one, 1, parent), 0);
        }
        struct bytes name;
        do {
            name = bytes_of_text(sample_name(random));
        } while (!with_system && namespace_is_system(name));
        int err = event_append(out, name, bytes_of(data, length), buffer_bytes(&attributes));
        ck_assert_int_eq(err, 0);
        buffer_deinit(&attributes);
    }
}

static inline void append_random_events(struct buffer *out, struct random *random, unsigned count)
{
    append_random_events_of(out, random, count, true);
}
