// The inside of seats.h, shared by seats.c, seat_*.c, forwards.c and guests.c and nobody else. All
// of it belongs to the first loop's thread.
//
// seats.c: letters come in, turns, the end; seat_place.c: where a consumer is attached, and moving;
// seat_acks.c: acknowledgements; seat_asks.c: requests that no consumer makes; forwards.c:
// consumers of this node that another one coordinates; guests.c: consumers of others that this one
// does.
#pragma once

#include "server/node/consumer.h"
#include "server/node/consumer_letter.h"
#include "server/node/coordinators.h"
#include "server/node/groups_state.h"
#include "server/node/seats.h"

enum {
    SEAT_LETTERS_PER_TURN_MAX = 4096,
    SEATS_LOOKED_AT_PER_TURN_MAX = 256,
    SEAT_RETRY_MS = 100,
    SEAT_RETRIES_MS = 10000, // so long
};

struct seats {
    struct cluster *cluster;
    struct coordinators coordinators;
    struct list_node all;
    struct list_node creating;
    struct list_node to_look; // whose coordinator may be another one
    size_t kept_bytes;        // of acknowledgements, see seat_acks.c
    bool is_closed;
};

enum seat_place {
    SEAT_NOWHERE,   // to be attached, at once or again
    SEAT_CREATING,  // its subscription is being created, for it or for another one
    SEAT_HERE,      // at the group in this node
    SEAT_FORWARDED, // over a link
    SEAT_OVER,      // END, or an error, was said
};

// A consumer of a client of this node; or a guest: one that another node forwards.
struct seat {
    struct list_node link;
    struct list_node look_link;
    struct list_node create_link;
    struct list_node ready_link; // of the peer's
    struct seats *seats;
    struct consumer *consumer; // NULL: a guest
    struct service *service;
    struct consumer_letter *request; // ATTACH
    struct consumer_letter *answer;  // made ahead for the next ATTACHED or ENDED
    struct consumer_letter *gone;    // made ahead; not a guest's
    enum seat_place place;
    bool has_begun;  // ATTACHED was said
    bool was_moved;  // MOVED was said: see seat_ack_alone
    bool is_created; // its subscription, by its request
    bool is_creator; // CREATING: the others of that name wait for it
    bool is_leaving; // DETACH came: goes once what it has said is answered
    int64_t credit;  // given by the client and not spent
    struct timer retry;
    struct instant retry_until; // INSTANT_NEVER: nothing was refused
    struct attachment *attachment;
    struct list_node unsent;     // ACK, NACK
    struct list_node unanswered; // by the coordinator

    struct peer *peer; // FORWARDED: to whom; a guest: from whom; else NULL
    uint64_t channel;
    bool is_attach_sent;   // FORWARDED
    bool is_attached;      // FORWARDED: the coordinator has said so
    struct buffer untaken; // FORWARDED: ranges of ids, to be given back with the end
    uint64_t credit_due;   // FORWARDED: to be sent; a guest: not given to the group yet
    uint64_t granted;      // a guest: given to the group and not spent
    uint64_t waiting;      // a guest: bytes of events that wait to be sent
};

static inline struct bytes seat_name(const struct seat *seat)
{
    return seat->request->request.attach.name;
}

// --- seats.c -----------------------------------------------------------------------------------

// A seat with a place nowhere, for an ATTACH, which it takes over. NULL: no memory; the letter is
// the caller's still.
struct seat *seat_new(struct seats *seats, struct consumer_letter *attach);
void seat_free(struct seat *seat); // with a last word to its consumer

// Takes over the letter.
void seat_say(struct seat *seat, struct consumer_letter *letter, enum letter_kind kind);
// `cursor`: of the subscription's position.
void seat_say_attached(struct seat *seat, struct event_id generation, struct bytes cursor,
                       const struct uuid *node, const char *remark);
