// docs/protocol.md, from "Peers" on: every frame between nodes and every event about members and
// durable subscriptions decodes to what it says and encodes to the same bytes, proofs are made as
// it says, and refusals have the names of its table.

#include "proto/base/hmac.h"
#include "proto/base/limits.h"
#include "proto/model/chunk.h"
#include "proto/model/member_event.h"
#include "proto/model/subscription_event.h"
#include "proto/wire/frame.h"
#include "proto/wire/peer_wire.h"
#include "tests/unit/check_main.h"
#include "tests/unit/proto/wire/protocol_document.h"
#include "tests/unit/proto/wire/sample_peer.h"
#include "tests/unit/sample_bytes.h"

// Written by hand from the comments in the document, not from its hex.

#define TEXT(text)                                                                                 \
    {                                                                                              \
        .data = (const uint8_t *)(text), .length = sizeof(text) - 1                                \
    }
#define SIXTEEN(from)                                                                              \
    {                                                                                              \
        {                                                                                          \
            (from), (from) + 1, (from) + 2, (from) + 3, (from) + 4, (from) + 5, (from) + 6,        \
                (from) + 7, (from) + 8, (from) + 9, (from) + 10, (from) + 11, (from) + 12,         \
                (from) + 13, (from) + 14, (from) + 15                                              \
        }                                                                                          \
    }
#define CLUSTER SIXTEEN(0x10)
#define NODE_1 SIXTEEN(0x20)
#define NODE_2 SIXTEEN(0x30)
#define HASH_1 SIXTEEN(0x50)
#define HASH_2 SIXTEEN(0x60)
#define NONCE                                                                                      \
    {                                                                                              \
        0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8b, 0x8c, 0x8d, 0x8e,  \
            0x8f, 0x90, 0x91, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0x9b, 0x9c,    \
            0x9d, 0x9e, 0x9f                                                                       \
    }

static const struct note_entry NOTE_ENTRIES[] = {{1, 1042, HASH_1}, {2, 998, HASH_2}};
static const struct promise PROMISE_ENTRIES[] = {{1, 1050, 1042}, {3, 1040, 0}};
static const struct member_note MEMBER_ENTRIES[] = {
    {NODE_2, 2, {3, 0x2122232425262728}, true, TEXT("b.example:3000")}};

static const struct {
    const char *name;
    struct peer_message message; // proofs and chunks are left out
} EXPECTED[] = {
    {"peer-hello",
     {PEER_HELLO, .hello = {.version_min = 1,
                            .version_max = 1,
                            .abilities = PEER_ABILITIES,
                            .server_version = TEXT("weir 0.1.0"),
                            .cluster_name = TEXT("main"),
                            .cluster = CLUSTER,
                            .node = NODE_1,
                            .actor = 1,
                            .run_number = 3,
                            .runs = {0x0102030405060708, 0x1112131415161718, 7},
                            .runs_count = 3,
                            .address = TEXT("a.example:3000"),
                            .nonce = NONCE}}},
    {"peer-hello-fresh",
     {PEER_HELLO, .hello = {.version_min = 1,
                            .version_max = 1,
                            .abilities = PEER_ABILITIES,
                            .server_version = TEXT("weir 0.1.0"),
                            .node = NODE_2,
                            .wanted = 2,
                            .run_number = 1,
                            .runs = {9},
                            .runs_count = 1,
                            .nonce = NONCE}}},
    {"peer-proof-dialer", {PEER_PROOF}},
    {"peer-proof-acceptor", {PEER_PROOF}},
    {"peer-proof-empty", {PEER_PROOF}},
    {"peer-note", {PEER_NOTE, .note = {NOTE_WHOLE | NOTE_STABLE_WANTED, NOTE_ENTRIES, 2}}},
    {"peer-promises", {PEER_PROMISES, .promises = {PROMISE_ENTRIES, 2}}},
    {"peer-members", {PEER_MEMBERS, .members = {MEMBER_ENTRIES, 1}}},
    {"peer-pull", {PEER_PULL, .pull = {2, 998, HASH_2}}},
    {"peer-pull-all", {PEER_PULL, .pull = {.actor = 2}}},
    {"peer-unpull", {PEER_UNPULL, .unpull = {2}}},
    {"peer-credit", {PEER_CREDIT, .credit = {262144, 2, 1062}}},
    {"peer-chunks", {PEER_CHUNKS, .chunks = {.actor = 1}}},
    {"peer-heartbeat", {PEER_HEARTBEAT}},
    {"peer-ask",
     {PEER_ASK,
      .ask = {7, ASK_CONSENT, .actor = 3, .node = NODE_2, .address = TEXT("b.example:3000")}}},
    {"peer-answer",
     {PEER_ANSWER, .answer = {7, ANSWER_OK, .counter = 998, .hash = HASH_2, .promised = 1040}}},
    {"peer-answer-refused",
     {PEER_ANSWER, .answer = {8, ANSWER_REFUSED, .text = TEXT("actor 3 is taken")}}},
    {"peer-forward", {PEER_FORWARD, .forward = {5, TEXT("\x93\x05\x18\xcd\x80\x00")}}},
    {"peer-forwarded",
     {PEER_FORWARDED, .forward = {5, TEXT("\x94\x4b\x1a\x81\x01\xcd\x04\x12\x03")}}},
    {"peer-forward-end", {PEER_FORWARD_END, .forward_end = {5, true}}},
    {"peer-forward-end-untaken",
     {PEER_FORWARD_END,
      .forward_end = {5, true, TEXT("\0\2\0\0\0\0\0\0\3\xe6\0\0\0\0\0\0\3\xe7")}}},
    {"peer-refuse", {PEER_REFUSE, .refuse = {REFUSAL_CLUSTER, TEXT("cluster test")}}},
};
enum { EXPECTED_COUNT = sizeof EXPECTED / sizeof EXPECTED[0] };

