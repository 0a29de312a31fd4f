// Acknowledgements as they are written on standard input.

#include <string.h>

#include "client-cli/group_consumer.h"
#include "tests/unit/check_main.h"

static int parse(const char *text, struct acknowledgement *out, char line[256])
{
    struct weir_reason reason = {0};
    snprintf(line, 256, "%s", text);
    int err = ack_line_parse(line, out, &reason);
    ck_assert_msg(err == 0 || reason.text[0], "%s is refused without a reason", text);
    return err;
}

START_TEST(an_id_alone_is_done)
{
    static const char *const right[] = {"7.2", " 7.2 ", "\t7.2", "7-2",
                                        "0000000000000000000700002"};
    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++) {
        char line[256];
        struct acknowledgement what = {.kind = ACK_NOT};
        ck_assert_msg(parse(right[i], &what, line) == 0, "%s", right[i]);
        ck_assert_int_eq(what.kind, ACK_ONE);
        ck_assert_uint_eq(what.id.counter, 7);
        ck_assert_uint_eq(what.id.actor, 2);
    }
}
END_TEST

START_TEST(up_to_means_all_before_it_too)
{
    char line[256];
    struct acknowledgement what = {0};
    ck_assert_int_eq(parse("up-to  7.2", &what, line), 0);
    ck_assert_int_eq(what.kind, ACK_UP_TO);
    ck_assert_uint_eq(what.id.counter, 7);
}
END_TEST

START_TEST(a_refusal_has_a_delay_and_a_reason_if_it_likes)
{
    static const struct {
        const char *text;
        uint32_t delay_ms;
        const char *reason;
    } right[] = {
        {"nack 7.2", 0, NULL},
        {"nack 7.2 ", 0, NULL},
        {"nack 7.2 1m30s", 90000, NULL},
        {"nack 7.2 500ms no stock left", 500, "no stock left"},
        {"nack 7.2 no stock left", 0, "no stock left"},
        {"nack 7.2 10 bananas are missing", 0, "10 bananas are missing"},
        {"nack 7.2 60d later", UINT32_MAX, "later"},
    };
    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++) {
        char line[256];
        struct acknowledgement what = {0};
        ck_assert_msg(parse(right[i].text, &what, line) == 0, "%s", right[i].text);
        ck_assert_int_eq(what.kind, ACK_NOT);
        ck_assert_uint_eq(what.delay_ms, right[i].delay_ms);
        ck_assert_msg(right[i].reason ? what.reason && strcmp(what.reason, right[i].reason) == 0
                                      : !what.reason,
                      "%s: %s", right[i].text, what.reason);
    }
}
END_TEST

START_TEST(anything_else_is_refused)
{
    static const char *const wrong[] = {
        "",     "x",      "7",        "7.2 8.2",  "7.2 done", "up-to", "up-to x", "up-to 7.2 8.2",
        "nack", "nack x", "up-to7.2", "NACK 7.2", "0.1"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char line[256];
        struct acknowledgement what = {0};
        ck_assert_msg(parse(wrong[i], &what, line) == WEIR_ERR_INVALID, "%s", wrong[i]);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client-cli/ack_line");
    suite_add(suite, an_id_alone_is_done);
    suite_add(suite, up_to_means_all_before_it_too);
    suite_add(suite, a_refusal_has_a_delay_and_a_reason_if_it_likes);
    suite_add(suite, anything_else_is_refused);
    return check_main(suite);
}
