// Data that says it is msgpack, from anybody: what is read lies inside, is written and read again,
// and one value is as long to weir_unpack, to weir_unpack_skip and to the reader of the protocol.

#include <assert.h>
#include <string.h>

#include "client/weir.h"
#include "proto/base/limits.h"
#include "proto/wire/unpack.h"
#include "tests/fuzz/fuzz_target.h"

static bool is_view(enum weir_type type)
{
    return type == WEIR_TYPE_TEXT || type == WEIR_TYPE_BYTES || type == WEIR_TYPE_EXTENSION;
}

static void write_value(struct weir_pack *pack, const struct weir_value *value)
{
    switch (value->type) {
    case WEIR_TYPE_NIL:
        weir_pack_nil(pack);
        break;
    case WEIR_TYPE_BOOL:
        weir_pack_bool(pack, value->boolean);
        break;
    case WEIR_TYPE_UINT:
        weir_pack_uint(pack, value->number);
        break;
    case WEIR_TYPE_INT:
        weir_pack_int(pack, value->negative);
        break;
    case WEIR_TYPE_DOUBLE:
        weir_pack_double(pack, value->real);
        break;
    case WEIR_TYPE_TEXT:
        weir_pack_text(pack, value->bytes);
        break;
    case WEIR_TYPE_BYTES:
        weir_pack_bytes(pack, value->bytes);
        break;
    case WEIR_TYPE_ARRAY:
        weir_pack_array(pack, value->count);
        break;
    case WEIR_TYPE_MAP:
        weir_pack_map(pack, value->count);
        break;
    case WEIR_TYPE_EXTENSION: // is only read
        break;
    }
}

static bool is_same(const struct weir_value *a, const struct weir_value *b)
{
    bool is_equal = a->type == b->type && a->boolean == b->boolean && a->number == b->number &&
                    a->negative == b->negative && a->count == b->count &&
                    a->bytes.length == b->bytes.length &&
                    memcmp(&a->real, &b->real, sizeof a->real) == 0;
    return is_equal &&
           (a->bytes.length == 0 || memcmp(a->bytes.data, b->bytes.data, a->bytes.length) == 0);
}

// The shortest form of a value has what the value had, and is not longer than it was.
static void check_again(const struct weir_value *value, size_t length)
{
    struct weir_pack *pack = weir_pack_new();
    struct weir_bytes written;
    struct weir_value again;
    assert(pack);
    write_value(pack, value);
    int err = weir_pack_data(pack, &written);
    assert(err == 0);
    assert(written.length <= length || value->type == WEIR_TYPE_DOUBLE);
    if (value->type == WEIR_TYPE_ARRAY || value->type == WEIR_TYPE_MAP) {
        for (uint64_t i = 0; i < 2 * (uint64_t)value->count; i++) {
            weir_pack_nil(pack); // what it counts must be there
        }
        err = weir_pack_data(pack, &written);
        assert(err == 0);
    }
    if (value->type != WEIR_TYPE_EXTENSION) {
        err = weir_unpack(&written, &again);
        assert(err == 0 && is_same(value, &again));
    }
    weir_pack_free(pack);
}

static void check_value(const struct weir_value *value, struct weir_bytes before,
                        struct weir_bytes after)
{
    const uint8_t *start = before.data;
    const uint8_t *end = after.data;
    size_t length = before.length - after.length;
    assert(length > 0 && length <= before.length && start + length == end);
    assert(value->type >= WEIR_TYPE_NIL && value->type <= WEIR_TYPE_EXTENSION);
    assert((value->type == WEIR_TYPE_INT) == (value->negative < 0));
    if (is_view(value->type)) {
        const uint8_t *view = value->bytes.data;
        assert(view > start && view + value->bytes.length == end);
    } else {
        assert(value->bytes.length == 0);
    }
    bool is_map = value->type == WEIR_TYPE_MAP;
    assert((is_map ? 2 : 1) * (uint64_t)value->count <= after.length);
    check_again(value, length);
}

// How long the first value is, with everything inside; 0: it is none.
static size_t whole_length(struct weir_bytes data)
{
    struct weir_bytes rest = data;
    struct unpack unpack;
    int err = weir_unpack_skip(&rest);
    assert(err == 0 || err == WEIR_ERR_CORRUPT);
    assert(err == 0 ? rest.length < data.length
                    : rest.data == data.data && rest.length == data.length);
    unpack_init(&unpack, bytes_of(data.data, data.length));
    unpack_skip(&unpack, 1, "value");
    if (!unpack.err) {
        assert(err == 0 && unpack_left(&unpack) == rest.length);
    } else if (err == 0) { // it bears less depth
        assert(strcmp(unpack.problem, "is nested too deep") == 0);
        assert(data.length - rest.length > MSGPACK_DEPTH_MAX);
    }
    return data.length - rest.length;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
    struct weir_bytes rest = {data, length};
    struct weir_value value;
    size_t whole = 0; // of the value that is being taken
    const uint8_t *start = data;
    uint64_t inside = 0; // values of it that are to come
    for (;;) {
        struct weir_bytes before = rest;
        if (inside == 0 && rest.length > 0) {
            start = rest.data;
            whole = whole_length(rest);
        }
        int outcome = weir_unpack(&rest, &value);
        if (outcome != 0) {
            assert(outcome == (before.length == 0 ? WEIR_NOTHING : WEIR_ERR_CORRUPT));
            assert(rest.data == before.data && rest.length == before.length);
            assert(inside == 0 || whole == 0);
            break;
        }
        check_value(&value, before, rest);
        inside = inside > 0 ? inside - 1 : 0;
        inside += (value.type == WEIR_TYPE_MAP ? 2 : 1) * (uint64_t)value.count;
        assert(inside > 0 || (const uint8_t *)rest.data == start + whole);
    }
    return 0;
}
