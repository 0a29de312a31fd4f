// The frame's length is written last, over a placeholder, because the lengths of a message's parts
// are known only once they are packed. Elements behind those that a version knows are passed, but
// they must be msgpack: a message that is garbage further on is refused whole.

#include "proto/wire/envelope.h"

#include "proto/base/limits.h"
#include "proto/wire/frame.h"

enum { ENVELOPE_ELEMENTS = 2 }; // kind and id

void envelope_pack(struct pack *pack, struct buffer *out, uint32_t count, uint32_t kind,
                   uint64_t id)
{
    static const uint8_t length[FRAME_HEADER_LENGTH];
    pack_init(pack, out);
    pack_raw(pack, bytes_of(length, sizeof length));
    pack_array(pack, count);
    pack_uint(pack, kind);
    pack_uint(pack, id);
}

int envelope_finish(struct pack *pack, size_t following)
{
    int err = pack_finish(pack);
    if (err) {
        return err;
    }
    size_t length = pack->out->length - pack->start - FRAME_HEADER_LENGTH;
    if (following > FRAME_BYTES_MAX || length > FRAME_BYTES_MAX - following) {
        pack->out->length = pack->start;
        return ERR_LIMIT;
    }
    store_be32(pack->out->data + pack->start, (uint32_t)(length + following));
    return 0;
}

void envelope_pack_event_id(struct pack *pack, struct event_id id)
{
    uint8_t key[EVENT_ID_KEY_LENGTH];
    event_id_encode_key(id, key);
    pack_bin(pack, bytes_of(key, sizeof key));
}

void envelope_unpack(struct envelope *envelope, struct bytes message)
{
    struct unpack *unpack = &envelope->unpack;
    unpack_init(unpack, message);
    envelope->elements = unpack_array_of(unpack, ENVELOPE_ELEMENTS, "the array");
    envelope->kind = unpack_uint(unpack, UINT64_MAX, "kind");
    envelope->id = unpack_uint(unpack, UINT64_MAX, "id");
}

void envelope_require(struct envelope *envelope, uint32_t count)
{
    if (envelope->elements < count) {
        unpack_fail(&envelope->unpack, ERR_INVALID, "the array", "has too few elements");
    }
}

int envelope_close(struct envelope *envelope, uint32_t count, const char *name,
                   struct reason *reason)
{
    struct unpack *unpack = &envelope->unpack;
    if (!unpack->err) {
        unpack_skip(unpack, envelope->elements - count, "a further element");
    }
    if (unpack_left(unpack) > 0) {
        unpack_fail(unpack, ERR_INVALID, "the array", "is followed by more bytes");
    }
    if (unpack->err) {
        return reason_set(reason, unpack->err, "%s: %s %s", name, unpack->field, unpack->problem);
    }
    return 0;
}

struct event_id envelope_unpack_event_id(struct unpack *unpack, const char *field)
{
    const uint8_t *key = unpack_bin_exact(unpack, EVENT_ID_KEY_LENGTH, field);
    return key ? event_id_decode_key(key) : (struct event_id){0};
}
