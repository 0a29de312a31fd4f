// Each scenario is a chain of steps, the first of which waits until all machines are members.
#include "tests/simulation/scenario.h"

#include <inttypes.h>
#include <stdlib.h>

#include "replication/replica_state.h"
#include "server/node/cluster_state.h"
#include "server/node/node.h"
#include "tests/simulation/admin.h"
#include "tests/simulation/consumer.h"
#include "tests/simulation/ledger.h"
#include "tests/simulation/machine.h"
#include "tests/simulation/memory.h"

enum {
    NS_PER_MS = 1000000,
    ALONE_MS = 8000, // longer than a start waits for others
    LEAP = 1 << 22,  // of a clock: more than a lease
    RAISE_MS = 450,  // a node promises what it heard of: sooner than its source would change
    KNOWN_MS = 2500, // mostly
    MEET_MS = 4000,  // by then whose strand has forked knows it
    FORK_BEGINS_MS = 6000,
};

struct scenario {
    struct world *world;
    struct happening next;
    void (*step)(struct scenario *scenario);
    struct machine *victim;
    struct machine *other;
    uint64_t frontier; // of the victim, some time ago
    uint64_t leapt_to;
    struct instant until;
    struct instant latest;    // later it does not begin
    struct instant leap_held; // since when a third machine holds an event above the leap
    struct snapshot *snapshot;
    struct version_vector targets[HOSTS_WITH_PATHS_MAX]; // by machine
};

static void next_step(struct scenario *scenario, void (*step)(struct scenario *), int64_t ms)
{
    struct world *world = scenario->world;
    scenario->step = step;
    schedule_set(&world->schedule, &scenario->next, world_after_ms(world, ms));
}

static void on_next(struct happening *happening)
{
    struct scenario *scenario = container_of(happening, struct scenario, next);
    scenario->step(scenario);
}

static bool is_well(const struct machine *machine)
{
    return machine->is_up && !happening_is_set(&machine->crash) && !machine_is_frozen(machine) &&
           joining_is_member(machine->service->cluster->replica);
}

static bool are_all_well(const struct world *world)
{
    bool are_well = admin_is_idle(world->admin);
    for (unsigned i = 0; i < world->machines_count; i++) {
        are_well &= is_well(world->machines[i]);
    }
    return are_well;
}

// A newcomer takes no strand from its owner: where few see each other it may have to wait.
static bool has_newcomer(const struct world *world)
{
    for (unsigned i = 0; i < world->machines_count; i++) {
        const struct machine *machine = world->machines[i];
        if (machine->is_up && !joining_is_member(machine->service->cluster->replica)) {
            return true;
        }
    }
    return false;
}

// Two different machines; the victim has kept its disk so far and is not the first.
static bool choose_two(struct scenario *scenario)
{
    struct world *world = scenario->world;
    unsigned count = world->machines_count;
    unsigned victim = 1 + (unsigned)random_below(&world->random, count - 1);
    unsigned other = (victim + 1 + (unsigned)random_below(&world->random, count - 1)) % count;
    scenario->victim = world->machines[victim];
    scenario->other = world->machines[other];
    return are_all_well(world) && scenario->victim->disk_life == 0;
}

static void block(struct world *world, unsigned from, unsigned to, bool is_blocked)
{
    network_path(&world->network, from, to)->is_blocked = is_blocked;
}

// Nothing comes from the machine, or to it.
static void isolate(struct world *world, const struct machine *machine)
{
    for (unsigned i = 0; i < world->machines_count; i++) {
        block(world, i, machine->index, i != machine->index);
        block(world, machine->index, i, i != machine->index);
    }
    network_paths_changed(&world->network);
}

static void mend(struct world *world)
{
    for (unsigned a = 0; a < world->machines_count; a++) {
        for (unsigned b = 0; b < world->machines_count; b++) {
            *network_path(&world->network, a, b) = world->network.sound;
        }
    }
    network_paths_changed(&world->network);
}

