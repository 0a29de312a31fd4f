// A block lives until its last reference goes.

#include "proto/model/block.h"

#include "tests/unit/check_main.h"

START_TEST(is_empty_with_room_and_one_reference)
{
    struct block *block = block_new(BLOCK_SLICES, 100);
    ck_assert_ptr_nonnull(block);
    ck_assert_int_eq(block->kind, BLOCK_SLICES);
    ck_assert_uint_eq(block->capacity, 100);
    ck_assert_uint_eq(block_bytes(block).length, 0);
    ck_assert_uint_eq(block->events, 0);
    ck_assert_uint_eq(block->ordinal_first, 0);
    ck_assert_uint_eq(atomic_load(&block->references), 1);
    memset(block->data, 1, 100);
    block_unref(block);
}
END_TEST

START_TEST(lives_until_the_last_reference_goes)
{
    struct block *block = block_new(BLOCK_CHUNKS, 1);
    ck_assert_ptr_eq(block_ref(block), block);
    block_unref(block);
    block->data[0] = 7;
    block->length = 1;
    ck_assert_uint_eq(block_bytes(block).data[0], 7);
    block_unref(block);
    block_unref(NULL);
}
END_TEST

START_TEST(impossible_sizes_are_refused)
{
    ck_assert_ptr_null(block_new(BLOCK_CHUNKS, SIZE_MAX));
    ck_assert_ptr_null(block_new(BLOCK_CHUNKS, SIZE_MAX / 2 + 1));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("block");
    suite_add(suite, is_empty_with_room_and_one_reference);
    suite_add(suite, lives_until_the_last_reference_goes);
    suite_add(suite, impossible_sizes_are_refused);
    return check_main(suite);
}
