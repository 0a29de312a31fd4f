// Data is any bytes. These write and read msgpack; for JSON see weir_json.h (libweir-json).
#pragma once

#include "outcomes.h"
#include "values.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// A writer that grows. NULL: no memory. Its first error sticks, weir_pack_data tells.
struct weir_pack;
WEIR_API struct weir_pack *weir_pack_new(void);
WEIR_API void weir_pack_free(struct weir_pack *pack);
WEIR_API void weir_pack_clear(struct weir_pack *pack);

WEIR_API void weir_pack_nil(struct weir_pack *pack);
WEIR_API void weir_pack_bool(struct weir_pack *pack, bool value);
WEIR_API void weir_pack_int(struct weir_pack *pack, int64_t value);
WEIR_API void weir_pack_uint(struct weir_pack *pack, uint64_t value);
WEIR_API void weir_pack_double(struct weir_pack *pack, double value);
WEIR_API void weir_pack_text(struct weir_pack *pack, struct weir_bytes text); // below 4 GiB
WEIR_API void weir_pack_bytes(struct weir_pack *pack, struct weir_bytes bytes);
WEIR_API void weir_pack_array(struct weir_pack *pack, uint32_t count); // so many values follow
WEIR_API void weir_pack_map(struct weir_pack *pack, uint32_t count);   // so many pairs

// What was written: valid until the next call on the writer. WEIR_ERR_MEMORY, WEIR_ERR_LIMIT.
WEIR_API int weir_pack_data(const struct weir_pack *pack,
                            struct weir_bytes *data_out) WEIR_MUST_CHECK;

enum weir_type {
    WEIR_TYPE_NIL = 1,
    WEIR_TYPE_BOOL = 2,
    WEIR_TYPE_UINT = 3, // every integer that is not negative
    WEIR_TYPE_INT = 4,  // every negative one
    WEIR_TYPE_DOUBLE = 5,
    WEIR_TYPE_TEXT = 6, // UTF-8 by convention: not checked
    WEIR_TYPE_BYTES = 7,
    WEIR_TYPE_ARRAY = 8,
    WEIR_TYPE_MAP = 9,
    WEIR_TYPE_EXTENSION = 10,
};

struct weir_value {
    enum weir_type type;
    bool boolean;
    uint64_t number;         // UINT
    int64_t negative;        // INT
    double real;             // DOUBLE
    struct weir_bytes bytes; // TEXT, BYTES, EXTENSION: a view of what is read
    uint32_t count; // ARRAY: values that follow; MAP: pairs. Never more than bytes are left
    int8_t extension;
};

// Takes one value off the front of *rest; those inside an array or map are taken next, one by one.
// WEIR_NOTHING: *rest is empty; WEIR_ERR_CORRUPT: not msgpack, *rest is as it was.
WEIR_API int weir_unpack(struct weir_bytes *rest, struct weir_value *value_out) WEIR_MUST_CHECK;

// Passes one value with everything inside, however deep. The same outcomes.
WEIR_API int weir_unpack_skip(struct weir_bytes *rest) WEIR_MUST_CHECK;

#ifdef __cplusplus
}
#endif
