// Days are counted in years that begin in March, so that the leap day is the last of its year:
// then the months' lengths follow one line, (153 m + 2) / 5.

#include "client-cli/calendar.h"

enum { SECONDS_PER_DAY = 86400, DAYS_PER_400_YEARS = 146097, DAYS_TO_1970 = 719468 };
#define TIMESTAMP_MS_MAX 253402300799999ULL

static bool is_leap(unsigned year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

bool calendar_is_valid(const struct calendar *calendar)
{
    static const unsigned days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (calendar->month < 1 || calendar->month > 12 || calendar->day < 1) {
        return false;
    }
    unsigned leap = calendar->month == 2 && is_leap(calendar->year);
    return calendar->day <= days[calendar->month - 1] + leap;
}

int64_t calendar_seconds(const struct calendar *calendar)
{
    unsigned march = (calendar->month + 9) % 12;
    int64_t year = (int64_t)calendar->year - (march >= 10);
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t of_era = year - era * 400;
    int64_t day_of_year = (153 * (int64_t)march + 2) / 5 + (int64_t)calendar->day - 1;
    int64_t day = of_era * 365 + of_era / 4 - of_era / 100 + day_of_year;
    int64_t days = era * DAYS_PER_400_YEARS + day - DAYS_TO_1970;
    return days * SECONDS_PER_DAY + calendar->hour * 3600 + calendar->minute * 60 +
           calendar->second;
}

static void put_digits(char *out, unsigned number, int digits)
{
    for (int i = digits - 1; i >= 0; i--, number /= 10) {
        out[i] = (char)('0' + number % 10);
    }
}

void timestamp_format(uint64_t ms, char out[TIMESTAMP_TEXT_LENGTH + 1])
{
    ms = ms < TIMESTAMP_MS_MAX ? ms : TIMESTAMP_MS_MAX;
    uint64_t seconds = ms / 1000;
    uint64_t day = seconds / SECONDS_PER_DAY + DAYS_TO_1970;
    unsigned of_day = (unsigned)(seconds % SECONDS_PER_DAY);
    unsigned era = (unsigned)(day / DAYS_PER_400_YEARS);
    unsigned of_era = (unsigned)(day % DAYS_PER_400_YEARS);
    unsigned year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    unsigned of_year = of_era - (365 * year + year / 4 - year / 100);
    unsigned march = (5 * of_year + 2) / 153;
    memcpy(out, "0000-00-00T00:00:00.000Z", TIMESTAMP_TEXT_LENGTH + 1);
    put_digits(out, year + era * 400 + (march >= 10), 4);
    put_digits(out + 5, march < 10 ? march + 3 : march - 9, 2);
    put_digits(out + 8, of_year - (153 * march + 2) / 5 + 1, 2);
    put_digits(out + 11, of_day / 3600, 2);
    put_digits(out + 14, of_day / 60 % 60, 2);
    put_digits(out + 17, of_day % 60, 2);
    put_digits(out + 20, (unsigned)(ms % 1000), 3);
}
