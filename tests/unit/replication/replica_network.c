// Everything that happens at a later time is an item in a heap (replica_network_queue.c). Replicas
// are ticked at their deadlines, between the items.

#include "tests/unit/replication/replica_network.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/replication/replica_network_queue.h"

// --- Connections -------------------------------------------------------------------------------

static int64_t find_connection(const struct network *network, int node, link_id id, int *side_out)
{
    for (uint32_t c = 0; c < network->connections_count; c++) {
        for (int side = 0; side < 2; side++) {
            const struct network_connection *connection = &network->connections[c];
            if (connection->id[side] == id && connection->side[side] == node) {
                *side_out = side;
                return c;
            }
        }
    }
    return -1;
}

static void link_down(struct network *network, uint32_t c, int side, uint32_t refusal)
{
    struct network_connection *connection = &network->connections[c];
    if (connection->id[side] == 0) {
        return;
    }
    struct replica_event event = {.kind = REPLICA_LINK_DOWN};
    event.link_down.id = connection->id[side];
    event.link_down.dial = side == 0 ? connection->dial : 0;
    event.link_down.refusal = refusal;
    connection->id[side] = 0;
    connection->is_broken[side] = true;
    network_step(network, connection->side[side], &event);
}

static void close_side(struct network *network, uint32_t c, int side, uint32_t refusal)
{
    struct network_item item = {.kind = ITEM_CLOSE, .refusal = refusal};
    network_transmit(network, c, 1 - side, item);
    link_down(network, c, side, refusal);
}

static void open_side(struct network *network, uint32_t c, int side)
{
    struct network_connection *connection = &network->connections[c];
    const struct network_node *other = &network->nodes[connection->side[1 - side]];
    char address[32];
    snprintf(address, sizeof address, "node:%d", connection->side[1 - side]);
    struct peer_hello hello = {
        .version_min = 1,
        .version_max = 1,
        .abilities = PEER_ABILITIES & ~other->unread,
        .server_version = bytes_of_text("weir test"),
        .cluster = other->cluster,
        .node = other->node,
        .actor = other->actor,
        .wanted = other->actor == 0 ? other->wanted : 0,
        .run_number = other->run.number,
        .runs_count = other->runs_count,
        .address = bytes_of_text(address),
    };
    memcpy(hello.runs, other->runs, sizeof hello.runs);
    hello.is_founder = other->actor != 0 && other->replica &&
                       replica_members_count(other->replica) <= 1 && other->held[other->actor] == 0;
    connection->id[side] = ++network->link_last;
    network->nodes[connection->side[side]].links_up++;
    struct replica_event event = {.kind = REPLICA_LINK_UP};
    event.link_up.id = connection->id[side];
    event.link_up.dial = side == 0 ? connection->dial : 0;
    event.link_up.hello = &hello;
    network_step(network, connection->side[side], &event);
}

// One that ended so long ago that nothing of it is on its way any more, or a new one.
static uint32_t free_connection(struct network *network)
{
    int64_t past = network->now.ns - duration_ms(2000).ns;
    for (uint32_t c = 0; c < network->connections_count; c++) {
        const struct network_connection *connection = &network->connections[c];
        if (connection->id[0] == 0 && connection->id[1] == 0 && connection->last[0].ns < past &&
            connection->last[1].ns < past) {
            return c;
        }
    }
    assert(network->connections_count < NETWORK_CONNECTIONS_MAX);
    return network->connections_count++;
}

