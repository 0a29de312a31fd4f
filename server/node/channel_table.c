#include "server/node/channel_table.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { CAPACITY_MIN = 16 };

void channel_table_deinit(struct channel_table *table)
{
    free(table->channels);
    *table = (struct channel_table){0};
}

// The place of the first one whose number is not below.
static uint32_t place_of(const struct channel_table *table, uint64_t number)
{
    uint32_t low = 0;
    uint32_t high = table->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (table->channels[middle].number < number) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

void *channel_find(const struct channel_table *table, uint64_t number)
{
    uint32_t place = place_of(table, number);
    bool is_there = place < table->count && table->channels[place].number == number;
    return is_there ? table->channels[place].owner : NULL;
}

int channel_add(struct channel_table *table, uint64_t number, void *owner, uint32_t max)
{
    if (table->count >= max || channel_find(table, number)) {
        return ERR_BUSY;
    }
    if (table->count == table->capacity) {
        uint32_t capacity = table->capacity > 0 ? 2 * table->capacity : CAPACITY_MIN;
        struct channel *channels = realloc(table->channels, capacity * sizeof *channels);
        if (!channels) {
            return ERR_MEMORY;
        }
        table->channels = channels;
        table->capacity = capacity;
    }
    uint32_t place = place_of(table, number);
    struct channel *at = table->channels + place;
    memmove(at + 1, at, (table->count - place) * sizeof *at);
    *at = (struct channel){.number = number, .owner = owner};
    table->count++;
    return 0;
}

void channel_remove(struct channel_table *table, uint64_t number)
{
    uint32_t place = place_of(table, number);
    if (place < table->count && table->channels[place].number == number) {
        struct channel *at = table->channels + place;
        table->count--;
        memmove(at, at + 1, (table->count - place) * sizeof *at);
    }
}