// A mark, or nothing without memory.
void seat_say_mark(struct seat *seat, enum letter_kind kind);
// The last word: a reason, or 0 and an error.
void seat_end(struct seat *seat, uint32_t reason, enum wire_error error, const char *text);
// DETACH, and what it had said is answered: it goes.
void seat_leave(struct seat *seat);
// What was said to it did not go to the client, nor will it, for it leaves: no attempt.
void seat_give_back(struct seat *seat, enum block_kind kind, struct bytes events);

// Takes up to 2^31 in one go, and never more than the maximum in all.
void seat_add_credit(struct seat *seat, uint64_t bytes);

// How many events the slices have; false: they are not well formed.
bool slices_count(struct bytes slices, uint64_t *count_out);

// --- seat_place.c ------------------------------------------------------------------------------

struct peer *seats_coordinator(const struct seats *seats, struct bytes name); // NULL: this node
void seat_attach(struct seat *seat); // one that is nowhere, where it belongs
void seat_look(struct seat *seat);   // its coordinator may be another one
void seat_look_soon(struct seat *seat);
void seat_unplace(struct seat *seat); // it is nowhere then
// Nothing came of an attempt to attach it: it is tried again, or that is the end of it.
void seat_refused(struct seat *seat, enum wire_error error, const char *text);

enum wire_error attach_error(int err);
void start_of(const struct request_start *from, struct request_subscribe *to);
// What is wrong with a request, or 0.
enum wire_error check_request(struct bytes name, const struct subscription_definition *definition,
                              struct reason *reason);

// --- seat_acks.c -------------------------------------------------------------------------------

void seat_take_ack(struct seats *seats, struct seat *seat, struct consumer_letter *letter);
// After a move "up to" may mean the order in which another coordinator handed out: the letter names
// that event alone then; or, where it names others too, these.
void seat_ack_alone(struct consumer_letter *letter);
void seat_keep_unanswered(struct seat *seat); // the coordinator is gone: to be sent again
void seat_acks_here(struct seat *seat);       // what is kept, now that it is attached here
void seat_refuse_acks(struct seat *seat);     // what is kept: nobody answers it any more
// A letter is answered: it is no longer kept; takes it over.
void seat_ack_answer(struct seat *seat, struct consumer_letter *letter);

// --- seat_asks.c -------------------------------------------------------------------------------

void seats_take_ask(struct seats *seats, struct consumer_letter *letter);
// What is asked for, as this node sees it. Fills the letter, which is an answer then.
void seats_look_up(struct seats *seats, struct consumer_letter *letter);
// Takes over the letter.
void seats_answer_ask(struct seats *seats, struct consumer_letter *letter);

// --- forwards.c --------------------------------------------------------------------------------

int forward_begin(struct seat *seat, struct peer *peer) MUST_CHECK; // ERR_BUSY, ERR_MEMORY
void forward_end(struct seat *seat);
void forward_give_back(struct seat *seat, const struct done_range *range); // goes with the end
void forward_ready(struct seat *seat);                               // it has something to say
void forward_ask(struct peer *peer, struct consumer_letter *letter); // takes it over
void forwards_close(struct peer *peer);                              // the link has ended
bool forwards_next(struct peer *peer, struct peer_item *item_out);   // to be sent: FORWARD
int forwards_take_reply(struct peer *peer, uint64_t channel, const struct reply *reply) MUST_CHECK;
void forwards_take_end(struct peer *peer, uint64_t channel);

// --- guests.c ----------------------------------------------------------------------------------

void guest_say(struct seat *seat, struct consumer_letter *letter); // takes it over
void guest_add_credit(struct seat *seat, uint64_t bytes);
void guest_spent(struct seat *seat, uint64_t bytes); // by the group: they wait to be sent
void guest_forget(struct seat *seat);                // its channel is no more
void guests_close(struct peer *peer);
bool guests_next(struct peer *peer, struct peer_item *item_out); // to be sent: FORWARDED
int guests_take_request(struct peer *peer, uint64_t channel,
                        const struct request *request) MUST_CHECK;
int guests_refuse(struct peer *peer, uint64_t channel, uint64_t id, enum wire_error code,
                  const char *text) MUST_CHECK;
void guests_take_end(struct peer *peer, uint64_t channel, struct bytes untaken);
