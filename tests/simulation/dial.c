// A machine dials another: "m3:1" is machine 3. Who is down refuses, who cannot be reached does not
// answer for a second; the kernel of a frozen one accepts for it.
#include <stdio.h>
#include <stdlib.h>

#include "server/node/peer.h"
#include "tests/simulation/machine.h"
#include "tests/simulation/memory.h"

enum { DIAL_TIMEOUT_MS = 1000 };

struct dial {
    struct happening happening;
    struct list_node link;
    struct machine *machine;
    unsigned target;
    uint64_t number;
    bool is_lost;
};

static void dial_free(struct dial *dial)
{
    schedule_clear(&dial->machine->world->schedule, &dial->happening);
    list_remove(&dial->link);
    free(dial);
}

static void on_dialled(struct happening *happening)
{
    struct dial *dial = container_of(happening, struct dial, happening);
    struct machine *machine = dial->machine;
    struct world *world = machine->world;
    struct machine *target =
        dial->target < world->machines_count ? world->machines[dial->target] : NULL;
    if (machine_is_frozen(machine)) {
        schedule_set(&world->schedule, happening, machine->frozen_until);
        return;
    }
    bool is_blocked = network_is_blocked(&world->network, machine->index, dial->target);
    if (is_blocked && !dial->is_lost) {
        dial->is_lost = true;
        schedule_set(&world->schedule, happening, world_after_ms(world, DIAL_TIMEOUT_MS));
        return;
    }
    uint64_t number = dial->number;
    bool is_reached = target && target->is_up && !dial->is_lost;
    dial_free(dial);
    world_trace(world, is_reached ? "dialled" : "dial failed", machine->index, number,
                target ? target->index : UINT64_MAX);
    if (is_reached) {
        struct socket *near = socket_new(machine, number);
        struct socket *far = socket_new(target, 0);
        network_connect(&world->network, socket_endpoint(near), machine->index,
                        socket_endpoint(far), target->index);
    } else {
        peer_dial_failed(machine->service, number, "nobody answers");
        machine_want_turn(machine);
    }
}

void machine_dial(void *context, uint64_t number, const char *address)
{
    struct machine *machine = context;
    struct world *world = machine->world;
    struct dial *dial = memory_new(1, sizeof *dial);
    dial->machine = machine;
    dial->number = number;
    dial->target = address[0] == 'm' ? (unsigned)strtoul(address + 1, NULL, 10) : UINT32_MAX;
    dial->happening.happen = on_dialled;
    list_init(&dial->link);
    list_append(&machine->dials, &dial->link);
    const struct path *path = network_path(&world->network, machine->index, dial->target);
    schedule_set(&world->schedule, &dial->happening,
                 world_after(world, 2 * path->latency_ns + world_between(world, 1000, 50000)));
}

void dials_hasten(struct machine *machine)
{
    struct schedule *schedule = &machine->world->schedule;
    LIST_FOR_EACH(&machine->dials, link)
    {
        struct dial *dial = container_of(link, struct dial, link);
        schedule_hasten(schedule, &dial->happening, schedule->now);
    }
}

void dials_drop(struct machine *machine)
{
    LIST_FOR_EACH(&machine->dials, link)
    {
        dial_free(container_of(link, struct dial, link));
    }
}
