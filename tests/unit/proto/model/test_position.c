// A position behaves as a plain set of events, is in one form only whatever the way to it, and
// comes back from its bytes; what is in another form is refused.

#include "proto/model/position.h"

#include "proto/base/random.h"
#include "tests/unit/check_main.h"
#include "tests/unit/sample_bytes.h"

enum { ACTORS = 5, COUNTERS = 64 };

// Bit c - 1 of an actor: its event c is done.
struct naive {
    uint64_t done[ACTORS];
};

static uint64_t bits_between(uint64_t first, uint64_t last)
{
    uint64_t up_to_last = last == COUNTERS ? UINT64_MAX : ((uint64_t)1 << last) - 1;
    return up_to_last & ~(((uint64_t)1 << (first - 1)) - 1);
}

static bool naive_is_done(const struct naive *naive, uint16_t actor, uint64_t counter)
{
    return naive->done[actor - 1] >> (counter - 1) & 1;
}

// The one form: sorted, and apart from each other and the vector.
static void assert_sound(const struct position *position)
{
    for (uint32_t i = 0; i < position->ranges_count; i++) {
        const struct done_range *range = &position->ranges[i];
        const struct done_range *before = range - 1;
        ck_assert_uint_le(range->first, range->last);
        ck_assert_uint_gt(range->first, version_vector_get(&position->vector, range->actor) + 1);
        if (i > 0) {
            ck_assert(before->actor < range->actor ||
                      (before->actor == range->actor && before->last + 1 < range->first));
        }
    }
}

static void assert_is(const struct position *position, const struct naive *naive)
{
    assert_sound(position);
    for (uint16_t actor = 1; actor <= ACTORS; actor++) {
        for (uint64_t counter = 1; counter <= COUNTERS; counter++) {
            struct event_id id = {counter, actor};
            ck_assert_int_eq(position_is_done(position, id), naive_is_done(naive, actor, counter));
        }
    }
}

static void random_add(struct random *random, struct position *position, struct naive *naive)
{
    uint16_t actor = (uint16_t)(1 + random_below(random, ACTORS));
    uint64_t first = 1 + random_below(random, COUNTERS);
    uint64_t length = 1 + random_below(random, random_below(random, 4) == 0 ? 20 : 4);
    uint64_t last = first + length - 1 < COUNTERS ? first + length - 1 : COUNTERS;
    ck_assert_int_eq(position_add(position, actor, first, last), 0);
    naive->done[actor - 1] |= bits_between(first, last);
}

static void random_cover(struct random *random, struct position *position, struct naive *naive)
{
    struct version_vector vector = {0};
    for (uint64_t left = random_below(random, 3); left > 0; left--) {
        uint16_t actor = (uint16_t)(1 + random_below(random, ACTORS));
        uint64_t counter = 1 + random_below(random, 12);
        ck_assert_int_eq(version_vector_raise(&vector, actor, counter), 0);
        naive->done[actor - 1] |= bits_between(1, counter);
    }
    ck_assert_int_eq(position_cover(position, &vector), 0);
    version_vector_deinit(&vector);
}

static void random_position(struct random *random, struct position *position, struct naive *naive)
{
    position_clear(position);
    *naive = (struct naive){0};
    for (uint64_t left = random_below(random, 20); left > 0; left--) {
        random_add(random, position, naive);
    }
    if (random_below(random, 2) == 0) {
        random_cover(random, position, naive);
    }
}

START_TEST(behaves_as_a_set_of_events)
{
    struct random random;
    random_init(&random, test_seed());
    for (unsigned round = 0; round < test_rounds(300); round++) {
        struct position position = {0};
        struct naive naive = {0};
        for (int step = 0; step < 60; step++) {
            if (random_below(&random, 10) == 0) {
                random_cover(&random, &position, &naive);
            } else {
                random_add(&random, &position, &naive);
            }
            assert_is(&position, &naive);
        }
        position_deinit(&position);
    }
}
END_TEST

START_TEST(merging_is_the_union)
{
    struct random random;
    random_init(&random, test_seed());
    struct position a = {0};
    struct position b = {0};
    struct position other_way = {0};
    for (unsigned round = 0; round < test_rounds(3000); round++) {
        struct naive of_a;
        struct naive of_b;
        random_position(&random, &a, &of_a);
        random_position(&random, &b, &of_b);
        ck_assert_int_eq(position_copy(&other_way, &b), 0);
        ck_assert(position_equal(&other_way, &b));
        ck_assert_int_eq(position_merge(&other_way, &a), 0);
        ck_assert_int_eq(position_equal(&a, &b), memcmp(&of_a, &of_b, sizeof of_a) == 0);
        ck_assert_int_eq(position_merge(&a, &b), 0);
        ck_assert_int_eq(position_merge(&a, &a), 0);
        for (size_t i = 0; i < ACTORS; i++) {
            of_a.done[i] |= of_b.done[i];
        }
        assert_is(&a, &of_a);
        assert_sound(&other_way);
        ck_assert(position_equal(&a, &other_way));
    }
    position_deinit(&a);
    position_deinit(&b);
    position_deinit(&other_way);
}
END_TEST

