// What nodes hold of groups is looked at in their memory; what is done, by what was written and by
// what consumers said.
#include "tests/simulation/check_groups.h"

#include <inttypes.h>
#include <stdio.h>

#include "server/group/group_state.h"
#include "server/node/cluster_state.h"
#include "server/node/groups_state.h"
#include "server/node/node.h"
#include "tests/simulation/ledger.h"
#include "tests/simulation/machine.h"
#include "tests/simulation/memory.h"

enum {
    EVENT_BYTES_MIN = 32, // where they are not compressed
    BLOCK_EVENTS_MAX = BLOCK_BYTES_MAX / EVENT_BYTES_MIN,
    HELD_BYTES_SLACK = MIB,
    CHECKPOINT_SLACK_MS = 3000,
};

// --- While it runs -----------------------------------------------------------------------------

// What was acknowledged is to be in a checkpoint some time later.
static bool is_overdue(const struct machine *machine, const struct hosting *hosting)
{
    const struct group *group = hosting->group;
    struct instant now = machine->world->schedule.now;
    struct instant begun = group->uncovered_since.ns > machine->writes_since.ns
                               ? group->uncovered_since
                               : machine->writes_since;
    struct instant due =
        instant_add(instant_add(begun, group->checkpoint_after), duration_ms(CHECKPOINT_SLACK_MS));
    int64_t since_ns = now.ns - (int64_t)CHECKPOINT_SLACK_MS * 1000000;
    return group->uncovered > 0 && !group->is_covering && instant_reached(due, now) &&
           machine->writes_since.ns != INSTANT_NEVER.ns &&
           !ledger_is_disturbed(machine->world, machine->index, since_ns);
}

// How many may have come at once when it wanted the last ones: those of a block.
static uint64_t last_brought(const struct hosting *hosting)
{
    const struct list_node *last = list_last(&hosting->held);
    return last ? container_of(last, const struct held, link)->block->events : BLOCK_EVENTS_MAX;
}

static void check_bounds(const struct machine *machine, const struct hosting *hosting)
{
    struct world *world = machine->world;
    struct group_counts counts = group_counts(hosting->group);
    uint64_t in_flight_max = 0;
    LIST_FOR_EACH(&hosting->attachments, link)
    {
        in_flight_max += container_of(link, struct attachment, link)->in_flight_max;
    }
    const char *what = NULL;
    if (counts.waiting > hosting->definition.queue + last_brought(hosting)) {
        what = "more events wait than its queue has room for";
    } else if (counts.in_flight > in_flight_max) {
        what = "more events are in flight than its consumers asked for";
    } else if (hosting->held_bytes > HELD_BYTES_MAX + HELD_BYTES_SLACK) {
        what = "it holds more blocks than it may";
    } else if (hosting->attachments_count > hosting->definition.concurrency) {
        what = "it has more consumers than it may";
    } else if (is_overdue(machine, hosting)) {
        what = "what was acknowledged is in no checkpoint";
    }
    if (what) {
        world_violation(world, "bounds",
                        "machine %u, subscription %.*s: %s (waiting %" PRIu64 ", in flight %" PRIu64
                        " of %" PRIu64 ", consumers %u, not covered "
                        "%" PRIu64 ")",
                        machine->index, (int)hosting->durable->name_length, hosting->durable->name,
                        what, counts.waiting, counts.in_flight, in_flight_max,
                        hosting->attachments_count, hosting->group->uncovered);
    }
}

static struct groups *groups_of(const struct machine *machine)
{
    return machine->is_up && !machine_is_frozen(machine) ? machine->service->cluster->groups : NULL;
}

static void note_writes(struct machine *machine)
{
    bool writes = machine->is_up && atomic_load(&machine->node->view.may_produce);
    if (!writes) {
        machine->writes_since = INSTANT_NEVER;
    } else if (machine->writes_since.ns == INSTANT_NEVER.ns) {
        machine->writes_since = machine->world->schedule.now;
    }
}

void check_groups_bounds(struct world *world)
{
    for (unsigned i = 0; i < world->machines_count; i++) {
        struct machine *machine = world->machines[i];
        const struct groups *groups = groups_of(machine);
        note_writes(machine);
        for (uint32_t k = 0; groups && k < groups->durables_count; k++) {
            const struct hosting *hosting = groups->durables[k]->hosting;
            if (hosting && hosting->group) {
                check_bounds(machine, hosting);
            }
        }
    }
}

// --- At the end --------------------------------------------------------------------------------

static bool is_equal(struct groups *groups, const struct ledger *ledger,
                     const struct ledger_record *generation, const struct position *position)
{
    const struct durable *durable =
        groups ? durable_find(groups, bytes_of_text(ledger->name)) : NULL;
    struct position held = {0};
    if (!durable ||
        event_id_compare(subscription_fold_generation(durable->fold), generation->id) != 0) {
        return false;
    }
    memory_must(subscription_fold_position(durable->fold, &held));
    bool is_equal = position_equal(&held, position);
    position_deinit(&held);
    return is_equal;
}

// What is amiss is written to `text`, if there is one.
static bool is_done(struct ledger *ledger, char *text, size_t length)
{
    struct world *world = ledger->world;
    const struct ledger_record *generation = ledger_generation(ledger, UINT32_MAX, 0);
    struct event_id undone;
    if (!generation) {
        snprintf(text, length, "nobody has created it");
        return false;
    }
    if (ledger_first_undone(ledger, generation, NULL, &undone)) {
        snprintf(text, length, "nobody has acknowledged event %" PRIu64 ".%u", undone.counter,
                 undone.actor);
        return false;
    }
    struct position position = {0};
    ledger_position(ledger, generation, &position);
    bool is_written = ledger_is_all_in(ledger, &position, &undone);
    unsigned equal = 0;
    for (unsigned i = 0; i < world->machines_count && is_written; i++) {
        equal += is_equal(groups_of(world->machines[i]), ledger, generation, &position);
    }
    position_deinit(&position);
    if (!is_written) {
        snprintf(text, length, "no checkpoint says that event %" PRIu64 ".%u is done",
                 undone.counter, undone.actor);
    } else if (equal < world->machines_count) {
        snprintf(text, length,
                 "%u of %u nodes say what all checkpoints of generation %" PRIu64 ".%u say", equal,
                 world->machines_count, generation->id.counter, generation->id.actor);
    }
    return equal == world->machines_count;
}

bool check_groups_are_done(struct world *world)
{
    char text[200];
    bool are_done = true;
    for (unsigned i = 0; i < world->ledgers_count && are_done; i++) {
        are_done = is_done(world->ledgers[i], text, sizeof text);
    }
    return are_done;
}

void check_groups_failed(struct world *world, int64_t waited_ms)
{
    for (unsigned i = 0; i < world->ledgers_count; i++) {
        char text[200];
        if (!is_done(world->ledgers[i], text, sizeof text)) {
            world_violation(world, "skipped", "subscription %s, %" PRId64 " ms after healing: %s",
                            world->ledgers[i]->name, waited_ms, text);
        }
    }
}
