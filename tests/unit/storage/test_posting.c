// A block gives back what was put into it, whatever its shape; anything else is refused.

#include "storage/posting.h"

#include "proto/base/limits.h"
#include "proto/base/random.h"
#include "storage/varint.h"
#include "tests/unit/check_main.h"

enum { TOUCHES_MAX = 200, BASE_MS = 1000000 };

struct sample_member {
    uint8_t member;
    size_t count;
    uint64_t bytes;
    struct posting_touch touches[TOUCHES_MAX];
};

struct sample {
    uint64_t window;
    uint16_t actor;
    size_t count;
    struct sample_member members[8];
};

static uint64_t random_positions(struct random *random)
{
    uint64_t positions = (uint64_t)1 << random_below(random, 64);
    uint64_t more = random_below(random, 3);
    if (more == 1) {
        positions |= random_u64(random) & random_u64(random) & random_u64(random);
    } else if (more == 2) {
        positions |= random_u64(random);
    }
    return positions;
}

static void sample_make(struct sample *sample, struct random *random)
{
    sample->window = random_below(random, (COUNTER_MAX >> POSTING_WINDOW_BITS) + 1);
    sample->actor = random_below(random, 2) ? (uint16_t)(1 + random_below(random, 65535)) : 0;
    sample->count = 1 + random_below(random, 8);
    uint8_t member = (uint8_t)random_below(random, 30);
    for (size_t i = 0; i < sample->count; i++) {
        struct sample_member *of = &sample->members[i];
        of->member = member;
        of->bytes = random_below(random, 1 << 20);
        of->count = 1 + random_below(random, random_below(random, 2) ? 2 : TOUCHES_MAX);
        uint64_t first = sample->window << POSTING_WINDOW_BITS;
        for (size_t j = 0; j < of->count; j++) {
            first += 1 + random_below(random, 260000 / TOUCHES_MAX);
            of->touches[j] = (struct posting_touch){
                .hit = {.first = first,
                        .actor = sample->actor ? sample->actor
                                               : (uint16_t)(1 + random_below(random, 300)),
                        .positions = random_positions(random)},
                .timestamp_ms = BASE_MS + random_below(random, 100000),
            };
        }
        member = (uint8_t)(member + 1 + random_below(random, 30));
    }
}

static void sample_build(const struct sample *sample, struct buffer *out)
{
    struct posting_builder builder = {0};
    posting_builder_begin(&builder, sample->window, BASE_MS, sample->actor);
    for (size_t i = 0; i < sample->count; i++) {
        const struct sample_member *of = &sample->members[i];
        ck_assert_int_eq(
            posting_builder_add(&builder, of->member, of->touches, of->count, of->bytes), 0);
    }
    ck_assert_int_eq(posting_builder_finish(&builder, out), 0);
    posting_builder_deinit(&builder);
}

static void check_totals(const struct sample_member *of, const struct posting_totals *totals)
{
    struct posting_totals expected = {0};
    for (size_t i = 0; i < of->count; i++) {
        const struct posting_touch *touch = &of->touches[i];
        for (unsigned j = 0; j < 64; j++) {
            if (touch->hit.positions >> j & 1) {
                struct event_id id = {touch->hit.first + j, touch->hit.actor};
                struct posting_totals one = {
                    .events = 1,
                    .first = id,
                    .last = id,
                    .first_timestamp_ms = touch->timestamp_ms,
                    .last_timestamp_ms = touch->timestamp_ms,
                };
                posting_totals_merge(&expected, &one);
            }
        }
    }
    ck_assert_uint_eq(totals->events, expected.events);
    ck_assert_uint_eq(totals->bytes, of->bytes);
    ck_assert_uint_eq(totals->hits, of->count);
    ck_assert_int_eq(event_id_compare(totals->first, expected.first), 0);
    ck_assert_int_eq(event_id_compare(totals->last, expected.last), 0);
    ck_assert_uint_eq(totals->first_timestamp_ms, expected.first_timestamp_ms);
    ck_assert_uint_eq(totals->last_timestamp_ms, expected.last_timestamp_ms);
}