static void start_after(struct world *world, struct machine *machine, int64_t ms_max)
{
    schedule_set(&world->schedule, &machine->start,
                 world_after(world, world_between(world, 1000, ms_max * NS_PER_MS)));
}

static uint64_t frontier_of(const struct machine *machine)
{
    return machine->node ? atomic_load(&machine->node->view.frontier) : 0;
}

// --- A start with nobody to ask ----------------------------------------------------------------

static void alone_begin(struct scenario *scenario);

// What was stable before the crash is stable again.
static void alone_end(struct scenario *scenario)
{
    struct machine *victim = scenario->victim;
    if (victim->is_up && frontier_of(victim) < scenario->frontier) {
        world_violation(scenario->world, "order",
                        "the frontier of machine %u was %" PRIu64 ", and is %" PRIu64
                        " some seconds after a crash",
                        victim->index, scenario->frontier, frontier_of(victim));
    }
    mend(scenario->world);
    next_step(scenario, alone_begin, 1500);
}

static bool reads_stable(const struct machine *machine)
{
    return machine->node && atomic_load(&machine->node->view.stable_readers) > 0;
}

// Whether the victim knows that somebody reads in stable order at the other machine, whose way to
// it is slow now: what it began to wish since comes late.
static bool has_heard_of_wish(const struct scenario *scenario)
{
    const struct machine *victim = scenario->victim;
    const struct replica *replica = victim->is_up ? victim->service->cluster->replica : NULL;
    bool is_heard = false;
    for (uint32_t i = 0; replica && i < replica->links_count; i++) {
        const struct link *link = &replica->links[i];
        is_heard |= link->actor == scenario->other->identity.actor && link->stable_wanted;
    }
    return is_heard;
}

// Who lags behind holds nobody back: what it hears of it promises, before it holds it; at once as
// long as somebody else reads in stable order.
static void judge_raise(struct scenario *scenario, uint64_t held)
{
    struct world *world = scenario->world;
    if (held >= scenario->leapt_to && scenario->leap_held.ns == INSTANT_NEVER.ns) {
        scenario->leap_held = world->schedule.now;
    }
    if (scenario->leap_held.ns != INSTANT_NEVER.ns &&
        instant_reached(instant_add(scenario->leap_held, duration_ms(RAISE_MS)),
                        world->schedule.now)) {
        world_violation(world, "order",
                        "a machine that lags behind keeps all frontiers below %" PRIu64,
                        scenario->leapt_to);
    }
}

// It dies when others have heard its promise and it may not hold yet what moved its clock.
static void alone_watch(struct scenario *scenario)
{
    struct world *world = scenario->world;
    struct machine *victim = scenario->victim;
    bool is_promised = instant_reached(scenario->until, world->schedule.now);
    uint16_t actor = scenario->other->identity.actor;
    uint64_t held = 0;
    bool is_wanted = false;
    for (unsigned i = 0; i < world->machines_count; i++) {
        struct machine *machine = world->machines[i];
        is_wanted |= machine != victim && reads_stable(machine) &&
                     (machine != scenario->other || has_heard_of_wish(scenario));
        is_promised |= machine != victim && frontier_of(machine) >= scenario->leapt_to;
        if (machine != victim && machine != scenario->other && machine->is_up) {
            held = version_vector_get(&machine->store->published.vector, actor);
        }
    }
    if (!is_wanted) {
        scenario->leap_held = INSTANT_NEVER;
    }
    if (!is_promised) {
        judge_raise(scenario, is_wanted ? held : 0);
        next_step(scenario, alone_watch, 1);
        return;
    }
    machine_crash(victim, world_chance(world, 50));
    isolate(world, victim);
    start_after(world, victim, 50);
    next_step(scenario, alone_end, ALONE_MS);
}

