// Rows of durable subscriptions come back as they were, one behind the other, and nothing is read
// beyond them.

#include "proto/model/subscription_row.h"

#include "tests/unit/check_main.h"
#include "tests/unit/proto/model/sample_definition.h"
#include "tests/unit/sample_bytes.h"

static const uint8_t CURSOR[] = {0x81, 0x01, 0xcd, 0x04, 0x12};

static struct subscription_row sample(void)
{
    struct subscription_row row = {
        .name = bytes_of_text("orders"),
        .generation = {998, 2},
        .cursor = bytes_of(CURSOR, sizeof CURSOR),
        .lag_events = 5,
        .lag_ms = 250,
        .voids = 1,
        .void_last = {999, 3},
        .flags = SUBSCRIPTION_ROW_COORDINATED,
        .coordinator = 3,
        .consumers = 4,
        .in_flight = 6,
        .waiting = 7,
        .delivered = 8,
        .redelivered = 9,
        .acked = 10,
        .parked = 11,
    };
    subscription_definition_init(&row.definition);
    return row;
}

static void assert_same(const struct subscription_row *a, const struct subscription_row *b)
{
    ck_assert(bytes_equal(a->name, b->name));
    ck_assert_int_eq(event_id_compare(a->generation, b->generation), 0);
    ck_assert(subscription_definition_equal(&a->definition, &b->definition));
    ck_assert(bytes_equal(a->cursor, b->cursor));
    ck_assert_uint_eq(a->lag_events, b->lag_events);
    ck_assert_uint_eq(a->lag_ms, b->lag_ms);
    ck_assert_uint_eq(a->voids, b->voids);
    ck_assert_int_eq(event_id_compare(a->void_last, b->void_last), 0);
    ck_assert_uint_eq(a->flags, b->flags);
    ck_assert_uint_eq(a->coordinator, b->coordinator);
    ck_assert_uint_eq(a->consumers, b->consumers);
    ck_assert_uint_eq(a->in_flight, b->in_flight);
    ck_assert_uint_eq(a->waiting, b->waiting);
    ck_assert_uint_eq(a->delivered, b->delivered);
    ck_assert_uint_eq(a->redelivered, b->redelivered);
    ck_assert_uint_eq(a->acked, b->acked);
    ck_assert_uint_eq(a->parked, b->parked);
}

START_TEST(bytes_are_the_published_ones)
{
    struct subscription_row row = sample();
    struct buffer out = {0};
    ck_assert_int_eq(subscription_row_append(&out, &row), 0);
    assert_bytes_are(buffer_bytes(&out),
                     "00000000000003e6 0002 0000000000000005 00000000000000fa 00000001"
                     "00000000000003e7 0003 00000001 0003 00000004 0000000000000006"
                     "0000000000000007 0000000000000008 0000000000000009 000000000000000a"
                     "000000000000000b 0006 00000005 6f7264657273 8101cd0412"
                     "0000 00 00 0000000000000000 00000400 0000000a 00007530 000003e8 000003e8"
                     "000003e8 00000000 0000 0000");
    buffer_deinit(&out);
}
END_TEST

START_TEST(rows_are_taken_one_by_one)
{
    struct random random;
    random_init(&random, test_seed());
    for (unsigned round = 0; round < test_rounds(200); round++) {
        struct subscription_row rows[3] = {sample(), sample(), sample()};
        struct buffer out = {0};
        rows[1].name = (struct bytes){0};
        rows[2].parked = UINT64_MAX;
        for (size_t i = 0; i < 3; i++) {
            sample_definition(&random, &rows[i].definition);
            ck_assert_int_eq(subscription_row_append(&out, &rows[i]), 0);
        }
        struct bytes copy = exact_copy(buffer_bytes(&out));
        struct bytes rest = copy;
        for (size_t i = 0; i < 3; i++) {
            struct subscription_row row;
            memset(&row, 0xa5, sizeof row);
            ck_assert_int_eq(subscription_row_next(&rest, &row), 0);
            assert_same(&row, &rows[i]);
        }
        ck_assert_uint_eq(rest.length, 0);
        exact_free(copy);
        buffer_deinit(&out);
    }
}
END_TEST

