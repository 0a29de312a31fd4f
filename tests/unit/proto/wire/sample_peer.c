// As sample_message.c: numbers of every length, texts of every length that is allowed, a few
// entries or many. Entries are kept in the sample's arena, at addresses that suit any type.

#include "tests/unit/proto/wire/sample_peer.h"

#include <check.h>

#include "proto/base/limits.h"

const enum peer_message_kind PEER_KINDS[] = {
    PEER_HELLO,  PEER_PROOF,   PEER_NOTE,      PEER_PROMISES,    PEER_MEMBERS, PEER_PULL,
    PEER_UNPULL, PEER_CREDIT,  PEER_CHUNKS,    PEER_HEARTBEAT,   PEER_ASK,     PEER_ANSWER,
    PEER_REFUSE, PEER_FORWARD, PEER_FORWARDED, PEER_FORWARD_END,
};
const size_t PEER_KINDS_COUNT = sizeof PEER_KINDS / sizeof PEER_KINDS[0];

static uint64_t number(struct sample *sample, unsigned bits)
{
    uint64_t length = random_below(&sample->random, bits + 1);
    return length == 0 ? 0 : random_u64(&sample->random) >> (64 - length);
}

static uint16_t actor(struct sample *sample)
{
    uint16_t some = (uint16_t)number(sample, 16);
    return some == 0 ? 1 : some;
}

static bool toss(struct sample *sample)
{
    return random_below(&sample->random, 2) == 1;
}

static void *keep(struct sample *sample, size_t length)
{
    sample->used = (sample->used + 15) / 16 * 16;
    ck_assert_uint_le(length, SAMPLE_ARENA_BYTES - sample->used);
    void *kept = sample->arena + sample->used;
    sample->used += length;
    return kept;
}

static struct bytes text(struct sample *sample, size_t length_max)
{
    size_t length = random_below(&sample->random, length_max + 1);
    if (toss(sample)) {
        length %= 20;
    }
    uint8_t *data = keep(sample, length);
    random_bytes(&sample->random, data, length);
    return bytes_of(data, length);
}

static struct uuid uuid(struct sample *sample)
{
    struct uuid some;
    random_bytes(&sample->random, some.bytes, sizeof some.bytes);
    some.bytes[0] |= 1;
    return some;
}

static struct hash128 hash(struct sample *sample)
{
    struct hash128 some;
    random_bytes(&sample->random, some.bytes, sizeof some.bytes);
    return some;
}

static uint32_t entries_count(struct sample *sample)
{
    bool is_full = random_below(&sample->random, 32) == 0;
    return is_full ? PEER_ENTRIES_MAX : (uint32_t)random_below(&sample->random, 20);
}

// The actor of the next of `left` entries, the last of which was `before`.
static uint16_t next_actor(struct sample *sample, uint16_t before, uint32_t left)
{
    uint64_t room = (uint64_t)ACTORS_MAX - before - left;
    return (uint16_t)(before + 1 + random_below(&sample->random, room / (left + 1) + 1));
}

static void sample_hello(struct sample *sample, struct peer_hello *hello)
{
    hello->version_min = (uint32_t)number(sample, 32);
    hello->version_max = (uint32_t)number(sample, 32);
    hello->abilities = (uint32_t)number(sample, 32);
    hello->server_version = text(sample, NAME_BYTES_MAX);
    hello->cluster_name = text(sample, NAME_BYTES_MAX);
    hello->cluster = toss(sample) ? uuid(sample) : (struct uuid){0};
    hello->node = uuid(sample);
    hello->actor = (uint16_t)number(sample, 16);
    hello->wanted = (uint16_t)number(sample, 16);
    hello->is_founder = toss(sample);
    hello->run_number = number(sample, 64);
    hello->runs_count = (uint32_t)(1 + random_below(&sample->random, RUNS_REMEMBERED_MAX));
    for (uint32_t i = 0; i < hello->runs_count; i++) {
        hello->runs[i] = number(sample, 64);
    }
    hello->address = text(sample, PEER_ADDRESS_BYTES_MAX);
    random_bytes(&sample->random, hello->nonce, sizeof hello->nonce);
}

static void sample_note(struct sample *sample, struct peer_note *note)
{
    note->flags = (uint32_t)number(sample, 32);
    note->count = entries_count(sample);
    struct note_entry *entries = keep(sample, note->count * sizeof *entries);
    uint16_t before = 0;
    for (uint32_t i = 0; i < note->count; i++) {
        before = next_actor(sample, before, note->count - i);
        entries[i] = (struct note_entry){
            .actor = before, .counter = number(sample, 63), .hash = hash(sample)};
    }
    note->entries = entries;
}

