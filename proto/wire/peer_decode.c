// Bytes to messages between members. A member is trusted with its events, not with this node's
// memory: as for clients, each kind is one straight run over a cursor whose first error sticks, and
// counts are bounded before there is room made for entries. What makes no sense in any state of a
// cluster (an actor 0, entries out of order, a counter beyond all counters) is refused here, so
// that nobody behind has to ask again.

#include <assert.h>

#include "proto/base/hmac.h"
#include "proto/base/limits.h"
#include "proto/wire/envelope.h"
#include "proto/wire/peer_wire.h"

void peer_scratch_deinit(struct peer_scratch *scratch)
{
    buffer_deinit(&scratch->entries);
}

static uint16_t unpack_actor_or_none(struct unpack *unpack)
{
    return (uint16_t)unpack_uint(unpack, ACTORS_MAX, "actor");
}

static uint16_t unpack_actor(struct unpack *unpack)
{
    uint16_t actor = unpack_actor_or_none(unpack);
    if (actor == 0) {
        unpack_fail(unpack, ERR_INVALID, "actor", "is 0");
    }
    return actor;
}

static uint64_t unpack_counter(struct unpack *unpack, const char *field)
{
    return unpack_uint(unpack, COUNTER_MAX, field);
}

static uint32_t unpack_u32(struct unpack *unpack, const char *field)
{
    return (uint32_t)unpack_uint(unpack, UINT32_MAX, field);
}

static struct uuid unpack_uuid(struct unpack *unpack, const char *field)
{
    struct uuid uuid = {0};
    const uint8_t *bytes = unpack_bin_exact(unpack, sizeof uuid.bytes, field);
    if (bytes) {
        memcpy(uuid.bytes, bytes, sizeof uuid.bytes);
    }
    return uuid;
}

static struct uuid unpack_node(struct unpack *unpack)
{
    struct uuid node = unpack_uuid(unpack, "node");
    if (uuid_is_zero(&node)) {
        unpack_fail(unpack, ERR_INVALID, "node", "is zero");
    }
    return node;
}

static struct hash128 unpack_hash(struct unpack *unpack)
{
    struct hash128 hash = {{0}};
    const uint8_t *bytes = unpack_bin_exact(unpack, sizeof hash.bytes, "hash");
    if (bytes) {
        memcpy(hash.bytes, bytes, sizeof hash.bytes);
    }
    return hash;
}

static struct bytes unpack_text_within(struct unpack *unpack, size_t length_max, const char *field)
{
    struct bytes text = unpack_text(unpack, field);
    if (text.length > length_max) {
        unpack_fail(unpack, ERR_LIMIT, field, "is too long");
    }
    return text;
}

static struct bytes unpack_address(struct unpack *unpack)
{
    return unpack_text_within(unpack, PEER_ADDRESS_BYTES_MAX, "address");
}

static void unpack_hello(struct unpack *unpack, struct peer_hello *hello)
{
    hello->version_min = unpack_u32(unpack, "lowest version");
    hello->version_max = unpack_u32(unpack, "highest version");
    hello->abilities = unpack_u32(unpack, "abilities");
    hello->server_version = unpack_text_within(unpack, NAME_BYTES_MAX, "server's version");
    hello->cluster_name = unpack_text_within(unpack, NAME_BYTES_MAX, "cluster's name");
    hello->cluster = unpack_uuid(unpack, "cluster");
    hello->node = unpack_node(unpack);
    hello->actor = unpack_actor_or_none(unpack);
    hello->wanted = unpack_actor_or_none(unpack);
    hello->is_founder = unpack_bool(unpack, "whether it is a founder");
    hello->run_number = unpack_uint(unpack, UINT64_MAX, "run");
    uint32_t runs = unpack_array_of(unpack, 1, "runs") + 1;
    if (runs > RUNS_REMEMBERED_MAX) {
        unpack_fail(unpack, ERR_LIMIT, "runs", "are more than 16");
    }
    hello->runs_count = unpack->err ? 0 : runs;
    for (uint32_t i = 0; i < RUNS_REMEMBERED_MAX; i++) {
        hello->runs[i] =
            i < hello->runs_count ? unpack_uint(unpack, UINT64_MAX, "a run's number") : 0;
    }
    hello->address = unpack_address(unpack);
    const uint8_t *nonce = unpack_bin_exact(unpack, sizeof hello->nonce, "nonce");
    if (nonce) {
        memcpy(hello->nonce, nonce, sizeof hello->nonce);
    }
}

static void unpack_proof(struct unpack *unpack, struct peer_proof *proof)
{
    proof->mac = unpack_bin(unpack, "proof");
    if (proof->mac.length != 0 && proof->mac.length != HMAC_LENGTH) {
        unpack_fail(unpack, ERR_INVALID, "proof", "is not of the right length");
    }
}

