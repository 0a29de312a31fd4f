// msgpack, as far as data needs it. The writer takes the shortest form of each value. The reader
// checks every claimed length and count against the bytes that are left, and passes nested values
// by counting, so that no depth can exhaust the stack.

#include <stdlib.h>

#include "client/weir.h"
#include "proto/base/bytes.h"

struct weir_pack {
    struct buffer buffer;
    int err; // sticks
};

struct weir_pack *weir_pack_new(void)
{
    return calloc(1, sizeof(struct weir_pack));
}

void weir_pack_free(struct weir_pack *pack)
{
    if (pack) {
        buffer_deinit(&pack->buffer);
        free(pack);
    }
}

void weir_pack_clear(struct weir_pack *pack)
{
    buffer_clear(&pack->buffer);
    pack->err = 0;
}

int weir_pack_data(const struct weir_pack *pack, struct weir_bytes *data_out)
{
    if (pack->err == 0) {
        *data_out = (struct weir_bytes){pack->buffer.data, pack->buffer.length};
    }
    return pack->err;
}

static void append(struct weir_pack *pack, const void *data, size_t length)
{
    if (pack->err == 0) {
        pack->err = buffer_append(&pack->buffer, bytes_of(data, length));
    }
}

// A byte that says the form, and a number of 0, 1, 2, 4 or 8 bytes behind it.
static void append_form(struct weir_pack *pack, uint8_t form, uint64_t number, size_t width)
{
    uint8_t bytes[9] = {form};
    for (size_t i = 0; i < width; i++) {
        bytes[width - i] = (uint8_t)(number >> (8 * i));
    }
    append(pack, bytes, 1 + width);
}

void weir_pack_nil(struct weir_pack *pack)
{
    append_form(pack, 0xc0, 0, 0);
}

void weir_pack_bool(struct weir_pack *pack, bool value)
{
    append_form(pack, value ? 0xc3 : 0xc2, 0, 0);
}

void weir_pack_uint(struct weir_pack *pack, uint64_t value)
{
    if (value < 128) {
        append_form(pack, (uint8_t)value, 0, 0);
    } else if (value <= UINT8_MAX) {
        append_form(pack, 0xcc, value, 1);
    } else if (value <= UINT16_MAX) {
        append_form(pack, 0xcd, value, 2);
    } else if (value <= UINT32_MAX) {
        append_form(pack, 0xce, value, 4);
    } else {
        append_form(pack, 0xcf, value, 8);
    }
}

void weir_pack_int(struct weir_pack *pack, int64_t value)
{
    uint64_t number = (uint64_t)value;
    if (value >= 0) {
        weir_pack_uint(pack, number);
    } else if (value >= -32) {
        append_form(pack, (uint8_t)number, 0, 0);
    } else if (value >= INT8_MIN) {
        append_form(pack, 0xd0, number, 1);
    } else if (value >= INT16_MIN) {
        append_form(pack, 0xd1, number, 2);
    } else if (value >= INT32_MIN) {
        append_form(pack, 0xd2, number, 4);
    } else {
        append_form(pack, 0xd3, number, 8);
    }
}

void weir_pack_double(struct weir_pack *pack, double value)
{
    uint64_t number;
    memcpy(&number, &value, sizeof number);
    append_form(pack, 0xcb, number, 8);
}

// Forms of 16 and 32 bits follow each other in all of msgpack.
static void append_wide(struct weir_pack *pack, uint8_t form16, size_t count)
{
    if (count > UINT32_MAX) {
        pack->err = pack->err ? pack->err : ERR_LIMIT;
    } else if (count <= UINT16_MAX) {
        append_form(pack, form16, count, 2);
    } else {
        append_form(pack, form16 + 1, count, 4);
    }
}

void weir_pack_text(struct weir_pack *pack, struct weir_bytes text)
{
    if (text.length < 32) {
        append_form(pack, (uint8_t)(0xa0 | text.length), 0, 0);
    } else if (text.length <= UINT8_MAX) {
        append_form(pack, 0xd9, text.length, 1);
    } else {
        append_wide(pack, 0xda, text.length);
    }
    append(pack, text.data, text.length);
}

void weir_pack_bytes(struct weir_pack *pack, struct weir_bytes bytes)
{
    if (bytes.length <= UINT8_MAX) {
        append_form(pack, 0xc4, bytes.length, 1);
    } else {
        append_wide(pack, 0xc5, bytes.length);
    }
    append(pack, bytes.data, bytes.length);
}

void weir_pack_array(struct weir_pack *pack, uint32_t count)
{
    if (count < 16) {
        append_form(pack, (uint8_t)(0x90 | count), 0, 0);
    } else {
        append_wide(pack, 0xdc, count);
    }
}

void weir_pack_map(struct weir_pack *pack, uint32_t count)
{
    if (count < 16) {
        append_form(pack, (uint8_t)(0x80 | count), 0, 0);
    } else {
        append_wide(pack, 0xde, count);
    }
}

struct reader {
    const uint8_t *at;
    size_t left;
    bool is_cut;
};

static uint64_t read_number(struct reader *reader, size_t width)
{
    uint64_t number = 0;
    if (width > reader->left) {
        reader->is_cut = true;
        return 0;
    }
    for (size_t i = 0; i < width; i++) {
        number = number << 8 | reader->at[i];
    }
    reader->at += width;
    reader->left -= width;
    return number;
}

