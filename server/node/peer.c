// A peer from the connection's first byte to its last. It goes through hello and proof
// (peer_handshake.c), is then known to the replica, and ends once: by either side, or with its
// connection. What is in the store for it when the connection goes keeps it in memory until it has
// come back.

#include "server/node/peer.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/node/cluster_state.h"
#include "server/node/seats.h"
#include "server/node/service.h"

// --- What is to be sent ------------------------------------------------------------------------

static bool queue(struct peer *peer, const struct peer_message *message)
{
    struct peer_parcel *parcel = peer_parcel_new(message);
    if (!parcel) {
        return false;
    }
    peer->parcels_bytes += parcel->bytes;
    list_append(&peer->parcels, &parcel->link);
    peer_mark_ready(peer);
    return true;
}

static void clear_queue(struct peer *peer)
{
    struct list_node *link;
    while ((link = list_first(&peer->parcels)) != NULL) {
        list_remove(link);
        free(container_of(link, struct peer_parcel, link));
    }
    peer->parcels_bytes = 0;
}

void peer_send(struct peer *peer, const struct peer_message *message)
{
    if (peer->state == PEER_ENDED) {
        return;
    }
    if (!queue(peer, message)) {
        peer_end(peer, 0, "out of memory for a message");
    } else if (peer->parcels_bytes > PEER_QUEUE_BYTES_MAX &&
               list_first(&peer->parcels) != list_last(&peer->parcels)) {
        clear_queue(peer);
        peer_end(peer, 0, "the link takes messages more slowly than there are some");
    }
}

void peer_mark_ready(struct peer *peer)
{
    if (!peer->is_closed && list_is_empty(&peer->ready_link)) {
        list_append(&peer->cluster->service->peers_ready, &peer->ready_link);
        service_wake(peer->cluster->service); // net asks behind each turn
    }
}

void *peer_take_ready(struct service *service)
{
    struct list_node *link = list_first(&service->peers_ready);
    if (!link) {
        return NULL;
    }
    list_remove(link);
    return container_of(link, struct peer, ready_link)->owner;
}

// Chunks, and what is forwarded: neither keeps the other waiting.
static bool take_bulk(struct peer *peer, struct peer_item *item_out)
{
    bool is_chunks = peer->is_chunks_turn;
    peer->is_chunks_turn = !is_chunks;
    if (is_chunks) {
        return peer_next_chunks(peer, item_out) || seats_peer_next(peer, item_out);
    }
    return seats_peer_next(peer, item_out) || peer_next_chunks(peer, item_out);
}

bool peer_take(struct peer *peer, struct peer_item *item_out)
{
    struct list_node *link = list_first(&peer->parcels);
    free(peer->taken);
    peer->taken = NULL;
    if (!link) {
        return peer->state == PEER_LINKED && take_bulk(peer, item_out);
    }
    list_remove(link);
    peer->taken = container_of(link, struct peer_parcel, link);
    peer->parcels_bytes -= peer->taken->bytes;
    *item_out = (struct peer_item){.head = peer->taken->message};
    return true;
}

bool peer_is_accepted(const struct peer *peer)
{
    return peer->state == PEER_LINKED;
}

bool peer_has_ended(const struct peer *peer)
{
    return peer->state == PEER_ENDED;
}

bool peer_is_idle(const struct peer *peer)
{
    return list_is_empty(&peer->parcels) && peer_out_is_idle(peer);
}

// --- What comes in -----------------------------------------------------------------------------

static void forward(struct peer *peer, const struct peer_message *message)
{
    struct replica_event event = {
        .kind = REPLICA_MESSAGE,
        .message = {.link = peer->id, .message = message},
    };
    if (cluster_tell(peer->cluster, &event)) {
        peer_end(peer, 0, "out of memory");
    }
}

static int out_of_turn(struct peer *peer)
{
    peer_end(peer, REFUSAL_PROTOCOL, "a message out of turn");
    return ERR_INVALID;
}

static int take_ask(struct peer *peer, const struct peer_message *message)
{
    if (message->ask.kind == ASK_CHUNK) {
        peer_ask_chunk(peer, &message->ask);
    } else {
        forward(peer, message);
    }
    return 0;
}

static int take_answer(struct peer *peer, const struct peer_message *message)
{
    if (message->answer.token & TOKEN_OF_DRIVER) {
        cluster_repair_answer(peer->cluster, peer, &message->answer);
    } else {
        forward(peer, message);
    }
    return 0;
}

