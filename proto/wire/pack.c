// Each function makes a packer of msgpack-c on its stack with a callback known at compile time: the
// compiler inlines the library's code down to a few stores, so that nothing is called through a
// pointer. Growth goes through buffer_reserve, which leaves the buffer intact when it fails.

#include "proto/wire/pack.h"

#include <assert.h>
#include <msgpack/pack.h>

static int append_growing(struct pack *pack, const char *bytes, size_t length)
{
    if (pack->err == 0) {
        pack->err = buffer_append(pack->out, bytes_of(bytes, length));
    }
    return pack->err;
}

// After a failure that which still fits is written; pack_finish takes it away.
static inline __attribute__((always_inline)) int append(void *data, const char *bytes,
                                                        size_t length)
{
    struct pack *pack = data;
    struct buffer *out = pack->out;
    if (length > out->capacity - out->length) {
        return append_growing(pack, bytes, length);
    }
    memcpy(out->data + out->length, bytes, length);
    out->length += length;
    return 0;
}

static inline msgpack_packer packer_of(struct pack *pack)
{
    return (msgpack_packer){.data = pack, .callback = append};
}

void pack_init(struct pack *pack, struct buffer *out)
{
    *pack = (struct pack){.out = out, .start = out->length};
}

int pack_finish(struct pack *pack)
{
    if (pack->err) {
        pack->out->length = pack->start;
    }
    return pack->err;
}

// The library's results repeat pack->err.

void pack_nil(struct pack *pack)
{
    msgpack_packer packer = packer_of(pack);
    (void)msgpack_pack_nil(&packer);
}

void pack_bool(struct pack *pack, bool value)
{
    msgpack_packer packer = packer_of(pack);
    (void)(value ? msgpack_pack_true(&packer) : msgpack_pack_false(&packer));
}

void pack_uint(struct pack *pack, uint64_t value)
{
    msgpack_packer packer = packer_of(pack);
    (void)msgpack_pack_uint64(&packer, value);
}

void pack_text(struct pack *pack, struct bytes text)
{
    assert(text.length <= UINT32_MAX);
    msgpack_packer packer = packer_of(pack);
    (void)msgpack_pack_str(&packer, text.length);
    pack_raw(pack, text);
}

void pack_bin(struct pack *pack, struct bytes bytes)
{
    pack_bin_head(pack, bytes.length);
    pack_raw(pack, bytes);
}

void pack_bin_head(struct pack *pack, size_t length)
{
    assert(length <= UINT32_MAX);
    msgpack_packer packer = packer_of(pack);
    (void)msgpack_pack_bin(&packer, length);
}

void pack_array(struct pack *pack, uint32_t count)
{
    msgpack_packer packer = packer_of(pack);
    (void)msgpack_pack_array(&packer, count);
}

void pack_map(struct pack *pack, uint32_t count)
{
    msgpack_packer packer = packer_of(pack);
    (void)msgpack_pack_map(&packer, count);
}

void pack_raw(struct pack *pack, struct bytes bytes)
{
    if (bytes.length > 0) {
        (void)append(pack, (const char *)bytes.data, bytes.length);
    }
}
