// One fault after the other, several at once; each is taken back after its time, or at the end.
#include "tests/simulation/faults.h"

#include <stdlib.h>

#include "replication/replica_state.h"
#include "server/node/cluster_state.h"
#include "tests/simulation/admin.h"
#include "tests/simulation/checks.h"
#include "tests/simulation/hostile.h"
#include "tests/simulation/machine.h"
#include "tests/simulation/memory.h"

enum { NS_PER_MS = 1000000, BACKUP_MS = 1500 };

struct faults {
    struct world *world;
    struct happening next;
    struct happening mend_paths;
    struct snapshot *snapshot; // of one machine, to be put back later
    unsigned snapshot_machine;
    struct instant restore_at; // not before
    bool was_restored;
    bool was_cloned;
    unsigned clone; // while there is one; UINT32_MAX: none
    struct happening end_clone;
    bool was_poisoned;
    unsigned poisoned; // while there is one; UINT32_MAX: none
    struct happening end_poison;
    struct hostile *hostile;
};

static struct machine *any_machine(struct world *world)
{
    return world->machines[random_below(&world->random, world->machines_count)];
}

static void reset_paths(struct world *world)
{
    for (unsigned a = 0; a < world->machines_count; a++) {
        for (unsigned b = 0; b < world->machines_count; b++) {
            struct path *path = network_path(&world->network, a, b);
            struct instant until = path->is_blocked ? world->schedule.now : path->blocked_until;
            *path = world->network.sound;
            path->blocked_until = until;
        }
    }
    network_paths_changed(&world->network);
}

static void on_mend_paths(struct happening *happening)
{
    struct faults *faults = container_of(happening, struct faults, mend_paths);
    world_trace(faults->world, "paths are sound", 0, 0, 0);
    reset_paths(faults->world);
}

static void mend_paths_later(struct faults *faults, int64_t ms_max)
{
    struct world *world = faults->world;
    schedule_set(&world->schedule, &faults->mend_paths,
                 world_after_ms(world, world_between(world, 50, ms_max)));
}

// Either two sides, or one machine alone, or single directions.
static void fault_partition(struct faults *faults)
{
    struct world *world = faults->world;
    uint64_t side = random_u64(&world->random);
    bool is_one_way = world_chance(world, 30);
    if (world_chance(world, 40)) {
        side = (uint64_t)1 << random_below(&world->random, world->machines_count);
    }
    world_trace(world, "partition", side & 0xff, is_one_way, 0);
    for (unsigned a = 0; a < world->machines_count; a++) {
        for (unsigned b = 0; b < world->machines_count; b++) {
            bool is_across = ((side >> a) & 1) > ((side >> b) & 1);
            if (is_across && a != b) {
                network_path(&world->network, a, b)->is_blocked = true;
                network_path(&world->network, b, a)->is_blocked |= !is_one_way;
            }
        }
    }
    network_paths_changed(&world->network);
    mend_paths_later(faults, world_chance(world, 30) ? 8000 : 2500);
}

static void fault_slow_path(struct faults *faults)
{
    struct world *world = faults->world;
    unsigned a = (unsigned)random_below(&world->random, world->machines_count);
    unsigned b = (unsigned)random_below(&world->random, world->machines_count);
    struct path *path = network_path(&world->network, a, b);
    if (a != b) {
        path->latency_ns = world_between(world, 1, 400) * NS_PER_MS;
        path->jitter_ns = path->latency_ns / 2;
        path->ns_per_kib = world_chance(world, 50) ? world_between(world, 10000, 10000000) : 0;
        world_trace(world, "slow path", a, b, (uint64_t)path->latency_ns);
        if (!happening_is_set(&faults->mend_paths)) {
            mend_paths_later(faults, 4000);
        }
    }
}

static void fault_cut(struct faults *faults)
{
    struct world *world = faults->world;
    struct connection *connection = network_any(&world->network, world_chance(world, 70));
    if (connection) {
        world_trace(world, "cut", 0, 0, 0);
        network_cut(connection);
    }
}

static int64_t down_ns(struct world *world)
{
    return world_between(world, 1, world_chance(world, 50) ? 100 : 3000) * NS_PER_MS;
}

