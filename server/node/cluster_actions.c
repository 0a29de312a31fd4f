// What the replica has decided is done here, in order. Actions that must be durable (records,
// events of members, who this node is) hold up everything behind them until the store has them;
// what is held up waits in a list, with a copy of all it points to. Heartbeats alone go past: they
// say nothing but that this node lives.

#include <assert.h>
#include <stdlib.h>

#include "server/node/cluster_state.h"

struct deferred {
    struct list_node link;
    struct replica_action action;
    struct peer_parcel *parcel; // SEND
    struct buffer bytes;        // RECORD: key and value; SYSTEM_EVENT: the event
    bool has_yielded;           // BECOME: the store has given the old actor up
};

static void deferred_free(struct cluster *cluster, struct deferred *deferred)
{
    list_remove(&deferred->link);
    cluster->deferred_count--;
    free(deferred->parcel);
    buffer_deinit(&deferred->bytes);
    free(deferred);
}

static struct deferred *first_deferred(struct cluster *cluster)
{
    struct list_node *link = list_first(&cluster->deferred);
    return link ? container_of(link, struct deferred, link) : NULL;
}

void cluster_actions_clear(struct cluster *cluster)
{
    struct deferred *deferred;
    while ((deferred = first_deferred(cluster)) != NULL) {
        deferred_free(cluster, deferred);
    }
}

// --- Actions that are done at once -------------------------------------------------------------

static void do_connect(struct cluster *cluster, const struct replica_action *action)
{
    const struct node_env *env = &cluster->service->env;
    if (env->connect) {
        env->connect(env->context, action->connect.dial, action->connect.address.text);
    } else {
        peer_dial_failed(cluster->service, action->connect.dial, "there is no network");
    }
}

// Whether somebody must look at why a link ends; the others end in the course of things.
static bool is_wrong(uint32_t refusal)
{
    return refusal != 0 && refusal != REFUSAL_DUPLICATE && refusal != REFUSAL_SELF &&
           refusal != REFUSAL_FULL && refusal != REFUSAL_SHUTDOWN && refusal != REFUSAL_RETIRED;
}

static void do_drop(struct cluster *cluster, const struct replica_action *action)
{
    struct peer *peer = cluster_peer(cluster, action->drop.link);
    if (peer) {
        if (is_wrong(action->drop.refusal)) {
            struct reason complaint;
            reason_set(&complaint, 0, "refused: %.240s", action->drop.text.text);
            cluster_complain(cluster, peer->name, complaint.text);
        }
        peer_end(peer, action->drop.refusal, action->drop.text.text);
    }
}

static void do_send(struct cluster *cluster, const struct replica_action *action)
{
    struct peer *peer = cluster_peer(cluster, action->send.link);
    if (peer && peer->state == PEER_LINKED) {
        peer_send(peer, &action->send.message);
    }
}

static void do_report(struct cluster *cluster, const struct replica_action *action)
{
    enum log_level level = action->report.severity == SEVERITY_ERROR     ? LOG_ERROR
                           : action->report.severity == SEVERITY_WARNING ? LOG_WARNING
                                                                         : LOG_INFO;
    cluster_log(cluster, level, "%s", action->report.text.text);
}

static void promise_submit(struct cluster *cluster);

static void promise_completed(struct cluster_append *done)
{
    struct cluster *cluster = done->cluster;
    cluster->is_promising = false;
    if (done->append.result == 0) {
        struct replica_event event = {
            .kind = REPLICA_PROMISED,
            .promised =
                {
                    .actor = node_actor(cluster->node),
                    .counter = done->append.first,
                    .head = done->append.head,
                },
        };
        cluster_tell_surely(cluster, &event);
    }
    if (cluster->is_promise_wanted && !cluster->is_promising && !cluster->is_over) {
        cluster->is_promise_wanted = false;
        promise_submit(cluster);
    }
}

static void promise_submit(struct cluster *cluster)
{
    if (cluster->is_promising) {
        cluster->is_promise_wanted = true;
        return;
    }
    cluster->is_promising = true;
    cluster->promise.append = (struct append){.kind = APPEND_PROMISE};
    cluster_append(cluster, &cluster->promise, promise_completed);
}

// True: it was one of those.
static bool do_at_once(struct cluster *cluster, const struct replica_action *action)
{
    switch (action->kind) {
    case REPLICA_CONNECT:
        do_connect(cluster, action);
        return true;
    case REPLICA_DROP:
        do_drop(cluster, action);
        return true;
    case REPLICA_SEND:
        do_send(cluster, action);
        return true;
    case REPLICA_REPORT:
        do_report(cluster, action);
        return true;
    case REPLICA_RAISE_CLOCK:
        store_clock_raise(cluster->node->store, action->counter);
        cluster->raised = action->counter > cluster->raised ? action->counter : cluster->raised;
        return true;
    case REPLICA_PROMISE:
        promise_submit(cluster);
        return true;
    case REPLICA_ANSWER:
        cluster_answer(cluster, action->answer.token, action->answer.result,
                       action->answer.text.text);
        return true;
    case REPLICA_REISSUE:
        cluster_reissue(cluster, action->reissue.actor, action->reissue.above);
        return true;
    case REPLICA_HOLLOW:
        cluster_hollow(cluster, action->hollow.actor, action->hollow.first, action->hollow.last);
        return true;
    case REPLICA_LOOK_UP:
        cluster_look_up(
            cluster, action->look_up.token,
            (struct event_id){.counter = action->look_up.counter, .actor = action->look_up.actor});
        return true;
    case REPLICA_RECORD:
    case REPLICA_SYSTEM_EVENT:
    case REPLICA_BECOME:
        break;
    }
    return false;
}

