// Numbers that only the coordinator knows are shown as "-", in JSON as null, when it was not asked
// or did not answer: 0 would be a lie.

#include "client-cli/subscriptions_print.h"

#include <inttypes.h>
#include <stdio.h>

#include "client-cli/calendar.h"
#include "client-cli/json.h"

static struct bytes bytes_of_weir(struct weir_bytes bytes)
{
    return bytes_of(bytes.data, bytes.length);
}

// Text that a node sent, checked: a name must not be able to drive a terminal.
static int text(struct output *output, struct weir_bytes value)
{
    struct bytes bytes = bytes_of_weir(value);
    if (!weir_is_text(value)) {
        return ERR_INVALID;
    }
    int err = 0;
    for (size_t i = 0; err == 0 && i < bytes.length; i++) {
        bool is_control = bytes.data[i] < 0x20 || bytes.data[i] == 0x7f;
        err = buffer_append(&output->buffer,
                            is_control ? bytes_of_text("?") : bytes_of(&bytes.data[i], 1));
    }
    return err;
}

static int seconds(struct output *output, uint64_t ms)
{
    return output_text(output, "%" PRIu64 ".%03u s", ms / 1000, (unsigned)(ms % 1000));
}

// Globs, exact names and attributes, separated by blanks.
static int wanted(struct output *output, const struct weir_definition *definition)
{
    int err = 0;
    size_t count = definition->patterns_count + definition->names_count;
    if (count == 0) {
        err = output_text(output, "/**/*");
    }
    for (size_t i = 0; err == 0 && i < count; i++) {
        const char *name = i < definition->patterns_count
                               ? definition->patterns[i]
                               : definition->names[i - definition->patterns_count];
        err = i > 0 ? output_text(output, " ") : 0;
        err = err != 0 ? err : text(output, weir_text(name));
    }
    for (size_t i = 0; err == 0 && i < definition->attributes_count; i++) {
        const struct weir_attribute *attribute = &definition->attributes[i];
        err = output_text(output, " ");
        err = err != 0 ? err : text(output, attribute->key);
        err = err != 0 ? err : output_text(output, "=");
        err = err != 0                         ? err
              : weir_is_text(attribute->value) ? text(output, attribute->value)
                                               : output_text(output, "(bytes)");
    }
    return err;
}

int subscriptions_print_head(struct output *output)
{
    return output_text(output, "%12s %14s %9s %9s %9s  %s\n", "LAG", "LAG TIME", "CONSUMERS",
                       "IN FLIGHT", "PARKED", "NAME");
}

int subscriptions_print_line(struct output *output, const struct weir_subscription_row *row)
{
    int err = output_text(output, "%12" PRIu64 " ", row->lag_events);
    if (err == 0 && row->is_coordinated) {
        char lag[32];
        snprintf(lag, sizeof lag, "%" PRIu64 ".%03u s", row->lag_ms / 1000,
                 (unsigned)(row->lag_ms % 1000));
        err = output_text(output, "%14s %9" PRIu32 " %9" PRIu64 " %9" PRIu64 "  ", lag,
                          row->consumers, row->in_flight, row->parked);
    } else if (err == 0) {
        err = output_text(output, "%14s %9s %9s %9s  ", "-", "-", "-", "-");
    }
    err = err != 0 ? err : text(output, row->name);
    return err != 0 ? err : output_text(output, "\n");
}

static int print_key(struct output *output, const struct weir_definition *definition)
{
    switch (definition->key) {
    case WEIR_KEY_NONE:
        return output_text(output, "none");
    case WEIR_KEY_NAMESPACE:
        return output_text(output, "namespace");
    case WEIR_KEY_COMPONENTS:
        return output_text(output, "%" PRIu32, definition->key_components);
    case WEIR_KEY_ATTRIBUTE: {
        int err = output_text(output, "attribute:");
        return err != 0 ? err : text(output, weir_text(definition->key_attribute));
    }
    }
    return output_text(output, "unknown");
}

