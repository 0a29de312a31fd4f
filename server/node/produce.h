// The way of a produce: validated in the loop, waits for what it must come after, goes to the
// store, and is answered when it is durable. For server/node only.
#pragma once

#include "storage/store.h"

struct request;
struct session;

// Whether a produce cannot be taken now: too much of this session is not stored yet, or the indexer
// is too far behind (then the session is listed to be told).
bool produce_must_wait(struct session *session, const struct request *request);

// Takes an admitted request: answers it, now or later.
void produce_submit(struct session *session, const struct request *request);

// The store has returned it.
void produce_completed(struct append *append);

// Answers those that waited for other nodes and need not any more.
struct service;
void replica_waits_check(struct service *service);

// Drops what is not in the store yet.
void produces_close(struct session *session);
