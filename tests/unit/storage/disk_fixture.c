// Temporary directories are made below TMPDIR and removed with everything in them.

#include "tests/unit/storage/disk_fixture.h"

#include <check.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "proto/base/limits.h"

static const char *const FAMILY_NAMES[FIXTURE_FAMILIES] = {"chunks", "strands", "arrivals", "meta"};

struct disk_rocksdb_config disk_fixture_config(enum disk_kind kind, const char *path)
{
    return (struct disk_rocksdb_config){
        .path = path,
        .families = FAMILY_NAMES,
        .families_count = FIXTURE_FAMILIES,
        .has_write_log = kind == DISK_KIND_LOG,
        .block_cache_bytes = 1 * MIB,
        .write_buffer_bytes = 512 * KIB,
        .scan_family_mask = 1,
    };
}

int disk_fixture_open(struct disk_fixture *fixture, bool drop_torn_log, struct reason *reason)
{
    ck_assert_ptr_null(fixture->disk);
    if (fixture->kind == DISK_KIND_MEMORY) {
        return disk_memory_open(fixture->medium, FIXTURE_FAMILIES, &fixture->disk);
    }
    struct disk_rocksdb_config config = disk_fixture_config(fixture->kind, fixture->path);
    config.drop_torn_log = drop_torn_log;
    return disk_rocksdb_open(&config, &fixture->disk, reason);
}

void disk_fixture_close(struct disk_fixture *fixture)
{
    disk_close(fixture->disk);
    fixture->disk = NULL;
}

void disk_fixture_reopen(struct disk_fixture *fixture)
{
    disk_fixture_close(fixture);
    struct reason reason = {0};
    int result = disk_fixture_open(fixture, false, &reason);
    ck_assert_msg(result == 0, "%d: %s", result, reason.text);
}

void disk_fixture_init(struct disk_fixture *fixture, enum disk_kind kind)
{
    *fixture = (struct disk_fixture){.kind = kind};
    if (kind == DISK_KIND_MEMORY) {
        fixture->medium = disk_medium_new();
        ck_assert_ptr_nonnull(fixture->medium);
    } else {
        const char *root = getenv("TMPDIR");
        int length = snprintf(fixture->path, sizeof fixture->path, "%s/weir-disk-XXXXXX",
                              root ? root : "/tmp");
        ck_assert_uint_lt((size_t)length + sizeof "/db", sizeof fixture->path);
        ck_assert_ptr_nonnull(mkdtemp(fixture->path));
        memcpy(fixture->path + length, "/db", sizeof "/db");
    }
    disk_fixture_reopen(fixture);
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    return remove(path);
}

void disk_fixture_deinit(struct disk_fixture *fixture)
{
    disk_fixture_close(fixture);
    if (fixture->kind == DISK_KIND_MEMORY) {
        disk_medium_free(fixture->medium);
        return;
    }
    fixture->path[strlen(fixture->path) - strlen("/db")] = '\0';
    ck_assert_int_eq(nftw(fixture->path, remove_entry, 16, FTW_DEPTH | FTW_PHYS), 0);
}

void disk_fixture_put(struct disk *disk, unsigned family, const char *key, const char *value)
{
    struct disk_batch *batch = disk_batch_new(disk);
    disk_batch_put(batch, family, bytes_of_text(key), bytes_of_text(value));
    ck_assert_int_eq(disk_write(disk, batch), 0);
    disk_batch_free(batch);
}

void disk_fixture_expect(struct disk *disk, unsigned family, const char *expected)
{
    struct disk_iterator *iterator;
    ck_assert_int_eq(disk_iterator_open(disk, family, DISK_READ_SCAN, &iterator), 0);
    char text[1024] = "";
    size_t length = 0;
    disk_iterator_seek(iterator, bytes_of("", 0));
    for (; disk_iterator_is_valid(iterator); disk_iterator_next(iterator)) {
        struct bytes key = disk_iterator_key(iterator);
        struct bytes value = disk_iterator_value(iterator);
        length += (size_t)snprintf(text + length, sizeof text - length, "%s%.*s=%.*s",
                                   length > 0 ? " " : "", (int)key.length, (const char *)key.data,
                                   (int)value.length, (const char *)value.data);
        ck_assert_uint_lt(length, sizeof text);
    }
    ck_assert_int_eq(disk_iterator_status(iterator), 0);
    disk_iterator_close(iterator);
    ck_assert_str_eq(text, expected);
}
