// The process of a node in virtual time. A turn of its loop takes what has come, does what is due,
// and sends; commits, reads and indexing are steps of their own, some time after there is work for
// them. A crash first takes away the network and the disks, and then lets what is in flight fail,
// so that nothing of it is seen by anybody.
#include "tests/simulation/machine.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/node/cluster.h"
#include "server/node/node.h"
#include "tests/simulation/branch.h"
#include "tests/simulation/disk_copy.h"
#include "tests/simulation/memory.h"

enum {
    TURN_NS_MAX = 20000,
    READ_NS_MAX = 200000,
    INDEX_NS = 20000000,
    SCRUB_NS = 20000000,
    SCRUB_ROUND_NS = 2000000000,
    PASSES_MAX = 8,
    DATA_BYTES_MAX = 64 * 1024,
    DRAIN_MAX = 100000,
    PEERS_MAX = 6, // all, where a cluster is founded
};

// --- The environment of its node ---------------------------------------------------------------

static struct instant env_now(void *context)
{
    const struct machine *machine = context;
    return machine->world->schedule.now;
}

static uint64_t wall_ms(const struct machine *machine)
{
    int64_t ms = machine->world->schedule.now.ns / 1000000 + machine->wall_offset_ms;
    return machine->world->wall_ms + (uint64_t)ms;
}

static uint64_t env_wall_ms(void *context)
{
    return wall_ms(context);
}

static void env_wake(void *context)
{
    struct machine *machine = context;
    machine->turn_wanted = true;
    machine_want_turn(machine);
}

static void env_random(void *context, uint8_t *out, size_t length)
{
    struct machine *machine = context;
    random_bytes(&machine->world->random, out, length);
}

static PRINTF_LIKE(4, 5) void env_log(void *context, enum log_level level, const char *part,
                                      const char *format, ...)
{
    const struct machine *machine = context;
    if (machine->world->is_traced) {
        va_list arguments;
        va_start(arguments, format);
        printf("%12.6f  m%u log %d %s: ", (double)machine->world->schedule.now.ns / 1e9,
               machine->index, (int)level, part);
        vprintf(format, arguments);
        printf("\n");
        va_end(arguments);
    }
}

static int save_identity(void *context, const struct identity *identity)
{
    struct machine *machine = context;
    if (machine->dies_at_save || !machine->is_up) {
        if (machine->is_up && !happening_is_set(&machine->crash)) {
            machine_plan_crash(machine, machine->world->schedule.now, 1000000);
        }
        machine->dies_at_save = false;
        return ERR_IO;
    }
    machine->identity = *identity;
    world_trace(machine->world, "identity", machine->index, identity->actor, identity->run);
    return 0;
}

// --- Steps -------------------------------------------------------------------------------------

bool machine_is_frozen(const struct machine *machine)
{
    return machine->frozen_until.ns > machine->world->schedule.now.ns;
}

// Puts off what happens while the process is frozen.
static bool is_put_off(struct machine *machine, struct happening *happening)
{
    if (machine_is_frozen(machine)) {
        schedule_set(&machine->world->schedule, happening, machine->frozen_until);
    }
    return machine_is_frozen(machine);
}

static void step_after(struct machine *machine, struct happening *happening, int64_t ns_max)
{
    struct world *world = machine->world;
    if (!happening_is_set(happening) || happening->at.ns > world->schedule.now.ns + ns_max) {
        schedule_set(&world->schedule, happening,
                     world_after(world, world_between(world, ns_max / 8, ns_max)));
    }
}

void machine_want_turn(struct machine *machine)
{
    if (machine->is_up) {
        step_after(machine, &machine->loop, TURN_NS_MAX);
    }
}