// A clock makes a leap, which the victim hears of before it gets the events.
static void alone_leap(struct scenario *scenario)
{
    struct world *world = scenario->world;
    if (!are_all_well(world)) {
        next_step(scenario, alone_begin, 300);
        return;
    }
    unsigned from = scenario->other->index;
    struct store *store = scenario->other->store;
    network_path(&world->network, from, scenario->victim->index)->latency_ns = 1200 * NS_PER_MS;
    network_paths_changed(&world->network);
    store->commit.clock += LEAP;
    scenario->leapt_to = store->commit.clock;
    scenario->until = world_after_ms(world, 1500);
    scenario->leap_held = INSTANT_NEVER;
    world_trace(world, "leap", from, scenario->leapt_to, 0);
    next_step(scenario, alone_watch, 1);
}

static void alone_begin(struct scenario *scenario)
{
    if (!choose_two(scenario)) {
        next_step(scenario, alone_begin, 300);
        return;
    }
    scenario->frontier = frontier_of(scenario->victim);
    next_step(scenario, alone_leap, 1500);
}

// --- A disk that lies --------------------------------------------------------------------------

static void lie_begin(struct scenario *scenario);

static void lie_end(struct scenario *scenario)
{
    mend(scenario->world);
    next_step(scenario, lie_begin, 2000);
}

// Whether all that the victim ever issued is on another machine too.
static bool is_held_elsewhere(const struct scenario *scenario)
{
    const struct world *world = scenario->world;
    uint16_t actor = scenario->victim->identity.actor;
    uint32_t held = actor < scenario->victim->held_capacity ? scenario->victim->held[actor] : 0;
    bool is_held = false;
    for (unsigned i = 0; i < world->machines_count; i++) {
        const struct machine *machine = world->machines[i];
        is_held |= machine != scenario->victim && machine != scenario->other &&
                   actor < machine->held_capacity && machine->held[actor] >= held;
    }
    return is_held;
}

// The disk goes back to what it held; one of those that are asked lacks what came since.
static void lie_back(struct scenario *scenario)
{
    struct world *world = scenario->world;
    struct machine *victim = scenario->victim;
    if (instant_reached(scenario->until, world->schedule.now) || !are_all_well(world)) {
        snapshot_free(scenario->snapshot);
        scenario->snapshot = NULL;
        lie_end(scenario);
        return;
    }
    if (!is_held_elsewhere(scenario)) {
        next_step(scenario, lie_back, 1);
        return;
    }
    machine_crash(victim, true);
    scenario->snapshot->identity = victim->identity;
    machine_restore(victim, scenario->snapshot);
    scenario->snapshot = NULL;
    victim->may_have_lost = true;
    block(world, victim->index, scenario->other->index, false);
    network_paths_changed(&world->network);
    start_after(world, victim, 20);
    world_trace(world, "lied", victim->index, scenario->other->index, 0);
    next_step(scenario, lie_end, 1500);
}

static void lie_part(struct scenario *scenario)
{
    struct world *world = scenario->world;
    for (unsigned i = 0; i < world->machines_count; i++) {
        block(world, i, scenario->other->index, i != scenario->other->index);
    }
    network_paths_changed(&world->network);
    scenario->until = world_after_ms(world, 4000);
    next_step(scenario, lie_back, 2400);
}

static void lie_begin(struct scenario *scenario)
{
    if (!choose_two(scenario)) {
        next_step(scenario, lie_begin, 300);
        return;
    }
    machine_crash(scenario->victim, true);
    scenario->snapshot = machine_snapshot(scenario->victim);
    start_after(scenario->world, scenario->victim, 20);
    next_step(scenario, lie_part, 2500);
}

// --- A strand that forks ------------------------------------------------------------------------

static bool takes_events(const struct machine *machine)
{
    return machine->node && atomic_load(&machine->node->view.may_produce);
}

// The owner has met the others, who contradict it: it may not go on as if they had not.
static void fork_judge(struct scenario *scenario)
{
    struct world *world = scenario->world;
    const struct machine *victim = scenario->victim;
    bool goes_on = victim->identity.actor == victim->branch_actor && takes_events(victim);
    if (goes_on) {
        world_violation(world, "fork",
                        "machine %u takes events as actor %u, seconds after it met others that "
                        "hold other events under its ids",
                        victim->index, victim->branch_actor);
    }
}

