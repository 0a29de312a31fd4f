// One turn of a loop: libev waits and calls back; callbacks read bytes into front ends and note
// what is to be done; then, before libev waits again (ev_prepare), everything noted is done once:
// the service takes completions and hands over appends, sessions that became ready are fed and
// flushed, waiting frames get memory, and what has died is freed. This is the only place that
// frees connections.
//
// With one request in flight a turn is one read, or one wake-up and one writev: watchers for
// writing exist only while a socket is full, and timers are moved lazily.
#include "server/net/loop.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "server/net/connection.h"
#include "server/net/net_state.h"
#include "server/node/service.h"

enum { PASSES_MAX = 4, FLUSHES_MAX = 32 };

static struct instant clock_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (struct instant){.ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec};
}

static struct instant env_now(void *context)
{
    const struct loop *loop = context;
    return loop->now;
}

static uint64_t env_wall_ms(void *context)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void env_wake(void *context)
{
    struct loop *loop = context;
    ev_async_send(loop->ev, &loop->woken);
}

static void env_connect(void *context, uint64_t dial, const char *address)
{
    struct loop *loop = context;
    assert(loop->index == 0);
    dialer_dial(&loop->net->dialer, dial, address);
}

// Whoever guesses an id of a node or a nonce is that node: without randomness there is no going on.
static void env_random(void *context, uint8_t *out, size_t length)
{
    while (length > 0) {
        ssize_t got = getrandom(out, length, 0);
        assert(got > 0 || errno == EINTR);
        out += got > 0 ? got : 0;
        length -= got > 0 ? (size_t)got : 0;
    }
}

static void env_log(void *context, enum log_level level, const char *part, const char *format, ...)
{
    const struct net_config *config = &((struct loop *)context)->net->config;
    va_list arguments;
    va_start(arguments, format);
    config->log(config->log_context, level, part, format, arguments);
    va_end(arguments);
}

void loop_log(struct loop *loop, enum log_level level, const char *format, ...)
{
    const struct net_config *config = &loop->net->config;
    va_list arguments;
    va_start(arguments, format);
    config->log(config->log_context, level, "net", format, arguments);
    va_end(arguments);
}

bool complaint_is_due(struct complaint *complaint, struct instant now)
{
    if (!instant_reached(complaint->next, now)) {
        return false;
    }
    complaint->next = instant_add(now, duration_ms(10000));
    return true;
}

void loop_call(struct loop *loop)
{
    ev_async_send(loop->ev, &loop->called);
}

bool loop_give(struct loop *loop, struct connection *connection)
{
    pthread_mutex_lock(&loop->arrivals_lock);
    bool fits = loop->arrivals_count < LOOP_ARRIVALS_MAX;
    if (fits) {
        connection->is_counted = true;
        list_append(&loop->arrivals, &connection->node);
        loop->arrivals_count++;
        atomic_fetch_add_explicit(&loop->connections_count, 1, memory_order_relaxed);
    }
    pthread_mutex_unlock(&loop->arrivals_lock);
    if (fits) {
        loop_call(loop);
    }
    return fits;
}

static struct connection *take_arrival(struct loop *loop)
{
    pthread_mutex_lock(&loop->arrivals_lock);
    struct list_node *node = list_first(&loop->arrivals);
    if (node != NULL) {
        list_remove(node);
        loop->arrivals_count--;
    }
    pthread_mutex_unlock(&loop->arrivals_lock);
    return node == NULL ? NULL : container_of(node, struct connection, node);
}

static void begin_shutdown(struct loop *loop)
{
    loop->is_shutting_down = true;
    loop->shutdown_by = instant_add(loop->now, duration_ms(SHUTDOWN_MS));
    ev_timer_set(&loop->over, SHUTDOWN_MS / 1e3, SHUTDOWN_STORE_MS / 1e3);
    ev_timer_start(loop->ev, &loop->over);
    if (loop->index == 0) {
        listeners_close(&loop->net->listeners);
        dialer_close(&loop->net->dialer);
    }
    service_shut_down(loop->service);
    loop->turn_wanted = true;
    LIST_FOR_EACH(&loop->connections, node)
    {
        struct connection *connection = container_of(node, struct connection, node);
        if (connection->state == CONNECTION_GREETING) {
            connection_kill(connection);
        } else if (connection->state != CONNECTION_DEAD) {
            connection_touch(connection);
        }
    }
}

