// The model answers by looking at every event: slow and plainly right. Names are spread over a few
// folders, so that patterns match some of them; a few names have most of the events.

#include "tests/unit/storage/index_fixture.h"

#include "proto/base/limits.h"
#include "storage/disk_rocksdb.h"
#include "tests/unit/check_main.h"

void index_fixture_init(struct index_fixture *fixture, uint64_t seed)
{
    *fixture = (struct index_fixture){
        .names_count = 600,
        .events_per_chunk_max = CHUNK_EVENTS_MAX,
        .jump_max = 3000,
        .part_events = 1000,
        .memory_bytes_max = (uint64_t)16 << 20,
        .now_ms = 1700000000000,
    };
    random_init(&fixture->random, seed);
    fixture->medium = disk_medium_new();
    ck_assert_ptr_nonnull(fixture->medium);
}

static void open_database(struct index_fixture *fixture)
{
    struct reason reason = {0};
    struct disk_rocksdb_config config = {
        .path = fixture->path,
        .families = INDEX_FAMILY_NAMES,
        .families_count = INDEX_FAMILIES,
        .block_cache_bytes = 4 * MIB,
        .write_buffer_bytes = 4 * MIB,
    };
    ck_assert_msg(disk_rocksdb_open(&config, &fixture->disk, &reason) == 0, "%s", reason.text);
}

void index_fixture_open(struct index_fixture *fixture)
{
    if (fixture->path) {
        open_database(fixture);
    } else {
        ck_assert_int_eq(disk_memory_open(fixture->medium, INDEX_FAMILIES, &fixture->disk), 0);
    }
    ck_assert_int_eq(index_open(fixture->disk, fixture->memory_bytes_max, 7, &fixture->index,
                                &fixture->was_reset),
                     0);
    fixture->index->part_events_min = fixture->part_events / 2;
    fixture->index->part_events_max = fixture->part_events;
}

void index_fixture_close(struct index_fixture *fixture)
{
    index_close(fixture->index);
    disk_close(fixture->disk);
    fixture->index = NULL;
    fixture->disk = NULL;
}

void index_fixture_crash(struct index_fixture *fixture, size_t dropped)
{
    index_fixture_close(fixture);
    disk_medium_crash(fixture->medium, dropped);
    index_fixture_open(fixture);
}

void index_fixture_deinit(struct index_fixture *fixture)
{
    index_fixture_close(fixture);
    disk_medium_free(fixture->medium);
    for (size_t i = 0; i < fixture->chunks_count; i++) {
        buffer_deinit(&fixture->chunks[i].body);
    }
    free(fixture->chunks);
}

const char *index_fixture_name(unsigned name)
{
    static const char *const FOLDERS[] = {"/a", "/a/b", "/b", "/$weir", "c", "/a/.hidden"};
    static char text[64];
    snprintf(text, sizeof text, "%s/n%u", FOLDERS[name % 6], name);
    return text;
}

static struct index_chunk *chunk_new(struct index_fixture *fixture)
{
    if (fixture->chunks_count == fixture->chunks_capacity) {
        fixture->chunks_capacity = fixture->chunks_capacity * 2 + 64;
        fixture->chunks =
            realloc(fixture->chunks, fixture->chunks_capacity * sizeof *fixture->chunks);
        ck_assert_ptr_nonnull(fixture->chunks);
    }
    struct index_chunk *chunk = &fixture->chunks[fixture->chunks_count++];
    *chunk = (struct index_chunk){0};
    return chunk;
}

void index_fixture_make_chunk(struct index_fixture *fixture, uint16_t actor, uint64_t counter,
                              const uint16_t *names, uint16_t count)
{
    static const uint8_t DATA[300];
    struct index_chunk *chunk = chunk_new(fixture);
    uint64_t *last = &fixture->counters[actor - 1];
    uint64_t first = counter > *last + 1 ? counter : *last + 1;
    fixture->now_ms += random_below(&fixture->random, 5);
    chunk->header = (struct chunk_header){
        .actor = actor,
        .count = count,
        .first = first,
        .prev = *last,
        .timestamp_ms = fixture->now_ms - random_below(&fixture->random, 100),
    };
    for (uint16_t i = 0; i < count; i++) {
        size_t before = chunk->body.length;
        struct bytes data = bytes_of(DATA, random_below(&fixture->random, sizeof DATA));
        struct bytes name = bytes_of_text(index_fixture_name(names[i]));
        ck_assert_int_eq(event_append(&chunk->body, name, data, bytes_of(NULL, 0)), 0);
        chunk->names[i] = names[i];
        chunk->bytes[i] = (uint32_t)(chunk->body.length - before);
    }
    *last = chunk_last(&chunk->header);
}