// --- Actions that must be durable --------------------------------------------------------------

static void durable_completed(struct cluster_append *done);

static struct bytes record_key(const struct deferred *record)
{
    return bytes_of(record->bytes.data, record->action.record.key.length);
}

// As many records as follow each other go in one append.
static void records_submit(struct cluster *cluster)
{
    uint32_t count = 0;
    for (struct list_node *link = cluster->deferred.next;
         link != &cluster->deferred && count < RECORDS_PER_APPEND; link = link->next) {
        const struct deferred *record = container_of(link, struct deferred, link);
        if (record->action.kind != REPLICA_RECORD) {
            break;
        }
        struct bytes key = record_key(record);
        struct bytes value =
            bytes_of(record->bytes.data + key.length, record->bytes.length - key.length);
        cluster->records[count++] = (struct append_record){.key = key, .value = value};
    }
    cluster->records_count = count;
    cluster->durable.append = (struct append){
        .kind = APPEND_RECORDS,
        .records = cluster->records,
        .records_count = count,
    };
}

static void event_submit(struct cluster *cluster, const struct deferred *event)
{
    cluster->run = (struct append_run){.length = (uint32_t)event->bytes.length, .count = 1};
    cluster->durable.append = (struct append){
        .kind = APPEND_SYSTEM,
        .bytes = buffer_bytes(&event->bytes),
        .runs = &cluster->run,
        .runs_count = 1,
        .events = 1,
    };
}

static struct identity identity_after(const struct cluster *cluster,
                                      const struct replica_become *become)
{
    struct identity identity = *node_identity(cluster->node);
    identity.cluster = become->cluster;
    identity.actor = become->actor;
    memcpy(identity.cluster_name, become->cluster_name, sizeof identity.cluster_name);
    return identity;
}

static void try_again_later(struct cluster *cluster, const char *what, int err)
{
    cluster->retry_at = instant_add(cluster->service->now, duration_ms(CLUSTER_RETRY_MS));
    cluster_log(cluster, LOG_WARNING, "%s (%s): tried again", what, err_text(err));
}

// The file first: an actor that issues ids must be known after a crash. Before that the store gives
// up the old actor, where it may: produces of all loops may be on their way to it.
static bool become_submit(struct cluster *cluster, const struct deferred *deferred)
{
    const struct replica_become *become = &deferred->action.become;
    if (become->must_be_idle && !deferred->has_yielded) {
        cluster->durable.append = (struct append){.kind = APPEND_YIELD};
        return true;
    }
    struct identity identity = identity_after(cluster, become);
    int err = cluster->config.save_identity
                  ? cluster->config.save_identity(cluster->config.save_context, &identity)
                  : 0;
    if (err) {
        try_again_later(cluster, "the identity of this node cannot be written", err);
        return false;
    }
    cluster->durable.append = (struct append){
        .kind = APPEND_ACTOR,
        .actor = become->actor,
        .first = become->clock,
    };
    return true;
}

static void durable_submit(struct cluster *cluster, const struct deferred *deferred)
{
    if (deferred->action.kind == REPLICA_RECORD) {
        records_submit(cluster);
    } else if (deferred->action.kind == REPLICA_SYSTEM_EVENT) {
        event_submit(cluster, deferred);
    } else if (!become_submit(cluster, deferred)) {
        return;
    }
    cluster->is_waiting = true;
    cluster_append(cluster, &cluster->durable, durable_completed);
}

static void records_done(struct cluster *cluster)
{
    for (uint32_t i = 0; i < cluster->records_count; i++) {
        struct deferred *record = first_deferred(cluster);
        assert(record && record->action.kind == REPLICA_RECORD);
        // What this brings goes behind everything that waits already.
        struct replica_event event = {.kind = REPLICA_SAVED, .saved = {.key = record_key(record)}};
        list_remove(&record->link);
        cluster_tell_surely(cluster, &event);
        deferred_free(cluster, record);
    }
}

// Hellos that were said and not yet proved say who this node was: those links begin anew. The
// replica ends those that it knows.
static void end_handshakes(struct cluster *cluster)
{
    LIST_FOR_EACH(&cluster->peers, link)
    {
        struct peer *peer = container_of(link, struct peer, link);
        if (!peer->is_up) {
            peer_end(peer, 0, "this node is somebody else now");
        }
    }
}

