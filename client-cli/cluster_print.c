// Counters are not dense (each node's go on above all that it has seen), so the distance between
// two of them is a bound of how many events are missing, and is shown as one.

#include "client-cli/cluster_print.h"

#include <inttypes.h>
#include <stdio.h>

#include "client-cli/status_text.h"
#include "proto/model/cluster_row.h"

static const char *state_name(uint8_t state)
{
    switch ((enum cluster_row_state)state) {
    case CLUSTER_ACTIVE:
        return "active";
    case CLUSTER_JOINING:
        return "joining";
    case CLUSTER_RETIRING:
        return "retiring";
    case CLUSTER_RETIRED:
        return "retired";
    }
    return "unknown"; // of a later version
}

static const char *verdict_name(const struct cluster_row *row)
{
    switch ((enum cluster_row_verdict)row->verdict) {
    case CLUSTER_UNKNOWN:
        return row->flags & CLUSTER_ROW_SELF ? "equal" : "unknown";
    case CLUSTER_EQUAL:
        return "equal";
    case CLUSTER_BEHIND:
        return "behind";
    case CLUSTER_AHEAD:
        return "ahead";
    case CLUSTER_DIVERGED:
        return "diverged";
    }
    return "unknown";
}

static bool is_equal(const struct cluster_row *row)
{
    bool is_self = row->flags & CLUSTER_ROW_SELF;
    return row->verdict == CLUSTER_EQUAL || (is_self && row->verdict == CLUSTER_UNKNOWN);
}

static bool counts(const struct cluster_row *row)
{
    return row->state != CLUSTER_RETIRED || row->verdict == CLUSTER_DIVERGED;
}

static uint64_t lag(const struct cluster_row *row)
{
    return row->claimed > row->held ? row->claimed - row->held : 0;
}

static double copies_per_event(const struct reply_cluster *cluster)
{
    double applied = (double)cluster->events_applied;
    return applied > 0 ? (applied + (double)cluster->events_duplicate) / applied : 1;
}

int cluster_are_equal(const struct reply_cluster *cluster, bool *equal_out)
{
    struct bytes rows = cluster->members;
    bool equal = true;
    while (rows.length > 0) {
        struct cluster_row row;
        if (cluster_row_next(&rows, &row) != 0) {
            return ERR_CORRUPT;
        }
        equal = equal && (!counts(&row) || is_equal(&row));
    }
    *equal_out = equal;
    return 0;
}

// --- For people --------------------------------------------------------------------------------

enum { CELL_LENGTH = 64, SHORT_UUID_LENGTH = 8 };

static void lag_format(const struct cluster_row *row, char out[CELL_LENGTH])
{
    if (lag(row) == 0) {
        snprintf(out, CELL_LENGTH, "-");
    } else {
        snprintf(out, CELL_LENGTH, "%" PRIu64 ", %.1f s", lag(row), (double)row->lag_ms / 1000);
    }
}

static void source_format(const struct cluster_row *row, char out[CELL_LENGTH])
{
    if (row->flags & CLUSTER_ROW_SELF) {
        snprintf(out, CELL_LENGTH, "here");
    } else if (row->flags & CLUSTER_ROW_SOURCE_DIRECT) {
        snprintf(out, CELL_LENGTH, "itself");
    } else if (row->source != 0) {
        snprintf(out, CELL_LENGTH, "actor %u", row->source);
    } else {
        snprintf(out, CELL_LENGTH, "-");
    }
}

static void verdict_format(const struct cluster_row *row, char out[CELL_LENGTH])
{
    if (row->verdict == CLUSTER_DIVERGED) {
        snprintf(out, CELL_LENGTH, "DIVERGED, actor %u since %" PRIu64, row->diverged_actor,
                 row->diverged_since);
    } else {
        snprintf(out, CELL_LENGTH, "%s", verdict_name(row));
    }
}

