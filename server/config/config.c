// One table holds what a key is called, of which kind it is and where its value lies; everything
// that reads or prints a configuration goes through it. The origin of a value is kept with it, so
// that flags, file and environment can be read in any order: a lower origin never replaces a
// higher one.
#include "server/config/config.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "server/config/memory_budget.h"

enum kind {
    KIND_TEXT,
    KIND_NUMBER,
    KIND_CHOICE,
    KIND_ADDRESS,
    KIND_ADDRESSES,
    KIND_LOG_PARTS,
};

struct setting {
    const char *name;
    const char *environment;
    const char *flag;
    const char *initial; // NULL: a list that starts empty
    const char *const *choices;
    uint64_t min; // of a number; of a text: bytes
    uint64_t max;
    size_t offset;
    enum kind kind;
    bool may_be_auto;
};

static const char *const LEVELS[] = {"error", "warning", "info", "debug", "trace", NULL};
static const char *const COMPRESSIONS[] = {"none", "lz4", NULL};

static const char *const TRUTHS[] = {"false", "true", NULL};

#define AT(member) .offset = offsetof(struct config, member)

static const struct setting SETTINGS[CONFIG_KEYS] = {
    [CONFIG_DATA_DIR] = {.name = "data_dir",
                         .environment = "WEIR_DATA_DIR",
                         .flag = "-d, --data-dir",
                         .kind = KIND_TEXT,
                         .initial = "./weir-data",
                         .min = 1,
                         .max = CONFIG_PATH_BYTES_MAX,
                         AT(data_dir)},
    [CONFIG_CLUSTER_NAME] = {.name = "cluster_name",
                             .environment = "WEIR_CLUSTER_NAME",
                             .flag = "--cluster-name",
                             .kind = KIND_TEXT,
                             .initial = "weir",
                             .min = 1,
                             .max = NAME_BYTES_MAX,
                             AT(cluster_name)},
    [CONFIG_ACTOR_ID] = {.name = "actor_id",
                         .environment = "WEIR_ACTOR_ID",
                         .flag = "-A, --actor-id",
                         .kind = KIND_NUMBER,
                         .initial = "auto",
                         .may_be_auto = true,
                         .min = 1,
                         .max = ACTORS_MAX,
                         AT(actor_id)},
    [CONFIG_LISTEN] = {.name = "listen",
                       .environment = "WEIR_LISTEN",
                       .flag = "--listen",
                       .kind = KIND_ADDRESSES,
                       .initial = "127.0.0.1",
                       AT(listen)},
    [CONFIG_PORT] = {.name = "port",
                     .environment = "WEIR_PORT",
                     .flag = "-p, --port",
                     .kind = KIND_NUMBER,
                     .initial = "3000",
                     .max = 65535,
                     AT(port)},
    [CONFIG_SOCKET] = {.name = "socket",
                       .environment = "WEIR_SOCKET",
                       .flag = "--socket",
                       .kind = KIND_TEXT,
                       .initial = "",
                       .max = CONFIG_SOCKET_BYTES_MAX,
                       AT(socket)},
    [CONFIG_CONNECTIONS_MAX] = {.name = "connections_max",
                                .environment = "WEIR_CONNECTIONS_MAX",
                                .kind = KIND_NUMBER,
                                .initial = "auto",
                                .may_be_auto = true,
                                .min = 1,
                                .max = 1000000,
                                AT(connections_max)},
    [CONFIG_PEERS] = {.name = "peers",
                      .environment = "WEIR_PEERS",
                      .flag = "--peer-addr",
                      .kind = KIND_ADDRESSES,
                      AT(peers)},
    [CONFIG_ADVERTISE] = {.name = "advertise",
                          .environment = "WEIR_ADVERTISE",
                          .flag = "--advertise",
                          .kind = KIND_ADDRESS,
                          .initial = "",
                          AT(advertise)},
    [CONFIG_CLUSTER_SECRET_FILE] = {.name = "cluster_secret_file",
                                    .environment = "WEIR_CLUSTER_SECRET_FILE",
                                    .kind = KIND_TEXT,
                                    .initial = "",
                                    .max = CONFIG_PATH_BYTES_MAX,
                                    AT(cluster_secret_file)},
    [CONFIG_BOOTSTRAP] = {.name = "bootstrap",
                          .environment = "WEIR_BOOTSTRAP",
                          .flag = "--bootstrap",
                          .kind = KIND_CHOICE,
                          .choices = TRUTHS,
                          .initial = "false",
                          AT(bootstrap)},
    [CONFIG_START_WAIT_MS] = {.name = "start_wait_ms",
                              .environment = "WEIR_START_WAIT_MS",
                              .flag = "--start-wait",
                              .kind = KIND_NUMBER,
                              .initial = "5000",
                              .max = 3600000,
                              AT(start_wait_ms)},
    [CONFIG_MAX_MEMORY_MB] = {.name = "max_memory_mb",
                              .environment = "WEIR_MAX_MEMORY_MB",
                              .flag = "-M, --max-memory",
                              .kind = KIND_NUMBER,
                              .initial = "512",
                              .min = 1,
                              .max = 16777216,
                              AT(max_memory_mb)},
    [CONFIG_RECENT_CACHE_MB] = {.name = "recent_cache_mb",
                                .environment = "WEIR_RECENT_CACHE_MB",
                                .kind = KIND_NUMBER,
                                .initial = "auto",
                                .may_be_auto = true,
                                .min = 1,
                                .max = 16777216,
                                AT(recent_cache_mb)},
    [CONFIG_IO_THREADS] = {.name = "io_threads",
                           .environment = "WEIR_IO_THREADS",
                           .flag = "--io-threads",
                           .kind = KIND_NUMBER,
                           .initial = "auto",
                           .may_be_auto = true,
                           .min = 1,
                           .max = 64,
                           AT(io_threads)},
    [CONFIG_READ_THREADS] = {.name = "read_threads",
                             .environment = "WEIR_READ_THREADS",
                             .kind = KIND_NUMBER,
                             .initial = "auto",
                             .may_be_auto = true,
                             .min = 1,
                             .max = 64,
                             AT(read_threads)},
    [CONFIG_COMPRESSION] = {.name = "compression",
                            .environment = "WEIR_COMPRESSION",
                            .kind = KIND_CHOICE,
                            .choices = COMPRESSIONS,
                            .initial = "lz4",
                            AT(compression)},
    [CONFIG_MAX_EVENT_BYTES] = {.name = "max_event_bytes",
                                .environment = "WEIR_MAX_EVENT_BYTES",
                                .kind = KIND_NUMBER,
                                .initial = "1048576",
                                .min = 1,
                                .max = EVENT_DATA_BYTES_CEILING,
                                AT(max_event_bytes)},
    [CONFIG_AFTER_TIMEOUT_MS] = {.name = "after_timeout_ms",
                                 .environment = "WEIR_AFTER_TIMEOUT_MS",
                                 .kind = KIND_NUMBER,
                                 .initial = "1000",
                                 .max = 3600000,
                                 AT(after_timeout_ms)},
    [CONFIG_DISK_RESERVE_MB] = {.name = "disk_reserve_mb",
                                .environment = "WEIR_DISK_RESERVE_MB",
                                .kind = KIND_NUMBER,
                                .initial = "auto",
                                .may_be_auto = true,
                                .max = 1073741824,
                                AT(disk_reserve_mb)},
    [CONFIG_SCRUB_DAYS] = {.name = "scrub_days",
                           .environment = "WEIR_SCRUB_DAYS",
                           .kind = KIND_NUMBER,
                           .initial = "7",
                           .max = 3650,
                           AT(scrub_days)},
    [CONFIG_LOG_LEVEL] = {.name = "log.level",
                          .environment = "WEIR_LOG_LEVEL",
                          .flag = "-L, --log",
                          .kind = KIND_CHOICE,
                          .choices = LEVELS,
                          .initial = "info",
                          AT(log_level)},
    [CONFIG_LOG_PARTS] = {.name = "log.parts",
                          .environment = "WEIR_LOG_PARTS",
                          .flag = "-L, --log",
                          .kind = KIND_LOG_PARTS,
                          AT(log_parts)},
    [CONFIG_LOG_DEST] = {.name = "log.dest",
                         .environment = "WEIR_LOG_DEST",
                         .flag = "-o, --log-dest",
                         .kind = KIND_TEXT,
                         .initial = "stderr",
                         .min = 1,
                         .max = CONFIG_PATH_BYTES_MAX,
                         AT(log_dest)},
};

