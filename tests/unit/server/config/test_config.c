#include <string.h>

#include "tests/unit/check_main.h"
#include "tests/unit/server/config/config_fixture.h"

// Every key with a value that is not its default, three times over.
static const struct sample {
    enum config_key key;
    const char *file;
    const char *variable;
    const char *flags[2]; // NULL: has none
    const char *of_file;  // what is printed then
    const char *of_variable;
    const char *of_flag;
} SAMPLES[] = {
    {CONFIG_DATA_DIR,
     "data_dir: /a",
     "WEIR_DATA_DIR=/b",
     {"-d", "/c"},
     "data_dir: /a\n",
     "data_dir: /b\n",
     "data_dir: /c\n"},
    {CONFIG_CLUSTER_NAME,
     "cluster_name: a",
     "WEIR_CLUSTER_NAME=b c",
     {"--cluster-name", "d"},
     "cluster_name: a\n",
     "cluster_name: 'b c'\n",
     "cluster_name: d\n"},
    {CONFIG_ACTOR_ID,
     "actor_id: 2",
     "WEIR_ACTOR_ID=3",
     {"-A", "65535"},
     "actor_id: 2\n",
     "actor_id: 3\n",
     "actor_id: 65535\n"},
    {CONFIG_LISTEN,
     "listen: [a, '[::1]:5']",
     "WEIR_LISTEN=b,c:1",
     {"--listen", "*"},
     "listen:\n  - a\n  - '[::1]:5'\n",
     "listen:\n  - b\n  - 'c:1'\n",
     "listen:\n  - '*'\n"},
    {CONFIG_PORT,
     "port: 0",
     "WEIR_PORT=2",
     {"-p", "65535"},
     "port: 0\n",
     "port: 2\n",
     "port: 65535\n"},
    {CONFIG_SOCKET,
     "socket: /a",
     "WEIR_SOCKET=/b",
     {"--socket", "/c"},
     "socket: /a\n",
     "socket: /b\n",
     "socket: /c\n"},
    {CONFIG_CONNECTIONS_MAX,
     "connections_max: 1",
     "WEIR_CONNECTIONS_MAX=2",
     {NULL},
     "connections_max: 1\n",
     "connections_max: 2\n",
     NULL},
    {CONFIG_PEERS,
     "peers: [a, '[::1]:5']",
     "WEIR_PEERS=b,c:1",
     {"--peer-addr", "d:2"},
     "peers:\n  - a\n  - '[::1]:5'\n",
     "peers:\n  - b\n  - 'c:1'\n",
     "peers:\n  - 'd:2'\n"},
    {CONFIG_ADVERTISE,
     "advertise: a",
     "WEIR_ADVERTISE=b:1",
     {"--advertise", "c:2"},
     "advertise: a\n",
     "advertise: 'b:1'\n",
     "advertise: 'c:2'\n"},
    {CONFIG_CLUSTER_SECRET_FILE,
     "cluster_secret_file: /a",
     "WEIR_CLUSTER_SECRET_FILE=/b",
     {NULL},
     "cluster_secret_file: /a\n",
     "cluster_secret_file: /b\n",
     NULL},
    {CONFIG_BOOTSTRAP,
     "bootstrap: true",
     "WEIR_BOOTSTRAP=true",
     {"--bootstrap", NULL},
     "bootstrap: true\n",
     "bootstrap: true\n",
     "bootstrap: true\n"},
    {CONFIG_START_WAIT_MS,
     "start_wait_ms: 0",
     "WEIR_START_WAIT_MS=2",
     {"--start-wait", "3s"},
     "start_wait_ms: 0\n",
     "start_wait_ms: 2\n",
     "start_wait_ms: 3000\n"},
    {CONFIG_MAX_MEMORY_MB,
     "max_memory_mb: 100",
     "WEIR_MAX_MEMORY_MB=200",
     {"-M", "300"},
     "max_memory_mb: 100\n",
     "max_memory_mb: 200\n",
     "max_memory_mb: 300\n"},
    {CONFIG_RECENT_CACHE_MB,
     "recent_cache_mb: 1",
     "WEIR_RECENT_CACHE_MB=2",
     {NULL},
     "recent_cache_mb: 1\n",
     "recent_cache_mb: 2\n",
     NULL},
    {CONFIG_IO_THREADS,
     "io_threads: 1",
     "WEIR_IO_THREADS=2",
     {"--io-threads", "64"},
     "io_threads: 1\n",
     "io_threads: 2\n",
     "io_threads: 64\n"},
    {CONFIG_READ_THREADS,
     "read_threads: 1",
     "WEIR_READ_THREADS=2",
     {NULL},
     "read_threads: 1\n",
     "read_threads: 2\n",
     NULL},
    {CONFIG_COMPRESSION,
     "compression: none",
     "WEIR_COMPRESSION=none",
     {NULL},
     "compression: none\n",
     "compression: none\n",
     NULL},
    {CONFIG_MAX_EVENT_BYTES,
     "max_event_bytes: 1",
     "WEIR_MAX_EVENT_BYTES=67108864",
     {NULL},
     "max_event_bytes: 1\n",
     "max_event_bytes: 67108864\n",
     NULL},
    {CONFIG_AFTER_TIMEOUT_MS,
     "after_timeout_ms: 0",
     "WEIR_AFTER_TIMEOUT_MS=2",
     {NULL},
     "after_timeout_ms: 0\n",
     "after_timeout_ms: 2\n",
     NULL},
    {CONFIG_DISK_RESERVE_MB,
     "disk_reserve_mb: 0",
     "WEIR_DISK_RESERVE_MB=2",
     {NULL},
     "disk_reserve_mb: 0\n",
     "disk_reserve_mb: 2\n",
     NULL},
    {CONFIG_SCRUB_DAYS,
     "scrub_days: 0",
     "WEIR_SCRUB_DAYS=2",
     {NULL},
     "scrub_days: 0\n",
     "scrub_days: 2\n",
     NULL},
    {CONFIG_LOG_LEVEL,
     "log: {level: error}",
     "WEIR_LOG_LEVEL=warning",
     {"-L", "trace"},
     "  level: error\n",
     "  level: warning\n",
     "  level: trace\n"},
    {CONFIG_LOG_PARTS,
     "log: {parts: {net: error}}",
     "WEIR_LOG_PARTS=net=warning,store=trace",
     {"-L", "net=debug"},
     "  parts:\n    net: error\n",
     "  parts:\n    net: warning\n    store: trace\n",
     "  parts:\n    net: debug\n"},
    {CONFIG_LOG_DEST,
     "log: {dest: /a}",
     "WEIR_LOG_DEST=journal",
     {"-o", "/c"},
     "  dest: /a\n",
     "  dest: journal\n",
     "  dest: /c\n"},
};
enum { SAMPLES_COUNT = sizeof SAMPLES / sizeof SAMPLES[0] };
static_assert(SAMPLES_COUNT == (int)CONFIG_KEYS, "every key has a sample");