START_TEST(a_run_goes_as_far_as_events_are_alike)
{
    struct random random;
    random_init(&random, test_seed());
    struct position position = {0};
    for (unsigned round = 0; round < test_rounds(2000); round++) {
        struct naive naive;
        random_position(&random, &position, &naive);
        uint16_t actor = (uint16_t)(1 + random_below(&random, ACTORS));
        uint64_t first = 1 + random_below(&random, COUNTERS);
        uint64_t last = first + random_below(&random, COUNTERS - first + 1);
        uint64_t expected = 1;
        while (first + expected <= last && naive_is_done(&naive, actor, first + expected) ==
                                               naive_is_done(&naive, actor, first)) {
            expected++;
        }
        bool is_done;
        ck_assert_uint_eq(position_run(&position, actor, first, last, &is_done), expected);
        ck_assert_int_eq(is_done, naive_is_done(&naive, actor, first));
        ck_assert_uint_eq(position_run(&position, actor, first, first - 1, &is_done), 0);
    }
    position_deinit(&position);
}
END_TEST

START_TEST(counters_go_up_to_the_last)
{
    struct position position = {0};
    bool is_done;
    ck_assert_int_eq(position_add(&position, ACTORS_MAX, COUNTER_MAX, COUNTER_MAX), 0);
    ck_assert_int_eq(position_add(&position, ACTORS_MAX, 2, COUNTER_MAX - 1), 0);
    ck_assert_uint_eq(position.ranges_count, 1);
    ck_assert_uint_eq(position_run(&position, ACTORS_MAX, 2, UINT64_MAX, &is_done),
                      COUNTER_MAX - 1);
    ck_assert(is_done);
    ck_assert_int_eq(position_add(&position, ACTORS_MAX, 1, 1), 0);
    ck_assert_uint_eq(position.ranges_count, 0);
    ck_assert_uint_eq(version_vector_get(&position.vector, ACTORS_MAX), COUNTER_MAX);
    position_deinit(&position);
}
END_TEST

START_TEST(a_million_done_above_one_that_is_not_are_one_range)
{
    struct position position = {0};
    for (uint64_t counter = 2; counter <= 1000001; counter++) {
        ck_assert_int_eq(position_add(&position, 1, counter, counter), 0);
    }
    ck_assert_uint_eq(position.ranges_count, 1);
    ck_assert_uint_le(position.ranges_capacity, 8);
    position_deinit(&position);
}
END_TEST

// --- Bytes -------------------------------------------------------------------------------------

START_TEST(bytes_are_the_published_ones)
{
    struct position position = {0};
    ck_assert_int_eq(position_add(&position, 1, 1, 1042), 0);
    ck_assert_int_eq(position_add(&position, 1, 1044, 1050), 0);
    ck_assert_int_eq(position_add(&position, 513, 7, 7), 0);
    struct buffer out = {0};
    ck_assert_int_eq(position_encode(&position, &out), 0);
    assert_bytes_are(buffer_bytes(&out), "00000001 00000002 0001 0000000000000412"
                                         "0001 0000000000000414 000000000000041a"
                                         "0201 0000000000000007 0000000000000007");
    buffer_deinit(&out);
    position_deinit(&position);
}
END_TEST

// Decodes bytes that end where their allocation ends; `rest` must then be what is behind.
static int decode_exactly(struct bytes bytes, struct position *position, size_t behind)
{
    struct bytes copy = exact_copy(bytes);
    struct bytes rest = copy;
    struct bytes skipped = copy;
    int err = position_decode(&rest, position);
    ck_assert_int_eq(position_skip(&skipped), err);
    ck_assert_uint_eq(rest.length, err ? bytes.length : behind);
    ck_assert_uint_eq(skipped.length, rest.length);
    exact_free(copy);
    return err;
}

START_TEST(positions_survive_the_way_there_and_back)
{
    struct random random;
    random_init(&random, test_seed());
    struct position position = {0};
    struct buffer out = {0};
    for (unsigned round = 0; round < test_rounds(500); round++) {
        struct naive naive;
        random_position(&random, &position, &naive);
        buffer_clear(&out);
        ck_assert_int_eq(position_encode(&position, &out), 0);
        struct position decoded = {0};
        ck_assert_int_eq(decode_exactly(buffer_bytes(&out), &decoded, 0), 0);
        ck_assert(position_equal(&position, &decoded));
        position_clear(&decoded);
        for (size_t length = 0; length < out.length; length++) {
            struct bytes cut = bytes_of(out.data, length);
            ck_assert_int_eq(decode_exactly(cut, &decoded, 0), ERR_INVALID);
            ck_assert_uint_eq(decoded.vector.count + decoded.ranges_count, 0);
        }
        append_hex(&out, "0011");
        ck_assert_int_eq(decode_exactly(buffer_bytes(&out), &decoded, 2), 0);
        position_deinit(&decoded);
    }
    buffer_deinit(&out);
    position_deinit(&position);
}
END_TEST

