// The network is pull and push between two front ends, as net does it; a dial is done when the
// fixture next settles, never inside of the call.

#include "tests/unit/server/cluster_fixture.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/base/limits.h"
#include "proto/model/event.h"
#include "tests/unit/check_main.h"

enum { PIECES = 16, SETTLE_ROUNDS_MAX = 2000000, EVENTS_MAX = 4096 };

// --- The world of a node -----------------------------------------------------------------------

static struct instant env_now(void *context)
{
    const struct cluster_node *node = context;
    return node->fixture->now;
}

static uint64_t env_wall_ms(void *context)
{
    const struct cluster_node *node = context;
    return node->fixture->wall_ms;
}

static void env_wake(void *context)
{
    struct cluster_node *node = context;
    node->is_woken = true;
}

static void env_random(void *context, uint8_t *out, size_t length)
{
    struct cluster_node *node = context;
    random_bytes(&node->fixture->random, out, length);
}

static PRINTF_LIKE(4, 5) void env_log(void *context, enum log_level level, const char *part,
                                      const char *format, ...)
{
    struct cluster_node *node = context;
    va_list arguments;
    va_start(arguments, format);
    if (level <= LOG_WARNING) {
        vsnprintf(node->log_text, sizeof node->log_text, format, arguments);
    }
    va_end(arguments);
    if (getenv("WEIR_TEST_LOG")) {
        va_start(arguments, format);
        printf("# %9.3f node %u %s: ", (double)node->fixture->now.ns / 1e9, node->index, part);
        vprintf(format, arguments);
        printf("\n");
        va_end(arguments);
    }
}

static struct cluster_pipe *pipe_new(struct cluster_fixture *fixture)
{
    for (unsigned i = 0; i < CLUSTER_PIPES_MAX; i++) {
        if (!fixture->pipes[i].is_open) {
            fixture->pipes[i] = (struct cluster_pipe){.is_open = true};
            return &fixture->pipes[i];
        }
    }
    ck_abort_msg("too many connections at one time");
    return NULL;
}

static void end_open(struct cluster_end *end, const struct frontend_ops *ops, uint64_t dial)
{
    const struct frontend_config config = {
        .service = end->node->service,
        .peer_name = end->node->index == 0 ? "from0:1" : "other:1",
        .owner = end,
        .dial = dial,
        .is_local = end->node->fixture->is_local,
    };
    end->has_ended = ops->open(&config, &end->frontend) != 0;
}

static void env_connect(void *context, uint64_t dial, const char *address)
{
    struct cluster_node *node = context;
    struct cluster_fixture *fixture = node->fixture;
    unsigned index = 0;
    ck_assert_int_eq(sscanf(address, "node%u:1", &index), 1);
    struct cluster_node *other = &fixture->nodes[index];
    if (!other->is_open || fixture->are_parted[node->index][index]) {
        peer_dial_failed(node->service, dial, "nobody listens there");
        return;
    }
    struct cluster_pipe *pipe = pipe_new(fixture);
    pipe->ends[0].node = node;
    pipe->ends[1].node = other;
    end_open(&pipe->ends[0], &FRONTEND_PEER, dial);
    if (pipe->ends[0].has_ended) {
        pipe->is_open = false;
        peer_dial_failed(node->service, dial, "it cannot be opened");
    }
}

static int save_identity(void *context, const struct identity *identity)
{
    struct cluster_node *node = context;
    node->identity = *identity;
    return 0;
}

// --- Bytes -------------------------------------------------------------------------------------

static void pipe_close(struct cluster_pipe *pipe)
{
    for (unsigned i = 0; i < 2; i++) {
        struct cluster_end *end = &pipe->ends[i];
        if (end->frontend) {
            end->frontend->ops->close(end->frontend);
        }
        buffer_deinit(&end->unfed);
    }
    *pipe = (struct cluster_pipe){0};
}

static bool end_feed(struct cluster_end *end)
{
    const struct cluster_fixture *fixture = end->node->fixture;
    size_t taken = 0;
    size_t wanted = 0;
    if (end->has_ended || end->node->is_frozen) {
        return false;
    }
    if (!end->frontend) {
        const struct frontend_ops *ops = frontend_choose(buffer_bytes(&end->unfed));
        if (!ops) {
            return false;
        }
        ck_assert_ptr_eq(ops, &FRONTEND_PEER);
        end_open(end, ops, 0);
        if (end->has_ended) {
            return true;
        }
    }
    struct bytes bytes = buffer_bytes(&end->unfed);
    if (bytes.length == 0) {
        return false;
    }
    int result = end->frontend->ops->feed(end->frontend, bytes, fixture->now, &taken, &wanted);
    if (result < 0) {
        end->has_ended = true;
        return true;
    }
    buffer_consume(&end->unfed, taken);
    end->fed_bytes += taken;
    return taken > 0;
}

