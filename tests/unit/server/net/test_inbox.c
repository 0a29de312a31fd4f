#include "server/net/inbox.h"
#include "tests/unit/check_main.h"

START_TEST(what_is_appended_is_consumed_in_order)
{
    struct inbox inbox = {0};
    ck_assert_int_eq(inbox_append(&inbox, bytes_of_text("abc")), 0);
    ck_assert_int_eq(inbox_append(&inbox, bytes_of_text("defg")), 0);
    inbox_consume(&inbox, 2);
    ck_assert(bytes_equal(inbox_bytes(&inbox), bytes_of_text("cdefg")));
    ck_assert_int_eq(inbox_append(&inbox, bytes_of_text("hi")), 0);
    ck_assert(bytes_equal(inbox_bytes(&inbox), bytes_of_text("cdefghi")));
    inbox_deinit(&inbox);
}
END_TEST

START_TEST(an_empty_one_owns_no_memory)
{
    struct inbox inbox = {0};
    ck_assert_int_eq(inbox_append(&inbox, bytes_of_text("abc")), 0);
    inbox_consume(&inbox, 3);
    ck_assert_ptr_null(inbox.data);
    ck_assert_uint_eq(inbox.capacity, 0);
}
END_TEST

// A claim of 64 MiB costs what has come, twice over, and never goes beyond the claim.
START_TEST(room_grows_with_what_has_come)
{
    struct inbox inbox = {0};
    size_t room;
    ck_assert_int_eq(inbox_append(&inbox, bytes_of_text("1234")), 0);
    inbox.wanted = 64 << 20;
    ck_assert_int_eq(inbox_make_room(&inbox), 0);
    ck_assert_uint_le(inbox.capacity, 256 << 10);
    ck_assert(!inbox_room_completes(&inbox));
    while (inbox.length < inbox.wanted) {
        ck_assert_int_eq(inbox_make_room(&inbox), 0);
        ck_assert_uint_le(inbox.capacity, 2 * inbox.length + (256 << 10));
        uint8_t *at = inbox_room(&inbox, &room);
        ck_assert_uint_gt(room, 0);
        memset(at, 1, room);
        inbox_received(&inbox, room);
    }
    ck_assert_uint_eq(inbox.length, inbox.wanted);
    ck_assert(inbox_room_completes(&inbox));
    inbox_deinit(&inbox);
}
END_TEST

START_TEST(a_small_claim_gets_exactly_its_room)
{
    struct inbox inbox = {0};
    size_t room;
    ck_assert_int_eq(inbox_append(&inbox, bytes_of_text("ab1234")), 0);
    inbox_consume(&inbox, 2);
    inbox.wanted = 100;
    ck_assert_int_eq(inbox_make_room(&inbox), 0);
    inbox_room(&inbox, &room);
    ck_assert_uint_eq(room, 96);
    ck_assert(inbox_room_completes(&inbox));
    ck_assert(bytes_equal(inbox_bytes(&inbox), bytes_of_text("1234")));
    inbox_deinit(&inbox);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("inbox");
    suite_add(suite, what_is_appended_is_consumed_in_order);
    suite_add(suite, an_empty_one_owns_no_memory);
    suite_add(suite, room_grows_with_what_has_come);
    suite_add(suite, a_small_claim_gets_exactly_its_room);
    return check_main(suite);
}
