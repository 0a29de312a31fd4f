// A thin layer: it translates errors, and uses malloc and free itself, so that a program that gives
// jansson other functions frees what it should.

#include "client/weir_json.h"

#include <stdio.h>
#include <stdlib.h>

#include "proto/base/utf8.h"

int weir_json_read(struct weir_bytes data, json_t **value_out, struct weir_reason *reason)
{
    json_error_t error;
    const char *text = data.length > 0 ? data.data : "";
    json_t *value = json_loadb(text, data.length, JSON_DECODE_ANY, &error);
    if (value) {
        *value_out = value;
        return 0;
    }
    if (json_error_code(&error) == json_error_out_of_memory) {
        return WEIR_ERR_MEMORY;
    }
    if (reason) {
        snprintf(reason->text, sizeof reason->text, "not JSON, line %d column %d: %.150s",
                 error.line, error.column, error.text);
        utf8_clean(reason->text); // it quotes the data
    }
    return WEIR_ERR_INVALID;
}

int weir_json_write(const json_t *value, struct weir_bytes *data_out)
{
    size_t flags = JSON_COMPACT | JSON_ENCODE_ANY;
    size_t length = json_dumpb(value, NULL, 0, flags);
    char *data = length > 0 ? malloc(length) : NULL;
    if (!data || json_dumpb(value, data, length, flags) != length) {
        free(data);
        return WEIR_ERR_MEMORY;
    }
    *data_out = (struct weir_bytes){.data = data, .length = length};
    return 0;
}

void weir_json_free(struct weir_bytes data)
{
    free((void *)(uintptr_t)data.data);
}