// The time for orderly ends is over: first for the connections, then for the store.
static void shutdown_is_over(struct loop *loop)
{
    if (list_is_empty(&loop->connections)) {
        loop->is_stuck = !service_is_idle(loop->service);
        ev_break(loop->ev, EVBREAK_ALL);
        return;
    }
    LIST_FOR_EACH(&loop->connections, node)
    {
        connection_kill(container_of(node, struct connection, node));
    }
}

static void answer_call(struct loop *loop)
{
    atomic_store(&loop->pong, atomic_load(&loop->ping));
    struct connection *connection;
    while ((connection = take_arrival(loop)) != NULL) {
        connection_attach(connection, loop, bytes_of(NULL, 0));
    }
    if (!loop->is_shutting_down && atomic_load(&loop->net->is_shutting_down)) {
        begin_shutdown(loop);
    }
    net_notify(loop->net);
}

// Whether it has nothing to do but to send; it does not sleep before that is so.
static bool is_idle(const struct loop *loop)
{
    return !loop->turn_wanted && !ev_async_pending(&loop->woken);
}

// Some of those that have something to send, the others after a look at what has come in: sending
// to a thousand consumers takes 10 ms, for which the next event should not wait to be read and
// committed.
// Returns whether that was all.
static bool flush_some(struct loop *loop)
{
    for (int i = 0; i < FLUSHES_MAX; i++) {
        struct connection *connection;
        while (list_is_empty(&loop->flush) && is_idle(loop) &&
               (connection = service_take_ready(loop->service, true)) != NULL) {
            connection_on_ready(connection); // or it is dead
        }
        struct list_node *node = list_first(&loop->flush);
        if (node == NULL) {
            return true;
        }
        list_remove(node);
        connection_flush(container_of(node, struct connection, work));
    }
    return false;
}

static void take_ready(struct loop *loop)
{
    struct connection *connection;
    while ((connection = service_take_ready(loop->service, false)) != NULL) {
        connection_on_ready(connection);
    }
}

// What has had its share in the last turn goes on in this one.
static void resume_later(struct loop *loop)
{
    struct list_node *node;
    while ((node = list_first(&loop->later)) != NULL) {
        list_remove(node);
        list_append(&loop->flush, node);
    }
}

static void feed_starved(struct loop *loop)
{
    LIST_FOR_EACH(&loop->starved, node)
    {
        if (!connection_unstarve(container_of(node, struct connection, starved))) {
            break;
        }
    }
}

static void free_dead(struct loop *loop)
{
    struct list_node *node;
    while ((node = list_first(&loop->dead)) != NULL) {
        connection_free(container_of(node, struct connection, work));
    }
}

static void arm_tick(struct loop *loop)
{
    struct instant due = service_deadline(loop->service);
    if (due.ns < loop->tick_armed.ns) {
        double after = due.ns <= loop->now.ns ? 0.0 : (double)(due.ns - loop->now.ns) / 1e9;
        ev_timer_stop(loop->ev, &loop->tick);
        ev_timer_set(&loop->tick, after, 0.0);
        ev_timer_start(loop->ev, &loop->tick);
        loop->tick_armed = due;
    }
}

static void look_for_the_end(struct loop *loop)
{
    struct reason fatal = {0};
    if (!loop->is_fatal && service_is_fatal(loop->service, &fatal)) {
        loop->is_fatal = true;
        net_report_fatal(loop->net, &fatal);
    }
    if (loop->is_shutting_down && list_is_empty(&loop->connections) &&
        service_is_idle(loop->service)) {
        ev_break(loop->ev, EVBREAK_ALL);
    }
}

static void end_turn(struct loop *loop)
{
    bool is_all_sent = true;
    resume_later(loop);
    for (int pass = 0; pass < PASSES_MAX; pass++) {
        if (loop->turn_wanted) {
            loop->turn_wanted = false;
            service_turn(loop->service, loop->now);
        }
        take_ready(loop);
        is_all_sent = flush_some(loop);
        free_dead(loop);
        if (!loop->turn_wanted) {
            break;
        }
    }
    feed_starved(loop);
    arm_tick(loop);
    look_for_the_end(loop);
    if (loop->turn_wanted || !list_is_empty(&loop->later) || !list_is_empty(&loop->flush) ||
        !is_all_sent) {
        ev_idle_start(loop->ev, &loop->busy);
    } else {
        ev_idle_stop(loop->ev, &loop->busy);
    }
}

