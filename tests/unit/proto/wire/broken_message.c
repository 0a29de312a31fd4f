// The places where elements begin and end are found with the cursor that the decoders use; all
// messages are given to them in copies of exact size, so that a read beyond the end is noticed.

#include "tests/unit/proto/wire/broken_message.h"

#include "proto/base/limits.h"
#include "proto/wire/pack.h"
#include "proto/wire/unpack.h"
#include "tests/unit/sample_bytes.h"

static int decode_exactly(decode_function *decode, struct bytes message)
{
    struct bytes copy = exact_copy(message);
    int result = decode(copy);
    exact_free(copy);
    return result;
}

static int decode_buffer(decode_function *decode, struct buffer *message)
{
    int result = decode_exactly(decode, buffer_bytes(message));
    buffer_clear(message);
    return result;
}

size_t message_elements(struct bytes message)
{
    struct unpack unpack;
    unpack_init(&unpack, message);
    size_t elements = unpack_array(&unpack, "message");
    ck_assert_int_eq(unpack.err, 0);
    return elements;
}

// The bytes of the elements `first` .. `first` + `count` - 1.
static struct bytes elements_of(struct bytes message, size_t first, size_t count)
{
    struct unpack unpack;
    unpack_init(&unpack, message);
    (void)unpack_array(&unpack, "message");
    unpack_skip(&unpack, first, "element");
    const uint8_t *start = unpack.at;
    unpack_skip(&unpack, count, "element");
    ck_assert_int_eq(unpack.err, 0);
    return bytes_of(start, (size_t)(unpack.at - start));
}

void append_with_element(struct buffer *out, struct bytes message, size_t index, struct bytes value)
{
    size_t elements = message_elements(message);
    struct pack pack;
    pack_init(&pack, out);
    if (value.length == 0) {
        pack_array(&pack, (uint32_t)index);
        pack_raw(&pack, elements_of(message, 0, index));
    } else {
        pack_array(&pack, (uint32_t)elements);
        pack_raw(&pack, elements_of(message, 0, index));
        pack_raw(&pack, value);
        pack_raw(&pack, elements_of(message, index + 1, elements - index - 1));
    }
    ck_assert_int_eq(pack_finish(&pack), 0);
}

void append_with_more(struct buffer *out, struct bytes message, size_t count, struct bytes values)
{
    size_t elements = message_elements(message);
    struct pack pack;
    pack_init(&pack, out);
    pack_array(&pack, (uint32_t)(elements + count));
    pack_raw(&pack, elements_of(message, 0, elements));
    pack_raw(&pack, values);
    ck_assert_int_eq(pack_finish(&pack), 0);
}

void assert_prefixes_refused(decode_function *decode, struct bytes message)
{
    for (size_t length = 0; length < message.length; length++) {
        ck_assert_int_eq(decode_exactly(decode, bytes_of(message.data, length)), ERR_INVALID);
    }
}

void assert_longer_bytes_refused(decode_function *decode, struct bytes message)
{
    struct buffer longer = {0};
    ck_assert_int_eq(buffer_append(&longer, message), 0);
    append_hex(&longer, "c0");
    ck_assert_int_eq(decode_buffer(decode, &longer), ERR_INVALID);
    buffer_deinit(&longer);
}

void assert_wrong_types_refused(decode_function *decode, struct bytes message)
{
    static const char *WRONG[] = {
        "ca 00 00 00 00",             // a float
        "ff",                         // -1
        "d3 ff ff ff ff ff ff ff ff", // -1 in its longest form
        "d4 01 02",                   // an extension
        "c1",                         // no type at all
    };
    struct buffer value = {0};
    struct buffer broken = {0};
    for (size_t i = 0; i < message_elements(message); i++) {
        for (size_t j = 0; j < sizeof WRONG / sizeof WRONG[0]; j++) {
            buffer_clear(&value);
            append_hex(&value, WRONG[j]);
            append_with_element(&broken, message, i, buffer_bytes(&value));
            ck_assert_int_eq(decode_buffer(decode, &broken), ERR_INVALID);
        }
    }
    buffer_deinit(&broken);
    buffer_deinit(&value);
}

void assert_missing_elements_refused(decode_function *decode, struct bytes message, size_t optional)
{
    struct buffer shorter = {0};
    for (size_t i = 0; i < message_elements(message); i++) {
        append_with_element(&shorter, message, i, (struct bytes){0});
        bool is_optional = i + optional >= message_elements(message);
        ck_assert_int_eq(decode_buffer(decode, &shorter), is_optional ? 0 : ERR_INVALID);
    }
    buffer_deinit(&shorter);
}

void assert_further_elements_passed(decode_function *decode, struct bytes message)
{
    struct buffer more = {0};
    append_hex(&more, "c0 a3 6e 65 77 82 01 91 c0 02 ca 00 00 00 00 c7 03 05 01 02 03 d8 01");
    append_hex(&more, "00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 cb 00 00 00 00 00 00 00 00");
    struct buffer longer = {0};
    append_with_more(&longer, message, 6, buffer_bytes(&more));
    ck_assert_int_eq(decode_buffer(decode, &longer), 0);
    buffer_deinit(&longer);
    buffer_deinit(&more);
}

static void append_nested(struct buffer *out, size_t depth, uint8_t container)
{
    size_t step = container == 0x81 ? 2 : 1; // a map has a key first
    ck_assert_int_eq(buffer_reserve(out, depth * step), 0);
    memset(out->data + out->length, 1, depth * step);
    for (size_t i = 0; i < depth; i++) {
        out->data[out->length + i * step] = container;
    }
    out->length += depth * step;
    append_hex(out, "c0");
}

void assert_deep_nesting_refused(decode_function *decode, struct bytes message)
{
    static const size_t DEPTHS[] = {MSGPACK_DEPTH_MAX, MSGPACK_DEPTH_MAX + 1, 100000};
    static const uint8_t CONTAINERS[] = {0x91, 0x81};
    struct buffer nested = {0};
    struct buffer longer = {0};
    for (size_t i = 0; i < sizeof DEPTHS / sizeof DEPTHS[0]; i++) {
        for (size_t j = 0; j < sizeof CONTAINERS; j++) {
            buffer_clear(&nested);
            append_nested(&nested, DEPTHS[i], CONTAINERS[j]);
            append_with_more(&longer, message, 1, buffer_bytes(&nested));
            int expected = DEPTHS[i] > MSGPACK_DEPTH_MAX ? ERR_INVALID : 0;
            ck_assert_int_eq(decode_buffer(decode, &longer), expected);
        }
    }
    buffer_deinit(&longer);
    buffer_deinit(&nested);
}
