// Requests about the cluster, from any loop to the driver in the first one, and the answers back.
#pragma once

#include "proto/base/bytes.h"
#include "proto/model/reply.h"
#include "proto/model/request.h"

struct service;

// What is open at one time, all loops together.
enum { CLUSTER_REQUESTS_MAX = 1024 };

// The answer; whoever gets it frees it.
struct cluster_reply {
    int result;                  // 0; else refused: `text` says why and what to do
    struct reason text;          // what was done, or why not
    struct reply_cluster status; // filled where result is 0; views of `bytes` and `text`
    struct buffer bytes;
};
void cluster_reply_free(struct cluster_reply *reply); // NULL is fine

// Asks, from the service's own thread. `done` is called in that thread, inside a turn of the
// service and never inside this call, exactly once; also when the node stops (ERR_CLOSED) and when
// the node has no memory for the answer (`reply` NULL). Until then the service is not idle, and
// `context` must stay. ERR_BUSY, ERR_MEMORY, ERR_CLOSED, ERR_UNSUPPORTED (a node without a
// cluster): `done` is not called.
int cluster_request(struct service *service, const struct request_cluster *request,
                    void (*done)(void *context, struct cluster_reply *reply),
                    void *context) MUST_CHECK;

// The service: calls `done` of what was answered; in its turns.
void cluster_answers_deliver(struct service *service);
