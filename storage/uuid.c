// Uuids from the system's source of randomness: version 4.

#include <sys/random.h>

#include "storage/identity.h"

int uuid_random(struct uuid *uuid_out)
{
    struct uuid uuid;
    if (getrandom(uuid.bytes, sizeof uuid.bytes, 0) != (ssize_t)sizeof uuid.bytes) {
        return ERR_IO;
    }
    uuid.bytes[6] = (uint8_t)((uuid.bytes[6] & 0x0f) | 0x40);
    uuid.bytes[8] = (uint8_t)((uuid.bytes[8] & 0x3f) | 0x80);
    *uuid_out = uuid;
    return 0;
}
