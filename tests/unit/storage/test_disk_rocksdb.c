// What only RocksDB does: recovery of damaged logs of writes, damaged tables, locks, a disk without
// a log of writes. What must end without closing (a crash) or under a limit on file sizes (a full
// disk) runs in a process of its own: this program with the name of a scene and a path.

#include "tests/unit/check_main.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/limits.h"
#include "tests/unit/storage/disk_fixture.h"

enum { PATH_BYTES = 384, VALUE_BYTES = 4000 };

static struct disk_fixture fixture;

// --- Scenes that run in a process of their own

static struct disk *scene_open(enum disk_kind kind, const char *path)
{
    struct disk_rocksdb_config config = disk_fixture_config(kind, path);
    struct disk *disk = NULL;
    struct reason reason = {0};
    if (disk_rocksdb_open(&config, &disk, &reason) != 0) {
        fprintf(stderr, "%s\n", reason.text);
        _exit(2);
    }
    return disk;
}

// One batch that writes number n: a large value in family 0, a tiny one in 1, the newest in 2.
static int write_number(struct disk *disk, struct disk_batch *batch, uint32_t number)
{
    uint8_t value[VALUE_BYTES];
    uint64_t random = number;
    for (size_t i = 0; i < sizeof value; i++) {
        random = random * 6364136223846793005 + 1442695040888963407;
        value[i] = (uint8_t)(random >> 56);
    }
    store_be32(value, number);
    uint8_t key[4];
    store_be32(key, number);
    disk_batch_clear(batch);
    disk_batch_put(batch, 0, bytes_of(key, sizeof key), bytes_of(value, sizeof value));
    disk_batch_put(batch, 1, bytes_of(key, sizeof key), bytes_of("", 0));
    disk_batch_put(batch, 2, bytes_of_text("newest"), bytes_of(key, sizeof key));
    return disk_write(disk, batch);
}

static int scene_index_crash(const char *path)
{
    struct disk *disk = scene_open(DISK_KIND_INDEX, path);
    struct disk_batch *batch = disk_batch_new(disk);
    if (write_number(disk, batch, 1) != 0 || disk_flush(disk) != 0) {
        return 1;
    }
    return write_number(disk, batch, 2); // without closing
}

static int scene_index_crash_amid_flushes(const char *path)
{
    struct disk *disk = scene_open(DISK_KIND_INDEX, path);
    struct disk_batch *batch = disk_batch_new(disk);
    for (uint32_t number = 1; number <= 1000; number++) {
        if (write_number(disk, batch, number) != 0) {
            return 1;
        }
    }
    return 0;
}

// Writes until the disk is full; what was synced before is printed as the exit status.
static int scene_full_disk(const char *path)
{
    struct disk *disk = scene_open(DISK_KIND_LOG, path);
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit limit = {.rlim_cur = 100 * KIB, .rlim_max = 100 * KIB};
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0) {
        return 255;
    }
    struct disk_batch *batch = disk_batch_new(disk);
    uint32_t number = 0;
    int result = 0;
    while (result == 0 && number < 200) {
        result = write_number(disk, batch, number + 1);
        result = result ? result : disk_sync(disk);
        number += result == 0;
    }
    if (result != ERR_IO || write_number(disk, batch, number + 2) != ERR_IO ||
        disk_sync(disk) != ERR_IO || disk_flush(disk) != ERR_IO) {
        return 254;
    }
    disk_batch_free(batch);
    disk_close(disk);
    return (int)number;
}

static int run_scene(const char *name, const char *path)
{
    if (strcmp(name, "index_crash") == 0) {
        return scene_index_crash(path);
    }
    if (strcmp(name, "index_crash_amid_flushes") == 0) {
        return scene_index_crash_amid_flushes(path);
    }
    return scene_full_disk(path);
}

// Returns the scene's exit status.
static int play(const char *scene, const char *path)
{
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        execl("/proc/self/exe", "test_disk_rocksdb", scene, path, (char *)NULL);
        _exit(253);
    }
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(WIFEXITED(status), "%s ended by signal %d", scene, WTERMSIG(status));
    return WEXITSTATUS(status);
}

// --- Files of the database

static bool has_suffix(const char *name, const char *suffix)
{
    size_t length = strlen(name);
    return length >= strlen(suffix) && strcmp(name + length - strlen(suffix), suffix) == 0;
}