void index_fixture_make(struct index_fixture *fixture, size_t count)
{
    struct random *random = &fixture->random;
    for (size_t i = 0; i < count; i++) {
        uint16_t names[CHUNK_EVENTS_MAX];
        uint16_t events = (uint16_t)(1 + random_below(random, fixture->events_per_chunk_max));
        uint16_t actor = (uint16_t)(1 + random_below(random, INDEX_ACTORS));
        bool is_batch = random_below(random, 4) == 0;
        for (uint16_t j = 0; j < events; j++) {
            uint64_t range = random_below(random, 3) ? 6 : fixture->names_count;
            bool repeats = is_batch && j > 0;
            names[j] = repeats ? names[j - 1] : (uint16_t)random_below(random, range);
        }
        uint64_t highest = 0;
        for (size_t j = 0; j < INDEX_ACTORS; j++) {
            highest = fixture->counters[j] > highest ? fixture->counters[j] : highest;
        }
        uint64_t jump = random_below(random, 8) ? 0 : random_below(random, fixture->jump_max + 1);
        bool is_late = actor > 1 && random_below(random, 3) > 0;
        index_fixture_make_chunk(fixture, actor, is_late ? 0 : highest + 1 + jump, names, events);
    }
}

int index_fixture_add(struct index_fixture *fixture, size_t count)
{
    struct index *index = fixture->index;
    for (size_t i = 0; i < count; i++) {
        uint64_t ordinal = index_added_ordinal(index) + 1;
        if (ordinal > fixture->chunks_count) {
            break;
        }
        struct index_chunk *chunk = &fixture->chunks[ordinal - 1];
        int err = index_add(index, ordinal, &chunk->header, buffer_bytes(&chunk->body));
        if (!err && index_wants_flush(index)) {
            err = index_flush(index, random_below(&fixture->random, 4) == 0);
        }
        if (err) {
            return err;
        }
    }
    return 0;
}

void index_fixture_catch_up(struct index_fixture *fixture)
{
    ck_assert_int_eq(index_fixture_add(fixture, SIZE_MAX), 0);
    ck_assert_int_eq(index_flush(fixture->index, false), 0);
    ck_assert_uint_eq(index_ordinal(fixture->index), fixture->chunks_count);
}

size_t index_fixture_visible(const struct index_fixture *fixture)
{
    return index_ordinal(fixture->index);
}

struct filter *index_fixture_filter(const char *const *patterns, size_t count)
{
    struct filter_entry entries[PATTERNS_MAX];
    struct filter *filter;
    struct reason reason = {0};
    for (size_t i = 0; i < count; i++) {
        entries[i] = (struct filter_entry){.text = bytes_of_text(patterns[i])};
    }
    ck_assert_msg(filter_new(entries, count, &filter, &reason) == 0, "%s", reason.text);
    return filter;
}

struct filter *index_fixture_random_filter(struct index_fixture *fixture)
{
    static const char *const PATTERNS[] = {"/a/**", "/a/*",  "/b/n1*", "**/n7",   "/$weir/*",
                                           "c/*",   "/**/*", "/none",  "/a/b/n?1"};
    char names[4][64];
    const char *patterns[4];
    size_t count = 1 + random_below(&fixture->random, 4);
    for (size_t i = 0; i < count; i++) {
        if (random_below(&fixture->random, 2)) {
            unsigned name = (unsigned)random_below(&fixture->random, fixture->names_count + 9);
            snprintf(names[i], sizeof names[i], "%s", index_fixture_name(name));
            patterns[i] = names[i];
        } else {
            patterns[i] = PATTERNS[random_below(&fixture->random, 9)];
        }
    }
    return index_fixture_filter(patterns, count);
}

