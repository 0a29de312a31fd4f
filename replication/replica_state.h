// The inside of a replica, shared by the files of this folder and nobody else. replica.c takes an
// event apart and calls the files in turn; each looks at what concerns it and pushes actions.
//
// Who writes what: a file's own struct is written by that file; the others read it. Everything is
// bounded; tables grow by the number of actors, members, links.
#pragma once

#include "proto/base/planted.h"
#include "proto/base/random.h"
#include "replication/membership.h"
#include "replication/replica.h"

enum {
    TICK_MS = 50,            // the pace of notes
    NOTE_WHOLE_MS = 30000,   //
    HEARTBEAT_MS = 500,      //
    LINK_DEAD_MS = 2000,     //
    LINK_REPLACED_MS = 1000, // an old connection of the same run gives way after this silence
    DIAL_MS = 1000,          // the pace of dials at random members in a large cluster
    DIAL_BACKOFF_MAX_MS = 1000,
    SOURCE_STALLED_MS = 500, //
    PROMISE_STABLE_MS = 20,  //
    PROMISE_MS = 1000,       //
    ASK_MS = 1000,           // a question that is not answered is asked again
    ALARMS_MAX = 64,
    LINK_WHY_BYTES_MAX = 95,
    ASKS_MAX = 64, // open questions of this node, all links
};

// What one peer's link is, from LINK_UP to LINK_DOWN.
struct link {
    link_id id;
    uint64_t dial;
    struct uuid node;
    struct uuid cluster; // as its hello said
    uint16_t actor;      // 0: a newcomer
    struct run run;
    bool is_ended;     // dropped in this step: nothing goes out or comes in any more
    bool is_refused;   // with a reason: not dialled again at once
    bool is_announced; // the log says that it is up
    char why_ended[LINK_WHY_BYTES_MAX + 1];
    bool is_newcomer;   // not a member (yet): only ADMIT and JOINED are taken from it
    bool is_copy;       // see starting.c: nothing of its own actor is taken from it
    bool is_extra;      // above LINKS_WANTED: goes when both sides gain nothing from it
    bool stable_wanted; // the other side's note says so
    uint32_t abilities;
    char address[PEER_ADDRESS_BYTES_MAX + 1]; // as its hello said; for people
    char server_version[NAME_BYTES_MAX + 1];
    struct instant since;
    struct instant heard;       // when its last message or chunk came
    struct instant said;        // when the last message was sent
    struct instant noted;       // when the last whole note was sent
    struct version_vector held; // what its notes say it holds
    struct hash128 *hashes;     // of held.entries, one by one
    uint32_t hashes_capacity;
    struct version_vector told;     // what our notes have told it
    uint32_t told_flags;            // the flags of the last note to it
    bool is_noted;                  // its whole note has come
    bool has_news;                  // its first promises were new to us: we believed it away
    struct event_id knows_us;       // a newcomer's: the admission of ours that its notes cover
    uint64_t knew_us_at;            // its own strand's head then
    struct instant credited;        // when it last said that chunks of ours are durable there
    bool holds_our_branch;          // what it holds of this node's own strand is what we hold
    uint64_t own_looked_up;         // token of the look-up that is to say so; 0: none
    struct note_entry own_noted;    // and what it had noted
    struct version_vector promised; // the promises that it was told, by actor
    uint64_t promises_version;      // of promises_state, when it was told
    struct instant promises_said;
    uint64_t members_version; // of links_state, when it was told
    struct instant members_said;
    struct version_vector asked; // actors that were pulled over it, in its life; to 1
    struct instant chunks_heard; // when chunks came last, of any actor
};

// Where one actor's strand comes from.
struct source {
    uint16_t actor;
    link_id link;           // 0: from nowhere
    uint64_t pulled_from;   // what we held when we asked
    struct instant asked;   //
    struct instant arrived; // when something came last
    struct instant behind_since;
    uint64_t claimed;        // the highest anybody has said
    struct instant retry_at; // nothing is asked before
    link_id avoided;         // brought nothing; 0: none
    struct instant avoided_until;
    bool is_pending; // to be thought about
};

struct actor_promise {
    uint16_t actor;
    struct promise told;    // the highest that was heard
    struct promise waiting; // an older one whose head comes first; counter 0: none
    struct promise counted; // the highest whose head is held
    struct instant raised;  // when a higher one was heard
};