static int print_definition(struct output *output, const struct weir_subscription_row *row)
{
    const struct weir_definition *definition = row->definition;
    char generation[WEIR_ID_TEXT_SIZE];
    weir_id_format(row->generation, generation);
    int err = text(output, row->name);
    err = err != 0 ? err : output_text(output, "\n  generation   %s\n  wants        ", generation);
    err = err != 0 ? err : wanted(output, definition);
    if (err == 0 && definition->time_min_ms > 0) {
        char time[TIMESTAMP_TEXT_LENGTH + 1];
        timestamp_format(definition->time_min_ms, time);
        err = output_text(output, ", not before %s", time);
    }
    err = err != 0 ? err
                   : output_text(output, "\n  order        %s\n  group key    ",
                                 definition->order == WEIR_ORDER_STABLE ? "stable" : "arrival");
    err = err != 0 ? err : print_key(output, definition);
    err = err != 0 ? err
                   : output_text(output, "\n  concurrency  %" PRIu32 "\n  attempts     ",
                                 definition->concurrency);
    if (err == 0 && definition->attempts == WEIR_ATTEMPTS_FOR_EVER) {
        err = output_text(output, "for ever");
    } else if (err == 0) {
        err = output_text(output, "%" PRIu32, definition->attempts);
    }
    err = err != 0 ? err : output_text(output, "\n  ack wait     ");
    err = err != 0 ? err : seconds(output, definition->ack_wait_ms);
    if (definition->is_transient) {
        err = err != 0 ? err : output_text(output, "\n  checkpoints  none: transient");
    } else {
        err = err != 0 ? err
                       : output_text(output, "\n  checkpoints  every %" PRIu32 " events, or after ",
                                     definition->checkpoint_every);
        err = err != 0 ? err : seconds(output, definition->checkpoint_after_ms);
    }
    return err != 0 ? err : output_text(output, "\n  queue        %" PRIu32, definition->queue);
}

static int print_coordinated(struct output *output, const struct weir_subscription_row *row)
{
    if (!row->is_coordinated) {
        return output_text(output, "  coordinator  not known here now\n");
    }
    int err =
        output_text(output,
                    "  coordinator  actor %u\n  consumers    %" PRIu32 "\n  in flight    %" PRIu64
                    "\n  waiting      %" PRIu64 "\n  delivered    %" PRIu64 ", %" PRIu64
                    " of them again\n  acknowledged %" PRIu64 "\n  parked       %" PRIu64,
                    row->coordinator, row->consumers, row->in_flight, row->waiting, row->delivered,
                    row->redelivered, row->acked, row->parked);
    if (err == 0 && row->parked > 0) {
        err = output_text(output, " in /$weir/parked/");
        err = err != 0 ? err : text(output, row->name);
    }
    return err != 0 ? err : output_text(output, "\n");
}

static int print_consumers(struct output *output, const struct weir_result *result)
{
    const struct weir_subscription_consumer *consumer;
    int err;
    while ((err = weir_result_consumer(result, &consumer)) == 0) {
        err = output_text(output, "  consumer     ");
        err = err != 0 ? err : text(output, consumer->client);
        err = err != 0 ? err
                       : output_text(output,
                                     "%sat actor %u: %" PRIu32 " in flight, %" PRIu64
                                     " delivered, %" PRIu64 " acknowledged, for ",
                                     consumer->client.length > 0 ? ", " : "", consumer->actor,
                                     consumer->in_flight, consumer->delivered, consumer->acked);
        err = err != 0 ? err : seconds(output, consumer->attached_ms);
        err = err != 0 ? err : output_text(output, "\n");
        if (err != 0) {
            return err;
        }
    }
    return err == WEIR_NOTHING ? 0 : err;
}

