// One table, indexed by the code without its sign, holds names and texts, so that a code cannot
// exist without them. Reasons often quote what a client sent, and end in logs and terminals: they
// are cleaned of control characters and malformed UTF-8 once, here, rather than by every caller.

#include "proto/base/err.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "proto/base/utf8.h"

static const struct {
    const char *name;
    const char *text;
} ERRORS[] = {
    [-ERR_NONE] = {"none", "Nothing went wrong."},
    [-ERR_MEMORY] = {"memory", "An allocation failed or a bounded buffer is full."},
    [-ERR_IO] = {"io", "The operating system or the disk refused."},
    [-ERR_CORRUPT] = {"corrupt", "Bytes fail their checksum or contradict themselves."},
    [-ERR_INVALID] = {"invalid", "The input is not what it must be."},
    [-ERR_LIMIT] = {"limit", "The input is beyond a limit."},
    [-ERR_FULL] = {"full", "The disk reserve is reached: nothing is accepted until there is room."},
    [-ERR_LOCKED] = {"locked", "Another process uses it."},
    [-ERR_VERSION] = {"version", "A format or protocol that this version does not know."},
    [-ERR_FOREIGN] = {"foreign", "It belongs to another program, node or cluster."},
    [-ERR_NOT_FOUND] = {"not found", "What was asked for is not there."},
    [-ERR_TIMEOUT] = {"timeout", "It did not happen in the time allowed."},
    [-ERR_CLOSED] = {"closed", "The connection or the thing was closed."},
    [-ERR_UNKNOWN] = {"unknown", "The outcome is unknown: it may or may not have happened."},
    [-ERR_BUSY] = {"busy", "A bounded resource is taken: try again later."},
    [-ERR_DENIED] = {"denied", "It is not permitted."},
    [-ERR_CONNECT] = {"connect", "Cannot connect."},
    [-ERR_UNSUPPORTED] = {"unsupported", "It is known, but not to this node or this build."},
};

_Static_assert(sizeof ERRORS / sizeof ERRORS[0] == ERR_COUNT, "every code has a name and a text");

const char *err_name(int err)
{
    return err <= 0 && err > -ERR_COUNT ? ERRORS[-err].name : "unknown code";
}

const char *err_text(int err)
{
    return err <= 0 && err > -ERR_COUNT ? ERRORS[-err].text : "An unknown error code.";
}

void reason_clear(struct reason *reason)
{
    reason->text[0] = '\0';
}

int reason_set(struct reason *reason, int err, const char *format, ...)
{
    assert(format);
    if (reason) {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(reason->text, sizeof reason->text, format, arguments);
        va_end(arguments);
        utf8_clean(reason->text);
    }
    return err;
}
