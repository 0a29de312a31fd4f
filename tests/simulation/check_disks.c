// At the end every log is read once more: what is sound in it must be what was issued.
#include <inttypes.h>

#include "storage/disk.h"
#include "storage/keys.h"
#include "tests/simulation/branch.h"
#include "tests/simulation/checks.h"
#include "tests/simulation/machine.h"

static void check_chunk(struct machine *machine, uint16_t actor, const struct history_chunk *known)
{
    struct buffer chunk = {0};
    struct chunk_header header;
    uint8_t key[EVENT_ID_KEY_LENGTH];
    event_id_encode_key((struct event_id){.counter = known->first, .actor = actor}, key);
    int err = disk_get(machine->log, LOG_CHUNKS, bytes_of(key, sizeof key), &chunk);
    err = err == 0 ? chunk_header_parse(buffer_bytes(&chunk), &header) : err;
    err = err == 0 ? chunk_verify(&header, buffer_bytes(&chunk)) : err;
    if (err != 0 && !machine->is_rotten) {
        world_violation(machine->world, "durability",
                        "machine %u cannot read chunk %" PRIu64 ".%u any more", machine->index,
                        known->first, actor);
    } else if (err == 0) {
        struct hash128 hash = chunk_hash(chunk.data);
        if (!hash128_equal(&hash, &known->hash)) {
            world_violation(machine->world, "identity",
                            "machine %u has another chunk %" PRIu64 ".%u on its disk than was "
                            "issued",
                            machine->index, known->first, actor);
        }
    }
    buffer_deinit(&chunk);
}

void check_disks(struct world *world)
{
    for (unsigned i = 0; i < world->machines_count; i++) {
        struct machine *machine = world->machines[i];
        for (uint32_t actor = 1; actor < machine->held_capacity && machine->is_up; actor++) {
            const struct history_strand *strand = branch_strand(machine, (uint16_t)actor);
            for (uint32_t k = 0; k < machine->held[actor] && !world->violation.check; k++) {
                if (!strand->chunks[k].is_lost) {
                    check_chunk(machine, (uint16_t)actor, &strand->chunks[k]);
                }
            }
        }
    }
}