static void become_done(struct cluster *cluster, struct deferred *deferred, bool is_kept)
{
    if (is_kept) {
        struct replica_event kept = {.kind = REPLICA_KEPT};
        deferred_free(cluster, deferred);
        cluster_tell_surely(cluster, &kept);
        return;
    }
    if (deferred->action.become.must_be_idle && !deferred->has_yielded) {
        deferred->has_yielded = true; // the rest follows
        return;
    }
    struct identity identity = identity_after(cluster, &deferred->action.become);
    struct replica_event event = {.kind = REPLICA_BECAME};
    if (node_become(cluster->node, &identity)) {
        cluster_fail(cluster, "out of memory for its identity");
        return;
    }
    deferred_free(cluster, deferred);
    end_handshakes(cluster);
    cluster_tell_surely(cluster, &event);
}

static void durable_completed(struct cluster_append *done)
{
    struct cluster *cluster = done->cluster;
    struct deferred *first = first_deferred(cluster);
    if (cluster->is_over) {
        return;
    }
    bool is_kept = done->append.kind == APPEND_YIELD && done->append.result == STORE_ISSUED;
    if (done->append.result != 0 && !is_kept) {
        cluster->is_waiting = false;
        try_again_later(cluster, "the log does not take what the cluster needs",
                        done->append.result);
        return;
    }
    assert(first);
    // Still waiting: what is told now must not go ahead of what is queued.
    if (first->action.kind == REPLICA_RECORD) {
        records_done(cluster);
    } else if (first->action.kind == REPLICA_SYSTEM_EVENT) {
        deferred_free(cluster, first);
    } else {
        become_done(cluster, first, is_kept);
    }
    cluster->is_waiting = false;
    cluster_go_on(cluster);
}

// --- The order ---------------------------------------------------------------------------------

static int copy_record(struct deferred *deferred)
{
    const struct replica_record *record = &deferred->action.record;
    int err = buffer_append(&deferred->bytes, record->key);
    return err ? err : buffer_append(&deferred->bytes, record->value);
}

static int encode_event(struct deferred *deferred)
{
    struct buffer data = {0};
    int err = member_event_encode(&deferred->action.member, &data);
    if (err == 0) {
        err = event_append(&deferred->bytes, bytes_of_text(MEMBERS_NAMESPACE), buffer_bytes(&data),
                           bytes_of(NULL, 0));
    }
    buffer_deinit(&data);
    return err;
}

// Copies what the action points to: it stays only until the next step.
static int defer(struct cluster *cluster, const struct replica_action *action)
{
    struct deferred *deferred = calloc(1, sizeof *deferred);
    int err = 0;
    if (!deferred) {
        return ERR_MEMORY;
    }
    list_init(&deferred->link);
    cluster->deferred_count++;
    deferred->action = *action;
    if (action->kind == REPLICA_SEND) {
        deferred->parcel = peer_parcel_new(&action->send.message);
        err = deferred->parcel ? 0 : ERR_MEMORY;
    } else if (action->kind == REPLICA_RECORD) {
        err = copy_record(deferred);
    } else if (action->kind == REPLICA_SYSTEM_EVENT) {
        err = encode_event(deferred);
    }
    if (err) {
        deferred_free(cluster, deferred);
        return err;
    }
    if (deferred->parcel) {
        deferred->action.send.message = deferred->parcel->message;
    }
    list_append(&cluster->deferred, &deferred->link);
    return 0;
}

void cluster_drain(struct cluster *cluster)
{
    struct deferred *deferred;
    while (cluster->is_running && !cluster->is_waiting && !cluster->is_over &&
           cluster->retry_at.ns == INSTANT_NEVER.ns &&
           (deferred = first_deferred(cluster)) != NULL) {
        if (do_at_once(cluster, &deferred->action)) {
            deferred_free(cluster, deferred);
        } else {
            durable_submit(cluster, deferred);
        }
    }
}

static bool may_pass(const struct replica_action *action)
{
    return action->kind == REPLICA_REPORT ||
           (action->kind == REPLICA_SEND && action->send.message.kind == PEER_HEARTBEAT);
}

static void do_action(struct cluster *cluster, const struct replica_action *action)
{
    bool is_free = cluster->is_running && !cluster->is_waiting && list_is_empty(&cluster->deferred);
    if ((is_free || may_pass(action)) && do_at_once(cluster, action)) {
        return;
    }
    bool has_room = cluster->deferred_count < DEFERRED_MAX || action->kind != REPLICA_SEND;
    if (has_room && defer(cluster, action) == 0) {
        return;
    }
    if (action->kind == REPLICA_SEND) {
        struct peer *peer = cluster_peer(cluster, action->send.link);
        if (peer) {
            peer_end(peer, 0, "no room for a message behind what the disk has not taken");
        }
        return;
    }
    cluster_fail(cluster, "out of memory for what was decided");
}

void cluster_do(struct cluster *cluster, const struct replica_actions *actions)
{
    for (uint32_t i = 0; i < actions->count && !cluster->is_over; i++) {
        do_action(cluster, &actions->items[i]);
    }
    cluster_drain(cluster);
}
