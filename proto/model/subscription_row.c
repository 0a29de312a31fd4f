// Rows stand back to back, each with its name, cursor and definition behind its numbers.

#include "proto/model/subscription_row.h"

#include <assert.h>

enum { FIXED_LENGTH = 104, CONSUMER_LENGTH = 39 };

static void store_fixed(uint8_t *at, const struct subscription_row *row)
{
    event_id_encode_key(row->generation, at);
    store_be64(at + 10, row->lag_events);
    store_be64(at + 18, row->lag_ms);
    store_be32(at + 26, row->voids);
    event_id_encode_key(row->void_last, at + 30);
    store_be32(at + 40, row->flags);
    store_be16(at + 44, row->coordinator);
    store_be32(at + 46, row->consumers);
    store_be64(at + 50, row->in_flight);
    store_be64(at + 58, row->waiting);
    store_be64(at + 66, row->delivered);
    store_be64(at + 74, row->redelivered);
    store_be64(at + 82, row->acked);
    store_be64(at + 90, row->parked);
    store_be16(at + 98, (uint16_t)row->name.length);
    store_be32(at + 100, (uint32_t)row->cursor.length);
}

int subscription_row_append(struct buffer *out, const struct subscription_row *row)
{
    assert(row->name.length <= UINT16_MAX && row->cursor.length <= UINT32_MAX);
    size_t before = out->length;
    int err = buffer_reserve(out, FIXED_LENGTH);
    if (err) {
        return err;
    }
    store_fixed(out->data + out->length, row);
    out->length += FIXED_LENGTH;
    err = buffer_append(out, row->name);
    err = err ? err : buffer_append(out, row->cursor);
    err = err ? err : subscription_definition_encode(&row->definition, out);
    if (err) {
        out->length = before;
    }
    return err;
}

static void load_fixed(const uint8_t *at, struct subscription_row *row)
{
    row->generation = event_id_decode_key(at);
    row->lag_events = load_be64(at + 10);
    row->lag_ms = load_be64(at + 18);
    row->voids = load_be32(at + 26);
    row->void_last = event_id_decode_key(at + 30);
    row->flags = load_be32(at + 40);
    row->coordinator = load_be16(at + 44);
    row->consumers = load_be32(at + 46);
    row->in_flight = load_be64(at + 50);
    row->waiting = load_be64(at + 58);
    row->delivered = load_be64(at + 66);
    row->redelivered = load_be64(at + 74);
    row->acked = load_be64(at + 82);
    row->parked = load_be64(at + 90);
    row->name.length = load_be16(at + 98);
    row->cursor.length = load_be32(at + 100);
}

static bool take(struct bytes *rest, struct bytes *view)
{
    if (view->length > rest->length) {
        return false;
    }
    view->data = rest->data;
    *rest = bytes_of(rest->data + view->length, rest->length - view->length);
    return true;
}

int subscription_row_next(struct bytes *rest, struct subscription_row *row_out)
{
    if (rest->length < FIXED_LENGTH) {
        return ERR_INVALID;
    }
    struct subscription_row row;
    load_fixed(rest->data, &row);
    struct bytes left = bytes_of(rest->data + FIXED_LENGTH, rest->length - FIXED_LENGTH);
    if (!take(&left, &row.name) || !take(&left, &row.cursor)) {
        return ERR_INVALID;
    }
    struct bytes cursor = row.cursor;
    if (version_vector_skip(&cursor) != 0 || cursor.length != 0 ||
        subscription_definition_decode(&left, &row.definition) != 0) {
        return ERR_INVALID;
    }
    *row_out = row;
    *rest = left;
    return 0;
}

// --- Consumers ---------------------------------------------------------------------------------

int subscription_consumer_append(struct buffer *out, const struct subscription_consumer *consumer)
{
    assert(consumer->client.length <= CONSUMER_CLIENT_BYTES_MAX);
    int err = buffer_reserve(out, CONSUMER_LENGTH + consumer->client.length);
    if (err) {
        return err;
    }
    uint8_t *at = out->data + out->length;
    store_be64(at, consumer->id);
    store_be16(at + 8, consumer->actor);
    store_be32(at + 10, consumer->in_flight);
    store_be64(at + 14, consumer->attached_ms);
    store_be64(at + 22, consumer->delivered);
    store_be64(at + 30, consumer->acked);
    at[38] = (uint8_t)consumer->client.length;
    if (consumer->client.length > 0) {
        memcpy(at + CONSUMER_LENGTH, consumer->client.data, consumer->client.length);
    }
    out->length += CONSUMER_LENGTH + consumer->client.length;
    return 0;
}

int subscription_consumer_next(struct bytes *rest, struct subscription_consumer *consumer_out)
{
    if (rest->length < CONSUMER_LENGTH) {
        return ERR_INVALID;
    }
    const uint8_t *at = rest->data;
    struct bytes left = bytes_of(at + CONSUMER_LENGTH, rest->length - CONSUMER_LENGTH);
    struct subscription_consumer consumer = {
        .id = load_be64(at),
        .actor = load_be16(at + 8),
        .in_flight = load_be32(at + 10),
        .attached_ms = load_be64(at + 14),
        .delivered = load_be64(at + 22),
        .acked = load_be64(at + 30),
        .client.length = at[38],
    };
    if (!take(&left, &consumer.client)) {
        return ERR_INVALID;
    }
    *consumer_out = consumer;
    *rest = left;
    return 0;
}
