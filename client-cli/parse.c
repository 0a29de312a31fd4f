// By hand and strict: strtoull takes signs, blanks and overflows for granted.

#include "client-cli/parse.h"

#include <ctype.h>
#include <string.h>

#include "client-cli/calendar.h"

static bool take_number(const char **text, uint64_t *number_out)
{
    if (!isdigit((unsigned char)**text)) {
        return false;
    }
    uint64_t number = 0;
    for (; isdigit((unsigned char)**text); (*text)++) {
        uint64_t digit = (uint64_t)(**text - '0');
        if (number > (UINT64_MAX - digit) / 10) {
            return false;
        }
        number = number * 10 + digit;
    }
    *number_out = number;
    return true;
}

bool parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *number_out)
{
    uint64_t number;
    if (!take_number(&text, &number) || *text || number < min || number > max) {
        return false;
    }
    *number_out = number;
    return true;
}

static bool take_unit(const char **text, uint64_t *ms_out)
{
    static const struct {
        const char *name;
        uint64_t ms;
    } units[] = {
        {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}, {"w", 604800000},
    };
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        size_t length = strlen(units[i].name);
        if (strncmp(*text, units[i].name, length) == 0) {
            *text += length;
            *ms_out = units[i].ms;
            return true;
        }
    }
    return false;
}

bool parse_duration_ms(const char *text, uint64_t *ms_out)
{
    uint64_t total = 0;
    do {
        uint64_t number;
        uint64_t unit;
        if (!take_number(&text, &number) || !take_unit(&text, &unit) ||
            number > (UINT64_MAX - total) / unit) {
            return false;
        }
        total += number * unit;
    } while (*text);
    *ms_out = total;
    return true;
}

// Exactly `digits` digits, at most `max`.
static bool take_digits(const char **text, int digits, unsigned max, unsigned *out)
{
    unsigned number = 0;
    for (int i = 0; i < digits; i++, (*text)++) {
        if (!isdigit((unsigned char)**text)) {
            return false;
        }
        number = number * 10 + (unsigned)(**text - '0');
    }
    *out = number;
    return number <= max;
}

static bool take_any(const char **text, const char *characters)
{
    if (!**text || !strchr(characters, **text)) {
        return false;
    }
    (*text)++;
    return true;
}

static bool take_fraction_ms(const char **text, unsigned *ms_out)
{
    *ms_out = 0;
    if (!take_any(text, ".")) {
        return true;
    }
    if (!isdigit((unsigned char)**text)) {
        return false;
    }
    for (unsigned scale = 100; isdigit((unsigned char)**text); (*text)++, scale /= 10) {
        *ms_out += (unsigned)(**text - '0') * scale;
    }
    return true;
}

static bool take_offset_minutes(const char **text, int *minutes_out)
{
    *minutes_out = 0;
    if (take_any(text, "Zz")) {
        return true;
    }
    bool is_minus = **text == '-';
    unsigned hours;
    unsigned minutes;
    if (!take_any(text, "+-") || !take_digits(text, 2, 23, &hours) || !take_any(text, ":") ||
        !take_digits(text, 2, 59, &minutes)) {
        return false;
    }
    *minutes_out = (int)(hours * 60 + minutes) * (is_minus ? -1 : 1);
    return true;
}

bool parse_timestamp_ms(const char *text, uint64_t *ms_out)
{
    struct calendar at;
    unsigned ms;
    int offset;
    if (!take_digits(&text, 4, 9999, &at.year) || !take_any(&text, "-") ||
        !take_digits(&text, 2, 12, &at.month) || !take_any(&text, "-") ||
        !take_digits(&text, 2, 31, &at.day) || !take_any(&text, "Tt ") ||
        !take_digits(&text, 2, 23, &at.hour) || !take_any(&text, ":") ||
        !take_digits(&text, 2, 59, &at.minute) || !take_any(&text, ":") ||
        !take_digits(&text, 2, 60, &at.second) || !take_fraction_ms(&text, &ms) ||
        !take_offset_minutes(&text, &offset) || *text || !calendar_is_valid(&at)) {
        return false;
    }
    int64_t seconds = calendar_seconds(&at) - (int64_t)offset * 60;
    if (seconds < 0) {
        return false;
    }
    *ms_out = (uint64_t)seconds * 1000 + ms;
    return true;
}

bool parse_address(const char *text, struct parse_address *address_out)
{
    const char *colon = strrchr(text, ':');
    uint64_t port;
    if (!colon || !parse_number(colon + 1, 1, 65535, &port) ||
        strlen(colon + 1) >= sizeof address_out->port) {
        return false;
    }
    size_t length = (size_t)(colon - text);
    bool is_bracketed = length > 2 && text[0] == '[' && colon[-1] == ']';
    if (is_bracketed) {
        text++;
        length -= 2;
    } else if (strcspn(text, ":[]") < length) {
        return false; // IPv6 without its brackets: where does the port begin?
    }
    if (length == 0 || length >= sizeof address_out->host) {
        return false;
    }
    memcpy(address_out->host, text, length);
    address_out->host[length] = '\0';
    memcpy(address_out->port, colon + 1, strlen(colon + 1) + 1);
    return true;
}