static void fork_rescue(struct scenario *scenario)
{
    struct machine *victim = scenario->victim;
    if (!victim->branch && takes_events(victim)) {
        victim->may_fork = false; // it was told before it issued anything
        return;
    }
    admin_order(scenario->world->admin, CLUSTER_RESCUE, 0, victim->index);
    next_step(scenario, fork_judge, MEET_MS);
}

// Both branches meet, and somebody may fail meanwhile.
static void fork_meet(struct scenario *scenario)
{
    struct world *world = scenario->world;
    struct machine *victim = scenario->victim;
    int64_t rescue_ms = MEET_MS;
    mend(world);
    world_trace(world, "meet", victim->index, victim->branch_actor, victim->branch != NULL);
    if (victim->branch) {
        rescue_ms = world_between(world, KNOWN_MS, MEET_MS);
    }
    if (victim->branch && world_chance(world, 50)) {
        // The owner only when it knows: one that starts before takes the others' branch for what
        // its disk lost, and waits for it in vain.
        struct machine *failing = world_chance(world, 60) ? victim : scenario->other;
        int64_t crash_ms = rescue_ms + world_between(world, 0, 1500);
        int64_t down_ms = world_between(world, 1, 1000);
        machine_plan_crash(failing, world_after_ms(world, crash_ms), down_ms * NS_PER_MS);
    }
    next_step(scenario, fork_rescue, rescue_ms);
}

// Until it has issued something again.
static void fork_alone(struct scenario *scenario)
{
    struct world *world = scenario->world;
    if (scenario->victim->branch) {
        next_step(scenario, fork_meet, world_between(world, 0, 3000));
    } else if (instant_reached(scenario->until, world->schedule.now)) {
        fork_meet(scenario);
    } else {
        next_step(scenario, fork_alone, 10);
    }
}

static void fork_begin(struct scenario *scenario);

// The disk goes back to what it held, when others hold all that came since; nobody says so.
static void fork_back(struct scenario *scenario)
{
    struct world *world = scenario->world;
    struct machine *victim = scenario->victim;
    struct snapshot *snapshot = scenario->snapshot;
    uint16_t actor = victim->identity.actor;
    uint32_t held = actor < snapshot->held_count ? snapshot->held[actor] : 0;
    if (instant_reached(scenario->until, world->schedule.now) || !are_all_well(world) ||
        snapshot->identity.actor != actor) {
        snapshot_free(snapshot);
        scenario->snapshot = NULL;
        next_step(scenario, fork_begin, 300);
        return;
    }
    if (held == 0 || victim->held[actor] == held || !is_held_elsewhere(scenario)) {
        next_step(scenario, fork_back, 1);
        return;
    }
    machine_crash(victim, true);
    snapshot->identity = victim->identity;
    machine_restore(victim, snapshot);
    scenario->snapshot = NULL;
    victim->may_have_lost = true;
    victim->may_fork = true;
    victim->branch_actor = actor;
    isolate(world, victim);
    start_after(world, victim, 20);
    scenario->until = world_after_ms(world, ALONE_MS);
    world_trace(world, "went back", victim->index, actor, held);
    next_step(scenario, fork_alone, 10);
}

static void fork_begin(struct scenario *scenario)
{
    struct world *world = scenario->world;
    if (instant_reached(scenario->latest, world->schedule.now)) {
        return; // too late for all that follows
    }
    // An admission that only the others' branch holds is one that the owner never comes to know.
    if (!choose_two(scenario) || has_newcomer(world)) {
        next_step(scenario, fork_begin, 300);
        return;
    }
    machine_crash(scenario->victim, true);
    scenario->snapshot = machine_snapshot(scenario->victim);
    start_after(world, scenario->victim, 20);
    int64_t ms = world_between(world, 500, 3000);
    scenario->until = world_after_ms(world, ms + 2000);
    next_step(scenario, fork_back, ms);
}

