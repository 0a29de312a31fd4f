// The benchmarks: what they are given, what they find, and their events.
#pragma once

#include "client-cli/command.h"
#include "client-cli/histogram.h"
#include "client-cli/patterns.h"
#include "client-cli/progress.h"

struct bench_options {
    const char *kind;
    uint64_t payload_bytes;
    uint64_t connections;
    uint64_t in_flight; // events per connection
    uint64_t batch;     // events per request
    uint64_t namespaces;
    uint64_t consumers;
    uint64_t rate;       // events per second
    uint64_t duration_s; // 0: to the end
    bool is_random;      // payloads
    bool is_durable;     // consumers have durable subscriptions, one each
    bool is_replicate;   // consumers are at `to`, latency counts from the acknowledgement
    bool is_failover;    // of a consumer, to the node at `to`
    const char *to;      // address; NULL: not given
    struct patterns patterns;
};

struct bench_result {
    uint64_t events;
    double seconds;
    bool has_latency;
    struct histogram latency; // ns
    bool has_deliveries;
    uint64_t deliveries;
    uint64_t missing;
    uint64_t repeated;
    bool has_gap; // of a failover
    uint64_t longest_gap_ns;
    uint64_t switches; // to another node
    bool has_replay;   // of the same events, to compare with
    uint64_t replay_events;
    double replay_seconds;
    double ratio; // of the rates
};

// Each returns 0 or the exit status, after saying why.
int bench_produce(const struct cli *cli, const struct bench_options *options,
                  struct progress *progress, struct bench_result *result);
int bench_replay(const struct cli *cli, const struct bench_options *options,
                 struct progress *progress, struct bench_result *result);
int bench_subscription(const struct cli *cli, const struct bench_options *options,
                       struct progress *progress, struct bench_result *result);
int bench_failover(const struct cli *cli, const struct bench_options *options,
                   struct progress *progress, struct bench_result *result);
// latency, fanout, replicate and subscriptions.
int bench_latency(const struct cli *cli, const struct bench_options *options,
                  struct progress *progress, struct bench_result *result);

// --- Events ------------------------------------------------------------------------------------

struct bench_events; // namespaces and payloads, made once

struct bench_events *bench_events_new(const struct bench_options *options); // NULL: no memory
void bench_events_free(struct bench_events *events);

// The next namespace in turn, and the next payload.
const char *bench_events_name(struct bench_events *events);
struct weir_bytes bench_events_payload(struct bench_events *events);
