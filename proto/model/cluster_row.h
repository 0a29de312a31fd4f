// Rows of cluster status: what a node says of each member, itself included.
#pragma once

#include "proto/base/bytes.h"
#include "proto/model/uuid.h"

enum cluster_row_flag {
    CLUSTER_ROW_SELF = 1 << 0,
    CLUSTER_ROW_CONNECTED = 1 << 1,
    CLUSTER_ROW_SOURCE_DIRECT = 1 << 2, // its strand comes from itself
};

enum cluster_row_state {
    CLUSTER_ACTIVE = 0,
    CLUSTER_JOINING = 1,
    CLUSTER_RETIRING = 2,
    CLUSTER_RETIRED = 3,
};

enum cluster_row_verdict {
    CLUSTER_UNKNOWN = 0,
    CLUSTER_EQUAL = 1,
    CLUSTER_BEHIND = 2,
    CLUSTER_AHEAD = 3,
    CLUSTER_DIVERGED = 4,
};

struct cluster_row {
    struct uuid node;
    uint16_t actor;
    uint8_t state;   // enum cluster_row_state
    uint8_t verdict; // enum cluster_row_verdict: its last note against what is held here
    uint32_t flags;  // enum cluster_row_flag
    uint16_t source; // the member its strand is pulled from; 0: none
    uint64_t run;
    uint64_t held;    // counter of its strand, here
    uint64_t claimed; // the highest that anybody has said
    uint64_t lag_ms;  // since when it is behind; 0: it is not
    uint64_t promised;
    uint64_t seal;           // RETIRED
    uint16_t diverged_actor; // DIVERGED
    uint64_t diverged_since;
    struct bytes address;
    struct bytes version;
};

// Fixed layout, big-endian, in the order above; address and version each behind a length of 2.
int cluster_row_append(struct buffer *out, const struct cluster_row *row) MUST_CHECK;
int cluster_row_next(struct bytes *rest, struct cluster_row *row_out) MUST_CHECK;
