// A client's connection, spoken by hand, so that every field of the protocol can be used: requests
// out, replies in.
#pragma once

#include "proto/model/reply.h"
#include "proto/model/request.h"
#include "tests/simulation/world.h"

struct plain_client;

struct plain_client_ops {
    // May close the connection.
    void (*take)(struct plain_client *client, const struct reply *reply);
    // The other side has closed it.
    void (*closed)(struct plain_client *client);
};

// Embedded in whoever speaks.
struct plain_client {
    struct endpoint endpoint;
    struct world *world;
    const struct plain_client_ops *ops;
    const char *name;
    uint32_t features; // that it announces
    struct buffer in;
    struct buffer out;
    unsigned machine;
    uint32_t life; // of the machine, when it was connected to
};

void plain_client_init(struct plain_client *client, struct world *world,
                       const struct plain_client_ops *ops, const char *name);
void plain_client_deinit(struct plain_client *client);

// Says hello. false: nobody listens.
bool plain_client_connect(struct plain_client *client, unsigned machine);
bool plain_client_is_connected(const struct plain_client *client);
void plain_client_close(struct plain_client *client); // `closed` is not called

// Only while it is connected.
void plain_client_send(struct plain_client *client, const struct request *request);
