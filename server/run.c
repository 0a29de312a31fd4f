// The only place that knows every part. What can fail for reasons outside comes first: the lock of
// the data directory, then the sockets, so that a port in use is said before anything is written,
// and clients that come early wait in the queue instead of being refused. Nothing is read from
// them until the store is open.
#include "server/run.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#include "proto/base/instant.h"
#include "server/config/config.h"
#include "server/config/memory_budget.h"
#include "server/frontend/frontend.h"
#include "server/log/logger.h"
#include "server/net/net.h"
#include "server/node/cluster.h"
#include "server/node/node.h"
#include "server/node/service.h"
#include "server/node_storage.h"
#include "server/supervisor.h"
#include "storage/store_threads.h"

static_assert(CONFIG_LOG_PARTS_MAX == (int)LOGGER_PARTS_MAX, "every configured part fits");
static_assert(CONFIG_ADDRESS_BYTES_MAX == (int)PEER_ADDRESS_BYTES_MAX, "and every address");
static_assert(CONFIG_LOG_PART_BYTES_MAX == (int)LOGGER_PART_BYTES_MAX, "and so does its name");

struct server {
    const struct config *config;
    const struct machine *machine;
    struct memory_budget budget;
    struct logger *logger;
    struct node_storage storage;
    struct store_threads *threads;
    struct node *node;
    struct service *services[NET_LOOPS_MAX];
    unsigned loops_count;
    struct net *net;
    struct supervisor supervisor;
    uint64_t seed;
    struct replica_address advertise;
    struct replica_address peers[PEER_ADDRESSES_MAX];
    uint32_t peers_count;
    uint8_t secret[CONFIG_SECRET_BYTES_MAX]; // kept out of swap, wiped at the end
    size_t secret_length;
};

// Said on stderr, and where the log goes elsewhere, there as well.
static void complain(struct server *server, const char *text)
{
    fprintf(stderr, "weir-server: %s\n", text);
    if (server->logger != NULL && strcmp(server->config->log_dest, "stderr") != 0) {
        logger_write(server->logger, LOG_ERROR, "server", "%s", text);
    }
}

static void log_for_net(void *context, enum log_level level, const char *part, const char *format,
                        va_list arguments)
{
    logger_write_list(context, level, part, format, arguments);
}

static int open_logger(struct server *server, struct reason *reason)
{
    const struct config *config = server->config;
    struct logger_part parts[LOGGER_PARTS_MAX];
    for (unsigned i = 0; i < config->log_parts_count; i++) {
        parts[i].level = (enum log_level)config->log_parts[i].level;
        snprintf(parts[i].name, sizeof parts[i].name, "%s", config->log_parts[i].name);
    }
    struct logger_config logger = {
        .level = (enum log_level)config->log_level,
        .parts = parts,
        .parts_count = config->log_parts_count,
        .dest = config->log_dest,
    };
    int err = logger_open(&logger, &server->logger, reason);
    for (unsigned i = 0; i < config->warnings_count && err == 0; i++) {
        logger_write(server->logger, LOG_WARNING, "server", "%s", config->warnings[i].text);
    }
    return err;
}

static int open_net(struct server *server, struct reason *reason)
{
    const struct config *config = server->config;
    struct net_config net = {
        .choose = frontend_choose,
        .peer = &FRONTEND_PEER,
        .loops_count = server->loops_count,
        .connections_max = config_number(config, CONFIG_CONNECTIONS_MAX, server->machine),
        .receive_bytes_max = server->budget.connections_bytes / 2,
        .log = log_for_net,
        .log_context = server->logger,
    };
    int err = net_new(&net, &server->net, reason);
    for (unsigned i = 0; i < config->listen_count && err == 0; i++) {
        char host[CONFIG_ADDRESS_BYTES_MAX + 1];
        uint16_t port = 0;
        err = config_split_address(config->listen[i], config->port, host, &port, reason);
        if (err == 0) {
            err = net_listen_tcp(server->net, host, port, reason);
        }
    }
    if (err == 0 && config->socket[0] != '\0') {
        err = net_listen_unix(server->net, config->socket, reason);
    }
    return err;
}

static struct instant now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (struct instant){.ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec};
}

