// Where the nodes are: flags, the environment, lists.

#include <stdlib.h>

#include "client-cli/connection_options.h"
#include "tests/unit/check_main.h"

static struct connection_options options;
static struct connection_addresses addresses;

static void setup(void)
{
    static const char *const variables[] = {"WEIR_HOST", "WEIR_PORT", "WEIR_SOCKET"};
    options = (struct connection_options){0};
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++) {
        ck_assert_int_eq(unsetenv(variables[i]), 0);
    }
}

static error_t take_nothing(int key, char *argument, struct argp_state *state)
{
    (void)argument;
    if (key == ARGP_KEY_INIT) {
        state->child_inputs[0] = state->input;
    }
    return key == ARGP_KEY_INIT ? 0 : ARGP_ERR_UNKNOWN;
}

// `words` end with NULL. What an earlier call took stays: as before and behind a subcommand.
static void parse(const char *const *words)
{
    static const struct argp_child children[] = {{&connection_options_argp, 0, NULL, 0}, {0}};
    static const struct argp argp = {.parser = take_nothing, .children = children};
    static char name[] = "weir";
    char *arguments[16] = {name};
    int count = 1;
    while (words[count - 1]) {
        arguments[count] = (char *)words[count - 1];
        count++;
    }
    ck_assert_int_eq(argp_parse(&argp, count, arguments, 0, NULL, &options), 0);
    connection_options_addresses(&options, &addresses);
}

static void is_list(const char *const *expected)
{
    for (size_t i = 0; expected[i]; i++) {
        ck_assert_uint_lt(i, addresses.count);
        ck_assert_str_eq(addresses.list[i], expected[i]);
        ck_assert_ptr_null(expected[addresses.count]);
    }
}

#define PARSE(...) parse((const char *const[]){__VA_ARGS__, NULL})
#define IS(...) is_list((const char *const[]){__VA_ARGS__, NULL})

START_TEST(lists_keep_their_order_over_all_flags)
{
    PARSE("-H", "a,b:3001");
    IS("a:3000", "b:3001");
    PARSE("--host=c", "-p", "4000");
    IS("a:4000", "b:3001", "c:4000");
}
END_TEST

START_TEST(addresses_of_ipv6_are_told_from_ports)
{
    PARSE("-H", "::1,[::1],[::1]:5,127.0.0.1:6,fe80::1", "-p", "7");
    IS("[::1]:7", "[::1]:7", "[::1]:5", "127.0.0.1:6", "[fe80::1]:7");
}
END_TEST

START_TEST(flags_beat_the_environment)
{
    parse((const char *const[]){NULL});
    IS("localhost:3000");
    ck_assert_int_eq(setenv("WEIR_HOST", "a,b:1", 1), 0);
    ck_assert_int_eq(setenv("WEIR_PORT", "9", 1), 0);
    parse((const char *const[]){NULL});
    IS("a:9", "b:1");
    ck_assert_int_eq(setenv("WEIR_SOCKET", "run/weir", 1), 0);
    parse((const char *const[]){NULL});
    IS("./run/weir");
    PARSE("-H", "c");
    IS("c:9");
    PARSE("--socket", "/run/weir");
    IS("/run/weir");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client-cli/connection_options");
    const TTest *const tests[] = {
        lists_keep_their_order_over_all_flags,
        addresses_of_ipv6_are_told_from_ports,
        flags_beat_the_environment,
    };
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
        TCase *test_case = tcase_create(tests[i]->name);
        tcase_add_checked_fixture(test_case, setup, NULL);
        tcase_add_test(test_case, tests[i]);
        suite_add_tcase(suite, test_case);
    }
    return check_main(suite);
}
