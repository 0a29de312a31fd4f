// A member that is played by hand, at the other end of a link to one real node, and a client of
// that node. Both note what they hear. The replica is scripted; one for all tests of a program.
#pragma once

#include "proto/model/position.h"
#include "proto/wire/message.h"
#include "proto/wire/peer_wire.h"
#include "server/node/cluster_state.h"
#include "tests/unit/server/cluster_fixture.h"
#include "tests/unit/server/scripted_replica.h"

enum {
    HEARD_MAX = 8192,
    SAID_MAX = 4096,
    ATTACH_ID = 7,
    ACK_ID = 8,
    ACK_BYTES = 18, // one range
};

// What the hand hears: a copy of each message that is forwarded, either way.
struct heard {
    enum peer_message_kind kind;
    uint64_t channel;
    bool is_senders; // FORWARD_END
    uint32_t inner;  // kind of the request or reply
    uint64_t id;
    uint32_t code;           // ERROR
    uint64_t credit_bytes;   // ATTACH, CREDIT
    bool create;             // ATTACH
    uint64_t up_to;          // ACK: its counter; 0: none
    struct done_range range; // ACK, FORWARD_END: the first
    unsigned ranges_count;   // ACK, FORWARD_END
    char client[64];         // ATTACH; SUBSCRIPTIONS: of the first consumer
    uint64_t count;          // ACKED
    size_t length;           // ASSIGNED
    uint32_t which;          // of a mark, or why it ends
};

// What the client hears.
struct said {
    uint32_t kind;
    uint64_t id;
    uint32_t code;     // ERROR
    uint32_t which;    // of a mark, or why it ends
    uint64_t count;    // ACKED; ASSIGNED: events
    uint32_t attempt;  // ASSIGNED
    uint8_t cursor[3]; // ATTACHED: its beginning
};

struct hand {
    struct cluster_fixture fixture;
    struct frontend *frontend; // of the link; NULL: there is none
    struct session *client;
    struct version_vector ahead; // what the hand may say that it holds
    struct heard heard[HEARD_MAX];
    unsigned heard_count;
    unsigned kinds[PEER_FORWARD_END + 1]; // of all messages that it has heard
    struct said said[SAID_MAX];
    unsigned said_count;
    struct buffer stream;
    struct peer_scratch scratch;
    bool is_deaf; // it reads nothing
};
extern struct hand hand;

void hand_setup(void);
void hand_teardown(void);
void hand_link_up(void); // as actor 2, with all abilities
void hand_link_down(void);
void hand_pass_ms(unsigned ms); // and everybody takes what there is for him

// Negative: the node ends the link.
int hand_say(const struct peer_message *message);
int hand_say_bytes(enum peer_message_kind kind, uint64_t channel, struct bytes bytes);
int hand_say_request(uint64_t channel, const struct request *request);
int hand_say_reply(uint64_t channel, const struct reply *reply);
int hand_say_end(uint64_t channel, bool is_senders);
int hand_say_end_untaken(uint64_t channel, const struct done_range *ranges, size_t count);

struct request attach_request(const char *name, bool create);
// The range is of actor 1, and stands in `bytes`.
struct request ack_request(uint64_t first, uint64_t last, uint8_t bytes[ACK_BYTES]);

unsigned hand_heard_of(uint32_t inner); // how many messages with that inside
const struct heard *hand_heard_last(void);
const struct said *hand_said_last(void);
struct peer *peer_of_hand(void); // as the node sees it