static void connect_node(struct network *network, int node, uint64_t dial, const char *address)
{
    int to = -1;
    int fields = sscanf(address, "node:%d", &to);
    bool is_there = fields == 1 && to >= 0 && to < network->count && network->nodes[to].replica;
    bool is_blocked = is_there && (network->is_blocked[node][to] || network->is_blocked[to][node] ||
                                   network->nodes[to].is_frozen);
    if (!is_there || is_blocked) {
        network_push(network,
                     (struct network_item){
                         .kind = ITEM_DIAL_FAILED,
                         .at = network_later(network, is_blocked ? 1000 : network->latency_ms),
                         .side = node,
                         .dial = dial,
                     });
        return;
    }
    uint32_t c = free_connection(network);
    network->connections[c] = (struct network_connection){.side = {node, to}, .dial = dial};
    for (int side = 0; side < 2; side++) {
        struct network_item item = {
            .kind = ITEM_OPEN,
            .at = network_later(network, 3 * network->latency_ms),
            .connection = c,
            .side = side,
        };
        network->connections[c].last[side] = item.at;
        network_push(network, item);
    }
}

// --- Chunks ------------------------------------------------------------------------------------

uint64_t network_held(const struct network *network, int node, uint16_t actor)
{
    uint32_t count = network->nodes[node].held[actor];
    return count > 0 ? network->strands[actor].counters[count - 1] : 0;
}

static struct hash128 hash_at(const struct network_node *node, uint16_t actor, uint64_t counter)
{
    bool is_common = counter <= node->common[actor];
    return network_hash(actor, counter, is_common ? 0 : node->branch[actor]);
}

// Sends what is held beyond what was sent, to whoever pulls it over this connection.
static void feed(struct network *network, uint32_t c, int side, uint16_t actor)
{
    struct network_connection *connection = &network->connections[c];
    int from = connection->side[1 - side];
    uint32_t sent = connection->pulled[side][actor];
    uint32_t held = network->nodes[from].held[actor];
    if (sent == 0 || sent - 1 >= held || connection->id[1 - side] == 0) {
        return;
    }
    connection->pulled[side][actor] = held + 1;
    if (network->is_dark[from][connection->side[side]] || network->is_dark_actor[actor]) {
        return;
    }
    struct network_item item = {
        .kind = ITEM_CHUNKS, .actor = actor, .first = sent - 1, .end = held};
    network_transmit(network, c, side, item);
}

static void committed(struct network *network, int node, uint16_t actor)
{
    struct network_node *self = &network->nodes[node];
    uint64_t last = network_held(network, node, actor);
    self->clock = last > self->clock ? last : self->clock;
    struct strand_head head = {.actor = actor, .last = last, .hash = hash_at(self, actor, last)};
    struct replica_event event = {.kind = REPLICA_COMMITTED};
    event.committed.heads = &head;
    event.committed.count = 1;
    event.committed.clock = self->clock;
    network_step(network, node, &event);
    for (uint32_t c = 0; c < network->connections_count; c++) {
        for (int side = 0; side < 2; side++) {
            if (network->connections[c].side[1 - side] == node) {
                feed(network, c, side, actor);
            }
        }
    }
}

static void append(struct network *network, int node, uint16_t actor, uint32_t end)
{
    struct network_node *self = &network->nodes[node];
    uint32_t first = self->held[actor];
    self->held[actor] = end;
    committed(network, node, actor);
    for (uint32_t i = first; i < end; i++) {
        const struct member_event *member = &network->strands[actor].events[i];
        if (member->kind != 0) {
            struct replica_event event = {.kind = REPLICA_MEMBER_EVENT, .member = *member};
            network_step(network, node, &event);
        }
    }
}

void network_produce(struct network *network, int node, const struct member_event *event)
{
    struct network_node *self = &network->nodes[node];
    struct network_strand *strand = &network->strands[self->actor];
    assert(self->actor != 0 && strand->length < NETWORK_STRAND_MAX);
    assert(self->held[self->actor] == strand->length);
    strand->counters[strand->length] = self->clock + 1;
    if (event) {
        struct member_event *stored = &strand->events[strand->length];
        *stored = *event;
        stored->id = (struct event_id){.counter = self->clock + 1, .actor = self->actor};
        stored->address = bytes_of(network_copy(event->address.data, event->address.length),
                                   event->address.length);
    }
    strand->length++;
    append(network, node, self->actor, strand->length);
}

