// Acknowledgements as a program writes them that reads events from a pipe.

#include <stdio.h>
#include <string.h>

#include "client-cli/group_consumer.h"
#include "client-cli/parse.h"

// The first word, ended in place; *rest is behind it and the blanks.
static char *take_word(char **rest)
{
    char *word = *rest + strspn(*rest, " \t");
    char *end = word + strcspn(word, " \t");
    *rest = end + strspn(end, " \t");
    *end = '\0';
    return word;
}

int ack_line_parse(char *line, struct acknowledgement *out, struct weir_reason *reason)
{
    struct acknowledgement parsed = {.kind = ACK_ONE};
    char *rest = line;
    char *word = take_word(&rest);
    if (strcmp(word, "up-to") == 0) {
        parsed.kind = ACK_UP_TO;
        word = take_word(&rest);
    } else if (strcmp(word, "nack") == 0) {
        parsed.kind = ACK_NOT;
        word = take_word(&rest);
    }
    int err = weir_id_parse(word, &parsed.id, reason);
    if (err != 0) {
        return err;
    }
    if (parsed.kind == ACK_NOT) {
        char *behind = rest;
        uint64_t delay_ms;
        size_t length = strcspn(behind, " \t");
        char delay[32] = "";
        if (length < sizeof delay) {
            memcpy(delay, behind, length);
        }
        if (delay[0] && parse_duration_ms(delay, &delay_ms)) {
            parsed.delay_ms = delay_ms < UINT32_MAX ? (uint32_t)delay_ms : UINT32_MAX;
            (void)take_word(&rest);
        }
        parsed.reason = *rest ? rest : NULL;
    } else if (*rest) {
        snprintf(reason->text, sizeof reason->text, "'%.40s' is too much behind the id", rest);
        return WEIR_ERR_INVALID;
    }
    *out = parsed;
    return 0;
}
