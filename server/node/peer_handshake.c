// Hello and proof. The dialer speaks first. Each hello holds a nonce, each proof is made over both
// hellos as they were on the wire, with the role of its sender: nothing in a hello can be changed
// on its way, and no proof can be used twice or be sent back. What a hello means for the cluster is
// for the replica to judge, once the other side has proved itself.

#include <stdio.h>
#include <string.h>

#include "proto/base/hmac.h"
#include "server/node/cluster_state.h"
#include "server/node/peer_state.h"

static const char LABEL[] = "weir peer 1";

static bool is_dialer(const struct peer *peer)
{
    return peer->dial != 0;
}

static int refuse(struct peer *peer, enum peer_refusal refusal, const char *text)
{
    struct reason complaint;
    reason_set(&complaint, 0, "refused: %s", text);
    cluster_complain(peer->cluster, peer->name, complaint.text);
    peer_end(peer, refusal, text);
    return ERR_DENIED;
}

// --- Hello -------------------------------------------------------------------------------------

// A cluster of one that never issued an id gives way to another.
static bool is_founder(const struct cluster *cluster, const struct identity *identity)
{
    const struct strand_end *end = cluster_end(cluster, identity->actor);
    return !uuid_is_zero(&identity->cluster) && (!end || end->last == 0) &&
           replica_members_count(cluster->replica) <= 1;
}

static void send_hello(struct peer *peer)
{
    struct cluster *cluster = peer->cluster;
    const struct identity *identity = node_identity(cluster->node);
    const struct node_env *env = &cluster->service->env;
    struct peer_message message = {
        .kind = PEER_HELLO,
        .hello =
            {
                .version_min = PEER_VERSION_MIN,
                .version_max = PEER_VERSION_MAX,
                .abilities = PEER_ABILITIES,
                .server_version = bytes_of_text("weir " WEIR_VERSION),
                .cluster_name = bytes_of_text(identity->cluster_name),
                .cluster = identity->cluster,
                .node = identity->node,
                .actor = identity->actor,
                .wanted = identity->actor == 0 ? cluster->config.wanted_actor : 0,
                .is_founder = is_founder(cluster, identity),
                .run_number = identity->run,
                .runs_count = identity->run_randoms_count,
                .address = bytes_of_text(cluster->config.advertise.text),
            },
    };
    struct peer_hello *hello = &message.hello;
    memcpy(hello->runs, identity->run_randoms, sizeof hello->runs);
    if (hello->runs_count == 0) {
        hello->runs_count = 1;
    }
    if (env->random) {
        env->random(env->context, hello->nonce, sizeof hello->nonce);
    }
    peer_send(peer, &message);
}

int peer_greet(struct peer *peer)
{
    send_hello(peer);
    return peer->state == PEER_ENDED ? ERR_MEMORY : 0;
}

void peer_sent_hello(struct peer *peer, struct bytes wire)
{
    if (buffer_append(&peer->own_hello, wire)) {
        peer_end(peer, 0, "out of memory for a hello");
    }
}

// --- Proof -------------------------------------------------------------------------------------

static int make_mac(const struct peer *peer, bool by_dialer, uint8_t out[HMAC_LENGTH])
{
    struct bytes own = buffer_bytes(&peer->own_hello);
    struct bytes other = buffer_bytes(&peer->other_hello);
    const struct bytes pieces[] = {
        bytes_of_text(LABEL),
        bytes_of_text(by_dialer ? "d" : "a"),
        is_dialer(peer) ? own : other,
        is_dialer(peer) ? other : own,
    };
    return hmac_sha256(peer->cluster->config.secret, pieces, sizeof pieces / sizeof *pieces, out);
}

static int send_proof(struct peer *peer)
{
    uint8_t mac[HMAC_LENGTH];
    struct peer_message message = {.kind = PEER_PROOF};
    if (peer->cluster->config.secret.length > 0) {
        if (make_mac(peer, is_dialer(peer), mac)) {
            peer_end(peer, 0, "out of memory for a proof");
            return ERR_MEMORY;
        }
        message.proof.mac = bytes_of(mac, sizeof mac);
    }
    peer_send(peer, &message);
    return peer->state == PEER_ENDED ? ERR_MEMORY : 0;
}