static void check_printed(const struct config *config, const char *expected)
{
    struct printed printed;
    print_values(config, &printed);
    ck_assert_msg(strstr(printed.text, expected) != NULL, "no %s in %s", expected, printed.text);
}

static void check_source(const struct config *config, enum config_key key,
                         enum config_origin origin)
{
    ck_assert_int_eq(config->sources[key].origin, origin);
}

START_TEST(every_key_is_read_from_the_file)
{
    for (unsigned i = 0; i < SAMPLES_COUNT; i++) {
        struct config config;
        struct reason reason = {0};
        config_init(&config);
        ck_assert_msg(read_text(&config, SAMPLES[i].file, &reason) == 0, "%s", reason.text);
        check_printed(&config, SAMPLES[i].of_file);
        check_source(&config, SAMPLES[i].key, CONFIG_FROM_FILE);
    }
}
END_TEST

START_TEST(a_variable_beats_the_file_in_either_order)
{
    for (unsigned i = 0; i < 2 * SAMPLES_COUNT; i++) {
        const struct sample *sample = &SAMPLES[i / 2];
        struct config config;
        struct reason reason = {0};
        config_init(&config);
        if (i % 2 == 0) {
            ck_assert_int_eq(read_text(&config, sample->file, &reason), 0);
        }
        ck_assert_int_eq(read_variables(&config, &reason, sample->variable), 0);
        if (i % 2 != 0) {
            ck_assert_int_eq(read_text(&config, sample->file, &reason), 0);
        }
        check_printed(&config, sample->of_variable);
        check_source(&config, sample->key, CONFIG_FROM_ENVIRONMENT);
    }
}
END_TEST

START_TEST(a_flag_beats_the_variable_in_either_order)
{
    for (unsigned i = 0; i < 2 * SAMPLES_COUNT; i++) {
        const struct sample *sample = &SAMPLES[i / 2];
        const char *variable = sample->variable;
        const char *flag = sample->flags[0];
        const char *value = sample->flags[1];
        struct config config;
        struct reason reason = {0};
        ck_assert_int_eq(flag == NULL, config_key_flag(sample->key) == NULL);
        if (flag == NULL) {
            continue;
        }
        config_init(&config);
        if (i % 2 == 0) {
            ck_assert_int_eq(read_variables(&config, &reason, variable), 0);
        }
        ck_assert_int_eq(read_flags(&config, &reason, flag, value), 0);
        if (i % 2 != 0) {
            ck_assert_int_eq(read_variables(&config, &reason, variable), 0);
        }
        check_printed(&config, sample->of_flag);
        check_source(&config, sample->key, CONFIG_FROM_FLAG);
    }
}
END_TEST