static const struct {
    const char *name;
    struct member_event event;
} MEMBER_EVENTS[] = {
    {"admitted",
     {MEMBER_ADMITTED, .actor = 2, .node = NODE_2, .by = NODE_1,
      .address = TEXT("b.example:3000")}},
    {"retired", {MEMBER_RETIRED, .actor = 2, .is_forced = true, .seal = 998, .seal_hash = HASH_2}},
    {"lost", {MEMBER_LOST, .actor = 2, .first = 900, .last = 963}},
    {"forgiven", {MEMBER_FORGIVEN, .actor = 2}},
};
enum { MEMBER_EVENTS_COUNT = sizeof MEMBER_EVENTS / sizeof MEMBER_EVENTS[0] };

// Calls `check` with the bytes of all blocks that have this heading; returns how many.
static size_t for_each_block(const char *heading,
                             void (*check)(struct bytes name, struct bytes bytes))
{
    struct document document;
    struct bytes first;
    struct bytes second;
    struct bytes lines;
    size_t count = 0;
    document_open(&document);
    while (document_next(&document, &first, &second, &lines)) {
        if (text_is(first, heading)) {
            struct buffer bytes = {0};
            append_commented_hex(&bytes, lines);
            struct bytes copy = exact_copy(buffer_bytes(&bytes));
            check(second, copy);
            exact_free(copy);
            buffer_deinit(&bytes);
            count++;
        }
    }
    document_close(&document);
    return count;
}

static struct bytes message_of(struct bytes frame)
{
    struct bytes message;
    size_t needed;
    ck_assert_int_eq(frame_next(&frame, FRAME_BYTES_MAX, &message, &needed), 0);
    ck_assert_uint_eq(frame.length, 0);
    return message;
}

static void check_chunks(struct bytes chunks)
{
    struct chunk_header header;
    struct bytes chunk;
    struct buffer scratch = {0};
    ck_assert_int_eq(chunk_next(&chunks, &header, &chunk), 0);
    ck_assert_uint_eq(chunks.length, 0);
    ck_assert_uint_eq(header.actor, 1);
    ck_assert_uint_eq(header.first, 1001);
    ck_assert_int_eq(chunk_validate(chunk, EVENT_DATA_BYTES_DEFAULT, &scratch, NULL), 0);
    buffer_deinit(&scratch);
}

static void check_frame(struct bytes name, struct bytes frame)
{
    size_t at = 0;
    while (at < EXPECTED_COUNT && !text_is(name, EXPECTED[at].name)) {
        at++;
    }
    ck_assert_msg(at < EXPECTED_COUNT, "nothing expected of %.*s", (int)name.length, name.data);
    struct peer_scratch scratch = {0};
    struct peer_message decoded;
    struct peer_message expected = EXPECTED[at].message;
    ck_assert_int_eq(peer_decode(message_of(frame), &scratch, &decoded, NULL), 0);
    ck_assert_int_eq(decoded.kind, expected.kind);
    if (expected.kind == PEER_CHUNKS) {
        check_chunks(decoded.chunks.chunks);
        expected.chunks.chunks = decoded.chunks.chunks;
    } else if (expected.kind == PEER_PROOF) {
        bool is_empty = text_is(name, "peer-proof-empty");
        ck_assert_uint_eq(decoded.proof.mac.length, is_empty ? 0 : HMAC_LENGTH);
        expected.proof = decoded.proof;
    }
    assert_same_peer(&expected, &decoded);
    struct buffer again = {0};
    ck_assert_int_eq(peer_encode(&expected, &again), 0);
    ck_assert(bytes_equal(buffer_bytes(&again), frame));
    buffer_deinit(&again);
    peer_scratch_deinit(&scratch);
}