// Finds the oldest or newest file with that suffix; returns how many there are.
static unsigned find_file(const char *suffix, bool newest, char path_out[PATH_BYTES])
{
    DIR *directory = opendir(fixture.path);
    ck_assert_ptr_nonnull(directory);
    char found[256] = "";
    unsigned count = 0;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        if (has_suffix(entry->d_name, suffix)) {
            count++;
            if (found[0] == '\0' || (strcmp(entry->d_name, found) > 0) == newest) {
                snprintf(found, sizeof found, "%s", entry->d_name);
            }
        }
    }
    closedir(directory);
    snprintf(path_out, PATH_BYTES, "%s/%s", fixture.path, found);
    return count;
}

enum damage { DAMAGE_CUT, DAMAGE_FLIP, DAMAGE_PAD, DAMAGE_KINDS };

// What a power failure may leave behind the last record: by its header a record of 4 bytes.
static const uint8_t GARBAGE[64] = {0xde, 0xad, 0xbe, 0xef, 4, 0, 1, 1, 2, 3, 4};

static void damage_file(const char *path, enum damage damage)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    struct stat status;
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(fstat(fd, &status), 0);
    off_t middle = status.st_size / 2 + VALUE_BYTES / 2; // in the midst of a record
    uint8_t byte;
    switch (damage) {
    case DAMAGE_CUT:
        ck_assert_int_eq(ftruncate(fd, status.st_size - VALUE_BYTES / 2), 0);
        break;
    case DAMAGE_FLIP:
        ck_assert_int_eq(pread(fd, &byte, 1, middle), 1);
        byte ^= 1;
        ck_assert_int_eq(pwrite(fd, &byte, 1, middle), 1);
        break;
    case DAMAGE_PAD:
        ck_assert_int_eq(pwrite(fd, GARBAGE, sizeof GARBAGE, status.st_size), sizeof GARBAGE);
        break;
    case DAMAGE_KINDS:
        break;
    }
    close(fd);
}

// --- What is in the database

struct contents {
    uint32_t large;  // numbers in family 0
    uint32_t tiny;   // numbers in family 1
    uint32_t newest; // according to family 2; 0: nothing
};

static uint32_t count_keys(unsigned family)
{
    struct disk_iterator *iterator;
    ck_assert_int_eq(disk_iterator_open(fixture.disk, family, DISK_READ_SCAN, &iterator), 0);
    uint32_t count = 0;
    disk_iterator_seek(iterator, bytes_of("", 0));
    for (; disk_iterator_is_valid(iterator); disk_iterator_next(iterator)) {
        count++;
    }
    ck_assert_int_eq(disk_iterator_status(iterator), 0);
    disk_iterator_close(iterator);
    return count;
}

static struct contents read_contents(void)
{
    struct contents contents = {.large = count_keys(0), .tiny = count_keys(1)};
    struct buffer value = {0};
    if (disk_get(fixture.disk, 2, bytes_of_text("newest"), &value) == 0) {
        contents.newest = load_be32(value.data);
    }
    buffer_deinit(&value);
    return contents;
}

// The first `count` batches and nothing else.
static void expect_prefix(uint32_t count)
{
    struct contents contents = read_contents();
    ck_assert_uint_eq(contents.large, count);
    ck_assert_uint_eq(contents.tiny, count);
    ck_assert_uint_eq(contents.newest, count);
}

static void write_numbers(uint32_t first, uint32_t last)
{
    struct disk_batch *batch = disk_batch_new(fixture.disk);
    for (uint32_t number = first; number <= last; number++) {
        ck_assert_int_eq(write_number(fixture.disk, batch, number), 0);
    }
    ck_assert_int_eq(disk_sync(fixture.disk), 0);
    disk_batch_free(batch);
}

// --- Tests

START_TEST(a_second_opening_is_refused)
{
    disk_fixture_init(&fixture, DISK_KIND_LOG);
    struct disk_rocksdb_config config = disk_fixture_config(DISK_KIND_LOG, fixture.path);
    struct disk *disk = NULL;
    struct reason reason = {0};
    ck_assert_int_eq(disk_rocksdb_open(&config, &disk, &reason), ERR_LOCKED);
    ck_assert_ptr_nonnull(strstr(reason.text, fixture.path));
    ck_assert_ptr_null(disk);
    disk_fixture_deinit(&fixture);
}
END_TEST

