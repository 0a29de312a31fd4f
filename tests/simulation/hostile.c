// Random bytes, with or without the front of a message that is known; hellos of another cluster;
// frames that end too early. Nothing of it may have any effect.
#include "tests/simulation/hostile.h"

#include <stdlib.h>

#include "proto/wire/peer_wire.h"
#include "tests/simulation/machine.h"
#include "tests/simulation/memory.h"

struct hostile {
    struct endpoint endpoint;
    struct world *world;
    struct happening end;
};

static void on_readable(struct endpoint *endpoint)
{
    network_consume(endpoint, network_readable(endpoint).length);
    if (network_has_ended(endpoint)) {
        network_close(endpoint);
    }
}

static void on_writable(struct endpoint *endpoint)
{
}

static const struct endpoint_ops HOSTILE_OPS = {.readable = on_readable, .writable = on_writable};

static void on_end(struct happening *happening)
{
    struct hostile *hostile = container_of(happening, struct hostile, end);
    network_close(&hostile->endpoint);
}

static void append_hello(struct world *world, struct buffer *out)
{
    struct peer_message message = {.kind = PEER_HELLO};
    message.hello = (struct peer_hello){
        .version_min = 1,
        .version_max = 1,
        .abilities = PEER_ABILITIES,
        .server_version = bytes_of_text("weir 0.0.0"),
        .cluster_name = bytes_of_text("foreign"),
        .actor = (uint16_t)random_below(&world->random, 5),
        .run_number = 1,
        .runs = {random_u64(&world->random)},
        .runs_count = 1,
        .address = bytes_of_text("m99:1"),
    };
    random_bytes(&world->random, message.hello.cluster.bytes, sizeof message.hello.cluster.bytes);
    random_bytes(&world->random, message.hello.node.bytes, sizeof message.hello.node.bytes);
    random_bytes(&world->random, message.hello.nonce, sizeof message.hello.nonce);
    memory_must(peer_encode(&message, out));
}

void hostile_connect(struct hostile *hostile)
{
    struct world *world = hostile->world;
    struct machine *machine = world->machines[random_below(&world->random, world->machines_count)];
    struct buffer out = {0};
    uint8_t noise[200];
    if (hostile->endpoint.connection || !machine_accept(machine, &hostile->endpoint)) {
        return;
    }
    world_trace(world, "hostile", machine->index, 0, 0);
    if (world_chance(world, 70)) {
        append_hello(world, &out);
    }
    random_bytes(&world->random, noise, sizeof noise);
    if (world_chance(world, 60)) {
        memory_must(buffer_append(
            &out, bytes_of(noise, (size_t)random_below(&world->random, sizeof noise))));
    } else if (world_chance(world, 50) && out.length > 0) {
        out.length = (size_t)random_below(&world->random, out.length);
    }
    if (out.length > 0) {
        network_write(&hostile->endpoint, buffer_bytes(&out));
    }
    buffer_deinit(&out);
    schedule_set(&world->schedule, &hostile->end,
                 world_after_ms(world, world_between(world, 1, 3000)));
}

struct hostile *hostile_new(struct world *world)
{
    struct hostile *hostile = memory_new(1, sizeof *hostile);
    hostile->world = world;
    hostile->endpoint.ops = &HOSTILE_OPS;
    hostile->end.happen = on_end;
    return hostile;
}

void hostile_free(struct hostile *hostile)
{
    network_close(&hostile->endpoint);
    schedule_clear(&hostile->world->schedule, &hostile->end);
    free(hostile);
}