static void fork_first(struct scenario *scenario)
{
    scenario->latest = world_after_ms(scenario->world, FORK_BEGINS_MS);
    fork_begin(scenario);
}

// --- A member is given up ----------------------------------------------------------------------

static void retire_begin(struct scenario *scenario);

static void retire_end(struct scenario *scenario)
{
    mend(scenario->world);
    next_step(scenario, retire_begin, 2000);
}

static void retire_wipe(struct scenario *scenario)
{
    struct world *world = scenario->world;
    struct machine *victim = scenario->victim;
    machine_crash(victim, world_chance(world, 50));
    schedule_clear(&world->schedule, &victim->start);
    machine_wipe(victim);
    victim->is_given_up = false;
    start_after(world, victim, 500);
    next_step(scenario, retire_end, world_between(world, 1, 800));
}

static void retire_order(struct scenario *scenario)
{
    struct world *world = scenario->world;
    struct machine *victim = scenario->victim;
    if (!are_all_well(world)) {
        retire_end(scenario);
        return;
    }
    uint16_t actor = victim->identity.actor;
    world_trace(world, "given up", victim->index, actor, 0);
    victim->is_given_up = true;
    history_strand(&world->history, actor)->is_lossy = true;
    for (unsigned i = 0; i < world->consumers_count; i++) {
        consumer_leave(world->consumers[i], victim->index);
    }
    for (unsigned i = 0; i < world->ledgers_count; i++) {
        ledger_leave(world->ledgers[i], victim->index);
    }
    admin_order(world->admin, CLUSTER_RETIRE, actor, UINT32_MAX);
    next_step(scenario, retire_wipe, world_between(world, 300, 2000));
}

static void retire_begin(struct scenario *scenario)
{
    struct world *world = scenario->world;
    if (!choose_two(scenario)) {
        next_step(scenario, retire_begin, 300);
        return;
    }
    unsigned victim = scenario->victim->index;
    for (unsigned i = 0; i < world->machines_count; i++) {
        bool is_parted = i != victim && (i == scenario->other->index || world_chance(world, 40));
        block(world, victim, i, is_parted);
        block(world, i, victim, is_parted && world_chance(world, 70));
    }
    network_paths_changed(&world->network);
    next_step(scenario, retire_order,
              world_between(world, 50, world_chance(world, 50) ? 400 : 3000));
}

// --- Not everybody reaches everybody -----------------------------------------------------------

static void mesh_begin(struct scenario *scenario);

// A link over which nothing came for seconds is dead.
static void judge_links(const struct scenario *scenario, const struct machine *machine)
{
    struct world *world = scenario->world;
    const struct replica *replica = machine->service->cluster->replica;
    for (unsigned i = 0; i < world->machines_count; i++) {
        uint16_t actor = world->machines[i]->identity.actor;
        bool is_blocked = network_is_blocked(&world->network, i, machine->index);
        for (uint32_t k = 0; k < replica->links_count && is_blocked; k++) {
            if (replica->links[k].actor == actor && !replica->links[k].is_ended) {
                world_violation(world, "liveness",
                                "machine %u keeps its link to machine %u, which it has not heard "
                                "of for seconds",
                                machine->index, i);
            }
        }
    }
}

static void mesh_judge(struct scenario *scenario)
{
    struct world *world = scenario->world;
    bool is_judged = !has_newcomer(world);
    for (unsigned i = 0; i < world->machines_count && is_judged; i++) {
        const struct machine *machine = world->machines[i];
        const struct version_vector *target = &scenario->targets[i];
        if (target->count > 0 && machine->is_up) {
            judge_links(scenario, machine);
        }
        for (uint32_t k = 0; k < target->count && machine->is_up; k++) {
            struct version_entry entry = target->entries[k];
            uint64_t held = version_vector_get(&machine->store->published.vector, entry.actor);
            if (held < entry.counter) {
                world_violation(world, "liveness",
                                "machine %u holds actor %u up to %" PRIu64
                                "; what it reaches held it up to %" PRIu64 " seconds before",
                                i, entry.actor, held, entry.counter);
            }
        }
    }
    mend(world);
    next_step(scenario, mesh_begin, 1500);
}

