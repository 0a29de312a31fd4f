// The driver of the replica. One turn: what other loops ask, what the log has brought, what is due;
// then credit goes back to the peers and what other loops must know is published. Messages of peers
// are told as they come, between turns.

#include "server/node/cluster.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/node/cluster_state.h"
#include "server/node/consumer_letter.h"
#include "server/node/groups.h"
#include "server/node/seats.h"
#include "server/node/service.h"

void cluster_log(struct cluster *cluster, enum log_level level, const char *format, ...)
{
    struct reason text;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text.text, sizeof text.text, format, arguments);
    va_end(arguments);
    const struct node_env *env = &cluster->service->env;
    env->log(env->context, level, "cluster", "%s", text.text);
}

// Ports change from connection to connection.
static uint64_t complaint_hash(const char *name, const char *text)
{
    const char *port = strrchr(name, ':');
    struct bytes host = bytes_of(name, port ? (size_t)(port - name) : strlen(name));
    return hash64_keyed(bytes_of_text(text), hash64(host)) | 1;
}

void cluster_complain(struct cluster *cluster, const char *name, const char *text)
{
    struct instant now = cluster->service->now;
    uint64_t hash = complaint_hash(name, text);
    for (uint32_t i = 0; i < COMPLAINTS_MAX; i++) {
        if (cluster->complaints[i].hash != hash) {
            continue;
        }
        if (instant_reached(instant_add(cluster->complaints[i].at, duration_ms(COMPLAINT_MS)),
                            now)) {
            cluster->complaints[i].at = now;
            cluster_log(cluster, LOG_WARNING, "%s: %s", name, text);
        }
        return;
    }
    uint32_t place = cluster->complaints_next++ % COMPLAINTS_MAX;
    cluster->complaints[place].hash = hash;
    cluster->complaints[place].at = now;
    cluster_log(cluster, LOG_WARNING, "%s: %s", name, text);
}

// --- What the replica is told ------------------------------------------------------------------

static void tell_links_down(struct cluster *cluster)
{
    LIST_FOR_EACH(&cluster->peers, link)
    {
        struct peer *peer = container_of(link, struct peer, link);
        if (peer->state != PEER_ENDED || peer->is_told) {
            continue;
        }
        peer->is_told = true;
        if (!peer->is_up && peer->dial == 0) {
            peer_release(peer); // the replica has never heard of it
            continue;
        }
        struct replica_event event = {
            .kind = REPLICA_LINK_DOWN,
            .link_down =
                {
                    .id = peer->is_up ? peer->id : 0,
                    .dial = peer->dial,
                    .refusal = peer->refusal,
                },
        };
        cluster_tell_surely(cluster, &event);
        peer_release(peer);
        return; // the list may be another one now
    }
}

static bool has_links_down(const struct cluster *cluster)
{
    for (const struct list_node *link = cluster->peers.next; link != &cluster->peers;
         link = link->next) {
        const struct peer *peer = (const struct peer *)(const void *)link; // its first member
        if (peer->state == PEER_ENDED && !peer->is_told) {
            return true;
        }
    }
    return false;
}

// What the actions have brought about. Each may bring more.
static void settle(struct cluster *cluster)
{
    while (!cluster->is_over) {
        if (cluster->raised > 0) {
            struct replica_event event = {.kind = REPLICA_RAISED, .raised = cluster->raised};
            cluster->raised = 0;
            cluster_tell_surely(cluster, &event);
        } else if (cluster->dials_failed_count > 0) {
            struct replica_event event = {.kind = REPLICA_LINK_DOWN};
            event.link_down.dial = cluster->dials_failed[--cluster->dials_failed_count];
            cluster_tell_surely(cluster, &event);
        } else if (has_links_down(cluster)) {
            tell_links_down(cluster);
        } else {
            return;
        }
    }
}