void machine_note_work(struct machine *machine)
{
    struct store *store = machine->store;
    if (store->queue.appends.first) {
        step_after(machine, &machine->commit, machine->commit_ns);
    }
    if (store->reads.waiting.first) {
        step_after(machine, &machine->read, READ_NS_MAX);
    }
    if (store->indexer.is_wanted) {
        step_after(machine, &machine->indexing, READ_NS_MAX);
    } else if (store->indexer.has_news) {
        step_after(machine, &machine->indexing, INDEX_NS);
    }
}

static void look_for_the_end(struct machine *machine)
{
    struct reason fatal;
    if (service_is_fatal(machine->service, &fatal) && !happening_is_set(&machine->crash)) {
        machine_plan_crash(machine, machine->world->schedule.now,
                           world_between(machine->world, 1000000, 500000000));
    }
}

static void on_loop(struct happening *happening)
{
    struct machine *machine = container_of(happening, struct machine, loop);
    struct world *world = machine->world;
    if (is_put_off(machine, happening)) {
        return;
    }
    sockets_receive(machine);
    sockets_tick(machine);
    if (instant_reached(service_deadline(machine->service), world->schedule.now)) {
        service_tick(machine->service, world->schedule.now);
        machine->turn_wanted = true;
    }
    for (unsigned pass = 0; pass < PASSES_MAX; pass++) {
        if (machine->turn_wanted) {
            machine->turn_wanted = false;
            service_turn(machine->service, world->schedule.now);
        }
        sockets_ready(machine);
        sockets_flush(machine);
        if (!machine->turn_wanted) {
            break;
        }
    }
    if (machine->turn_wanted) {
        machine_want_turn(machine);
    }
    machine_note_work(machine);
    look_for_the_end(machine);
    struct instant deadline =
        instant_earlier(service_deadline(machine->service), sockets_deadline(machine));
    if (deadline.ns != INT64_MAX) {
        schedule_hasten(&world->schedule, &machine->loop,
                        deadline.ns > world->schedule.now.ns ? deadline : world_after(world, 1000));
    }
}

static void on_commit(struct happening *happening)
{
    struct machine *machine = container_of(happening, struct machine, commit);
    if (!is_put_off(machine, happening)) {
        store_step_commit(machine->store, wall_ms(machine));
        observe_commit(machine);
        machine_note_work(machine);
    }
}

static void on_read(struct happening *happening)
{
    struct machine *machine = container_of(happening, struct machine, read);
    if (!is_put_off(machine, happening)) {
        store_step_read(machine->store);
        machine_note_work(machine);
    }
}

static void on_indexing(struct happening *happening)
{
    struct machine *machine = container_of(happening, struct machine, indexing);
    if (!is_put_off(machine, happening)) {
        if (store_step_index(machine->store)) {
            step_after(machine, &machine->indexing, READ_NS_MAX);
        }
        machine_note_work(machine);
    }
}

static void on_scrub(struct happening *happening)
{
    struct machine *machine = container_of(happening, struct machine, scrub);
    if (!is_put_off(machine, happening)) {
        bool is_round_over = !store_step_scrub(machine->store);
        step_after(machine, happening, is_round_over ? SCRUB_ROUND_NS : SCRUB_NS);
    }
}

static void on_crash(struct happening *happening)
{
    struct machine *machine = container_of(happening, struct machine, crash);
    machine_crash(machine, world_chance(machine->world, 70));
}

static void on_start(struct happening *happening)
{
    machine_start(container_of(happening, struct machine, start));
}

// --- Life --------------------------------------------------------------------------------------

static void media_new(struct machine *machine)
{
    machine->log_medium = disk_medium_new();
    machine->index_medium = disk_medium_new();
    assert(machine->log_medium && machine->index_medium);
}