START_TEST(other_forms_are_refused)
{
    static const char *BROKEN[] = {
        "ffffffff 00000000",                                             // entries
        "00000000 ffffffff",                                             // ranges
        "00000001 00000000 0000 0000000000000001",                       // actor 0
        "00000001 00000000 0001 0000000000000000",                       // counter 0
        "00000001 00000000 0001 8000000000000000",                       // 2^63
        "00000002 00000000 0001 0000000000000001 0001 0000000000000002", // twice
        "00000002 00000000 0002 0000000000000001 0001 0000000000000002", // order
        "00000000 00000001 0000 0000000000000002 0000000000000002",      // actor 0
        "00000000 00000001 0001 0000000000000000 0000000000000002",      // counter 0
        "00000000 00000001 0001 0000000000000001 0000000000000002",      // no gap
        "00000000 00000001 0001 0000000000000003 0000000000000002",      // empty
        "00000000 00000001 0001 0000000000000003 8000000000000000",      // 2^63
        "00000001 00000001 0001 0000000000000005 0001 0000000000000006 0000000000000009",
        "00000001 00000001 0001 0000000000000005 0001 0000000000000004 0000000000000009",
        "00000000 00000002 0001 0000000000000005 0000000000000006"
        "0001 0000000000000007 0000000000000009", // they touch
        "00000000 00000002 0001 0000000000000005 0000000000000006"
        "0001 0000000000000002 0000000000000003", // order of counters
        "00000000 00000002 0002 0000000000000005 0000000000000006"
        "0001 0000000000000008 0000000000000009", // order of actors
    };
    for (size_t i = 0; i < sizeof BROKEN / sizeof BROKEN[0]; i++) {
        struct buffer bytes = {0};
        struct position position = {0};
        append_hex(&bytes, BROKEN[i]);
        ck_assert_msg(decode_exactly(buffer_bytes(&bytes), &position, 0) == ERR_INVALID, "%s",
                      BROKEN[i]);
        position_deinit(&position);
        buffer_deinit(&bytes);
    }
}
END_TEST

START_TEST(one_that_is_too_long_says_less)
{
    struct position position = {0};
    for (uint64_t i = 0; i < 70000; i++) {
        ck_assert_int_eq(position_add(&position, 3, 2 + 2 * i, 2 + 2 * i), 0);
    }
    struct buffer out = {0};
    ck_assert_int_eq(position_encode(&position, &out), 0);
    ck_assert_uint_le(out.length, POSITION_BYTES_MAX);
    ck_assert_uint_gt(out.length, POSITION_BYTES_MAX - DONE_RANGE_LENGTH);
    struct position decoded = {0};
    ck_assert_int_eq(decode_exactly(buffer_bytes(&out), &decoded, 0), 0);
    ck_assert_uint_lt(decoded.ranges_count, position.ranges_count);
    ck_assert_int_eq(position_merge(&decoded, &position), 0);
    ck_assert(position_equal(&decoded, &position)); // nothing was in it that is not done
    position_deinit(&decoded);
    position_deinit(&position);
    buffer_deinit(&out);
}
END_TEST

START_TEST(ranges_are_taken_one_by_one)
{
    static const struct done_range RANGES[] = {{1, 5, 9}, {65535, 1, COUNTER_MAX}};
    struct buffer out = {0};
    for (size_t i = 0; i < 2; i++) {
        ck_assert_int_eq(done_range_append(&out, &RANGES[i]), 0);
    }
    struct bytes rest = buffer_bytes(&out);
    for (size_t i = 0; i < 2; i++) {
        struct done_range range;
        ck_assert_int_eq(done_range_next(&rest, &range), 0);
        ck_assert_uint_eq(range.actor, RANGES[i].actor);
        ck_assert_uint_eq(range.first, RANGES[i].first);
        ck_assert_uint_eq(range.last, RANGES[i].last);
    }
    struct done_range none;
    ck_assert_int_eq(done_range_next(&rest, &none), ERR_INVALID);
    rest = bytes_of(out.data, DONE_RANGE_LENGTH - 1);
    ck_assert_int_eq(done_range_next(&rest, &none), ERR_INVALID);
    out.data[10] = 0xff; // the last counter
    rest = buffer_bytes(&out);
    ck_assert_int_eq(done_range_next(&rest, &none), ERR_INVALID);
    buffer_deinit(&out);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("position");
    suite_add(suite, behaves_as_a_set_of_events);
    suite_add(suite, merging_is_the_union);
    suite_add(suite, a_run_goes_as_far_as_events_are_alike);
    suite_add(suite, counters_go_up_to_the_last);
    suite_add(suite, a_million_done_above_one_that_is_not_are_one_range);
    suite_add(suite, bytes_are_the_published_ones);
    suite_add(suite, positions_survive_the_way_there_and_back);
    suite_add(suite, other_forms_are_refused);
    suite_add(suite, one_that_is_too_long_says_less);
    suite_add(suite, ranges_are_taken_one_by_one);
    return check_main(suite);
}