int cluster_tell(struct cluster *cluster, struct replica_event *event)
{
    bool is_outermost = !cluster->is_settling;
    if (cluster->is_over) {
        return 0;
    }
    assert(!cluster->is_stepping);
    cluster->is_stepping = true;
    event->now = cluster->service->now;
    int err = replica_step(cluster->replica, event, cluster->actions);
    cluster->due = replica_deadline(cluster->replica); // asked for more often than it changes
    if (err == 0) {
        cluster_do(cluster, cluster->actions);
    }
    cluster->is_stepping = false;
    if (is_outermost) {
        cluster->is_settling = true;
        settle(cluster);
        cluster->is_settling = false;
    }
    return err;
}

void cluster_tell_surely(struct cluster *cluster, struct replica_event *event)
{
    if (cluster_tell(cluster, event)) {
        cluster_fail(cluster, "out of memory while something was decided");
    }
}

void cluster_go_on(struct cluster *cluster)
{
    if (cluster->is_over || cluster->is_stepping) {
        return; // whoever steps goes on
    }
    cluster->is_stepping = true;
    cluster_drain(cluster);
    cluster->is_stepping = false;
    if (!cluster->is_settling) {
        cluster->is_settling = true;
        settle(cluster);
        cluster->is_settling = false;
    }
}

void cluster_fail(struct cluster *cluster, const char *what)
{
    if (cluster->is_over) {
        return;
    }
    reason_set(&cluster->failure, 0,
               "this node takes no part in its cluster any more (%s): restart it", what);
    cluster_log(cluster, LOG_ERROR, "%s", cluster->failure.text);
    cluster_shut_down(cluster);
    cluster->members_due = cluster->service->now;
    cluster_publish(cluster);
}

// --- Small help --------------------------------------------------------------------------------

struct peer *cluster_peer(struct cluster *cluster, link_id id)
{
    LIST_FOR_EACH(&cluster->peers, link)
    {
        struct peer *peer = container_of(link, struct peer, link);
        if (peer->id == id) {
            return peer;
        }
    }
    return NULL;
}

const struct strand_end *cluster_end(const struct cluster *cluster, uint16_t actor)
{
    uint32_t count;
    const struct strand_end *ends = store_port_ends(cluster->service->port, &count);
    uint32_t low = 0;
    while (low < count) {
        uint32_t middle = low + (count - low) / 2;
        if (ends[middle].actor == actor) {
            return &ends[middle];
        }
        if (ends[middle].actor < actor) {
            low = middle + 1;
        } else {
            count = middle;
        }
    }
    return NULL;
}

void cluster_append(struct cluster *cluster, struct cluster_append *append,
                    void (*completed)(struct cluster_append *append))
{
    append->cluster = cluster;
    append->completed = completed;
    append->append.owner = append;
    cluster->service->in_flight++;
    store_append(cluster->service->port, &append->append);
    service_wake(cluster->service); // a turn hands it over
}

void cluster_append_completed(struct append *append)
{
    struct cluster_append *done = append->owner;
    done->cluster->service->in_flight--;
    done->completed(done);
}

void cluster_read(struct cluster *cluster, struct read *read, struct read_owner *owner,
                  void (*completed)(struct read_owner *owner))
{
    owner->completed = completed;
    read->owner = owner;
    cluster->service->in_flight++;
    store_read(cluster->service->port, read);
}

bool cluster_owns(const struct service *service, const struct append *append)
{
    return append->kind != APPEND_PRODUCE ||
           (service->cluster && append == &service->cluster->reissue.append.append);
}

// --- Turns -------------------------------------------------------------------------------------

static void timer_expired(struct timer *timer)
{
    cluster_turn(container_of(timer, struct cluster, timer));
}

// One that is due at once gets another turn instead: timers that expire are not set to a time that
// has come.
static void arm(struct cluster *cluster)
{
    struct instant now = cluster->service->now;
    struct instant due = instant_earlier(cluster->due, cluster_repair_deadline(cluster));
    due = instant_earlier(due, cluster->retry_at);
    due = cluster->reissue.is_running ? instant_earlier(due, cluster->reissue.retry_at) : due;
    if (due.ns == INSTANT_NEVER.ns) {
        return;
    }
    if (instant_reached(due, now)) {
        service_wake(cluster->service);
        due = instant_add(now, duration_ms(1));
    }
    if (timer_set(&cluster->service->timers, &cluster->timer, due)) {
        service_wake(cluster->service);
    }
}

