// The configuration of one node: every key, its value, and where the value came from. A flag beats
// the environment (WEIR_*), which beats the file, which beats the default, in whatever order they
// are read. What each key means is written in deploy/weir.yaml.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "proto/base/err.h"
#include "proto/base/limits.h"

enum {
    CONFIG_PATH_BYTES_MAX = 1023,
    CONFIG_SOCKET_BYTES_MAX = 107,  // what a sockaddr_un holds
    CONFIG_ADDRESS_BYTES_MAX = 263, // a host name, a colon, a port, brackets
    CONFIG_LISTEN_MAX = 16,
    CONFIG_SECRET_BYTES_MIN = 16,
    CONFIG_SECRET_BYTES_MAX = 1024,
    CONFIG_LOG_PARTS_MAX = 16,
    CONFIG_LOG_PART_BYTES_MAX = 15,
    CONFIG_WARNINGS_MAX = 8,
};

// The order of the example file and of what --check-config prints.
enum config_key {
    CONFIG_DATA_DIR,
    CONFIG_CLUSTER_NAME,
    CONFIG_ACTOR_ID,
    CONFIG_LISTEN,
    CONFIG_PORT,
    CONFIG_SOCKET,
    CONFIG_CONNECTIONS_MAX,
    CONFIG_PEERS,
    CONFIG_ADVERTISE,
    CONFIG_CLUSTER_SECRET_FILE,
    CONFIG_BOOTSTRAP,
    CONFIG_START_WAIT_MS,
    CONFIG_MAX_MEMORY_MB,
    CONFIG_RECENT_CACHE_MB,
    CONFIG_IO_THREADS,
    CONFIG_READ_THREADS,
    CONFIG_COMPRESSION,
    CONFIG_MAX_EVENT_BYTES,
    CONFIG_AFTER_TIMEOUT_MS,
    CONFIG_DISK_RESERVE_MB,
    CONFIG_SCRUB_DAYS,
    CONFIG_LOG_LEVEL,
    CONFIG_LOG_PARTS,
    CONFIG_LOG_DEST,
    CONFIG_KEYS,
};

// Lower ones give way to higher ones.
enum config_origin {
    CONFIG_FROM_DEFAULT,
    CONFIG_FROM_FILE,
    CONFIG_FROM_ENVIRONMENT,
    CONFIG_FROM_FLAG,
};

struct config_source {
    enum config_origin origin;
    unsigned line; // CONFIG_FROM_FILE
};

// Log levels by number, in the order of enum log_level: error, warning, info, debug, trace.
struct config_log_part {
    char name[CONFIG_LOG_PART_BYTES_MAX + 1];
    uint64_t level;
    struct config_source source;
};

enum config_compression {
    CONFIG_COMPRESSION_NONE,
    CONFIG_COMPRESSION_LZ4,
};

// A number that the machine decides; see config_number.
#define CONFIG_AUTO UINT64_MAX

struct config {
    struct config_source sources[CONFIG_KEYS];

    char data_dir[CONFIG_PATH_BYTES_MAX + 1];
    char cluster_name[NAME_BYTES_MAX + 1];
    uint64_t actor_id; // or CONFIG_AUTO: whichever is free
    char listen[CONFIG_LISTEN_MAX][CONFIG_ADDRESS_BYTES_MAX + 1];
    unsigned listen_count;
    uint64_t port;
    char socket[CONFIG_SOCKET_BYTES_MAX + 1]; // empty: none
    uint64_t connections_max;                 // or CONFIG_AUTO
    char peers[PEER_ADDRESSES_MAX][CONFIG_ADDRESS_BYTES_MAX + 1];
    unsigned peers_count;
    char advertise[CONFIG_ADDRESS_BYTES_MAX + 1];        // empty: see config_advertise
    char cluster_secret_file[CONFIG_PATH_BYTES_MAX + 1]; // empty: none
    uint64_t bootstrap;                                  // 0 or 1
    uint64_t start_wait_ms;
    uint64_t max_memory_mb;
    uint64_t recent_cache_mb; // or CONFIG_AUTO
    uint64_t io_threads;      // or CONFIG_AUTO
    uint64_t read_threads;    // or CONFIG_AUTO
    uint64_t compression;     // enum config_compression
    uint64_t max_event_bytes;
    uint64_t after_timeout_ms;
    uint64_t disk_reserve_mb; // or CONFIG_AUTO
    uint64_t scrub_days;      // 0: never
    uint64_t log_level;
    struct config_log_part log_parts[CONFIG_LOG_PARTS_MAX];
    unsigned log_parts_count;
    char log_dest[CONFIG_PATH_BYTES_MAX + 1]; // "stderr", "journal", or a path

