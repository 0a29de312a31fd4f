// What docs/protocol.md says that each of its frames means.
#pragma once

#include "proto/model/reply.h"
#include "proto/model/request.h"

struct expected_request {
    const char *name;
    struct request request; // the events of a produce are left out
};

struct expected_reply {
    const char *name;
    struct reply reply; // events and rows are left out
};

// One of the events in a frame, in order; counter and actor 0 in a produce.
struct expected_event {
    const char *vector;
    struct event_id id;
    const char *name;
    const char *data;
};

extern const struct expected_request EXPECTED_REQUESTS[];
extern const size_t EXPECTED_REQUESTS_COUNT;
extern const struct expected_reply EXPECTED_REPLIES[];
extern const size_t EXPECTED_REPLIES_COUNT;
extern const struct expected_event EXPECTED_EVENTS[];
extern const size_t EXPECTED_EVENTS_COUNT;

#define EXPECTED_TIMESTAMP_MS 1700000000000
