#include <string.h>

#include "tests/unit/check_main.h"
#include "tests/unit/server/config/config_fixture.h"

static void check_file(const char *text, const char *expected)
{
    struct config config;
    struct reason reason = {0};
    config_init(&config);
    ck_assert_int_eq(read_text(&config, text, &reason), ERR_INVALID);
    ck_assert_str_eq(reason.text, expected);
}

START_TEST(an_unknown_key_is_named_with_its_place)
{
    check_file("# first\nprot: 1\n", "weir.yaml:2:1: unknown key 'prot'; did you mean 'port'?");
    check_file("port: 1\nlog:\n  levle: info\n",
               "weir.yaml:3:3: unknown key 'log.levle'; did you mean 'log.level'?");
    check_file("frobnicate: 1\n", "weir.yaml:1:1: unknown key 'frobnicate'");
    check_file("log.level: info\nlog.: 1\n", "weir.yaml:2:1: unknown key 'log.'");
}
END_TEST

START_TEST(a_wrong_type_is_named_with_its_place)
{
    check_file("port: '3000'\n", "weir.yaml:1:7: port: must be a number");
    check_file("port: [3000]\n", "weir.yaml:1:1: port: must be a number");
    check_file("port: {a: b}\n", "weir.yaml:1:1: port: must be a number");
    check_file("port: many\n", "weir.yaml:1:7: port: 'many' is not a whole number");
    check_file("port: 1.5\n", "weir.yaml:1:7: port: '1.5' is not a whole number");
    check_file("port: -1\n", "weir.yaml:1:7: port: '-1' is not a whole number");
    check_file("io_threads: some\n",
               "weir.yaml:1:13: io_threads: 'some' is not a whole number or auto");
    check_file("data_dir: [a]\n", "weir.yaml:1:1: data_dir: must be text");
    check_file("listen: 127.0.0.1\n",
               "weir.yaml:1:9: listen: must be a list, for example [127.0.0.1]");
    check_file("listen: [[a]]\n", "weir.yaml:1:1: listen: must be text");
    check_file("log: debug\n", "weir.yaml:1:6: log: must be a mapping, for example {level: debug}");
    check_file("log:\n  parts: debug\n",
               "weir.yaml:2:10: log.parts: must be a mapping, for example {store: debug}");
    check_file("- a\n", "weir.yaml:1:1: must be keys with values, for example port: 3000");
    check_file("port\n", "weir.yaml:1:1: must be keys with values, for example port: 3000");
    check_file("[a]: b\n", "weir.yaml:1:6: a key must be a word");
}
END_TEST

START_TEST(a_missing_value_is_named_with_its_place)
{
    check_file("port:\n", "weir.yaml:1:1: port: a value is missing");
    check_file("port: ~\n", "weir.yaml:1:1: port: a value is missing");
    check_file("data_dir: null\n", "weir.yaml:1:1: data_dir: a value is missing");
    check_file("data_dir: ''\n", "weir.yaml:1:11: data_dir: must not be empty");
    check_file("log:\n", "weir.yaml:1:1: log: must be a mapping, for example {level: debug}");
}
END_TEST

START_TEST(a_value_out_of_range_is_named_with_its_place)
{
    check_file("port: 65536\n", "weir.yaml:1:7: port: 65536 is out of range, 0 to 65535 are valid");
    check_file("actor_id: 0\n",
               "weir.yaml:1:11: actor_id: 0 is out of range, 1 to 65535 are valid");
    check_file("max_event_bytes: 67108865\n",
               "weir.yaml:1:18: max_event_bytes: 67108865 is out of range, 1 to 67108864 are "
               "valid");
    check_file("io_threads: 99999999999999999999999\n",
               "weir.yaml:1:13: io_threads: 99999999999999999999999 is out of range, 1 to 64 are "
               "valid");
    check_file("compression: zstd\n", "weir.yaml:1:14: compression: 'zstd' is none of none, lz4");
    check_file("log: {parts: {net: loud}}\n", "weir.yaml:1:20: log.parts: 'loud' is none of error, "
                                              "warning, info, debug, trace");
    check_file("log: {parts: {NET: info}}\n",
               "weir.yaml:1:20: log.parts: 'NET=info' is not part=level, for example store=debug");
    check_file("listen: ['a:b']\n",
               "weir.yaml:1:10: listen: 'a:b' is not an address; valid are host, host:port, "
               "[ipv6]:port and *");
    check_file("data_dir: \"a\\tb\"\n", "weir.yaml:1:11: data_dir: contains a control character");
}
END_TEST

START_TEST(what_is_no_yaml_is_named_with_its_place)
{
    check_file("port: 1\nport: 2\n", "weir.yaml:2:1: duplicate key");
    check_file("port: [1\n", "weir.yaml:2:1: flow sequence without a closing bracket");
}
END_TEST

