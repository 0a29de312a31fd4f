// What a command that `weir exec` runs finds in its environment.
#pragma once

#include "client/weir.h"

// Variables as execve takes them. Zero-initialised is valid.
struct command_environment {
    char **variables; // NULL at the end
    size_t count;
    size_t max;
};

void command_environment_deinit(struct command_environment *environment);

// Makes what the process was given, without what belongs to an event, and with the event's fields:
// WEIR_SUBSCRIPTION, WEIR_ID, WEIR_NAMESPACE, WEIR_TIMESTAMP, WEIR_PARENT (if it has one),
// WEIR_ATTEMPT, WEIR_ATTRIBUTE_<KEY>. In KEY letters are upper case, and all but letters and digits
// of ASCII is "_"; of several values the first counts. `left_out` is called for each attribute
// that has no variable, and why. WEIR_ERR_MEMORY; WEIR_ERR_CORRUPT: the attributes are none.
typedef void command_environment_left_out(void *context, struct weir_bytes key, const char *why);
int command_environment_make(struct command_environment *environment, char *const *inherited,
                             const char *subscription, const struct weir_event *event,
                             command_environment_left_out *left_out, void *context) WEIR_MUST_CHECK;
