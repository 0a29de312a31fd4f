// The seats of consumers in the first loop: each consumer's way to its group, here or over the link
// to the node that coordinates it. For cluster.c, peer.c and service.c.
#pragma once

#include "proto/model/reply.h"
#include "proto/model/request.h"

struct cluster;
struct peer;
struct peer_item;
struct seats;

int seats_new(struct cluster *cluster, struct seats **seats_out);
void seats_free(struct seats *seats); // closed, all letters taken

// Takes what consumers say; also after the cluster has shut down.
void seats_take_letters(struct seats *seats);

// Moves consumers whose coordinator is another one; each turn of the driver.
void seats_turn(struct seats *seats);

// Takes no more letters, and lets every consumer go.
void seats_close(struct seats *seats);

// --- Links -------------------------------------------------------------------------------------

void seats_peer_open(struct peer *peer);
void seats_peer_ended(struct peer *peer); // once or more
void seats_peer_free(struct peer *peer);

// What is to be sent next; false: nothing.
bool seats_peer_next(struct peer *peer, struct peer_item *item_out);

// What has come. Negative: the link has ended.
int seats_peer_request(struct peer *peer, uint64_t channel,
                       const struct request *request) MUST_CHECK;
int seats_peer_reply(struct peer *peer, uint64_t channel, const struct reply *reply) MUST_CHECK;
int seats_peer_refuse(struct peer *peer, uint64_t channel, uint64_t id, enum wire_error code,
                      const char *text) MUST_CHECK;
void seats_peer_end(struct peer *peer, const struct peer_forward_end *end);
