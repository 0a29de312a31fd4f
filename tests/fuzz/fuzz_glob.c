// A pattern, a newline, and a name: matches begin with the prefix, and a filter of the pattern
// agrees with its glob.

#include "proto/model/filter.h"

#include <assert.h>
#include <stdlib.h>

#include "proto/model/namespace.h"
#include "tests/fuzz/fuzz_target.h"

static void check(const struct glob *glob, const struct filter *filter, struct bytes name)
{
    bool is_match = glob_matches(glob, name);
    bool is_exact;
    struct bytes prefix = glob_prefix(glob, &is_exact);
    bool has_prefix =
        name.length >= prefix.length && bytes_equal(bytes_of(name.data, prefix.length), prefix);
    assert(!is_match || has_prefix);
    assert(!is_exact || is_match == bytes_equal(name, prefix));
    assert(!glob_is_everything(glob) || is_match != namespace_is_system(name));
    assert(filter_matches(filter, name) == is_match);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
    const uint8_t *newline = length > 0 ? memchr(data, '\n', length) : NULL;
    size_t split = newline ? (size_t)(newline - data) : length;
    struct bytes pattern = bytes_of(data, split);
    struct bytes name = newline ? bytes_of(newline + 1, length - split - 1) : bytes_of(data, 0);
    struct glob *glob;
    struct filter *filter;
    struct reason reason = {0};
    struct filter_entry entry = {.text = pattern};
    int err = glob_compile(pattern, &glob, &reason);
    assert((err != 0) == (reason.text[0] != '\0'));
    int filter_err = filter_new(&entry, 1, &filter, NULL);
    assert(filter_err == err);
    if (err == 0) {
        check(glob, filter, name);
        glob_free(glob);
        filter_unref(filter);
    }
    return 0;
}