static void *value_of(const struct config *config, enum config_key key)
{
    return (char *)(uintptr_t)config + SETTINGS[key].offset;
}

static int parse_number(const struct setting *setting, const char *text, uint64_t *number_out,
                        struct reason *reason)
{
    if (setting->may_be_auto && strcmp(text, "auto") == 0) {
        *number_out = CONFIG_AUTO;
        return 0;
    }
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || text[digits] != '\0') {
        return reason_set(reason, ERR_INVALID, "%s: '%.40s' is not a whole number%s", setting->name,
                          text, setting->may_be_auto ? " or auto" : "");
    }
    errno = 0;
    unsigned long long number = strtoull(text, NULL, 10);
    if (errno != 0 || number < setting->min || number > setting->max) {
        return reason_set(reason, ERR_INVALID, "%s: %.40s is out of range, %llu to %llu are valid",
                          setting->name, text, (unsigned long long)setting->min,
                          (unsigned long long)setting->max);
    }
    *number_out = number;
    return 0;
}

static int parse_choice(const char *name, const char *const *choices, const char *text,
                        uint64_t *number_out, struct reason *reason)
{
    char list[96] = "";
    for (uint64_t i = 0; choices[i] != NULL; i++) {
        if (strcmp(text, choices[i]) == 0) {
            *number_out = i;
            return 0;
        }
        strncat(list, i == 0 ? "" : ", ", sizeof list - strlen(list) - 1);
        strncat(list, choices[i], sizeof list - strlen(list) - 1);
    }
    return reason_set(reason, ERR_INVALID, "%s: '%.40s' is none of %s", name, text, list);
}

