// Ranges of strands that are lost everywhere. Where this node's copy ends in front of one, the
// strand goes on behind it with the next chunk that comes, which names the hash that is lost.

#include <stdlib.h>

#include "server/node/cluster_state.h"

struct hollow_append {
    struct cluster_append append;
    struct hash128 hash;
};

static void hollow_completed(struct cluster_append *done)
{
    const struct append *append = &done->append;
    if (append->result < 0) {
        cluster_log(done->cluster, LOG_WARNING,
                    "a lost range of actor %u cannot be passed over: %s", append->actor,
                    err_text(append->result));
    } else if (append->result == 0) {
        cluster_log(done->cluster, LOG_INFO, "a lost range of actor %u is passed over",
                    append->actor);
    }
    free(container_of(done, struct hollow_append, append));
}

void cluster_hollow(struct cluster *cluster, uint16_t actor, uint64_t first, uint64_t last)
{
    for (uint32_t i = 0; i < HOLLOWS_MAX; i++) {
        const struct damaged_chunk *known = &cluster->hollows[i];
        if (known->actor == actor && known->first == first && known->last == last) {
            return;
        }
    }
    cluster->hollows[cluster->hollows_next++ % HOLLOWS_MAX] =
        (struct damaged_chunk){.actor = actor, .first = first, .last = last};
}

void cluster_fill_hollow(struct cluster *cluster, const struct chunk_header *next)
{
    const struct strand_end *end = NULL;
    const struct damaged_chunk *hollow = NULL;
    for (uint32_t i = 0; i < HOLLOWS_MAX && !hollow; i++) {
        const struct damaged_chunk *known = &cluster->hollows[i];
        hollow = known->actor == next->actor && known->last == next->prev ? known : NULL;
    }
    if (hollow) {
        end = cluster_end(cluster, next->actor);
    }
    if (!hollow || (end ? end->last : 0) != hollow->first - 1) {
        return;
    }
    struct hollow_append *filling = malloc(sizeof *filling);
    if (!filling) {
        return; // the chunk will be a gap, and come again
    }
    filling->hash = next->prev_hash;
    filling->append.append = (struct append){
        .kind = APPEND_HOLLOW,
        .bytes = bytes_of(filling->hash.bytes, sizeof filling->hash.bytes),
        .actor = hollow->actor,
        .first = hollow->first,
        .last = hollow->last,
    };
    cluster_append(cluster, &filling->append, hollow_completed);
}
