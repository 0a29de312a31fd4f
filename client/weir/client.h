// A client: its options, its beginning and its end.
#pragma once

#include "outcomes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// One client of one cluster: a connection to one of its nodes at a time, made again as often as
// needed, to whichever node answers; subscriptions and produces live longer than connections.
struct weir;

// When it connects again. A client that does not has ended, with the error of the last attempt or
// of the connection: what was received is handed out, then weir_next says so.
enum weir_reconnect {
    WEIR_RECONNECT_ALWAYS = 0,
    WEIR_RECONNECT_LATER = 1, // not if every address was tried once, and none could be connected
    WEIR_RECONNECT_NEVER = 2, // nor when the connection is lost
};

struct weir_options {
    size_t size;

    // Of nodes of one cluster: "host:port", "host", "[::1]:3000", "/path/of/a/unix/socket",
    // "./path".
    const char *const *addresses; // NULL: localhost
    size_t addresses_count;       // at most 64
    // They are tried in turn, beginning with a random one, so that clients spread over the nodes;
    // or with the first.
    bool begins_with_first;

    const char *name;    // of the program, for the nodes' logs: at most 128 bytes
    const char *cluster; // uuid that nodes must have; NULL: that of the first node that answers.
                         // Nodes of other clusters are not used: cursors are of no use there

    uint32_t connect_timeout_ms; // to stand, and then to answer hello; 0: 5 s each
    uint32_t silence_ms; // a node of which nothing is heard for so long while something is awaited
                         // (it is asked in between) is left; 0: 20 s

    // A batch of events is sent when it has so many events or bytes, or is so old: weir/produce.h.
    uint32_t batch_events_max; // 0: 4096; at most 65,536
    uint32_t batch_bytes_max;  // 0: 256 KiB; at most 16 MiB
    uint32_t linger_us;        // 0: it is sent with the next output

    // What may wait for its result: beyond it, weir_produce returns WEIR_ERR_BUSY.
    uint32_t pending_events_max; // 0: 262,144; at most 4,194,304
    uint64_t pending_bytes_max;  // 0: 64 MiB

    uint64_t seed; // for the jitter of back-offs and the first address; 0: weir_open takes a random
                   // one, weir_new one made of the time

    int wake_fd; // blocking layer: ends its waits when it becomes readable; 0: none

    enum weir_reconnect reconnect;
};

// A client without I/O. Nothing happens before weir_tick. `now_ns`: see weir/connection.h.
// WEIR_ERR_INVALID with a reason (which may be NULL), WEIR_ERR_UNSUPPORTED (an option of a later
// version of the library), WEIR_ERR_MEMORY.
WEIR_API int weir_new(const struct weir_options *options, int64_t now_ns, struct weir **weir_out,
                      struct weir_reason *reason) WEIR_MUST_CHECK;

// Frees it, and closes the socket of one that blocks. What has no result yet gets none: callbacks
// are not called. NULL is allowed. Not from inside a callback.
WEIR_API void weir_free(struct weir *weir);

#ifdef __cplusplus
}
#endif
