// Open loop: event i is due at start + i / rate, and its latency counts from then, however late it
// was sent; so a stall of the server is felt by every event that should have been sent meanwhile,
// not by one. Each payload carries the run, its number and the time it was due. Every consumer has
// its own connection and must get every event once, in order.
//
// The lag of replication counts from the acknowledgement: how long a consumer at another node waits
// for what its producer knows to be stored. An event that the consumer has first has none.
//
// With durable subscriptions each consumer has one of its own, acknowledges what it gets, and they
// are deleted in the end.

#include <inttypes.h>
#include <stdlib.h>

#include "client-cli/bench.h"
#include "client-cli/bench_loop.h"
#include "proto/base/bytes.h"

// Run, number, due: 8 bytes each.
enum { STAMP_LENGTH = 24, DRAIN_MS = 10000, NAME_LENGTH = 48, DELETIONS_MAX = 512 };

struct latency_bench {
    const struct bench_options *options;
    struct progress *progress;
    struct bench_result *result;
    struct bench_loop loop; // connection 0 produces, the others consume
    struct bench_events *events;
    struct buffer payload;
    uint64_t run;
    uint64_t total;
    uint64_t sent;
    uint64_t acknowledged;
    uint32_t caught_up;        // consumers
    uint32_t deleted;          // durable subscriptions
    uint64_t *expected;        // per connection: the number of the next event
    uint64_t complete;         // consumers that have all
    uint64_t *acknowledged_ns; // replicate: per event, 0: not yet
    struct instant start;
};

static void on_event(struct latency_bench *bench, const struct bench_connection *connection,
                     const struct weir_event *event)
{
    uint64_t *expected = &bench->expected[connection->index];
    const uint8_t *stamp = event->data.data;
    if (event->data.length < STAMP_LENGTH || load_be64(stamp) != bench->run) {
        return; // of another program
    }
    uint64_t number = load_be64(stamp + 8);
    if (number < *expected) {
        bench->result->repeated++;
        return;
    }
    bench->result->missing += number - *expected;
    *expected = number + 1;
    bench->result->deliveries++;
    bench->complete += *expected == bench->total;
    uint64_t now_ns = (uint64_t)bench->loop.now.ns;
    uint64_t from_ns = load_be64(stamp + 16);
    if (bench->acknowledged_ns && number < bench->total) {
        from_ns = bench->acknowledged_ns[number] ? bench->acknowledged_ns[number] : now_ns;
    }
    histogram_add(&bench->result->latency, now_ns > from_ns ? now_ns - from_ns : 0);
}

static int on_notice(void *context, struct bench_connection *connection,
                     const struct weir_notice *notice)
{
    struct latency_bench *bench = context;
    if (notice->kind == WEIR_NOTICE_EVENT) {
        on_event(bench, connection, notice->event);
    } else if (notice->kind == WEIR_NOTICE_PRODUCED) {
        bench->acknowledged++;
        if (bench->acknowledged_ns) {
            bench->acknowledged_ns[(uintptr_t)notice->context] = (uint64_t)bench->loop.now.ns;
        }
    } else if (notice->kind == WEIR_NOTICE_MARK) {
        bench->caught_up += notice->mark->kind == WEIR_MARK_CAUGHT_UP;
    } else if (notice->kind == WEIR_NOTICE_END) {
        cli_say("the node has ended a subscription");
        return STATUS_FAILURE;
    }
    return 0;
}

static struct instant due(const struct latency_bench *bench, uint64_t number)
{
    double offset = (double)number * 1e9 / (double)bench->options->rate;
    return instant_add(bench->start, (struct duration){.ns = (int64_t)offset});
}

static int send_one(struct latency_bench *bench)
{
    struct weir_bytes payload = bench_events_payload(bench->events);
    uint8_t *stamp = bench->payload.data;
    memcpy(stamp, payload.data, payload.length);
    store_be64(stamp, bench->run);
    store_be64(stamp + 8, bench->sent);
    store_be64(stamp + 16, (uint64_t)due(bench, bench->sent).ns);
    struct weir_draft draft = {
        .size = sizeof draft,
        .name = bench_events_name(bench->events),
        .data = {.data = stamp, .length = payload.length},
    };
    struct weir_produce_options options = {
        .size = sizeof options,
        .context = (void *)(uintptr_t)bench->sent,
    };
    return weir_produce(bench->loop.connections[0].weir, &draft, 1, &options, NULL);
}

// Everything that is due. 0 or the exit status.
static int send_due(struct latency_bench *bench)
{
    struct instant now = clock_now();
    while (bench->sent < bench->total && instant_reached(due(bench, bench->sent), now)) {
        int err = send_one(bench);
        if (err == ERR_BUSY) {
            break; // too many are pending; it stays due
        }
        if (err != 0) {
            return cli_failed(bench->loop.connections[0].weir, err);
        }
        bench->sent++;
    }
    bench_loop_send(&bench->loop, &bench->loop.connections[0]);
    return 0;
}

static void name_of(const struct latency_bench *bench, uint32_t index, char out[NAME_LENGTH])
{
    snprintf(out, NAME_LENGTH, "bench-%016" PRIx64 "-%" PRIu32, bench->run, index);
}

static int attach(struct latency_bench *bench, struct bench_connection *connection,
                  const struct weir_subscribe_options *subscribe)
{
    struct weir_definition definition = {
        .size = sizeof definition,
        .patterns = subscribe->patterns,
        .patterns_count = subscribe->patterns_count,
        .start = subscribe->start,
    };
    char name[NAME_LENGTH];
    name_of(bench, connection->index, name);
    struct weir_attach_options options = {
        .size = sizeof options,
        .name = name,
        .definition = &definition,
        .in_flight = (uint32_t)bench->options->in_flight,
        .ack_mode = WEIR_ACK_AUTOMATIC,
    };
    uint64_t attachment;
    int err = weir_attach(connection->weir, &options, &attachment);
    if (err != 0) {
        return cli_failed(connection->weir, err);
    }
    bench_loop_send(&bench->loop, connection);
    return 0;
}

