// libweir-json: data as JSON, by jansson; an addition to libweir (pkg-config weir-json).
#pragma once

#include <jansson.h>
#include <weir.h>

#ifdef __cplusplus
extern "C" {
#endif

// Reads data as one JSON value of any type; the caller owns the reference. Not ended by a NUL, and
// from anybody: WEIR_ERR_INVALID with a reason that names the place (`reason` may be NULL): not
// JSON, not UTF-8, or nested deeper than jansson allows; WEIR_ERR_MEMORY.
WEIR_API int weir_json_read(struct weir_bytes data, json_t **value_out,
                            struct weir_reason *reason) WEIR_MUST_CHECK;

// Writes a value as compact JSON, keys in their order. The data is the caller's, for
// weir_json_free. WEIR_ERR_MEMORY, also for a value that cannot be written.
WEIR_API int weir_json_write(const json_t *value, struct weir_bytes *data_out) WEIR_MUST_CHECK;
WEIR_API void weir_json_free(struct weir_bytes data);

#ifdef __cplusplus
}
#endif
