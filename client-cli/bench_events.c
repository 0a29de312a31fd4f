// Payloads are cut from one text, at pseudo-random places, so that making one costs no more than
// copying it. The text is records as applications log them, which LZ4 shrinks to about half; or,
// with --random, random letters, which it cannot shrink.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client-cli/bench.h"
#include "proto/base/random.h"

enum { TEXT_BYTES = 1024 * 1024, NAME_BYTES = 32, SEED = 1 };

struct bench_events {
    struct random random;
    uint64_t payload_bytes;
    size_t text_length;
    char *text;
    uint64_t names_count;
    uint64_t name_next;
    char (*names)[NAME_BYTES];
};

static size_t write_record(struct random *random, char *out, size_t length)
{
    static const char *const items[] = {"eggs", "bacon", "salad", "bread", "cheese", "coffee"};
    static const char *const cities[] = {"Lisbon", "Oslo", "Prague", "Dublin", "Turin"};
    int count =
        snprintf(out, length,
                 "{\"order\":%u,\"customer\":\"c-%05u\",\"item\":\"%s\",\"quantity\":%u,"
                 "\"price\":%u.%02u,\"city\":\"%s\"}\n",
                 (unsigned)random_below(random, 10000000), (unsigned)random_below(random, 100000),
                 items[random_below(random, 6)], (unsigned)random_below(random, 20) + 1,
                 (unsigned)random_below(random, 100), (unsigned)random_below(random, 100),
                 cities[random_below(random, 5)]);
    return (size_t)count < length ? (size_t)count : length;
}

static void write_text(struct bench_events *events, bool is_random)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    size_t i = 0;
    while (i < events->text_length && is_random) {
        events->text[i++] = letters[random_below(&events->random, 64)];
    }
    while (i < events->text_length) {
        i += write_record(&events->random, events->text + i, events->text_length - i);
    }
}

struct bench_events *bench_events_new(const struct bench_options *options)
{
    struct bench_events *events = calloc(1, sizeof *events);
    if (!events) {
        return NULL;
    }
    random_init(&events->random, SEED);
    events->payload_bytes = options->payload_bytes;
    events->text_length = TEXT_BYTES + options->payload_bytes;
    events->text = malloc(events->text_length);
    events->names_count = options->namespaces;
    events->names = calloc(events->names_count, sizeof *events->names);
    if (!events->text || !events->names) {
        bench_events_free(events);
        return NULL;
    }
    write_text(events, options->is_random);
    for (uint64_t i = 0; i < events->names_count; i++) {
        snprintf(events->names[i], NAME_BYTES, "/bench/%u", (unsigned)i);
    }
    return events;
}

void bench_events_free(struct bench_events *events)
{
    if (events) {
        free(events->text);
        free(events->names);
        free(events);
    }
}

struct bytes bench_events_name(struct bench_events *events)
{
    const char *name = events->names[events->name_next];
    events->name_next = events->name_next + 1 < events->names_count ? events->name_next + 1 : 0;
    return bytes_of_text(name);
}

struct bytes bench_events_payload(struct bench_events *events)
{
    size_t offset = random_u64(&events->random) % TEXT_BYTES;
    return bytes_of(events->text + offset, events->payload_bytes);
}