START_TEST(families_of_a_newer_version_are_refused)
{
    disk_fixture_init(&fixture, DISK_KIND_LOG);
    disk_fixture_close(&fixture);
    struct disk_rocksdb_config config = disk_fixture_config(DISK_KIND_LOG, fixture.path);
    config.families_count = FIXTURE_FAMILIES - 1;
    struct disk *disk = NULL;
    struct reason reason = {0};
    ck_assert_int_eq(disk_rocksdb_open(&config, &disk, &reason), ERR_VERSION);
    ck_assert_ptr_nonnull(strstr(reason.text, fixture.path));
    disk_fixture_reopen(&fixture);
    disk_fixture_deinit(&fixture);
}
END_TEST

START_TEST(a_directory_that_cannot_be_made_is_refused)
{
    struct disk_rocksdb_config config = disk_fixture_config(DISK_KIND_LOG, "/proc/weir/db");
    struct disk *disk = NULL;
    struct reason reason = {0};
    ck_assert_int_eq(disk_rocksdb_open(&config, &disk, &reason), ERR_IO);
    ck_assert_ptr_nonnull(strstr(reason.text, "/proc/weir/db"));
}
END_TEST

START_TEST(without_CURRENT_nothing_is_deleted)
{
    disk_fixture_init(&fixture, DISK_KIND_LOG);
    write_numbers(1, 10);
    ck_assert_int_eq(disk_flush(fixture.disk), 0);
    disk_fixture_close(&fixture);
    char current[PATH_BYTES];
    char moved[PATH_BYTES + 8];
    char table[PATH_BYTES];
    snprintf(current, sizeof current, "%s/CURRENT", fixture.path);
    snprintf(moved, sizeof moved, "%s.moved", current);
    ck_assert_int_eq(rename(current, moved), 0);
    struct reason reason = {0};
    ck_assert_int_eq(disk_fixture_open(&fixture, false, &reason), ERR_CORRUPT);
    ck_assert_ptr_nonnull(strstr(reason.text, current));
    ck_assert_uint_gt(find_file(".sst", true, table), 0);
    ck_assert_int_eq(rename(moved, current), 0);
    disk_fixture_reopen(&fixture);
    expect_prefix(10);
    disk_fixture_deinit(&fixture);
}
END_TEST

START_TEST(its_own_log_stays_empty)
{
    disk_fixture_init(&fixture, DISK_KIND_LOG);
    write_numbers(1, 200);
    disk_fixture_reopen(&fixture);
    ck_assert_int_eq(disk_flush(fixture.disk), 0);
    disk_fixture_reopen(&fixture);
    disk_fixture_close(&fixture);
    char path[PATH_BYTES];
    struct stat status;
    ck_assert_uint_eq(find_file("LOG", true, path), 1);
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_int_eq(status.st_size, 0);
    ck_assert_uint_le(find_file(".dbtmp", true, path), 2);
    disk_fixture_deinit(&fixture);
}
END_TEST

// 20 batches, all in the newest file, nothing in tables.
START_TEST(damage_to_the_newest_log_of_writes)
{
    static const struct {
        int result; // of opening
        uint32_t remaining;
    } EXPECTED[] = {[DAMAGE_CUT] = {0, 19},
                    [DAMAGE_FLIP] = {ERR_CORRUPT, 10},
                    [DAMAGE_PAD] = {ERR_CORRUPT, 20}};
    disk_fixture_init(&fixture, DISK_KIND_LOG);
    write_numbers(1, 20);
    disk_fixture_close(&fixture);
    char path[PATH_BYTES];
    find_file(".log", true, path);
    damage_file(path, (enum damage)_i);
    struct reason reason = {0};
    ck_assert_int_eq(disk_fixture_open(&fixture, false, &reason), EXPECTED[_i].result);
    if (EXPECTED[_i].result != 0) {
        ck_assert_msg(strstr(reason.text, path) && strstr(reason.text, "--drop-torn-log"), "%s",
                      reason.text);
        ck_assert_int_eq(disk_fixture_open(&fixture, true, &reason), 0);
    }
    expect_prefix(EXPECTED[_i].remaining);
    write_numbers(EXPECTED[_i].remaining + 1, 30);
    disk_fixture_reopen(&fixture);
    expect_prefix(30);
    disk_fixture_deinit(&fixture);
}
END_TEST

// Family 1 is never flushed, so the oldest file is still needed while newer ones follow it.
static void make_an_older_log_of_writes(char path_out[PATH_BYTES])
{
    disk_fixture_init(&fixture, DISK_KIND_LOG);
    write_numbers(1, 100);
    disk_fixture_close(&fixture);
    ck_assert_uint_gt(find_file(".log", false, path_out), 1);
}

