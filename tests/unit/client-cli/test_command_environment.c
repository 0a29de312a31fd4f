// The variables of a command that is run for an event.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client-cli/command_environment.h"
#include "proto/model/event.h"
#include "tests/unit/check_main.h"

static char *const inherited[] = {(char *)"PATH=/bin", (char *)"WEIR_PORT=3001",
                                  (char *)"WEIR_PARENT=of another event",
                                  (char *)"WEIR_ATTRIBUTE_OLD=x", NULL};

static unsigned left_out_count;

static void count_left_out(void *context, struct weir_bytes key, const char *why)
{
    ck_assert_str_eq(context, "context");
    ck_assert_msg(key.length > 0 && why[0], "what is left out has no key or no reason");
    left_out_count++;
}

static const char *find(const struct command_environment *environment, const char *name)
{
    const char *found = NULL;
    ck_assert_ptr_null(environment->variables[environment->count]);
    for (size_t i = 0; environment->variables[i]; i++) {
        const char *variable = environment->variables[i];
        if (strncmp(variable, name, strlen(name)) == 0 && variable[strlen(name)] == '=') {
            ck_assert_msg(!found, "%s is there twice", name);
            found = variable + strlen(name) + 1;
        }
    }
    return found;
}

static void make(struct command_environment *environment, const struct attribute *attributes,
                 size_t count, struct event_id parent)
{
    struct buffer encoded = {0};
    left_out_count = 0;
    if (count > 0 || parent.counter > 0) {
        ck_assert_int_eq(attributes_append(&encoded, attributes, count, parent), 0);
    }
    struct weir_event event = {
        .id = {.counter = 7, .actor = 2},
        .parent = {.counter = parent.counter, .actor = parent.actor},
        .timestamp_ms = 1795226199123,
        .name = weir_text("/a b"),
        .attributes = {.data = encoded.data, .length = encoded.length},
        .attempt = 3,
    };
    ck_assert_int_eq(command_environment_make(environment, inherited, "mail", &event,
                                              count_left_out, (void *)"context"),
                     0);
    buffer_deinit(&encoded);
}

START_TEST(the_fields_are_there_and_those_of_another_event_are_not)
{
    struct command_environment environment = {0};
    make(&environment, NULL, 0, (struct event_id){0});
    ck_assert_str_eq(find(&environment, "PATH"), "/bin");
    ck_assert_str_eq(find(&environment, "WEIR_PORT"), "3001");
    ck_assert_str_eq(find(&environment, "WEIR_SUBSCRIPTION"), "mail");
    ck_assert_str_eq(find(&environment, "WEIR_ID"), "0000000000000000000700002");
    ck_assert_str_eq(find(&environment, "WEIR_NAMESPACE"), "/a b");
    ck_assert_str_eq(find(&environment, "WEIR_TIMESTAMP"), "2026-11-21T01:56:39.123Z");
    ck_assert_str_eq(find(&environment, "WEIR_ATTEMPT"), "3");
    ck_assert_ptr_null(find(&environment, "WEIR_PARENT"));
    ck_assert_ptr_null(find(&environment, "WEIR_ATTRIBUTE_OLD"));
    command_environment_deinit(&environment);
}
END_TEST

START_TEST(attributes_have_names_that_a_shell_can_say)
{
    struct command_environment environment = {0};
    const struct attribute attributes[] = {
        {.key = bytes_of_text("content-type"),
         .value = bytes_of_text("a=b c"),
         .value_is_text = true},
        {.key = bytes_of_text("Z9"), .value = bytes_of("\xff\n", 2)},
        {.key = bytes_of_text("\xc3\xa4"), .value = bytes_of(NULL, 0), .value_is_text = true},
    };
    make(&environment, attributes, 3, (struct event_id){5, 1});
    ck_assert_str_eq(find(&environment, "WEIR_ATTRIBUTE_CONTENT_TYPE"), "a=b c");
    ck_assert_str_eq(find(&environment, "WEIR_ATTRIBUTE_Z9"), "\xff\n");
    ck_assert_str_eq(find(&environment, "WEIR_ATTRIBUTE___"), "");
    ck_assert_str_eq(find(&environment, "WEIR_PARENT"), "0000000000000000000500001");
    ck_assert_ptr_null(find(&environment, "WEIR_ATTRIBUTE_P"));
    ck_assert_uint_eq(left_out_count, 0);
    command_environment_deinit(&environment);
}
END_TEST

START_TEST(what_is_no_variable_is_left_out_and_said)
{
    struct command_environment environment = {0};
    static char large[128 * 1024];
    memset(large, 'x', sizeof large);
    const struct attribute attributes[] = {
        {.key = bytes_of_text("a-b"), .value = bytes_of_text("first"), .value_is_text = true},
        {.key = bytes_of_text("a.b"), .value = bytes_of_text("second"), .value_is_text = true},
        {.key = bytes_of_text("zero"), .value = bytes_of("a\0b", 3)},
        {.key = bytes_of_text("large"), .value = bytes_of(large, sizeof large)},
        {.key = bytes_of_text("last"), .value = bytes_of_text("l"), .value_is_text = true},
    };
    make(&environment, attributes, 5, (struct event_id){0});
    ck_assert_str_eq(find(&environment, "WEIR_ATTRIBUTE_A_B"), "first");
    ck_assert_str_eq(find(&environment, "WEIR_ATTRIBUTE_LAST"), "l");
    ck_assert_ptr_null(find(&environment, "WEIR_ATTRIBUTE_ZERO"));
    ck_assert_ptr_null(find(&environment, "WEIR_ATTRIBUTE_LARGE"));
    ck_assert_uint_eq(left_out_count, 3);
    command_environment_deinit(&environment);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client-cli/command_environment");
    suite_add(suite, the_fields_are_there_and_those_of_another_event_are_not);
    suite_add(suite, attributes_have_names_that_a_shell_can_say);
    suite_add(suite, what_is_no_variable_is_left_out_and_said);
    return check_main(suite);
}