    // What only flags say.
    char file[CONFIG_PATH_BYTES_MAX + 1]; // --config or WEIR_CONFIG; empty: none
    bool check_only;
    bool drop_torn_log;
    bool accept_loss;

    struct reason warnings[CONFIG_WARNINGS_MAX];
    unsigned warnings_count;
};

// What automatic values are made from.
struct machine {
    unsigned cores;
    uint64_t files_max; // open files allowed
};

// All defaults.
void config_init(struct config *config);

// Everything in order: the flags, then the file that they or WEIR_CONFIG name, then the
// environment, then what must fit together. ERR_INVALID: the reason says what is wrong, in which
// line, variable or flag; it is empty when argp has already said so on stderr.
// --help and --version print and exit the process.
int config_load(struct config *config, int argc, char **argv, char **environment,
                struct reason *reason) MUST_CHECK;

// Its parts, for tests.
int config_read_flags(struct config *config, int argc, char **argv,
                      struct reason *reason) MUST_CHECK;
int config_read_file(struct config *config, const char *path, struct reason *reason) MUST_CHECK;
int config_read_environment(struct config *config, char **environment,
                            struct reason *reason) MUST_CHECK;
int config_finish(struct config *config, struct reason *reason) MUST_CHECK;

// Sets one key from text; one element of a list. A value of a higher origin stays, but the text is
// checked all the same. ERR_INVALID, ERR_LIMIT (a list is full): the reason names the key.
int config_set(struct config *config, enum config_key key, struct config_source source,
               const char *text, struct reason *reason) MUST_CHECK;
// Makes a list empty, unless it has a higher origin.
void config_clear_list(struct config *config, enum config_key key, struct config_source source);

// A remark for the log ("max_memory_mb 16 is raised to 64"); beyond the maximum it is dropped.
void config_warn(struct config *config, const char *format, ...) PRINTF_LIKE(2, 3);

// Names as in the file ("log.level") and in the environment ("WEIR_LOG_LEVEL"); the flag as one
// types it ("-L, --log"), or NULL.
const char *config_key_name(enum config_key key);
const char *config_key_environment(enum config_key key);
const char *config_key_flag(enum config_key key);
bool config_key_is_list(enum config_key key);
bool config_key_is_number(enum config_key key);
// Positive outcome.
enum { CONFIG_UNKNOWN = 1 };
int config_key_find(const char *name, enum config_key *key_out) MUST_CHECK;
// The known key that looks most like `name`; NULL: none does.
const char *config_key_similar(const char *name);

// The number behind a key, CONFIG_AUTO replaced by what this machine gives; disk_reserve_mb stays
// CONFIG_AUTO, because it depends on the file system.
uint64_t config_number(const struct config *config, enum config_key key,
                       const struct machine *machine);

const char *config_level_name(uint64_t level);

// Splits an element of `listen` ("host", "host:port", "[::1]:3000", ":3000", "*") into the host
// (of CONFIG_ADDRESS_BYTES_MAX + 1 bytes; "*": every address) and the port, which is
// `port_default` when there is none. ERR_INVALID.
int config_split_address(const char *text, uint64_t port_default, char *host_out,
                         uint16_t *port_out, struct reason *reason) MUST_CHECK;

// A peer as it is dialled, "host:port": the port is this node's own where none is given. `out` of
// CONFIG_ADDRESS_BYTES_MAX + 1 bytes. ERR_LIMIT: too long.
int config_peer_address(const struct config *config, unsigned peer, char *out,
                        struct reason *reason) MUST_CHECK;

// Where peers can dial this node: what is configured, else the first of `listeners` ("host:port";
// others are passed over) that is not every address, preferably not loopback; else empty, and with
// peers that deserves a warning. `out` of CONFIG_ADDRESS_BYTES_MAX + 1 bytes. ERR_LIMIT.
int config_advertise(const struct config *config, const char *const *listeners, unsigned count,
                     char *out, struct reason *reason) MUST_CHECK;

// Reads the cluster secret; one newline at its end is no part of it. `out` of
// CONFIG_SECRET_BYTES_MAX bytes, for the caller to wipe. ERR_INVALID: the reason names the file and
// the remedy; length 0: there is none.
int config_read_secret(const struct config *config, uint8_t *out, size_t *length_out,
                       struct reason *reason) MUST_CHECK;

// What must be so for peers to be let in safely. ERR_INVALID.
int config_check_cluster(const struct config *config, struct reason *reason) MUST_CHECK;

// Prints the effective configuration as YAML, every value with where it came from, and how the
// memory is divided.
void config_print(const struct config *config, const struct machine *machine, FILE *out);