struct machine *machine_new(struct world *world, unsigned index)
{
    struct machine *machine = memory_new(1, sizeof *machine);
    machine->world = world;
    machine->index = index;
    machine->commit_ns = 300000;
    machine->gets_forged = world->options.damage;
    machine->loop.happen = on_loop;
    machine->commit.happen = on_commit;
    machine->read.happen = on_read;
    machine->indexing.happen = on_indexing;
    machine->scrub.happen = on_scrub;
    machine->crash.happen = on_crash;
    machine->start.happen = on_start;
    list_init(&machine->sockets);
    list_init(&machine->dials);
    media_new(machine);
    machine->env = (struct node_env){
        .context = machine,
        .now = env_now,
        .wall_ms = env_wall_ms,
        .wake = env_wake,
        .connect = machine_dial,
        .random = env_random,
        .log = env_log,
    };
    return machine;
}

// As the server does before it opens the log: the run is raised and saved.
static void raise_run(struct machine *machine)
{
    struct identity *identity = &machine->identity;
    struct random *random = &machine->world->random;
    if (uuid_is_zero(&identity->node)) {
        *identity = (struct identity){.cluster_name = "simulated"};
        random_bytes(random, identity->node.bytes, sizeof identity->node.bytes);
    }
    identity_begin_run(identity, random_u64(random));
}

void machine_open_store(struct machine *machine)
{
    struct world *world = machine->world;
    const struct store_config config = {
        .actor = machine->identity.actor,
        .compress = world->options.compress,
        .recent_bytes_max = world->options.recent_bytes,
        .index_bytes_max = 1 << 20,
        .walk_bytes = world->options.walk_bytes,
        .has_peers = world->machines_count > 1,
        .seed = 7,
    };
    struct store_recovery recovery = {0};
    struct reason reason = {0};
    memory_must(disk_memory_open(machine->log_medium, LOG_FAMILIES, &machine->log));
    memory_must(disk_memory_open(machine->index_medium, INDEX_FAMILIES, &machine->index_disk));
    int err =
        store_open(&config, machine->log, machine->index_disk, &machine->store, &recovery, &reason);
    if (err != 0) {
        world_violation(world, "restart", "machine %u cannot open its log: %s", machine->index,
                        reason.text);
        machine->store = NULL;
        disk_close(machine->log);
        disk_close(machine->index_disk);
    }
}

static void open_cluster(struct machine *machine)
{
    struct world *world = machine->world;
    struct replica_address peers[PEER_ADDRESSES_MAX];
    struct cluster_config config = {
        .identity = machine->identity,
        .start_wait_ms = world->options.start_wait_ms,
        .peers = peers,
        .secret = world->options.has_secret ? bytes_of_text("a secret of the simulation")
                                            : bytes_of(NULL, 0),
        .save_identity = save_identity,
        .save_context = machine,
    };
    struct reason reason = {0};
    for (unsigned i = 0; i < world->machines_count && config.peers_count < PEERS_MAX; i++) {
        if (i != machine->index) {
            snprintf(peers[config.peers_count++].text, sizeof peers[0].text, "m%u:1", i);
        }
    }
    snprintf(config.advertise.text, sizeof config.advertise.text, "m%u:1", machine->index);
    int err = cluster_new(machine->service, &config, &reason);
    if (err != 0) {
        world_violation(world, "restart", "machine %u cannot join its cluster: %s", machine->index,
                        reason.text);
    }
}

void machine_start(struct machine *machine)
{
    struct world *world = machine->world;
    assert(!machine->is_up);
    world_trace(world, "start", machine->index, machine->life + 1, 0);
    machine->life++;
    machine->is_stopped = false;
    raise_run(machine);
    machine_open_store(machine);
    if (!machine->store) {
        return;
    }
    machine->is_up = true;
    observe_recovery(machine);
    const struct node_config config = {
        .identity = &machine->identity,
        .store = machine->store,
        .data_bytes_max = DATA_BYTES_MAX,
        .compress = world->options.compress,
        .after_timeout_ms = 1000,
        .seed = 11,
        .started = world->schedule.now,
        .services_max = 1,
    };
    memory_must(node_new(&config, &machine->node));
    memory_must(service_new(machine->node, &machine->env, &machine->service));
    open_cluster(machine);
    if (world->options.damage) {
        step_after(machine, &machine->scrub, SCRUB_NS);
    }
    machine->turn_wanted = true;
    machine_want_turn(machine);
    if (machine->crashes_again) {
        machine->crashes_again = false;
        struct instant at = world_after(world, world_between(world, 1, 30000000));
        machine_plan_crash(machine, at, world_between(world, 1000000, 100000000));
    }
}

