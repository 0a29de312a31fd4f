// Letters between consumers, each in the loop of its connection, and their seats in the first loop.
// One lock; letters of one consumer keep their order, both ways.
#pragma once

#include "proto/base/list.h"
#include "proto/model/block.h"
#include "proto/model/reply.h"
#include "proto/model/request.h"
#include "proto/model/uuid.h"
#include "server/node/service.h"

struct consumer;
struct node;
struct seat;

enum letter_kind {
    // to the seat
    LETTER_ATTACH,
    LETTER_CREDIT,
    LETTER_ACK,
    LETTER_NACK,
    LETTER_UNTAKEN, // what was assigned and did not go to the client; before DETACH
    LETTER_DETACH,  // the last; comes back as GONE
    LETTER_ASK,     // SUBSCRIPTIONS; of a session, not of a consumer
    // to the consumer
    LETTER_ATTACHED,
    LETTER_ASSIGNED,
    LETTER_CAUGHT_UP,
    LETTER_MOVED,
    LETTER_ENDED,
    LETTER_GONE, // the last: nothing in the first loop knows the consumer any more
    LETTER_ACKED,
    LETTER_ANSWERED, // to ASK
};

// What there is of it depends on the kind.
struct consumer_letter {
    struct list_node link;
    enum letter_kind kind;
    struct service *service;   // of the consumer
    struct session *session;   // ASK, ANSWERED
    struct consumer *consumer; // else
    struct buffer text;
    struct instant until; // ATTACH, ASK with `after`: then it is too late

    struct block *block;
    size_t offset;
    size_t length;
    uint32_t attempt;
    uint64_t count;
    uint32_t end_reason;   // ENDED; 0: an error
    enum wire_error error; // ENDED, ACKED, ANSWERED; 0: none
    struct reason reason;  // error text; ATTACHED, ANSWERED: the remark; ATTACH: who the client is
    struct event_id generation;
    struct uuid coordinator; // ATTACHED
    uint64_t channel;        // over a link between members
    bool takes_chunks;       // ATTACH
    bool is_created;
    bool more;
    struct buffer rows;      // ANSWERED; ATTACHED: the position as a cursor
    struct buffer consumers; // ANSWERED

    // A copy; its views point into `text`. Letters that are made without one (DETACH, and those to
    // the consumer) end behind its id: there is one for each delivery.
    struct request request;
    uint8_t alone[18]; // ACK: a range of one event (seat_ack_alone)
};

struct consumer_letter *consumer_letter_new(enum letter_kind kind); // NULL: no memory
void consumer_letter_free(struct consumer_letter *letter);          // NULL is fine

// Copies a request of those kinds, and what it points to. ERR_MEMORY.
int consumer_letter_copy(struct consumer_letter *letter, const struct request *request) MUST_CHECK;

// What a letter to a consumer, or an answer, says: kind and what the kind has, but not the id; the
// cursor only of ATTACHED. ENDED: `delivered` events were. Views point into the letter.
void consumer_letter_fill(const struct consumer_letter *letter, uint64_t delivered,
                          struct reply *head);

int consumer_mailbox_new(struct node *node) MUST_CHECK; // with the cluster
void consumer_mailbox_free(struct node *node);

// To the first loop. False: it takes no more letters; the letter stays the caller's.
bool consumer_letter_send(struct node *node, struct consumer_letter *letter) MUST_CHECK;
// To the consumer's loop.
void consumer_letter_reply(struct node *node, struct consumer_letter *letter);

// The first loop, before it refreshes its port: letters that are there now may be taken, so what
// their senders have seen of the log it has too.
void consumer_mailbox_latch(struct node *node);
struct consumer_letter *consumer_mailbox_take(struct node *node);       // the first loop
struct consumer_letter *consumer_letters_take(struct service *service); // the consumer's
void consumer_mailbox_close(struct node *node); // no more letters to the first loop
