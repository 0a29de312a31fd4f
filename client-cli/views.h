// The views of libweir and those of proto/base are the same thing.
#pragma once

#include "client/weir.h"
#include "proto/base/bytes.h"

#define ATTRIBUTE_PARENT "p" // the key under which the parent travels

static inline struct bytes bytes_from(struct weir_bytes bytes)
{
    return bytes_of(bytes.data, bytes.length);
}

static inline struct weir_bytes bytes_to(struct bytes bytes)
{
    return (struct weir_bytes){.data = bytes.data, .length = bytes.length};
}

static inline bool id_is_none(struct weir_id id)
{
    return id.counter == 0 && id.actor == 0;
}