START_TEST(times_have_a_unit)
{
    static const struct {
        const char *text;
        uint64_t ms;
    } GOOD[] = {{"0ms", 0}, {"250ms", 250}, {"5s", 5000}, {"2m", 120000}};
    static const char *const BAD[] = {"", "5", "s", "5 s", "5h", "-1s", "61m", "9999999999s"};
    struct config config;
    struct reason reason = {0};
    for (unsigned i = 0; i < sizeof GOOD / sizeof GOOD[0]; i++) {
        config_init(&config);
        ck_assert_int_eq(read_flags(&config, &reason, "--start-wait", GOOD[i].text), 0);
        ck_assert_uint_eq(config.start_wait_ms, GOOD[i].ms);
    }
    for (unsigned i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        ck_assert_int_eq(read_flags(&config, &reason, "--start-wait", BAD[i]), ERR_INVALID);
        ck_assert_int_eq(strncmp(reason.text, "--start-wait: ", 14), 0);
    }
}
END_TEST

START_TEST(repeated_flags_add_to_lists_and_parts)
{
    struct config config;
    struct reason reason = {0};
    config_init(&config);
    ck_assert_int_eq(read_text(&config, "log: {parts: {net: error, store: error}}", &reason), 0);
    ck_assert_int_eq(read_flags(&config, &reason, "--listen=a", "--listen=b", "-L", "net=trace",
                                "-L", "debug", "-L", "native=info"),
                     0);
    check_printed(&config, "listen:\n  - a\n  - b\n");
    check_printed(&config,
                  "  level: debug\n  parts:\n    net: trace\n    store: error\n    native: info\n");
}
END_TEST

START_TEST(flags_of_one_start_are_taken)
{
    struct config config;
    struct reason reason = {0};
    config_init(&config);
    ck_assert_int_eq(read_flags(&config, &reason, "--config", "x.yaml", "--check-config",
                                "--drop-torn-log", "--accept-loss"),
                     0);
    ck_assert_str_eq(config.file, "x.yaml");
    ck_assert(config.check_only && config.drop_torn_log && config.accept_loss);
}
END_TEST

START_TEST(the_file_is_named_by_a_flag_before_the_variable)
{
    struct config config;
    struct reason reason = {0};
    config_init(&config);
    ck_assert_int_eq(read_variables(&config, &reason, "WEIR_CONFIG=a.yaml"), 0);
    ck_assert_str_eq(config.file, "a.yaml");
    config_init(&config);
    ck_assert_int_eq(read_flags(&config, &reason, "--config=b.yaml"), 0);
    ck_assert_int_eq(read_variables(&config, &reason, "WEIR_CONFIG=a.yaml"), 0);
    ck_assert_str_eq(config.file, "b.yaml");
}
END_TEST

START_TEST(an_empty_variable_counts_as_not_set_and_an_unknown_one_is_warned_of)
{
    struct config config;
    struct reason reason = {0};
    config_init(&config);
    ck_assert_int_eq(
        read_variables(&config, &reason, "WEIR_PORT=", "WEIR_HOST=h", "WEIR_PROT=1", "PATH=/"), 0);
    ck_assert_uint_eq(config.port, 3000);
    ck_assert_uint_eq(config.warnings_count, 1);
    ck_assert_str_eq(config.warnings[0].text,
                     "environment variable WEIR_PROT is not one of weir-server's: ignored");
}
END_TEST

START_TEST(what_is_printed_is_a_file_that_says_the_same)
{
    struct config config;
    struct config again;
    struct reason reason = {0};
    struct printed printed;
    struct printed printed_again;
    config_init(&config);
    ck_assert_int_eq(read_flags(&config, &reason, "--listen=[::1]:5", "-d", "it's # odd", "-L",
                                "net=trace", "-o", "- x"),
                     0);
    print_values(&config, &printed);
    config_init(&again);
    ck_assert_msg(read_text(&again, printed.text, &reason) == 0, "%s", reason.text);
    print_values(&again, &printed_again);
    ck_assert_str_eq(again.data_dir, "it's # odd");
    ck_assert_str_eq(again.log_dest, "- x");
    ck_assert_str_eq(printed.text, printed_again.text);
}
END_TEST