static int open_node(struct server *server, struct reason *reason)
{
    struct node_config node = {
        .identity = &server->storage.identity,
        .store = server->storage.store,
        .data_bytes_max = server->config->max_event_bytes,
        .append_bytes_max = server->budget.connections_bytes / 2,
        .compress = server->config->compression == CONFIG_COMPRESSION_LZ4,
        .after_timeout_ms = (uint32_t)server->config->after_timeout_ms,
        .seed = server->seed,
        .started = now(),
        .services_max = server->loops_count,
    };
    int err = node_new(&node, &server->node);
    for (unsigned i = 0; i < server->loops_count && err == 0; i++) {
        err = service_new(server->node, net_env(server->net, i), &server->services[i]);
        if (err == 0) {
            net_set_service(server->net, i, server->services[i]);
        }
    }
    if (err != 0) {
        reason_set(reason, err, "cannot set up the node: %s", err_text(err));
    }
    return err;
}

// Peers without the addresses of this node itself: the same list may be given to every node.
static int collect_peers(struct server *server, struct reason *reason)
{
    const struct config *config = server->config;
    for (unsigned i = 0; i < config->peers_count; i++) {
        char *text = server->peers[server->peers_count].text;
        int err = config_peer_address(config, i, text, reason);
        if (err != 0) {
            return err;
        }
        bool is_own = strcmp(text, server->advertise.text) == 0;
        for (unsigned j = 0; j < net_listeners_count(server->net); j++) {
            is_own |= strcmp(text, net_listener_name(server->net, j)) == 0;
        }
        server->peers_count += is_own ? 0 : 1;
    }
    server->storage.has_peers = server->peers_count > 0;
    return 0;
}

static int find_advertised(struct server *server, struct reason *reason)
{
    char *own = server->advertise.text;
    enum { LISTENERS_LOOKED_AT = 64 };
    const char *listeners[LISTENERS_LOOKED_AT];
    unsigned count = net_listeners_count(server->net);
    count = count < LISTENERS_LOOKED_AT ? count : LISTENERS_LOOKED_AT;
    for (unsigned i = 0; i < count; i++) {
        listeners[i] = net_listener_name(server->net, i);
    }
    int err = config_advertise(server->config, listeners, count, own, reason);
    if (err == 0 && own[0] == '\0' && server->config->peers_count > 0) {
        logger_write(server->logger, LOG_WARNING, "server",
                     "other nodes are not told where to reach this one, only it will dial: set "
                     "advertise (--advertise ADDR)");
    }
    return err;
}

static int open_cluster(struct server *server, struct reason *reason)
{
    const struct config *config = server->config;
    struct cluster_config cluster = {
        .identity = server->storage.identity,
        .wanted_actor = config->actor_id == CONFIG_AUTO ? 0 : (uint16_t)config->actor_id,
        .bootstrap = config->bootstrap != 0,
        .was_clean = server->storage.was_clean,
        .start_wait_ms = (uint32_t)config->start_wait_ms,
        .advertise = server->advertise,
        .peers = server->peers,
        .peers_count = server->peers_count,
        .secret = bytes_of(server->secret, server->secret_length),
        .save_identity = node_storage_save,
        .save_context = &server->storage,
    };
    return cluster_new(server->services[0], &cluster, reason);
}

static int start_threads(struct server *server, struct reason *reason)
{
    unsigned readers =
        (unsigned)config_number(server->config, CONFIG_READ_THREADS, server->machine);
    uint64_t scrub_interval_s = server->config->scrub_days * 24 * 60 * 60;
    int err =
        store_threads_start(server->storage.store, readers, scrub_interval_s, &server->threads);
    if (err != 0) {
        return reason_set(reason, err, "cannot start the threads of the store: %s", err_text(err));
    }
    return net_start(server->net, reason);
}

static int start(struct server *server, struct reason *reason)
{
    if (getrandom(&server->seed, sizeof server->seed, 0) != (ssize_t)sizeof server->seed) {
        return reason_set(reason, ERR_IO, "the system gives no random numbers");
    }
    if (supervisor_init(&server->supervisor) != 0) {
        return reason_set(reason, ERR_IO, "cannot watch for signals");
    }
    // Not being allowed to lock it only means that it may be swapped.
    (void)mlock(server->secret, sizeof server->secret);
    int err = config_read_secret(server->config, server->secret, &server->secret_length, reason);
    if (err == 0) {
        err = open_logger(server, reason);
    }
    if (err == 0) {
        err = node_storage_lock(&server->storage, server->config, reason);
    }
    if (err == 0) {
        err = open_net(server, reason);
    }
    if (err == 0) {
        err = find_advertised(server, reason);
    }
    if (err == 0) {
        err = collect_peers(server, reason);
    }
    if (err == 0) {
        err = node_storage_open(&server->storage, server->config, &server->budget, server->seed,
                                server->logger, reason);
    }
    if (err == 0) {
        err = open_node(server, reason);
    }
    if (err == 0) {
        err = open_cluster(server, reason);
    }
    return err == 0 ? start_threads(server, reason) : err;
}