// --- Hits --------------------------------------------------------------------------------------

struct expected_hits {
    struct index_hit *hits;
    size_t count;
};

static int compare_hits(const void *a, const void *b)
{
    return index_hit_compare(a, b);
}

static struct expected_hits expect_hits(struct index_fixture *fixture, struct filter *filter)
{
    struct expected_hits expected = {0};
    size_t visible = index_fixture_visible(fixture);
    bool matches[INDEX_NAMES_MAX];
    for (unsigned i = 0; i < fixture->names_count; i++) {
        matches[i] = filter_matches(filter, bytes_of_text(index_fixture_name(i)));
    }
    expected.hits = calloc(visible + 1, sizeof *expected.hits);
    for (size_t i = 0; i < visible; i++) {
        const struct index_chunk *chunk = &fixture->chunks[i];
        struct index_hit hit = {.first = chunk->header.first, .actor = chunk->header.actor};
        for (uint16_t j = 0; j < chunk->header.count; j++) {
            hit.positions |= (uint64_t)matches[chunk->names[j]] << j;
        }
        if (hit.positions) {
            expected.hits[expected.count++] = hit;
        }
    }
    qsort(expected.hits, expected.count, sizeof *expected.hits, compare_hits);
    return expected;
}

static void check_hit(const struct index_hit *found, const struct index_hit *expected)
{
    ck_assert_uint_eq(found->first, expected->first);
    ck_assert_uint_eq(found->actor, expected->actor);
    ck_assert_uint_eq(found->positions, expected->positions);
}

static void check_forward(struct index_cursor *cursor, const struct expected_hits *expected,
                          uint64_t first)
{
    struct index_hit hit;
    ck_assert_int_eq(index_cursor_seek(cursor, first), 0);
    for (size_t i = 0; i < expected->count; i++) {
        if (expected->hits[i].first >= first) {
            ck_assert_int_eq(index_cursor_next(cursor, &hit), 0);
            check_hit(&hit, &expected->hits[i]);
        }
    }
    ck_assert_int_eq(index_cursor_next(cursor, &hit), INDEX_END);
    ck_assert_int_eq(index_cursor_next(cursor, &hit), INDEX_END);
}

static void check_backward(struct index_cursor *cursor, const struct expected_hits *expected,
                           uint64_t first)
{
    struct index_hit hit;
    ck_assert_int_eq(index_cursor_seek_backward(cursor, first), 0);
    for (size_t i = expected->count; i-- > 0;) {
        if (expected->hits[i].first <= first) {
            ck_assert_int_eq(index_cursor_previous(cursor, &hit), 0);
            check_hit(&hit, &expected->hits[i]);
        }
    }
    ck_assert_int_eq(index_cursor_previous(cursor, &hit), INDEX_END);
}

static void check_watermark(struct index_fixture *fixture, const struct version_vector *watermark)
{
    struct version_vector expected = {0};
    for (size_t i = 0; i < index_fixture_visible(fixture); i++) {
        const struct chunk_header *header = &fixture->chunks[i].header;
        ck_assert_int_eq(version_vector_raise(&expected, header->actor, chunk_last(header)), 0);
    }
    ck_assert(version_vector_equal(&expected, watermark));
    version_vector_deinit(&expected);
}

void index_fixture_check_hits(struct index_fixture *fixture, struct filter *filter, uint64_t first)
{
    struct index_cursor *cursor;
    struct version_vector watermark = {0};
    struct expected_hits expected = expect_hits(fixture, filter);
    ck_assert_int_eq(index_cursor_open_merging(fixture->index, filter, &cursor, &watermark), 0);
    check_watermark(fixture, &watermark);
    check_forward(cursor, &expected, first);
    check_backward(cursor, &expected, first);
    index_cursor_close(cursor);
    version_vector_deinit(&watermark);
    free(expected.hits);
}

// --- Names -------------------------------------------------------------------------------------