static void on_end_of_turn(struct ev_loop *ev, ev_prepare *watcher, int events)
{
    end_turn(container_of(watcher, struct loop, end_of_turn));
}

static void on_begin_of_turn(struct ev_loop *ev, ev_check *watcher, int events)
{
    container_of(watcher, struct loop, begin_of_turn)->now = clock_now();
}

static void on_busy(struct ev_loop *ev, ev_idle *watcher, int events)
{
    // Its being active is what counts: the loop does not sleep.
}

static void on_woken(struct ev_loop *ev, ev_async *watcher, int events)
{
    container_of(watcher, struct loop, woken)->turn_wanted = true;
}

static void on_called(struct ev_loop *ev, ev_async *watcher, int events)
{
    answer_call(container_of(watcher, struct loop, called));
}

static void on_tick(struct ev_loop *ev, ev_timer *watcher, int events)
{
    struct loop *loop = container_of(watcher, struct loop, tick);
    loop->tick_armed = INSTANT_NEVER;
    if (instant_reached(service_deadline(loop->service), loop->now)) {
        service_tick(loop->service, loop->now);
        loop->turn_wanted = true;
    }
}

static void on_over(struct ev_loop *ev, ev_timer *watcher, int events)
{
    shutdown_is_over(container_of(watcher, struct loop, over));
}

int loop_init(struct loop *loop, struct net *net, unsigned index)
{
    *loop = (struct loop){.net = net, .index = index, .now = clock_now()};
    loop->env = (struct node_env){
        .context = loop,
        .now = env_now,
        .wall_ms = env_wall_ms,
        .wake = env_wake,
        .connect = env_connect,
        .random = env_random,
        .log = env_log,
    };
    loop->tick_armed = INSTANT_NEVER;
    loop->grown_bytes_max = net->config.receive_bytes_max / net->config.loops_count;
    list_init(&loop->connections);
    list_init(&loop->flush);
    list_init(&loop->later);
    list_init(&loop->starved);
    list_init(&loop->dead);
    list_init(&loop->arrivals);
    pthread_mutex_init(&loop->arrivals_lock, NULL);
    loop->receive = malloc(RECEIVE_BYTES);
    loop->ev = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV | EVFLAG_NOTIMERFD | EVFLAG_NOSIGMASK);
    if (loop->receive == NULL || loop->ev == NULL) {
        return loop->receive == NULL ? ERR_MEMORY : ERR_IO;
    }
    ev_prepare_init(&loop->end_of_turn, on_end_of_turn);
    ev_check_init(&loop->begin_of_turn, on_begin_of_turn);
    ev_idle_init(&loop->busy, on_busy);
    ev_async_init(&loop->woken, on_woken);
    ev_async_init(&loop->called, on_called);
    ev_init(&loop->tick, on_tick);
    ev_init(&loop->over, on_over);
    ev_set_priority(&loop->begin_of_turn, EV_MAXPRI);
    ev_prepare_start(loop->ev, &loop->end_of_turn);
    ev_check_start(loop->ev, &loop->begin_of_turn);
    ev_async_start(loop->ev, &loop->woken);
    ev_async_start(loop->ev, &loop->called);
    return 0;
}

void loop_deinit(struct loop *loop)
{
    struct connection *connection;
    while ((connection = take_arrival(loop)) != NULL) {
        connection->loop = loop;
        connection_free(connection);
    }
    LIST_FOR_EACH(&loop->connections, node)
    {
        connection_kill(container_of(node, struct connection, node));
    }
    free_dead(loop);
    if (loop->ev != NULL) {
        ev_loop_destroy(loop->ev);
    }
    free(loop->receive);
    pthread_mutex_destroy(&loop->arrivals_lock);
}

static void *run(void *context)
{
    struct loop *loop = context;
    loop->now = clock_now();
    ev_now_update(loop->ev);
    ev_run(loop->ev, 0);
    atomic_fetch_sub(&loop->net->running_count, 1);
    net_notify(loop->net);
    return NULL;
}

int loop_start(struct loop *loop)
{
    if (pthread_create(&loop->thread, NULL, run, loop) != 0) {
        return ERR_MEMORY;
    }
    char name[16] = "weir-io-";
    name[8] = (char)('0' + loop->index / 10);
    name[9] = (char)('0' + loop->index % 10);
    pthread_setname_np(loop->thread, name);
    loop->has_thread = true;
    return 0;
}
