// Data as msgpack: what is written is read back, and what is no msgpack is refused.

#include <string.h>

#include "client/weir.h"
#include "tests/unit/check_main.h"

static struct weir_bytes written(struct weir_pack *pack)
{
    struct weir_bytes data;
    ck_assert_int_eq(weir_pack_data(pack, &data), 0);
    return data;
}

static struct weir_value next(struct weir_bytes *rest, enum weir_type type)
{
    struct weir_value value;
    ck_assert_int_eq(weir_unpack(rest, &value), 0);
    ck_assert_int_eq(value.type, type);
    return value;
}

START_TEST(integers_of_every_width_come_back)
{
    struct weir_pack *pack = weir_pack_new();
    for (unsigned bits = 0; bits < 64; bits++) {
        uint64_t edge = (uint64_t)1 << bits;
        weir_pack_clear(pack);
        weir_pack_uint(pack, edge - 1);
        weir_pack_uint(pack, edge);
        weir_pack_int(pack, -(int64_t)(edge / 2) - 1);
        struct weir_bytes rest = written(pack);
        ck_assert_uint_eq(next(&rest, WEIR_TYPE_UINT).number, edge - 1);
        ck_assert_uint_eq(next(&rest, WEIR_TYPE_UINT).number, edge);
        ck_assert_int_eq(next(&rest, WEIR_TYPE_INT).negative, -(int64_t)(edge / 2) - 1);
        ck_assert_uint_eq(rest.length, 0);
    }
    weir_pack_free(pack);
}
END_TEST

START_TEST(texts_and_bytes_of_every_width_come_back)
{
    static const size_t lengths[] = {0, 31, 32, 255, 256, 65535, 65536};
    static char zeros[65536];
    struct weir_pack *pack = weir_pack_new();
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        weir_pack_clear(pack);
        weir_pack_text(pack, (struct weir_bytes){zeros, lengths[i]});
        weir_pack_bytes(pack, (struct weir_bytes){zeros, lengths[i]});
        struct weir_bytes rest = written(pack);
        ck_assert_uint_eq(next(&rest, WEIR_TYPE_TEXT).bytes.length, lengths[i]);
        ck_assert_uint_eq(next(&rest, WEIR_TYPE_BYTES).bytes.length, lengths[i]);
        ck_assert_uint_eq(rest.length, 0);
    }
    weir_pack_free(pack);
}
END_TEST

START_TEST(nested_values_are_taken_one_by_one_or_passed)
{
    struct weir_pack *pack = weir_pack_new();
    weir_pack_map(pack, 2);
    weir_pack_text(pack, weir_text("list"));
    weir_pack_array(pack, 17);
    for (int i = 0; i < 17; i++) {
        weir_pack_nil(pack);
    }
    weir_pack_text(pack, weir_text("half"));
    weir_pack_double(pack, 0.5);
    weir_pack_bool(pack, true);
    struct weir_bytes rest = written(pack);
    struct weir_bytes again = rest;
    ck_assert_uint_eq(next(&rest, WEIR_TYPE_MAP).count, 2);
    next(&rest, WEIR_TYPE_TEXT);
    ck_assert_uint_eq(next(&rest, WEIR_TYPE_ARRAY).count, 17);
    next(&rest, WEIR_TYPE_NIL);
    ck_assert_int_eq(weir_unpack_skip(&again), 0);
    ck_assert(next(&again, WEIR_TYPE_BOOL).boolean);
    struct weir_value value;
    ck_assert_int_eq(weir_unpack(&again, &value), WEIR_NOTHING);
    ck_assert_int_eq(weir_unpack_skip(&again), WEIR_NOTHING);
    weir_pack_free(pack);
}
END_TEST

START_TEST(what_is_cut_or_lies_is_refused)
{
    static const struct {
        const char *data;
        size_t length;
    } cases[] = {
        {"\xc1", 1},
        {"\xcd\x01", 2},
        {"\xa2x", 2},
        {"\xc4\x05xx", 4},
        {"\xdd\xff\xff\xff\xff", 5},
        {"\xdf\x80\x00\x00\x00\xc0", 6},
        {"\x82\x01\x02\x03", 4},
        {"\xd8\x01x", 3},
        {"\xc7\x01", 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct weir_bytes rest = {cases[i].data, cases[i].length};
        struct weir_bytes skipped = rest;
        struct weir_value value;
        ck_assert_msg(weir_unpack(&rest, &value) == WEIR_ERR_CORRUPT, "case %zu", i);
        ck_assert_msg(weir_unpack_skip(&skipped) == WEIR_ERR_CORRUPT, "case %zu", i);
        ck_assert_uint_eq(rest.length, cases[i].length);
    }
    char deep[100000];
    memset(deep, 0x91, sizeof deep); // nested without end
    struct weir_bytes rest = {deep, sizeof deep};
    ck_assert_int_eq(weir_unpack_skip(&rest), WEIR_ERR_CORRUPT);
    deep[sizeof deep - 1] = 0;
    ck_assert_int_eq(weir_unpack_skip(&rest), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client/codec");
    suite_add(suite, integers_of_every_width_come_back);
    suite_add(suite, texts_and_bytes_of_every_width_come_back);
    suite_add(suite, nested_values_are_taken_one_by_one_or_passed);
    suite_add(suite, what_is_cut_or_lies_is_refused);
    return check_main(suite);
}