static int check_text(const struct setting *setting, const char *text, struct reason *reason)
{
    size_t length = strlen(text);
    if (length < setting->min) {
        return reason_set(reason, ERR_INVALID, "%s: must not be empty", setting->name);
    }
    if (length > setting->max) {
        return reason_set(reason, ERR_INVALID, "%s: is %zu bytes long, at most %llu are possible",
                          setting->name, length, (unsigned long long)setting->max);
    }
    for (size_t i = 0; i < length; i++) {
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f) {
            return reason_set(reason, ERR_INVALID, "%s: contains a control character",
                              setting->name);
        }
    }
    return 0;
}

// An address to be listened on; one to be dialled must name a host.
static int check_address(const char *text, enum config_key key, struct reason *reason)
{
    char host[CONFIG_ADDRESS_BYTES_MAX + 1];
    uint16_t port = 0;
    struct reason why = {0};
    int err = config_split_address(text, 1, host, &port, &why);
    if (err == 0 && key != CONFIG_LISTEN && (strcmp(host, "*") == 0 || port == 0)) {
        err = reason_set(&why, ERR_INVALID,
                         "'%.100s' cannot be dialled; valid are host, host:port and [ipv6]:port",
                         text);
    }
    return err == 0 ? 0 : reason_set(reason, err, "%s: %s", SETTINGS[key].name, why.text);
}

// Adds to a list of addresses; `is_first`: what is in it has a lower origin.
static int add_address(struct config *config, enum config_key key, bool is_kept, bool is_first,
                       const char *text, struct reason *reason)
{
    bool is_listen = key == CONFIG_LISTEN;
    unsigned *count = is_listen ? &config->listen_count : &config->peers_count;
    unsigned max = is_listen ? CONFIG_LISTEN_MAX : PEER_ADDRESSES_MAX;
    int err = check_address(text, key, reason);
    if (err != 0 || !is_kept) {
        return err;
    }
    *count = is_first ? 0 : *count;
    if (*count == max) {
        return reason_set(reason, ERR_LIMIT, "%s: more than %u addresses", SETTINGS[key].name, max);
    }
    char *item = is_listen ? config->listen[*count] : config->peers[*count];
    memcpy(item, text, strlen(text) + 1);
    (*count)++;
    return 0;
}

