// Prints the events of a durable subscription and acknowledges them: `consume --subscription`.
#pragma once

#include "client-cli/group_member.h"
#include "client-cli/print_event.h"

struct group_consumer_options {
    struct weir_attach_options attach;
    enum format format;
    uint64_t limit; // events; 0: none
    bool is_manual; // acknowledgements are read from standard input
    bool reconnects;
    bool says_heartbeats;
    bool says_remark; // see struct group_member
};

// Until its end, or for ever. The exit status.
int group_consumer_run(const struct cli *cli, const struct group_consumer_options *options);

// Takes a line of standard input apart, which it changes: "ID", "up-to ID", "nack ID [DELAY]
// [REASON]". The reason is a part of the line. WEIR_ERR_INVALID with a reason.
int ack_line_parse(char *line, struct acknowledgement *out,
                   struct weir_reason *reason) WEIR_MUST_CHECK;
