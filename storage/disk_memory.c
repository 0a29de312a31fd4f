// A versioned map per family, each version under the number of the batch that wrote it. Everything
// else follows from those numbers: an iterator remembers the number of the moment it was opened, a
// sync remembers the newest number, and a crash forgets the versions above the number it goes back
// to. Versions that neither a crash nor an open iterator can reach are freed when their key is
// written again. Keys stay in the map while a handle is open, so iterators may point at them.
// One mutex around everything: this disk is for tests, where right comes before fast.

#include "storage/disk_memory.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include "storage/versioned_map.h"

struct disk_medium {
    pthread_mutex_t mutex;
    struct versioned_map families[DISK_FAMILIES_MAX];
    uint64_t written; // number of the last batch
    uint64_t synced;
    uint64_t certain; // a failed sync has lost what is above; UINT64_MAX: nothing is lost
    uint64_t free_bytes;
    struct version *removed; // by damage, perhaps still in an iterator's view
    uint64_t faults_in[DISK_FAULT_READ + 1];
    bool fault_survives[DISK_FAULT_READ + 1];
    struct memory_disk *disk; // open over it
};

struct memory_disk {
    struct disk disk;
    struct disk_medium *medium;
    unsigned families;
    bool has_failed; // after a failed write or sync no other is accepted, as on the real disk
    struct memory_iterator *iterators;
};

struct memory_batch {
    struct disk_batch batch;
    struct buffer entries; // struct entry, key, value; back to back
    bool has_failed;
};

struct entry {
    unsigned family;
    bool is_deletion;
    size_t key_length;
    size_t value_length;
};

struct memory_iterator {
    struct disk_iterator iterator;
    struct memory_iterator *next, *previous; // of the open ones
    struct versioned_map *family;
    uint64_t number; // what it sees
    struct versioned_key *key;
    struct version *version;
    int status;
};

static struct memory_disk *disk_of(struct disk *disk)
{
    return (struct memory_disk *)disk;
}

static struct disk_medium *medium_of(const struct disk_iterator *iterator)
{
    return disk_of(iterator->disk)->medium;
}

static void medium_lock(struct disk_medium *medium)
{
    int result = pthread_mutex_lock(&medium->mutex);
    assert(result == 0);
}

static void medium_unlock(struct disk_medium *medium)
{
    int result = pthread_mutex_unlock(&medium->mutex);
    assert(result == 0);
}

// --- The medium

struct disk_medium *disk_medium_new(void)
{
    struct disk_medium *medium = calloc(1, sizeof *medium);
    if (!medium) {
        return NULL;
    }
    int result = pthread_mutex_init(&medium->mutex, NULL);
    assert(result == 0);
    medium->free_bytes = UINT64_MAX;
    medium->certain = UINT64_MAX;
    return medium;
}

// Goes back to `number`: what is above it never happened.
static void medium_go_back(struct disk_medium *medium, uint64_t number)
{
    assert(!medium->disk);
    versions_free(medium->removed);
    medium->removed = NULL;
    for (unsigned family = 0; family < DISK_FAMILIES_MAX; family++) {
        struct versioned_map *map = &medium->families[family];
        for (struct versioned_key *key = map->head[0]; key; key = key->next[0]) {
            versioned_map_forget_new(map, key, number);
            versioned_map_forget_old(map, key, medium->synced < number ? medium->synced : number);
        }
        versioned_map_purge(map, medium->synced < number ? medium->synced : number);
    }
    medium->written = number;
}

void disk_medium_free(struct disk_medium *medium)
{
    if (!medium) {
        return;
    }
    assert(!medium->disk);
    versions_free(medium->removed);
    for (unsigned family = 0; family < DISK_FAMILIES_MAX; family++) {
        versioned_map_deinit(&medium->families[family]);
    }
    pthread_mutex_destroy(&medium->mutex);
    free(medium);
}

size_t disk_medium_unsynced(const struct disk_medium *medium)
{
    struct disk_medium *mutable = (struct disk_medium *)(uintptr_t)medium;
    medium_lock(mutable);
    size_t unsynced = medium->written - medium->synced;
    medium_unlock(mutable);
    return unsynced;
}

