// Options and the report; each benchmark has its own file.

#include "client-cli/bench.h"

#include <inttypes.h>
#include <stdlib.h>

#include "client-cli/clock.h"
#include "client-cli/option_number.h"
#include "client-cli/parse.h"
#include "client-cli/print_event.h"

enum {
    OPTION_PAYLOAD = 0x200,
    OPTION_CONNECTIONS,
    OPTION_IN_FLIGHT,
    OPTION_BATCH,
    OPTION_NAMESPACES,
    OPTION_CONSUMERS,
    OPTION_RATE,
    OPTION_DURATION,
    OPTION_RANDOM,
    OPTION_TO,
    OPTION_OUTPUT,
    DURATION_DEFAULT = 10,
};

struct options {
    struct connection_options *connection;
    struct bench_options bench;
    enum format format;
    bool has_duration;
    char to[CONNECTION_ADDRESS_SIZE];
};

static const struct argp_option option_table[] = {
    {"payload", OPTION_PAYLOAD, "BYTES", 0, "Data of each event (default: 100)", 0},
    {"random", OPTION_RANDOM, NULL, 0,
     "Payloads of random letters, which do not compress, instead of records of text", 0},
    {"namespaces", OPTION_NAMESPACES, "N", 0, "Spread events over N of them (default: 1000)", 0},
    {"connections", OPTION_CONNECTIONS, "N", 0,
     "produce: producers (default: 4); replay: readers, each of everything (default: 1)", 1},
    {"in-flight", OPTION_IN_FLIGHT, "EVENTS", 0,
     "produce: sent and not acknowledged, per connection (default: 4096)", 1},
    {"batch", OPTION_BATCH, "EVENTS", 0,
     "produce: per request (default: 64, or what is in flight if that is less)", 1},
    {"consumers", OPTION_CONSUMERS, "N", 0,
     "latency, replicate, fanout, subscriptions: each on a connection of its own (default: 1, 1, "
     "100 and 100)",
     1},
    {"to", OPTION_TO, "HOST:PORT", 0,
     "replicate: the node that its consumers are at; failover: of its producer, "
     "to which the consumer goes when its node is gone",
     1},
    {"rate", OPTION_RATE, "N", 0,
     "All but produce, replay, subscription: events per second (default: 1000)", 1},
    {"duration", OPTION_DURATION, "S", 0,
     "Seconds (default: 10; replay, and each half of subscription: to the end)", 1},
    {"namespace", 'n', "GLOB", 0, "all but produce: subscribe to this; repeatable", 1},
    {"output", OPTION_OUTPUT, "FORMAT", 0, "json or human (default: json)", 2},
    {0},
};

static void set_kind(struct options *options, const char *text, struct argp_state *state)
{
    static const char *const kinds[] = {"produce",   "replay",       "latency",       "fanout",
                                        "replicate", "subscription", "subscriptions", "failover"};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0] && !options->bench.kind; i++) {
        if (strcmp(kinds[i], text) == 0) {
            options->bench.kind = kinds[i];
            options->bench.is_replicate = strcmp(text, "replicate") == 0;
            options->bench.is_failover = strcmp(text, "failover") == 0;
            options->bench.is_durable = strcmp(text, "subscriptions") == 0;
            return;
        }
    }
    argp_error(
        state,
        "'%s' is not a benchmark: produce, replay, latency, fanout, replicate, subscription, "
        "subscriptions or failover, one of them",
        text);
}

static void set_to(struct options *options, const char *text, struct argp_state *state)
{
    struct parse_address to;
    if (!parse_address(text, &to)) {
        argp_error(state, "--to: '%s' is not HOST:PORT", text);
        return;
    }
    connection_address_format(to.host, to.port, options->to);
    options->bench.to = options->to;
}

// What the lag of replication is remembered for: 8 bytes each.
enum { REPLICATE_EVENTS_MAX = 100000000 };

