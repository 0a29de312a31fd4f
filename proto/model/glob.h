// Namespace patterns. Case-sensitive: '*' and '?' match within one path component; '**' as a whole
// component matches any number of components (none included; at the end it matches everything
// below, not the name itself); [abc] [a-z] [!a] are classes; a leading dot of a component must be
// matched literally; '\' takes the next character literally. '**' and '/**/*' match everything,
// names without a slash and with dots included. Names that begin with "/$" are matched only by
// patterns that themselves begin with "/$".
#pragma once

#include "proto/base/bytes.h"

struct glob;

// Compiles a pattern. ERR_INVALID ("/**foo", "/***", an unclosed class, a trailing backslash,
// empty, not UTF-8, control characters) or ERR_LIMIT, with a reason that shows the place.
int glob_compile(struct bytes pattern, struct glob **glob_out, struct reason *reason) MUST_CHECK;

// A glob that matches this name alone, whatever characters it has. Errors of namespace_validate.
int glob_of_name(struct bytes name, struct glob **glob_out, struct reason *reason) MUST_CHECK;

void glob_free(struct glob *glob);

// At most pattern x name steps, usually pattern + name: no pattern can make it slow.
bool glob_matches(const struct glob *glob, struct bytes name);

// Whether it matches everything (but the system's names), without looking at them.
bool glob_is_everything(const struct glob *glob);

// The literal bytes with which every match begins (possibly empty), and whether the pattern is
// wholly literal, so that the prefix is the only match. Valid as long as the glob.
struct bytes glob_prefix(const struct glob *glob, bool *is_exact_out);
