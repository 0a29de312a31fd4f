// The course of a run: the cluster founds itself, a phase of faults under load, healing, then
// everybody must come to hold the same and every consumer to have it; at last a steady phase in
// which copies are counted.
#include "tests/simulation/run.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "replication/replica_state.h"
#include "server/node/cluster_state.h"
#include "tests/simulation/admin.h"
#include "tests/simulation/check_groups.h"
#include "tests/simulation/checks.h"
#include "tests/simulation/consumer.h"
#include "tests/simulation/faults.h"
#include "tests/simulation/ledger.h"
#include "tests/simulation/machine.h"
#include "tests/simulation/memory.h"
#include "tests/simulation/producer.h"
#include "tests/simulation/scenario.h"
#include "tests/simulation/world_run.h"

enum {
    FOUNDING_MS = 3000,
    CONVERGE_MS = 3500,
    LINKS_SETTLE_MS = 3000, // dead ones go, others take their place
    CONSUME_MS = 6000,
    OPERATE_MS = 30000,
    GROUPS_MS = 15000, // the longest delay, or silence, of each attempt
    POLL_MS = 20,
    LOOK_MS = 250,
};

static void look_at_groups(struct happening *happening)
{
    struct world *world = container_of(happening, struct world, look);
    check_groups_bounds(world);
    happening->happen = look_at_groups;
    schedule_set(&world->schedule, happening, world_after_ms(world, LOOK_MS));
}

static void start_all(struct world *world)
{
    for (unsigned i = 0; i < world->machines_count; i++) {
        schedule_set(&world->schedule, &world->machines[i]->start,
                     world_after_ms(world, world_between(world, 0, 300)));
    }
    for (unsigned i = 0; i < world->producers_count; i++) {
        producer_start(world->producers[i]);
    }
    for (unsigned i = 0; i < world->consumers_count; i++) {
        consumer_start(world->consumers[i]);
    }
    for (unsigned i = 0; i < world->ledgers_count; i++) {
        ledger_start(world->ledgers[i]);
    }
    if (world->ledgers_count > 0) {
        look_at_groups(&world->look);
    }
}

static void stop_producers(struct world *world)
{
    for (unsigned i = 0; i < world->producers_count; i++) {
        producer_stop(world->producers[i]);
    }
}

static bool is_operated(struct world *world)
{
    return admin_is_idle(world->admin);
}

// What the operator must do for the cluster is done.
static bool come_to_order(struct world *world)
{
    if (world_pass_until(world, is_operated, OPERATE_MS, POLL_MS) < 0) {
        world_violation(world, "liveness", "a command is not done after %d ms: %s", OPERATE_MS,
                        admin_last_answer(world->admin));
    }
    return !world->violation.check;
}

// The disk of one that was retired may have taken with it the end of its strand, up to the seal:
// what the alarm says is done.
static void give_up_tails(struct world *world)
{
    const struct machine *machine = world->machines[0];
    const struct replica *replica = machine->is_up ? machine->service->cluster->replica : NULL;
    for (uint32_t i = 0; replica && i < replica_members_count(replica); i++) {
        struct replica_member member;
        replica_member_at(replica, i, &member);
        const struct history_strand *strand = history_strand(&world->history, member.actor);
        if (member.state == MEMBER_GONE && member.held < member.seal && strand->is_lossy) {
            world_trace(world, "lost", member.actor, member.held + 1, member.seal);
            admin_order_lost(world->admin, member.actor, member.held + 1, member.seal);
        }
    }
}

// A founder that has admitted nobody yet waits at each start for its peers, which might know more
// of it than its disk does.
static bool is_founder_alone(const struct world *world)
{
    for (unsigned i = 0; i < world->machines_count; i++) {
        const struct machine *machine = world->machines[i];
        const struct replica *replica = machine->is_up ? machine->service->cluster->replica : NULL;
        bool is_member = replica && joining_is_member(replica); // who joins counts itself already
        unsigned active = 0;
        for (uint32_t k = 0; is_member && k < replica_members_count(replica); k++) {
            struct replica_member member;
            replica_member_at(replica, k, &member);
            active += member.state == MEMBER_ACTIVE;
        }
        if (active > 1) {
            return false;
        }
    }
    return true;
}

// The only member that is left, because the disks of the others are gone, waits at each start for
// those that it cannot know to be gone; before that it neither retires them nor tells newcomers
// that it is alone.
static bool is_only_member(const struct world *world)
{
    unsigned members = 0;
    for (unsigned i = 0; i < world->machines_count; i++) {
        const struct machine *machine = world->machines[i];
        members += machine->is_up && joining_is_member(machine->service->cluster->replica);
    }
    return members <= 1;
}