int subscriptions_print_whole(struct output *output, const struct weir_subscription_row *row,
                              const struct weir_result *result)
{
    int err = print_definition(output, row);
    err = err != 0 ? err
                   : output_text(output, "\n  position     %s\n  lag          %" PRIu64 " events",
                                 row->cursor, row->lag_events);
    if (err == 0 && row->is_coordinated) { // else nobody knows the time
        err = output_text(output, ", ");
        err = err != 0 ? err : seconds(output, row->lag_ms);
    }
    err = err != 0 ? err : output_text(output, "\n");
    err = err != 0 ? err : print_coordinated(output, row);
    err = err != 0 ? err : print_consumers(output, result);
    if (err == 0 && row->voids > 0) {
        char last[WEIR_ID_TEXT_SIZE];
        weir_id_format(row->void_last, last);
        err = output_text(
            output, "  void         %" PRIu32 " creations that came second, the last of them %s\n",
            row->voids, last);
    }
    return err;
}

// --- JSON --------------------------------------------------------------------------------------

static int json_text(struct output *output, struct weir_bytes value)
{
    return weir_is_text(value) ? json_append_string(&output->buffer, bytes_of_weir(value))
                               : ERR_INVALID;
}

static int json_texts(struct output *output, const char *key, const char *const *texts,
                      size_t count)
{
    int err = output_text(output, ",\"%s\":[", key);
    for (size_t i = 0; err == 0 && i < count; i++) {
        err = i > 0 ? output_text(output, ",") : 0;
        err = err != 0 ? err : json_text(output, weir_text(texts[i]));
    }
    return err != 0 ? err : output_text(output, "]");
}

static int json_attributes(struct output *output, const struct weir_definition *definition)
{
    int err = output_text(output, ",\"attributes\":[");
    for (size_t i = 0; err == 0 && i < definition->attributes_count; i++) {
        const struct weir_attribute *attribute = &definition->attributes[i];
        bool is_text = weir_is_text(attribute->value);
        err = output_text(output, i > 0 ? ",{\"key\":" : "{\"key\":");
        err = err != 0 ? err : json_text(output, attribute->key);
        err = err != 0 ? err : output_text(output, is_text ? ",\"value\":" : ",\"value_base64\":");
        if (err == 0) {
            err = is_text ? json_text(output, attribute->value)
                          : json_append_base64(&output->buffer, bytes_of_weir(attribute->value));
        }
        err = err != 0 ? err : output_text(output, "}");
    }
    return err != 0 ? err : output_text(output, "]");
}

static int json_key(struct output *output, const struct weir_definition *definition)
{
    if (definition->key != WEIR_KEY_ATTRIBUTE) {
        int err = output_text(output, ",\"group_key\":\"");
        err = err != 0 ? err : print_key(output, definition);
        return err != 0 ? err : output_text(output, "\"");
    }
    struct output key = {0};
    int err = output_text(output, ",\"group_key\":");
    err = err != 0 ? err : output_text(&key, "attribute:%s", definition->key_attribute);
    err = err != 0 ? err
                   : json_text(output, (struct weir_bytes){.data = key.buffer.data,
                                                           .length = key.buffer.length});
    buffer_deinit(&key.buffer);
    return err;
}

static int json_definition(struct output *output, const struct weir_definition *definition)
{
    int err = json_texts(output, "patterns", definition->patterns, definition->patterns_count);
    err = err != 0 ? err : json_texts(output, "names", definition->names, definition->names_count);
    err = err != 0 ? err : json_attributes(output, definition);
    if (err == 0 && definition->time_min_ms > 0) {
        char time[TIMESTAMP_TEXT_LENGTH + 1];
        timestamp_format(definition->time_min_ms, time);
        err = output_text(output, ",\"not_before\":\"%s\"", time);
    } else if (err == 0) {
        err = output_text(output, ",\"not_before\":null");
    }
    err = err != 0 ? err
                   : output_text(output, ",\"order\":\"%s\"",
                                 definition->order == WEIR_ORDER_STABLE ? "stable" : "arrival");
    err = err != 0 ? err : json_key(output, definition);
    uint32_t attempts = definition->attempts == WEIR_ATTEMPTS_FOR_EVER ? 0 : definition->attempts;
    return err != 0 ? err
                    : output_text(output,
                                  ",\"concurrency\":%" PRIu32 ",\"attempts\":%" PRIu32
                                  ",\"ack_wait_ms\":%" PRIu32 ",\"checkpoint_every\":%" PRIu32
                                  ",\"checkpoint_after_ms\":%" PRIu32 ",\"queue\":%" PRIu32
                                  ",\"transient\":%s",
                                  definition->concurrency, attempts, definition->ack_wait_ms,
                                  definition->checkpoint_every, definition->checkpoint_after_ms,
                                  definition->queue, definition->is_transient ? "true" : "false");
}

