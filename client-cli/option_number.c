#include "client-cli/option_number.h"

#include <inttypes.h>

#include "client-cli/parse.h"

uint64_t option_number(const char *text, uint64_t min, uint64_t max, const char *option,
                       struct argp_state *state)
{
    uint64_t value = min;
    if (!parse_number(text, min, max, &value)) {
        argp_error(state, "%s: '%s' is not a number from %" PRIu64 " to %" PRIu64, option, text,
                   min, max);
    }
    return value;
}