// Moves what one side sends to the other. Returns whether anything moved.
static bool end_move(struct cluster_pipe *pipe, unsigned from)
{
    struct cluster_end *end = &pipe->ends[from];
    struct cluster_fixture *fixture = end->node->fixture;
    struct cluster_end *other = &pipe->ends[1 - from];
    struct iovec pieces[PIECES];
    if (!end->frontend || end->node->is_frozen || other->unfed.length > 2 * MIB ||
        fixture->are_parted[end->node->index][other->node->index]) {
        return false;
    }
    size_t count = end->frontend->ops->peek(end->frontend, pieces, PIECES);
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        size_t length = pieces[i].iov_len;
        if (fixture->feed_max > 0 && total + length > fixture->feed_max) {
            length = fixture->feed_max - total;
        }
        ck_assert_int_eq(buffer_append(&other->unfed, bytes_of(pieces[i].iov_base, length)), 0);
        total += length;
        if (length < pieces[i].iov_len) {
            break;
        }
    }
    end->frontend->ops->sent(end->frontend, total);
    fixture->bytes_moved += total;
    return total > 0;
}

static bool end_tick(struct cluster_end *end)
{
    const struct cluster_fixture *fixture = end->node->fixture;
    if (end->has_ended || !end->frontend || end->node->is_frozen ||
        !instant_reached(end->frontend->ops->deadline(end->frontend), fixture->now)) {
        return false;
    }
    end->has_ended = end->frontend->ops->tick(end->frontend, fixture->now) < 0;
    return end->has_ended;
}

static bool pipe_step(struct cluster_pipe *pipe)
{
    struct cluster_fixture *fixture = pipe->ends[0].node->fixture;
    bool has_moved = false;
    for (unsigned i = 0; i < 2; i++) {
        has_moved |= end_move(pipe, i);
        if (fixture->cut_after > 0 && fixture->bytes_moved >= fixture->cut_after) {
            fixture->cut_after = 0;
            pipe_close(pipe);
            return true;
        }
    }
    for (unsigned i = 0; i < 2; i++) {
        has_moved |= end_feed(&pipe->ends[i]);
        has_moved |= end_tick(&pipe->ends[i]);
    }
    bool is_over = pipe->ends[0].has_ended || pipe->ends[1].has_ended;
    if (is_over && !has_moved) {
        pipe_close(pipe);
        return true;
    }
    return has_moved;
}

static bool node_step(struct cluster_node *node)
{
    if (!node->is_open || node->is_frozen) {
        return false;
    }
    bool has_moved =
        !node->is_store_frozen && store_step_commit(node->store, node->fixture->wall_ms);
    has_moved |= store_step_read(node->store);
    has_moved |= store_step_index(node->store);
    if (instant_reached(service_deadline(node->service), node->fixture->now)) {
        service_tick(node->service, node->fixture->now);
        node->is_woken = true;
    }
    if (node->is_woken) {
        node->is_woken = false;
        service_turn(node->service, node->fixture->now);
        has_moved = true;
    }
    while (service_take_ready(node->service, true)) {
    }
    struct session_item item;
    while (node->session && session_take(node->session, &item)) {
        node->produced += item.head.kind == REPLY_PRODUCED;
        node->refused += item.head.kind == REPLY_ERROR;
        block_unref(item.block);
    }
    return has_moved;
}

void cluster_settle(struct cluster_fixture *fixture)
{
    bool has_moved = true;
    for (unsigned round = 0; has_moved; round++) {
        ck_assert_msg(round < SETTLE_ROUNDS_MAX, "the cluster does not come to rest");
        has_moved = false;
        for (unsigned i = 0; i < fixture->nodes_count; i++) {
            has_moved |= node_step(&fixture->nodes[i]);
        }
        for (unsigned i = 0; i < CLUSTER_PIPES_MAX; i++) {
            if (fixture->pipes[i].is_open) {
                has_moved |= pipe_step(&fixture->pipes[i]);
            }
        }
    }
}

