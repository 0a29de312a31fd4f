// A match: what an event must have among its attributes to be wanted.
#pragma once

#include "proto/base/bytes.h"

struct attribute_match {
    struct bytes name;
    struct bytes value; // one attribute of that name has exactly this value
};

enum { ATTRIBUTE_MATCHES_MAX = 16, ATTRIBUTE_NAME_BYTES_MAX = 255 };

// ERR_INVALID and why not: more than ATTRIBUTE_MATCHES_MAX, a name without bytes or with more than
// ATTRIBUTE_NAME_BYTES_MAX or not of UTF-8, a value of more than ATTRIBUTES_BYTES_MAX.
int attribute_matches_check(const struct attribute_match *matches, uint32_t count,
                            struct reason *reason) MUST_CHECK;

// Whether all of them match an event's attributes, as encoded (struct event).
bool attribute_matches_all(const struct attribute_match *matches, uint32_t count,
                           struct bytes attributes);