static void tell_wants(struct cluster *cluster)
{
    bool is_wanted = atomic_load(&cluster->node->view.stable_readers) > 0;
    if (is_wanted != cluster->is_stable_wanted) {
        struct replica_event event = {.kind = REPLICA_WANTS, .wants = {.stable = is_wanted}};
        if (cluster_tell(cluster, &event) == 0) {
            cluster->is_stable_wanted = is_wanted;
            atomic_store(&cluster->node->is_stable_told, is_wanted);
        }
    }
}

void cluster_nudge(struct node *node)
{
    bool is_wanted = atomic_load_explicit(&node->view.stable_readers, memory_order_relaxed) > 0;
    if (node->mailbox && is_wanted != atomic_load(&node->is_stable_told)) {
        cluster_mailbox_call(node);
    }
}

static void tick(struct cluster *cluster)
{
    for (int i = 0; i < STEPS_PER_TURN_MAX && !cluster->is_over &&
                    instant_reached(cluster->due, cluster->service->now);
         i++) {
        struct replica_event event = {.kind = REPLICA_TICK};
        if (cluster_tell(cluster, &event)) {
            return; // it stays due
        }
    }
}

void cluster_turn(struct cluster *cluster)
{
    if (cluster->is_over) {
        seats_take_letters(cluster->seats);
        return;
    }
    cluster->is_running = true;
    if (instant_reached(cluster->retry_at, cluster->service->now)) {
        cluster->retry_at = INSTANT_NEVER;
    }
    cluster_go_on(cluster);
    cluster_take_letters(cluster);
    cluster_take_news(cluster);
    cluster_fill_sealed(cluster);
    seats_take_letters(cluster->seats); // behind the news, which `after` may name
    tell_wants(cluster);
    cluster_repair(cluster);
    cluster_reissue_retry(cluster);
    tick(cluster);
    seats_turn(cluster->seats);
    groups_turn(cluster->groups);
    LIST_FOR_EACH(&cluster->peers, link)
    {
        peer_return_credit(container_of(link, struct peer, link));
    }
    if (!cluster->is_over) {
        cluster_publish(cluster);
        arm(cluster);
    }
}

// --- Life --------------------------------------------------------------------------------------

static void fill_replica_config(const struct cluster *cluster, const struct cluster_config *from,
                                struct replica_config *config_out)
{
    const struct node_env *env = &cluster->service->env;
    const struct identity *identity = &from->identity;
    *config_out = (struct replica_config){
        .now = cluster->service->now,
        .seed = cluster->node->seed,
        .node = identity->node,
        .cluster = identity->cluster,
        .actor = identity->actor,
        .wanted = from->wanted_actor,
        .run = {.number = identity->run, .random = identity->run_randoms[0]},
        .run_randoms_count = identity->run_randoms_count,
        .bootstrap = from->bootstrap,
        .was_clean = from->was_clean,
        .start_wait = duration_ms(from->start_wait_ms),
        .advertise = from->advertise,
        .peers = from->peers,
        .peers_count = from->peers_count,
        .abilities = PEER_ABILITIES,
        .clock = store_clock(cluster->node->store),
    };
    memcpy(config_out->run_randoms, identity->run_randoms, sizeof config_out->run_randoms);
    memcpy(config_out->cluster_name, identity->cluster_name, sizeof config_out->cluster_name);
    if (env->random) {
        env->random(env->context, (uint8_t *)&config_out->seed, sizeof config_out->seed);
    }
}

static int make_replica(struct cluster *cluster, const struct cluster_config *from)
{
    struct replica_config config;
    uint32_t count;
    const struct strand_end *ends = store_port_ends(cluster->service->port, &count);
    struct strand_head *heads = calloc(count + 1, sizeof *heads);
    if (!heads) {
        return ERR_MEMORY;
    }
    for (uint32_t i = 0; i < count; i++) {
        heads[i] = (struct strand_head){
            .actor = ends[i].actor, .last = ends[i].last, .hash = ends[i].hash};
    }
    fill_replica_config(cluster, from, &config);
    config.heads = heads;
    config.heads_count = count;
    int err = replica_new(&config, &cluster->replica);
    free(heads);
    return err;
}