static struct posting_totals *expect_totals(struct index_fixture *fixture)
{
    struct posting_totals *totals = calloc(fixture->names_count, sizeof *totals);
    for (size_t i = 0; i < index_fixture_visible(fixture); i++) {
        const struct index_chunk *chunk = &fixture->chunks[i];
        for (uint16_t j = 0; j < chunk->header.count; j++) {
            struct event_id id = {chunk->header.first + j, chunk->header.actor};
            struct posting_totals *of = &totals[chunk->names[j]];
            if (of->events == 0 || event_id_compare(id, of->first) < 0) {
                of->first = id;
                of->first_timestamp_ms = chunk->header.timestamp_ms;
            }
            if (of->events == 0 || event_id_compare(id, of->last) > 0) {
                of->last = id;
                of->last_timestamp_ms = chunk->header.timestamp_ms;
            }
            of->events++;
            of->bytes += chunk->bytes[j];
        }
    }
    return totals;
}

static unsigned number_of_name(struct bytes name)
{
    char text[64];
    ck_assert_uint_lt(name.length, sizeof text);
    memcpy(text, name.data, name.length);
    text[name.length] = '\0';
    char *digits = strrchr(text, 'n');
    ck_assert_ptr_nonnull(digits);
    return (unsigned)strtoul(digits + 1, NULL, 10);
}

static void check_row(const struct namespace_row *row, const struct posting_totals *totals)
{
    ck_assert_uint_eq(row->events, totals->events);
    ck_assert_uint_eq(row->bytes, totals->bytes);
    ck_assert_int_eq(event_id_compare(row->first, totals->first), 0);
    ck_assert_int_eq(event_id_compare(row->last, totals->last), 0);
    ck_assert_uint_eq(row->first_timestamp_ms, totals->first_timestamp_ms);
    ck_assert_uint_eq(row->last_timestamp_ms, totals->last_timestamp_ms);
}

void index_fixture_check_names(struct index_fixture *fixture, struct filter *filter,
                               uint32_t rows_max)
{
    struct posting_totals *totals = expect_totals(fixture);
    struct buffer after = {0};
    struct buffer rows = {0};
    struct buffer before = {0};
    size_t found = 0;
    size_t expected = 0;
    for (bool more = true; more;) {
        struct buffer next = {0};
        buffer_clear(&rows);
        ck_assert_int_eq(index_names_page(fixture->index, filter, buffer_bytes(&after), rows_max,
                                          &rows, &more, &next),
                         0);
        struct bytes rest = buffer_bytes(&rows);
        for (uint32_t i = 0; rest.length > 0; i++) {
            struct namespace_row row;
            ck_assert_uint_lt(i, rows_max);
            ck_assert_int_eq(namespace_row_next(&rest, &row), 0);
            ck_assert_int_lt(bytes_compare(buffer_bytes(&before), row.name), 0);
            buffer_clear(&before);
            ck_assert_int_eq(buffer_append(&before, row.name), 0);
            ck_assert(filter_matches(filter, row.name));
            check_row(&row, &totals[number_of_name(row.name)]);
            found++;
        }
        buffer_deinit(&after);
        after = next;
    }
    for (unsigned i = 0; i < fixture->names_count; i++) {
        struct bytes name = bytes_of_text(index_fixture_name(i));
        expected += totals[i].events > 0 && filter_matches(filter, name);
    }
    ck_assert_uint_eq(found, expected);
    buffer_deinit(&after);
    buffer_deinit(&rows);
    buffer_deinit(&before);
    free(totals);
}

void index_fixture_check(struct index_fixture *fixture)
{
    struct random *random = &fixture->random;
    for (int i = 0; i < 4; i++) {
        struct filter *filter = index_fixture_random_filter(fixture);
        uint64_t first = 0;
        size_t visible = index_fixture_visible(fixture);
        if (visible > 0 && i > 0) {
            first = fixture->chunks[random_below(random, visible)].header.first;
            first += random_below(random, 3) - 1;
        }
        index_fixture_check_hits(fixture, filter, first);
        filter_unref(filter);
    }
    struct filter *filter = index_fixture_random_filter(fixture);
    index_fixture_check_names(fixture, filter, 1 + (uint32_t)random_below(random, 300));
    filter_unref(filter);
}