static void target_add(struct version_vector *target, const struct version_vector *vector)
{
    for (uint32_t i = 0; i < vector->count; i++) {
        memory_must(
            version_vector_raise(target, vector->entries[i].actor, vector->entries[i].counter));
    }
}

// Links that are blocked are dead by now. What a machine holds, all that it reaches must get, over
// others if need be.
static void mesh_note(struct scenario *scenario)
{
    struct world *world = scenario->world;
    unsigned count = world->machines_count;
    for (unsigned i = 0; i < count; i++) {
        version_vector_deinit(&scenario->targets[i]);
    }
    if (!are_all_well(world)) {
        mesh_judge(scenario);
        return;
    }
    for (unsigned i = 0; i < count; i++) {
        target_add(&scenario->targets[i], &world->machines[i]->store->published.vector);
    }
    for (unsigned round = 0; round < count; round++) {
        for (unsigned a = 0; a < count; a++) {
            for (unsigned b = 0; b < count; b++) {
                if (a != b && !network_is_blocked(&world->network, a, b)) {
                    target_add(&scenario->targets[a], &scenario->targets[b]);
                }
            }
        }
    }
    next_step(scenario, mesh_judge, 5500);
}

static void mesh_begin(struct scenario *scenario)
{
    struct world *world = scenario->world;
    if (!are_all_well(world)) {
        next_step(scenario, mesh_begin, 300);
        return;
    }
    for (unsigned a = 0; a < world->machines_count; a++) {
        for (unsigned b = 0; b < a; b++) {
            bool is_blocked = world_chance(world, 40);
            block(world, a, b, is_blocked);
            block(world, b, a, is_blocked);
        }
    }
    network_paths_changed(&world->network);
    world_trace(world, "mesh", 0, 0, 0);
    next_step(scenario, mesh_note, 2600);
}

// --- A peer that leaves out chunks -------------------------------------------------------------

static void gaps_next(struct scenario *scenario)
{
    struct world *world = scenario->world;
    struct machine *machine = world->machines[random_below(&world->random, world->machines_count)];
    machine->loses_chunks = machine->is_up;
    next_step(scenario, gaps_next, world_between(world, 50, 1500));
}

// --- Life --------------------------------------------------------------------------------------

struct scenario *scenario_new(struct world *world)
{
    struct scenario *scenario = memory_new(1, sizeof *scenario);
    scenario->world = world;
    scenario->next.happen = on_next;
    return scenario;
}

void scenario_free(struct scenario *scenario)
{
    schedule_clear(&scenario->world->schedule, &scenario->next);
    snapshot_free(scenario->snapshot);
    for (unsigned i = 0; i < HOSTS_WITH_PATHS_MAX; i++) {
        version_vector_deinit(&scenario->targets[i]);
    }
    free(scenario);
}

void scenario_start(struct scenario *scenario)
{
    static void (*const FIRST[])(struct scenario *) = {
        [SCENARIO_ALONE] = alone_begin,   [SCENARIO_LIE] = lie_begin,
        [SCENARIO_RETIRE] = retire_begin, [SCENARIO_MESH] = mesh_begin,
        [SCENARIO_GAPS] = gaps_next,      [SCENARIO_FORK] = fork_first,
    };
    if (scenario->world->options.scenario != SCENARIO_NONE) {
        next_step(scenario, FIRST[scenario->world->options.scenario], 1000);
    }
}

void scenario_end(struct scenario *scenario)
{
    struct world *world = scenario->world;
    schedule_clear(&world->schedule, &scenario->next);
    for (unsigned i = 0; i < world->machines_count; i++) {
        world->machines[i]->loses_chunks = false;
        if (world->machines[i]->is_given_up) {
            retire_wipe(scenario);
            schedule_clear(&world->schedule, &scenario->next);
        }
    }
}