static int on_deleted(void *context, struct bench_connection *connection,
                      const struct weir_notice *notice)
{
    struct latency_bench *bench = context;
    bench->deleted += notice->kind == WEIR_NOTICE_RESULT;
    return 0;
}

// What the benchmark has made; bounded, for the node may be gone.
static void delete_all(struct latency_bench *bench)
{
    struct bench_handler handler = {.on_notice = on_deleted, .context = bench};
    struct bench_connection *connection = &bench->loop.connections[0];
    struct instant until = instant_add(clock_now(), duration_ms(DRAIN_MS));
    uint32_t asked = 0;
    int status = 0;
    while (status == 0 && bench->deleted + 1 < bench->loop.count &&
           !instant_reached(until, clock_now())) {
        while (status == 0 && asked + 1 < bench->loop.count &&
               asked < bench->deleted + DELETIONS_MAX) {
            char name[NAME_LENGTH];
            name_of(bench, ++asked, name);
            status = weir_subscriptions_delete(connection->weir, name, NULL, NULL);
        }
        bench_loop_send(&bench->loop, connection);
        status = status != 0 ? status : bench_loop_turn(&bench->loop, until, &handler);
    }
}

static int subscribe(struct latency_bench *bench, const struct bench_handler *handler)
{
    struct weir_subscribe_options options = {
        .size = sizeof options,
        .patterns = bench->options->patterns.texts,
        .patterns_count = bench->options->patterns.count,
        .start = WEIR_START_END,
    };
    int status = 0;
    for (uint32_t i = 1; status == 0 && i < bench->loop.count; i++) {
        struct bench_connection *connection = &bench->loop.connections[i];
        status = bench->options->is_durable
                     ? attach(bench, connection, &options)
                     : bench_loop_subscribe(&bench->loop, connection, &options);
    }
    struct instant until = instant_add(clock_now(), duration_ms(DRAIN_MS));
    while (status == 0 && bench->caught_up + 1 < bench->loop.count) {
        status = bench_loop_turn(&bench->loop, until, handler);
        if (status == 0 && instant_reached(until, clock_now())) {
            cli_say("the consumers did not catch up in time");
            status = STATUS_TIMED_OUT;
        }
    }
    return status;
}

static int run(struct latency_bench *bench)
{
    struct bench_handler handler = {.on_notice = on_notice, .context = bench};
    int status = subscribe(bench, &handler);
    bench->start = instant_add(clock_now(), duration_ms(1));
    struct instant until = instant_add(due(bench, bench->total), duration_ms(DRAIN_MS));
    while (status == 0 &&
           (bench->complete + 1 < bench->loop.count || bench->acknowledged < bench->total)) {
        struct instant next = bench->sent < bench->total ? due(bench, bench->sent) : until;
        next = instant_earlier(next, bench->progress->next);
        status = bench_loop_turn(&bench->loop, next, &handler);
        status = status != 0 ? status : send_due(bench);
        progress_update(bench->progress, bench->sent, clock_now());
        if (instant_reached(until, clock_now())) {
            break;
        }
    }
    bench->result->events = bench->acknowledged;
    bench->result->seconds = (double)(clock_now().ns - bench->start.ns) / 1e9;
    for (uint32_t i = 1; i < bench->loop.count; i++) {
        bench->result->missing += bench->total - bench->expected[i];
    }
    if (status == 0 && (bench->result->missing > 0 || bench->result->repeated > 0)) {
        cli_say("%" PRIu64 " deliveries are missing, %" PRIu64 " came twice",
                bench->result->missing, bench->result->repeated);
        status = STATUS_FAILURE;
    }
    if (bench->options->is_durable && bench->caught_up > 0) {
        delete_all(bench);
    }
    return status;
}

int bench_latency(const struct cli *cli, const struct bench_options *options,
                  struct progress *progress, struct bench_result *result)
{
    struct latency_bench bench = {
        .options = options,
        .progress = progress,
        .result = result,
        .run = (uint64_t)clock_now().ns ^ (uint64_t)getpid() << 48,
        .total = options->rate * options->duration_s,
    };
    struct bench_options stamped = *options;
    if (stamped.payload_bytes < STAMP_LENGTH) {
        stamped.payload_bytes = STAMP_LENGTH;
        cli_say("payloads are %d bytes, for the time they carry", STAMP_LENGTH);
    }
    result->has_latency = true;
    result->has_deliveries = true;
    const char *to = options->is_replicate ? options->to : NULL;
    int status = bench_loop_open(&bench.loop, cli, (uint32_t)options->consumers + 1, to, 1);
    bench.events = bench_events_new(&stamped);
    bench.expected = calloc(options->consumers + 1, sizeof *bench.expected);
    bench.acknowledged_ns =
        options->is_replicate ? calloc(bench.total, sizeof *bench.acknowledged_ns) : NULL;
    if (status == 0 &&
        (!bench.events || !bench.expected || (options->is_replicate && !bench.acknowledged_ns) ||
         buffer_reserve(&bench.payload, stamped.payload_bytes) != 0)) {
        cli_say("%s", err_text(ERR_MEMORY));
        status = STATUS_FAILURE;
    }
    status = status != 0 ? status : run(&bench);
    buffer_deinit(&bench.payload);
    bench_events_free(bench.events);
    free(bench.expected);
    free(bench.acknowledged_ns);
    bench_loop_close(&bench.loop);
    return status;
}