// A question that this node has asked and whose answer has not come.
struct ask {
    uint64_t token; // 0: free
    link_id link;
    enum peer_ask_kind kind;
    uint16_t actor;
    struct uuid node; // of whom it was asked
    struct instant asked;
};

struct alarm {
    char code[32];
    uint64_t subject; // with the code: which one (an actor, mostly)
    struct reason text;
    bool is_said; // in the log
};

// Memory for what the actions of a step point to.
struct arena_block {
    struct arena_block *next;
    size_t length;
    size_t capacity;
    _Alignas(16) uint8_t bytes[];
};

struct links_state;    // links.c
struct notes_state;    // notes.c
struct sources_state;  // sources.c
struct promises_state; // promises.c
struct counters_state; // counters.c
struct joining_state;  // joining.c
struct starting_state; // starting.c
struct retiring_state; // retiring.c
struct forking_state;  // forking.c

struct replica {
    struct replica_config config; // peers are copied
    struct replica_address peers[PEER_ADDRESSES_MAX];
    // Who answered at peers[i] last: this node's own uuid where it is itself, zero: nobody yet.
    // Written by links.c.
    struct uuid peer_nodes[PEER_ADDRESSES_MAX];
    struct instant now; // of this step
    struct random random;
    struct replica_actions *actions; // of this step; NULL between steps
    struct arena_block *arena;
    bool has_started;   // REPLICA_START came
    bool is_unfinished; // something is left to do at once
    uint64_t raise_to;  // the clock, at the end of this step; 0: not

    // who this node is now
    struct uuid cluster;
    char cluster_name[NAME_BYTES_MAX + 1];
    uint16_t actor;
    uint64_t clock; // highest counter known to be issued, stored or leased here

    struct membership members;
    uint32_t abilities;         // what every member reads, as worked out last
    uint64_t abilities_members; // version of `members`, then; 0: not worked out
    uint64_t abilities_links;   // and links_version
    struct version_vector held; // the heads: what this node holds, durably
    struct hash128 *hashes;     // of held.entries
    uint32_t hashes_capacity;

    struct link links[LINKS_MAX];
    uint32_t links_count;
    struct ask asks[ASKS_MAX];
    uint64_t token_next;
    struct alarm alarms[ALARMS_MAX];
    uint32_t alarms_count;
    struct replica_counts counts;
    struct replica_wants wants;

    struct links_state *links_state;
    struct notes_state *notes;
    struct sources_state *sources;
    struct promises_state *promises;
    struct counters_state *counters;
    struct joining_state *joining;
    struct starting_state *starting;
    struct retiring_state *retiring;
    struct forking_state *forking;
};

struct round;

// --- replica.c: for all ------------------------------------------------------------------------

// The next free action, zeroed. Never NULL: when the list is full, replica.c has stopped calling
// before (each call of a file's function may push at most ACTIONS_PER_CALL; files remember where
// they stopped and go on at the next tick, for which they set their deadline to now).
enum { ACTIONS_PER_CALL = 24, ACTIONS_RESERVED = 16 };
struct replica_action *push(struct replica *replica, enum replica_action_kind kind);
bool has_room(const struct replica *replica); // for ACTIONS_PER_CALL more

void push_send(struct replica *replica, struct link *link, const struct peer_message *message);
void push_drop(struct replica *replica, link_id link, enum peer_refusal refusal, const char *format,
               ...) PRINTF_LIKE(4, 5);
void push_record(struct replica *replica, struct bytes key, struct bytes value);
void push_report(struct replica *replica, enum replica_severity severity, const char *format, ...)
    PRINTF_LIKE(3, 4);
void push_answer(struct replica *replica, uint64_t token, int result, const char *format, ...)
    PRINTF_LIKE(4, 5);

// Memory for what a message or record points to: lives until the next step. NULL: none.
void *step_alloc(struct replica *replica, size_t length);

void arena_reset(struct replica *replica);
void arena_free(struct replica *replica);

// Sets an entry of a vector and the hash beside it; counter 0 removes both. ERR_MEMORY leaves them.
int strands_set(struct version_vector *vector, struct hash128 **hashes, uint32_t *hashes_capacity,
                uint16_t actor, uint64_t counter, const struct hash128 *hash) MUST_CHECK;
// Of the entry of `actor`; zero when there is none.
struct hash128 strands_hash(const struct version_vector *vector, const struct hash128 *hashes,
                            uint16_t actor);

