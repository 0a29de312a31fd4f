// One suite for every disk: each test is run over memory, over RocksDB with a log of writes and
// over RocksDB without one, by its loop index.

#include "tests/unit/check_main.h"

#include "tests/unit/storage/disk_fixture.h"

static struct disk_fixture fixture;

static void teardown(void)
{
    disk_fixture_deinit(&fixture);
}

static struct disk *setup(int kind)
{
    disk_fixture_init(&fixture, (enum disk_kind)kind);
    return fixture.disk;
}

static void expect_get(struct disk *disk, unsigned family, const char *key, const char *expected)
{
    struct buffer value = {0};
    int result = disk_get(disk, family, bytes_of_text(key), &value);
    if (expected) {
        ck_assert_int_eq(result, 0);
        ck_assert(bytes_equal(buffer_bytes(&value), bytes_of_text(expected)));
    } else {
        ck_assert_int_eq(result, DISK_NOT_FOUND);
    }
    buffer_deinit(&value);
}

static void expect_at(struct disk_iterator *iterator, const char *key)
{
    if (key) {
        ck_assert(disk_iterator_is_valid(iterator));
        ck_assert(bytes_equal(disk_iterator_key(iterator), bytes_of_text(key)));
    } else {
        ck_assert(!disk_iterator_is_valid(iterator));
    }
    ck_assert_int_eq(disk_iterator_status(iterator), 0);
}

START_TEST(a_batch_is_seen_whole_once_written)
{
    struct disk *disk = setup(_i);
    struct disk_batch *batch = disk_batch_new(disk);
    for (unsigned family = 0; family < FIXTURE_FAMILIES; family++) {
        const char value[] = {(char)('0' + family), '\0'};
        disk_batch_put(batch, family, bytes_of_text("key"), bytes_of_text(value));
    }
    expect_get(disk, 0, "key", NULL);
    ck_assert_int_eq(disk_write(disk, batch), 0);
    disk_batch_free(batch);
    disk_fixture_expect(disk, 0, "key=0");
    disk_fixture_expect(disk, 1, "key=1");
    disk_fixture_expect(disk, 2, "key=2");
    disk_fixture_expect(disk, 3, "key=3");
    expect_get(disk, 3, "key", "3");
    expect_get(disk, 3, "ke", NULL);
    expect_get(disk, 3, "key3", NULL);
    teardown();
}
END_TEST

START_TEST(get_appends_to_the_buffer)
{
    struct disk *disk = setup(_i);
    disk_fixture_put(disk, 1, "a", "one");
    disk_fixture_put(disk, 1, "b", "two");
    struct buffer value = {0};
    ck_assert_int_eq(disk_get(disk, 1, bytes_of_text("a"), &value), 0);
    ck_assert_int_eq(disk_get(disk, 1, bytes_of_text("c"), &value), DISK_NOT_FOUND);
    ck_assert_int_eq(disk_get(disk, 1, bytes_of_text("b"), &value), 0);
    ck_assert(bytes_equal(buffer_bytes(&value), bytes_of_text("onetwo")));
    buffer_deinit(&value);
    teardown();
}
END_TEST

START_TEST(the_last_entry_of_a_key_wins_in_a_batch)
{
    struct disk *disk = setup(_i);
    struct disk_batch *batch = disk_batch_new(disk);
    disk_batch_put(batch, 0, bytes_of_text("a"), bytes_of_text("1"));
    disk_batch_put(batch, 0, bytes_of_text("a"), bytes_of_text("2"));
    disk_batch_delete(batch, 0, bytes_of_text("b"));
    disk_batch_put(batch, 0, bytes_of_text("b"), bytes_of_text("3"));
    disk_batch_put(batch, 0, bytes_of_text("c"), bytes_of_text("4"));
    disk_batch_delete(batch, 0, bytes_of_text("c"));
    ck_assert_int_eq(disk_write(disk, batch), 0);
    disk_batch_free(batch);
    disk_fixture_expect(disk, 0, "a=2 b=3");
    teardown();
}
END_TEST

START_TEST(empty_values_are_values)
{
    struct disk *disk = setup(_i);
    disk_fixture_put(disk, 2, "empty", "");
    expect_get(disk, 2, "empty", "");
    disk_fixture_expect(disk, 2, "empty=");
    disk_fixture_reopen(&fixture);
    expect_get(fixture.disk, 2, "empty", "");
    teardown();
}
END_TEST