static void give_credit(struct network *network, uint32_t c, int side, uint16_t actor)
{
    int node = network->connections[c].side[side];
    struct network_item item = {.kind = ITEM_MESSAGE};
    item.message = (struct peer_message){
        .kind = PEER_CREDIT,
        .credit = {.actor = actor, .counter = network_held(network, node, actor)},
    };
    network_transmit(network, c, 1 - side, item);
}

static void chunks_arrive(struct network *network, const struct network_item *item)
{
    struct network_connection *connection = &network->connections[item->connection];
    int node = connection->side[item->side];
    struct network_node *self = &network->nodes[node];
    const struct network_strand *strand = &network->strands[item->actor];
    struct replica_event event = {.kind = REPLICA_APPLIED};
    event.applied = (struct replica_applied){
        .link = connection->id[item->side],
        .actor = item->actor,
        .first = strand->counters[item->first],
        .last = strand->counters[item->end - 1],
        .events = item->end - item->first,
        .bytes = 100 * (item->end - item->first),
    };
    self->chunks_in += event.applied.events;
    enum peer_refusal refusal = REFUSAL_PROTOCOL;
    struct reason reason = {0};
    switch (replica_may_apply(self->replica, event.applied.link, item->actor, event.applied.first,
                              event.applied.last, &refusal, &reason)) {
    case VERDICT_DROP:
        return;
    case VERDICT_REFUSE:
        close_side(network, item->connection, item->side, refusal);
        return;
    case VERDICT_APPLY:
        break;
    }
    event.applied.outcome = item->first > self->held[item->actor]  ? APPLIED_GAP
                            : item->end <= self->held[item->actor] ? APPLIED_DUPLICATE
                                                                   : APPLIED;
    if (event.applied.outcome == APPLIED) {
        append(network, node, item->actor, item->end);
    }
    if (self->replica) {
        network_step(network, node, &event);
        give_credit(network, item->connection, item->side, item->actor);
    }
}

// --- What a driver does ------------------------------------------------------------------------

static void begin_pull(struct network *network, uint32_t c, int to, const struct peer_pull *pull)
{
    struct network_connection *connection = &network->connections[c];
    const struct network_strand *strand = &network->strands[pull->actor];
    uint32_t from = 0;
    while (from < strand->length && strand->counters[from] <= pull->from) {
        from++;
    }
    connection->pulled[to][pull->actor] = from + 1;
    feed(network, c, to, pull->actor);
}

static void message_arrives(struct network *network, const struct network_item *item)
{
    struct network_connection *connection = &network->connections[item->connection];
    const struct peer_message *message = &item->message;
    if (message->kind == PEER_PULL) {
        begin_pull(network, item->connection, 1 - item->side, &message->pull);
        return;
    }
    if (message->kind == PEER_UNPULL) {
        connection->pulled[1 - item->side][message->unpull.actor] = 0;
        return;
    }
    struct replica_event event = {.kind = REPLICA_MESSAGE};
    event.message.link = connection->id[item->side];
    event.message.message = message;
    network_step(network, connection->side[item->side], &event);
}

static void keep_record(struct network *network, int node, const struct replica_record *record)
{
    struct network_node *self = &network->nodes[node];
    struct network_record *kept = NULL;
    for (uint32_t i = 0; i < self->records_count && !kept; i++) {
        bool is_same =
            bytes_equal(bytes_of(self->records[i].key, self->records[i].key_length), record->key);
        kept = is_same ? &self->records[i] : NULL;
    }
    if (!kept) {
        assert(self->records_count < NETWORK_RECORDS_MAX && record->key.length <= 128);
        kept = &self->records[self->records_count++];
        *kept = (struct network_record){.key_length = record->key.length};
        memcpy(kept->key, record->key.data, record->key.length);
    }
    free(kept->value);
    kept->value = network_copy(record->value.data, record->value.length);
    kept->value_length = record->value.length;
    struct replica_event event = {.kind = REPLICA_SAVED};
    event.saved.key = bytes_of(kept->key, kept->key_length);
    network_step(network, node, &event);
}