void cluster_pass_ms(struct cluster_fixture *fixture, unsigned ms)
{
    struct instant until = instant_add(fixture->now, duration_ms(ms));
    cluster_settle(fixture);
    while (!instant_reached(until, fixture->now)) {
        struct instant next = until;
        for (unsigned i = 0; i < fixture->nodes_count; i++) {
            const struct cluster_node *node = &fixture->nodes[i];
            if (node->is_open && !node->is_frozen) {
                next = instant_earlier(next, service_deadline(node->service));
            }
        }
        struct instant least = instant_add(fixture->now, duration_ms(1));
        fixture->now = next.ns > least.ns ? next : least;
        fixture->wall_ms = 1000000 + (uint64_t)(fixture->now.ns / 1000000);
        cluster_settle(fixture);
    }
}

// --- Nodes -------------------------------------------------------------------------------------

void cluster_fixture_init(struct cluster_fixture *fixture, unsigned nodes, uint64_t seed)
{
    *fixture = (struct cluster_fixture){
        .now = {.ns = 1000000000},
        .wall_ms = 1000000,
        .nodes_count = nodes,
        .is_local = true,
    };
    random_init(&fixture->random, seed);
    for (unsigned i = 0; i < nodes; i++) {
        struct cluster_node *node = &fixture->nodes[i];
        node->fixture = fixture;
        node->index = i;
        node->log_medium = disk_medium_new();
        node->index_medium = disk_medium_new();
        ck_assert(node->log_medium && node->index_medium);
        disk_medium_set_free(node->log_medium, UINT64_MAX);
        snprintf(node->identity.cluster_name, sizeof node->identity.cluster_name, "test");
        random_bytes(&fixture->random, node->identity.node.bytes, 16);
    }
}

static void store_begin(struct cluster_node *node)
{
    const struct store_config config = {
        .actor = node->identity.actor,
        .compress = true,
        .has_peers = true,
        .recent_bytes_max = 256 * KIB,
        .index_bytes_max = 4 * MIB,
        .walk_bytes = 1 * MIB,
        .seed = 7,
    };
    struct store_recovery recovery;
    struct reason reason = {0};
    ck_assert_int_eq(disk_memory_open(node->log_medium, LOG_FAMILIES, &node->log), 0);
    ck_assert_int_eq(disk_memory_open(node->index_medium, INDEX_FAMILIES, &node->index_disk), 0);
    int result = store_open(&config, node->log, node->index_disk, &node->store, &recovery, &reason);
    ck_assert_msg(result == 0, "%s", reason.text);
}

static void service_begin(struct cluster_node *node)
{
    node->env = (struct node_env){
        .context = node,
        .now = env_now,
        .wall_ms = env_wall_ms,
        .wake = env_wake,
        .connect = env_connect,
        .random = env_random,
        .log = env_log,
    };
    const struct node_config config = {
        .identity = &node->identity,
        .store = node->store,
        .data_bytes_max = 32 * MIB,
        .compress = true,
        .after_timeout_ms = 1000,
        .seed = node->index + 1,
        .started = node->fixture->now,
        .services_max = 1,
    };
    ck_assert_int_eq(node_new(&config, &node->node), 0);
    ck_assert_int_eq(service_new(node->node, &node->env, &node->service), 0);
}

void cluster_node_open(struct cluster_fixture *fixture, unsigned index, uint16_t actor,
                       const char *secret)
{
    struct cluster_node *node = &fixture->nodes[index];
    struct replica_address peers[CLUSTER_NODES_MAX];
    uint32_t count = 0;
    for (unsigned i = 0; i < fixture->nodes_count; i++) {
        if (i != index) {
            snprintf(peers[count++].text, sizeof peers->text, "node%u:1", i);
        }
    }
    if (actor != 0) {
        node->identity.actor = actor;
        memset(node->identity.cluster.bytes, 0xc1, sizeof node->identity.cluster.bytes);
    }
    struct identity *identity = &node->identity;
    memmove(identity->run_randoms + 1, identity->run_randoms,
            (RUNS_REMEMBERED_MAX - 1) * sizeof *identity->run_randoms);
    identity->run_randoms[0] = random_u64(&fixture->random);
    identity->run++;
    identity->run_randoms_count += identity->run_randoms_count < RUNS_REMEMBERED_MAX;
    node->secret = secret;
    store_begin(node);
    service_begin(node);
    struct cluster_config config = {
        .identity = node->identity,
        .was_clean = true,
        .start_wait_ms = 5000,
        .peers = peers,
        .peers_count = count,
        .secret = secret ? bytes_of_text(secret) : bytes_of(NULL, 0),
        .save_identity = save_identity,
        .save_context = node,
    };
    struct reason reason = {0};
    snprintf(config.advertise.text, sizeof config.advertise.text, "node%u:1", index);
    int result = cluster_new(node->service, &config, &reason);
    ck_assert_msg(result == 0, "%s", reason.text);
    ck_assert_int_eq(session_open(node->service, node, &node->session), 0);
    node->is_open = true;
}