// A node without others is ready when it accepts events: that takes a moment after its start. One
// that waits for others can be read from meanwhile.
static void wait_alone(struct server *server)
{
    enum { WAIT_MS = 2000, STEP_MS = 2 };
    const atomic_bool *may_produce = &server->node->view.may_produce;
    for (int i = 0; i < WAIT_MS / STEP_MS && !atomic_load(may_produce); i++) {
        if (poll(NULL, 0, STEP_MS) < 0) {
            return;
        }
    }
}

static void say_phase(struct server *server)
{
    struct reason why = {0};
    if (atomic_load(&server->node->view.may_produce)) {
        sd_notify(0, "READY=1\nSTATUS=ready");
        return;
    }
    cluster_why_not(server->node, &why);
    logger_write(server->logger, LOG_INFO, "server", "ready to read; no produce yet: %s", why.text);
    sd_notifyf(0, "READY=1\nSTATUS=ready to read; no produce yet: %s", why.text);
}

static void say_ready(struct server *server)
{
    if (server->peers_count == 0) {
        wait_alone(server);
    }
    for (unsigned i = 0; i < net_listeners_count(server->net); i++) {
        const char *name = net_listener_name(server->net, i);
        fprintf(stderr, "ready: native %s\n", name);
        if (strcmp(server->config->log_dest, "stderr") != 0) {
            logger_write(server->logger, LOG_INFO, "server", "ready: native %s", name);
        }
    }
    say_phase(server);
}

// Takes apart what was built, however far that was. Returns the exit status.
static int take_apart(struct server *server, bool has_started)
{
    int status = has_started ? 0 : 1;
    if (has_started && !net_join(server->net)) {
        // Something in flight never came back, so the services cannot be freed and the store not
        // closed; what was acknowledged is durable.
        logger_write(server->logger, LOG_WARNING, "server",
                     "stopped without closing the store: it does not answer; the next start "
                     "recovers");
        _exit(status);
    }
    for (unsigned i = 0; i < server->loops_count; i++) {
        if (server->services[i] != NULL) {
            service_free(server->services[i]);
        }
    }
    node_free(server->node);
    store_threads_stop(server->threads);
    if (has_started && node_storage_close(&server->storage) != 0) {
        logger_write(server->logger, LOG_WARNING, "server",
                     "the store could not be closed cleanly; the next start recovers");
    }
    node_storage_abandon(&server->storage);
    net_free(server->net);
    supervisor_deinit(&server->supervisor);
    if (has_started) {
        logger_write(server->logger, LOG_INFO, "server", "stopped");
    }
    logger_close(server->logger);
    explicit_bzero(server->secret, sizeof server->secret);
    return status;
}

int run(const struct config *config, const struct machine *machine)
{
    struct server server = {
        .config = config,
        .machine = machine,
        .loops_count = (unsigned)config_number(config, CONFIG_IO_THREADS, machine),
        .supervisor = {.signal_fd = -1},
        .budget = memory_budget_divide(
            config->max_memory_mb * MIB,
            config->recent_cache_mb == CONFIG_AUTO ? UINT64_MAX : config->recent_cache_mb * MIB),
    };
    struct reason reason = {0};
    if (start(&server, &reason) != 0) {
        complain(&server, reason.text);
        return take_apart(&server, false);
    }
    say_ready(&server);
    server.supervisor.net = server.net;
    server.supervisor.node = server.node;
    server.supervisor.store = server.storage.store;
    server.supervisor.threads = server.threads;
    server.supervisor.logger = server.logger;
    if (supervisor_run(&server.supervisor) == SUPERVISOR_FATAL) {
        _exit(1);
    }
    return take_apart(&server, true);
}