static void become(struct network *network, int node, const struct replica_become *become)
{
    struct network_node *self = &network->nodes[node];
    if (self->has_produce) {
        self->has_produce = false;
        network_produce(network, node, NULL);
        struct replica_event kept = {.kind = REPLICA_KEPT};
        if (become->must_be_idle) {
            network_step(network, node, &kept);
            return;
        }
    }
    self->cluster = become->cluster;
    self->actor = become->actor;
    self->clock = become->clock > self->clock ? become->clock : self->clock;
    struct replica_event event = {.kind = REPLICA_BECAME};
    network_step(network, node, &event);
}

static void make_promise(struct network *network, int node)
{
    struct network_node *self = &network->nodes[node];
    struct replica_event event = {.kind = REPLICA_PROMISED};
    event.promised = (struct promise){
        .actor = self->actor,
        .counter = self->clock,
        .head = network_held(network, node, self->actor),
    };
    if (self->clock > 0 && !self->is_slow) {
        self->promise = event.promised;
        network_step(network, node, &event);
    }
}

void network_quicken(struct network *network, int node)
{
    network->nodes[node].is_slow = false;
    make_promise(network, node);
}

static void act_on_link(struct network *network, int node, const struct replica_action *action)
{
    bool is_send = action->kind == REPLICA_SEND;
    int side = 0;
    int64_t c =
        find_connection(network, node, is_send ? action->send.link : action->drop.link, &side);
    if (c < 0) {
        return;
    }
    if (!is_send) {
        network->nodes[node].drops[action->drop.refusal]++;
        close_side(network, (uint32_t)c, side, action->drop.refusal);
        return;
    }
    network->nodes[node].sent[action->send.message.kind]++;
    struct network_item item = {.kind = ITEM_MESSAGE};
    network_copy_message(&item, &action->send.message);
    network_transmit(network, (uint32_t)c, 1 - side, item);
}

static void act_on_self(struct network *network, int node, const struct replica_action *action)
{
    struct network_node *self = &network->nodes[node];
    if (action->kind == REPLICA_RAISE_CLOCK) {
        self->clock = action->counter > self->clock ? action->counter : self->clock;
        struct replica_event event = {.kind = REPLICA_RAISED, .raised = action->counter};
        network_step(network, node, &event);
    } else if (action->kind == REPLICA_ANSWER) {
        self->answer = action->answer.result;
        self->answer_text = action->answer.text;
        self->has_answer = true;
    } else if (action->kind == REPLICA_REPORT && network->is_loud) {
        printf("# %.3f node %d: %s\n", (double)network->now.ns / 1e9, node,
               action->report.text.text);
    }
}

static void look_up(struct network *network, int node, const struct replica_action *action)
{
    const struct network_node *self = &network->nodes[node];
    uint16_t actor = action->look_up.actor;
    struct replica_event event = {.kind = REPLICA_FOUND};
    event.found.token = action->look_up.token;
    for (uint32_t i = 0; i < self->held[actor]; i++) {
        uint64_t counter = network->strands[actor].counters[i];
        if (counter <= action->look_up.counter) {
            event.found.counter = counter;
            event.found.hash = hash_at(self, actor, counter);
        }
    }
    network_step(network, node, &event);
}

static void reissue(struct network *network, int node, const struct replica_action *action)
{
    struct network_node *self = &network->nodes[node];
    self->reissued = action->reissue.actor;
    self->reissued_above = action->reissue.above;
    for (uint32_t i = 0; i < self->held[self->reissued]; i++) {
        if (network->strands[self->reissued].counters[i] > action->reissue.above) {
            network_produce(network, node, NULL);
        }
    }
    struct replica_event event = {.kind = REPLICA_REISSUED};
    network_step(network, node, &event);
}