START_TEST(frames_mean_what_the_document_says)
{
    ck_assert_uint_eq(for_each_block("vector-peer", check_frame), EXPECTED_COUNT);
    for (size_t i = 0; i < PEER_KINDS_COUNT; i++) {
        size_t shown = 0;
        for (size_t j = 0; j < EXPECTED_COUNT; j++) {
            shown += EXPECTED[j].message.kind == PEER_KINDS[i];
        }
        ck_assert_uint_gt(shown, 0);
    }
}
END_TEST

static void check_member_event(struct bytes name, struct bytes data)
{
    size_t at = 0;
    while (at < MEMBER_EVENTS_COUNT && !text_is(name, MEMBER_EVENTS[at].name)) {
        at++;
    }
    ck_assert_uint_lt(at, MEMBER_EVENTS_COUNT);
    const struct member_event *expected = &MEMBER_EVENTS[at].event;
    struct member_event decoded;
    ck_assert_int_eq(member_event_decode(data, &decoded), 0);
    ck_assert_int_eq(decoded.kind, expected->kind);
    ck_assert_uint_eq(decoded.actor, expected->actor);
    ck_assert(uuid_equal(&decoded.node, &expected->node));
    ck_assert(uuid_equal(&decoded.by, &expected->by));
    ck_assert(bytes_equal(decoded.address, expected->address));
    ck_assert_int_eq(decoded.is_forced, expected->is_forced);
    ck_assert_uint_eq(decoded.seal, expected->seal);
    ck_assert(hash128_equal(&decoded.seal_hash, &expected->seal_hash));
    ck_assert_uint_eq(decoded.first, expected->first);
    ck_assert_uint_eq(decoded.last, expected->last);
    struct buffer again = {0};
    ck_assert_int_eq(member_event_encode(expected, &again), 0);
    ck_assert(bytes_equal(buffer_bytes(&again), data));
    buffer_deinit(&again);
}

START_TEST(events_about_members_are_as_the_document_says)
{
    size_t blocks = for_each_block("vector-member", check_member_event);
    ck_assert_uint_eq(blocks, MEMBER_EVENTS_COUNT);
}
END_TEST

static const uint8_t START[] = {0x81, 0x01, 0xcd, 0x04, 0x12};
static const uint8_t START_EMPTY[] = {0x80};

// What the document says that the event of this name means; the position of a checkpoint is left
// out.
static struct subscription_event subscription_event_of(struct bytes name)
{
    struct subscription_event event = {0};
    struct subscription_definition *definition = &event.definition;
    if (text_is(name, "created")) {
        event.kind = SUBSCRIPTION_CREATED;
        subscription_definition_init(definition);
        definition->entries[0] = (struct filter_entry){bytes_of_text("/orders/**"), false};
        definition->entries_count = 1;
        definition->key = GROUP_KEY_COMPONENTS;
        definition->key_components = 3;
        event.start = bytes_of(START, sizeof START);
    } else if (text_is(name, "reset")) {
        event.kind = SUBSCRIPTION_RESET;
        *definition = (struct subscription_definition){
            .entries = {{bytes_of_text("/b"), true}},
            .entries_count = 1,
            .attributes = {{bytes_of_text("type"), bytes_of_text("new")}},
            .attributes_count = 1,
            .timestamp_min_ms = 1700000000000,
            .is_stable_order = true,
            .is_transient = true,
            .key = GROUP_KEY_ATTRIBUTE,
            .key_attribute = bytes_of_text("user"),
            .concurrency = 4,
            .ack_wait_ms = 10000,
            .checkpoint_every = 100,
            .checkpoint_after_ms = 200,
            .queue = 500,
        };
        event.start = bytes_of(START_EMPTY, sizeof START_EMPTY);
    } else if (text_is(name, "deleted")) {
        event.kind = SUBSCRIPTION_DELETED;
    } else {
        ck_assert(text_is(name, "checkpoint"));
        event.kind = SUBSCRIPTION_CHECKPOINT;
        event.generation = (struct event_id){1043, 1};
    }
    return event;
}

static void check_position(struct bytes bytes)
{
    struct position expected = {0};
    struct position decoded = {0};
    ck_assert_int_eq(position_add(&expected, 1, 1, 1042), 0);
    ck_assert_int_eq(position_add(&expected, 2, 1, 998), 0);
    ck_assert_int_eq(position_add(&expected, 2, 1000, 2000), 0);
    ck_assert_int_eq(position_decode(&bytes, &decoded), 0);
    ck_assert_uint_eq(bytes.length, 0);
    ck_assert(position_equal(&decoded, &expected));
    position_deinit(&decoded);
    position_deinit(&expected);
}