void cluster_node_close(struct cluster_fixture *fixture, unsigned index)
{
    struct cluster_node *node = &fixture->nodes[index];
    node->is_frozen = false;
    node->is_store_frozen = false;
    service_shut_down(node->service);
    cluster_settle(fixture);
    cluster_cut(fixture, index, UINT32_MAX);
    session_close(node->session);
    node->session = NULL;
    cluster_settle(fixture);
    ck_assert(service_is_idle(node->service));
    service_free(node->service);
    node_free(node->node);
    ck_assert_int_eq(store_close(node->store), 0);
    disk_close(node->log);
    disk_close(node->index_disk);
    node->is_open = false;
}

void cluster_fixture_deinit(struct cluster_fixture *fixture)
{
    for (unsigned i = 0; i < fixture->nodes_count; i++) {
        if (fixture->nodes[i].is_open) {
            cluster_node_close(fixture, i);
        }
        disk_medium_free(fixture->nodes[i].log_medium);
        disk_medium_free(fixture->nodes[i].index_medium);
    }
}

// --- What tests do -----------------------------------------------------------------------------

void cluster_produce(struct cluster_fixture *fixture, unsigned index, unsigned count, size_t length)
{
    struct cluster_node *node = &fixture->nodes[index];
    struct buffer events = {0};
    uint8_t *data = malloc(length);
    ck_assert_ptr_nonnull(data);
    for (unsigned i = 0; i < count; i++) {
        random_bytes(&fixture->random, data, length);
        ck_assert_int_eq(event_append(&events, bytes_of_text("/some/name"), bytes_of(data, length),
                                      bytes_of(NULL, 0)),
                         0);
    }
    const struct request request = {
        .kind = REQUEST_PRODUCE,
        .id = ++node->request_id,
        .produce = {.events = buffer_bytes(&events), .events_count = count},
    };
    ck_assert_int_eq(session_submit(node->session, &request, fixture->now), 0);
    node->is_woken = true;
    buffer_deinit(&events);
    free(data);
}

void cluster_cut(struct cluster_fixture *fixture, unsigned a, unsigned b)
{
    for (unsigned i = 0; i < CLUSTER_PIPES_MAX; i++) {
        struct cluster_pipe *pipe = &fixture->pipes[i];
        if (!pipe->is_open) {
            continue;
        }
        unsigned from = pipe->ends[0].node->index;
        unsigned to = pipe->ends[1].node->index;
        bool is_any = b == UINT32_MAX && (from == a || to == a);
        if (is_any || (from == a && to == b) || (from == b && to == a)) {
            pipe_close(pipe);
        }
    }
}

void cluster_part(struct cluster_fixture *fixture, unsigned a, unsigned b, bool is_parted)
{
    fixture->are_parted[a][b] = is_parted;
    fixture->are_parted[b][a] = is_parted;
}

unsigned cluster_pipes(const struct cluster_fixture *fixture)
{
    unsigned count = 0;
    for (unsigned i = 0; i < CLUSTER_PIPES_MAX; i++) {
        count += fixture->pipes[i].is_open;
    }
    return count;
}

static struct store_port *port_open(struct cluster_node *node)
{
    struct store_port *port;
    ck_assert_int_eq(store_port_open(node->store, env_wake, node, &port), 0);
    store_port_refresh(port);
    return port;
}

bool cluster_is_equal(struct cluster_fixture *fixture)
{
    struct store_port *first = NULL;
    const struct strand_end *ends = NULL;
    uint32_t count = 0;
    bool is_equal = true;
    for (unsigned i = 0; i < fixture->nodes_count; i++) {
        if (!fixture->nodes[i].is_open) {
            continue;
        }
        struct store_port *port = port_open(&fixture->nodes[i]);
        uint32_t others_count;
        const struct strand_end *others = store_port_ends(port, &others_count);
        if (!first) {
            first = port;
            ends = others;
            count = others_count;
            continue;
        }
        is_equal = is_equal && count == others_count;
        for (uint32_t k = 0; k < count && is_equal; k++) {
            is_equal = ends[k].actor == others[k].actor && ends[k].last == others[k].last &&
                       hash128_equal(&ends[k].hash, &others[k].hash);
        }
        store_port_close(port);
    }
    store_port_close(first);
    return is_equal;
}

uint64_t cluster_held(struct cluster_fixture *fixture, unsigned index, uint16_t actor)
{
    struct store_port *port = port_open(&fixture->nodes[index]);
    uint64_t held = version_vector_get(store_port_vector(port), actor);
    store_port_close(port);
    return held;
}
