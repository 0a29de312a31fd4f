// The forms for people and for pipes.

#include "client-cli/print_event.h"
#include "client-cli/views.h"
#include "tests/unit/check_main.h"

static void expect_printed(enum format format, bool is_terminal, struct bytes data,
                           const char *expected)
{
    struct output output = {.is_terminal = is_terminal};
    struct weir_event event = {
        .id = {1, 1},
        .timestamp_ms = 1795226199123,
        .name = weir_text("/a"),
        .data = bytes_to(data),
    };
    ck_assert_int_eq(print_event(&output, format, &event), 0);
    ck_assert_msg(bytes_equal(buffer_bytes(&output.buffer), bytes_of_text(expected)), "%.*s",
                  (int)output.buffer.length, output.buffer.data);
    output_deinit(&output);
}

#define HEAD                                                                                       \
    "\nEventId: 0000000000000000000100001\nNamespace: /a\nTimestamp: 2026-11-21T01:56:39.123Z\n"

START_TEST(people_see_a_head_and_the_body)
{
    expect_printed(FORMAT_HUMAN, false, bytes_of_text("two\nlines"), HEAD "two\nlines\n");
    expect_printed(FORMAT_HUMAN, false, (struct bytes){0}, HEAD);
}
END_TEST

START_TEST(a_body_does_not_drive_a_terminal)
{
    struct bytes evil = bytes_of_text("\x1b[2J\t\xc3\xa4\n\x7f\xc2\x9b\xff");
    expect_printed(FORMAT_HUMAN, true, evil, HEAD "\\x1b[2J\t\xc3\xa4\n\\x7f\\xc2\\x9b\\xff\n");
    expect_printed(FORMAT_HUMAN, false, evil, HEAD "\x1b[2J\t\xc3\xa4\n\x7f\xc2\x9b\xff\n");
}
END_TEST

START_TEST(raw_is_the_body_and_a_newline)
{
    expect_printed(FORMAT_RAW, false, bytes_of_text("x"), "x\n");
    expect_printed(FORMAT_RAW, true, (struct bytes){0}, "\n");
}
END_TEST

START_TEST(the_parent_is_shown_behind_the_id)
{
    struct output output = {0};
    struct weir_event event = {.id = {1, 1}, .parent = {3, 2}, .name = weir_text("/a")};
    ck_assert_int_eq(print_event(&output, FORMAT_HUMAN, &event), 0);
    static const char line[] =
        "\nEventId: 0000000000000000000100001, Parent: 0000000000000000000300002\n";
    ck_assert_int_eq(strncmp((char *)output.buffer.data, line, strlen(line)), 0);
    output_deinit(&output);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client-cli/print_event");
    suite_add(suite, people_see_a_head_and_the_body);
    suite_add(suite, a_body_does_not_drive_a_terminal);
    suite_add(suite, raw_is_the_body_and_a_newline);
    suite_add(suite, the_parent_is_shown_behind_the_id);
    return check_main(suite);
}
