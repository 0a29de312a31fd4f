// Data that says it is JSON, from anybody: what is read is written and read again, and what is
// refused is refused with a text that people can read.

#include <assert.h>
#include <string.h>

#include "client/weir_json.h"
#include "tests/fuzz/fuzz_target.h"

static void check_again(const json_t *value)
{
    struct weir_bytes written;
    struct weir_bytes twice;
    struct weir_reason reason;
    json_t *again;
    int err = weir_json_write(value, &written);
    assert(err == 0 && weir_is_text(written));
    err = weir_json_read(written, &again, &reason);
    assert(err == 0 && json_equal(value, again));
    err = weir_json_write(again, &twice);
    assert(err == 0 && twice.length == written.length);
    assert(memcmp(twice.data, written.data, written.length) == 0);
    json_decref(again);
    weir_json_free(written);
    weir_json_free(twice);
}

static void check_reason(const struct weir_reason *reason)
{
    const char *end = memchr(reason->text, '\0', sizeof reason->text);
    assert(end && end > reason->text);
    assert(weir_is_text(weir_text(reason->text)));
    for (const char *at = reason->text; at < end; at++) {
        const uint8_t *byte = (const uint8_t *)at;
        assert(byte[0] >= ' ' && byte[0] != 0x7f && !(byte[0] == 0xc2 && byte[1] < 0xa0));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
    struct weir_reason reason = {{0}};
    json_t *value = NULL;
    int err = weir_json_read((struct weir_bytes){data, length}, &value, &reason);
    if (err == 0) {
        assert(value && weir_is_text((struct weir_bytes){data, length}));
        check_again(value);
        json_decref(value);
    } else {
        assert(err == WEIR_ERR_INVALID && !value);
        check_reason(&reason);
    }
    return 0;
}
