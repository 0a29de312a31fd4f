// The replica: what a node decides as a member of a cluster. Pure: events in, actions out; no
// clock, no socket, no file, no thread, no randomness of its own. docs/replication.md says what it
// decides and why; proto/model/peer_message.h what is said on links.
//
// Who does what. The replica decides: whom to dial, which link stays, from whom each actor is
// pulled, what notes and promises say, who is a member, whether this node may produce, the
// frontier, alarms. Its driver (server/node/cluster.c) does: connections, proofs, reading and
// appending chunks, credit, records on the disk, answers to clients.
//
// Rules of the driver:
// - Everything that an action asks for is done in the order of the actions.
// - REPLICA_RECORD and REPLICA_SYSTEM_EVENT are durable before anything behind them in the same or
//   a later list of actions is sent; the driver reports them by REPLICA_SAVED and
//   REPLICA_COMMITTED.
// - Chunks of a link are offered to replica_may_apply before they are appended, and what became of
//   them is reported by REPLICA_APPLIED.
// - Every event of MEMBERS_NAMESPACE that is committed here, whoever made it, is reported by
//   REPLICA_MEMBER_EVENT, at a start those that are in the log first, in any order per actor's
//   order.
#pragma once

#include "proto/base/instant.h"
#include "proto/model/member_event.h"
#include "proto/model/peer_message.h"
#include "proto/model/version_vector.h"

struct replica;

struct strand_head {
    uint16_t actor;
    uint64_t last;
    struct hash128 hash;
};

struct replica_address {
    char text[PEER_ADDRESS_BYTES_MAX + 1]; // "host:port"
};

struct replica_config {
    struct instant now;
    uint64_t seed;
    struct uuid node;
    struct uuid cluster; // zero: none yet
    char cluster_name[NAME_BYTES_MAX + 1];
    uint16_t actor;  // 0: none yet
    uint16_t wanted; // the actor that the operator named, 0: any; only without an actor
    struct run run;
    uint64_t run_randoms[RUNS_REMEMBERED_MAX]; // as in peer_hello
    uint32_t run_randoms_count;
    bool bootstrap; // found a cluster without asking anybody
    bool was_clean; // the last stop
    struct duration start_wait;
    struct replica_address advertise; // empty: nowhere
    const struct replica_address *peers;
    uint32_t peers_count;
    uint32_t abilities;

    // What the log holds.
    const struct strand_head *heads;
    uint32_t heads_count;
    uint64_t clock; // highest counter issued or stored; after an unclean stop, what was leased
};

// ERR_MEMORY. The first step is REPLICA_START, behind the records and member events of the log.
int replica_new(const struct replica_config *config, struct replica **replica_out) MUST_CHECK;
void replica_free(struct replica *replica); // NULL is fine

// --- Events ------------------------------------------------------------------------------------

typedef uint64_t link_id; // the driver's number of a connection; never reused; 0: none

enum replica_event_kind {
    REPLICA_RECORD_FOUND, // a record of an earlier run: `record`
    REPLICA_MEMBER_EVENT, // `member`
    REPLICA_START,        // everything that the log holds was reported
    REPLICA_TICK,         // replica_deadline was reached; any time is fine
    REPLICA_LINK_UP,      // hellos and proofs are exchanged: `link`
    REPLICA_LINK_DOWN,    // `link`, whoever ended it; also a dial that failed (link.dial)
    REPLICA_MESSAGE,      // `message` of a link: NOTE, PROMISES, MEMBERS, PULL, ASK, ANSWER
    REPLICA_APPLIED,      // chunks of a link: `applied`
    REPLICA_COMMITTED,    // heads moved, this node's or others': `committed`
    REPLICA_PROMISED,     // the commit has made a promise: `promised`
    REPLICA_SAVED,        // the record with `saved.key` is durable
    REPLICA_BECAME,       // REPLICA_BECOME is done: identity on the disk, the store has the actor
    REPLICA_KEPT,         // REPLICA_BECOME was refused: something was issued under the old actor
    REPLICA_RAISED,       // REPLICA_RAISE_CLOCK is done for at least this counter
    REPLICA_REISSUED,     // REPLICA_REISSUE is done
    REPLICA_FOUND,        // what REPLICA_LOOK_UP asked for: `found`
    REPLICA_COMMAND,      // an operator's: `command`
    REPLICA_WANTS,        // what this node's clients want has changed: `wants`
};

struct replica_record { // owned by the replica's formats: opaque to the driver
    struct bytes key;   // short, unique
    struct bytes value; // empty: removed
};

struct replica_link_up {
    link_id id;
    uint64_t dial; // of REPLICA_CONNECT; 0: it was accepted
    const struct peer_hello *hello;
};