// Raised again, its text is replaced; reported to the log when it is new or says something new.
void alarm_raise(struct replica *replica, const char *code, uint64_t subject, const char *format,
                 ...) PRINTF_LIKE(4, 5);
void alarm_clear(struct replica *replica, const char *code, uint64_t subject);

// A link's last word on what it holds against what is held here: sets verified, diverged_*.
void link_verify(const struct replica *replica, const struct link *link,
                 struct replica_member *out);

struct link *link_find(struct replica *replica, link_id id); // NULL: none
struct link *link_of_node(struct replica *replica, const struct uuid *node);
struct link *link_of_actor(struct replica *replica, uint16_t actor);

// The hash at the head of `actor` here; zero when nothing is held.
struct hash128 head_hash(const struct replica *replica, uint16_t actor);

// Where the first entry with at least that actor stands in a table that is sorted by it. Each entry
// begins with its actor.
uint32_t actor_index(const void *entries, size_t entry_size, uint32_t count, uint16_t actor);

// Sends a question and remembers it; NULL: too many are open.
struct ask *ask_send(struct replica *replica, struct link *link, struct peer_ask *question);
struct ask *ask_find(struct replica *replica, link_id link, uint64_t token);
void ask_free(struct ask *ask);
void answer_send(struct replica *replica, struct link *link, const struct peer_answer *answer);

// --- The files: each is told everything that may concern it, in this order -----------------------
// Every one has: new (ERR_MEMORY), free, deadline, tick; and what it wants of the others below.

int links_new(struct replica *replica) MUST_CHECK;
void links_free(struct replica *replica);
void links_start(struct replica *replica);
void links_tick(struct replica *replica);
struct instant links_deadline(const struct replica *replica);
// Forgets a link that has ended; replica.c has told the others.
void links_remove(struct replica *replica, struct link *link);
// Decides whether the link is taken; adds it to replica->links. NULL: it was dropped.
struct link *links_up(struct replica *replica, const struct replica_link_up *up);
// Behind starting_link_up: older links to the same node give way.
void links_accepted(struct replica *replica, struct link *link);
void links_down(struct replica *replica, const struct replica_link_down *down);
void links_members(struct replica *replica, struct link *link, const struct peer_members *members);
void links_membership_changed(struct replica *replica);
// This node has become a member: peers that were as fresh must hear a new hello.
void links_became(struct replica *replica);
uint32_t links_abilities(const struct replica *replica); // what every member reads: worked out
uint64_t links_version(const struct replica *replica);   // rises with what is known of members
// What a member without a link held when it was asked (verified, diverged_*): kept for VERDICT_MS.
void links_judged(struct replica *replica, const struct uuid *node,
                  const struct replica_member *verdict);
void links_verdict(const struct replica *replica, const struct uuid *node,
                   struct replica_member *verdict_out);
// Members without a link are to be asked something: those that could not be dialled may be again;
// some of the nodes that are awaited are dialled, as long as there is room; whether a dial has
// failed since.
void links_try_again(struct replica *replica);
void links_dial_awaited(struct replica *replica, const struct round *round);
bool links_gave_up(const struct replica *replica, const struct uuid *node);

int notes_new(struct replica *replica) MUST_CHECK;
void notes_free(struct replica *replica);
void notes_tick(struct replica *replica);
struct instant notes_deadline(const struct replica *replica);
void notes_link_up(struct replica *replica, struct link *link);
void notes_received(struct replica *replica, struct link *link, const struct peer_note *note);
void notes_credit(struct replica *replica, struct link *link, const struct peer_credit *credit);
void notes_committed(struct replica *replica);
void notes_send_whole(struct replica *replica, struct link *link);

int sources_new(struct replica *replica) MUST_CHECK;
void sources_free(struct replica *replica);
void sources_tick(struct replica *replica);
struct instant sources_deadline(const struct replica *replica);
void sources_noted(struct replica *replica, struct link *link); // its note has changed
void sources_claimed(struct replica *replica, uint16_t actor, uint64_t counter); // by some link
void sources_committed(struct replica *replica, const struct replica_committed *committed);
bool sources_uses(const struct replica *replica, link_id link); // some strand is pulled over it
const struct source *sources_of(const struct replica *replica, uint16_t actor); // NULL: none
void sources_link_down(struct replica *replica, link_id link); // still in replica->links
void sources_applied(struct replica *replica, const struct replica_applied *applied);
void sources_reconsider(struct replica *replica, uint16_t actor); // fences, quarantines changed
void sources_reconsider_all(struct replica *replica); // this node is a newcomer, or is none now

