// Closed loop: every connection keeps its events in flight; each answer makes room for the next
// batch. Latency is from queueing a request to its answer.

#include <inttypes.h>
#include <stdlib.h>

#include "client-cli/bench.h"
#include "client-cli/bench_loop.h"

enum { DRAIN_MS = 10000 };

struct produce_bench {
    const struct bench_options *options;
    struct progress *progress;
    struct bench_result *result;
    struct bench_loop loop;
    struct bench_events *events;
    struct weir_draft *drafts;
    uint64_t *in_flight; // per connection
    uint64_t in_flight_all;
    struct instant until; // nothing is sent from then on
    struct instant last;  // answer
};

static int fill(struct produce_bench *bench, struct bench_connection *connection)
{
    uint64_t size = bench->options->batch;
    uint64_t *in_flight = &bench->in_flight[connection->index];
    while (*in_flight + size <= bench->options->in_flight &&
           !instant_reached(bench->until, bench->loop.now)) {
        for (uint64_t i = 0; i < size; i++) {
            bench->drafts[i].name = bench_events_name(bench->events);
            bench->drafts[i].data = bench_events_payload(bench->events);
        }
        struct weir_produce_options options = {.size = sizeof options};
        options.context = (void *)(uintptr_t)clock_now().ns;
        int err = weir_produce(connection->weir, bench->drafts, size, &options, NULL);
        if (err != 0) {
            int status = cli_failed(connection->weir, err);
            return err == WEIR_ERR_LIMIT ? STATUS_USAGE : status;
        }
        *in_flight += size;
        bench->in_flight_all += size;
    }
    return 0;
}

static int on_notice(void *context, struct bench_connection *connection,
                     const struct weir_notice *notice)
{
    struct produce_bench *bench = context;
    if (notice->kind != WEIR_NOTICE_PRODUCED) {
        return 0;
    }
    uint32_t count = notice->produced->count;
    uint64_t queued_ns = (uint64_t)(uintptr_t)notice->context;
    bench->in_flight[connection->index] -= count;
    bench->in_flight_all -= count;
    bench->result->events += count;
    bench->last = bench->loop.now;
    histogram_add(&bench->result->latency, (uint64_t)bench->last.ns - queued_ns);
    return fill(bench, connection);
}

static int run(struct produce_bench *bench)
{
    struct bench_handler handler = {.on_notice = on_notice, .context = bench};
    struct instant start = clock_now();
    bench->loop.now = start;
    bench->until = instant_add(start, duration_ms((int64_t)bench->options->duration_s * 1000));
    struct instant drained = instant_add(bench->until, duration_ms(DRAIN_MS));
    int status = 0;
    for (uint32_t i = 0; status == 0 && i < bench->loop.count; i++) {
        status = fill(bench, &bench->loop.connections[i]);
        bench_loop_send(&bench->loop, &bench->loop.connections[i]);
    }
    while (status == 0 && bench->in_flight_all > 0) {
        status = bench_loop_turn(&bench->loop, instant_earlier(drained, bench->progress->next),
                                 &handler);
        struct instant now = clock_now();
        progress_update(bench->progress, bench->result->events, now);
        if (status == 0 && instant_reached(drained, now)) {
            cli_say("%" PRIu64 " events were not acknowledged in time", bench->in_flight_all);
            status = STATUS_TIMED_OUT;
        }
    }
    bench->result->seconds = (double)(bench->last.ns - start.ns) / 1e9;
    return status;
}

int bench_produce(const struct cli *cli, const struct bench_options *options,
                  struct progress *progress, struct bench_result *result)
{
    struct produce_bench bench = {.options = options, .progress = progress, .result = result};
    result->has_latency = true;
    int status = bench_loop_open(&bench.loop, cli, (uint32_t)options->connections, NULL,
                                 (uint32_t)options->batch);
    bench.events = bench_events_new(options);
    bench.in_flight = calloc(options->connections, sizeof *bench.in_flight);
    bench.drafts = calloc(options->batch, sizeof *bench.drafts);
    for (uint64_t i = 0; bench.drafts && i < options->batch; i++) {
        bench.drafts[i].size = sizeof *bench.drafts;
    }
    if (status == 0 && (!bench.events || !bench.in_flight || !bench.drafts)) {
        cli_say("%s", err_text(ERR_MEMORY));
        status = STATUS_FAILURE;
    }
    status = status != 0 ? status : run(&bench);
    free(bench.drafts);
    bench_events_free(bench.events);
    free(bench.in_flight);
    bench_loop_close(&bench.loop);
    return status;
}