static void fault_crash(struct faults *faults)
{
    struct world *world = faults->world;
    struct machine *machine = any_machine(world);
    if (machine->is_up && !happening_is_set(&machine->crash)) {
        machine->dies_at_save = world_chance(world, 10);
        struct instant at = world_after(world, world_between(world, 0, 50 * NS_PER_MS));
        machine_plan_crash(machine, at, down_ns(world));
    }
}

// The next write or sync fails, which ends the process; what it was to write may be there. Or a
// read fails, once.
static void fault_disk(struct faults *faults)
{
    struct world *world = faults->world;
    struct machine *machine = any_machine(world);
    enum disk_fault fault = (enum disk_fault)random_below(&world->random, 3);
    if (machine->is_up) {
        world_trace(world, "disk fault", machine->index, fault, 0);
        uint64_t times = 1 + random_below(&world->random, 3);
        bool is_sticky = world_chance(world, 50);
        disk_medium_fail(machine->log_medium, fault, times, is_sticky);
        machine->crashes_again = fault != DISK_FAULT_READ && world_chance(world, 40);
    }
}

// A disk is lost: the operator retires the actor that was on it.
static void wipe(struct faults *faults, struct machine *machine)
{
    struct world *world = faults->world;
    uint16_t actor = machine->identity.actor;
    machine_crash(machine, true);
    world_trace(world, "wiped", machine->index, actor, 0);
    machine_wipe(machine);
    schedule_set(&world->schedule, &machine->start, world_after(world, down_ns(world)));
    if (actor != 0) {
        admin_order(world->admin, CLUSTER_RETIRE, actor, UINT32_MAX);
    }
}

static void fault_wipe(struct faults *faults)
{
    struct machine *machine = any_machine(faults->world);
    // of two that are lost at once each is asked when the other is retired: that takes --force
    bool is_only = admin_is_idle(faults->world->admin);
    if (is_only && machine->is_up && machine->index != 0 && machine->disk_life == 0 &&
        !check_is_only_member(faults->world, machine)) {
        wipe(faults, machine);
    }
}

// Whether every member can be asked by every other, and nobody is about to go.
static bool is_sound(const struct faults *faults)
{
    const struct world *world = faults->world;
    bool is_sound = !happening_is_set(&faults->mend_paths) && admin_is_idle(world->admin);
    for (unsigned i = 0; i < world->machines_count; i++) {
        const struct machine *machine = world->machines[i];
        is_sound &= machine->is_up && !happening_is_set(&machine->crash) &&
                    !machine_is_frozen(machine) && machine->identity.actor != 0 &&
                    machine->disk_life == 0;
    }
    return is_sound;
}

static void start_soon(struct world *world, struct machine *machine)
{
    schedule_set(&world->schedule, &machine->start,
                 world_after_ms(world, world_between(world, 1, 200)));
}

// A backup is made, and put back later, when everybody is there to see it: what was issued
// meanwhile is known to the others, and the node may not issue any more under its old name.
static bool fault_old_disk(struct faults *faults)
{
    struct world *world = faults->world;
    if (faults->was_restored || !is_sound(faults)) {
        return false;
    }
    if (faults->snapshot && !instant_reached(faults->restore_at, world->schedule.now)) {
        return false; // a node that nobody has seen since is what it was, and nothing is to be
                      // rescued
    }
    if (!faults->snapshot) {
        struct machine *machine = any_machine(world);
        machine_crash(machine, true);
        faults->snapshot = machine_snapshot(machine);
        faults->snapshot_machine = machine->index;
        faults->restore_at = world_after_ms(world, BACKUP_MS);
        start_soon(world, machine);
        world_trace(world, "backup", machine->index, 0, 0);
        return false;
    }
    struct machine *machine = world->machines[faults->snapshot_machine];
    uint16_t actor = machine->identity.actor;
    world->lone = check_is_only_member(world, machine) ? machine : NULL;
    machine_crash(machine, true);
    machine_restore(machine, faults->snapshot);
    machine->may_have_lost = true;
    faults->snapshot = NULL;
    faults->was_restored = true;
    start_soon(world, machine);
    world_trace(world, "restored", machine->index, 0, 0);
    if (machine->identity.actor == actor) {
        admin_order(world->admin, CLUSTER_RESCUE, 0, machine->index);
    } else { // it was another then, and becomes a third by itself
        admin_order(world->admin, CLUSTER_RETIRE, actor, UINT32_MAX);
    }
    return true;
}

