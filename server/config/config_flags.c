// The command line, by argp. Flags exist for the few things that a person types; everything has a
// key in the file. argp itself complains about flags that do not exist; what is wrong with a value
// is said through the reason.
#include <argp.h>
#include <stdlib.h>
#include <string.h>

#include "server/config/config.h"

enum {
    FLAG_LISTEN = 256,
    FLAG_SOCKET,
    FLAG_IO_THREADS,
    FLAG_PEER_ADDR,
    FLAG_ADVERTISE,
    FLAG_CLUSTER_NAME,
    FLAG_BOOTSTRAP,
    FLAG_START_WAIT,
    FLAG_CONFIG,
    FLAG_CHECK_CONFIG,
    FLAG_DROP_TORN_LOG,
    FLAG_ACCEPT_LOSS,
};

enum { VALUE_BYTES_MAX = CONFIG_PATH_BYTES_MAX + 64 }; // and what is too long is said by config_set

static const struct argp_option OPTIONS[] = {
    {"data-dir", 'd', "DIR", 0, "Where the events are kept; created when missing (./weir-data)", 1},
    {"actor-id", 'A', "ID", 0, "This node's number in its cluster, 1 to 65535 (one that is free)",
     1},
    {"max-memory", 'M', "MB", 0, "Memory for caches and buffers, at least 64 (512)", 1},
    {"io-threads", FLAG_IO_THREADS, "N", 0, "Threads that serve connections (cores - 1)", 1},
    {"port", 'p', "PORT", 0, "TCP port; 0 takes a free one (3000)", 2},
    {"listen", FLAG_LISTEN, "ADDR", 0,
     "Address or name to listen on, with or without :PORT; repeatable; * is every address "
     "(127.0.0.1)",
     2},
    {"socket", FLAG_SOCKET, "PATH", 0, "Listen on a Unix socket as well", 2},
    {"peer-addr", FLAG_PEER_ADDR, "ADDR", 0,
     "Another node of the cluster, HOST or HOST:PORT; repeatable; one that can be reached is "
     "enough to join",
     3},
    {"advertise", FLAG_ADVERTISE, "ADDR", 0,
     "Where other nodes can reach this one (where it listens, if that is one address)", 3},
    {"cluster-name", FLAG_CLUSTER_NAME, "NAME", 0, "The name of a cluster that is new (weir)", 3},
    {"bootstrap", FLAG_BOOTSTRAP, NULL, 0,
     "A new node begins a cluster of its own at once, without asking its peers", 3},
    {"start-wait", FLAG_START_WAIT, "TIME", 0,
     "How long to wait at a start for members that do not answer: 500ms, 5s, 2m (5s)", 3},
    {"log", 'L', "[PART=]LEVEL", 0,
     "Log level, of everything or of one part: error, warning, info, debug, trace; repeatable "
     "(info)",
     4},
    {"log-dest", 'o', "PATH", 0, "Log to this file instead of stderr; SIGHUP opens it anew", 4},
    {"config", FLAG_CONFIG, "FILE", 0, "Read this YAML file; flags and WEIR_* beat it", 5},
    {"check-config", FLAG_CHECK_CONFIG, NULL, 0,
     "Print what would run and where each value comes from, then stop", 5},
    {"drop-torn-log", FLAG_DROP_TORN_LOG, NULL, 0,
     "Once, after a start has asked for it: drop what is torn at the end of the log", 6},
    {"accept-loss", FLAG_ACCEPT_LOSS, NULL, 0,
     "Once, after a start has asked for it: go on without the events that it named", 6},
    {0},
};

static const char DOCUMENTATION[] =
    "The weir event stream server: stores events durably and serves them by namespace.\v"
    "Examples:\n"
    "  weir-server\n"
    "      one node in ./weir-data, at 127.0.0.1 port 3000\n"
    "  weir-server -d /srv/weir --listen '*' -M 2048 -L debug\n"
    "      reachable from outside, 2 GB of memory, talkative\n"
    "  weir-server -d /data1 --peer-addr db2:3000 --peer-addr db3:3000\n"
    "      one of three nodes; each is given the addresses of the others\n"
    "  weir-server --config /etc/weir/weir.yaml --check-config\n"
    "      what this file would do, with every default\n"
    "\n"
    "Signals: SIGTERM and SIGINT stop it (what was accepted is finished), SIGHUP opens the "
    "log file anew.\n"
    "Exit status: 0 stopped, 1 cannot start or fatal, 2 usage or configuration.";

struct flags {
    struct config *config;
    struct reason *reason;
};

static int copy_path(char out[CONFIG_PATH_BYTES_MAX + 1], const char *text, struct reason *reason)
{
    if (text[0] == '\0' || strlen(text) > CONFIG_PATH_BYTES_MAX) {
        return reason_set(reason, ERR_INVALID, "the path is empty or too long");
    }
    memcpy(out, text, strlen(text) + 1);
    return 0;
}

