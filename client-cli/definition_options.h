// The options that say what a durable subscription is: where it begins, what it wants, how its
// consumers share it. The same in every command that can create one.
#pragma once

#include <argp.h>

#include "client/weir.h"

enum {
    DEFINITION_PATTERNS_MAX = 64,
    DEFINITION_ATTRIBUTES_MAX = 16,
    DEFINITION_KEY_BYTES_MAX = 255, // of an attribute's name
};

struct definition_options {
    struct weir_definition definition; // its views are of this struct and of the arguments
    const char *patterns[DEFINITION_PATTERNS_MAX];
    struct weir_attribute attributes[DEFINITION_ATTRIBUTES_MAX];
    const char *start;  // the option that said where to start; NULL: none
    const char *wanted; // one of those that say what is wanted
    const char *shared; // one of those that say how it is shared
};

void definition_options_init(struct definition_options *options);

// Parsers for use as children; the input of each is a struct definition_options.
extern const struct argp start_options_argp;     // --from, --start-after, --since
extern const struct argp selection_options_argp; // --namespace, --attr, --order, ...
extern const struct argp sharing_options_argp;   // --group-key, --concurrency, --attempts, ...

// The value of --group-key: none, namespace, a number of components, or attribute:KEY. false: it is
// none of these.
bool definition_options_parse_key(const char *text, struct weir_definition *definition);

// Whether any of the options was given.
bool definition_options_are_given(const struct definition_options *options);

// Adds a pattern, or ends the program with a usage error.
void definition_options_add_pattern(struct definition_options *options, const char *pattern,
                                    struct argp_state *state);

// Has the library check the name and, unless it is NULL, the definition, before anything connects.
// WEIR_ERR_INVALID and others, with a reason.
int definition_options_check(const char *name, const struct weir_definition *definition,
                             struct weir_reason *reason) WEIR_MUST_CHECK;
