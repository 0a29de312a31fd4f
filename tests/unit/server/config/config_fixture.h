// What the tests of the configuration share: a configuration read from a text, variables, flags.
#pragma once

#include "server/config/config.h"

// Reads a file with this text over the defaults, or over what `config` holds.
int read_text(struct config *config, const char *text, struct reason *reason);

// Reads variables, "NAME=value" each.
#define read_variables(config, reason, ...)                                                        \
    read_variable_list(config, (const char *[]){__VA_ARGS__, NULL}, reason)
int read_variable_list(struct config *config, const char **variables, struct reason *reason);

// Reads flags, a text each.
#define read_flags(config, reason, ...)                                                            \
    read_flag_list(config, (const char *[]){"weir-server", __VA_ARGS__, NULL}, reason)
int read_flag_list(struct config *config, const char **flags, struct reason *reason);

// The values of a configuration as --check-config prints them, without comments.
struct printed {
    char text[16384];
};
void print_values(const struct config *config, struct printed *out);