static void read_view(struct reader *reader, enum weir_type type, uint64_t length,
                      struct weir_value *value)
{
    if (length > reader->left) {
        reader->is_cut = true;
        return;
    }
    value->type = type;
    value->bytes = (struct weir_bytes){reader->at, (size_t)length};
    reader->at += length;
    reader->left -= (size_t)length;
}

static void read_count(struct reader *reader, enum weir_type type, uint64_t count,
                       struct weir_value *value)
{
    uint64_t values = type == WEIR_TYPE_MAP ? 2 * count : count;
    reader->is_cut = reader->is_cut || values > reader->left; // a value has a byte at least
    value->type = type;
    value->count = (uint32_t)count;
}

static void read_extension(struct reader *reader, uint64_t length, struct weir_value *value)
{
    value->extension = (int8_t)read_number(reader, 1);
    read_view(reader, WEIR_TYPE_EXTENSION, length, value);
}

static void read_integer(struct reader *reader, size_t width, struct weir_value *value)
{
    unsigned shift = (unsigned)(64 - 8 * width);
    uint64_t number = read_number(reader, width) << shift;
    int64_t integer = (int64_t)number >> shift; // the sign spreads
    value->type = integer < 0 ? WEIR_TYPE_INT : WEIR_TYPE_UINT;
    value->negative = integer < 0 ? integer : 0;
    value->number = integer < 0 ? 0 : (uint64_t)integer;
}

static void read_real(struct reader *reader, size_t width, struct weir_value *value)
{
    uint64_t number = read_number(reader, width);
    value->type = WEIR_TYPE_DOUBLE;
    if (width == 8) {
        memcpy(&value->real, &number, sizeof value->real);
        return;
    }
    uint32_t bits = (uint32_t)number;
    float real;
    memcpy(&real, &bits, sizeof real);
    value->real = (double)real;
}

// The forms from 0xc0 to 0xdf; those of one kind follow each other, wider and wider.
static void read_form(struct reader *reader, uint8_t form, struct weir_value *value)
{
    if (form == 0xc0) {
        value->type = WEIR_TYPE_NIL;
    } else if (form == 0xc2 || form == 0xc3) {
        value->type = WEIR_TYPE_BOOL;
        value->boolean = form == 0xc3;
    } else if (form >= 0xc4 && form <= 0xc6) {
        uint64_t length = read_number(reader, (size_t)1 << (form - 0xc4));
        read_view(reader, WEIR_TYPE_BYTES, length, value);
    } else if (form >= 0xc7 && form <= 0xc9) {
        read_extension(reader, read_number(reader, (size_t)1 << (form - 0xc7)), value);
    } else if (form == 0xca || form == 0xcb) {
        read_real(reader, form == 0xca ? 4 : 8, value);
    } else if (form >= 0xcc && form <= 0xcf) {
        value->type = WEIR_TYPE_UINT;
        value->number = read_number(reader, (size_t)1 << (form - 0xcc));
    } else if (form >= 0xd0 && form <= 0xd3) {
        read_integer(reader, (size_t)1 << (form - 0xd0), value);
    } else if (form >= 0xd4 && form <= 0xd8) {
        read_extension(reader, (uint64_t)1 << (form - 0xd4), value);
    } else if (form >= 0xd9 && form <= 0xdb) {
        uint64_t length = read_number(reader, (size_t)1 << (form - 0xd9));
        read_view(reader, WEIR_TYPE_TEXT, length, value);
    } else if (form >= 0xdc) {
        enum weir_type type = form < 0xde ? WEIR_TYPE_ARRAY : WEIR_TYPE_MAP;
        read_count(reader, type, read_number(reader, form % 2 ? 4 : 2), value);
    } else {
        reader->is_cut = true; // 0xc1 is no form
    }
}

int weir_unpack(struct weir_bytes *rest, struct weir_value *value_out)
{
    struct reader reader = {.at = rest->data, .left = rest->length};
    struct weir_value value = {.type = WEIR_TYPE_UINT};
    if (reader.left == 0) {
        return WEIR_NOTHING;
    }
    uint8_t form = (uint8_t)read_number(&reader, 1);
    if (form < 0x80) {
        value.number = form;
    } else if (form < 0x90) {
        read_count(&reader, WEIR_TYPE_MAP, form & 0x0f, &value);
    } else if (form < 0xa0) {
        read_count(&reader, WEIR_TYPE_ARRAY, form & 0x0f, &value);
    } else if (form < 0xc0) {
        read_view(&reader, WEIR_TYPE_TEXT, form & 0x1f, &value);
    } else if (form < 0xe0) {
        read_form(&reader, form, &value);
    } else {
        value.type = WEIR_TYPE_INT;
        value.negative = (int8_t)form;
    }
    if (reader.is_cut) {
        return WEIR_ERR_CORRUPT;
    }
    *rest = (struct weir_bytes){reader.at, reader.left};
    *value_out = value;
    return 0;
}

int weir_unpack_skip(struct weir_bytes *rest)
{
    struct weir_bytes left = *rest;
    if (left.length == 0) {
        return WEIR_NOTHING;
    }
    for (uint64_t values = 1; values > 0; values--) {
        struct weir_value value;
        if (weir_unpack(&left, &value) != 0) {
            return WEIR_ERR_CORRUPT;
        }
        values += value.type == WEIR_TYPE_MAP ? 2 * (uint64_t)value.count : value.count;
    }
    *rest = left;
    return 0;
}