static int take_linked(struct peer *peer, const struct peer_message *message)
{
    switch (message->kind) {
    case PEER_CHUNKS:
        return peer_take_chunks(peer, &message->chunks);
    case PEER_PULL:
        forward(peer, message);
        return peer->state == PEER_LINKED ? peer_pull(peer, &message->pull) : ERR_CLOSED;
    case PEER_UNPULL:
        peer_unpull(peer, message->unpull.actor);
        return 0;
    case PEER_CREDIT:
        peer_add_credit(peer, message->credit.bytes);
        forward(peer, message);
        return 0;
    case PEER_ASK:
        return take_ask(peer, message);
    case PEER_ANSWER:
        return take_answer(peer, message);
    case PEER_NOTE:
    case PEER_PROMISES:
    case PEER_MEMBERS:
    case PEER_HEARTBEAT:
        forward(peer, message);
        return 0;
    case PEER_FORWARD_END:
        seats_peer_end(peer, &message->forward_end);
        return 0;
    case PEER_HELLO:
    case PEER_PROOF:
    case PEER_REFUSE:
    case PEER_FORWARD: // these come decoded, see peer_submit_request
    case PEER_FORWARDED:
        break;
    }
    return out_of_turn(peer);
}

// Its words count from whom this node has dialled, or who has proved itself. Of others only the
// code: whoever can connect could fill the log with texts that are never the same.
static struct bytes refusal_text(const struct peer *peer, const struct peer_refuse *refuse)
{
    bool is_known = peer->dial != 0 || peer->state == PEER_LINKED;
    return is_known && refuse->text.length > 0
               ? refuse->text
               : bytes_of_text(peer_refusal_name((enum peer_refusal)refuse->code));
}

static void take_refusal(struct peer *peer, const struct peer_refuse *refuse)
{
    struct bytes words = refusal_text(peer, refuse);
    int length = words.length < REASON_LENGTH_MAX ? (int)words.length : REASON_LENGTH_MAX;
    struct reason text;
    reason_set(&text, 0, "it refuses the link: %.*s", length, (const char *)words.data);
    if (refuse->code == REFUSAL_DUPLICATE || refuse->code == REFUSAL_SHUTDOWN) {
        cluster_log(peer->cluster, LOG_DEBUG, "%s: %s", peer->name, text.text); // as it should be
    } else {
        cluster_complain(peer->cluster, peer->name, text.text);
    }
    peer->refusal = refuse->code;
    peer_end(peer, 0, NULL);
}

int peer_submit(struct peer *peer, const struct peer_message *message, struct bytes wire,
                struct instant now)
{
    struct service *service = peer->cluster->service;
    int err = 0;
    if (peer->state == PEER_ENDED) {
        return ERR_CLOSED;
    }
    service->now = now;
    peer->heard = now;
    if (message->kind == PEER_REFUSE) {
        take_refusal(peer, &message->refuse);
    } else if (peer->state == PEER_LINKED) {
        err = take_linked(peer, message);
    } else {
        err = peer_take_greeting(peer, message, wire);
    }
    service_wake(service);
    return err == 0 && peer->state == PEER_ENDED ? ERR_CLOSED : err;
}

void peer_heard(struct peer *peer, struct instant now)
{
    if (peer->state == PEER_LINKED &&
        instant_reached(instant_add(peer->heard, duration_ms(PEER_HEARD_MS)), now)) {
        const struct peer_message heartbeat = {.kind = PEER_HEARTBEAT};
        peer->cluster->service->now = now;
        peer->heard = now;
        forward(peer, &heartbeat);
    }
}

// 0: the link is up, and something has come over it. ERR_CLOSED: it has ended.
static int begin_forwarded(struct peer *peer, struct instant now)
{
    assert(peer->state == PEER_LINKED || peer->state == PEER_ENDED);
    if (peer->state == PEER_ENDED) {
        return ERR_CLOSED;
    }
    peer->cluster->service->now = now;
    peer->heard = now;
    service_wake(peer->cluster->service);
    return 0;
}

int peer_submit_request(struct peer *peer, uint64_t channel, const struct request *request,
                        struct instant now)
{
    int err = begin_forwarded(peer, now);
    return err ? err : seats_peer_request(peer, channel, request);
}

int peer_submit_reply(struct peer *peer, uint64_t channel, const struct reply *reply,
                      struct instant now)
{
    int err = begin_forwarded(peer, now);
    return err ? err : seats_peer_reply(peer, channel, reply);
}

int peer_refuse_request(struct peer *peer, uint64_t channel, uint64_t id, enum wire_error code,
                        const char *text)
{
    int err = begin_forwarded(peer, peer->cluster->service->now);
    return err ? err : seats_peer_refuse(peer, channel, id, code, text);
}

