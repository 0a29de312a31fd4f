// Batches: what a node would refuse is refused before it is sent, and leaves the batch as it was.

#include "client/batch.h"
#include "proto/base/limits.h"
#include "tests/unit/check_main.h"

static int add(struct batch *batch, const char *name, struct bytes data)
{
    struct reason reason = {0};
    int outcome = batch_add(batch, bytes_of_text(name), data, (struct bytes){0}, 1000, &reason);
    ck_assert((outcome < 0) == (reason.text[0] != '\0'));
    return outcome;
}

START_TEST(holds_the_events_in_order)
{
    struct batch batch = {0};
    ck_assert_int_eq(add(&batch, "/a", bytes_of_text("one")), 0);
    ck_assert_int_eq(add(&batch, "/b", bytes_of_text("")), 0);
    ck_assert_uint_eq(batch.count, 2);
    struct bytes rest = buffer_bytes(&batch.events);
    struct event event;
    ck_assert_int_eq(event_next(&rest, &event), 0);
    ck_assert(bytes_equal(event.data, bytes_of_text("one")));
    ck_assert_int_eq(event_next(&rest, &event), 0);
    ck_assert(bytes_equal(event.name, bytes_of_text("/b")));
    ck_assert_uint_eq(rest.length, 0);
    batch_clear(&batch);
    ck_assert_uint_eq(batch.count, 0);
    ck_assert_uint_eq(batch.events.length, 0);
    batch_deinit(&batch);
}
END_TEST

START_TEST(bad_events_leave_it_as_it_was)
{
    struct batch batch = {0};
    uint8_t large[1001] = {0};
    ck_assert_int_eq(add(&batch, "/a", bytes_of_text("one")), 0);
    size_t length = batch.events.length;
    ck_assert_int_eq(add(&batch, "", bytes_of_text("x")), ERR_INVALID);
    ck_assert_int_eq(add(&batch, "/a\n", bytes_of_text("x")), ERR_INVALID);
    ck_assert_int_eq(add(&batch, "/$system", bytes_of_text("x")), ERR_INVALID);
    ck_assert_int_eq(add(&batch, "/a", bytes_of(large, sizeof large)), ERR_LIMIT);
    ck_assert_uint_eq(batch.count, 1);
    ck_assert_uint_eq(batch.events.length, length);
    batch_deinit(&batch);
}
END_TEST

START_TEST(is_full_at_the_limits_of_a_produce)
{
    struct batch batch = {0};
    for (uint32_t i = 0; i < PRODUCE_EVENTS_MAX; i++) {
        ck_assert_int_eq(add(&batch, "/a", bytes_of_text("")), 0);
    }
    ck_assert_int_eq(add(&batch, "/a", bytes_of_text("")), BATCH_FULL);
    batch_clear(&batch);
    struct buffer data = {0};
    ck_assert_int_eq(buffer_reserve(&data, 10 * MIB), 0);
    memset(data.data, 'x', 10 * MIB);
    struct bytes ten_mib = bytes_of(data.data, 10 * MIB);
    struct bytes name = bytes_of_text("/a");
    ck_assert_int_eq(batch_add_trusted(&batch, name, ten_mib, (struct bytes){0}), 0);
    size_t length = batch.events.length;
    ck_assert_int_eq(batch_add_trusted(&batch, name, ten_mib, (struct bytes){0}), BATCH_FULL);
    ck_assert_uint_eq(batch.events.length, length);
    ck_assert_uint_eq(batch.count, 1);
    buffer_deinit(&data);
    batch_deinit(&batch);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client/batch");
    suite_add(suite, holds_the_events_in_order);
    suite_add(suite, bad_events_leave_it_as_it_was);
    suite_add(suite, is_full_at_the_limits_of_a_produce);
    return check_main(suite);
}