static void act(struct network *network, int node, const struct replica_action *action)
{
    switch (action->kind) {
    case REPLICA_CONNECT:
        connect_node(network, node, action->connect.dial, action->connect.address.text);
        return;
    case REPLICA_DROP:
    case REPLICA_SEND:
        act_on_link(network, node, action);
        return;
    case REPLICA_RECORD:
        keep_record(network, node, &action->record);
        return;
    case REPLICA_SYSTEM_EVENT:
        network_produce(network, node, &action->member);
        return;
    case REPLICA_BECOME:
        become(network, node, &action->become);
        return;
    case REPLICA_PROMISE:
        make_promise(network, node);
        return;
    case REPLICA_RAISE_CLOCK:
    case REPLICA_REPORT:
    case REPLICA_ANSWER:
        act_on_self(network, node, action);
        return;
    case REPLICA_REISSUE:
        reissue(network, node, action);
        return;
    case REPLICA_LOOK_UP:
        look_up(network, node, action);
        return;
    case REPLICA_HOLLOW:
        network->nodes[node].hollowed++;
        return;
    }
}

// What an action leads to is told within the loop over the actions, but the memory that actions
// point to lives until the next step only: the list and its views are copied before.
struct kept_action {
    struct replica_action action;
    struct network_item copy;
    void *memory[2];
};

static struct kept_action *keep_actions(const struct replica_actions *actions)
{
    struct kept_action *kept = calloc(actions->count, sizeof *kept);
    assert(kept);
    for (uint32_t i = 0; i < actions->count; i++) {
        struct replica_action *action = &kept[i].action;
        *action = actions->items[i];
        if (action->kind == REPLICA_SEND) {
            network_copy_message(&kept[i].copy, &action->send.message);
            action->send.message = kept[i].copy.message;
        } else if (action->kind == REPLICA_RECORD) {
            struct bytes *key = &action->record.key;
            struct bytes *value = &action->record.value;
            key->data = kept[i].memory[0] = network_copy(key->data, key->length);
            value->data = kept[i].memory[1] = network_copy(value->data, value->length);
        } else if (action->kind == REPLICA_SYSTEM_EVENT) {
            struct bytes *address = &action->member.address;
            address->data = kept[i].memory[0] = network_copy(address->data, address->length);
        }
    }
    return kept;
}

void network_step(struct network *network, int node, struct replica_event *event)
{
    struct network_node *self = &network->nodes[node];
    if (!self->replica) {
        return;
    }
    event->now = network->now;
    int err = replica_step(self->replica, event, &network->actions);
    assert(err == 0);
    (void)err;
    self->deadline = replica_deadline(self->replica);
    if (network->actions.count == 0) {
        return;
    }
    uint32_t count = network->actions.count;
    struct kept_action *kept = keep_actions(&network->actions);
    for (uint32_t i = 0; i < count; i++) {
        if (self->replica) {
            act(network, node, &kept[i].action);
        }
        network_item_free(&kept[i].copy);
        free(kept[i].memory[0]);
        free(kept[i].memory[1]);
    }
    free(kept);
}

// --- Time --------------------------------------------------------------------------------------

static void happen(struct network *network, struct network_item *item)
{
    if (item->kind == ITEM_DIAL_FAILED) {
        struct replica_event event = {.kind = REPLICA_LINK_DOWN};
        event.link_down.dial = item->dial;
        network_step(network, item->side, &event);
        return;
    }
    struct network_connection *connection = &network->connections[item->connection];
    int node = connection->side[item->side];
    if (!network->nodes[node].replica) {
        return;
    }
    if (network->nodes[node].is_frozen) {
        connection->is_broken[item->side] = true;
        return;
    }
    if (item->kind == ITEM_OPEN) {
        open_side(network, item->connection, item->side);
    } else if (connection->id[item->side] == 0) {
        return;
    } else if (item->kind == ITEM_CLOSE) {
        link_down(network, item->connection, item->side, item->refusal);
    } else if (item->kind == ITEM_CHUNKS) {
        chunks_arrive(network, item);
    } else {
        message_arrives(network, item);
    }
}

static void tick_due(struct network *network)
{
    for (int i = 0; i < network->count; i++) {
        struct network_node *node = &network->nodes[i];
        for (int k = 0;
             node->replica && !node->is_frozen && instant_reached(node->deadline, network->now);
             k++) {
            assert(k < 1000);
            struct replica_event event = {.kind = REPLICA_TICK};
            network_step(network, i, &event);
        }
    }
}