static int json_coordinated(struct output *output, const struct weir_subscription_row *row)
{
    if (!row->is_coordinated) {
        return output_text(
            output, ",\"lag_ms\":null,\"coordinator\":null,\"consumers\":null,"
                    "\"in_flight\":null,\"waiting\":null,\"delivered\":null,\"redelivered\":null,"
                    "\"acknowledged\":null,\"parked\":null");
    }
    return output_text(output,
                       ",\"lag_ms\":%" PRIu64 ",\"coordinator\":%u,\"consumers\":%" PRIu32
                       ",\"in_flight\":%" PRIu64 ",\"waiting\":%" PRIu64 ",\"delivered\":%" PRIu64
                       ",\"redelivered\":%" PRIu64 ",\"acknowledged\":%" PRIu64
                       ",\"parked\":%" PRIu64,
                       row->lag_ms, row->coordinator, row->consumers, row->in_flight, row->waiting,
                       row->delivered, row->redelivered, row->acked, row->parked);
}

static int json_consumers(struct output *output, const struct weir_result *result)
{
    const struct weir_subscription_consumer *consumer;
    int err = output_text(output, ",\"attached\":[");
    const char *between = "";
    while (err == 0 && (err = weir_result_consumer(result, &consumer)) == 0) {
        err = output_text(output, "%s{\"client\":", between);
        err = err != 0 ? err : json_text(output, consumer->client);
        err = err != 0 ? err
                       : output_text(output,
                                     ",\"number\":%" PRIu64 ",\"actor\":%u,\"in_flight\":%" PRIu32
                                     ",\"attached_ms\":%" PRIu64 ",\"delivered\":%" PRIu64
                                     ",\"acknowledged\":%" PRIu64 "}",
                                     consumer->number, consumer->actor, consumer->in_flight,
                                     consumer->attached_ms, consumer->delivered, consumer->acked);
        between = ",";
    }
    return err == WEIR_NOTHING ? output_text(output, "]") : err;
}

int subscriptions_print_json(struct output *output, const struct weir_subscription_row *row,
                             const struct weir_result *result)
{
    char generation[WEIR_ID_TEXT_SIZE];
    char void_last[WEIR_ID_TEXT_SIZE];
    weir_id_format(row->generation, generation);
    weir_id_format(row->void_last, void_last);
    int err = output_text(output, "{\"name\":");
    err = err != 0 ? err : json_text(output, row->name);
    err = err != 0 ? err : output_text(output, ",\"generation\":\"%s\"", generation);
    err = err != 0 ? err : json_definition(output, row->definition);
    err = err != 0 ? err
                   : output_text(output,
                                 ",\"cursor\":\"%s\",\"lag_events\":%" PRIu64
                                 ",\"void_creations\":%" PRIu32,
                                 row->cursor, row->lag_events, row->voids);
    err = err != 0         ? err
          : row->voids > 0 ? output_text(output, ",\"void_last\":\"%s\"", void_last)
                           : output_text(output, ",\"void_last\":null");
    err = err != 0 ? err : json_coordinated(output, row);
    if (err == 0 && result) {
        err = json_consumers(output, result);
    }
    return err != 0 ? err : output_text(output, "}\n");
}
