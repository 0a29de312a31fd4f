// A connection that speaks the native protocol to a node, without a network: bytes are fed in
// pieces of any size, as net would, and what is sent is collected and decoded.
#pragma once

#include "proto/wire/frame.h"
#include "proto/wire/message.h"
#include "server/frontend/frontend.h"
#include "tests/unit/server/node_fixture.h"

struct native_client {
    struct node_fixture *fixture;
    struct random *random; // NULL: everything in as large pieces as possible
    struct frontend *frontend;
    struct buffer unfed; // what the front end has not taken
    struct buffer received;
    size_t decoded; // of received
    size_t wanted;
    int ended; // result of feed or tick that ended the connection
    size_t unsent_max;
};

void native_client_open(struct native_client *client, struct node_fixture *fixture,
                        struct random *random);
void native_client_close(struct native_client *client);

// Feeds bytes, in random pieces if there is a random; what is not taken is fed again later.
void native_feed(struct native_client *client, struct bytes bytes);
void native_request(struct native_client *client, const struct request *request);
void native_hello(struct native_client *client); // and takes its reply

// Takes what is to be sent, until there is nothing more; feeds again what was not taken.
void native_pull(struct native_client *client);
void native_run(struct native_client *client); // settles and pulls until nothing moves

// The next reply that was received; false: none. Views hold until the next pull.
bool native_reply(struct native_client *client, struct reply *reply_out);
struct reply native_expect(struct native_client *client, enum reply_kind kind, uint64_t id);