// "store=debug". Parts are kept one by one: a flag for one part leaves the file's others alone.
static int set_log_part(struct config *config, struct config_source source, const char *text,
                        struct reason *reason)
{
    const char *equals = strchr(text, '=');
    size_t length = equals == NULL ? 0 : (size_t)(equals - text);
    if (length == 0 || length > CONFIG_LOG_PART_BYTES_MAX ||
        strspn(text, "abcdefghijklmnopqrstuvwxyz_-") != length) {
        return reason_set(reason, ERR_INVALID,
                          "log.parts: '%.40s' is not part=level, for example store=debug", text);
    }
    uint64_t level = 0;
    int err = parse_choice("log.parts", LEVELS, equals + 1, &level, reason);
    if (err != 0) {
        return err;
    }
    unsigned i = 0;
    while (i < config->log_parts_count && (strlen(config->log_parts[i].name) != length ||
                                           memcmp(config->log_parts[i].name, text, length) != 0)) {
        i++;
    }
    if (i == CONFIG_LOG_PARTS_MAX) {
        return reason_set(reason, ERR_LIMIT, "log.parts: more than %d parts", CONFIG_LOG_PARTS_MAX);
    }
    struct config_log_part *part = &config->log_parts[i];
    if (i == config->log_parts_count) {
        config->log_parts_count++;
    } else if (source.origin < part->source.origin) {
        return 0;
    }
    memcpy(part->name, text, length);
    part->name[length] = '\0';
    part->level = level;
    part->source = source;
    return 0;
}

int config_set(struct config *config, enum config_key key, struct config_source source,
               const char *text, struct reason *reason)
{
    const struct setting *setting = &SETTINGS[key];
    bool is_kept = source.origin >= config->sources[key].origin;
    bool is_first = source.origin > config->sources[key].origin;
    uint64_t number = 0;
    int err = 0;
    switch (setting->kind) {
    case KIND_TEXT:
        err = check_text(setting, text, reason);
        if (err == 0 && is_kept) {
            memcpy(value_of(config, key), text, strlen(text) + 1);
        }
        break;
    case KIND_NUMBER:
        err = parse_number(setting, text, &number, reason);
        break;
    case KIND_CHOICE:
        err = parse_choice(setting->name, setting->choices, text, &number, reason);
        break;
    case KIND_ADDRESS:
        err = text[0] == '\0' ? 0 : check_address(text, key, reason);
        if (err == 0 && is_kept) {
            memcpy(value_of(config, key), text, strlen(text) + 1);
        }
        break;
    case KIND_ADDRESSES:
        err = add_address(config, key, is_kept, is_first, text, reason);
        break;
    case KIND_LOG_PARTS:
        err = set_log_part(config, source, text, reason);
        break;
    }
    if (err != 0 || !is_kept) {
        return err;
    }
    if (setting->kind == KIND_NUMBER || setting->kind == KIND_CHOICE) {
        *(uint64_t *)value_of(config, key) = number;
    }
    config->sources[key] = source;
    return 0;
}

void config_clear_list(struct config *config, enum config_key key, struct config_source source)
{
    if (SETTINGS[key].kind == KIND_ADDRESSES && source.origin >= config->sources[key].origin) {
        *(key == CONFIG_LISTEN ? &config->listen_count : &config->peers_count) = 0;
        config->sources[key] = source;
    }
}

void config_init(struct config *config)
{
    *config = (struct config){0};
    struct config_source source = {.origin = CONFIG_FROM_DEFAULT};
    for (enum config_key key = 0; key < CONFIG_KEYS; key++) {
        if (SETTINGS[key].initial != NULL) {
            int err = config_set(config, key, source, SETTINGS[key].initial, NULL);
            assert(err == 0);
        }
    }
}

void config_warn(struct config *config, const char *format, ...)
{
    if (config->warnings_count < CONFIG_WARNINGS_MAX) {
        char text[REASON_LENGTH_MAX + 1];
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(text, sizeof text, format, arguments);
        va_end(arguments);
        reason_set(&config->warnings[config->warnings_count++], 0, "%s", text);
    }
}

