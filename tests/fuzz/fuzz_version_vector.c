// Vectors as msgpack and as text: what is read is sorted, and can be written and read again.

#include "proto/model/version_vector.h"

#include <assert.h>

#include "proto/base/limits.h"
#include "tests/fuzz/fuzz_target.h"

static void check(const struct version_vector *vector)
{
    for (uint32_t i = 0; i < vector->count; i++) {
        assert(vector->entries[i].counter >= 1 && vector->entries[i].counter <= COUNTER_MAX);
        assert(vector->entries[i].actor > (i > 0 ? vector->entries[i - 1].actor : 0));
    }
    struct buffer out = {0};
    struct version_vector again = {0};
    int err = version_vector_encode(vector, &out);
    assert(err == 0);
    struct bytes rest = buffer_bytes(&out);
    err = version_vector_decode(&rest, &again);
    assert(err == 0 && rest.length == 0 && version_vector_equal(vector, &again));
    buffer_clear(&out);
    err = version_vector_format(vector, &out);
    assert(err == 0);
    err = version_vector_parse(buffer_bytes(&out), &again, NULL);
    assert(err == 0 && version_vector_equal(vector, &again));
    version_vector_deinit(&again);
    buffer_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
    struct version_vector vector = {0};
    struct bytes rest = bytes_of(data, length);
    if (version_vector_decode(&rest, &vector) == 0) {
        assert(rest.data + rest.length == data + length);
        check(&vector);
    }
    struct reason reason = {0};
    int err = version_vector_parse(bytes_of(data, length), &vector, &reason);
    assert((err != 0) == (reason.text[0] != '\0'));
    if (err == 0) {
        check(&vector);
    }
    version_vector_deinit(&vector);
    return 0;
}