static void sample_promises(struct sample *sample, struct peer_promises *promises)
{
    promises->count = entries_count(sample);
    struct promise *entries = keep(sample, promises->count * sizeof *entries);
    uint16_t before = 0;
    for (uint32_t i = 0; i < promises->count; i++) {
        before = next_actor(sample, before, promises->count - i);
        uint64_t counter = number(sample, 63);
        entries[i] = (struct promise){.actor = before,
                                      .counter = counter,
                                      .head = random_below(&sample->random, counter + 1)};
    }
    promises->entries = entries;
}

static void sample_members(struct sample *sample, struct peer_members *members)
{
    members->count = (uint32_t)random_below(&sample->random, 20);
    struct member_note *entries = keep(sample, members->count * sizeof *entries);
    members->entries = entries;
    for (uint32_t i = 0; i < members->count; i++) {
        entries[i] = (struct member_note){
            .node = uuid(sample),
            .actor = (uint16_t)number(sample, 16),
            .run = {.number = number(sample, 64), .random = number(sample, 64)},
            .is_reachable = toss(sample),
            .address = text(sample, PEER_ADDRESS_BYTES_MAX),
        };
    }
}

static void sample_answer(struct sample *sample, struct peer_answer *answer)
{
    *answer = (struct peer_answer){
        .token = number(sample, 64),
        .result = (enum peer_answer_result)random_below(&sample->random, ANSWER_LATER + 1),
        .actor = (uint16_t)number(sample, 16),
        .counter = number(sample, 63),
        .hash = hash(sample),
        .promised = number(sample, 63),
        .cluster = uuid(sample),
        .text = text(sample, PEER_TEXT_BYTES_MAX),
        .chunk = text(sample, 70000),
    };
}

void sample_peer(struct sample *sample, enum peer_message_kind kind,
                 struct peer_message *message_out)
{
    sample->used = 0;
    *message_out = (struct peer_message){.kind = kind};
    switch (kind) {
    case PEER_HEARTBEAT:
        return;
    case PEER_HELLO:
        sample_hello(sample, &message_out->hello);
        return;
    case PEER_PROOF:
        message_out->proof.mac = bytes_of(keep(sample, 32), toss(sample) ? 32 : 0);
        return;
    case PEER_NOTE:
        sample_note(sample, &message_out->note);
        return;
    case PEER_PROMISES:
        sample_promises(sample, &message_out->promises);
        return;
    case PEER_MEMBERS:
        sample_members(sample, &message_out->members);
        return;
    case PEER_PULL:
        message_out->pull =
            (struct peer_pull){actor(sample), .from = number(sample, 63), .hash = hash(sample)};
        return;
    case PEER_UNPULL:
        message_out->unpull.actor = actor(sample);
        return;
    case PEER_CREDIT:
        message_out->credit = (struct peer_credit){.bytes = number(sample, 30),
                                                   .actor = (uint16_t)number(sample, 16),
                                                   .counter = number(sample, 63)};
        return;
    case PEER_CHUNKS:
        message_out->chunks =
            (struct peer_chunks){.actor = actor(sample), .chunks = text(sample, 70000)};
        return;
    case PEER_ASK:
        message_out->ask = (struct peer_ask){
            .token = number(sample, 64),
            .kind = (enum peer_ask_kind)number(sample, 32),
            .actor = actor(sample),
            .counter = number(sample, 63),
            .node = uuid(sample),
            .address = text(sample, PEER_ADDRESS_BYTES_MAX),
        };
        return;
    case PEER_ANSWER:
        sample_answer(sample, &message_out->answer);
        return;
    case PEER_REFUSE:
        message_out->refuse.code = (uint32_t)number(sample, 32);
        message_out->refuse.text = text(sample, PEER_TEXT_BYTES_MAX);
        return;
    case PEER_FORWARD:
    case PEER_FORWARDED:
        message_out->forward.channel = number(sample, 64);
        message_out->forward.message = text(sample, 70000);
        return;
    case PEER_FORWARD_END:
        message_out->forward_end.channel = number(sample, 64);
        message_out->forward_end.is_senders = toss(sample);
        message_out->forward_end.untaken = text(sample, 3000);
        return;
    }
}