// Nothing that comes back from the store can be told to anybody, or written, any more.
static void drain(struct machine *machine)
{
    struct store *store = machine->store;
    disk_medium_fail(machine->log_medium, DISK_FAULT_WRITE, 1, false);
    disk_medium_fail(machine->index_medium, DISK_FAULT_WRITE, 1, false);
    for (unsigned i = 0;; i++) {
        bool has_moved = store_step_commit(store, wall_ms(machine));
        has_moved |= store_step_read(store);
        has_moved |= store->indexer.is_wanted && store_step_index(store);
        service_turn(machine->service, machine->world->schedule.now);
        if (!has_moved && service_is_idle(machine->service)) {
            break;
        }
        assert(i < DRAIN_MAX);
    }
    disk_medium_fail(machine->log_medium, DISK_FAULT_WRITE, 0, false);
    disk_medium_fail(machine->log_medium, DISK_FAULT_SYNC, 0, false);
    disk_medium_fail(machine->index_medium, DISK_FAULT_WRITE, 0, false);
}

static void clear_steps(struct machine *machine)
{
    struct schedule *schedule = &machine->world->schedule;
    schedule_clear(schedule, &machine->loop);
    schedule_clear(schedule, &machine->commit);
    schedule_clear(schedule, &machine->read);
    schedule_clear(schedule, &machine->indexing);
    schedule_clear(schedule, &machine->scrub);
    schedule_clear(schedule, &machine->crash);
}

static void lose_unsynced(struct machine *machine, struct disk_medium *medium)
{
    size_t unsynced = disk_medium_unsynced(medium);
    size_t dropped = (size_t)random_below(&machine->world->random, unsynced + 1);
    disk_medium_crash(medium, world_chance(machine->world, 50) ? unsynced : dropped);
}

void machine_crash(struct machine *machine, bool has_power)
{
    struct world *world = machine->world;
    if (!machine->is_up) {
        return;
    }
    world_trace(world, "crash", machine->index, has_power, 0);
    machine->is_up = false;
    clear_steps(machine);
    dials_drop(machine);
    sockets_close(machine, has_power);
    service_shut_down(machine->service);
    disk_medium_fail(machine->log_medium, DISK_FAULT_READ, 0, false);
    drain(machine);
    dials_drop(machine);
    cluster_free(machine->service);
    service_free(machine->service);
    node_free(machine->node);
    store_abandon(machine->store);
    disk_close(machine->log);
    disk_close(machine->index_disk);
    machine->service = NULL;
    machine->store = NULL;
    machine->node = NULL;
    clear_steps(machine);
    if (!has_power) {
        lose_unsynced(machine, machine->log_medium);
        lose_unsynced(machine, machine->index_medium);
    }
}

void machine_plan_crash(struct machine *machine, struct instant at, int64_t down_ns)
{
    struct schedule *schedule = &machine->world->schedule;
    schedule_set(schedule, &machine->crash, at);
    if (down_ns > 0) {
        struct instant from = at.ns > schedule->now.ns ? at : schedule->now;
        schedule_set(schedule, &machine->start, (struct instant){.ns = from.ns + down_ns});
    }
}

void machine_freeze(struct machine *machine, int64_t ns)
{
    struct instant until = world_after(machine->world, ns);
    if (until.ns > machine->frozen_until.ns) {
        machine->frozen_until = until;
    }
}

