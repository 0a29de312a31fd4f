// Ids as text: what is read is a valid id, and can be written and read again.

#include "proto/model/event_id.h"

#include <assert.h>

#include "proto/base/limits.h"
#include "tests/fuzz/fuzz_target.h"

static void check(struct event_id id)
{
    char text[EVENT_ID_TEXT_LENGTH + 1];
    char brief[EVENT_ID_SHORT_LENGTH_MAX + 1];
    uint8_t key[EVENT_ID_KEY_LENGTH];
    struct event_id again;
    event_id_format(id, text);
    int err = event_id_parse(bytes_of(text, EVENT_ID_TEXT_LENGTH), &again, NULL);
    assert(err == 0 && event_id_compare(id, again) == 0);
    size_t length = event_id_format_short(id, brief);
    err = event_id_parse(bytes_of(brief, length), &again, NULL);
    assert(err == 0 && event_id_compare(id, again) == 0);
    event_id_encode_key(id, key);
    assert(event_id_compare(id, event_id_decode_key(key)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
    struct event_id id;
    struct reason reason = {0};
    int err = event_id_parse(bytes_of(data, length), &id, &reason);
    assert((err != 0) == (reason.text[0] != '\0'));
    if (err == 0) {
        assert(id.counter >= 1 && id.counter <= COUNTER_MAX && id.actor >= 1);
        check(id);
    }
    return 0;
}