// Reads how many entries of `size` follow, and makes room for them; NULL with a count of 0 after a
// failure.
static void *unpack_entries(struct unpack *unpack, struct peer_scratch *scratch, size_t size,
                            uint32_t *count_out)
{
    *count_out = 0;
    uint32_t count = unpack_array(unpack, "entries");
    if (count > PEER_ENTRIES_MAX) {
        unpack_fail(unpack, ERR_LIMIT, "entries", "are more than 4096");
    }
    buffer_clear(&scratch->entries);
    if (!unpack->err && buffer_reserve(&scratch->entries, count * size)) {
        unpack_fail(unpack, ERR_MEMORY, "entries", "do not fit into memory");
    }
    if (unpack->err) {
        return NULL;
    }
    *count_out = count;
    return scratch->entries.data;
}

static void require_sorted(struct unpack *unpack, uint32_t at, uint16_t before, uint16_t actor)
{
    if (at > 0 && actor <= before) {
        unpack_fail(unpack, ERR_INVALID, "entries", "are not sorted by actor");
    }
}

static void unpack_note(struct unpack *unpack, struct peer_scratch *scratch, struct peer_note *note)
{
    note->flags = unpack_u32(unpack, "flags");
    struct note_entry *entries = unpack_entries(unpack, scratch, sizeof *entries, &note->count);
    note->entries = entries;
    uint16_t before = 0;
    for (uint32_t i = 0; i < note->count && !unpack->err; i++) {
        uint32_t more = unpack_array_of(unpack, 3, "an entry");
        entries[i] = (struct note_entry){0};
        entries[i].actor = unpack_actor(unpack);
        entries[i].counter = unpack_counter(unpack, "counter");
        entries[i].hash = unpack_hash(unpack);
        unpack_skip(unpack, more, "an entry");
        require_sorted(unpack, i, before, entries[i].actor);
        before = entries[i].actor;
    }
}

static void unpack_promises(struct unpack *unpack, struct peer_scratch *scratch,
                            struct peer_promises *promises)
{
    struct promise *entries = unpack_entries(unpack, scratch, sizeof *entries, &promises->count);
    promises->entries = entries;
    uint16_t before = 0;
    for (uint32_t i = 0; i < promises->count && !unpack->err; i++) {
        uint32_t more = unpack_array_of(unpack, 3, "an entry");
        entries[i] = (struct promise){0};
        entries[i].actor = unpack_actor(unpack);
        entries[i].counter = unpack_counter(unpack, "counter");
        entries[i].head = unpack_counter(unpack, "head");
        if (entries[i].head > entries[i].counter) {
            unpack_fail(unpack, ERR_INVALID, "head", "is above what is promised");
        }
        unpack_skip(unpack, more, "an entry");
        require_sorted(unpack, i, before, entries[i].actor);
        before = entries[i].actor;
    }
}

static void unpack_members(struct unpack *unpack, struct peer_scratch *scratch,
                           struct peer_members *members)
{
    struct member_note *entries = unpack_entries(unpack, scratch, sizeof *entries, &members->count);
    members->entries = entries;
    for (uint32_t i = 0; i < members->count && !unpack->err; i++) {
        uint32_t more = unpack_array_of(unpack, 6, "an entry");
        entries[i] = (struct member_note){0};
        entries[i].node = unpack_node(unpack);
        entries[i].actor = unpack_actor_or_none(unpack);
        entries[i].run.number = unpack_uint(unpack, UINT64_MAX, "run");
        entries[i].run.random = unpack_uint(unpack, UINT64_MAX, "the run's number");
        entries[i].is_reachable = unpack_bool(unpack, "whether it is reachable");
        entries[i].address = unpack_address(unpack);
        unpack_skip(unpack, more, "an entry");
    }
}

static void unpack_credit(struct unpack *unpack, struct peer_credit *credit)
{
    credit->bytes = unpack_uint(unpack, SUBSCRIPTION_CREDIT_BYTES_MAX, "bytes");
    credit->actor = unpack_actor_or_none(unpack);
    credit->counter = unpack_counter(unpack, "counter");
}

// Kinds of later versions ask about whatever they want.
static bool asks_about_an_actor(enum peer_ask_kind kind)
{
    switch (kind) {
    case ASK_CONSENT:
    case ASK_JOINED:
    case ASK_HEAD:
    case ASK_FENCE:
    case ASK_CHUNK:
    case ASK_HOLDS:
        return true;
    case ASK_ADMIT:
    case ASK_NOTE:
    case ASK_RETIRE:
        return false;
    }
    return false;
}

static void unpack_ask(struct unpack *unpack, uint64_t token, struct peer_ask *ask)
{
    ask->token = token;
    ask->kind = (enum peer_ask_kind)unpack_u32(unpack, "kind of question");
    ask->actor =
        asks_about_an_actor(ask->kind) ? unpack_actor(unpack) : unpack_actor_or_none(unpack);
    ask->counter = unpack_counter(unpack, "counter");
    ask->node = unpack_uuid(unpack, "node");
    ask->address = unpack_address(unpack);
}