// This is why the log walks its strands after every unclean stop.
START_TEST(an_older_log_of_writes_cut_short_leaves_a_hole_unnoticed)
{
    char path[PATH_BYTES];
    make_an_older_log_of_writes(path);
    damage_file(path, DAMAGE_CUT);
    disk_fixture_reopen(&fixture);
    struct contents contents = read_contents();
    ck_assert_uint_eq(contents.newest, 100);
    ck_assert_uint_lt(contents.tiny, 100);
    disk_fixture_deinit(&fixture);
}
END_TEST

// Dropping what follows is refused as well when some of it is in tables already.
START_TEST(an_older_log_of_writes_with_a_flipped_bit_is_refused)
{
    char path[PATH_BYTES];
    make_an_older_log_of_writes(path);
    damage_file(path, DAMAGE_FLIP);
    struct reason reason = {0};
    ck_assert_int_eq(disk_fixture_open(&fixture, false, &reason), ERR_CORRUPT);
    ck_assert_msg(strstr(reason.text, path) && strstr(reason.text, "--drop-torn-log"), "%s",
                  reason.text);
    int result = disk_fixture_open(&fixture, true, &reason);
    if (result == 0) {
        uint32_t remaining = read_contents().newest;
        ck_assert_uint_lt(remaining, 100);
        expect_prefix(remaining);
    } else {
        ck_assert_int_eq(result, ERR_CORRUPT);
        ck_assert_msg(strstr(reason.text, path) && strstr(reason.text, "peers"), "%s", reason.text);
    }
    disk_fixture_deinit(&fixture);
}
END_TEST

START_TEST(an_older_log_of_writes_with_garbage_behind_it_is_refused)
{
    char path[PATH_BYTES];
    make_an_older_log_of_writes(path);
    damage_file(path, DAMAGE_PAD);
    struct reason reason = {0};
    ck_assert_int_eq(disk_fixture_open(&fixture, false, &reason), ERR_CORRUPT);
    ck_assert_msg(strstr(reason.text, path) && strstr(reason.text, "--drop-torn-log"), "%s",
                  reason.text);
    ck_assert_int_eq(disk_fixture_open(&fixture, true, &reason), 0);
    expect_prefix(100);
    disk_fixture_deinit(&fixture);
}
END_TEST

static void find_largest_table(char path_out[PATH_BYTES])
{
    DIR *directory = opendir(fixture.path);
    ck_assert_ptr_nonnull(directory);
    off_t largest = 0;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        struct stat status;
        ck_assert_int_eq(fstatat(dirfd(directory), entry->d_name, &status, 0), 0);
        if (has_suffix(entry->d_name, ".sst") && status.st_size > largest) {
            largest = status.st_size;
            snprintf(path_out, PATH_BYTES, "%s/%s", fixture.path, entry->d_name);
        }
    }
    closedir(directory);
    ck_assert_int_gt(largest, 20 * VALUE_BYTES);
}

START_TEST(a_damaged_table_is_an_error_and_not_the_end)
{
    disk_fixture_init(&fixture, (enum disk_kind)_i);
    write_numbers(1, 25);
    ck_assert_int_eq(disk_flush(fixture.disk), 0);
    disk_fixture_close(&fixture);
    char path[PATH_BYTES];
    find_largest_table(path);
    damage_file(path, DAMAGE_FLIP);
    struct reason reason = {0};
    ck_assert_int_eq(disk_fixture_open(&fixture, false, &reason), 0);
    for (unsigned pattern = DISK_READ_POINT; pattern <= DISK_READ_SCAN; pattern++) {
        struct disk_iterator *iterator;
        ck_assert_int_eq(
            disk_iterator_open(fixture.disk, 0, (enum disk_read_pattern)pattern, &iterator), 0);
        unsigned count = 0;
        disk_iterator_seek(iterator, bytes_of("", 0));
        for (; disk_iterator_is_valid(iterator); disk_iterator_next(iterator)) {
            count++;
        }
        ck_assert_uint_lt(count, 25);
        ck_assert_int_eq(disk_iterator_status(iterator), ERR_CORRUPT);
        disk_iterator_close(iterator);
    }
    unsigned corrupt = 0;
    for (uint32_t number = 1; number <= 25; number++) {
        uint8_t key[4];
        struct buffer value = {0};
        store_be32(key, number);
        int result = disk_get(fixture.disk, 0, bytes_of(key, sizeof key), &value);
        ck_assert(result == 0 || result == ERR_CORRUPT);
        corrupt += result == ERR_CORRUPT;
        buffer_deinit(&value);
    }
    ck_assert_uint_gt(corrupt, 0);
    ck_assert_uint_lt(corrupt, 25);
    disk_fixture_deinit(&fixture);
}
END_TEST

