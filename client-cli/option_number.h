// A number as the value of an option.
#pragma once

#include <argp.h>
#include <stdint.h>

// Ends the program, as argp does, when it is none from `min` to `max`. `option`: "--in-flight".
uint64_t option_number(const char *text, uint64_t min, uint64_t max, const char *option,
                       struct argp_state *state);
