// What is written is msgpack in its shortest form, and a failure leaves nothing behind.

#include "proto/wire/pack.h"

#include "tests/unit/check_main.h"
#include "tests/unit/sample_bytes.h"

START_TEST(writes_numbers_in_their_shortest_form)
{
    static const struct {
        uint64_t number;
        const char *hex;
    } CASES[] = {
        {0, "00"},
        {127, "7f"},
        {128, "cc80"},
        {255, "ccff"},
        {256, "cd0100"},
        {65535, "cdffff"},
        {65536, "ce00010000"},
        {UINT32_MAX, "ceffffffff"},
        {(uint64_t)UINT32_MAX + 1, "cf0000000100000000"},
        {UINT64_MAX, "cfffffffffffffffff"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct buffer out = {0};
        struct pack pack;
        pack_init(&pack, &out);
        pack_uint(&pack, CASES[i].number);
        ck_assert_int_eq(pack_finish(&pack), 0);
        assert_bytes_are(buffer_bytes(&out), CASES[i].hex);
        buffer_deinit(&out);
    }
}
END_TEST

START_TEST(writes_lengths_and_counts_in_their_shortest_form)
{
    struct buffer out = {0};
    struct pack pack;
    pack_init(&pack, &out);
    pack_array(&pack, 15);
    pack_array(&pack, 16);
    pack_array(&pack, 65536);
    pack_map(&pack, 15);
    pack_map(&pack, 16);
    pack_map(&pack, 65536);
    pack_bin_head(&pack, 255);
    pack_bin_head(&pack, 256);
    pack_bin_head(&pack, 65536);
    pack_nil(&pack);
    pack_bool(&pack, true);
    pack_bool(&pack, false);
    pack_bin(&pack, (struct bytes){0});
    pack_text(&pack, (struct bytes){0});
    ck_assert_int_eq(pack_finish(&pack), 0);
    assert_bytes_are(buffer_bytes(&out), "9f dc0010 dd00010000 8f de0010 df00010000 "
                                         "c4ff c50100 c600010000 c0 c3 c2 c400 a0");
    buffer_deinit(&out);
}
END_TEST

START_TEST(writes_text_with_the_length_that_it_needs)
{
    static const struct {
        size_t length;
        size_t head;
    } CASES[] = {{31, 1}, {32, 2}, {255, 2}, {256, 3}, {65535, 3}, {65536, 5}};
    static const char text[65536];
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct buffer out = {0};
        struct pack pack;
        pack_init(&pack, &out);
        pack_text(&pack, bytes_of(text, CASES[i].length));
        ck_assert_int_eq(pack_finish(&pack), 0);
        ck_assert_uint_eq(out.length, CASES[i].head + CASES[i].length);
        buffer_deinit(&out);
    }
}
END_TEST

START_TEST(a_failure_sticks_and_leaves_the_buffer_as_it_was)
{
    struct buffer out = {0};
    append_hex(&out, "0102");
    struct pack pack;
    pack_init(&pack, &out);
    pack_uint(&pack, 7);
    pack_raw(&pack, bytes_of("", SIZE_MAX / 2)); // more than any allocation
    pack_uint(&pack, 8);
    ck_assert_int_eq(pack_finish(&pack), ERR_MEMORY);
    assert_bytes_are(buffer_bytes(&out), "0102");
    buffer_deinit(&out);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pack");
    suite_add(suite, writes_numbers_in_their_shortest_form);
    suite_add(suite, writes_lengths_and_counts_in_their_shortest_form);
    suite_add(suite, writes_text_with_the_length_that_it_needs);
    suite_add(suite, a_failure_sticks_and_leaves_the_buffer_as_it_was);
    return check_main(suite);
}