int promises_new(struct replica *replica) MUST_CHECK;
void promises_free(struct replica *replica);
void promises_tick(struct replica *replica);
struct instant promises_deadline(const struct replica *replica);
void promises_record(struct replica *replica, struct bytes key, struct bytes value);
void promises_link_up(struct replica *replica, struct link *link);
void promises_received(struct replica *replica, struct link *link,
                       const struct peer_promises *promises);
void promises_made(struct replica *replica, const struct promise *promise);
void promises_committed(struct replica *replica, const struct replica_committed *committed);
void promises_clock_raised(struct replica *replica);
void promises_held_by_peer(struct replica *replica, struct link *link, uint64_t counter);
uint64_t promises_counted(const struct replica *replica, uint16_t actor);
// Whether a chunk that begins there was promised never to come. One at or below the promise's head
// was there when it was made: a node may have lost it since.
bool promises_forbid(const struct replica *replica, uint16_t actor, uint64_t first);
uint64_t promises_heard(const struct replica *replica, uint16_t actor); // counted or not
void promises_membership_changed(struct replica *replica);
void promises_forget(struct replica *replica); // this node changes its cluster: of other actors
uint64_t promises_frontier(const struct replica *replica, uint16_t *waits_for_out);

int counters_new(struct replica *replica) MUST_CHECK;
void counters_free(struct replica *replica);
// Whether a counter may be believed; if not: the alarm is raised and the link is to be refused.
// Raises the clock (REPLICA_RAISE_CLOCK, coalesced per step by replica.c) when `raises`.
bool counters_believe(struct replica *replica, struct link *link, uint16_t actor, uint64_t counter,
                      bool raises);
bool counters_is_quarantined(const struct replica *replica, uint16_t actor);
void counters_forgive(struct replica *replica, uint16_t actor);

int joining_new(struct replica *replica) MUST_CHECK;
void joining_free(struct replica *replica);
void joining_start(struct replica *replica);
void joining_tick(struct replica *replica);
struct instant joining_deadline(const struct replica *replica);
void joining_record(struct replica *replica, struct bytes key, struct bytes value);
void joining_link_up(struct replica *replica, struct link *link, const struct peer_hello *hello);
void joining_link_down(struct replica *replica, const struct link *link);
void joining_ask(struct replica *replica, struct link *link, const struct peer_ask *question);
void joining_answer(struct replica *replica, struct link *link, const struct ask *ask,
                    const struct peer_answer *answer);
void joining_saved(struct replica *replica, struct bytes key);
void joining_member_event(struct replica *replica, const struct member_event *event);
void joining_became(struct replica *replica);
void joining_kept(struct replica *replica);
bool joining_may_produce(const struct replica *replica, struct reason *why);
bool joining_is_member(const struct replica *replica); // admitted, and everybody who must know does
// Whether the table is as large as it ever was; if not, its members are not all there are.
bool joining_knows_members(const struct replica *replica);
// Admitted, but it may not know yet who else is a member.
bool joining_is_settling(const struct replica *replica);
// Whether an actor's strand may be pulled from that actor itself: not by a newcomer, see joining.c.
bool joining_may_pull_from(const struct replica *replica, uint16_t actor);
// Whether what others hold of this node's actor is, or may be, its own: not if the actor was given
// to another, or may have been, as long as its admission is no event.
bool joining_owns_strand(const struct replica *replica);
const char *joining_phase(const struct replica *replica); // for replica_phase
// A member that needs another actor id asks to be admitted again; see joining_is_member, joining_
// became. If it is no rescue the actor it has is kept where something was issued under it. False:
// it is being admitted already.
bool joining_again(struct replica *replica, bool is_rescue);

int starting_new(struct replica *replica) MUST_CHECK;
void starting_free(struct replica *replica);
void starting_start(struct replica *replica);
void starting_tick(struct replica *replica);
struct instant starting_deadline(const struct replica *replica);
void starting_record(struct replica *replica, struct bytes key, struct bytes value);
// Looks at the run in a hello: sets link->is_copy; false: the link is dropped.
bool starting_link_up(struct replica *replica, struct link *link, const struct peer_hello *hello);
void starting_link_down(struct replica *replica, const struct link *link);
void starting_members(struct replica *replica, struct link *link,
                      const struct peer_members *members);