struct replica_link_down {
    link_id id;       // 0: the dial failed before there was a link
    uint64_t dial;    // as above
    uint32_t refusal; // enum peer_refusal that the other side, or we, gave; 0: none
};

enum applied_outcome {
    APPLIED,           // durable here
    APPLIED_DUPLICATE, // was held
    APPLIED_GAP,       // does not follow what is held: something is missing
    APPLIED_FORK,      // contradicts what is held
    APPLIED_FAILED,    // not stored for a reason of this node (disk full, no memory)
    APPLIED_INVALID,   // not a chunk, or damaged
};

struct replica_applied {
    link_id link;
    uint16_t actor;
    uint64_t first; // of what came
    uint64_t last;
    enum applied_outcome outcome;
    uint32_t bytes;
    uint32_t events;
};

struct replica_found {
    uint64_t token;      // of the action
    uint64_t counter;    // where that chunk ends; 0: there is none
    struct hash128 hash; // of it
    bool is_unknown;     // it could not be read: nothing can be said
};

struct replica_committed {
    const struct strand_head *heads; // those that moved, as they are now
    uint32_t count;
    uint64_t clock;
};

enum cluster_command_kind {
    COMMAND_VERIFY = 1,
    COMMAND_RETIRE = 2,
    COMMAND_LEAVE = 3,
    COMMAND_RESCUE = 4,
    COMMAND_LOST = 5,
    COMMAND_FORGIVE = 6,
};

struct replica_command {
    uint64_t token; // answered by REPLICA_ANSWER
    enum cluster_command_kind kind;
    uint16_t actor;
    uint64_t first;
    uint64_t last;
    bool is_forced;
};

struct replica_wants {
    bool stable; // some client reads in stable order
};

struct replica_event {
    enum replica_event_kind kind;
    struct instant now;
    union {
        struct replica_record record;
        struct member_event member;
        struct replica_link_up link_up;
        struct replica_link_down link_down;
        struct {
            link_id link;
            const struct peer_message *message;
        } message;
        struct replica_applied applied;
        struct replica_committed committed;
        struct promise promised;
        struct {
            struct bytes key;
        } saved;
        uint64_t raised;
        struct replica_found found;
        struct replica_command command;
        struct replica_wants wants;
    };
};

// --- Actions -----------------------------------------------------------------------------------

enum replica_action_kind {
    REPLICA_CONNECT,      // dial `connect.address`; ends in LINK_UP or LINK_DOWN with the number
    REPLICA_DROP,         // `drop`: end this link, with that refusal if it is not 0
    REPLICA_SEND,         // `send`: this message over that link
    REPLICA_RECORD,       // keep `record`
    REPLICA_SYSTEM_EVENT, // commit `member` as an event of this node
    REPLICA_BECOME,       // `become`: this is who this node is from now on
    REPLICA_RAISE_CLOCK,  // to `counter`
    REPLICA_PROMISE,      // let the commit make a promise; reported by REPLICA_PROMISED
    REPLICA_REPORT,       // a line for the log: `report`
    REPLICA_ANSWER,       // to a command: `answer`
    REPLICA_REISSUE,      // `reissue`: store the events of a branch again under this node's ids
    REPLICA_HOLLOW,       // `hollow`: this range is lost for good; what is intact of it stays
    REPLICA_LOOK_UP,      // `look_up`: the last chunk of this strand here that ends at or below
};

enum replica_severity { SEVERITY_INFO, SEVERITY_WARNING, SEVERITY_ERROR };

struct replica_become {
    struct uuid cluster;
    char cluster_name[NAME_BYTES_MAX + 1];
    uint16_t actor;
    uint64_t clock; // ids go on above it
    // Only if nothing was issued under the actor that this node has, in what the driver has taken
    // from clients neither: from before the identity is written none of that may be any more.
    bool must_be_idle;
};

struct replica_action {
    enum replica_action_kind kind;
    union {
        struct {
            uint64_t dial;
            struct replica_address address;
        } connect;
        struct {
            link_id link;
            enum peer_refusal refusal; // 0: just close
            struct reason text;
        } drop;
        struct {
            link_id link;
            struct peer_message message; // views are the replica's, valid until the next step
        } send;
        struct replica_record record; // as above
        struct member_event member;   // as above
        struct replica_become become;
        uint64_t counter;
        struct {
            enum replica_severity severity;
            struct reason text;
        } report;
        struct {
            uint64_t token;
            int result;         // 0, or an error
            struct reason text; // what was done, or why not and what to do
        } answer;
        struct {
            uint16_t actor; // of the old strand
            uint64_t above; // events above this counter
        } reissue;
        struct {
            uint16_t actor;
            uint64_t first;
            uint64_t last;
        } hollow;
        struct {
            uint64_t token; // reported by REPLICA_FOUND
            uint16_t actor;
            uint64_t counter;
        } look_up;
    };
};

