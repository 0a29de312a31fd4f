// What members of a cluster say to each other. Values whose views point into the bytes they were
// decoded from, or into memory of the sender that stays until it is sent (docs/protocol.md,
// "Peers"; docs/replication.md says what they are for).
#pragma once

#include "proto/base/bytes.h"
#include "proto/base/hash.h"
#include "proto/base/limits.h"
#include "proto/model/event_id.h"
#include "proto/model/uuid.h"

enum peer_message_kind {
    PEER_HELLO = 96,    // first, from the dialer, then from the other side
    PEER_PROOF = 97,    // second: the sender knows the cluster secret
    PEER_NOTE = 98,     // what the sender holds
    PEER_PROMISES = 99, //
    PEER_MEMBERS = 100, // who there is, where, and which run
    PEER_PULL = 101,    // send me this actor from there on
    PEER_UNPULL = 102,  // no more of it
    PEER_CREDIT = 103,  // so many bytes more; and what is durable here
    PEER_CHUNKS = 104,  // whole chunks of one actor, ending complete
    PEER_HEARTBEAT = 105,
    PEER_ASK = 106,       // a question that is answered once
    PEER_ANSWER = 107,    //
    PEER_REFUSE = 108,    // why the connection ends
    PEER_FORWARD = 109,   // a client's request, to the node that coordinates a group
    PEER_FORWARDED = 110, // what that node says to the client
    PEER_FORWARD_END = 111,
};

enum { PEER_VERSION_MIN = 1, PEER_VERSION_MAX = 1 };

// Formats and encodings that a node reads, and what else it can do; bits. A node writes only what
// every member reads.
enum peer_ability {
    PEER_READS_CHUNK_1 = 1 << 0, // CHUNK_FORMAT 1
    PEER_READS_LZ4 = 1 << 1,
    // Takes FORWARD and hosts what comes, whatever it thinks itself who coordinates; without it the
    // node is none of those that a group's coordinator is chosen from.
    PEER_COORDINATES = 1 << 2,
};
#define PEER_ABILITIES ((uint32_t)(PEER_READS_CHUNK_1 | PEER_READS_LZ4 | PEER_COORDINATES))

// One start of a node. A run that is the successor of another names it in its history.
struct run {
    uint64_t number; // 1 for the first start
    uint64_t random;
};

struct peer_hello {
    uint32_t version_min;
    uint32_t version_max;
    uint32_t abilities;
    struct bytes server_version; // "weir 0.1.0"
    struct bytes cluster_name;
    struct uuid cluster; // zero: none yet
    struct uuid node;
    uint16_t actor;      // 0: none yet
    uint16_t wanted;     // the actor that the operator named; 0: any. Only without an actor
    bool is_founder;     // its cluster has no other member and it never issued an id
    uint64_t run_number; // see struct run
    uint64_t runs[RUNS_REMEMBERED_MAX]; // randoms: of this run, of the one before, ...
    uint32_t runs_count;                // at least 1
    struct bytes address;               // where it can be dialled: "host:port"; empty: nowhere
    uint8_t nonce[32];                  // for the other side's proof
};

// HMAC-SHA-256 with the cluster secret over a label, the role of the sender, and both hellos as
// they were on the wire (the dialer's first). Without a secret it is empty.
struct peer_proof {
    struct bytes mac; // 0 or 32 bytes
};

struct note_entry {
    uint16_t actor;
    uint64_t counter;    // everything of the actor up to here is held, durably
    struct hash128 hash; // of the chunk that ends there
};

enum peer_note_flag {
    NOTE_WHOLE = 1 << 0,        // actors that are not named: nothing is held of them
    NOTE_STABLE_WANTED = 1 << 1 // someone at or behind the sender reads in stable order
};

struct peer_note {
    uint32_t flags;
    const struct note_entry *entries; // sorted by actor
    uint32_t count;
};

// "I will never again issue a counter up to `counter`, and my strand up to it ends at `head`."
struct promise {
    uint16_t actor;
    uint64_t counter;
    uint64_t head;
};

struct peer_promises {
    const struct promise *entries; // sorted by actor
    uint32_t count;
};

// What is known of a member that is no event: gossip, it decides nothing but links and runs.
struct member_note {
    struct uuid node;
    uint16_t actor;
    struct run run;    // the newest that is known
    bool is_reachable; // the sender has a link to it
    struct bytes address;
};

struct peer_members {
    const struct member_note *entries;
    uint32_t count;
};