START_TEST(a_file_of_comments_says_nothing)
{
    struct config config;
    struct reason reason = {0};
    config_init(&config);
    ck_assert_int_eq(read_text(&config, "", &reason), 0);
    ck_assert_int_eq(read_text(&config, "# nothing\n\n", &reason), 0);
    ck_assert_uint_eq(config.port, 3000);
}
END_TEST

START_TEST(a_file_that_cannot_be_read_is_named)
{
    struct config config;
    struct reason reason = {0};
    config_init(&config);
    ck_assert_int_eq(config_read_file(&config, "/nowhere/weir.yaml", &reason), ERR_INVALID);
    ck_assert_str_eq(reason.text, "/nowhere/weir.yaml: cannot read the configuration: No such "
                                  "file or directory");
    ck_assert_int_eq(config_read_file(&config, "/", &reason), ERR_INVALID);
}
END_TEST

START_TEST(lists_are_bounded)
{
    struct config config;
    struct reason reason = {0};
    struct config_source source = {.origin = CONFIG_FROM_FLAG};
    config_init(&config);
    for (int i = 0; i < CONFIG_LISTEN_MAX; i++) {
        ck_assert_int_eq(config_set(&config, CONFIG_LISTEN, source, "a", &reason), 0);
    }
    ck_assert_int_eq(config_set(&config, CONFIG_LISTEN, source, "a", &reason), ERR_LIMIT);
    ck_assert_str_eq(reason.text, "listen: more than 16 addresses");
    for (int i = 0; i < CONFIG_LOG_PARTS_MAX; i++) {
        char text[] = "pa=info";
        text[1] = (char)('a' + i);
        ck_assert_int_eq(config_set(&config, CONFIG_LOG_PARTS, source, text, &reason), 0);
    }
    ck_assert_int_eq(config_set(&config, CONFIG_LOG_PARTS, source, "z=info", &reason), ERR_LIMIT);
    ck_assert_str_eq(reason.text, "log.parts: more than 16 parts");
}
END_TEST

START_TEST(wrong_variables_and_flags_are_named)
{
    struct config config;
    struct reason reason = {0};
    config_init(&config);
    ck_assert_int_eq(read_variables(&config, &reason, "WEIR_PORT=tcp://10.0.0.1:3000"),
                     ERR_INVALID);
    ck_assert_str_eq(reason.text, "environment variable WEIR_PORT: port: 'tcp://10.0.0.1:3000' "
                                  "is not a whole number");
    ck_assert_int_eq(read_variables(&config, &reason, "WEIR_LOG_PARTS=net"), ERR_INVALID);
    ck_assert_str_eq(reason.text, "environment variable WEIR_LOG_PARTS: log.parts: 'net' is not "
                                  "part=level, for example store=debug");
    ck_assert_int_eq(read_flags(&config, &reason, "-p", "70000"), ERR_INVALID);
    ck_assert_str_eq(reason.text, "-p, --port: port: 70000 is out of range, 0 to 65535 are valid");
    ck_assert_int_eq(read_flags(&config, &reason, "-L", "loud"), ERR_INVALID);
    ck_assert_int_eq(read_flags(&config, &reason, "start"), ERR_INVALID);
    ck_assert_str_eq(reason.text, "unexpected argument 'start'; try weir-server --help");
    ck_assert_int_eq(read_flags(&config, &reason, "--config", ""), ERR_INVALID);
}
END_TEST

// A value that is beaten is wrong all the same: the next start without the flag would fail.
START_TEST(a_beaten_value_is_checked_too)
{
    struct config config;
    struct reason reason = {0};
    config_init(&config);
    ck_assert_int_eq(read_flags(&config, &reason, "-p", "1"), 0);
    ck_assert_int_eq(read_text(&config, "port: x", &reason), ERR_INVALID);
    ck_assert_uint_eq(config.port, 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("config_errors");
    suite_add(suite, an_unknown_key_is_named_with_its_place);
    suite_add(suite, a_wrong_type_is_named_with_its_place);
    suite_add(suite, a_missing_value_is_named_with_its_place);
    suite_add(suite, a_value_out_of_range_is_named_with_its_place);
    suite_add(suite, what_is_no_yaml_is_named_with_its_place);
    suite_add(suite, a_file_of_comments_says_nothing);
    suite_add(suite, a_file_that_cannot_be_read_is_named);
    suite_add(suite, lists_are_bounded);
    suite_add(suite, wrong_variables_and_flags_are_named);
    suite_add(suite, a_beaten_value_is_checked_too);
    return check_main(suite);
}