// A machine starts with a copy of another's disks, which runs as well; after a while the operator
// notices, and the copy is wiped.
static bool fault_clone(struct faults *faults)
{
    struct world *world = faults->world;
    struct machine *from = any_machine(world);
    struct machine *to = any_machine(world);
    if (faults->was_cloned || faults->was_restored || from == to || !is_sound(faults) ||
        check_is_only_member(world, to)) {
        return false;
    }
    uint16_t lost = to->identity.actor;
    machine_crash(from, true);
    machine_crash(to, true);
    machine_restore(to, machine_snapshot(from));
    to->may_have_lost = true;
    faults->was_cloned = true;
    faults->clone = to->index;
    start_soon(world, from);
    schedule_set(&world->schedule, &to->start, world_after_ms(world, 1000));
    schedule_set(&world->schedule, &faults->end_clone, world_after_ms(world, 6000));
    world_trace(world, "cloned", from->index, to->index, 0);
    admin_order(world->admin, CLUSTER_RETIRE, lost, UINT32_MAX);
    return true;
}

// A clock goes wild, as if a bit of it had flipped: what is issued from then on comes from nowhere,
// and nobody may take it. Later the operator replaces the machine.
static bool fault_poison(struct faults *faults)
{
    struct world *world = faults->world;
    struct machine *machine = any_machine(world);
    bool is_only = check_is_only_member(world, machine); // its machine will be replaced
    if (faults->was_poisoned || faults->was_cloned || faults->was_restored || machine->index == 0 ||
        is_only || !is_sound(faults)) {
        return false;
    }
    world_trace(world, "poisoned", machine->index, machine->identity.actor, 0);
    faults->was_poisoned = true;
    faults->poisoned = machine->index;
    machine->is_poisoned = true;
    machine->store->commit.clock += (uint64_t)1 << 50;
    schedule_set(&world->schedule, &faults->end_poison, world_after_ms(world, 4000));
    return true;
}

static void end_poison(struct faults *faults)
{
    if (faults->poisoned != UINT32_MAX) {
        struct machine *machine = faults->world->machines[faults->poisoned];
        faults->poisoned = UINT32_MAX;
        machine->is_poisoned = false;
        wipe(faults, machine);
    }
}

static void on_end_poison(struct happening *happening)
{
    end_poison(container_of(happening, struct faults, end_poison));
}

// A bit of a chunk flips, of which another machine has a copy.
static void fault_damage(struct faults *faults)
{
    struct world *world = faults->world;
    unsigned index = world->machines_count - 1; // always the same one: no chunk rots everywhere
    struct machine *machine = world->machines[index];
    struct machine *other = world->machines[random_below(&world->random, index)];
    uint16_t actor = other->identity.actor;
    if (!machine->is_up || actor == 0 || actor >= machine->held_capacity ||
        actor >= other->held_capacity) {
        return;
    }
    uint32_t held =
        machine->held[actor] < other->held[actor] ? machine->held[actor] : other->held[actor];
    if (held > 0) {
        const struct history_strand *strand = history_strand(&world->history, actor);
        uint32_t chunk = (uint32_t)random_below(&world->random, held);
        uint64_t first = strand->chunks[chunk].first;
        uint8_t key[EVENT_ID_KEY_LENGTH];
        event_id_encode_key((struct event_id){.counter = first, .actor = actor}, key);
        world_trace(world, "damage", index, actor, first);
        machine->is_rotten = true;
        disk_medium_flip(machine->log_medium, LOG_CHUNKS, bytes_of(key, sizeof key),
                         (size_t)random_below(&world->random, 640));
    }
}

static void end_clone(struct faults *faults)
{
    if (faults->clone != UINT32_MAX) {
        struct machine *machine = faults->world->machines[faults->clone];
        faults->clone = UINT32_MAX;
        world_trace(faults->world, "clone ends", machine->index, 0, 0);
        machine_crash(machine, true);
        machine_wipe(machine);
        start_soon(faults->world, machine);
    }
}

static void on_end_clone(struct happening *happening)
{
    end_clone(container_of(happening, struct faults, end_clone));
}