struct peer_pull {
    uint16_t actor;
    uint64_t from;       // what the asking side holds of it; 0: nothing
    struct hash128 hash; // of the chunk that ends there; zero when from is 0
};

struct peer_unpull {
    uint16_t actor;
};

struct peer_credit {
    uint64_t bytes; // more to send; may be 0
    uint16_t actor; // 0: none; else everything of it up to counter is durable at the sender
    uint64_t counter;
};

struct peer_chunks {
    uint16_t actor;
    struct bytes chunks; // back to back; sent separately behind the head
};

enum peer_ask_kind {
    ASK_ADMIT = 1,   // a newcomer wants to become a member: actor (0: any), node, address
    ASK_CONSENT = 2, // may `node` become `actor`?
    ASK_JOINED = 3,  // the newcomer: my identity with `actor` is on my disk, make it an event
    ASK_HEAD = 4,    // what do you hold of `actor`, and what did it promise?
    ASK_FENCE = 5,   // apply no more of `actor`, durably, and tell its head
    ASK_CHUNK = 6,   // the chunk of `actor` that begins at `counter`, to replace a damaged one
    ASK_NOTE = 7,    // your whole note, now
    ASK_RETIRE = 8,  // a member that leaves: retire me
    ASK_HOLDS = 9,   // do you hold `actor` up to `counter`? Answered when it does
};

struct peer_ask {
    uint64_t token; // the asking side's; unique among its open questions on this link
    enum peer_ask_kind kind;
    uint16_t actor;
    uint64_t counter;
    struct uuid node;
    struct bytes address;
};

enum peer_answer_result {
    ANSWER_OK = 0,
    ANSWER_REFUSED = 1, // text says why
    ANSWER_LATER = 2,   // cannot now: ask again
};

struct peer_answer {
    uint64_t token;
    enum peer_answer_result result;
    uint16_t actor;      // ADMIT: the one handed out
    uint64_t counter;    // HEAD, FENCE: last counter held; ADMIT: where the newcomer's clock starts
    struct hash128 hash; // HEAD, FENCE: of the chunk that ends there
    uint64_t promised;   // HEAD: the highest promise of the actor that is remembered
    struct uuid cluster; // ADMIT
    struct bytes text;   // why it is refused; ADMIT: the cluster's name
    struct bytes chunk;  // CHUNK; HEAD of a chunk that is not complete: empty
};

// One channel is one consumer, from its ATTACH on. Its number is chosen by the side that forwards
// and is unique among the channels that it has open on this link; the other side's are others.
struct peer_forward {
    uint64_t channel;
    struct bytes message; // as in a frame of a client, without the length; FORWARDED: to a client
};

struct peer_forward_end {
    uint64_t channel;
    bool is_senders; // of the side that sends this; else of the other
    // Of the sender: ranges of ids, as those of a NACK, that were assigned on it and did not go to
    // the client. They are checked where they are read.
    struct bytes untaken;
};

enum peer_refusal {
    REFUSAL_MALFORMED = 1,
    REFUSAL_VERSION = 2,   // no common protocol version
    REFUSAL_CLUSTER = 3,   // another cluster
    REFUSAL_SECRET = 4,    // failed authentication
    REFUSAL_ACTOR = 5,     // the actor belongs to another node
    REFUSAL_SELF = 6,      // it is myself
    REFUSAL_DUPLICATE = 7, // there is a connection already
    REFUSAL_RETIRED = 8,   //
    REFUSAL_COUNTER = 9,   // a counter from nowhere (docs/operations.md, "counter poison")
    REFUSAL_FULL = 10,     // as many links as there may be
    REFUSAL_ADDRESS = 11,  // no secret is set, and the other side is not on this machine
    REFUSAL_SHUTDOWN = 12, //
    REFUSAL_PROTOCOL = 13, // a message that was not asked for, or out of turn
};
const char *peer_refusal_name(enum peer_refusal refusal); // "another_cluster"; never NULL

struct peer_refuse {
    uint32_t code; // enum peer_refusal
    struct bytes text;
};

struct peer_message {
    enum peer_message_kind kind;
    union {
        struct peer_hello hello;
        struct peer_proof proof;
        struct peer_note note;
        struct peer_promises promises;
        struct peer_members members;
        struct peer_pull pull;
        struct peer_unpull unpull;
        struct peer_credit credit;
        struct peer_chunks chunks;
        struct peer_ask ask;
        struct peer_answer answer;
        struct peer_refuse refuse;
        struct peer_forward forward; // FORWARDED, too
        struct peer_forward_end forward_end;
    };
};
