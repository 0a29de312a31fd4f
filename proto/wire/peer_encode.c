// Messages between members to bytes, in the order of docs/protocol.md, "Peers". What a sender must
// keep to (lengths, counts) is asserted: everything it passes on was bounded when it came in.

#include <assert.h>

#include "proto/base/hmac.h"
#include "proto/base/limits.h"
#include "proto/wire/envelope.h"
#include "proto/wire/peer_wire.h"

static void pack_uuid(struct pack *pack, const struct uuid *uuid)
{
    pack_bin(pack, bytes_of(uuid->bytes, sizeof uuid->bytes));
}

static void pack_hash(struct pack *pack, const struct hash128 *hash)
{
    pack_bin(pack, bytes_of(hash->bytes, sizeof hash->bytes));
}

static void pack_text_within(struct pack *pack, struct bytes text, size_t length_max)
{
    assert(text.length <= length_max);
    pack_text(pack, text);
}

static void pack_hello(struct pack *pack, const struct peer_hello *hello)
{
    assert(hello->runs_count >= 1 && hello->runs_count <= RUNS_REMEMBERED_MAX);
    pack_uint(pack, hello->version_min);
    pack_uint(pack, hello->version_max);
    pack_uint(pack, hello->abilities);
    pack_text_within(pack, hello->server_version, NAME_BYTES_MAX);
    pack_text_within(pack, hello->cluster_name, NAME_BYTES_MAX);
    pack_uuid(pack, &hello->cluster);
    pack_uuid(pack, &hello->node);
    pack_uint(pack, hello->actor);
    pack_uint(pack, hello->wanted);
    pack_bool(pack, hello->is_founder);
    pack_uint(pack, hello->run_number);
    pack_array(pack, hello->runs_count);
    for (uint32_t i = 0; i < hello->runs_count; i++) {
        pack_uint(pack, hello->runs[i]);
    }
    pack_text_within(pack, hello->address, PEER_ADDRESS_BYTES_MAX);
    pack_bin(pack, bytes_of(hello->nonce, sizeof hello->nonce));
}

static void pack_note(struct pack *pack, const struct peer_note *note)
{
    assert(note->count <= PEER_ENTRIES_MAX);
    pack_uint(pack, note->flags);
    pack_array(pack, note->count);
    for (uint32_t i = 0; i < note->count; i++) {
        const struct note_entry *entry = &note->entries[i];
        pack_array(pack, 3);
        pack_uint(pack, entry->actor);
        pack_uint(pack, entry->counter);
        pack_hash(pack, &entry->hash);
    }
}

static void pack_promises(struct pack *pack, const struct peer_promises *promises)
{
    assert(promises->count <= PEER_ENTRIES_MAX);
    pack_array(pack, promises->count);
    for (uint32_t i = 0; i < promises->count; i++) {
        const struct promise *promise = &promises->entries[i];
        pack_array(pack, 3);
        pack_uint(pack, promise->actor);
        pack_uint(pack, promise->counter);
        pack_uint(pack, promise->head);
    }
}

static void pack_members(struct pack *pack, const struct peer_members *members)
{
    assert(members->count <= PEER_ENTRIES_MAX);
    pack_array(pack, members->count);
    for (uint32_t i = 0; i < members->count; i++) {
        const struct member_note *member = &members->entries[i];
        pack_array(pack, 6);
        pack_uuid(pack, &member->node);
        pack_uint(pack, member->actor);
        pack_uint(pack, member->run.number);
        pack_uint(pack, member->run.random);
        pack_bool(pack, member->is_reachable);
        pack_text_within(pack, member->address, PEER_ADDRESS_BYTES_MAX);
    }
}

static void pack_ask(struct pack *pack, const struct peer_ask *ask)
{
    pack_uint(pack, ask->kind);
    pack_uint(pack, ask->actor);
    pack_uint(pack, ask->counter);
    pack_uuid(pack, &ask->node);
    pack_text_within(pack, ask->address, PEER_ADDRESS_BYTES_MAX);
}

static void pack_answer(struct pack *pack, const struct peer_answer *answer)
{
    pack_uint(pack, answer->result);
    pack_uint(pack, answer->actor);
    pack_uint(pack, answer->counter);
    pack_hash(pack, &answer->hash);
    pack_uint(pack, answer->promised);
    pack_uuid(pack, &answer->cluster);
    pack_text_within(pack, answer->text, PEER_TEXT_BYTES_MAX);
    pack_bin(pack, answer->chunk);
}

