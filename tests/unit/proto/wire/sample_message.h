// Random messages for tests, and what it means that two are the same.
#pragma once

#include "proto/base/random.h"
#include "proto/model/reply.h"
#include "proto/model/request.h"

enum { SAMPLE_ARENA_BYTES = 1 << 20 };

// Fills requests and replies; their views point into `arena` and stay until the next one is filled.
struct sample {
    struct random random;
    uint8_t *arena;
    size_t used;
};

void sample_init(struct sample *sample, uint64_t seed);
void sample_deinit(struct sample *sample);

extern const enum request_kind REQUEST_KINDS[];
extern const size_t REQUEST_KINDS_COUNT;
extern const enum reply_kind REPLY_KINDS[];
extern const size_t REPLY_KINDS_COUNT;

void sample_request(struct sample *sample, enum request_kind kind, struct request *request_out);
void sample_reply(struct sample *sample, enum reply_kind kind, struct reply *reply_out);

// Compare what the message's kind, and in a subscription its start and end, make part of it.
void assert_same_request(const struct request *a, const struct request *b);
void assert_same_reply(const struct reply *a, const struct reply *b);
