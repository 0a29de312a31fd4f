// Ids are written in one way and read in three; text and keys sort as ids do.

#include "proto/model/event_id.h"

#include "proto/base/limits.h"
#include "proto/base/random.h"
#include "tests/unit/check_main.h"
#include "tests/unit/sample_bytes.h"

static void assert_parses(const char *text, uint64_t counter, uint16_t actor)
{
    struct bytes copy = exact_copy(bytes_of_text(text));
    struct event_id id = {0};
    struct reason reason = {0};
    ck_assert_msg(event_id_parse(copy, &id, &reason) == 0, "%s: %s", text, reason.text);
    ck_assert_uint_eq(id.counter, counter);
    ck_assert_uint_eq(id.actor, actor);
    exact_free(copy);
}

static void assert_refuses(const char *text)
{
    struct bytes copy = exact_copy(bytes_of_text(text));
    struct event_id id = {.counter = 7, .actor = 8};
    struct reason reason = {0};
    ck_assert_msg(event_id_parse(copy, &id, &reason) == ERR_INVALID, "\"%s\" was taken", text);
    ck_assert_str_ne(reason.text, "");
    ck_assert_uint_eq(id.counter, 7);
    ck_assert_int_eq(event_id_parse(copy, &id, NULL), ERR_INVALID);
    exact_free(copy);
}

START_TEST(canonical_text_has_20_and_5_digits)
{
    char text[EVENT_ID_TEXT_LENGTH + 1];
    event_id_format((struct event_id){.counter = 1, .actor = 1}, text);
    ck_assert_str_eq(text, "0000000000000000000100001");
    event_id_format((struct event_id){.counter = COUNTER_MAX, .actor = 65535}, text);
    ck_assert_str_eq(text, "0922337203685477580765535");
    event_id_format((struct event_id){.counter = UINT64_MAX, .actor = 0}, text);
    ck_assert_str_eq(text, "1844674407370955161500000");
}
END_TEST

START_TEST(short_text_has_no_zeros_in_front)
{
    char text[EVENT_ID_SHORT_LENGTH_MAX + 1];
    ck_assert_uint_eq(event_id_format_short((struct event_id){.counter = 1042, .actor = 1}, text),
                      6);
    ck_assert_str_eq(text, "1042.1");
    struct event_id none = {0};
    ck_assert_uint_eq(event_id_format_short(none, text), 3);
    ck_assert_str_eq(text, "0.0");
    struct event_id largest = {.counter = UINT64_MAX, .actor = 65535};
    ck_assert_uint_eq(event_id_format_short(largest, text), EVENT_ID_SHORT_LENGTH_MAX);
    ck_assert_str_eq(text, "18446744073709551615.65535");
}
END_TEST

START_TEST(reads_the_canonical_and_both_short_forms)
{
    assert_parses("0000000000000000000100001", 1, 1);
    assert_parses("0922337203685477580765535", COUNTER_MAX, 65535);
    assert_parses("1.1", 1, 1);
    assert_parses("1-1", 1, 1);
    assert_parses("9223372036854775807.65535", COUNTER_MAX, 65535);
    assert_parses("00000000000000000001.00001", 1, 1);
    assert_parses("1042-7", 1042, 7);
}
END_TEST

START_TEST(refuses_everything_else)
{
    static const char *const wrong[] = {
        "",
        ".",
        "-",
        "1",
        "1.",
        ".1",
        "0.1",
        "1.0",
        "0.0",
        "1.65536",
        "1.000001",
        "1.99999",
        "9223372036854775808.1",
        "18446744073709551615.1",
        "18446744073709551616.1",
        "18446744073709551617.1",
        "99999999999999999999.1",
        "000000000000000000001.1",
        "100000000000000000001.1",
        "0000000000000000000000001",
        "0000000000000000000100000",
        "0000000000000000000165536",
        "0922337203685477580800001",
        "000000000000000000010001",
        "00000000000000000001000011",
        " 1.1",
        "1.1 ",
        "1. 1",
        "+1.1",
        "1.+1",
        "1.-1",
        "-1.1",
        "1.1.1",
        "1..1",
        "1-1-1",
        "a.1",
        "1.a",
        "0x1.1",
        "1,1",
        "@1.1",
        "000000000000000000010000a",
        " 000000000000000000100001",
        "+000000000000000000100001",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_refuses(wrong[i]);
    }
    struct event_id id;
    ck_assert_int_eq(event_id_parse(bytes_of("1.1\0", 4), &id, NULL), ERR_INVALID);
}
END_TEST

static struct event_id random_id(struct random *random)
{
    // Near each other, so that counters are often equal and carries happen.
    uint64_t base = random_u64(random) & COUNTER_MAX & ~(uint64_t)3 >> random_below(random, 60);
    return (struct event_id){.counter = base + (base == 0) + random_below(random, 2),
                             .actor = (uint16_t)(1 + random_below(random, 3) * 300)};
}

static int sign(int order)
{
    return (order > 0) - (order < 0);
}

START_TEST(text_and_key_sort_as_the_ids_do_and_come_back)
{
    struct random random;
    random_init(&random, test_seed());
    for (unsigned i = 0; i < test_rounds(3000); i++) {
        struct event_id ids[2] = {random_id(&random), random_id(&random)};
        char text[2][EVENT_ID_TEXT_LENGTH + 1];
        uint8_t key[2][EVENT_ID_KEY_LENGTH];
        for (unsigned k = 0; k < 2; k++) {
            event_id_format(ids[k], text[k]);
            event_id_encode_key(ids[k], key[k]);
            struct event_id back = event_id_decode_key(key[k]);
            ck_assert_int_eq(event_id_compare(ids[k], back), 0);
            ck_assert_int_eq(event_id_parse(bytes_of_text(text[k]), &back, NULL), 0);
            ck_assert_int_eq(event_id_compare(ids[k], back), 0);
            char brief[EVENT_ID_SHORT_LENGTH_MAX + 1];
            size_t length = event_id_format_short(ids[k], brief);
            ck_assert_uint_eq(length, strlen(brief));
            ck_assert_int_eq(event_id_parse(bytes_of(brief, length), &back, NULL), 0);
            ck_assert_int_eq(event_id_compare(ids[k], back), 0);
        }
        int order = sign(event_id_compare(ids[0], ids[1]));
        ck_assert_int_eq(sign(strcmp(text[0], text[1])), order);
        ck_assert_int_eq(sign(memcmp(key[0], key[1], EVENT_ID_KEY_LENGTH)), order);
        ck_assert_int_eq(sign(event_id_compare(ids[1], ids[0])), -order);
    }
}
END_TEST

START_TEST(key_is_counter_and_actor_big_endian)
{
    uint8_t key[EVENT_ID_KEY_LENGTH];
    event_id_encode_key((struct event_id){.counter = 0x0102030405060708, .actor = 0x090a}, key);
    assert_bytes_are(bytes_of(key, sizeof key), "0102030405060708 090a");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("event_id");
    suite_add(suite, canonical_text_has_20_and_5_digits);
    suite_add(suite, short_text_has_no_zeros_in_front);
    suite_add(suite, reads_the_canonical_and_both_short_forms);
    suite_add(suite, refuses_everything_else);
    suite_add(suite, text_and_key_sort_as_the_ids_do_and_come_back);
    suite_add(suite, key_is_counter_and_actor_big_endian);
    return check_main(suite);
}
