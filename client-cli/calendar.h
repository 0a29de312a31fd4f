// The calendar: UTC seconds to year, month, day and back, without the C library's time zones.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/bytes.h"

struct calendar {
    unsigned year;
    unsigned month;
    unsigned day;
    unsigned hour;
    unsigned minute;
    unsigned second;
};

// Whether the month has that day; the other fields are the caller's.
bool calendar_is_valid(const struct calendar *calendar);

int64_t calendar_seconds(const struct calendar *calendar);

// "2026-11-21T01:56:39.123Z", NUL-terminated; times behind the year 9999 are shown as its end.
enum { TIMESTAMP_TEXT_LENGTH = 24 };
void timestamp_format(uint64_t ms, char out[TIMESTAMP_TEXT_LENGTH + 1]);
