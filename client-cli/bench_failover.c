// How long a consumer is without events when its node dies. It is attached at one node and knows
// another, where a producer goes on at an even pace; whoever runs this kills the first meanwhile.
// What is measured is the longest time between two deliveries, everything included: that the death
// is noticed, another connection, another coordinator, events that were in flight.

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "client-cli/bench.h"
#include "client-cli/clock.h"
#include "proto/base/bytes.h"

enum {
    STAMP_LENGTH = 24, // run, number, due: 8 bytes each
    NAME_LENGTH = 48,
    ATTACH_TIMEOUT_MS = 10000,
    DRAIN_MS = 30000,
    DELETE_TIMEOUT_MS = 5000,
};

struct failover_bench {
    const struct cli *cli;
    const struct bench_options *options;
    struct progress *progress;
    struct bench_result *result;
    struct weir *producer;
    struct weir *consumer;
    struct bench_events *events;
    struct buffer payload;
    char name[NAME_LENGTH];
    uint64_t run;
    uint64_t total;
    uint64_t sent;
    uint64_t acknowledged;
    uint64_t seen;
    bool *is_seen; // per event
    bool is_attached;
    struct instant start;
    struct instant last; // delivery
};

static void on_event(struct failover_bench *bench, const struct weir_event *event)
{
    const uint8_t *stamp = event->data.data;
    if (event->data.length < STAMP_LENGTH || load_be64(stamp) != bench->run ||
        load_be64(stamp + 8) >= bench->total) {
        return; // of another program
    }
    struct instant now = clock_now();
    uint64_t number = load_be64(stamp + 8);
    uint64_t due_ns = load_be64(stamp + 16);
    if (bench->is_seen[number]) {
        bench->result->repeated++;
        return;
    }
    uint64_t gap_ns = (uint64_t)(now.ns - bench->last.ns);
    if (gap_ns > bench->result->longest_gap_ns) {
        bench->result->longest_gap_ns = gap_ns;
    }
    bench->last = now;
    bench->is_seen[number] = true;
    bench->seen++;
    bench->result->deliveries++;
    histogram_add(&bench->result->latency,
                  (uint64_t)now.ns > due_ns ? (uint64_t)now.ns - due_ns : 0);
}

// 0 or the exit status.
static int on_notice(struct failover_bench *bench, const struct weir_notice *notice)
{
    if (notice->kind == WEIR_NOTICE_EVENT) {
        on_event(bench, notice->event);
    } else if (notice->kind == WEIR_NOTICE_ATTACHED) {
        bench->is_attached = true;
    } else if (notice->kind == WEIR_NOTICE_CONNECTED) {
        bench->result->switches += notice->connection->is_switch;
    } else if (notice->kind == WEIR_NOTICE_END) {
        cli_say("%s", notice->end->text ? notice->end->text : "the subscription has ended");
        return STATUS_FAILURE;
    } else if (notice->kind == WEIR_NOTICE_PRODUCED) {
        if (notice->produced->err != 0) {
            cli_say("%s", notice->produced->text);
            return cli_status(notice->produced->err);
        }
        bench->acknowledged++;
    }
    return 0;
}

// All that one client has. 0 or the exit status.
static int take(struct failover_bench *bench, struct weir *weir)
{
    const struct weir_notice *notice;
    int outcome;
    (void)weir_turn(weir);
    while ((outcome = weir_next(weir, &notice)) == 0) {
        int status = on_notice(bench, notice);
        if (status != 0) {
            return status;
        }
    }
    weir_push(weir);
    return outcome < 0 ? cli_failed(weir, outcome) : 0;
}

// Waits until something comes or the time is over, and takes it. 0 or the exit status.
static int turn(struct failover_bench *bench, struct instant until)
{
    struct weir *const clients[] = {bench->producer, bench->consumer};
    struct pollfd polled[3] = {{.fd = bench->cli->wake_fd, .events = POLLIN}};
    for (int i = 0; i < 2; i++) {
        bool wants_output = false;
        polled[i + 1].fd = weir_descriptor(clients[i], &wants_output);
        polled[i + 1].events = (short)(POLLIN | (wants_output ? POLLOUT : 0));
        until = instant_earlier(until, (struct instant){.ns = weir_deadline(clients[i])});
    }
    (void)poll(polled, 3, (int)clock_timeout_ms(until));
    if (*bench->cli->signal) {
        return cli_status_of_signal(bench->cli);
    }
    int status = take(bench, bench->producer);
    return status != 0 ? status : take(bench, bench->consumer);
}

static struct instant due(const struct failover_bench *bench, uint64_t number)
{
    double offset = (double)number * 1e9 / (double)bench->options->rate;
    return instant_add(bench->start, (struct duration){.ns = (int64_t)offset});
}