int peer_malformed(struct peer *peer, const char *text)
{
    cluster_complain(peer->cluster, peer->name, text);
    peer_end(peer, REFUSAL_MALFORMED, text);
    return ERR_INVALID;
}

// --- Life --------------------------------------------------------------------------------------

static void greeting_is_late(struct timer *timer)
{
    struct peer *peer = container_of(timer, struct peer, timer);
    peer_end(peer, REFUSAL_PROTOCOL, "no hello and proof came within 5 seconds");
}

static struct peer *peer_new(struct cluster *cluster, void *owner, const char *name)
{
    struct peer *peer = calloc(1, sizeof *peer);
    if (!peer) {
        return NULL;
    }
    peer->cluster = cluster;
    peer->owner = owner;
    peer->id = ++cluster->link_next;
    peer->heard = cluster->service->now;
    peer->timer.expired = greeting_is_late;
    peer->in.allowance = PEER_CREDIT_BYTES;
    peer->out.credit = PEER_CREDIT_BYTES;
    snprintf(peer->name, sizeof peer->name, "%s", name);
    list_init(&peer->link);
    list_init(&peer->ready_link);
    list_init(&peer->parcels);
    seats_peer_open(peer);
    return peer;
}

int peer_open(struct service *service, void *owner, uint64_t dial, bool is_local, const char *name,
              struct peer **peer_out)
{
    struct cluster *cluster = service->cluster;
    if (!cluster || cluster->is_over) {
        return ERR_CLOSED;
    }
    if (cluster->peers_count >= PEERS_MAX) {
        return ERR_BUSY;
    }
    struct peer *peer = peer_new(cluster, owner, name);
    if (!peer) {
        return ERR_MEMORY;
    }
    peer->dial = dial;
    peer->is_local = is_local;
    struct instant late = instant_add(service->now, duration_ms(PEER_HANDSHAKE_MS));
    int err = timer_set(&service->timers, &peer->timer, late);
    if (err == 0 && dial != 0) {
        err = peer_greet(peer);
    }
    if (err) {
        timer_clear(&service->timers, &peer->timer);
        list_remove(&peer->ready_link);
        free(peer);
        return err;
    }
    list_append(&cluster->peers, &peer->link);
    cluster->peers_count++;
    *peer_out = peer;
    return 0;
}

void peer_end(struct peer *peer, uint32_t refusal, const char *text)
{
    if (peer->state == PEER_ENDED) {
        return;
    }
    if (refusal != 0) {
        const struct peer_message message = {
            .kind = PEER_REFUSE,
            .refuse = {.code = refusal, .text = bytes_of_text(text)},
        };
        peer->refusal = refusal;
        (void)queue(peer, &message); // without memory it ends without a word
    }
    if (text && text[0] != '\0') {
        cluster_log(peer->cluster, LOG_DEBUG, "the link to %s ends: %s", peer->name, text);
    }
    peer->state = PEER_ENDED;
    peer_out_stop(peer);
    timer_clear(&peer->cluster->service->timers, &peer->timer);
    peer_mark_ready(peer);
    service_wake(peer->cluster->service); // for the turn that tells the replica
}

void peer_release(struct peer *peer)
{
    bool is_told = peer->is_told || peer->cluster->is_over;
    if (!peer->is_closed || peer->in_flight > 0 || !is_told) {
        return;
    }
    seats_peer_free(peer);
    list_remove(&peer->link);
    list_remove(&peer->ready_link);
    peer->cluster->peers_count--;
    clear_queue(peer);
    peer_out_deinit(peer);
    buffer_deinit(&peer->in.scratch);
    buffer_deinit(&peer->own_hello);
    buffer_deinit(&peer->other_hello);
    free(peer->hello);
    free(peer->taken);
    free(peer);
}

void peer_landed(struct peer *peer)
{
    peer->in_flight--;
    peer_release(peer);
}

void peer_close(struct peer *peer)
{
    struct cluster *cluster = peer->cluster;
    peer_end(peer, 0, "the connection is gone");
    peer->is_closed = true;
    list_remove(&peer->ready_link);
    clear_queue(peer);
    if (peer->is_told || cluster->is_over) {
        peer_release(peer);
    } else {
        cluster_go_on(cluster); // tells, and frees
    }
}

void peer_dial_failed(struct service *service, uint64_t dial, const char *why)
{
    struct cluster *cluster = service->cluster;
    if (!cluster || cluster->is_over || dial == 0) {
        return;
    }
    cluster_log(cluster, LOG_DEBUG, "no connection: %s", why);
    assert(cluster->dials_failed_count < DIALS_FAILED_MAX);
    cluster->dials_failed[cluster->dials_failed_count++] = dial;
    cluster_go_on(cluster);
    service_wake(service);
}