void starting_ask(struct replica *replica, struct link *link, const struct peer_ask *question);
void starting_answer(struct replica *replica, struct link *link, const struct ask *ask,
                     const struct peer_answer *answer);
void starting_committed(struct replica *replica);
struct run starting_run_of(const struct replica *replica, const struct uuid *node);
bool starting_may_produce(const struct replica *replica, struct reason *why);
// Whether chunks of this node's own actor may be pulled back: only until it has compared heads, and
// on a copy, which issues nothing any more.
bool starting_pulls_own(const struct replica *replica);
bool starting_is_copy(const struct replica *replica); // this node is one
// What this disk has lost of its own strand is held by nobody that it has a link to.
bool starting_is_stuck(const struct replica *replica);
void starting_became(struct replica *replica); // another actor: nothing to compare

int retiring_new(struct replica *replica) MUST_CHECK;
void retiring_free(struct replica *replica);
void retiring_tick(struct replica *replica);
struct instant retiring_deadline(const struct replica *replica);
void retiring_record(struct replica *replica, struct bytes key, struct bytes value);
void retiring_command(struct replica *replica, const struct replica_command *command);
void retiring_ask(struct replica *replica, struct link *link, const struct peer_ask *question);
void retiring_answer(struct replica *replica, struct link *link, const struct ask *ask,
                     const struct peer_answer *answer);
void retiring_link_down(struct replica *replica, const struct link *link);
void retiring_saved(struct replica *replica, struct bytes key);
void retiring_member_event(struct replica *replica, const struct member_event *event);
void retiring_committed(struct replica *replica);
void retiring_promised(struct replica *replica); // the commit has made one
void retiring_became(struct replica *replica);
// Up to where chunks of the actor may be applied: UINT64_MAX, or its fence or seal.
uint64_t retiring_limit(const struct replica *replica, uint16_t actor);
// Whether the actor still counts for the frontier: a member, or retired and not held to its seal.
bool retiring_holds_frontier(const struct replica *replica, uint16_t actor);
bool retiring_may_produce(const struct replica *replica, struct reason *why);
bool retiring_is_fenced(const struct replica *replica, uint16_t actor);

int forking_new(struct replica *replica) MUST_CHECK;
void forking_free(struct replica *replica);
void forking_tick(struct replica *replica);
struct instant forking_deadline(const struct replica *replica);
void forking_record(struct replica *replica, struct bytes key, struct bytes value);
void forking_command(struct replica *replica, const struct replica_command *command);
void forking_applied(struct replica *replica, const struct replica_applied *applied); // FORK
// A peer says of `actor` what cannot be true of the same strand: its chunk that ends at `counter`
// has another hash, or it holds more of this node's own strand than this node ever issued.
void forking_suspect(struct replica *replica, struct link *link, uint16_t actor, uint64_t counter,
                     const struct hash128 *hash);
// What this link's other side holds of our own strand, as its note says.
void forking_noted_own(struct replica *replica, struct link *link, const struct note_entry *entry);
void forking_ask(struct replica *replica, struct link *link, const struct peer_ask *question);
void forking_answer(struct replica *replica, struct link *link, const struct ask *ask,
                    const struct peer_answer *answer);
void forking_link_down(struct replica *replica, const struct link *link);
void forking_found(struct replica *replica, const struct replica_found *found);
void forking_member_event(struct replica *replica, const struct member_event *event);
void forking_became(struct replica *replica);
void forking_reissued(struct replica *replica);
// Whether this node was that actor before it was rescued.
bool forking_was_ours(const struct replica *replica, uint16_t actor);
// Whether others may hold events of this node's own strand that it lacks: nothing that it promised
// of itself counts.
bool forking_doubts_own(const struct replica *replica);
uint64_t forking_limit(const struct replica *replica, uint16_t actor); // UINT64_MAX: no fork
bool forking_may_produce(const struct replica *replica, struct reason *why);
void verifying_answer(struct replica *replica, struct link *link, const struct ask *ask);
void rescuing_answer(struct replica *replica, const struct ask *ask,
                     const struct peer_answer *answer); // to ASK_RETIRE
// The actor that this node had before it was rescued, and up to where that strand is common with
// others; 0: none, or it is retired.
uint16_t forking_rescued(const struct replica *replica, uint64_t *common_out);