static int print_row(struct output *output, const struct cluster_row *row)
{
    char node[UUID_TEXT_LENGTH + 1];
    char behind[CELL_LENGTH];
    char source[CELL_LENGTH];
    char verdict[CELL_LENGTH];
    char held[CELL_LENGTH];
    bool is_self = row->flags & CLUSTER_ROW_SELF;
    uuid_format(&row->node, node);
    lag_format(row, behind);
    source_format(row, source);
    verdict_format(row, verdict);
    snprintf(held, sizeof held, "%" PRIu64 "/%" PRIu64, row->held, row->claimed);
    return output_text(
        output, "%c%5u  %.*s  %-8s  %-21.*s  %-4s  %5" PRIu64 "  %-17s  %-15s  %-9s  %s\n",
        is_self ? '*' : ' ', row->actor, SHORT_UUID_LENGTH, node, state_name(row->state),
        (int)row->address.length, (const char *)row->address.data,
        is_self                              ? "self"
        : row->flags & CLUSTER_ROW_CONNECTED ? "up"
                                             : "down",
        row->run, held, behind, source, verdict);
}

static int print_rows(struct output *output, struct bytes rows)
{
    int err = output_text(output, "\n%6s  %-8s  %-8s  %-21s  %-4s  %5s  %-17s  %-15s  %-9s  %s\n",
                          "ACTOR", "NODE", "STATE", "ADDRESS", "LINK", "RUN", "HELD/CLAIMED", "LAG",
                          "FROM", "VERIFIED");
    while (err == 0 && rows.length > 0) {
        struct cluster_row row;
        err = cluster_row_next(&rows, &row) != 0 ? ERR_CORRUPT : print_row(output, &row);
    }
    return err;
}

static int print_frontier(struct output *output, const struct reply_cluster *cluster)
{
    int err = output_text(output, "Frontier:  %" PRIu64, cluster->frontier);
    if (err == 0 && cluster->waits_for != 0) {
        err = output_text(output, ", held back by actor %u", cluster->waits_for);
    }
    return err != 0 ? err : output_text(output, "\n");
}

static int print_alarms(struct output *output, struct bytes alarms)
{
    struct bytes alarm;
    int err = 0;
    while (err == 0 && status_take_line(&alarms, &alarm)) {
        err = output_text(output, "ALARM:     %.*s\n", (int)alarm.length, (const char *)alarm.data);
    }
    return err;
}

static int print_scrub(struct output *output, const struct reply_cluster *cluster)
{
    double percent = cluster->scrub_total > 0
                         ? 100 * (double)cluster->scrub_checked / (double)cluster->scrub_total
                         : 100;
    return output_text(output,
                       "Scrub:     %" PRIu64 " of %" PRIu64 " checked (%.1f %%); chunks: %" PRIu64
                       " damaged, %" PRIu64 " repaired\n",
                       cluster->scrub_checked, cluster->scrub_total, percent,
                       cluster->damaged_chunks, cluster->repaired_chunks);
}

int cluster_print_status(struct output *output, const struct reply_cluster *cluster)
{
    char uuid[UUID_TEXT_LENGTH + 1];
    char node[UUID_TEXT_LENGTH + 1];
    status_format_uuid(cluster->cluster, uuid);
    status_format_uuid(cluster->node, node);
    int err = output_text(output,
                          "Cluster:   %.*s (%s)\nNode:      actor %u (%s), %.*s\n"
                          "Produce:   %s%.*s\n",
                          (int)cluster->cluster_name.length,
                          (const char *)cluster->cluster_name.data, uuid, cluster->actor, node,
                          (int)cluster->phase.length, (const char *)cluster->phase.data,
                          cluster->may_produce ? "yes" : "no: ", (int)cluster->why_not.length,
                          (const char *)cluster->why_not.data);
    err = err != 0 ? err : print_frontier(output, cluster);
    err = err != 0 ? err
                   : output_text(output,
                                 "Events:    %" PRIu64 " from other nodes, %" PRIu64
                                 " of them again: %.3f copies per event\n",
                                 cluster->events_applied, cluster->events_duplicate,
                                 copies_per_event(cluster));
    err = err != 0 ? err : print_scrub(output, cluster);
    err = err != 0 ? err : print_alarms(output, cluster->alarms);
    if (err == 0 && cluster->text.length > 0) {
        err = output_text(output, "%.*s\n", (int)cluster->text.length,
                          (const char *)cluster->text.data);
    }
    return err != 0 ? err : print_rows(output, cluster->members);
}