static void fault_small(struct faults *faults, unsigned kind)
{
    struct world *world = faults->world;
    struct machine *machine = any_machine(world);
    if (kind == 0 && world->options.freezes && machine->is_up) {
        int64_t ms = world_between(world, 5, world_chance(world, 30) ? 6000 : 800);
        world_trace(world, "freeze", machine->index, (uint64_t)ms, 0);
        machine_freeze(machine, ms * NS_PER_MS);
    } else if (kind == 1 && world->options.slow_disks) {
        machine->commit_ns = world_chance(world, 50) ? 300000 : 60 * NS_PER_MS;
    } else if (kind == 2 && world->options.clock_jumps) {
        machine->wall_offset_ms = world_between(world, -86400000, 86400000);
    }
}

static void on_next(struct happening *happening)
{
    struct faults *faults = container_of(happening, struct faults, next);
    struct world *world = faults->world;
    const struct options *options = &world->options;
    uint64_t kind = random_below(&world->random, 100);
    int64_t pause_ms = world_between(world, 10, 700);
    if ((options->old_disks && kind >= 78 && kind < 84 && fault_old_disk(faults)) ||
        (options->cloned_disks && kind >= 84 && kind < 90 && fault_clone(faults))) {
        pause_ms = 7000; // nothing else meanwhile
    } else if (options->poison && kind >= 90 && kind < 94 && fault_poison(faults)) {
        pause_ms = 5000;
    } else if (options->damage && kind >= 86) {
        fault_damage(faults);
    } else if (options->hostile && kind >= 94) {
        hostile_connect(faults->hostile);
    } else if (kind < 20 && options->crashes) {
        fault_crash(faults);
    } else if (kind >= 20 && kind < 35 && options->partitions) {
        fault_partition(faults);
    } else if (kind >= 35 && kind < 55 && options->cuts) {
        fault_cut(faults);
    } else if (kind >= 55 && kind < 65 && options->slow_paths) {
        fault_slow_path(faults);
    } else if (kind >= 65 && kind < 75 && options->disk_faults) {
        fault_disk(faults);
    } else if (kind >= 75 && kind < 78 && options->wiped_disks) {
        fault_wipe(faults);
    } else {
        fault_small(faults, (unsigned)(kind % 3));
    }
    schedule_set(&world->schedule, happening, world_after_ms(world, pause_ms));
}

struct faults *faults_new(struct world *world)
{
    struct faults *faults = memory_new(1, sizeof *faults);
    faults->world = world;
    faults->next.happen = on_next;
    faults->mend_paths.happen = on_mend_paths;
    faults->end_clone.happen = on_end_clone;
    faults->clone = UINT32_MAX;
    faults->end_poison.happen = on_end_poison;
    faults->poisoned = UINT32_MAX;
    faults->hostile = hostile_new(world);
    return faults;
}

void faults_free(struct faults *faults)
{
    schedule_clear(&faults->world->schedule, &faults->next);
    schedule_clear(&faults->world->schedule, &faults->mend_paths);
    schedule_clear(&faults->world->schedule, &faults->end_clone);
    schedule_clear(&faults->world->schedule, &faults->end_poison);
    snapshot_free(faults->snapshot);
    hostile_free(faults->hostile);
    free(faults);
}

void faults_start(struct faults *faults)
{
    schedule_set(&faults->world->schedule, &faults->next, faults->world->schedule.now);
}

void faults_end(struct faults *faults)
{
    struct world *world = faults->world;
    schedule_clear(&world->schedule, &faults->next);
    schedule_clear(&world->schedule, &faults->mend_paths);
    schedule_clear(&world->schedule, &faults->end_clone);
    schedule_clear(&world->schedule, &faults->end_poison);
    end_clone(faults);
    end_poison(faults);
    reset_paths(world);
    for (unsigned i = 0; i < world->machines_count; i++) {
        struct machine *machine = world->machines[i];
        machine_thaw(machine);
        machine->commit_ns = 300000;
        machine->gets_forged = false;
        machine->dies_at_save = false;
        disk_medium_fail(machine->log_medium, DISK_FAULT_WRITE, 0, false);
        disk_medium_fail(machine->log_medium, DISK_FAULT_SYNC, 0, false);
        disk_medium_fail(machine->log_medium, DISK_FAULT_READ, 0, false);
        machine->crashes_again = false;
        if (happening_is_set(&machine->crash)) {
            machine_crash(machine, true);
        }
        if (!machine->is_up) {
            schedule_set(&world->schedule, &machine->start, world->schedule.now);
        }
    }
}