static struct cluster *cluster_make(struct service *service, const struct cluster_config *config)
{
    struct cluster *cluster = calloc(1, sizeof *cluster);
    if (!cluster) {
        return NULL;
    }
    cluster->service = service;
    cluster->node = service->node;
    cluster->config = *config;
    cluster->config.peers = NULL;
    cluster->retry_at = INSTANT_NEVER;
    cluster->due = INSTANT_NEVER;
    cluster->timer.expired = timer_expired;
    cluster->repair.next_at = service->now;
    cluster->are_ends_stale = true;
    list_init(&cluster->peers);
    list_init(&cluster->deferred);
    list_init(&cluster->letters);
    cluster->actions = malloc(sizeof *cluster->actions);
    if (!cluster->actions || buffer_append(&cluster->secret, config->secret)) {
        free(cluster->actions);
        free(cluster);
        return NULL;
    }
    cluster->config.secret = buffer_bytes(&cluster->secret);
    return cluster;
}

int cluster_new(struct service *service, const struct cluster_config *config, struct reason *reason)
{
    assert(!service->cluster);
    struct cluster *cluster = cluster_make(service, config);
    if (!cluster) {
        return reason_set(reason, ERR_MEMORY, "out of memory for the cluster");
    }
    service->cluster = cluster;
    int err = make_replica(cluster, config);
    err = err ? err : cluster_mailbox_new(service->node);
    err = err ? err : consumer_mailbox_new(service->node);
    err = err ? err : groups_new(cluster, &cluster->groups);
    err = err ? err : seats_new(cluster, &cluster->seats);
    if (err) {
        cluster_free(service);
        return reason_set(reason, err, "the cluster cannot be set up: %s", err_text(err));
    }
    err = cluster_read_log(cluster, reason);
    if (err) {
        cluster_free(service);
        return err;
    }
    struct replica_event event = {.kind = REPLICA_START};
    cluster_tell_surely(cluster, &event);
    atomic_store(&cluster->node->view.has_cluster, true);
    cluster_publish(cluster);
    if (timer_set(&service->timers, &cluster->timer, service->now)) {
        service_wake(service);
    }
    return 0;
}

void cluster_shut_down(struct cluster *cluster)
{
    if (cluster->is_over) {
        return;
    }
    cluster->is_over = true;
    LIST_FOR_EACH(&cluster->peers, link)
    {
        peer_end(container_of(link, struct peer, link), REFUSAL_SHUTDOWN, "this node stops");
    }
    timer_clear(&cluster->service->timers, &cluster->timer);
    cluster_mailbox_close(cluster->node);
    cluster_refuse_letters(cluster);
    groups_shut_down(cluster->groups);
    seats_close(cluster->seats);
}

void cluster_free(struct service *service)
{
    struct cluster *cluster = service->cluster;
    if (!cluster) {
        return;
    }
    assert(list_is_empty(&cluster->peers));
    if (service->node->mailbox) {
        cluster_shut_down(cluster);
        cluster_mailbox_free(service->node);
    }
    seats_free(cluster->seats);
    groups_free(cluster->groups);
    consumer_mailbox_free(service->node);
    timer_clear(&service->timers, &cluster->timer);
    cluster_actions_clear(cluster);
    cluster_news_deinit(cluster);
    cluster_reissue_deinit(cluster);
    buffer_deinit(&cluster->repair.chunk);
    buffer_deinit(&cluster->alarms);
    replica_free(cluster->replica);
    if (cluster->secret.data) {
        explicit_bzero(cluster->secret.data, cluster->secret.capacity);
    }
    buffer_deinit(&cluster->secret);
    free(cluster->actions);
    free(cluster);
    service->cluster = NULL;
}