static void check_together(const struct options *options, struct argp_state *state)
{
    const struct bench_options *bench = &options->bench;
    uint64_t duration_s = options->has_duration ? bench->duration_s : DURATION_DEFAULT;
    if (!bench->kind) {
        return;
    }
    bool has_other = bench->is_replicate || bench->is_failover;
    if (has_other && !bench->to) {
        argp_error(state, "%s: where to is missing: --to HOST:PORT", bench->kind);
    }
    if (!has_other && bench->to) {
        argp_error(state, "--to is for replicate and failover, not for %s", bench->kind);
    }
    if (has_other && bench->rate * duration_s > REPLICATE_EVENTS_MAX) {
        argp_error(state, "%s: at most %d events, rate times duration", bench->kind,
                   REPLICATE_EVENTS_MAX);
    }
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct options *options = state->input;
    struct bench_options *bench = &options->bench;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = options->connection;
        return 0;
    case OPTION_PAYLOAD:
        bench->payload_bytes = option_number(argument, 0, 64 << 20, "--payload", state);
        return 0;
    case OPTION_RANDOM:
        bench->is_random = true;
        return 0;
    case OPTION_CONNECTIONS:
        bench->connections = option_number(argument, 1, 100000, "--connections", state);
        return 0;
    case OPTION_IN_FLIGHT:
        bench->in_flight = option_number(argument, 1, 10000000, "--in-flight", state);
        return 0;
    case OPTION_BATCH:
        bench->batch = option_number(argument, 1, 65536, "--batch", state);
        return 0;
    case OPTION_NAMESPACES:
        bench->namespaces = option_number(argument, 1, 100000000, "--namespaces", state);
        return 0;
    case OPTION_CONSUMERS:
        bench->consumers = option_number(argument, 1, 100000, "--consumers", state);
        return 0;
    case OPTION_RATE:
        bench->rate = option_number(argument, 1, 10000000, "--rate", state);
        return 0;
    case OPTION_DURATION:
        bench->duration_s = option_number(argument, 1, 1000000, "--duration", state);
        options->has_duration = true;
        return 0;
    case OPTION_TO:
        set_to(options, argument, state);
        return 0;
    case 'n':
        patterns_add(&bench->patterns, argument, state);
        return 0;
    case OPTION_OUTPUT:
        if (!format_parse(argument, false, &options->format)) {
            argp_error(state, "'%s' is not an output: json or human", argument);
        }
        return 0;
    case ARGP_KEY_ARG:
        set_kind(options, argument, state);
        return 0;
    case ARGP_KEY_END:
        check_together(options, state);
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "which benchmark is missing: produce, replay, latency, fanout, "
                          "replicate, subscription, "
                          "subscriptions or failover");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_child children[] = {{&connection_options_argp, 0, NULL, 0}, {0}};

static const struct argp bench_argp = {
    .options = option_table,
    .parser = parse,
    .args_doc = "produce|replay|latency|fanout|replicate|subscription|subscriptions|failover",
    .doc =
        "Measure a node. produce and replay: how many events a second; latency and fanout: how "
        "long from the moment an event is due to be sent until its consumers have it; "
        "replicate: how long from its acknowledgement until consumers at another node have it; "
        "subscription: how much slower a durable subscription is than a replay; subscriptions: "
        "latency as of fanout, each consumer with a durable subscription of its own; failover: how "
        "long a consumer of one is without events when you kill its node meanwhile. "
        "The events are stored, so take a node of its own.\v"
        "Examples:\n"
        "  weir bench produce --connections 4 --in-flight 4096\n"
        "  weir bench replay\n"
        "  weir bench latency --rate 1000 --duration 30\n"
        "  weir bench fanout --consumers 1000\n"
        "  weir bench subscription\n"
        "  weir bench subscriptions --consumers 1000\n"
        "  weir -p 3000 bench replicate --to localhost:3001\n"
        "  weir -p 3000 bench failover --to localhost:3001 & kill -9 PID-OF-THE-FIRST",
    .children = children,
};

static void set_defaults(struct options *options)
{
    struct bench_options *bench = &options->bench;
    bool is_replay = strcmp(bench->kind, "replay") == 0 || strcmp(bench->kind, "subscription") == 0;
    if (bench->connections == 0) {
        bench->connections = is_replay ? 1 : 4;
    }
    if (bench->consumers == 0) {
        bench->consumers = strcmp(bench->kind, "fanout") == 0 || bench->is_durable ? 100 : 1;
    }
    if (bench->batch > bench->in_flight) {
        bench->batch = bench->in_flight;
    }
    if (!options->has_duration) {
        bench->duration_s = is_replay ? 0 : DURATION_DEFAULT;
    }
}

static int print_latency(struct output *output, const struct bench_result *result, bool is_json)
{
    static const struct {
        const char *name;
        double fraction;
    } quantiles[] = {{"p50", 0.5}, {"p99", 0.99}, {"p999", 0.999}, {"max", 1}};
    int err = 0;
    for (size_t i = 0; err == 0 && i < sizeof quantiles / sizeof quantiles[0]; i++) {
        double us = (double)histogram_quantile(&result->latency, quantiles[i].fraction) / 1000;
        if (!is_json) {
            err = output_text(output, "  %s %.1f us", quantiles[i].name, us);
        } else if (result->has_latency) {
            err = output_text(output, "%s\"%s\":%.1f", i > 0 ? "," : "", quantiles[i].name, us);
        } else {
            err = output_text(output, "%s\"%s\":null", i > 0 ? "," : "", quantiles[i].name);
        }
    }
    return err;
}

