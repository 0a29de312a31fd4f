// The names of wire errors: the table that docs/protocol.md lists.

#include "proto/model/reply.h"

const char *wire_error_name(enum wire_error error)
{
    switch (error) {
    case WIRE_MALFORMED:
        return "malformed";
    case WIRE_UNKNOWN_MESSAGE:
        return "unknown_message";
    case WIRE_VERSION:
        return "version";
    case WIRE_NO_HELLO:
        return "no_hello";
    case WIRE_FRAME_TOO_LARGE:
        return "frame_too_large";
    case WIRE_DUPLICATE_ID:
        return "duplicate_id";
    case WIRE_INVALID_NAMESPACE:
        return "invalid_namespace";
    case WIRE_INVALID_GLOB:
        return "invalid_glob";
    case WIRE_INVALID_ID:
        return "invalid_id";
    case WIRE_INVALID_CURSOR:
        return "invalid_cursor";
    case WIRE_INVALID_EVENT:
        return "invalid_event";
    case WIRE_INVALID_ARGUMENT:
        return "invalid_argument";
    case WIRE_TOO_LARGE:
        return "too_large";
    case WIRE_NOT_FOUND:
        return "not_found";
    case WIRE_TIMEOUT:
        return "timeout";
    case WIRE_DISK_FULL:
        return "disk_full";
    case WIRE_UNKNOWN_OUTCOME:
        return "unknown_outcome";
    case WIRE_CORRUPT:
        return "corrupt";
    case WIRE_SHUTTING_DOWN:
        return "shutting_down";
    case WIRE_BUSY:
        return "busy";
    case WIRE_UNSUPPORTED:
        return "unsupported";
    case WIRE_INTERNAL:
        return "internal";
    case WIRE_NOT_MEMBER:
        return "not_member";
    case WIRE_REFUSED:
        return "refused";
    case WIRE_NOT_IN_FLIGHT:
        return "not_in_flight";
    case WIRE_EXISTS:
        return "exists";
    }
    return "unknown_error";
}