// The key behind a flag; CONFIG_KEYS: none.
static enum config_key key_of(int flag, const char *text)
{
    switch (flag) {
    case 'd':
        return CONFIG_DATA_DIR;
    case 'A':
        return CONFIG_ACTOR_ID;
    case 'M':
        return CONFIG_MAX_MEMORY_MB;
    case 'p':
        return CONFIG_PORT;
    case 'L':
        return strchr(text, '=') != NULL ? CONFIG_LOG_PARTS : CONFIG_LOG_LEVEL;
    case 'o':
        return CONFIG_LOG_DEST;
    case FLAG_LISTEN:
        return CONFIG_LISTEN;
    case FLAG_SOCKET:
        return CONFIG_SOCKET;
    case FLAG_IO_THREADS:
        return CONFIG_IO_THREADS;
    case FLAG_PEER_ADDR:
        return CONFIG_PEERS;
    case FLAG_ADVERTISE:
        return CONFIG_ADVERTISE;
    case FLAG_CLUSTER_NAME:
        return CONFIG_CLUSTER_NAME;
    case FLAG_BOOTSTRAP:
        return CONFIG_BOOTSTRAP;
    case FLAG_START_WAIT:
        return CONFIG_START_WAIT_MS;
    default:
        return CONFIG_KEYS;
    }
}

// The text of a key's value behind its flag.
static int value_of_flag(enum config_key key, const char *text, char *out, size_t size,
                         struct reason *reason)
{
    unsigned long long unit = 0;
    unsigned long long number = 0;
    if (key == CONFIG_BOOTSTRAP) {
        snprintf(out, size, "true");
        return 0;
    }
    if (key != CONFIG_START_WAIT_MS) {
        snprintf(out, size, "%s", text);
        return 0;
    }
    size_t digits = strspn(text, "0123456789");
    const char *name = text + digits;
    unit = strcmp(name, "ms") == 0  ? 1
           : strcmp(name, "s") == 0 ? 1000
           : strcmp(name, "m") == 0 ? 60000
                                    : 0;
    if (digits == 0 || digits > 9 || unit == 0) {
        return reason_set(reason, ERR_INVALID,
                          "'%.40s' is not a time; valid are for example 500ms, 5s, 2m", text);
    }
    number = strtoull(text, NULL, 10) * unit;
    snprintf(out, size, "%llu", number);
    return 0;
}

static error_t parse_flag(int flag, char *text, struct argp_state *state)
{
    struct flags *flags = state->input;
    struct config *config = flags->config;
    struct reason why = {0};
    struct config_source source = {.origin = CONFIG_FROM_FLAG};
    enum config_key key = key_of(flag, text);
    if (key != CONFIG_KEYS) {
        char value[VALUE_BYTES_MAX];
        if (text != NULL && strlen(text) >= sizeof value) {
            reason_set(flags->reason, ERR_INVALID, "%s: too long", config_key_flag(key));
            return EINVAL;
        }
        if (value_of_flag(key, text, value, sizeof value, &why) != 0 ||
            config_set(config, key, source, value, &why) != 0) {
            reason_set(flags->reason, ERR_INVALID, "%s: %s", config_key_flag(key), why.text);
            return EINVAL;
        }
        return 0;
    }
    switch (flag) {
    case FLAG_CONFIG:
        if (copy_path(config->file, text, &why) != 0) {
            reason_set(flags->reason, ERR_INVALID, "--config: %s", why.text);
            return EINVAL;
        }
        return 0;
    case FLAG_CHECK_CONFIG:
        config->check_only = true;
        return 0;
    case FLAG_DROP_TORN_LOG:
        config->drop_torn_log = true;
        return 0;
    case FLAG_ACCEPT_LOSS:
        config->accept_loss = true;
        return 0;
    case ARGP_KEY_ARG:
        reason_set(flags->reason, ERR_INVALID,
                   "unexpected argument '%.80s'; try weir-server --help", text);
        return EINVAL;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static void print_version(FILE *stream, struct argp_state *state)
{
    fprintf(stream, "weir-server %s\n", WEIR_VERSION);
}

int config_read_flags(struct config *config, int argc, char **argv, struct reason *reason)
{
    argp_program_version_hook = print_version;
    struct flags flags = {.config = config, .reason = reason};
    struct argp argp = {.options = OPTIONS, .parser = parse_flag, .doc = DOCUMENTATION};
    reason_clear(reason);
    // argp exits after --help and --version; after a flag that it does not know it exits with
    // argp_err_exit_status, which main sets.
    return argp_parse(&argp, argc, argv, 0, NULL, &flags) == 0 ? 0 : ERR_INVALID;
}