static int check_proof(struct peer *peer, const struct peer_proof *proof)
{
    bool has_secret = peer->cluster->config.secret.length > 0;
    uint8_t mac[HMAC_LENGTH];
    if (!has_secret && proof->mac.length > 0) {
        return refuse(peer, REFUSAL_SECRET,
                      "one side has a cluster secret and the other has none: give every member the "
                      "same file (cluster_secret_file)");
    }
    if (!has_secret) {
        return 0;
    }
    if (make_mac(peer, !is_dialer(peer), mac)) {
        peer_end(peer, 0, "out of memory for a proof");
        return ERR_MEMORY;
    }
    if (proof->mac.length != HMAC_LENGTH || !hmac_equal(mac, proof->mac.data)) {
        return refuse(peer, REFUSAL_SECRET,
                      "its cluster secret is another one, or it has none: give every member the "
                      "same file (cluster_secret_file)");
    }
    return 0;
}

// --- The order ---------------------------------------------------------------------------------

static int check_hello(struct peer *peer, const struct peer_hello *hello)
{
    if (hello->version_max < PEER_VERSION_MIN || hello->version_min > PEER_VERSION_MAX) {
        return refuse(peer, REFUSAL_VERSION,
                      "no common version of the protocol of peers: upgrade the older side");
    }
    if (peer->cluster->config.secret.length == 0 && !peer->is_local) {
        return refuse(peer, REFUSAL_ADDRESS,
                      "without a cluster secret only peers on the same machine are accepted: give "
                      "every member one (cluster_secret_file)");
    }
    return 0;
}

static int take_hello(struct peer *peer, const struct peer_message *message, struct bytes wire)
{
    int err = check_hello(peer, &message->hello);
    if (err) {
        return err;
    }
    if (is_dialer(peer) && peer->own_hello.length == 0) {
        // A proof made now would not be over this side's nonce.
        return refuse(peer, REFUSAL_PROTOCOL, "a hello came ahead of its turn");
    }
    peer->hello = peer_parcel_new(message);
    if (!peer->hello || buffer_append(&peer->other_hello, wire)) {
        peer_end(peer, 0, "out of memory for a hello");
        return ERR_MEMORY;
    }
    peer->state = PEER_PROOF_DUE;
    if (is_dialer(peer)) {
        return send_proof(peer);
    }
    send_hello(peer);
    return peer->state == PEER_ENDED ? ERR_MEMORY : 0;
}

static int link_up(struct peer *peer)
{
    struct replica_event event = {
        .kind = REPLICA_LINK_UP,
        .link_up =
            {
                .id = peer->id,
                .dial = peer->dial,
                .hello = &peer->hello->message.hello,
            },
    };
    timer_clear(&peer->cluster->service->timers, &peer->timer);
    buffer_deinit(&peer->own_hello);
    buffer_deinit(&peer->other_hello);
    peer->state = PEER_LINKED;
    peer->is_up = true;
    if (cluster_tell(peer->cluster, &event)) {
        peer->is_up = false;
        peer_end(peer, 0, "out of memory");
        return ERR_MEMORY;
    }
    return 0;
}

static int take_proof(struct peer *peer, const struct peer_proof *proof)
{
    if (peer->own_hello.length == 0) {
        return refuse(peer, REFUSAL_PROTOCOL, "a proof came ahead of its turn");
    }
    int err = check_proof(peer, proof);
    if (err == 0 && !is_dialer(peer)) {
        err = send_proof(peer);
    }
    return err ? err : link_up(peer);
}

int peer_take_greeting(struct peer *peer, const struct peer_message *message, struct bytes wire)
{
    if (peer->state == PEER_HELLO_DUE && message->kind == PEER_HELLO) {
        return take_hello(peer, message, wire);
    }
    if (peer->state == PEER_PROOF_DUE && message->kind == PEER_PROOF) {
        return take_proof(peer, &message->proof);
    }
    return refuse(peer, REFUSAL_PROTOCOL, "a message came before hello and proof");
}
