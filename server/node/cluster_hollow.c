// Ranges of strands that are lost everywhere. Where this node holds the strand beyond one, but
// damaged, the range gives way at once. Where its copy ends in front of one, the strand goes on
// behind it with the next chunk that comes, which names the hash that is lost. Behind the seal of a
// retired actor no chunk comes: the seal names that hash.

#include <stdlib.h>

#include "server/node/cluster_state.h"

struct hollow_append {
    struct cluster_append append;
    struct hash128 hash;
};

static const char *why_not(int result)
{
    return result == STORE_DUPLICATE ? "some of them are whole"
           : result == STORE_GAP     ? "what follows is damaged too; give both up as one range"
                                     : "the range is not one of whole chunks";
}

static void forget(struct cluster *cluster, const struct append *append)
{
    for (uint32_t i = 0; i < HOLLOWS_MAX; i++) {
        struct damaged_chunk *known = &cluster->hollows[i];
        if (known->actor == append->actor && known->first == append->first &&
            known->last == append->last) {
            *known = (struct damaged_chunk){0};
        }
    }
}

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
    } else {
        cluster_log(done->cluster, LOG_WARNING,
                    "events %llu to %llu of actor %u are not passed over here: %s",
                    (unsigned long long)append->first, (unsigned long long)append->last,
                    append->actor, why_not(append->result));
        forget(done->cluster, append); // so that it can be said again
    }
    free(container_of(done, struct hollow_append, append));
}

static void submit(struct cluster *cluster, const struct damaged_chunk *hollow,
                   const struct hash128 *hash)
{
    struct hollow_append *filling = malloc(sizeof *filling);
    if (!filling) {
        cluster_log(cluster, LOG_WARNING, "out of memory for a lost range: say it again");
        return;
    }
    filling->hash = hash ? *hash : (struct hash128){{0}};
    filling->append.append = (struct append){
        .kind = APPEND_HOLLOW,
        .bytes = bytes_of(filling->hash.bytes, hash ? sizeof filling->hash.bytes : 0),
        .actor = hollow->actor,
        .first = hollow->first,
        .last = hollow->last,
    };
    cluster_append(cluster, &filling->append, hollow_completed);
}

void cluster_hollow(struct cluster *cluster, uint16_t actor, uint64_t first, uint64_t last)
{
    for (uint32_t i = 0; i < HOLLOWS_MAX; i++) {
        const struct damaged_chunk *known = &cluster->hollows[i];
        if (known->actor == actor && known->first == first && known->last == last) {
            return;
        }
    }
    const struct damaged_chunk hollow = {.actor = actor, .first = first, .last = last};
    const struct strand_end *end = cluster_end(cluster, actor);
    cluster->hollows[cluster->hollows_next++ % HOLLOWS_MAX] = hollow;
    if (end && end->last >= last) {
        submit(cluster, &hollow, NULL);
    }
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
    submit(cluster, hollow, &next->prev_hash);
}

static void fill_sealed(struct cluster *cluster, struct damaged_chunk *hollow)
{
    const struct strand_end *end = cluster_end(cluster, hollow->actor);
    if ((end ? end->last : 0) != hollow->first - 1) {
        return;
    }
    for (uint32_t i = 0; i < replica_members_count(cluster->replica); i++) {
        struct replica_member member;
        replica_member_at(cluster->replica, i, &member);
        if (member.actor == hollow->actor && member.state == MEMBER_GONE &&
            member.seal == hollow->last) {
            const struct damaged_chunk lost = *hollow;
            *hollow = (struct damaged_chunk){0}; // once
            submit(cluster, &lost, &member.seal_hash);
            return;
        }
    }
}

void cluster_fill_sealed(struct cluster *cluster)
{
    for (uint32_t i = 0; i < HOLLOWS_MAX && i < cluster->hollows_next; i++) {
        if (cluster->hollows[i].actor != 0) {
            fill_sealed(cluster, &cluster->hollows[i]);
        }
    }
}
