// Random messages between members for tests, and what it means that two are the same.
#pragma once

#include "proto/model/peer_message.h"
#include "tests/unit/proto/wire/sample_message.h"

extern const enum peer_message_kind PEER_KINDS[];
extern const size_t PEER_KINDS_COUNT;

// The message's views and entries stay until the sample's next message is filled.
void sample_peer(struct sample *sample, enum peer_message_kind kind,
                 struct peer_message *message_out);

void assert_same_peer(const struct peer_message *a, const struct peer_message *b);