// Everybody must come to hold the same.
static bool converge(struct world *world, int64_t *converged_ms_out)
{
    bool waits = is_founder_alone(world) || is_only_member(world);
    int64_t bound_ms = CONVERGE_MS + (int64_t)(world->history.events / 20) +
                       (waits ? world->options.start_wait_ms : 0);
    *converged_ms_out = world_pass_until(world, check_is_converged, bound_ms, POLL_MS);
    if (*converged_ms_out < 0) {
        check_convergence_failed(world, bound_ms);
    }
    return !world->violation.check;
}

// Everything that groups are to have is acknowledged, and everybody holds their checkpoints.
static bool bring_groups_to_rest(struct world *world)
{
    int64_t ms = GROUPS_MS + (int64_t)(world->history.events / 20);
    int64_t again_ms;
    if (world_pass_until(world, check_groups_are_done, ms, POLL_MS) < 0) {
        check_groups_failed(world, ms);
        return false;
    }
    return world->ledgers_count == 0 || converge(world, &again_ms);
}

// Everybody must come to hold the same, and every consumer to have it.
static bool come_to_rest(struct world *world, int64_t *converged_ms_out)
{
    int64_t again_ms;
    int64_t consume_ms = CONSUME_MS + (int64_t)(world->history.events / 20);
    stop_producers(world);
    for (unsigned i = 0; i < world->consumers_count; i++) {
        consumer_settle(world->consumers[i]);
    }
    for (unsigned i = 0; i < world->ledgers_count; i++) {
        ledger_settle(world->ledgers[i]);
    }
    if (!converge(world, converged_ms_out) || !come_to_order(world) ||
        !converge(world, &again_ms)) {
        return false;
    }
    give_up_tails(world);
    if (!come_to_order(world) || !converge(world, &again_ms)) {
        return false;
    }
    if (world_pass_until(world, check_consumers_are_done, consume_ms, POLL_MS) < 0) {
        check_consumers_failed(world, consume_ms);
        return false;
    }
    if (!bring_groups_to_rest(world)) {
        return false;
    }
    check_durability(world);
    check_rescue(world);
    return !world->violation.check;
}

static void run_steady(struct world *world)
{
    int64_t converged_ms;
    world_pass(world, LINKS_SETTLE_MS);
    struct copies before = check_copies(world);
    for (unsigned i = 0; i < world->producers_count; i++) {
        producer_start(world->producers[i]);
    }
    if (world_pass(world, world->options.steady_ms) && come_to_rest(world, &converged_ms)) {
        check_redundancy(world, before);
        check_availability(world);
        check_disks(world);
    }
}

static void run_course(struct world *world, struct run_result *result)
{
    int64_t converged_ms = -1;
    struct faults *faults = faults_new(world);
    struct scenario *scenario = scenario_new(world);
    start_all(world);
    if (world_pass(world, world_between(world, 0, FOUNDING_MS))) {
        faults_start(faults);
        scenario_start(scenario);
        world_pass(world, world->options.faults_ms);
    }
    scenario_end(scenario);
    faults_end(faults);
    world_trace(world, "healed", 0, 0, 0);
    world->is_calm = true;
    bool goes_on =
        !world->lone || (world_pass(world, CONVERGE_MS) && !check_is_without_member(world));
    if (goes_on && !world->violation.check && come_to_rest(world, &converged_ms)) {
        result->converged_s = (double)converged_ms / 1000;
        run_steady(world);
    }
    scenario_free(scenario);
    faults_free(faults);
}

void run_seed(const struct options *options, bool is_traced, struct run_result *result_out)
{
    struct world *world = world_new(options, is_traced);
    struct run_result result = {0};
    run_course(world, &result);
    result.is_violated = world->violation.check;
    result.at_s = (double)world->violation.at.ns / 1e9;
    snprintf(result.check, sizeof result.check, "%s",
             world->violation.check ? world->violation.check : "");
    snprintf(result.text, sizeof result.text, "%s", world->violation.text);
    result.trace = world->trace;
    result.virtual_s = (double)world->schedule.now.ns / 1e9;
    result.happenings = world->schedule.happened;
    result.events = world->history.events;
    result.acked = world->history.acked;
    result.bytes = world->network.bytes_between_hosts;
    *result_out = result;
    world_free(world);
}

// --- Apart -------------------------------------------------------------------------------------

void run_seed_apart(const struct options *options, struct run_result *result_out)
{
    int ends[2];
    struct run_result result = {.is_violated = true, .check = "assertion"};
    fflush(NULL);
    if (pipe(ends) != 0) {
        abort();
    }
    pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        run_seed(options, false, &result);
        ssize_t written = write(ends[1], &result, sizeof result);
        _exit(written == (ssize_t)sizeof result ? 0 : 2);
    }
    close(ends[1]);
    if (child < 0 || read(ends[0], &result, sizeof result) != (ssize_t)sizeof result) {
        result = (struct run_result){.is_violated = true, .check = "assertion"};
        snprintf(result.text, sizeof result.text, "the process ended: an assertion failed");
    }
    close(ends[0]);
    waitpid(child, NULL, 0);
    *result_out = result;
}