START_TEST(deleted_keys_are_gone_in_one_family_only)
{
    struct disk *disk = setup(_i);
    disk_fixture_put(disk, 0, "a", "1");
    disk_fixture_put(disk, 1, "a", "2");
    struct disk_batch *batch = disk_batch_new(disk);
    disk_batch_delete(batch, 0, bytes_of_text("a"));
    disk_batch_delete(batch, 0, bytes_of_text("never there"));
    ck_assert_int_eq(disk_write(disk, batch), 0);
    disk_batch_free(batch);
    disk_fixture_expect(disk, 0, "");
    disk_fixture_expect(disk, 1, "a=2");
    disk_fixture_put(disk, 0, "a", "3");
    disk_fixture_expect(disk, 0, "a=3");
    teardown();
}
END_TEST

START_TEST(keys_are_ordered_as_bytes)
{
    struct disk *disk = setup(_i);
    static const struct bytes KEYS[] = {
        {(const uint8_t *)"\0", 1},       {(const uint8_t *)"\0\0", 2},
        {(const uint8_t *)"a", 1},        {(const uint8_t *)"a\0b", 3},
        {(const uint8_t *)"aa", 2},       {(const uint8_t *)"b", 1},
        {(const uint8_t *)"\x80", 1},     {(const uint8_t *)"\xff", 1},
        {(const uint8_t *)"\xff\xff", 2},
    };
    enum { COUNT = sizeof KEYS / sizeof KEYS[0] };
    struct disk_batch *batch = disk_batch_new(disk);
    for (unsigned i = 0; i < COUNT; i++) {
        disk_batch_put(batch, 1, KEYS[i * 4 % COUNT], bytes_of_text("x"));
    }
    disk_batch_put(batch, 0, bytes_of_text("\xff"), bytes_of_text("below"));
    disk_batch_put(batch, 2, bytes_of("\0", 1), bytes_of_text("above"));
    ck_assert_int_eq(disk_write(disk, batch), 0);
    disk_batch_free(batch);
    struct disk_iterator *iterator;
    ck_assert_int_eq(disk_iterator_open(disk, 1, DISK_READ_POINT, &iterator), 0);
    disk_iterator_seek(iterator, bytes_of("", 0));
    for (unsigned i = 0; i < COUNT; i++, disk_iterator_next(iterator)) {
        ck_assert(bytes_equal(disk_iterator_key(iterator), KEYS[i]));
    }
    ck_assert(!disk_iterator_is_valid(iterator));
    disk_iterator_seek_to_last(iterator);
    for (unsigned i = COUNT; i > 0; i--, disk_iterator_previous(iterator)) {
        ck_assert(bytes_equal(disk_iterator_key(iterator), KEYS[i - 1]));
    }
    expect_at(iterator, NULL);
    disk_iterator_close(iterator);
    teardown();
}
END_TEST