int config_finish(struct config *config, struct reason *reason)
{
    if (config->listen_count == 0 && config->socket[0] == '\0') {
        return reason_set(reason, ERR_INVALID,
                          "nothing to listen on: listen is empty and socket is not set");
    }
    if (config->max_memory_mb < MEMORY_BYTES_MIN / MIB) {
        config_warn(config, "max_memory_mb %llu is too little, it is raised to %llu",
                    (unsigned long long)config->max_memory_mb,
                    (unsigned long long)(MEMORY_BYTES_MIN / MIB));
        config->max_memory_mb = MEMORY_BYTES_MIN / MIB;
    }
    if (config->recent_cache_mb != CONFIG_AUTO &&
        config->recent_cache_mb > config->max_memory_mb / 2) {
        config_warn(config,
                    "recent_cache_mb %llu is more than half of max_memory_mb, "
                    "it is lowered to %llu",
                    (unsigned long long)config->recent_cache_mb,
                    (unsigned long long)(config->max_memory_mb / 2));
        config->recent_cache_mb = config->max_memory_mb / 2;
    }
    return config_check_cluster(config, reason);
}

int config_load(struct config *config, int argc, char **argv, char **environment,
                struct reason *reason)
{
    config_init(config);
    int err = config_read_flags(config, argc, argv, reason);
    if (err == 0) {
        err = config_read_environment(config, environment, reason);
    }
    if (err == 0 && config->file[0] != '\0') {
        err = config_read_file(config, config->file, reason);
    }
    return err != 0 ? err : config_finish(config, reason);
}

const char *config_key_name(enum config_key key)
{
    return SETTINGS[key].name;
}

const char *config_key_environment(enum config_key key)
{
    return SETTINGS[key].environment;
}

const char *config_key_flag(enum config_key key)
{
    return SETTINGS[key].flag;
}

bool config_key_is_list(enum config_key key)
{
    return SETTINGS[key].kind == KIND_ADDRESSES || SETTINGS[key].kind == KIND_LOG_PARTS;
}

bool config_key_is_number(enum config_key key)
{
    return SETTINGS[key].kind == KIND_NUMBER;
}

int config_key_find(const char *name, enum config_key *key_out)
{
    for (enum config_key key = 0; key < CONFIG_KEYS; key++) {
        if (strcmp(name, SETTINGS[key].name) == 0) {
            *key_out = key;
            return 0;
        }
    }
    return CONFIG_UNKNOWN;
}

const char *config_level_name(uint64_t level)
{
    assert(level < sizeof LEVELS / sizeof LEVELS[0] - 1);
    return LEVELS[level];
}

// A consumer that is caught up costs two buffers of a few KiB and its share of the receive memory.
static uint64_t connections_max(const struct config *config, const struct machine *machine)
{
    enum { CONNECTION_BYTES = 16 * 1024, FILES_OF_STORAGE = 1024 };
    uint64_t by_memory = config->max_memory_mb * MIB / 4 / CONNECTION_BYTES;
    uint64_t by_files = machine->files_max > (uint64_t)FILES_OF_STORAGE * 4
                            ? machine->files_max - FILES_OF_STORAGE
                            : machine->files_max / 4 * 3;
    if (config->connections_max != CONFIG_AUTO) {
        return config->connections_max < by_files ? config->connections_max : by_files;
    }
    return by_memory < by_files ? by_memory : by_files;
}

uint64_t config_number(const struct config *config, enum config_key key,
                       const struct machine *machine)
{
    assert(config_key_is_number(key));
    uint64_t number = *(const uint64_t *)value_of(config, key);
    if (key == CONFIG_CONNECTIONS_MAX) {
        return connections_max(config, machine);
    }
    if (number != CONFIG_AUTO) {
        return number;
    }
    if (key == CONFIG_IO_THREADS) {
        uint64_t spare = machine->cores > 1 ? machine->cores - 1 : 1;
        return spare < SETTINGS[key].max ? spare : SETTINGS[key].max;
    }
    if (key == CONFIG_READ_THREADS) {
        return machine->cores < 2 ? 2 : machine->cores < 4 ? machine->cores : 4;
    }
    if (key == CONFIG_RECENT_CACHE_MB) {
        return memory_budget_divide(config->max_memory_mb * MIB, UINT64_MAX).recent_bytes / MIB;
    }
    return number;
}
