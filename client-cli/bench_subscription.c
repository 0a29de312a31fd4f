// What a durable subscription costs: the same events once by a plain subscription, and once by a
// durable one whose consumer acknowledges all of them, over the same connection, in one run.

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "client-cli/bench.h"
#include "client-cli/clock.h"

// As many in flight as a consumer may have, so that the rate is that of the node.
enum { IN_FLIGHT = 16384, ACK_BATCH = 2048, NAME_LENGTH = 64, SETTLE_TIMEOUT_MS = 10000 };

struct subscription_bench {
    const struct cli *cli;
    const struct bench_options *options;
    struct progress *progress;
    struct weir *weir;
    char name[NAME_LENGTH];
    struct instant until; // of this half
    uint64_t replayed;
    double replay_seconds;
    uint64_t consumed;
    double seconds;
};

static double seconds_since(struct instant start)
{
    return (double)(clock_now().ns - start.ns) / 1e9;
}

static void begin(struct subscription_bench *bench)
{
    uint64_t seconds = bench->options->duration_s;
    bench->until = seconds > 0 ? instant_add(clock_now(), duration_ms((int64_t)seconds * 1000))
                               : INSTANT_NEVER;
}

// The next notice; *notice_out is NULL when the time is over. 0 or the exit status.
static int next(struct subscription_bench *bench, uint64_t events,
                const struct weir_notice **notice_out)
{
    *notice_out = NULL;
    struct instant now = clock_now();
    progress_update(bench->progress, events, now);
    if (instant_reached(bench->until, now)) {
        return 0;
    }
    int64_t left_ms =
        bench->until.ns == INSTANT_NEVER.ns ? -1 : (bench->until.ns - now.ns) / 1000000 + 1;
    int outcome = weir_wait_next(bench->weir, left_ms, notice_out);
    if (outcome == WEIR_WOKEN) {
        return cli_status_of_signal(bench->cli);
    }
    if (outcome < 0) {
        return cli_failed(bench->weir, outcome);
    }
    return 0;
}

static int on_end(const struct weir_end *end)
{
    if (end->reason != WEIR_END_ERROR && end->reason != WEIR_END_DELETED) {
        return 0;
    }
    cli_say("%s", end->text ? end->text : "the subscription was deleted");
    return end->reason == WEIR_END_DELETED ? STATUS_NOT_FOUND : cli_status(end->err);
}

static int replay(struct subscription_bench *bench)
{
    struct weir_subscribe_options subscribe = {
        .size = sizeof subscribe,
        .patterns = bench->options->patterns.texts,
        .patterns_count = bench->options->patterns.count,
        .stop = WEIR_STOP_NOW,
    };
    uint64_t subscription;
    begin(bench);
    struct instant start = clock_now();
    int err = weir_subscribe(bench->weir, &subscribe, &subscription);
    if (err != 0) {
        return cli_failed(bench->weir, err);
    }
    const struct weir_notice *notice = NULL;
    int status = 0;
    do {
        int outcome = weir_next(bench->weir, &notice);
        if (outcome != 0) {
            status = next(bench, bench->replayed, &notice);
        }
        bench->replayed += status == 0 && notice && notice->kind == WEIR_NOTICE_EVENT;
    } while (status == 0 && notice && notice->kind != WEIR_NOTICE_END);
    bench->replay_seconds = seconds_since(start);
    if (status == 0 && notice) {
        status = on_end(notice->end);
    }
    err = weir_unsubscribe(bench->weir, subscription);
    return status != 0 ? status : cli_status(err);
}

// Takes what the replay had, and acknowledges whenever there is nothing to take.
static int consume(struct subscription_bench *bench, uint64_t attachment)
{
    struct weir_id last = {0};
    while (bench->consumed < bench->replayed) {
        const struct weir_notice *notice = NULL;
        int outcome = weir_next(bench->weir, &notice);
        if (outcome == WEIR_NOTHING && last.counter > 0) {
            outcome = weir_ack_up_to(bench->weir, attachment, last);
            last = (struct weir_id){0};
            if (outcome != 0) {
                return cli_failed(bench->weir, outcome);
            }
        } else if (outcome != 0) {
            int status = next(bench, bench->consumed, &notice);
            if (status != 0 || (!notice && instant_reached(bench->until, clock_now()))) {
                return status;
            }
        }
        if (notice && notice->kind == WEIR_NOTICE_EVENT) {
            bench->consumed++;
            last = notice->event->id;
        } else if (notice && notice->kind == WEIR_NOTICE_END) {
            int status = on_end(notice->end);
            return status != 0 ? status : STATUS_FAILURE;
        }
    }
    int outcome = last.counter > 0 ? weir_ack_up_to(bench->weir, attachment, last) : 0;
    outcome = outcome != 0 ? outcome : weir_wait_acked(bench->weir, attachment, SETTLE_TIMEOUT_MS);
    if (outcome != 0) {
        cli_say("the acknowledgements have no answer");
        return STATUS_TIMED_OUT;
    }
    return 0;
}

static int attach_and_consume(struct subscription_bench *bench)
{
    struct weir_definition definition = {
        .size = sizeof definition,
        .patterns = bench->options->patterns.texts,
        .patterns_count = bench->options->patterns.count,
        .queue = IN_FLIGHT,
    };
    struct weir_attach_options attach = {
        .size = sizeof attach,
        .name = bench->name,
        .definition = &definition,
        .in_flight = IN_FLIGHT,
        .ack_batch_max = ACK_BATCH,
    };
    uint64_t attachment;
    begin(bench);
    struct instant start = clock_now();
    int err = weir_attach(bench->weir, &attach, &attachment);
    if (err != 0) {
        return cli_failed(bench->weir, err);
    }
    int status = consume(bench, attachment);
    bench->seconds = seconds_since(start);
    err = weir_detach(bench->weir, attachment);
    return status != 0 ? status : cli_status(err);
}

static void forget(struct subscription_bench *bench)
{
    const struct weir_result *result;
    uint64_t ticket;
    if (weir_subscriptions_delete(bench->weir, bench->name, NULL, &ticket) == 0) {
        (void)!weir_wait_result(bench->weir, ticket, SETTLE_TIMEOUT_MS, &result);
    }
}

static double rate(uint64_t events, double seconds)
{
    return seconds > 0 ? (double)events / seconds : 0;
}

int bench_subscription(const struct cli *cli, const struct bench_options *options,
                       struct progress *progress, struct bench_result *result)
{
    struct subscription_bench bench = {.cli = cli, .options = options, .progress = progress};
    snprintf(bench.name, sizeof bench.name, "bench-%ld-%" PRId64, (long)getpid(), clock_now().ns);
    int status = cli_open(cli, WEIR_RECONNECT_NEVER, 0, &bench.weir);
    if (status != 0) {
        return status;
    }
    status = replay(&bench);
    if (status == 0) {
        status = attach_and_consume(&bench);
        forget(&bench);
    }
    weir_free(bench.weir);
    double replay_rate = rate(bench.replayed, bench.replay_seconds);
    result->events = bench.consumed;
    result->seconds = bench.seconds;
    result->has_replay = true;
    result->replay_events = bench.replayed;
    result->replay_seconds = bench.replay_seconds;
    result->ratio = replay_rate > 0 ? rate(bench.consumed, bench.seconds) / replay_rate : 0;
    return status;
}
