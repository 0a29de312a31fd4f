// Slices, back to back: views stay inside, and their events can be walked.

#include "proto/model/slice.h"

#include <assert.h>

#include "proto/base/limits.h"
#include "tests/fuzz/fuzz_target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
    struct bytes rest = bytes_of(data, length);
    struct slice slice;
    while (slice_next(&rest, &slice) == 0) {
        assert(slice.events.data + slice.events.length == rest.data);
        assert(slice.actor >= 1 && slice.count >= 1 && slice.count <= CHUNK_EVENTS_MAX);
        assert(slice.first >= 1 && slice.first + slice.count - 1 <= COUNTER_MAX);
        struct event event;
        unsigned count = 0;
        while (slice.events.length > 0 && event_next(&slice.events, &event) == 0) {
            count++;
        }
        assert(count <= length);
    }
    assert(rest.length <= length);
    return 0;
}
