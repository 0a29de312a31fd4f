// A subscription, or an attachment to a durable one, that outlives connections: what was asked for,
// and how far it has come.
#pragma once

#include "client/attachment.h"
#include "client/core.h"
#include "client/weir.h"
#include "proto/base/list.h"

struct standing {
    struct list_node node;
    uint64_t number; // its name towards the program
    void *context;
    struct attachment *attachment;    // NULL: a subscription, to which what follows belongs
    struct request_subscribe request; // its views point into `texts`
    struct buffer texts;
    struct core *core;            // that serves it; NULL: none does
    uint64_t core_id;             // its name there
    struct version_vector cursor; // when no core serves it
    bool has_cursor;
    struct buffer encoded; // the cursor to start from
    uint64_t delivered;    // events
    uint64_t limit;        // 0: none
    bool is_stopping;      // the program wants no more
    bool is_over;          // its end was handed out, or needs to be
    struct weir_end end;
    struct reason reason; // of the end
};

// Appends the cursor that `text` is, encoded. ERR_INVALID with a reason, ERR_MEMORY.
int standing_encode_cursor(const char *text, struct buffer *out, struct reason *reason) MUST_CHECK;

// Whether it is a name, or a pattern. ERR_INVALID, ERR_LIMIT with a reason, ERR_MEMORY.
int standing_check_entry(struct bytes text, bool is_exact, struct reason *reason) MUST_CHECK;

// ERR_INVALID, ERR_LIMIT, ERR_UNSUPPORTED with a reason; ERR_MEMORY. `options` may be NULL.
int standing_new(const struct weir_subscribe_options *options, uint64_t number,
                 struct standing **standing_out, struct reason *reason) MUST_CHECK;
int standing_new_attached(const struct weir_attach_options *options, uint64_t number,
                          struct standing **standing_out, struct reason *reason) MUST_CHECK;
void standing_free(struct standing *standing);

// Asks a core for what is left, from where it stands. ERR_MEMORY, or the core's error.
int standing_begin(struct standing *standing, struct core *core) MUST_CHECK;

// The core that serves it is going away, or has ended it: keeps its cursor. ERR_MEMORY: the core's
// is all there is.
int standing_leave(struct standing *standing) MUST_CHECK;

// Its cursor now; NULL: not known.
const struct version_vector *standing_cursor(struct standing *standing);

// It is over if nothing is left to be asked for. Whether it is.
bool standing_settle(struct standing *standing);

// It is over; `text` (may be empty) is for people.
void standing_end(struct standing *standing, enum weir_end_reason reason, int err,
                  struct bytes text);