static void pack_elements(struct pack *pack, const struct peer_message *message)
{
    switch (message->kind) {
    case PEER_HELLO:
        pack_hello(pack, &message->hello);
        return;
    case PEER_PROOF:
        assert(message->proof.mac.length == 0 || message->proof.mac.length == HMAC_LENGTH);
        pack_bin(pack, message->proof.mac);
        return;
    case PEER_NOTE:
        pack_note(pack, &message->note);
        return;
    case PEER_PROMISES:
        pack_promises(pack, &message->promises);
        return;
    case PEER_MEMBERS:
        pack_members(pack, &message->members);
        return;
    case PEER_PULL:
        pack_uint(pack, message->pull.actor);
        pack_uint(pack, message->pull.from);
        pack_hash(pack, &message->pull.hash);
        return;
    case PEER_UNPULL:
        pack_uint(pack, message->unpull.actor);
        return;
    case PEER_CREDIT:
        pack_uint(pack, message->credit.bytes);
        pack_uint(pack, message->credit.actor);
        pack_uint(pack, message->credit.counter);
        return;
    case PEER_CHUNKS:
        pack_uint(pack, message->chunks.actor);
        pack_bin(pack, message->chunks.chunks);
        return;
    case PEER_HEARTBEAT:
        return;
    case PEER_ASK:
        pack_ask(pack, &message->ask);
        return;
    case PEER_ANSWER:
        pack_answer(pack, &message->answer);
        return;
    case PEER_REFUSE:
        pack_uint(pack, message->refuse.code);
        pack_text_within(pack, message->refuse.text, PEER_TEXT_BYTES_MAX);
        return;
    case PEER_FORWARD:
    case PEER_FORWARDED:
        pack_bin(pack, message->forward.message);
        return;
    case PEER_FORWARD_END:
        pack_bool(pack, message->forward_end.is_senders);
        if (message->forward_end.untaken.length > 0) {
            pack_bin(pack, message->forward_end.untaken);
        }
        return;
    }
    assert(!"a kind of message between members");
}

// How many elements there are behind kind and id.
static uint32_t elements_of(enum peer_message_kind kind)
{
    switch (kind) {
    case PEER_HELLO:
        return 14;
    case PEER_PROOF:
    case PEER_PROMISES:
    case PEER_MEMBERS:
    case PEER_UNPULL:
    case PEER_FORWARD:
    case PEER_FORWARDED:
    case PEER_FORWARD_END:
        return 1;
    case PEER_NOTE:
    case PEER_CHUNKS:
    case PEER_REFUSE:
        return 2;
    case PEER_PULL:
    case PEER_CREDIT:
        return 3;
    case PEER_HEARTBEAT:
        return 0;
    case PEER_ASK:
        return 5;
    case PEER_ANSWER:
        return 8;
    }
    assert(!"a kind of message between members");
    return 0;
}

// What stands in place of the id.
static uint64_t id_of(const struct peer_message *message)
{
    switch (message->kind) {
    case PEER_ASK:
        return message->ask.token;
    case PEER_ANSWER:
        return message->answer.token;
    case PEER_FORWARD:
    case PEER_FORWARDED:
        return message->forward.channel;
    case PEER_FORWARD_END:
        return message->forward_end.channel;
    case PEER_HELLO:
    case PEER_PROOF:
    case PEER_NOTE:
    case PEER_PROMISES:
    case PEER_MEMBERS:
    case PEER_PULL:
    case PEER_UNPULL:
    case PEER_CREDIT:
    case PEER_CHUNKS:
    case PEER_HEARTBEAT:
    case PEER_REFUSE:
        break;
    }
    return 0;
}

int peer_encode(const struct peer_message *message, struct buffer *out)
{
    struct pack pack;
    bool has_untaken = message->kind == PEER_FORWARD_END && message->forward_end.untaken.length > 0;
    uint32_t elements = elements_of(message->kind) + has_untaken;
    envelope_pack(&pack, out, 2 + elements, message->kind, id_of(message));
    pack_elements(&pack, message);
    return envelope_finish(&pack, 0);
}

int peer_encode_chunks_head(const struct peer_message *message, size_t chunks_length,
                            struct buffer *out)
{
    assert(message->kind == PEER_CHUNKS);
    struct pack pack;
    envelope_pack(&pack, out, 2 + elements_of(PEER_CHUNKS), PEER_CHUNKS, 0);
    pack_uint(&pack, message->chunks.actor);
    pack_bin_head(&pack, chunks_length);
    return envelope_finish(&pack, chunks_length);
}

int peer_encode_forward_head(const struct peer_message *message, size_t message_length,
                             struct buffer *out)
{
    assert(message->kind == PEER_FORWARD || message->kind == PEER_FORWARDED);
    struct pack pack;
    envelope_pack(&pack, out, 2 + elements_of(message->kind), message->kind, id_of(message));
    pack_bin_head(&pack, message_length);
    return envelope_finish(&pack, message_length);
}
