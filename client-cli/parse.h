// Values that a person types, checked before anything is sent.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/err.h"

// A plain decimal number within the bounds.
bool parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *number_out);

// "10m", "1h30m", "500ms": numbers with units ms, s, m, h, d, w.
bool parse_duration_ms(const char *text, uint64_t *ms_out);

// RFC 3339 ("2026-11-21T10:00:00Z", with fraction or offset): UTC milliseconds.
bool parse_timestamp_ms(const char *text, uint64_t *ms_out);

// "host:port", "[::1]:port": whole, and a port from 1 to 65535.
struct parse_address {
    char host[256];
    char port[6];
};
bool parse_address(const char *text, struct parse_address *address_out);