static int print_json(struct output *output, const struct options *options,
                      const struct bench_result *result)
{
    double rate = result->seconds > 0 ? (double)result->events / result->seconds : 0;
    int err = output_text(output,
                          "{\"bench\":\"%s\",\"events\":%" PRIu64
                          ",\"seconds\":%.6f,\"events_per_second\":%.1f,\"latency_us\":{",
                          options->bench.kind, result->events, result->seconds, rate);
    err = err != 0 ? err : print_latency(output, result, true);
    err = err != 0 ? err : output_text(output, "}");
    if (err == 0 && options->bench.is_replicate) {
        err = output_text(output, ",\"p50_ms\":%.3f,\"p99_ms\":%.3f",
                          (double)histogram_quantile(&result->latency, 0.5) / 1e6,
                          (double)histogram_quantile(&result->latency, 0.99) / 1e6);
    }
    if (err == 0 && result->has_deliveries) {
        err = output_text(output,
                          ",\"consumers\":%" PRIu64 ",\"deliveries\":%" PRIu64
                          ",\"missing\":%" PRIu64 ",\"repeated\":%" PRIu64,
                          options->bench.consumers, result->deliveries, result->missing,
                          result->repeated);
    }
    if (err == 0 && result->has_gap) {
        err = output_text(output, ",\"longest_gap_ms\":%.3f,\"switches\":%" PRIu64,
                          (double)result->longest_gap_ns / 1e6, result->switches);
    }
    if (err == 0 && result->has_replay) {
        err = output_text(output,
                          ",\"replay_events\":%" PRIu64 ",\"replay_seconds\":%.6f"
                          ",\"ratio\":%.3f",
                          result->replay_events, result->replay_seconds, result->ratio);
    }
    return err != 0 ? err : output_text(output, "}\n");
}

static int print_human(struct output *output, const struct options *options,
                       const struct bench_result *result)
{
    double rate = result->seconds > 0 ? (double)result->events / result->seconds : 0;
    int err = output_text(output, "%s: %" PRIu64 " events in %.2f s, %.0f per second\n",
                          options->bench.kind, result->events, result->seconds, rate);
    if (err == 0 && result->has_latency) {
        err = output_text(output, "latency:");
        err = err != 0 ? err : print_latency(output, result, false);
        err = err != 0 ? err : output_text(output, "\n");
    }
    if (err == 0 && result->has_deliveries) {
        err = output_text(output,
                          "%" PRIu64 " deliveries to %" PRIu64 " consumers, %" PRIu64
                          " missing, %" PRIu64 " repeated\n",
                          result->deliveries, options->bench.consumers, result->missing,
                          result->repeated);
    }
    if (err == 0 && result->has_gap) {
        err = output_text(
            output, "longest time without a delivery: %.1f ms; changes of node: %" PRIu64 "\n",
            (double)result->longest_gap_ns / 1e6, result->switches);
    }
    if (err == 0 && result->has_replay) {
        err = output_text(output,
                          "a replay: %" PRIu64 " events in %.2f s; the subscription has %.2f of "
                          "its rate\n",
                          result->replay_events, result->replay_seconds, result->ratio);
    }
    return err;
}

static int measure(const struct cli *cli, const struct options *options,
                   struct bench_result *result)
{
    struct progress progress;
    progress_init(&progress, false, clock_now());
    if (!progress.is_wanted) {
        progress.next = INSTANT_NEVER; // and nobody need be woken for it
    }
    const struct bench_options *bench = &options->bench;
    int status = strcmp(bench->kind, "produce") == 0  ? bench_produce(cli, bench, &progress, result)
                 : strcmp(bench->kind, "replay") == 0 ? bench_replay(cli, bench, &progress, result)
                 : strcmp(bench->kind, "subscription") == 0
                     ? bench_subscription(cli, bench, &progress, result)
                 : bench->is_failover ? bench_failover(cli, bench, &progress, result)
                                      : bench_latency(cli, bench, &progress, result);
    progress_clear(&progress);
    return status;
}

static int run(struct cli *cli, int argc, char **argv)
{
    struct options options = {
        .connection = &cli->connection,
        .bench = {.payload_bytes = 100,
                  .in_flight = 4096,
                  .batch = 64,
                  .namespaces = 1000,
                  .rate = 1000},
        .format = FORMAT_JSON,
    };
    argp_parse(&bench_argp, argc, argv, 0, NULL, &options);
    set_defaults(&options);
    struct bench_result *result = calloc(1, sizeof *result);
    if (!result) {
        cli_say("%s", err_text(ERR_MEMORY));
        return STATUS_FAILURE;
    }
    int status = measure(cli, &options, result);
    // Also what an incomplete fan-out has counted is worth its line.
    if (status == 0 || result->missing > 0 || result->repeated > 0) {
        struct output output;
        output_init(&output, cli->signal);
        int err = options.format == FORMAT_JSON ? print_json(&output, &options, result)
                                                : print_human(&output, &options, result);
        int ended = output_end(&output, err);
        status = status != 0 ? status : ended;
        output_deinit(&output);
    }
    free(result);
    return status;
}

const struct command command_bench = {
    .name = "bench",
    .summary = "measure a node",
    .argp = &bench_argp,
    .run = run,
};