void machine_thaw(struct machine *machine)
{
    struct schedule *schedule = &machine->world->schedule;
    struct happening *happenings[] = {&machine->loop, &machine->commit, &machine->read,
                                      &machine->indexing, &machine->scrub};
    if (!machine_is_frozen(machine)) {
        return;
    }
    machine->frozen_until = schedule->now;
    for (size_t i = 0; i < sizeof happenings / sizeof *happenings; i++) {
        if (happening_is_set(happenings[i])) {
            schedule_hasten(schedule, happenings[i], schedule->now);
        }
    }
    dials_hasten(machine);
}

static void media_replace(struct machine *machine, struct disk_medium *log,
                          struct disk_medium *index)
{
    assert(!machine->is_up);
    disk_medium_free(machine->log_medium);
    disk_medium_free(machine->index_medium);
    machine->log_medium = log;
    machine->index_medium = index;
    machine->disk_life++;
    branch_drop(machine);
    history_strand(&machine->world->history, machine->identity.actor)->is_lossy = true;
}

void machine_wipe(struct machine *machine)
{
    media_replace(machine, disk_medium_new(), disk_medium_new());
    assert(machine->log_medium && machine->index_medium);
    machine->identity = (struct identity){0};
    memset(machine->held, 0, machine->held_capacity * sizeof *machine->held);
}

struct snapshot *machine_snapshot(struct machine *machine)
{
    struct snapshot *snapshot = memory_new(1, sizeof *snapshot);
    assert(!machine->is_up);
    snapshot->log_medium = disk_copy(machine->log_medium, LOG_FAMILIES);
    snapshot->index_medium = disk_copy(machine->index_medium, INDEX_FAMILIES);
    snapshot->identity = machine->identity;
    snapshot->held = memory_new(machine->held_capacity + 1, sizeof *snapshot->held);
    snapshot->held_count = machine->held_capacity;
    if (machine->held_capacity > 0) {
        memcpy(snapshot->held, machine->held, machine->held_capacity * sizeof *machine->held);
    }
    return snapshot;
}

void machine_restore(struct machine *machine, struct snapshot *snapshot)
{
    media_replace(machine, snapshot->log_medium, snapshot->index_medium);
    machine->identity = snapshot->identity;
    free(machine->held);
    machine->held = snapshot->held;
    machine->held_capacity = snapshot->held_count;
    free(snapshot);
}

void snapshot_free(struct snapshot *snapshot)
{
    if (snapshot) {
        disk_medium_free(snapshot->log_medium);
        disk_medium_free(snapshot->index_medium);
        free(snapshot->held);
        free(snapshot);
    }
}

uint64_t machines_hold(const struct world *world, uint16_t actor)
{
    uint64_t highest = 0;
    for (unsigned i = 0; i < world->machines_count; i++) {
        const struct machine *machine = world->machines[i];
        bool is_lost = machine->is_given_up && machine->identity.actor == actor;
        uint32_t held = actor < machine->held_capacity && !is_lost ? machine->held[actor] : 0;
        bool is_branch = machine->branch && machine->branch_actor == actor;
        held = is_branch && held > machine->branch_common ? machine->branch_common : held;
        uint64_t last = held > 0 ? world->history.strands[actor]->chunks[held - 1].last : 0;
        highest = last > highest ? last : highest;
    }
    return highest;
}

void machine_free(struct machine *machine)
{
    machine_crash(machine, true);
    schedule_clear(&machine->world->schedule, &machine->start);
    disk_medium_free(machine->log_medium);
    disk_medium_free(machine->index_medium);
    branch_drop(machine);
    free(machine->held);
    free(machine);
}

bool machine_accept(struct machine *machine, struct endpoint *client)
{
    if (!machine->is_up) {
        return false;
    }
    struct socket *socket = socket_new(machine, 0);
    network_connect(&machine->world->network, client, machine->index, socket_endpoint(socket),
                    machine->index);
    return true;
}
