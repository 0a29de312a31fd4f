// Every limit of weir that is not configurable, in one place, with the relations between them.
#pragma once

#include <assert.h>
#include <stdint.h>

#define KIB ((uint64_t)1 << 10)
#define MIB ((uint64_t)1 << 20)

// Events and chunks (data-model: docs/architecture.md)
#define NAMESPACE_BYTES_MAX 1024
#define PATTERN_BYTES_MAX 1024
#define PATTERNS_MAX 64                     // per subscription or request
#define ATTRIBUTES_MAX 64                   // pairs per event
#define ATTRIBUTES_BYTES_MAX (64 * KIB)     // encoded, per event
#define EVENT_DATA_BYTES_DEFAULT (1 * MIB)  // default of the configurable limit
#define EVENT_DATA_BYTES_CEILING (64 * MIB) // what it can be raised to
#define EVENT_BYTES_MAX (EVENT_DATA_BYTES_CEILING + ATTRIBUTES_BYTES_MAX + NAMESPACE_BYTES_MAX + 64)
#define CHUNK_EVENTS_MAX 64
#define CHUNK_BODY_BYTES_CLOSE (16 * KIB) // a chunk is closed here unless one event is larger
#define CHUNK_BODY_BYTES_MAX EVENT_BYTES_MAX
#define PRODUCE_EVENTS_MAX 65536
#define PRODUCE_BYTES_MAX (16 * MIB) // or one larger event
#define ACTORS_MAX 65535
#define COUNTER_MAX (((uint64_t)1 << 63) - 1)

// Frames and sessions
#define FRAME_BYTES_MAX (EVENT_BYTES_MAX + 64 * KIB)
#define FRAME_BYTES_MAX_BEFORE_HELLO (64 * KIB)
#define MSGPACK_DEPTH_MAX 8
#define SESSION_APPEND_BYTES_MAX (32 * MIB) // accepted, not yet committed, per session
#define SESSION_REQUESTS_MAX 65536          // accepted, not yet answered, per session
#define SESSION_SUBSCRIPTIONS_MAX 1024
#define SESSION_OUT_BYTES_MAX (256 * KIB) // chunk references held per connection
#define SUBSCRIPTION_CREDIT_BYTES_DEFAULT (4 * MIB)
#define SUBSCRIPTION_CREDIT_BYTES_MAX (1024 * MIB)
#define LAST_EVENTS_MAX 65536 // "last N"
#define NAMESPACES_PAGE_MAX 1000
#define NAME_BYTES_MAX 128 // client, cluster and other short names

// Storage
#define BLOCK_BYTES_MAX (256 * KIB) // chunks per block, unless one chunk is larger
#define COMMIT_BYTES_MAX (32 * MIB) // bodies per commit
#define COUNTER_LEASE_STEP 1000000
#define INDEX_BEHIND_EVENTS_MAX 4000000 // produce is slowed beyond it
#define MEMORY_BYTES_MIN (64 * MIB)

// Clusters (docs/replication.md)
#define MEMBERS_MAX 4096      // in the table, retired ones included
#define LINKS_MAX 16          // connections to peers, greeting ones included
#define LINKS_FULL_MESH 8     // up to so many members everybody has a link to everybody
#define LINKS_WANTED 6        // links per node in a larger cluster
#define PEER_ADDRESSES_MAX 16 // configured
#define PEER_ADDRESS_BYTES_MAX 263
#define PEER_CREDIT_BYTES (4 * MIB)  // of chunks on their way over one link
#define PEER_FRAME_BYTES (256 * KIB) // about, of chunks, unless one produce is larger
#define PEER_ENTRIES_MAX 4096        // of one note, of promises, of members
#define PEER_TEXT_BYTES_MAX 1024     // of a refusal or answer
#define RUNS_REMEMBERED_MAX 16       // randoms of earlier runs
#define REPLICAS_MAX 16              // what a produce can wait for
#define COUNTER_JUMP_ALARM ((uint64_t)1 << 40)
#define COUNTER_JUMP_MAX ((uint64_t)1 << 48)

// Durable subscriptions and groups (docs/subscriptions.md)
#define SUBSCRIPTIONS_MAX 65536                // of a cluster
#define GROUP_WAITING_BYTES_MAX (4 * MIB)      // of events that wait to be handed out
#define GROUP_OPEN_MAX 65536                   // events of one group that are not done
#define GROUP_REASON_BYTES_MAX 200             // of why an event was refused
#define SUBSCRIPTION_EVENT_BYTES_MAX (1 * MIB) // of what it is, or how far it has got
#define GROUP_CONSUMERS_MAX 1024               // the most that `concurrency` can be
#define GROUP_IN_FLIGHT_MAX 16384              // events of one consumer
#define ACK_RANGES_MAX 65536                   // of one ACK or NACK
#define FORWARD_CHANNELS_MAX 4096              // consumers forwarded over one link, each way
#define FORWARD_WINDOW_BYTES (64 * KIB)        // of events on their way to one of them
#define FORWARD_KEPT_BYTES_MAX (64 * MIB) // of acknowledgements that are not answered, per node
#define FORWARD_ANSWERS_MAX 32768         // that wait to be sent over one link

static_assert(PRODUCE_BYTES_MAX <= EVENT_BYTES_MAX, "a frame holds any produce");
static_assert(EVENT_BYTES_MAX + KIB < FRAME_BYTES_MAX, "a frame holds its message head");
static_assert(PRODUCE_BYTES_MAX <= SESSION_APPEND_BYTES_MAX, "a session can always produce");
static_assert(CHUNK_BODY_BYTES_CLOSE <= BLOCK_BYTES_MAX, "a block holds a usual chunk");
static_assert(SESSION_OUT_BYTES_MAX >= BLOCK_BYTES_MAX, "a session can hold a block");
static_assert(PRODUCE_BYTES_MAX <= COMMIT_BYTES_MAX, "a commit holds any produce");
static_assert(SUBSCRIPTIONS_MAX * KIB <= MEMORY_BYTES_MIN, "all subscriptions fit into memory");
static_assert(SUBSCRIPTION_EVENT_BYTES_MAX <= EVENT_DATA_BYTES_DEFAULT, "it is an event");