// A step gives at most so many; what is left is due at once (replica_deadline is then in the past).
enum { REPLICA_ACTIONS_MAX = 256 };

struct replica_actions {
    struct replica_action items[REPLICA_ACTIONS_MAX];
    uint32_t count;
};

// ERR_MEMORY: nothing was decided, the same event may be given again. `actions` is written anew.
int replica_step(struct replica *replica, const struct replica_event *event,
                 struct replica_actions *actions) MUST_CHECK;

struct instant replica_deadline(const struct replica *replica);

// --- State, between steps ----------------------------------------------------------------------

// Whether chunks of `actor` up to `last`, from that link, may be appended now: the sender is an
// accepted member, was asked for them, the counters come from somewhere, the actor is neither
// fenced nor quarantined, nothing is below its promise. The reason is for the refusal. May raise an
// alarm.
enum replica_verdict {
    VERDICT_APPLY,
    VERDICT_DROP,   // no longer asked for: not an error
    VERDICT_REFUSE, // the link ends with *refusal_out
};
enum replica_verdict replica_may_apply(struct replica *replica, link_id link, uint16_t actor,
                                       uint64_t first, uint64_t last,
                                       enum peer_refusal *refusal_out, struct reason *reason);

// Up to which counter chunks of this actor may be sent to others (a strand that forked: its last
// common chunk); UINT64_MAX: all.
uint64_t replica_send_limit(const struct replica *replica, uint16_t actor);

// Whether this node may accept produce; if not, why and what to do.
bool replica_may_produce(const struct replica *replica, struct reason *why);

// Everything up to here, in canonical order, is held and nothing can come in between.
uint64_t replica_frontier(const struct replica *replica);

// The member that holds the frontier back, 0: none; for `consume -v` and status.
uint16_t replica_frontier_waits_for(const struct replica *replica);

// The highest counter of this node's own strand that at least one node, two nodes and so on hold,
// itself included.
void replica_held_by(const struct replica *replica, uint64_t held_out[REPLICAS_MAX]);

// What every member reads: bodies and formats outside of it are not written.
uint32_t replica_abilities(struct replica *replica);

enum member_state {
    MEMBER_ACTIVE,
    MEMBER_JOINING,  // consents are asked, not yet an event
    MEMBER_RETIRING, // fenced
    MEMBER_GONE,     // retired
};

// Lines of status. Texts are the replica's, valid until the next step.
struct replica_member {
    struct uuid node;
    uint16_t actor;
    enum member_state state;
    const char *address;
    bool is_self;
    bool is_connected;
    link_id link;                // 0: none
    uint64_t run;                // 0: not known
    uint64_t held;               // of its strand, here
    uint64_t claimed;            // the highest anybody has said of its strand
    struct instant behind_since; // held < claimed since then; INSTANT_NEVER: is not
    uint64_t promised;           // counted promise
    link_id source;              // its strand is pulled over this link; 0: from nowhere
    uint64_t seal;               // GONE
    struct hash128 seal_hash;    // of the chunk that ends there
    enum {
        VERIFIED_UNKNOWN,
        VERIFIED_EQUAL,
        VERIFIED_BEHIND,
        VERIFIED_AHEAD,
        VERIFIED_DIVERGED
    } verified;              // its last note against what is held here
    uint64_t diverged_since; // counter; of diverged_actor
    uint16_t diverged_actor;
    const char *server_version; // "" when not known
};
uint32_t replica_active_count(const struct replica *replica); // members that are not gone
uint32_t replica_members_count(const struct replica *replica);
void replica_member_at(const struct replica *replica, uint32_t index,
                       struct replica_member *member_out);

// Members that this node has a link to, each once; newcomers and copies of a node are none.
struct replica_link {
    link_id id;
    struct uuid node;
    uint16_t actor;
    uint32_t abilities;                // enum peer_ability
    const struct version_vector *held; // what its notes say it holds, valid until the next step;
                                       // NULL: it has not said yet
};
// Returns how many.
uint32_t replica_links(const struct replica *replica, struct replica_link links_out[LINKS_MAX]);

// Alarms that are standing: code ("forked_strand"), and text with the remedy.
struct replica_alarm {
    const char *code;
    const char *text;
};
uint32_t replica_alarms_count(const struct replica *replica);
struct replica_alarm replica_alarm_at(const struct replica *replica, uint32_t index);

struct replica_counts {
    uint64_t events_applied;
    uint64_t events_duplicate; // came although held
    uint64_t source_changes;
    uint64_t dials;
};
struct replica_counts replica_counts(const struct replica *replica);

// The phase of this node as a member, in words for status: "waiting for 127.0.0.1:3001 to found
// the cluster", "member".
const char *replica_phase(const struct replica *replica);
bool replica_is_member(const struct replica *replica);