START_TEST(blocks_give_back_what_was_put_in)
{
    struct random random;
    struct buffer value = {0};
    random_init(&random, test_seed());
    for (int run = 0; run < 500; run++) {
        struct sample sample;
        struct posting_block block;
        sample_make(&sample, &random);
        sample_build(&sample, &value);
        ck_assert_int_eq(posting_block_parse(buffer_bytes(&value), sample.window, &block), 0);
        uint8_t member;
        struct bytes bytes;
        for (size_t i = 0; i < sample.count; i++) {
            struct sample_member *of = &sample.members[i];
            struct posting_section section;
            struct index_hit hit;
            ck_assert_int_eq(posting_block_next(&block, &member, &bytes), 0);
            ck_assert_uint_eq(member, of->member);
            ck_assert_int_eq(posting_section_parse(&block, bytes, &section), 0);
            check_totals(of, &section.totals);
            for (size_t j = 0; j < of->count; j++) {
                ck_assert_int_eq(posting_section_next(&section, &hit), 0);
                ck_assert_uint_eq(hit.first, of->touches[j].hit.first);
                ck_assert_uint_eq(hit.actor, of->touches[j].hit.actor);
                ck_assert_uint_eq(hit.positions, of->touches[j].hit.positions);
            }
            ck_assert_int_eq(posting_section_next(&section, &hit), POSTING_END);
        }
        ck_assert_int_eq(posting_block_next(&block, &member, &bytes), POSTING_END);
    }
    buffer_deinit(&value);
}
END_TEST

// 0 or ERR_CORRUPT; reads all there is.
static int read_block(struct bytes value, uint64_t window)
{
    struct posting_block block;
    int result = posting_block_parse(value, window, &block);
    while (result == 0) {
        uint8_t member;
        struct bytes bytes;
        struct posting_section section;
        struct index_hit hit;
        result = posting_block_next(&block, &member, &bytes);
        if (result == 0) {
            result = posting_section_parse(&block, bytes, &section);
            while (result == 0) {
                result = posting_section_next(&section, &hit);
                ck_assert(result != 0 || (hit.positions != 0 && hit.actor != 0));
                ck_assert(result != 0 || hit.first >> POSTING_WINDOW_BITS == window);
            }
            result = result == POSTING_END ? 0 : result;
        }
    }
    ck_assert(result == POSTING_END || result == ERR_CORRUPT);
    return result == POSTING_END ? 0 : result;
}

START_TEST(cut_blocks_are_refused)
{
    struct random random;
    struct buffer value = {0};
    random_init(&random, test_seed());
    for (int run = 0; run < 20; run++) {
        struct sample sample;
        sample_make(&sample, &random);
        sample_build(&sample, &value);
        for (size_t length = 0; length < value.length; length++) {
            uint8_t *exact = malloc(length + 1); // so that a sanitizer sees a read beyond
            memcpy(exact, value.data, length);
            ck_assert_int_eq(read_block(bytes_of(exact, length), sample.window), ERR_CORRUPT);
            free(exact);
        }
        ck_assert_int_eq(buffer_append(&value, bytes_of("", 1)), 0);
        ck_assert_int_eq(read_block(buffer_bytes(&value), sample.window), ERR_CORRUPT);
    }
    buffer_deinit(&value);
}
END_TEST

START_TEST(damaged_blocks_are_read_within_their_bounds)
{
    struct random random;
    struct buffer value = {0};
    random_init(&random, test_seed());
    for (int run = 0; run < 5000; run++) {
        struct sample sample;
        sample_make(&sample, &random);
        sample.count = sample.count < 3 ? sample.count : 3;
        sample_build(&sample, &value);
        for (uint64_t i = 0; i <= random_below(&random, 3); i++) {
            value.data[random_below(&random, value.length)] = (uint8_t)random_u64(&random);
        }
        (void)!read_block(buffer_bytes(&value), sample.window);
    }
    buffer_deinit(&value);
}
END_TEST