START_TEST(what_does_not_fit_together_is_put_right_or_refused)
{
    struct config config;
    struct reason reason = {0};
    config_init(&config);
    config.max_memory_mb = 16;
    config.recent_cache_mb = 100;
    ck_assert_int_eq(config_finish(&config, &reason), 0);
    ck_assert_uint_eq(config.max_memory_mb, 64);
    ck_assert_uint_eq(config.recent_cache_mb, 32);
    ck_assert_str_eq(config.warnings[0].text, "max_memory_mb 16 is too little, it is raised to 64");
    ck_assert_str_eq(config.warnings[1].text,
                     "recent_cache_mb 100 is more than half of max_memory_mb, it is lowered to 32");
    ck_assert_int_eq(read_text(&config, "listen: []", &reason), 0);
    ck_assert_int_eq(config_finish(&config, &reason), ERR_INVALID);
    ck_assert_str_eq(reason.text, "nothing to listen on: listen is empty and socket is not set");
}
END_TEST

START_TEST(auto_follows_the_machine)
{
    struct config config;
    config_init(&config);
    struct machine small = {.cores = 1, .files_max = 1024};
    struct machine large = {.cores = 16, .files_max = 1 << 20};
    ck_assert_uint_eq(config_number(&config, CONFIG_IO_THREADS, &small), 1);
    ck_assert_uint_eq(config_number(&config, CONFIG_IO_THREADS, &large), 15);
    ck_assert_uint_eq(config_number(&config, CONFIG_READ_THREADS, &small), 2);
    ck_assert_uint_eq(config_number(&config, CONFIG_READ_THREADS, &large), 4);
    ck_assert_uint_eq(config_number(&config, CONFIG_CONNECTIONS_MAX, &small), 768);
    ck_assert_uint_eq(config_number(&config, CONFIG_CONNECTIONS_MAX, &large), 8192);
    config.connections_max = 5000;
    ck_assert_uint_eq(config_number(&config, CONFIG_CONNECTIONS_MAX, &small), 768);
    ck_assert_uint_eq(config_number(&config, CONFIG_CONNECTIONS_MAX, &large), 5000);
}
END_TEST

// More threads than a node can have loops would be a mistake of the machine's size, not of the
// user's.
START_TEST(auto_stays_within_the_bounds_of_a_value)
{
    struct config config;
    config_init(&config);
    struct machine huge = {.cores = 512, .files_max = 1 << 20};
    ck_assert_uint_eq(config_number(&config, CONFIG_IO_THREADS, &huge), 64);
}
END_TEST

START_TEST(addresses_are_split)
{
    static const struct {
        const char *text;
        const char *host;
        unsigned port;
    } GOOD[] = {
        {"127.0.0.1", "127.0.0.1", 3000},
        {"a.example:5", "a.example", 5},
        {"::1", "::1", 3000},
        {"[::1]:65535", "::1", 65535},
        {"[::1]", "::1", 3000},
        {"*:0", "*", 0},
        {":7", "*", 7},
    };
    for (unsigned i = 0; i < sizeof GOOD / sizeof GOOD[0]; i++) {
        char host[CONFIG_ADDRESS_BYTES_MAX + 1];
        uint16_t port;
        ck_assert_int_eq(config_split_address(GOOD[i].text, 3000, host, &port, NULL), 0);
        ck_assert_str_eq(host, GOOD[i].host);
        ck_assert_uint_eq(port, GOOD[i].port);
    }
    static const char *const BAD[] = {"",       "a:",   "a:x", "a:65536", "[::1",
                                      "[::1]x", "[]:1", "a b", "a/b",     "a:123456"};
    for (unsigned i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        char host[CONFIG_ADDRESS_BYTES_MAX + 1];
        uint16_t port;
        ck_assert_int_eq(config_split_address(BAD[i], 3000, host, &port, NULL), ERR_INVALID);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("config");
    suite_add(suite, every_key_is_read_from_the_file);
    suite_add(suite, a_variable_beats_the_file_in_either_order);
    suite_add(suite, a_flag_beats_the_variable_in_either_order);
    suite_add(suite, times_have_a_unit);
    suite_add(suite, repeated_flags_add_to_lists_and_parts);
    suite_add(suite, flags_of_one_start_are_taken);
    suite_add(suite, the_file_is_named_by_a_flag_before_the_variable);
    suite_add(suite, an_empty_variable_counts_as_not_set_and_an_unknown_one_is_warned_of);
    suite_add(suite, what_is_printed_is_a_file_that_says_the_same);
    suite_add(suite, what_does_not_fit_together_is_put_right_or_refused);
    suite_add(suite, auto_follows_the_machine);
    suite_add(suite, auto_stays_within_the_bounds_of_a_value);
    suite_add(suite, addresses_are_split);
    return check_main(suite);
}