START_TEST(every_prefix_is_refused)
{
    struct subscription_row row = sample();
    struct buffer out = {0};
    ck_assert_int_eq(subscription_row_append(&out, &row), 0);
    for (size_t length = 0; length < out.length; length++) {
        struct bytes copy = exact_copy(bytes_of(out.data, length));
        struct bytes rest = copy;
        ck_assert_int_eq(subscription_row_next(&rest, &row), ERR_INVALID);
        ck_assert_uint_eq(rest.length, length);
        exact_free(copy);
    }
    buffer_deinit(&out);
}
END_TEST

START_TEST(consumers_come_back_as_they_were)
{
    const struct subscription_consumer consumers[2] = {
        {
            .id = 7,
            .actor = 2,
            .in_flight = 3,
            .attached_ms = 4,
            .delivered = 5,
            .acked = 6,
            .client = bytes_of_text("billing 10.0.0.1:5000"),
        },
        {.id = UINT64_MAX},
    };
    struct buffer out = {0};
    ck_assert_int_eq(subscription_consumer_append(&out, &consumers[0]), 0);
    assert_bytes_are(buffer_bytes(&out),
                     "0000000000000007 0002 00000003 0000000000000004 0000000000000005"
                     "0000000000000006 15 62696c6c696e672031302e302e302e313a35303030");
    for (size_t length = 0; length < out.length; length++) {
        struct bytes copy = exact_copy(bytes_of(out.data, length));
        struct bytes rest = copy;
        struct subscription_consumer consumer;
        ck_assert_int_eq(subscription_consumer_next(&rest, &consumer), ERR_INVALID);
        ck_assert_uint_eq(rest.length, length);
        exact_free(copy);
    }
    ck_assert_int_eq(subscription_consumer_append(&out, &consumers[1]), 0);
    struct bytes rest = buffer_bytes(&out);
    for (size_t i = 0; i < 2; i++) {
        struct subscription_consumer consumer;
        ck_assert_int_eq(subscription_consumer_next(&rest, &consumer), 0);
        ck_assert_uint_eq(consumer.id, consumers[i].id);
        ck_assert_uint_eq(consumer.actor, consumers[i].actor);
        ck_assert_uint_eq(consumer.in_flight, consumers[i].in_flight);
        ck_assert_uint_eq(consumer.attached_ms, consumers[i].attached_ms);
        ck_assert_uint_eq(consumer.delivered, consumers[i].delivered);
        ck_assert_uint_eq(consumer.acked, consumers[i].acked);
        ck_assert(bytes_equal(consumer.client, consumers[i].client));
    }
    ck_assert_uint_eq(rest.length, 0);
    buffer_deinit(&out);
}
END_TEST

START_TEST(what_is_no_cursor_or_definition_is_refused)
{
    static const size_t PLACES[] = {110, 117}; // the cursor's map, the definition's key
    for (size_t i = 0; i < 2; i++) {
        struct subscription_row row = sample();
        struct buffer out = {0};
        ck_assert_int_eq(subscription_row_append(&out, &row), 0);
        struct bytes rest = buffer_bytes(&out);
        out.data[PLACES[i]] = 0x93;
        ck_assert_int_eq(subscription_row_next(&rest, &row), ERR_INVALID);
        buffer_deinit(&out);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("subscription_row");
    suite_add(suite, bytes_are_the_published_ones);
    suite_add(suite, rows_are_taken_one_by_one);
    suite_add(suite, every_prefix_is_refused);
    suite_add(suite, consumers_come_back_as_they_were);
    suite_add(suite, what_is_no_cursor_or_definition_is_refused);
    return check_main(suite);
}