START_TEST(the_index_is_durable_by_flushing)
{
    disk_fixture_init(&fixture, DISK_KIND_INDEX);
    disk_fixture_close(&fixture);
    ck_assert_int_eq(play("index_crash", fixture.path), 0);
    disk_fixture_reopen(&fixture);
    expect_prefix(1);
    disk_fixture_deinit(&fixture);
}
END_TEST

START_TEST(the_index_goes_back_to_a_prefix_of_its_batches)
{
    disk_fixture_init(&fixture, DISK_KIND_INDEX);
    disk_fixture_close(&fixture);
    ck_assert_int_eq(play("index_crash_amid_flushes", fixture.path), 0);
    disk_fixture_reopen(&fixture);
    uint32_t remaining = read_contents().newest;
    ck_assert_uint_gt(remaining, 0);
    ck_assert_uint_lt(remaining, 1000);
    expect_prefix(remaining);
    disk_fixture_deinit(&fixture);
}
END_TEST

START_TEST(a_full_disk_ends_writing_and_loses_nothing_synced)
{
    disk_fixture_init(&fixture, DISK_KIND_LOG);
    disk_fixture_close(&fixture);
    int synced = play("full_disk", fixture.path);
    ck_assert_int_lt(synced, 200);
    ck_assert_int_gt(synced, 10);
    disk_fixture_reopen(&fixture);
    uint32_t remaining = read_contents().newest;
    ck_assert_uint_ge(remaining, (uint32_t)synced);
    ck_assert_uint_le(remaining, (uint32_t)synced + 1);
    expect_prefix(remaining);
    disk_fixture_deinit(&fixture);
}
END_TEST

START_TEST(a_destroyed_database_is_gone)
{
    disk_fixture_init(&fixture, (enum disk_kind)_i);
    write_numbers(1, 100);
    ck_assert_int_eq(disk_flush(fixture.disk), 0);
    disk_fixture_close(&fixture);
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/CURRENT", fixture.path);
    ck_assert_int_eq(unlink(path), 0);
    struct reason reason = {0};
    ck_assert_int_eq(disk_rocksdb_destroy(fixture.path, &reason), 0);
    disk_fixture_reopen(&fixture);
    expect_prefix(0);
    disk_fixture_deinit(&fixture);
}
END_TEST

static void suite_add_loop(Suite *suite, const TTest *test, int first, int end)
{
    TCase *test_case = tcase_create(test->name);
    tcase_set_timeout(test_case, 60);
    tcase_add_loop_test(test_case, test, first, end);
    suite_add_tcase(suite, test_case);
}

int main(int argc, char **argv)
{
    if (argc == 3) {
        _exit(run_scene(argv[1], argv[2])); // a crash closes nothing
    }
    Suite *suite = suite_create("disk_rocksdb");
    suite_add(suite, a_second_opening_is_refused);
    suite_add(suite, families_of_a_newer_version_are_refused);
    suite_add(suite, a_directory_that_cannot_be_made_is_refused);
    suite_add(suite, without_CURRENT_nothing_is_deleted);
    suite_add(suite, its_own_log_stays_empty);
    suite_add_loop(suite, damage_to_the_newest_log_of_writes, 0, DAMAGE_KINDS);
    suite_add(suite, an_older_log_of_writes_cut_short_leaves_a_hole_unnoticed);
    suite_add(suite, an_older_log_of_writes_with_a_flipped_bit_is_refused);
    suite_add(suite, an_older_log_of_writes_with_garbage_behind_it_is_refused);
    suite_add_loop(suite, a_damaged_table_is_an_error_and_not_the_end, DISK_KIND_LOG, DISK_KINDS);
    suite_add(suite, the_index_is_durable_by_flushing);
    suite_add(suite, the_index_goes_back_to_a_prefix_of_its_batches);
    suite_add(suite, a_full_disk_ends_writing_and_loses_nothing_synced);
    suite_add_loop(suite, a_destroyed_database_is_gone, DISK_KIND_LOG, DISK_KINDS);
    return check_main(suite);
}