static struct instant next_at(const struct network *network)
{
    struct instant next = network->queue_count > 0 ? network->queue[0].at : INSTANT_NEVER;
    for (int i = 0; i < network->count; i++) {
        const struct network_node *node = &network->nodes[i];
        if (node->replica && !node->is_frozen) {
            next = instant_earlier(next, node->deadline);
        }
    }
    return next;
}

static bool run(struct network *network, bool (*holds)(struct network *network), int64_t ms)
{
    struct instant end = instant_add(network->now, duration_ms(ms));
    for (;;) {
        if (holds && holds(network)) {
            return true;
        }
        struct instant next = next_at(network);
        if (next.ns > end.ns) {
            network->now = end;
            return false;
        }
        network->now = next.ns > network->now.ns ? next : network->now;
        while (network->queue_count > 0 && network->queue[0].at.ns <= network->now.ns) {
            struct network_item item = network_pop(network);
            happen(network, &item);
            network_item_free(&item);
        }
        tick_due(network);
    }
}

void network_run(struct network *network, int64_t ms)
{
    (void)run(network, NULL, ms);
}

bool network_run_until(struct network *network, bool (*holds)(struct network *network), int64_t ms)
{
    return run(network, holds, ms);
}

// --- Life --------------------------------------------------------------------------------------

struct network *network_new(int count, uint64_t seed, bool are_members)
{
    assert(count <= NETWORK_NODES_MAX);
    struct network *network = calloc(1, sizeof *network);
    assert(network);
    network->connections = calloc(NETWORK_CONNECTIONS_MAX, sizeof *network->connections);
    assert(network->connections);
    network->count = count;
    network->now.ns = 1000000000;
    network->latency_ms = 1;
    random_init(&network->random, seed);
    for (int i = 0; i < count; i++) {
        struct network_node *node = &network->nodes[i];
        random_bytes(&network->random, node->node.bytes, sizeof node->node.bytes);
        if (are_members) {
            memset(node->cluster.bytes, 7, sizeof node->cluster.bytes);
            node->actor = (uint16_t)(i + 1);
        }
    }
    for (int i = 1; are_members && i < count; i++) {
        char address[32];
        snprintf(address, sizeof address, "node:%d", i);
        struct member_event event = {
            .kind = MEMBER_ADMITTED,
            .actor = (uint16_t)(i + 1),
            .node = network->nodes[i].node,
            .by = network->nodes[0].node,
            .address = bytes_of_text(address),
        };
        network_produce(network, 0, &event);
    }
    for (int i = 1; are_members && i < count; i++) {
        network->nodes[i].held[1] = network->strands[1].length;
        network->nodes[i].clock = network->nodes[0].clock;
    }
    return network;
}

void network_free(struct network *network)
{
    for (int i = 0; i < network->count; i++) {
        replica_free(network->nodes[i].replica);
        for (uint32_t k = 0; k < network->nodes[i].records_count; k++) {
            free(network->nodes[i].records[k].value);
        }
    }
    for (int actor = 0; actor <= NETWORK_NODES_MAX; actor++) {
        for (uint32_t i = 0; i < network->strands[actor].length; i++) {
            free((void *)network->strands[actor].events[i].address.data);
        }
    }
    for (uint32_t i = 0; i < network->queue_count; i++) {
        network_item_free(&network->queue[i]);
    }
    free(network->queue);
    free(network->connections);
    free(network);
}