void disk_medium_crash(struct disk_medium *medium, size_t dropped)
{
    medium_lock(medium);
    assert(!medium->disk);
    assert(dropped <= medium->written - medium->synced);
    uint64_t number = medium->written - dropped;
    if (number > medium->certain) {
        number = medium->certain;
    }
    medium_go_back(medium, number);
    medium->synced = number;
    medium->certain = UINT64_MAX;
    medium_unlock(medium);
}

void disk_medium_fail(struct disk_medium *medium, enum disk_fault fault, uint64_t nth,
                      bool survives)
{
    assert((unsigned)fault <= DISK_FAULT_READ);
    medium_lock(medium);
    medium->faults_in[fault] = nth;
    medium->fault_survives[fault] = survives;
    medium_unlock(medium);
}

static bool medium_fails_now(struct disk_medium *medium, enum disk_fault fault)
{
    return medium->faults_in[fault] > 0 && --medium->faults_in[fault] == 0;
}

int disk_medium_flip(struct disk_medium *medium, unsigned family, struct bytes key, size_t bit)
{
    assert(family < DISK_FAMILIES_MAX);
    medium_lock(medium);
    struct versioned_key *found = versioned_map_find(&medium->families[family], key);
    struct version *version = found ? versioned_key_at(found, medium->written) : NULL;
    if (version) {
        assert(bit / 8 < version->length);
        version->value[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    medium_unlock(medium);
    return version ? 0 : DISK_NOT_FOUND;
}

int disk_medium_remove(struct disk_medium *medium, unsigned family, struct bytes key)
{
    assert(family < DISK_FAMILIES_MAX);
    medium_lock(medium);
    struct versioned_map *map = &medium->families[family];
    struct versioned_key *found = versioned_map_find(map, key);
    bool is_there = found && versioned_key_at(found, medium->written);
    struct version *stolen = is_there ? versioned_map_steal(map, found) : NULL;
    while (stolen) {
        struct version *older = stolen->older;
        stolen->older = medium->removed;
        medium->removed = stolen;
        stolen = older;
    }
    medium_unlock(medium);
    return is_there ? 0 : DISK_NOT_FOUND;
}

void disk_medium_set_free(struct disk_medium *medium, uint64_t bytes)
{
    medium_lock(medium);
    medium->free_bytes = bytes;
    medium_unlock(medium);
}

// --- Batches

static struct disk_batch *memory_batch_new(struct disk *disk)
{
    struct memory_batch *batch = calloc(1, sizeof *batch);
    if (!batch) {
        return NULL;
    }
    batch->batch.disk = disk;
    return &batch->batch;
}

static void memory_batch_free(struct disk_batch *base)
{
    struct memory_batch *batch = (struct memory_batch *)base;
    buffer_deinit(&batch->entries);
    free(batch);
}

static void memory_batch_clear(struct disk_batch *base)
{
    struct memory_batch *batch = (struct memory_batch *)base;
    buffer_clear(&batch->entries);
    batch->has_failed = false;
}

static void batch_add(struct disk_batch *base, struct entry entry, struct bytes key,
                      struct bytes value)
{
    struct memory_batch *batch = (struct memory_batch *)base;
    assert(entry.family < disk_of(base->disk)->families);
    entry.key_length = key.length;
    entry.value_length = value.length;
    batch->has_failed |=
        buffer_reserve(&batch->entries, sizeof entry + key.length + value.length) != 0;
    if (!batch->has_failed) {
        int result = buffer_append(&batch->entries, bytes_of(&entry, sizeof entry));
        result = result ? result : buffer_append(&batch->entries, key);
        result = result ? result : buffer_append(&batch->entries, value);
        assert(result == 0);
    }
}

static void memory_batch_put(struct disk_batch *batch, unsigned family, struct bytes key,
                             struct bytes value)
{
    batch_add(batch, (struct entry){.family = family}, key, value);
}

static void memory_batch_delete(struct disk_batch *batch, unsigned family, struct bytes key)
{
    batch_add(batch, (struct entry){.family = family, .is_deletion = true}, key, bytes_of(NULL, 0));
}

static size_t memory_batch_bytes(const struct disk_batch *base)
{
    return ((const struct memory_batch *)base)->entries.length;
}

static struct version *version_new(struct versioned_key *key, const struct entry *entry,
                                   const uint8_t *value)
{
    struct version *version = key ? malloc(sizeof *version + entry->value_length) : NULL;
    if (!version) {
        return NULL;
    }
    *version = (struct version){.key = key,
                                .family = entry->family,
                                .is_deletion = entry->is_deletion,
                                .length = entry->value_length};
    if (entry->value_length > 0) {
        memcpy(version->value, value, entry->value_length);
    }
    return version;
}

// All memory is found before anything becomes visible: a batch is all or nothing. Newest first.
static int batch_prepare(struct disk_medium *medium, const struct memory_batch *batch,
                         struct version **prepared_out)
{
    struct version *prepared = NULL;
    size_t at = 0;
    while (at < batch->entries.length) {
        struct entry entry;
        memcpy(&entry, batch->entries.data + at, sizeof entry);
        const uint8_t *key = batch->entries.data + at + sizeof entry;
        struct version *version = version_new(
            versioned_map_insert(&medium->families[entry.family], bytes_of(key, entry.key_length)),
            &entry, key + entry.key_length);
        if (!version) {
            versions_free(prepared);
            return ERR_MEMORY;
        }
        version->older = prepared;
        prepared = version;
        at += sizeof entry + entry.key_length + entry.value_length;
    }
    *prepared_out = prepared;
    return 0;
}

static uint64_t oldest_needed(const struct memory_disk *disk)
{
    uint64_t oldest = disk->medium->synced;
    for (struct memory_iterator *iterator = disk->iterators; iterator; iterator = iterator->next) {
        oldest = iterator->number < oldest ? iterator->number : oldest;
    }
    return oldest;
}

static void batch_apply(struct memory_disk *disk, struct version *prepared)
{
    struct disk_medium *medium = disk->medium;
    struct version *in_order = NULL;
    while (prepared) {
        struct version *version = prepared;
        prepared = version->older;
        version->older = in_order;
        in_order = version;
    }
    medium->written++;
    uint64_t oldest = oldest_needed(disk);
    while (in_order) {
        struct version *version = in_order;
        struct versioned_map *map = &medium->families[version->family];
        in_order = version->older;
        version->number = medium->written;
        versioned_map_take(map, version);
        versioned_map_forget_old(map, version->key, oldest);
    }
}

static int memory_write(struct disk *base, struct disk_batch *batch_base)
{
    struct memory_disk *disk = disk_of(base);
    struct disk_medium *medium = disk->medium;
    struct memory_batch *batch = (struct memory_batch *)batch_base;
    struct version *prepared = NULL;
    if (batch->has_failed) {
        return ERR_MEMORY;
    }
    medium_lock(medium);
    int result = disk->has_failed ? ERR_IO : batch_prepare(medium, batch, &prepared);
    if (result == 0) {
        bool fails = medium_fails_now(medium, DISK_FAULT_WRITE);
        if (!fails || medium->fault_survives[DISK_FAULT_WRITE]) {
            batch_apply(disk, prepared);
        } else {
            versions_free(prepared);
        }
        disk->has_failed = fails;
        result = fails ? ERR_IO : 0;
    }
    medium_unlock(medium);
    return result;
}

static int memory_sync(struct disk *base)
{
    struct memory_disk *disk = disk_of(base);
    struct disk_medium *medium = disk->medium;
    medium_lock(medium);
    if (!disk->has_failed) {
        disk->has_failed = medium_fails_now(medium, DISK_FAULT_SYNC);
        if (!disk->has_failed || medium->fault_survives[DISK_FAULT_SYNC]) {
            medium->synced = medium->written;
        } else {
            medium->certain = medium->synced;
        }
    }
    int result = disk->has_failed ? ERR_IO : 0;
    medium_unlock(medium);
    return result;
}

// --- Reading

static int memory_get(struct disk *base, unsigned family, struct bytes key, struct buffer *value)
{
    struct memory_disk *disk = disk_of(base);
    struct disk_medium *medium = disk->medium;
    assert(family < disk->families);
    medium_lock(medium);
    int result = medium_fails_now(medium, DISK_FAULT_READ) ? ERR_IO : DISK_NOT_FOUND;
    struct versioned_key *found = versioned_map_find(&medium->families[family], key);
    struct version *version = found ? versioned_key_at(found, medium->written) : NULL;
    if (result == DISK_NOT_FOUND && version) {
        result = buffer_append(value, bytes_of(version->value, version->length));
    }
    medium_unlock(medium);
    return result;
}

static int memory_iterator_open(struct disk *base, unsigned family, enum disk_read_pattern pattern,
                                struct disk_iterator **iterator_out)
{
    struct memory_disk *disk = disk_of(base);
    assert(family < disk->families);
    struct memory_iterator *iterator = calloc(1, sizeof *iterator);
    if (!iterator) {
        return ERR_MEMORY;
    }
    iterator->iterator.disk = base;
    iterator->family = &disk->medium->families[family];
    medium_lock(disk->medium);
    iterator->number = disk->medium->written;
    iterator->next = disk->iterators;
    if (iterator->next) {
        iterator->next->previous = iterator;
    }
    disk->iterators = iterator;
    medium_unlock(disk->medium);
    *iterator_out = &iterator->iterator;
    return 0;
}

static void memory_iterator_close(struct disk_iterator *base)
{
    struct memory_iterator *iterator = (struct memory_iterator *)base;
    struct disk_medium *medium = medium_of(base);
    medium_lock(medium);
    if (iterator->previous) {
        iterator->previous->next = iterator->next;
    } else {
        disk_of(base->disk)->iterators = iterator->next;
    }
    if (iterator->next) {
        iterator->next->previous = iterator->previous;
    }
    medium_unlock(medium);
    free(iterator);
}

static bool iterator_begin_move(struct memory_iterator *iterator)
{
    struct disk_medium *medium = medium_of(&iterator->iterator);
    medium_lock(medium);
    iterator->version = NULL;
    iterator->status = medium_fails_now(medium, DISK_FAULT_READ) ? ERR_IO : 0;
    return iterator->status == 0;
}

static void iterator_end_move(struct memory_iterator *iterator)
{
    medium_unlock(medium_of(&iterator->iterator));
}

// Settles on the first key from `key` on that this iterator sees.
static void iterator_settle_forward(struct memory_iterator *iterator, struct versioned_key *key)
{
    while (key && !versioned_key_at(key, iterator->number)) {
        key = key->next[0];
    }
    iterator->key = key;
    iterator->version = key ? versioned_key_at(key, iterator->number) : NULL;
}

static void iterator_settle_backward(struct memory_iterator *iterator, struct versioned_key *key)
{
    while (key && !versioned_key_at(key, iterator->number)) {
        key = versioned_map_below(iterator->family, versioned_key_bytes(key));
    }
    iterator->key = key;
    iterator->version = key ? versioned_key_at(key, iterator->number) : NULL;
}

static void memory_iterator_seek(struct disk_iterator *base, struct bytes key)
{
    struct memory_iterator *iterator = (struct memory_iterator *)base;
    if (iterator_begin_move(iterator)) {
        iterator_settle_forward(iterator, versioned_map_from(iterator->family, key));
    }
    iterator_end_move(iterator);
}

static void memory_iterator_seek_for_prev(struct disk_iterator *base, struct bytes key)
{
    struct memory_iterator *iterator = (struct memory_iterator *)base;
    if (iterator_begin_move(iterator)) {
        struct versioned_key *exact = versioned_map_find(iterator->family, key);
        iterator_settle_backward(iterator,
                                 exact ? exact : versioned_map_below(iterator->family, key));
    }
    iterator_end_move(iterator);
}

static void memory_iterator_seek_to_last(struct disk_iterator *base)
{
    struct memory_iterator *iterator = (struct memory_iterator *)base;
    if (iterator_begin_move(iterator)) {
        iterator_settle_backward(iterator, versioned_map_last(iterator->family));
    }
    iterator_end_move(iterator);
}

static void memory_iterator_next(struct disk_iterator *base)
{
    struct memory_iterator *iterator = (struct memory_iterator *)base;
    if (iterator_begin_move(iterator)) {
        iterator_settle_forward(iterator, iterator->key->next[0]);
    }
    iterator_end_move(iterator);
}

static void memory_iterator_previous(struct disk_iterator *base)
{
    struct memory_iterator *iterator = (struct memory_iterator *)base;
    if (iterator_begin_move(iterator)) {
        struct bytes key = versioned_key_bytes(iterator->key);
        iterator_settle_backward(iterator, versioned_map_below(iterator->family, key));
    }
    iterator_end_move(iterator);
}

static bool memory_iterator_is_valid(const struct disk_iterator *base)
{
    return ((const struct memory_iterator *)base)->version != NULL;
}

static struct bytes memory_iterator_key(const struct disk_iterator *base)
{
    return versioned_key_bytes(((const struct memory_iterator *)base)->key);
}

static struct bytes memory_iterator_value(const struct disk_iterator *base)
{
    const struct version *version = ((const struct memory_iterator *)base)->version;
    return bytes_of(version->value, version->length);
}

static int memory_iterator_status(const struct disk_iterator *base)
{
    return ((const struct memory_iterator *)base)->status;
}

// --- The rest

static uint64_t memory_used_bytes(struct disk *disk)
{
    struct disk_medium *medium = disk_of(disk)->medium;
    medium_lock(medium);
    uint64_t bytes = 0;
    for (unsigned family = 0; family < DISK_FAMILIES_MAX; family++) {
        bytes += medium->families[family].used_bytes;
    }
    medium_unlock(medium);
    return bytes;
}

static uint64_t memory_free_bytes(struct disk *disk)
{
    struct disk_medium *medium = disk_of(disk)->medium;
    medium_lock(medium);
    uint64_t bytes = medium->free_bytes;
    medium_unlock(medium);
    return bytes;
}

static void memory_close(struct disk *base)
{
    struct memory_disk *disk = disk_of(base);
    assert(!disk->iterators);
    medium_lock(disk->medium);
    disk->medium->disk = NULL;
    medium_unlock(disk->medium);
    free(disk);
}

static const struct disk_ops MEMORY_OPS = {
    .name = "memory",
    .batch_new = memory_batch_new,
    .batch_free = memory_batch_free,
    .batch_clear = memory_batch_clear,
    .batch_put = memory_batch_put,
    .batch_delete = memory_batch_delete,
    .batch_bytes = memory_batch_bytes,
    .write = memory_write,
    .sync = memory_sync,
    .get = memory_get,
    .iterator_open = memory_iterator_open,
    .iterator_close = memory_iterator_close,
    .iterator_seek = memory_iterator_seek,
    .iterator_seek_for_prev = memory_iterator_seek_for_prev,
    .iterator_seek_to_last = memory_iterator_seek_to_last,
    .iterator_next = memory_iterator_next,
    .iterator_previous = memory_iterator_previous,
    .iterator_is_valid = memory_iterator_is_valid,
    .iterator_key = memory_iterator_key,
    .iterator_value = memory_iterator_value,
    .iterator_status = memory_iterator_status,
    .flush = memory_sync,
    .used_bytes = memory_used_bytes,
    .free_bytes = memory_free_bytes,
    .memory_bytes = memory_used_bytes,
    .close = memory_close,
};

int disk_memory_open(struct disk_medium *medium, unsigned families, struct disk **disk_out)
{
    assert(families > 0 && families <= DISK_FAMILIES_MAX);
    struct memory_disk *disk = calloc(1, sizeof *disk);
    if (!disk) {
        return ERR_MEMORY;
    }
    disk->disk.ops = &MEMORY_OPS;
    disk->medium = medium;
    disk->families = families;
    medium_lock(medium);
    if (medium->certain < medium->written) {
        medium_go_back(medium, medium->certain); // a failed sync has lost the rest
    }
    medium->certain = UINT64_MAX;
    assert(!medium->disk);
    medium->disk = disk;
    medium_unlock(medium);
    *disk_out = &disk->disk;
    return 0;
}