static void unpack_answer(struct unpack *unpack, uint64_t token, struct peer_answer *answer)
{
    answer->token = token;
    uint32_t result = unpack_u32(unpack, "result");
    answer->result = result <= ANSWER_LATER ? (enum peer_answer_result)result : ANSWER_REFUSED;
    answer->actor = unpack_actor_or_none(unpack);
    answer->counter = unpack_counter(unpack, "counter");
    answer->hash = unpack_hash(unpack);
    answer->promised = unpack_counter(unpack, "promised");
    answer->cluster = unpack_uuid(unpack, "cluster");
    answer->text = unpack_text_within(unpack, PEER_TEXT_BYTES_MAX, "text");
    answer->chunk = unpack_bin(unpack, "chunk");
}

static void unpack_elements(struct unpack *unpack, uint64_t id, struct peer_scratch *scratch,
                            struct peer_message *message)
{
    switch (message->kind) {
    case PEER_HELLO:
        unpack_hello(unpack, &message->hello);
        return;
    case PEER_PROOF:
        unpack_proof(unpack, &message->proof);
        return;
    case PEER_NOTE:
        unpack_note(unpack, scratch, &message->note);
        return;
    case PEER_PROMISES:
        unpack_promises(unpack, scratch, &message->promises);
        return;
    case PEER_MEMBERS:
        unpack_members(unpack, scratch, &message->members);
        return;
    case PEER_PULL:
        message->pull.actor = unpack_actor(unpack);
        message->pull.from = unpack_counter(unpack, "from");
        message->pull.hash = unpack_hash(unpack);
        return;
    case PEER_UNPULL:
        message->unpull.actor = unpack_actor(unpack);
        return;
    case PEER_CREDIT:
        unpack_credit(unpack, &message->credit);
        return;
    case PEER_CHUNKS:
        message->chunks.actor = unpack_actor(unpack);
        message->chunks.chunks = unpack_bin(unpack, "chunks");
        return;
    case PEER_HEARTBEAT:
        return;
    case PEER_ASK:
        unpack_ask(unpack, id, &message->ask);
        return;
    case PEER_ANSWER:
        unpack_answer(unpack, id, &message->answer);
        return;
    case PEER_REFUSE:
        message->refuse.code = unpack_u32(unpack, "code");
        message->refuse.text = unpack_text_within(unpack, PEER_TEXT_BYTES_MAX, "text");
        return;
    case PEER_FORWARD:
    case PEER_FORWARDED:
        message->forward.channel = id;
        message->forward.message = unpack_bin(unpack, "message");
        return;
    case PEER_FORWARD_END:
        message->forward_end.channel = id;
        message->forward_end.is_senders = unpack_bool(unpack, "whose channel it is");
        message->forward_end.untaken = bytes_of(NULL, 0);
        return;
    }
}

// For each kind its name and how many elements it has behind kind and id.
static const struct {
    const char *name;
    uint32_t elements;
} KINDS[] = {
    [PEER_HELLO - PEER_HELLO] = {"hello", 14},
    [PEER_PROOF - PEER_HELLO] = {"proof", 1},
    [PEER_NOTE - PEER_HELLO] = {"note", 2},
    [PEER_PROMISES - PEER_HELLO] = {"promises", 1},
    [PEER_MEMBERS - PEER_HELLO] = {"members", 1},
    [PEER_PULL - PEER_HELLO] = {"pull", 3},
    [PEER_UNPULL - PEER_HELLO] = {"unpull", 1},
    [PEER_CREDIT - PEER_HELLO] = {"credit", 3},
    [PEER_CHUNKS - PEER_HELLO] = {"chunks", 2},
    [PEER_HEARTBEAT - PEER_HELLO] = {"heartbeat", 0},
    [PEER_ASK - PEER_HELLO] = {"ask", 5},
    [PEER_ANSWER - PEER_HELLO] = {"answer", 8},
    [PEER_REFUSE - PEER_HELLO] = {"refuse", 2},
    [PEER_FORWARD - PEER_HELLO] = {"forward", 1},
    [PEER_FORWARDED - PEER_HELLO] = {"forwarded", 1},
    [PEER_FORWARD_END - PEER_HELLO] = {"forward end", 1},
};

int peer_decode(struct bytes message, struct peer_scratch *scratch, struct peer_message *out,
                struct reason *reason)
{
    struct envelope envelope;
    envelope_unpack(&envelope, message);
    if (envelope.unpack.err) {
        return envelope_close(&envelope, 0, "message", reason);
    }
    if (envelope.kind < PEER_HELLO || envelope.kind > PEER_FORWARD_END) {
        int err = envelope_close(&envelope, 0, "message", reason);
        return err ? err
                   : reason_set(reason, MESSAGE_UNKNOWN_KIND,
                                "messages of kind %llu are unknown between members",
                                (unsigned long long)envelope.kind);
    }
    out->kind = (enum peer_message_kind)envelope.kind;
    uint32_t elements = KINDS[envelope.kind - PEER_HELLO].elements;
    envelope_require(&envelope, elements);
    unpack_elements(&envelope.unpack, envelope.id, scratch, out);
    if (out->kind == PEER_FORWARD_END && !envelope.unpack.err && envelope.elements > elements) {
        out->forward_end.untaken = unpack_bin(&envelope.unpack, "what was not taken");
        elements++;
    }
    return envelope_close(&envelope, elements, KINDS[envelope.kind - PEER_HELLO].name, reason);
}
