// Slices hold the chosen events and no others, with their ids, in as few runs as there are.

#include "proto/model/slice.h"

#include "proto/base/limits.h"
#include "tests/unit/check_main.h"
#include "tests/unit/proto/model/sample_event.h"

static struct chunk_header sample_header(uint16_t count)
{
    return (struct chunk_header){
        .actor = 0x0102, .count = count, .first = 0x1000, .timestamp_ms = 0x18bcfe56800};
}

START_TEST(bytes_are_the_published_ones)
{
    struct buffer body = {0};
    struct buffer out = {0};
    append_event(&body, "/a", "");
    append_event(&body, "/b", "x");
    append_event(&body, "/c", "");
    struct chunk_header header = sample_header(3);
    ck_assert_int_eq(slices_append(&out, &header, buffer_bytes(&body), 6), 0);
    assert_bytes_are(buffer_bytes(&out), "0102 0002 0000000d 0000000000001001 0000018bcfe56800"
                                         "92a22f62c40178 92a22f63c400");
    buffer_clear(&out);
    ck_assert_int_eq(slices_append(&out, &header, buffer_bytes(&body), 5), 0);
    assert_bytes_are(buffer_bytes(&out), "0102 0001 00000006 0000000000001000 0000018bcfe56800"
                                         "92a22f61c400"
                                         "0102 0001 00000006 0000000000001002 0000018bcfe56800"
                                         "92a22f63c400");
    buffer_deinit(&body);
    buffer_deinit(&out);
}
END_TEST

// Reads the slices and returns which events they hold, each of them compared with the original.
static uint64_t positions_of(struct bytes slices, const struct chunk_header *header,
                             const struct event *events, unsigned *slices_out)
{
    uint64_t positions = 0;
    struct bytes copy = exact_copy(slices);
    struct bytes rest = copy;
    *slices_out = 0;
    while (rest.length > 0) {
        struct slice slice;
        ck_assert_int_eq(slice_next(&rest, &slice), 0);
        ck_assert_uint_eq(slice.actor, header->actor);
        ck_assert_uint_eq(slice.timestamp_ms, header->timestamp_ms);
        for (unsigned i = 0; i < slice.count; i++) {
            uint64_t position = slice.first + i - header->first;
            struct event event;
            ck_assert_int_eq(event_next(&slice.events, &event), 0);
            ck_assert_uint_lt(position, header->count);
            ck_assert(bytes_equal(event.encoded, events[position].encoded));
            ck_assert_uint_eq(positions >> position, 0);
            positions |= (uint64_t)1 << position;
        }
        ck_assert_uint_eq(slice.events.length, 0);
        ++*slices_out;
    }
    exact_free(copy);
    return positions;
}

START_TEST(slices_hold_the_chosen_events)
{
    struct random random;
    random_init(&random, test_seed());
    struct buffer out = {0};
    for (unsigned round = 0; round < test_rounds(500); round++) {
        struct buffer body = {0};
        struct event events[CHUNK_EVENTS_MAX];
        uint16_t count = round % 3 == 0 ? 64 : (uint16_t)(1 + random_below(&random, 64));
        append_random_events(&body, &random, count);
        struct bytes copy = exact_copy(buffer_bytes(&body));
        struct bytes rest = copy;
        for (unsigned i = 0; i < count; i++) {
            event_next_trusted(&rest, &events[i]);
        }
        struct chunk_header header = sample_header(count);
        uint64_t all = UINT64_MAX >> (64 - count);
        uint64_t positions = random_u64(&random) & all;
        if (round % 4 == 1) {
            positions &= random_u64(&random) & random_u64(&random);
        } else if (round % 4 == 2) {
            positions = (positions | random_u64(&random) | random_u64(&random)) & all;
        } else if (round % 16 == 3) {
            positions = all;
        }
        unsigned runs = (unsigned)__builtin_popcountll(positions & ~(positions << 1));
        unsigned slices;
        buffer_clear(&out);
        ck_assert_int_eq(slices_append(&out, &header, copy, positions), 0);
        ck_assert_uint_eq(positions_of(buffer_bytes(&out), &header, events, &slices), positions);
        ck_assert_uint_eq(slices, runs);
        exact_free(copy);
        buffer_deinit(&body);
    }
    buffer_deinit(&out);
}
END_TEST

START_TEST(no_positions_are_no_slices)
{
    struct buffer body = {0};
    struct buffer out = {0};
    append_event(&body, "/a", "");
    struct chunk_header header = sample_header(1);
    ck_assert_int_eq(slices_append(&out, &header, buffer_bytes(&body), 0), 0);
    ck_assert_uint_eq(out.length, 0);
    buffer_deinit(&body);
    buffer_deinit(&out);
}
END_TEST

static int next_of_hex(const char *hex)
{
    struct buffer buffer = {0};
    struct slice slice;
    append_hex(&buffer, hex);
    struct bytes copy = exact_copy(buffer_bytes(&buffer));
    struct bytes rest = copy;
    int err = slice_next(&rest, &slice);
    exact_free(copy);
    buffer_deinit(&buffer);
    return err;
}

START_TEST(slices_that_make_no_sense_are_refused)
{
#define TIME "0000018bcfe56800"
    ck_assert_int_eq(next_of_hex("0001 0001 00000001 0000000000000001" TIME "00"), 0);
    ck_assert_int_eq(next_of_hex("0001 0001 00000000 0000000000000001" TIME "00"), ERR_INVALID);
    ck_assert_int_eq(next_of_hex("0001 0000 00000001 0000000000000001" TIME "00"), ERR_INVALID);
    ck_assert_int_eq(next_of_hex("0001 0041 00000001 0000000000000001" TIME "00"), ERR_INVALID);
    ck_assert_int_eq(next_of_hex("0000 0001 00000001 0000000000000001" TIME "00"), ERR_INVALID);
    ck_assert_int_eq(next_of_hex("0001 0001 00000001 0000000000000000" TIME "00"), ERR_INVALID);
    ck_assert_int_eq(next_of_hex("0001 0002 00000001 7fffffffffffffff" TIME "00"), ERR_INVALID);
    ck_assert_int_eq(next_of_hex("0001 0001 00000001 7fffffffffffffff" TIME "00"), 0);
    ck_assert_int_eq(next_of_hex("0001 0001 00000002 0000000000000001" TIME "00"), ERR_INVALID);
    ck_assert_int_eq(next_of_hex("0001 0001 ffffffff 0000000000000001" TIME "00"), ERR_INVALID);
#undef TIME
}
END_TEST

START_TEST(every_prefix_is_refused)
{
    struct buffer body = {0};
    struct buffer out = {0};
    append_event(&body, "/a", "some data");
    struct chunk_header header = sample_header(1);
    ck_assert_int_eq(slices_append(&out, &header, buffer_bytes(&body), 1), 0);
    for (size_t length = 0; length < out.length; length++) {
        struct bytes copy = exact_copy(bytes_of(out.data, length));
        struct bytes rest = copy;
        struct slice slice;
        ck_assert_int_eq(slice_next(&rest, &slice), ERR_INVALID);
        exact_free(copy);
    }
    buffer_deinit(&body);
    buffer_deinit(&out);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("slice");
    suite_add(suite, bytes_are_the_published_ones);
    suite_add(suite, slices_hold_the_chosen_events);
    suite_add(suite, no_positions_are_no_slices);
    suite_add(suite, slices_that_make_no_sense_are_refused);
    suite_add(suite, every_prefix_is_refused);
    return check_main(suite);
}
