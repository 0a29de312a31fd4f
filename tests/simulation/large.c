// Admitting a thousand nodes one after the other would take longer than all that is to be measured:
// so the first machine's log is written with all admissions in it, and every machine starts with a
// copy of it and an identity of its own, as if it had been a member before.
#include "tests/simulation/large.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/model/member_event.h"
#include "proto/model/peer_message.h"
#include "tests/simulation/checks.h"
#include "tests/simulation/disk_copy.h"
#include "tests/simulation/machine.h"
#include "tests/simulation/memory.h"
#include "tests/simulation/producer.h"
#include "tests/simulation/world_run.h"

// What design and arithmetic say of 1000 nodes with 6 links in steady state (replication.md).
enum { MODEL_MS = 8 };
#define MODEL_COPIES 1.00

enum { SETTLE_MS = 5000, LOAD_MS = 2000, PARTED_MS = 3000, CONVERGE_MS = 60000 };

static void wake_nobody(void *context)
{
}

static void append_admissions(struct world *world, struct buffer *events, struct append_run *runs,
                              uint32_t *runs_count_out)
{
    struct buffer data = {0};
    uint32_t runs_count = 0;
    for (unsigned i = 1; i < world->machines_count; i++) {
        char address[32];
        size_t before = events->length;
        snprintf(address, sizeof address, "m%u:1", i);
        const struct member_event event = {
            .kind = MEMBER_ADMITTED,
            .actor = (uint16_t)(i + 1),
            .node = world->machines[i]->identity.node,
            .by = world->machines[0]->identity.node,
            .address = bytes_of_text(address),
        };
        buffer_clear(&data);
        memory_must(member_event_encode(&event, &data));
        memory_must(event_append(events, bytes_of_text(MEMBERS_NAMESPACE), buffer_bytes(&data),
                                 bytes_of(NULL, 0)));
        struct append_run *run = &runs[runs_count > 0 ? runs_count - 1 : 0];
        if (runs_count == 0 || run->count == CHUNK_EVENTS_MAX) {
            run = &runs[runs_count++];
        }
        run->count++;
        run->length += (uint32_t)(events->length - before);
    }
    buffer_deinit(&data);
    *runs_count_out = runs_count;
}

// Writes all admissions into the first machine's log.
static void write_admissions(struct world *world)
{
    struct machine *machine = world->machines[0];
    struct append_run *runs = memory_new(world->machines_count, sizeof *runs);
    struct buffer events = {0};
    struct append append = {.kind = APPEND_SYSTEM, .events = world->machines_count - 1};
    struct store_port *port;
    append_admissions(world, &events, runs, &append.runs_count);
    append.bytes = buffer_bytes(&events);
    append.runs = runs;
    machine_open_store(machine);
    memory_must(store_port_open(machine->store, wake_nobody, NULL, &port));
    store_append(port, &append);
    store_port_flush(port);
    store_step_commit(machine->store, world->wall_ms);
    observe_commit(machine);
    store_port_refresh(port);
    struct append *done = store_port_take_append(port);
    assert(done == &append && append.result == 0);
    store_port_close(port);
    memory_must(store_close(machine->store));
    disk_close(machine->log);
    disk_close(machine->index_disk);
    machine->store = NULL;
    buffer_deinit(&events);
    free(runs);
}

static void found(struct world *world)
{
    struct uuid cluster;
    random_bytes(&world->random, cluster.bytes, sizeof cluster.bytes);
    for (unsigned i = 0; i < world->machines_count; i++) {
        struct identity *identity = &world->machines[i]->identity;
        *identity = (struct identity){
            .cluster_name = "simulated", .cluster = cluster, .actor = (uint16_t)(i + 1)};
        random_bytes(&world->random, identity->node.bytes, sizeof identity->node.bytes);
        identity_begin_run(identity, random_u64(&world->random));
    }
    write_admissions(world);
    for (unsigned i = 1; i < world->machines_count; i++) {
        struct machine *machine = world->machines[i];
        disk_medium_free(machine->log_medium);
        machine->log_medium = disk_copy(world->machines[0]->log_medium, LOG_FAMILIES);
        machine->held = memory_grow(machine->held, &machine->held_capacity, 2, sizeof(uint32_t));
        machine->held[1] = world->machines[0]->held[1];
    }
}

// --- What is measured --------------------------------------------------------------------------

struct measured {
    struct instant at;
    uint64_t bytes;
    uint64_t events;
    struct copies copies;
    struct messages_sent sent;
};

static struct measured measure(const struct world *world)
{
    return (struct measured){.at = world->schedule.now,
                             .bytes = world->network.bytes_between_hosts,
                             .events = world->history.events,
                             .copies = check_copies(world),
                             .sent = world->sent};
}