// Everything that is due. 0 or the exit status.
static int send_due(struct failover_bench *bench)
{
    while (bench->sent < bench->total && instant_reached(due(bench, bench->sent), clock_now())) {
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
        int err = weir_produce(bench->producer, &draft, 1, NULL, NULL);
        if (err != 0) {
            return cli_failed(bench->producer, err);
        }
        bench->sent++;
    }
    weir_push(bench->producer);
    return 0;
}

static int attach(struct failover_bench *bench)
{
    struct weir_definition definition = {
        .size = sizeof definition,
        .patterns = bench->options->patterns.texts,
        .patterns_count = bench->options->patterns.count,
        .start = WEIR_START_END,
    };
    struct weir_attach_options options = {
        .size = sizeof options,
        .name = bench->name,
        .definition = &definition,
        .in_flight = (uint32_t)bench->options->in_flight,
        .ack_mode = WEIR_ACK_AUTOMATIC,
    };
    uint64_t attachment;
    int err = weir_attach(bench->consumer, &options, &attachment);
    if (err != 0) {
        return cli_failed(bench->consumer, err);
    }
    weir_push(bench->consumer);
    int status = 0;
    struct instant until = instant_add(clock_now(), duration_ms(ATTACH_TIMEOUT_MS));
    while (status == 0 && !bench->is_attached) {
        if (instant_reached(until, clock_now())) {
            cli_say("the consumer could not attach in time");
            return STATUS_TIMED_OUT;
        }
        status = turn(bench, until);
    }
    return status;
}

static int run(struct failover_bench *bench)
{
    int status = attach(bench);
    bench->start = clock_now();
    bench->last = bench->start;
    struct instant until = instant_add(due(bench, bench->total), duration_ms(DRAIN_MS));
    while (status == 0 && (bench->seen < bench->total || bench->acknowledged < bench->total) &&
           !instant_reached(until, clock_now())) {
        struct instant next = bench->sent < bench->total ? due(bench, bench->sent) : until;
        status = turn(bench, instant_earlier(next, bench->progress->next));
        status = status != 0 ? status : send_due(bench);
        progress_update(bench->progress, bench->seen, clock_now());
    }
    bench->result->events = bench->acknowledged;
    bench->result->seconds = (double)(clock_now().ns - bench->start.ns) / 1e9;
    bench->result->missing = bench->total - bench->seen;
    if (status == 0 && bench->result->missing > 0) {
        cli_say("%" PRIu64 " deliveries are missing", bench->result->missing);
        status = STATUS_FAILURE;
    }
    return status;
}

static int open_clients(struct failover_bench *bench)
{
    struct connection_addresses own;
    connection_options_addresses(&bench->cli->connection, &own);
    const char *addresses[] = {own.list[0], bench->options->to};
    struct weir_options producer = {.addresses = &addresses[1], .addresses_count = 1};
    struct weir_options consumer = {
        .addresses = addresses, .addresses_count = 2, .begins_with_first = true};
    int status = cli_open_with(bench->cli, &producer, &bench->producer);
    return status != 0 ? status : cli_open_with(bench->cli, &consumer, &bench->consumer);
}

static void forget(struct failover_bench *bench)
{
    const struct weir_result *result;
    uint64_t ticket;
    if (bench->is_attached &&
        weir_subscriptions_delete(bench->producer, bench->name, NULL, &ticket) == 0) {
        (void)!weir_wait_result(bench->producer, ticket, DELETE_TIMEOUT_MS, &result);
    }
}

int bench_failover(const struct cli *cli, const struct bench_options *options,
                   struct progress *progress, struct bench_result *result)
{
    struct failover_bench bench = {
        .cli = cli,
        .options = options,
        .progress = progress,
        .result = result,
        .run = (uint64_t)clock_now().ns ^ (uint64_t)getpid() << 48,
        .total = options->rate * options->duration_s,
    };
    struct bench_options stamped = *options;
    stamped.payload_bytes =
        options->payload_bytes < STAMP_LENGTH ? STAMP_LENGTH : options->payload_bytes;
    snprintf(bench.name, sizeof bench.name, "bench-%016" PRIx64, bench.run);
    result->has_latency = true;
    result->has_deliveries = true;
    result->has_gap = true;
    bench.events = bench_events_new(&stamped);
    bench.is_seen = calloc(bench.total, sizeof *bench.is_seen);
    int status = open_clients(&bench);
    if (status == 0 && (!bench.events || !bench.is_seen ||
                        buffer_reserve(&bench.payload, stamped.payload_bytes) != 0)) {
        cli_say("%s", err_text(ERR_MEMORY));
        status = STATUS_FAILURE;
    }
    if (status == 0) {
        status = run(&bench);
        forget(&bench);
    }
    weir_free(bench.producer);
    weir_free(bench.consumer);
    bench_events_free(bench.events);
    buffer_deinit(&bench.payload);
    free(bench.is_seen);
    return status;
}