static int print_verdict(struct output *output, const struct cluster_row *row)
{
    int err = output_text(output, "actor %u: ", row->actor);
    if (err != 0) {
        return err;
    }
    switch ((enum cluster_row_verdict)row->verdict) {
    case CLUSTER_DIVERGED:
        return output_text(output, "DIVERGED since %" PRIu64 " of actor %u\n", row->diverged_since,
                           row->diverged_actor);
    case CLUSTER_EQUAL:
        return output_text(output, "equal\n");
    case CLUSTER_BEHIND:
        return output_text(output, "behind this node\n");
    case CLUSTER_AHEAD:
        return output_text(output, "ahead of this node\n");
    case CLUSTER_UNKNOWN:
        break;
    }
    return output_text(output, "%s\n",
                       row->flags & CLUSTER_ROW_SELF        ? "equal (this node)"
                       : row->flags & CLUSTER_ROW_CONNECTED ? "has not said yet what it holds"
                                                            : "cannot be reached");
}

int cluster_print_verdicts(struct output *output, const struct reply_cluster *cluster)
{
    struct bytes rows = cluster->members;
    int err = 0;
    while (err == 0 && rows.length > 0) {
        struct cluster_row row;
        err = cluster_row_next(&rows, &row) != 0 ? ERR_CORRUPT : 0;
        if (err == 0 && counts(&row)) {
            err = print_verdict(output, &row);
        }
        if (err == 0 && lag(&row) > 0) {
            err =
                output_text(output, "this node is behind by up to %" PRIu64 " events of actor %u\n",
                            lag(&row), row.actor);
        }
    }
    if (err == 0 && cluster->text.length > 0) {
        err = output_text(output, "%.*s\n", (int)cluster->text.length,
                          (const char *)cluster->text.data);
    }
    return err;
}

// --- JSON --------------------------------------------------------------------------------------

static int append_field(struct buffer *out, const char *name, struct bytes text)
{
    int err = json_append(out, name);
    return err != 0 ? err : status_append_text(out, text);
}

static int append_number_or_null(struct output *output, const char *name, uint64_t number)
{
    return number > 0 ? output_text(output, "%s%" PRIu64, name, number)
                      : output_text(output, "%snull", name);
}

static int append_diverged(struct output *output, const struct cluster_row *row)
{
    return row->verdict == CLUSTER_DIVERGED
               ? output_text(output, ",\"diverged\":{\"actor\":%u,\"since\":%" PRIu64 "}}",
                             row->diverged_actor, row->diverged_since)
               : output_text(output, ",\"diverged\":null}");
}

static int append_row(struct output *output, const struct cluster_row *row)
{
    char node[UUID_TEXT_LENGTH + 1];
    uuid_format(&row->node, node);
    int err = output_text(output,
                          "{\"actor\":%u,\"node\":\"%s\",\"state\":\"%s\",\"is_self\":%s,"
                          "\"is_connected\":%s,\"is_source_direct\":%s",
                          row->actor, node, state_name(row->state),
                          row->flags & CLUSTER_ROW_SELF ? "true" : "false",
                          row->flags & CLUSTER_ROW_CONNECTED ? "true" : "false",
                          row->flags & CLUSTER_ROW_SOURCE_DIRECT ? "true" : "false");
    err = err != 0 ? err : append_number_or_null(output, ",\"source\":", row->source);
    err = err != 0 ? err : append_field(&output->buffer, ",\"address\":", row->address);
    err = err != 0 ? err : append_field(&output->buffer, ",\"version\":", row->version);
    err =
        err != 0
            ? err
            : output_text(output,
                          ",\"run\":%" PRIu64 ",\"held\":%" PRIu64 ",\"claimed\":%" PRIu64
                          ",\"lag\":%" PRIu64 ",\"lag_ms\":%" PRIu64 ",\"promised\":%" PRIu64,
                          row->run, row->held, row->claimed, lag(row), row->lag_ms, row->promised);
    err = err != 0 ? err : append_number_or_null(output, ",\"seal\":", row->seal);
    err = err != 0 ? err : output_text(output, ",\"verified\":\"%s\"", verdict_name(row));
    return err != 0 ? err : append_diverged(output, row);
}

static int append_rows(struct output *output, struct bytes rows, bool has_all)
{
    bool is_first = true;
    int err = json_append(&output->buffer, ",\"members\":[");
    while (err == 0 && rows.length > 0) {
        struct cluster_row row;
        err = cluster_row_next(&rows, &row) != 0 ? ERR_CORRUPT : 0;
        if (err == 0 && (has_all || counts(&row))) {
            err = is_first ? 0 : json_append(&output->buffer, ",");
            err = err != 0 ? err : append_row(output, &row);
            is_first = false;
        }
    }
    return err != 0 ? err : json_append(&output->buffer, "]");
}

