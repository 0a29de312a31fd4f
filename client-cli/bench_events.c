// Payloads are made once, a few thousand of them, and then copied at random: making an event must
// not cost more than sending it. Each is a record as applications write them, which LZ4 shrinks to
// about a third; or, with --random, random letters, which it cannot shrink.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client-cli/bench.h"
#include "proto/base/random.h"

enum { POOL_BYTES = 256 * 1024, PAYLOADS_MAX = 4096, NAME_BYTES = 32, SEED = 1 };

struct bench_events {
    struct random random;
    uint64_t payload_bytes;
    uint64_t payloads_count;
    char *payloads; // back to back
    uint64_t names_count;
    uint64_t name_next;
    char (*names)[NAME_BYTES];
};

// Fills out[0..length) with records, the last one cut.
static void write_records(struct random *random, char *out, size_t length)
{
    char record[160];
    while (length > 0) {
        int written = snprintf(record, sizeof record,
                               "{\"type\":\"order\",\"id\":%07u,\"meal\":\"breakfast\",\"eggs\":2,"
                               "\"bacon\":true,\"customer\":\"c-%05u\",\"note\":\"as usual\"}\n",
                               (unsigned)random_below(random, 10000000),
                               (unsigned)random_below(random, 100000));
        size_t more = (size_t)written < length ? (size_t)written : length;
        memcpy(out, record, more);
        out += more;
        length -= more;
    }
}

static void write_letters(struct random *random, char *out, size_t length)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for (size_t i = 0; i < length; i++) {
        out[i] = letters[random_below(random, 64)];
    }
}

static uint64_t payloads_count(uint64_t payload_bytes)
{
    uint64_t count = POOL_BYTES / (payload_bytes + 1);
    return count < 2 ? 2 : count > PAYLOADS_MAX ? PAYLOADS_MAX : count;
}

struct bench_events *bench_events_new(const struct bench_options *options)
{
    struct bench_events *events = calloc(1, sizeof *events);
    if (!events) {
        return NULL;
    }
    random_init(&events->random, SEED);
    events->payload_bytes = options->payload_bytes;
    events->payloads_count = payloads_count(options->payload_bytes);
    events->payloads = malloc(events->payloads_count * options->payload_bytes + 1);
    events->names_count = options->namespaces;
    events->names = calloc(events->names_count, sizeof *events->names);
    if (!events->payloads || !events->names) {
        bench_events_free(events);
        return NULL;
    }
    for (uint64_t i = 0; i < events->payloads_count; i++) {
        char *payload = events->payloads + i * options->payload_bytes;
        (options->is_random ? write_letters : write_records)(&events->random, payload,
                                                             options->payload_bytes);
    }
    for (uint64_t i = 0; i < events->names_count; i++) {
        snprintf(events->names[i], NAME_BYTES, "/bench/%u", (unsigned)i);
    }
    return events;
}

void bench_events_free(struct bench_events *events)
{
    if (events) {
        free(events->payloads);
        free(events->names);
        free(events);
    }
}

const char *bench_events_name(struct bench_events *events)
{
    const char *name = events->names[events->name_next];
    events->name_next = events->name_next + 1 < events->names_count ? events->name_next + 1 : 0;
    return name;
}

struct weir_bytes bench_events_payload(struct bench_events *events)
{
    uint64_t which = random_below(&events->random, events->payloads_count);
    return (struct weir_bytes){.data = events->payloads + which * events->payload_bytes,
                               .length = events->payload_bytes};
}
