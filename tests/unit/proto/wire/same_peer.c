// Field by field, so that a failure names the field.

#include <check.h>

#include "tests/unit/proto/wire/sample_peer.h"

static void assert_same_text(struct bytes a, struct bytes b)
{
    ck_assert_uint_eq(a.length, b.length);
    ck_assert(bytes_equal(a, b));
}

static void assert_same_hello(const struct peer_hello *a, const struct peer_hello *b)
{
    ck_assert_uint_eq(a->version_min, b->version_min);
    ck_assert_uint_eq(a->version_max, b->version_max);
    ck_assert_uint_eq(a->abilities, b->abilities);
    assert_same_text(a->server_version, b->server_version);
    assert_same_text(a->cluster_name, b->cluster_name);
    ck_assert(uuid_equal(&a->cluster, &b->cluster));
    ck_assert(uuid_equal(&a->node, &b->node));
    ck_assert_uint_eq(a->actor, b->actor);
    ck_assert_uint_eq(a->wanted, b->wanted);
    ck_assert_int_eq(a->is_founder, b->is_founder);
    ck_assert_uint_eq(a->run_number, b->run_number);
    ck_assert_uint_eq(a->runs_count, b->runs_count);
    for (uint32_t i = 0; i < a->runs_count; i++) {
        ck_assert_uint_eq(a->runs[i], b->runs[i]);
    }
    assert_same_text(a->address, b->address);
    ck_assert_mem_eq(a->nonce, b->nonce, sizeof a->nonce);
}

static void assert_same_note(const struct peer_note *a, const struct peer_note *b)
{
    ck_assert_uint_eq(a->flags, b->flags);
    ck_assert_uint_eq(a->count, b->count);
    for (uint32_t i = 0; i < a->count; i++) {
        ck_assert_uint_eq(a->entries[i].actor, b->entries[i].actor);
        ck_assert_uint_eq(a->entries[i].counter, b->entries[i].counter);
        ck_assert(hash128_equal(&a->entries[i].hash, &b->entries[i].hash));
    }
}

static void assert_same_promises(const struct peer_promises *a, const struct peer_promises *b)
{
    ck_assert_uint_eq(a->count, b->count);
    for (uint32_t i = 0; i < a->count; i++) {
        ck_assert_uint_eq(a->entries[i].actor, b->entries[i].actor);
        ck_assert_uint_eq(a->entries[i].counter, b->entries[i].counter);
        ck_assert_uint_eq(a->entries[i].head, b->entries[i].head);
    }
}

static void assert_same_members(const struct peer_members *a, const struct peer_members *b)
{
    ck_assert_uint_eq(a->count, b->count);
    for (uint32_t i = 0; i < a->count; i++) {
        ck_assert(uuid_equal(&a->entries[i].node, &b->entries[i].node));
        ck_assert_uint_eq(a->entries[i].actor, b->entries[i].actor);
        ck_assert_uint_eq(a->entries[i].run.number, b->entries[i].run.number);
        ck_assert_uint_eq(a->entries[i].run.random, b->entries[i].run.random);
        ck_assert_int_eq(a->entries[i].is_reachable, b->entries[i].is_reachable);
        assert_same_text(a->entries[i].address, b->entries[i].address);
    }
}

static void assert_same_ask(const struct peer_ask *a, const struct peer_ask *b)
{
    ck_assert_uint_eq(a->token, b->token);
    ck_assert_uint_eq(a->kind, b->kind);
    ck_assert_uint_eq(a->actor, b->actor);
    ck_assert_uint_eq(a->counter, b->counter);
    ck_assert(uuid_equal(&a->node, &b->node));
    assert_same_text(a->address, b->address);
}

static void assert_same_answer(const struct peer_answer *a, const struct peer_answer *b)
{
    ck_assert_uint_eq(a->token, b->token);
    ck_assert_uint_eq(a->result, b->result);
    ck_assert_uint_eq(a->actor, b->actor);
    ck_assert_uint_eq(a->counter, b->counter);
    ck_assert(hash128_equal(&a->hash, &b->hash));
    ck_assert_uint_eq(a->promised, b->promised);
    ck_assert(uuid_equal(&a->cluster, &b->cluster));
    assert_same_text(a->text, b->text);
    assert_same_text(a->chunk, b->chunk);
}

void assert_same_peer(const struct peer_message *a, const struct peer_message *b)
{
    ck_assert_int_eq(a->kind, b->kind);
    switch (a->kind) {
    case PEER_HEARTBEAT:
        return;
    case PEER_HELLO:
        assert_same_hello(&a->hello, &b->hello);
        return;
    case PEER_PROOF:
        assert_same_text(a->proof.mac, b->proof.mac);
        return;
    case PEER_NOTE:
        assert_same_note(&a->note, &b->note);
        return;
    case PEER_PROMISES:
        assert_same_promises(&a->promises, &b->promises);
        return;
    case PEER_MEMBERS:
        assert_same_members(&a->members, &b->members);
        return;
    case PEER_PULL:
        ck_assert_uint_eq(a->pull.actor, b->pull.actor);
        ck_assert_uint_eq(a->pull.from, b->pull.from);
        ck_assert(hash128_equal(&a->pull.hash, &b->pull.hash));
        return;
    case PEER_UNPULL:
        ck_assert_uint_eq(a->unpull.actor, b->unpull.actor);
        return;
    case PEER_CREDIT:
        ck_assert_uint_eq(a->credit.bytes, b->credit.bytes);
        ck_assert_uint_eq(a->credit.actor, b->credit.actor);
        ck_assert_uint_eq(a->credit.counter, b->credit.counter);
        return;
    case PEER_CHUNKS:
        ck_assert_uint_eq(a->chunks.actor, b->chunks.actor);
        assert_same_text(a->chunks.chunks, b->chunks.chunks);
        return;
    case PEER_ASK:
        assert_same_ask(&a->ask, &b->ask);
        return;
    case PEER_ANSWER:
        assert_same_answer(&a->answer, &b->answer);
        return;
    case PEER_REFUSE:
        ck_assert_uint_eq(a->refuse.code, b->refuse.code);
        assert_same_text(a->refuse.text, b->refuse.text);
        return;
    case PEER_FORWARD:
    case PEER_FORWARDED:
        ck_assert_uint_eq(a->forward.channel, b->forward.channel);
        assert_same_text(a->forward.message, b->forward.message);
        return;
    case PEER_FORWARD_END:
        ck_assert_uint_eq(a->forward_end.channel, b->forward_end.channel);
        ck_assert_int_eq(a->forward_end.is_senders, b->forward_end.is_senders);
        assert_same_text(a->forward_end.untaken, b->forward_end.untaken);
        return;
    }
}