struct replica_config network_config(struct network *network, int i,
                                     struct replica_address peers[PEER_ADDRESSES_MAX])
{
    struct network_node *node = &network->nodes[i];
    uint32_t count = 0;
    for (int k = 0; k < network->count && count < 3; k++) {
        if (k != i) {
            snprintf(peers[count++].text, sizeof peers->text, "node:%d", k);
        }
    }
    struct replica_config config = {
        .now = network->now,
        .seed = random_u64(&network->random),
        .node = node->node,
        .cluster = node->cluster,
        .actor = node->actor,
        .wanted = node->wanted,
        .bootstrap = node->bootstrap,
        .run = node->run,
        .run_randoms_count = node->runs_count,
        .was_clean = true,
        .start_wait = duration_ms(5000),
        .peers = peers,
        .peers_count = count,
        .abilities = PEER_ABILITIES & ~node->unread,
        .clock = node->clock,
    };
    memcpy(config.run_randoms, node->runs, sizeof config.run_randoms);
    snprintf(config.advertise.text, sizeof config.advertise.text, "node:%d", i);
    return config;
}

static void raise_run(struct network *network, struct network_node *node)
{
    node->run.number++;
    node->run.random = random_u64(&network->random);
    memmove(node->runs + 1, node->runs, (RUNS_REMEMBERED_MAX - 1) * sizeof *node->runs);
    node->runs[0] = node->run.random;
    node->runs_count += node->runs_count < RUNS_REMEMBERED_MAX;
}

void network_start(struct network *network, int i)
{
    struct network_node *node = &network->nodes[i];
    assert(!node->replica);
    raise_run(network, node);
    struct replica_address peers[PEER_ADDRESSES_MAX];
    struct replica_config config = network_config(network, i, peers);
    struct strand_head heads[NETWORK_NODES_MAX + 1];
    for (uint16_t actor = 1; actor <= NETWORK_NODES_MAX; actor++) {
        uint64_t last = network_held(network, i, actor);
        if (last > 0) {
            heads[config.heads_count++] = (struct strand_head){
                .actor = actor,
                .last = last,
                .hash = hash_at(node, actor, last),
            };
        }
    }
    config.heads = heads;
    int err = replica_new(&config, &node->replica);
    assert(err == 0);
    (void)err;
    for (uint32_t k = 0; k < node->records_count; k++) {
        struct replica_event event = {.kind = REPLICA_RECORD_FOUND};
        event.record.key = bytes_of(node->records[k].key, node->records[k].key_length);
        event.record.value = bytes_of(node->records[k].value, node->records[k].value_length);
        network_step(network, i, &event);
    }
    for (int actor = 1; actor <= NETWORK_NODES_MAX; actor++) {
        for (uint32_t k = 0; k < node->held[actor]; k++) {
            struct replica_event event = {.kind = REPLICA_MEMBER_EVENT};
            event.member = network->strands[actor].events[k];
            if (event.member.kind != 0) {
                network_step(network, i, &event);
            }
        }
    }
    struct replica_event event = {.kind = REPLICA_START};
    network_step(network, i, &event);
}

void network_start_all(struct network *network)
{
    for (int i = 0; i < network->count; i++) {
        network_start(network, i);
    }
}

void network_stop(struct network *network, int node)
{
    struct network_node *self = &network->nodes[node];
    replica_free(self->replica);
    self->replica = NULL;
    for (uint32_t c = 0; c < network->connections_count; c++) {
        for (int side = 0; side < 2; side++) {
            if (network->connections[c].side[side] == node && network->connections[c].id[side]) {
                close_side(network, c, side, 0);
                network->connections[c].id[side] = 0;
            }
        }
    }
}

void network_block(struct network *network, int a, int b, bool is_blocked)
{
    network->is_blocked[a][b] = is_blocked;
    network->is_blocked[b][a] = is_blocked;
}

void network_send(struct network *network, int from, int to, const struct peer_message *message)
{
    for (uint32_t c = 0; c < network->connections_count; c++) {
        for (int side = 0; side < 2; side++) {
            const struct network_connection *connection = &network->connections[c];
            if (connection->side[side] == to && connection->side[1 - side] == from &&
                connection->id[0] && connection->id[1]) {
                struct network_item item = {.kind = ITEM_MESSAGE};
                network_copy_message(&item, message);
                network_transmit(network, c, side, item);
                return;
            }
        }
    }
    assert(!"no connection");
}