START_TEST(seeks_land_where_they_promise)
{
    struct disk *disk = setup(_i);
    struct disk_iterator *iterator;
    ck_assert_int_eq(disk_iterator_open(disk, 1, DISK_READ_POINT, &iterator), 0);
    expect_at(iterator, NULL);
    disk_iterator_seek(iterator, bytes_of_text("a"));
    expect_at(iterator, NULL);
    disk_iterator_seek_to_last(iterator);
    expect_at(iterator, NULL);
    disk_iterator_close(iterator);

    disk_fixture_put(disk, 0, "z", "of another family");
    disk_fixture_put(disk, 1, "b", "1");
    disk_fixture_put(disk, 1, "d", "2");
    disk_fixture_put(disk, 1, "f", "3");
    disk_fixture_put(disk, 2, "a", "of another family");
    ck_assert_int_eq(disk_iterator_open(disk, 1, DISK_READ_POINT, &iterator), 0);
    static const struct {
        const char *key, *seek, *seek_for_prev;
    } CASES[] = {
        {"a", "b", NULL}, {"b", "b", "b"}, {"c", "d", "b"},
        {"d", "d", "d"},  {"f", "f", "f"}, {"g", NULL, "f"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        disk_iterator_seek(iterator, bytes_of_text(CASES[i].key));
        expect_at(iterator, CASES[i].seek);
        disk_iterator_seek_for_prev(iterator, bytes_of_text(CASES[i].key));
        expect_at(iterator, CASES[i].seek_for_prev);
    }
    disk_iterator_seek(iterator, bytes_of("", 0));
    expect_at(iterator, "b");
    disk_iterator_next(iterator);
    expect_at(iterator, "d");
    disk_iterator_previous(iterator);
    expect_at(iterator, "b");
    disk_iterator_previous(iterator);
    expect_at(iterator, NULL);
    disk_iterator_seek_to_last(iterator);
    expect_at(iterator, "f");
    disk_iterator_next(iterator);
    expect_at(iterator, NULL);
    disk_iterator_close(iterator);
    teardown();
}
END_TEST

START_TEST(an_iterator_sees_the_moment_it_was_opened)
{
    struct disk *disk = setup(_i);
    disk_fixture_put(disk, 0, "a", "1");
    disk_fixture_put(disk, 0, "c", "1");
    disk_fixture_put(disk, 0, "e", "1");
    struct disk_iterator *iterator;
    ck_assert_int_eq(disk_iterator_open(disk, 0, DISK_READ_SCAN, &iterator), 0);
    struct disk_batch *batch = disk_batch_new(disk);
    for (unsigned round = 0; round < 3; round++) {
        disk_batch_clear(batch);
        disk_batch_put(batch, 0, bytes_of_text("a"), bytes_of_text("2"));
        disk_batch_put(batch, 0, bytes_of_text("b"), bytes_of_text("2"));
        disk_batch_delete(batch, 0, bytes_of_text("c"));
        disk_batch_put(batch, 0, bytes_of_text("f"), bytes_of_text("2"));
        ck_assert_int_eq(disk_write(disk, batch), 0);
        ck_assert_int_eq(disk_flush(disk), 0);
    }
    disk_batch_free(batch);
    static const char *const KEYS[] = {"a", "c", "e"};
    disk_iterator_seek(iterator, bytes_of_text("a"));
    for (unsigned i = 0; i < 3; i++, disk_iterator_next(iterator)) {
        expect_at(iterator, KEYS[i]);
        ck_assert(bytes_equal(disk_iterator_value(iterator), bytes_of_text("1")));
    }
    expect_at(iterator, NULL);
    disk_iterator_seek_to_last(iterator);
    expect_at(iterator, "e");
    disk_iterator_seek_for_prev(iterator, bytes_of_text("d"));
    expect_at(iterator, "c");
    disk_iterator_close(iterator);
    disk_fixture_expect(disk, 0, "a=2 b=2 e=1 f=2");
    teardown();
}
END_TEST

START_TEST(what_was_synced_survives_closing)
{
    struct disk *disk = setup(_i);
    ck_assert_int_eq(disk_sync(disk), 0);
    ck_assert_int_eq(disk_flush(disk), 0);
    disk_fixture_put(disk, 0, "a", "1");
    disk_fixture_put(disk, 3, "m", "1");
    ck_assert_int_eq(disk_sync(disk), 0);
    disk_fixture_reopen(&fixture);
    disk_fixture_expect(fixture.disk, 0, "a=1");
    disk_fixture_put(fixture.disk, 3, "m", "2");
    ck_assert_int_eq(disk_flush(fixture.disk), 0);
    disk_fixture_put(fixture.disk, 3, "n", "3");
    ck_assert_int_eq(disk_sync(fixture.disk), 0);
    disk_fixture_reopen(&fixture);
    disk_fixture_expect(fixture.disk, 0, "a=1");
    disk_fixture_expect(fixture.disk, 3, "m=2 n=3");
    teardown();
}
END_TEST

START_TEST(batches_are_reused_after_clearing)
{
    struct disk *disk = setup(_i);
    struct disk_batch *batch = disk_batch_new(disk);
    size_t empty_bytes = disk_batch_bytes(batch);
    enum { LARGE_BYTES = 10 << 20 };
    uint8_t *large = malloc(LARGE_BYTES);
    memset(large, 'x', LARGE_BYTES);
    disk_batch_put(batch, 0, bytes_of_text("large"), bytes_of(large, LARGE_BYTES));
    ck_assert_uint_gt(disk_batch_bytes(batch), LARGE_BYTES);
    ck_assert_int_eq(disk_write(disk, batch), 0);
    disk_batch_clear(batch);
    ck_assert_uint_eq(disk_batch_bytes(batch), empty_bytes);
    disk_batch_put(batch, 0, bytes_of_text("small"), bytes_of_text("y"));
    ck_assert_int_eq(disk_write(disk, batch), 0);
    disk_batch_free(batch);
    struct buffer value = {0};
    ck_assert_int_eq(disk_get(disk, 0, bytes_of_text("large"), &value), 0);
    ck_assert(bytes_equal(buffer_bytes(&value), bytes_of(large, LARGE_BYTES)));
    buffer_deinit(&value);
    free(large);
    expect_get(disk, 0, "small", "y");
    teardown();
}
END_TEST

START_TEST(sizes_are_reported)
{
    struct disk *disk = setup(_i);
    uint64_t used_bytes = disk_used_bytes(disk);
    struct disk_batch *batch = disk_batch_new(disk);
    uint8_t value[8192];
    for (unsigned i = 0; i < 200; i++) {
        uint8_t key[4];
        store_be32(key, i);
        for (size_t j = 0; j < sizeof value; j++) {
            value[j] = (uint8_t)(j * j * i >> 3);
        }
        disk_batch_put(batch, 0, bytes_of(key, sizeof key), bytes_of(value, sizeof value));
    }
    ck_assert_int_eq(disk_write(disk, batch), 0);
    disk_batch_free(batch);
    ck_assert_uint_gt(disk_memory_bytes(disk), 0);
    ck_assert_int_eq(disk_flush(disk), 0);
    ck_assert_uint_gt(disk_used_bytes(disk), fixture.kind == DISK_KIND_MEMORY ? used_bytes : 0);
    ck_assert_uint_gt(disk_free_bytes(disk), 0);
    teardown();
}
END_TEST

// In long loops: each assertion of Check that holds costs a system call.
static void expect(bool holds, const char *what)
{
    if (!holds) {
        ck_abort_msg("%s", what);
    }
}

START_TEST(a_hundred_thousand_keys_stay_in_order)
{
    struct disk *disk = setup(_i);
    enum { COUNT = 100000, STEP = 7919 }; // coprime: every key once, in no order
    struct disk_batch *batch = disk_batch_new(disk);
    for (uint32_t i = 0; i < COUNT; i++) {
        uint8_t key[4];
        uint8_t value[8] = {0};
        store_be32(key, (uint32_t)((uint64_t)i * STEP % COUNT));
        store_be32(value, i);
        disk_batch_put(batch, i % 2, bytes_of(key, sizeof key), bytes_of(value, sizeof value));
        disk_batch_put(batch, 2, bytes_of(key, sizeof key), bytes_of(value, sizeof value));
        if (i % 100 == 99) {
            ck_assert_int_eq(disk_write(disk, batch), 0);
            disk_batch_clear(batch);
        }
    }
    disk_batch_free(batch);
    struct disk_iterator *iterator;
    ck_assert_int_eq(disk_iterator_open(disk, 2, DISK_READ_SCAN, &iterator), 0);
    uint32_t expected = 0;
    disk_iterator_seek(iterator, bytes_of("", 0));
    for (; disk_iterator_is_valid(iterator); disk_iterator_next(iterator)) {
        expect(load_be32(disk_iterator_key(iterator).data) == expected, "the next key");
        uint32_t written = load_be32(disk_iterator_value(iterator).data);
        expect((uint64_t)written * STEP % COUNT == expected, "the value of the key");
        expected++;
    }
    ck_assert_int_eq(disk_iterator_status(iterator), 0);
    ck_assert_uint_eq(expected, COUNT);
    disk_iterator_seek_to_last(iterator);
    for (; disk_iterator_is_valid(iterator); disk_iterator_previous(iterator)) {
        expect(load_be32(disk_iterator_key(iterator).data) == --expected, "the previous key");
    }
    ck_assert_int_eq(disk_iterator_status(iterator), 0);
    ck_assert_uint_eq(expected, 0);
    disk_iterator_close(iterator);
    teardown();
}
END_TEST

// A model that is obviously right: one slot per key, copied whole for a snapshot.
enum { MODEL_KEYS = 60, MODEL_FAMILIES = 3 };
struct model {
    uint16_t values[MODEL_FAMILIES][MODEL_KEYS]; // 0: not there
};

static uint64_t random_state;
static unsigned random_below(unsigned bound)
{
    random_state = random_state * 6364136223846793005 + 1442695040888963407;
    return (unsigned)(random_state >> 33) % bound;
}

static struct bytes model_key(unsigned index, char room[8])
{
    return bytes_of(room, (size_t)snprintf(room, 8, "%o", index * 3 + 1));
}

static int compare_indexes(const void *a, const void *b)
{
    char room_a[8];
    char room_b[8];
    return bytes_compare(model_key(*(const unsigned *)a, room_a),
                         model_key(*(const unsigned *)b, room_b));
}

static unsigned model_order[MODEL_KEYS]; // indexes in the order of their keys

// Walks forward or backward from a random place and compares every step with the model.
static void expect_walk(struct disk_iterator *iterator, const struct model *model, unsigned family)
{
    bool is_forward = random_below(2) == 0;
    int at = (int)random_below(MODEL_KEYS);
    char room[8];
    struct bytes key = model_key(model_order[at], room);
    if (is_forward) {
        disk_iterator_seek(iterator, key);
    } else {
        disk_iterator_seek_for_prev(iterator, key);
    }
    for (; at >= 0 && at < MODEL_KEYS; at += is_forward ? 1 : -1) {
        uint16_t expected = model->values[family][model_order[at]];
        if (expected == 0) {
            continue;
        }
        expect(disk_iterator_is_valid(iterator), "a further key");
        expect(bytes_equal(disk_iterator_key(iterator), model_key(model_order[at], room)),
               "the key that follows");
        expect(load_be16(disk_iterator_value(iterator).data) == expected, "the value of then");
        if (is_forward) {
            disk_iterator_next(iterator);
        } else {
            disk_iterator_previous(iterator);
        }
    }
    expect_at(iterator, NULL);
}

static void write_random_batch(struct disk *disk, struct disk_batch *batch, struct model *model)
{
    disk_batch_clear(batch);
    for (unsigned entries = random_below(6); entries > 0; entries--) {
        unsigned family = random_below(MODEL_FAMILIES);
        unsigned index = random_below(MODEL_KEYS);
        uint16_t value = (uint16_t)random_below(2000);
        char room[8];
        uint8_t bytes[2];
        store_be16(bytes, value);
        if (value == 0 || value % 3 == 0) {
            disk_batch_delete(batch, family, model_key(index, room));
            model->values[family][index] = 0;
        } else {
            disk_batch_put(batch, family, model_key(index, room), bytes_of(bytes, sizeof bytes));
            model->values[family][index] = value;
        }
    }
    ck_assert_int_eq(disk_write(disk, batch), 0);
}

START_TEST(random_operations_agree_with_a_model)
{
    struct disk *disk = setup(_i);
    random_state = test_seed();
    enum { ITERATORS = 4 };
    struct disk_iterator *iterators[ITERATORS] = {0};
    struct model snapshots[ITERATORS];
    unsigned families[ITERATORS] = {0};
    struct model model = {0};
    struct disk_batch *batch = disk_batch_new(disk);
    for (unsigned i = 0; i < MODEL_KEYS; i++) {
        model_order[i] = i;
    }
    qsort(model_order, MODEL_KEYS, sizeof model_order[0], compare_indexes);
    for (unsigned round = test_rounds(4000); round > 0; round--) {
        write_random_batch(disk, batch, &model);
        unsigned i = random_below(ITERATORS);
        if (!iterators[i]) {
            families[i] = random_below(MODEL_FAMILIES);
            snapshots[i] = model;
            ck_assert_int_eq(disk_iterator_open(disk, families[i],
                                                random_below(2) ? DISK_READ_POINT : DISK_READ_SCAN,
                                                &iterators[i]),
                             0);
        } else if (random_below(8) == 0) {
            disk_iterator_close(iterators[i]);
            iterators[i] = NULL;
        } else {
            expect_walk(iterators[i], &snapshots[i], families[i]);
        }
        if (random_below(1000) == 0) {
            ck_assert_int_eq(random_below(2) ? disk_sync(disk) : disk_flush(disk), 0);
        }
    }
    for (unsigned i = 0; i < ITERATORS; i++) {
        disk_iterator_close(iterators[i]);
    }
    disk_batch_free(batch);
    teardown();
}
END_TEST

static void suite_add_for_every_disk(Suite *suite, const TTest *test)
{
    TCase *test_case = tcase_create(test->name);
    tcase_set_timeout(test_case, 120);
    tcase_add_loop_test(test_case, test, 0, DISK_KINDS);
    suite_add_tcase(suite, test_case);
}

int main(void)
{
    Suite *suite = suite_create("disk");
    suite_add_for_every_disk(suite, a_batch_is_seen_whole_once_written);
    suite_add_for_every_disk(suite, get_appends_to_the_buffer);
    suite_add_for_every_disk(suite, the_last_entry_of_a_key_wins_in_a_batch);
    suite_add_for_every_disk(suite, empty_values_are_values);
    suite_add_for_every_disk(suite, deleted_keys_are_gone_in_one_family_only);
    suite_add_for_every_disk(suite, keys_are_ordered_as_bytes);
    suite_add_for_every_disk(suite, seeks_land_where_they_promise);
    suite_add_for_every_disk(suite, an_iterator_sees_the_moment_it_was_opened);
    suite_add_for_every_disk(suite, what_was_synced_survives_closing);
    suite_add_for_every_disk(suite, batches_are_reused_after_clearing);
    suite_add_for_every_disk(suite, sizes_are_reported);
    suite_add_for_every_disk(suite, a_hundred_thousand_keys_stay_in_order);
    suite_add_for_every_disk(suite, random_operations_agree_with_a_model);
    return check_main(suite);
}
