// The replica asks where the last chunk of a strand ends that lies at or below a counter, and for
// its hash. Mostly a chunk ends at that very counter. Where none does, the end of the produce
// before it is found by the read that subscriptions start with.

#include <stdlib.h>

#include "server/node/cluster_state.h"

struct look_up {
    struct read_owner owner;
    struct read read;
    struct cluster *cluster;
    uint64_t token;
    struct event_id at;
    bool is_lowered; // `at` is the end of a produce for sure
};

static void tell_found(struct cluster *cluster, const struct replica_found *found)
{
    struct replica_event event = {
        .kind = REPLICA_FOUND,
        .found = *found,
    };
    cluster_tell_surely(cluster, &event);
}

static void hash_completed(struct read_owner *owner);

// Reads no chunk: only the hash in front of the first.
static int read_hash(struct look_up *look_up)
{
    read_init(&look_up->read, READ_STRAND);
    look_up->read.position = look_up->at;
    look_up->read.bytes_max = 1;
    int err = version_vector_set(&look_up->read.upper, look_up->at.actor, look_up->at.counter);
    if (err == 0) {
        cluster_read(look_up->cluster, &look_up->read, &look_up->owner, hash_completed);
    }
    return err;
}

static void end(struct look_up *look_up, struct replica_found found)
{
    struct cluster *cluster = look_up->cluster;
    found.token = look_up->token;
    free(look_up);
    tell_found(cluster, &found);
}

static void end_without(struct look_up *look_up)
{
    end(look_up, (struct replica_found){0});
}

// A chunk may be there.
static void end_unknown(struct look_up *look_up)
{
    end(look_up, (struct replica_found){.is_unknown = true});
}

static void start_completed(struct read_owner *owner)
{
    struct look_up *look_up = container_of(owner, struct look_up, owner);
    look_up->cluster->service->in_flight--;
    int result = look_up->read.result;
    uint64_t counter =
        result == 0 ? version_vector_get(&look_up->read.vector, look_up->at.actor) : 0;
    read_deinit(&look_up->read);
    look_up->at.counter = counter < look_up->at.counter ? counter : 0;
    look_up->is_lowered = true;
    if (result != 0) {
        end_unknown(look_up);
    } else if (look_up->at.counter == 0) {
        end_without(look_up);
    } else if (look_up->cluster->is_over || read_hash(look_up)) {
        end_unknown(look_up);
    }
}

// The end of the last produce that lies below `at` as a whole.
static int read_start(struct look_up *look_up)
{
    struct read *read = &look_up->read;
    read_init(read, READ_START);
    read->start = START_STABLE;
    read->position = look_up->at;
    int err = version_vector_copy(&read->upper, store_port_vector(look_up->cluster->service->port));
    if (err == 0) {
        cluster_read(look_up->cluster, read, &look_up->owner, start_completed);
    }
    return err;
}

static void hash_completed(struct read_owner *owner)
{
    struct look_up *look_up = container_of(owner, struct look_up, owner);
    struct hash128 hash = look_up->read.hash;
    int result = look_up->read.result;
    look_up->cluster->service->in_flight--;
    block_unref(look_up->read.block);
    look_up->read.block = NULL;
    read_deinit(&look_up->read);
    if (result == 0) {
        end(look_up, (struct replica_found){.counter = look_up->at.counter, .hash = hash});
    } else if (result != STORE_NOT_FOUND || look_up->is_lowered || look_up->cluster->is_over ||
               read_start(look_up)) {
        end_unknown(look_up);
    }
}

void cluster_look_up(struct cluster *cluster, uint64_t token, struct event_id at)
{
    const struct strand_end *strand = cluster_end(cluster, at.actor);
    struct look_up *look_up = malloc(sizeof *look_up);
    if (!look_up) {
        cluster_fail(cluster, "out of memory for a look at a strand");
        return;
    }
    *look_up = (struct look_up){.cluster = cluster, .token = token, .at = at};
    if (strand && at.counter > strand->last) {
        look_up->at.counter = strand->last;
    }
    if (!strand) {
        look_up->at.counter = 0;
    }
    // With no chunk there, the hash in front of the strand's first is read: zero.
    if (read_hash(look_up)) {
        free(look_up);
        cluster_fail(cluster, "out of memory for a look at a strand");
    }
}