// A line is "code: text".
static int append_alarm(struct buffer *out, struct bytes alarm)
{
    const uint8_t *colon = alarm.length > 0 ? memchr(alarm.data, ':', alarm.length) : NULL;
    size_t code_length = colon ? (size_t)(colon - alarm.data) : 0;
    size_t text_start = colon ? code_length + 1 : 0;
    if (text_start < alarm.length && text_start > 0 && alarm.data[text_start] == ' ') {
        text_start++;
    }
    struct bytes text = bytes_of(alarm.data + text_start, alarm.length - text_start);
    int err = append_field(out, "{\"code\":", bytes_of(alarm.data, code_length));
    err = err != 0 ? err : append_field(out, ",\"text\":", text);
    return err != 0 ? err : json_append(out, "}");
}

static int append_alarms(struct buffer *out, struct bytes alarms)
{
    struct bytes alarm;
    int err = json_append(out, ",\"alarms\":[");
    for (bool is_first = true; err == 0 && status_take_line(&alarms, &alarm); is_first = false) {
        err = is_first ? 0 : json_append(out, ",");
        err = err != 0 ? err : append_alarm(out, alarm);
    }
    return err != 0 ? err : json_append(out, "]");
}

static int append_head(struct output *output, const struct reply_cluster *cluster)
{
    char uuid[UUID_TEXT_LENGTH + 1];
    char node[UUID_TEXT_LENGTH + 1];
    struct buffer *out = &output->buffer;
    status_format_uuid(cluster->cluster, uuid);
    status_format_uuid(cluster->node, node);
    int err = append_field(out, "{\"cluster\":{\"name\":", cluster->cluster_name);
    err = err != 0
              ? err
              : output_text(output, ",\"uuid\":\"%s\"},\"node\":{\"uuid\":\"%s\",\"actor\":%u}",
                            uuid, node, cluster->actor);
    err = err != 0 ? err : append_field(out, ",\"phase\":", cluster->phase);
    err = err != 0
              ? err
              : output_text(output, ",\"may_produce\":%s", cluster->may_produce ? "true" : "false");
    return err != 0 ? err : append_field(out, ",\"why_not\":", cluster->why_not);
}

int cluster_print_status_json(struct output *output, const struct reply_cluster *cluster)
{
    struct buffer *out = &output->buffer;
    int err = append_head(output, cluster);
    err = err != 0 ? err : output_text(output, ",\"frontier\":%" PRIu64, cluster->frontier);
    err = err != 0 ? err : append_number_or_null(output, ",\"waits_for\":", cluster->waits_for);
    err = err != 0
              ? err
              : output_text(output,
                            ",\"events_applied\":%" PRIu64 ",\"events_duplicate\":%" PRIu64
                            ",\"copies_per_event\":%.6f,\"damaged_chunks\":%" PRIu64
                            ",\"repaired_chunks\":%" PRIu64 ",\"scrub\":{\"checked\":%" PRIu64
                            ",\"total\":%" PRIu64 "}",
                            cluster->events_applied, cluster->events_duplicate,
                            copies_per_event(cluster), cluster->damaged_chunks,
                            cluster->repaired_chunks, cluster->scrub_checked, cluster->scrub_total);
    err = err != 0 ? err : append_field(out, ",\"text\":", cluster->text);
    err = err != 0 ? err : append_rows(output, cluster->members, true);
    err = err != 0 ? err : append_alarms(out, cluster->alarms);
    return err != 0 ? err : json_append(out, "}\n");
}

int cluster_print_verdicts_json(struct output *output, const struct reply_cluster *cluster)
{
    bool equal;
    int err = cluster_are_equal(cluster, &equal);
    err = err != 0 ? err : output_text(output, "{\"equal\":%s", equal ? "true" : "false");
    err = err != 0 ? err : append_field(&output->buffer, ",\"text\":", cluster->text);
    err = err != 0 ? err : append_rows(output, cluster->members, false);
    return err != 0 ? err : json_append(&output->buffer, "}\n");
}