START_TEST(totals_merge_in_any_order)
{
    struct posting_totals early = {
        .events = 2,
        .bytes = 10,
        .hits = 1,
        .first = {5, 1},
        .last = {9, 1},
        .first_timestamp_ms = 50,
        .last_timestamp_ms = 90,
    };
    struct posting_totals late = {
        .events = 1,
        .bytes = 7,
        .hits = 1,
        .first = {9, 2},
        .last = {9, 2},
        .first_timestamp_ms = 20,
        .last_timestamp_ms = 20,
    };
    for (int i = 0; i < 2; i++) {
        struct posting_totals totals = {0};
        posting_totals_merge(&totals, i ? &early : &late);
        posting_totals_merge(&totals, i ? &late : &early);
        ck_assert_uint_eq(totals.events, 3);
        ck_assert_uint_eq(totals.bytes, 17);
        ck_assert_uint_eq(totals.first_timestamp_ms, 50);
        ck_assert_uint_eq(totals.last_timestamp_ms, 20);
        ck_assert_uint_eq(totals.last.actor, 2);
    }
}
END_TEST

START_TEST(keys_sort_as_their_numbers)
{
    struct posting_key low = {.group = 1, .slot = 2, .window = 0xfffffffe, .part = 9};
    struct posting_key high = {.group = 1, .slot = 2, .window = 0xffffffffff, .part = 1};
    struct posting_key back;
    uint8_t a[POSTING_KEY_LENGTH];
    uint8_t b[POSTING_KEY_LENGTH];
    posting_key_encode(&low, a);
    posting_key_encode(&high, b);
    ck_assert_int_lt(memcmp(a, b, sizeof a), 0);
    ck_assert_int_eq(posting_key_decode(bytes_of(b, sizeof b), &back), 0);
    ck_assert_uint_eq(back.group, 1);
    ck_assert_uint_eq(back.slot, 2);
    ck_assert_uint_eq(back.window, 0xffffffffff);
    ck_assert_uint_eq(back.part, 1);
    ck_assert_int_eq(posting_key_decode(bytes_of(b, sizeof b - 1), &back), ERR_CORRUPT);
}
END_TEST

START_TEST(varints_hold_every_number)
{
    struct random random;
    random_init(&random, test_seed());
    for (int i = 0; i < 10000; i++) {
        uint64_t value = random_u64(&random) >> random_below(&random, 64);
        uint64_t back = 0;
        uint8_t bytes[VARINT_LENGTH_MAX];
        const uint8_t *at = bytes;
        const uint8_t *end = varint_put(bytes, value);
        ck_assert(varint_take(&at, end, &back));
        ck_assert_uint_eq(back, value);
        ck_assert_ptr_eq(at, end);
        at = bytes;
        ck_assert(!varint_take(&at, end - 1, &back));
        ck_assert_int_eq(zigzag_inverse(zigzag((int64_t)value)), (int64_t)value);
    }
    static const uint8_t TOO_LONG[] = {255, 255, 255, 255, 255, 255, 255, 255, 255, 2};
    const uint8_t *at = TOO_LONG;
    uint64_t value;
    ck_assert(!varint_take(&at, TOO_LONG + sizeof TOO_LONG, &value));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("posting");
    suite_add(suite, blocks_give_back_what_was_put_in);
    suite_add(suite, cut_blocks_are_refused);
    suite_add(suite, damaged_blocks_are_read_within_their_bounds);
    suite_add(suite, totals_merge_in_any_order);
    suite_add(suite, keys_sort_as_their_numbers);
    suite_add(suite, varints_hold_every_number);
    return check_main(suite);
}
