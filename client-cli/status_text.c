#include "client-cli/status_text.h"

#include "client-cli/views.h"

int status_append_text(struct buffer *out, struct weir_bytes text)
{
    return weir_is_text(text) ? json_append_string(out, bytes_from(text)) : ERR_INVALID;
}

int status_append_field(struct buffer *out, const char *key, struct weir_bytes text)
{
    int err = json_append(out, key);
    return err != 0 ? err : status_append_text(out, text);
}
