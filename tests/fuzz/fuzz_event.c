// Events, back to back: both ways of reading agree, views stay inside, and what is read can be
// written and read again.

#include "proto/model/event.h"

#include <stdlib.h>

#include "tests/fuzz/fuzz_target.h"

static void check_attributes(const struct event *event)
{
    struct bytes rest = event->attributes;
    size_t count;
    int err = attributes_begin(&rest, &count);
    assert(err == 0);
    for (size_t i = 0; i < count; i++) {
        struct attribute attribute;
        err = attributes_next(&rest, &attribute);
        assert(err == 0);
    }
    assert(rest.length == 0);
    (void)event_parent(event);
}

static void check_again(const struct event *event)
{
    struct buffer out = {0};
    int err = event_append(&out, event->name, event->data, event->attributes);
    assert(err == 0);
    struct bytes rest = buffer_bytes(&out);
    struct event again;
    event_next_trusted(&rest, &again);
    assert(rest.length == 0);
    assert(bytes_equal(event->name, again.name) && bytes_equal(event->data, again.data));
    assert(bytes_equal(event->attributes, again.attributes));
    assert(out.length <= event->encoded.length);
    buffer_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
    struct bytes rest = bytes_of(data, length);
    while (rest.length > 0) {
        struct bytes slow_rest = rest;
        struct event event;
        struct event slow_event;
        int err = event_next(&rest, &event);
        assert(event_next_any(&slow_rest, &slow_event) == err);
        if (err) {
            break;
        }
        assert(memcmp(&event, &slow_event, sizeof event) == 0);
        assert(rest.data == slow_rest.data && rest.length == slow_rest.length);
        assert(event.encoded.data + event.encoded.length == rest.data);
        check_attributes(&event);
        check_again(&event);
        struct reason reason = {0};
        err = event_validate(&event, 100, false, &reason);
        assert((err != 0) == (reason.text[0] != '\0'));
        assert(event_validate_any(&event, 100, false, NULL) == err);
    }
    return 0;
}
