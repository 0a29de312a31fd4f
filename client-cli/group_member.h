// A consumer of a durable subscription, from its connection to its end: what `consume
// --subscription` and `exec` have in common.
#pragma once

#include "client-cli/command.h"
#include "client-cli/wakes.h"
#include "client/weir.h"

struct group_member {
    const struct cli *cli;
    struct weir *weir;
    uint64_t number; // of the attachment
    const char *name;
    struct wakes wakes;
    bool says_remark; // options were given, so it matters when they are passed over
    bool is_lost;     // the connection, and that was said
    bool is_attached;
    bool has_ended;
    uint64_t refused; // acknowledgements that were not counted
};

// The tag of the signals' descriptor in member->wakes; other tags are the caller's.
enum { GROUP_MEMBER_SIGNAL = 0 };

// Connects and attaches. `signal_fd` becomes readable when the program is asked to end. 0 or the
// exit status, after saying why; group_member_close either way.
int group_member_open(struct group_member *member, const struct cli *cli, int signal_fd,
                      bool reconnects, const struct weir_attach_options *options);
void group_member_close(struct group_member *member);

// Says what a notice that is no event tells. True: it is over, with the exit status.
bool group_member_notice(struct group_member *member, const struct weir_notice *notice,
                         int *status_out);

// What is said of an event.
struct acknowledgement {
    enum acknowledgement_kind { ACK_ONE, ACK_UP_TO, ACK_NOT } kind;
    struct weir_id id;
    uint32_t delay_ms;  // ACK_NOT: until it comes again
    const char *reason; // ACK_NOT: may be NULL
};

// Says it, once there is room. The outcomes of weir_ack, weir_ack_up_to or weir_nack; those above 0
// and WEIR_ERR_NOT_FOUND mean that there is nothing to acknowledge any more.
int group_member_acknowledge(struct group_member *member,
                             const struct acknowledgement *acknowledgement) MUST_CHECK;

// Leaves: sends what was acknowledged, and waits for the answer, but not for ever. Signals do not
// wake it.
void group_member_leave(struct group_member *member);
