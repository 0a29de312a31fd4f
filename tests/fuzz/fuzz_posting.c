// Posting blocks: two bytes of window, then a value. Whatever it is, reading stays inside, hits are
// ascending and in the window, and what a section says of its whole is what its hits say.

#include "storage/posting.h"

#include <assert.h>

#include "tests/fuzz/fuzz_target.h"

static void check_section(const struct posting_block *block, struct bytes bytes)
{
    struct posting_section section;
    struct posting_totals totals;
    struct index_hit hit;
    struct event_id before = {0};
    uint64_t events = 0;
    uint64_t hits = 0;
    int result = posting_section_parse(block, bytes, &section);
    while (result == 0 && (result = posting_section_next(&section, &hit)) == 0) {
        struct event_id key = {.counter = hit.first, .actor = hit.actor};
        assert(event_id_compare(before, key) < 0 && hit.positions != 0);
        assert(hit.first >> POSTING_WINDOW_BITS == block->window);
        before = key;
        events += (uint64_t)__builtin_popcountll(hit.positions);
        hits++;
    }
    int totals_result = posting_section_totals(block, bytes, &totals);
    assert(result != POSTING_END || totals_result == 0);
    if (result == POSTING_END) {
        assert(totals.events == events && totals.hits == hits);
        assert(event_id_compare(totals.first, totals.last) <= 0 || events > 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
    if (length < 2) {
        return 0;
    }
    struct posting_block block;
    uint64_t window = (uint64_t)data[0] << 8 | data[1];
    int result = posting_block_parse(bytes_of(data + 2, length - 2), window, &block);
    while (result == 0) {
        uint8_t member;
        struct bytes bytes;
        result = posting_block_next(&block, &member, &bytes);
        if (result == 0) {
            assert(bytes.data >= data && bytes.data + bytes.length <= data + length);
            check_section(&block, bytes);
        }
    }
    return 0;
}