static int compare_ns(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

// From the commit of a chunk until every machine had it.
static void print_lag(const struct world *world, struct instant begun)
{
    const struct history *history = &world->history;
    int64_t *lags = NULL;
    uint32_t capacity = 0;
    uint32_t count = 0;
    for (uint32_t actor = 0; actor < history->strands_count; actor++) {
        const struct history_strand *strand = history->strands[actor];
        for (uint32_t i = 0; strand && i < strand->chunks_count; i++) {
            const struct history_chunk *chunk = &strand->chunks[i];
            if (chunk->first_at.ns >= begun.ns && chunk->machines == world->machines_count) {
                lags = memory_grow(lags, &capacity, count + 1, sizeof *lags);
                lags[count++] = chunk->last_at.ns - chunk->first_at.ns;
            }
        }
    }
    if (count > 0) {
        qsort(lags, count, sizeof *lags, compare_ns);
        printf("  a chunk is everywhere after %.1f ms (half of them), %.1f ms (9 of 10), %.1f ms "
               "(all); model: %d ms\n",
               (double)lags[count / 2] / 1e6, (double)lags[(uint64_t)count * 9 / 10] / 1e6,
               (double)lags[count - 1] / 1e6, MODEL_MS);
    }
    free(lags);
}

static void print_sent(const struct world *world, const struct measured *before,
                       const struct measured *now)
{
    static const struct {
        const char *name;
        enum peer_message_kind kind;
    } kinds[] = {
        {"chunks", PEER_CHUNKS},   {"promises", PEER_PROMISES}, {"notes", PEER_NOTE},
        {"members", PEER_MEMBERS}, {"greetings", PEER_HELLO},   {"credit", PEER_CREDIT},
    };
    double node_seconds =
        (double)world->machines_count * (double)(now->at.ns - before->at.ns) / 1e9;
    uint64_t messages = 0;
    for (unsigned i = 0; i < MESSAGE_KINDS; i++) {
        messages += now->sent.messages[i] - before->sent.messages[i];
    }
    printf("  each node sends %.0f bytes and %.0f messages a second:",
           (double)(now->bytes - before->bytes) / node_seconds, (double)messages / node_seconds);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        uint64_t bytes = now->sent.bytes[kinds[i].kind] - before->sent.bytes[kinds[i].kind];
        printf("%s %s %.0f", i > 0 ? "," : "", kinds[i].name, (double)bytes / node_seconds);
    }
    printf("\n");
}

static void print_measured(const struct world *world, const struct measured *before)
{
    struct measured now = measure(world);
    uint64_t applied = now.copies.applied - before->copies.applied;
    uint64_t duplicate = now.copies.duplicate - before->copies.duplicate;
    printf("  %.3f copies per event and node; model: %.2f\n",
           applied > 0 ? (double)(applied + duplicate) / (double)applied : 0, MODEL_COPIES);
    print_lag(world, before->at);
    print_sent(world, before, &now);
}

// --- The course --------------------------------------------------------------------------------

static bool load(struct world *world, const char *what)
{
    struct measured before = measure(world);
    for (unsigned i = 0; i < world->producers_count; i++) {
        producer_start(world->producers[i]);
    }
    if (!world_pass(world, LOAD_MS)) {
        return false;
    }
    for (unsigned i = 0; i < world->producers_count; i++) {
        producer_stop(world->producers[i]);
    }
    int64_t ms = world_pass_until(world, check_is_converged, CONVERGE_MS, 1);
    printf("%s: %" PRIu64 " events, converged %" PRId64 " ms after the last\n", what,
           world->history.events - before.events, ms);
    print_measured(world, &before);
    if (ms < 0) {
        check_convergence_failed(world, CONVERGE_MS);
    }
    return !world->violation.check;
}

static void part(struct world *world, bool is_parted)
{
    world->network.parted_at = is_parted ? world->machines_count / 2 : 0;
    network_paths_changed(&world->network);
}

static bool run_large(struct world *world)
{
    found(world);
    for (unsigned i = 0; i < world->machines_count; i++) {
        schedule_set(&world->schedule, &world->machines[i]->start,
                     world_after_ms(world, world_between(world, 0, 1000)));
    }
    if (!world_pass(world, SETTLE_MS) || !load(world, "steady")) {
        return false;
    }
    part(world, true);
    for (unsigned i = 0; i < world->producers_count; i++) {
        producer_start(world->producers[i]);
    }
    if (!world_pass(world, PARTED_MS)) {
        return false;
    }
    for (unsigned i = 0; i < world->producers_count; i++) {
        producer_stop(world->producers[i]);
    }
    part(world, false);
    int64_t ms = world_pass_until(world, check_is_converged, CONVERGE_MS, 10);
    printf("parted in two for %d ms: converged %" PRId64 " ms after healing\n", PARTED_MS, ms);
    if (ms < 0) {
        check_convergence_failed(world, CONVERGE_MS);
        return false;
    }
    return load(world, "healed");
}

bool large_run(const struct options *options, bool is_traced)
{
    struct world *world = world_new(options, is_traced);
    run_large(world);
    bool is_violated = world->violation.check;
    if (is_violated) {
        printf("violation: seed %" PRIu64 ", virtual time %.6f s, check %s\n  %s\n", options->seed,
               (double)world->violation.at.ns / 1e9, world->violation.check, world->violation.text);
    }
    printf("trace %016" PRIx64 "\n", world->trace);
    world_free(world);
    return !is_violated;
}