static void check_subscription_event(struct bytes name, struct bytes data)
{
    struct subscription_event expected = subscription_event_of(name);
    struct subscription_event decoded;
    ck_assert_int_eq(subscription_event_decode(data, &decoded), 0);
    ck_assert_int_eq(decoded.kind, expected.kind);
    ck_assert(subscription_definition_equal(&decoded.definition, &expected.definition));
    ck_assert(bytes_equal(decoded.start, expected.start));
    ck_assert_int_eq(event_id_compare(decoded.generation, expected.generation), 0);
    if (expected.kind == SUBSCRIPTION_CHECKPOINT) {
        check_position(decoded.position);
        expected.position = decoded.position;
    }
    struct buffer again = {0};
    ck_assert_int_eq(subscription_event_encode(&expected, &again), 0);
    ck_assert(bytes_equal(buffer_bytes(&again), data));
    buffer_deinit(&again);
}

START_TEST(events_about_durable_subscriptions_are_as_the_document_says)
{
    size_t blocks = for_each_block("vector-subscription", check_subscription_event);
    ck_assert_uint_eq(blocks, SUBSCRIPTION_CHECKPOINT); // one of each kind
}
END_TEST

static struct {
    const char *name;
    struct buffer message;
} handshake[] = {
    {"peer-hello-fresh"}, {"peer-hello"}, {"peer-proof-dialer"}, {"peer-proof-acceptor"}};

static void remember(struct bytes name, struct bytes frame)
{
    for (size_t i = 0; i < sizeof handshake / sizeof handshake[0]; i++) {
        if (text_is(name, handshake[i].name)) {
            ck_assert_int_eq(buffer_append(&handshake[i].message, message_of(frame)), 0);
        }
    }
}

START_TEST(proofs_are_made_as_the_document_says)
{
    for_each_block("vector-peer", remember);
    for (size_t i = 0; i < 2; i++) {
        struct bytes pieces[] = {
            bytes_of_text("weir peer 1"),
            bytes_of_text(i == 0 ? "d" : "a"),
            buffer_bytes(&handshake[0].message),
            buffer_bytes(&handshake[1].message),
        };
        uint8_t mac[HMAC_LENGTH];
        struct bytes secret = bytes_of_text("correct horse battery staple");
        ck_assert_int_eq(hmac_sha256(secret, pieces, 4, mac), 0);
        struct peer_scratch scratch = {0};
        struct peer_message proof;
        struct bytes message = buffer_bytes(&handshake[2 + i].message);
        ck_assert_int_eq(peer_decode(message, &scratch, &proof, NULL), 0);
        ck_assert_uint_eq(proof.proof.mac.length, HMAC_LENGTH);
        ck_assert(hmac_equal(mac, proof.proof.mac.data));
    }
    for (size_t i = 0; i < sizeof handshake / sizeof handshake[0]; i++) {
        buffer_deinit(&handshake[i].message);
    }
}
END_TEST

// Rows of the table of refusals begin "| code | name |", and are the first such rows in "Peers".
START_TEST(refusals_have_the_numbers_and_names_of_the_document)
{
    struct document document;
    struct bytes line;
    uint32_t count = 0;
    document_open(&document);
    do {
        ck_assert(text_next_line(&document.rest, &line));
    } while (!text_is(line, "| code | name | meaning |"));
    ck_assert(text_next_line(&document.rest, &line));
    while (text_next_line(&document.rest, &line) && line.length > 0) {
        struct bytes bar;
        struct bytes code;
        struct bytes name;
        ck_assert(text_next_word(&line, &bar) && text_next_word(&line, &code));
        ck_assert(text_next_word(&line, &bar) && text_next_word(&line, &name));
        count++;
        char number[12];
        snprintf(number, sizeof number, "%" PRIu32, count);
        ck_assert(text_is(code, number));
        ck_assert(text_is(name, peer_refusal_name((enum peer_refusal)count)));
    }
    ck_assert_uint_eq(count, REFUSAL_PROTOCOL);
    document_close(&document);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("protocol_peers");
    suite_add(suite, frames_mean_what_the_document_says);
    suite_add(suite, events_about_members_are_as_the_document_says);
    suite_add(suite, events_about_durable_subscriptions_are_as_the_document_says);
    suite_add(suite, proofs_are_made_as_the_document_says);
    suite_add(suite, refusals_have_the_numbers_and_names_of_the_document);
    return check_main(suite);
}
