// Counters are not dense (each node's go on above all that it has seen), so the distance between
// two of them is a bound of how many events are missing, and is shown as one.

#include "client-cli/cluster_print.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "client-cli/status_text.h"
#include "client-cli/views.h"

static const char *state_name(enum weir_member_state state)
{
    switch (state) {
    case WEIR_MEMBER_ACTIVE:
        return "active";
    case WEIR_MEMBER_JOINING:
        return "joining";
    case WEIR_MEMBER_RETIRING:
        return "retiring";
    case WEIR_MEMBER_RETIRED:
        return "retired";
    }
    return "unknown"; // of a later version
}

static const char *verdict_name(const struct weir_member *row)
{
    switch (row->verdict) {
    case WEIR_VERDICT_UNKNOWN:
        return row->is_self ? "equal" : "unknown";
    case WEIR_VERDICT_EQUAL:
        return "equal";
    case WEIR_VERDICT_BEHIND:
        return "behind";
    case WEIR_VERDICT_AHEAD:
        return "ahead";
    case WEIR_VERDICT_DIVERGED:
        return "diverged";
    }
    return "unknown";
}

static bool is_equal(const struct weir_member *row)
{
    return row->verdict == WEIR_VERDICT_EQUAL ||
           (row->is_self && row->verdict == WEIR_VERDICT_UNKNOWN);
}

static bool counts(const struct weir_member *row)
{
    return row->state != WEIR_MEMBER_RETIRED || row->verdict == WEIR_VERDICT_DIVERGED;
}

static uint64_t lag(const struct weir_member *row)
{
    return row->claimed > row->held ? row->claimed - row->held : 0;
}

static double copies_per_event(const struct weir_cluster_status *cluster)
{
    double applied = (double)cluster->events_applied;
    return applied > 0 ? (applied + (double)cluster->events_duplicate) / applied : 1;
}

bool cluster_are_equal(const struct cluster_table *table)
{
    bool equal = true;
    for (size_t i = 0; i < table->members_count; i++) {
        equal = equal && (!counts(&table->members[i]) || is_equal(&table->members[i]));
    }
    return equal;
}

// --- The table ---------------------------------------------------------------------------------

// Room for one more. NULL: no memory.
static void *grow(void *rows, size_t count, size_t size)
{
    bool is_full = (count & (count - 1)) == 0; // a power of two, or none
    return is_full ? reallocarray(rows, count ? 2 * count : 1, size) : rows;
}

static int read_members(struct cluster_table *table, const struct weir_result *result)
{
    for (;;) {
        const struct weir_member *member;
        int outcome = weir_result_member(result, &member);
        if (outcome != 0) {
            return outcome == WEIR_NOTHING ? 0 : outcome;
        }
        void *rows = grow(table->members, table->members_count, sizeof *member);
        if (!rows) {
            return ERR_MEMORY;
        }
        table->members = rows;
        table->members[table->members_count++] = *member;
    }
}

static int read_alarms(struct cluster_table *table, const struct weir_result *result)
{
    for (;;) {
        const struct weir_alarm *alarm;
        int outcome = weir_result_alarm(result, &alarm);
        if (outcome != 0) {
            return outcome == WEIR_NOTHING ? 0 : outcome;
        }
        void *rows = grow(table->alarms, table->alarms_count, sizeof *alarm);
        if (!rows) {
            return ERR_MEMORY;
        }
        table->alarms = rows;
        table->alarms[table->alarms_count++] = *alarm;
    }
}

int cluster_table_read(struct cluster_table *table, const struct weir_result *result)
{
    *table = (struct cluster_table){.status = result->cluster};
    int err = read_members(table, result);
    return err != 0 ? err : read_alarms(table, result);
}

void cluster_table_deinit(struct cluster_table *table)
{
    free(table->members);
    free(table->alarms);
}

// --- For people --------------------------------------------------------------------------------

enum { CELL_LENGTH = 64, SHORT_UUID_LENGTH = 8 };

static void lag_format(const struct weir_member *row, char out[CELL_LENGTH])
{
    if (lag(row) == 0) {
        snprintf(out, CELL_LENGTH, "-");
    } else {
        snprintf(out, CELL_LENGTH, "%" PRIu64 ", %.1f s", lag(row), (double)row->lag_ms / 1000);
    }
}

static void source_format(const struct weir_member *row, char out[CELL_LENGTH])
{
    if (row->is_self) {
        snprintf(out, CELL_LENGTH, "here");
    } else if (row->is_source_direct) {
        snprintf(out, CELL_LENGTH, "itself");
    } else if (row->source != 0) {
        snprintf(out, CELL_LENGTH, "actor %u", row->source);
    } else {
        snprintf(out, CELL_LENGTH, "-");
    }
}

static void verdict_format(const struct weir_member *row, char out[CELL_LENGTH])
{
    if (row->verdict == WEIR_VERDICT_DIVERGED) {
        snprintf(out, CELL_LENGTH, "DIVERGED, actor %u since %" PRIu64, row->diverged_actor,
                 row->diverged_since);
    } else {
        snprintf(out, CELL_LENGTH, "%s", verdict_name(row));
    }
}

static int print_row(struct output *output, const struct weir_member *row)
{
    char behind[CELL_LENGTH];
    char source[CELL_LENGTH];
    char verdict[CELL_LENGTH];
    char held[CELL_LENGTH];
    lag_format(row, behind);
    source_format(row, source);
    verdict_format(row, verdict);
    snprintf(held, sizeof held, "%" PRIu64 "/%" PRIu64, row->held, row->claimed);
    return output_text(
        output, "%c%5u  %.*s  %-8s  %-21.*s  %-4s  %5" PRIu64 "  %-17s  %-15s  %-9s  %s\n",
        row->is_self ? '*' : ' ', row->actor, SHORT_UUID_LENGTH, row->node, state_name(row->state),
        (int)row->address.length, (const char *)row->address.data,
        row->is_self        ? "self"
        : row->is_connected ? "up"
                            : "down",
        row->run, held, behind, source, verdict);
}

static int print_rows(struct output *output, const struct cluster_table *table)
{
    int err = output_text(output, "\n%6s  %-8s  %-8s  %-21s  %-4s  %5s  %-17s  %-15s  %-9s  %s\n",
                          "ACTOR", "NODE", "STATE", "ADDRESS", "LINK", "RUN", "HELD/CLAIMED", "LAG",
                          "FROM", "VERIFIED");
    for (size_t i = 0; err == 0 && i < table->members_count; i++) {
        err = print_row(output, &table->members[i]);
    }
    return err;
}

static int print_frontier(struct output *output, const struct weir_cluster_status *cluster)
{
    int err = output_text(output, "Frontier:  %" PRIu64, cluster->frontier);
    if (err == 0 && cluster->waits_for != 0) {
        err = output_text(output, ", held back by actor %u", cluster->waits_for);
    }
    return err != 0 ? err : output_text(output, "\n");
}

static int print_alarms(struct output *output, const struct cluster_table *table)
{
    int err = 0;
    for (size_t i = 0; err == 0 && i < table->alarms_count; i++) {
        struct weir_bytes line = table->alarms[i].line;
        err = output_text(output, "ALARM:     %.*s\n", (int)line.length, (const char *)line.data);
    }
    return err;
}

static int print_scrub(struct output *output, const struct weir_cluster_status *cluster)
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

int cluster_print_status(struct output *output, const struct cluster_table *table)
{
    const struct weir_cluster_status *cluster = table->status;
    int err =
        output_text(output,
                    "Cluster:   %.*s (%s)\nNode:      actor %u (%s), %.*s\n"
                    "Produce:   %s%.*s\n",
                    (int)cluster->cluster_name.length, (const char *)cluster->cluster_name.data,
                    cluster->cluster, cluster->actor, cluster->node, (int)cluster->phase.length,
                    (const char *)cluster->phase.data,
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
    err = err != 0 ? err : print_alarms(output, table);
    if (err == 0 && cluster->text.length > 0) {
        err = output_text(output, "%.*s\n", (int)cluster->text.length,
                          (const char *)cluster->text.data);
    }
    return err != 0 ? err : print_rows(output, table);
}

static int print_verdict(struct output *output, const struct weir_member *row)
{
    int err = output_text(output, "actor %u: ", row->actor);
    if (err != 0) {
        return err;
    }
    switch (row->verdict) {
    case WEIR_VERDICT_DIVERGED:
        return output_text(output, "DIVERGED since %" PRIu64 " of actor %u\n", row->diverged_since,
                           row->diverged_actor);
    case WEIR_VERDICT_EQUAL:
        return output_text(output, "equal\n");
    case WEIR_VERDICT_BEHIND:
        return output_text(output, "behind this node\n");
    case WEIR_VERDICT_AHEAD:
        return output_text(output, "ahead of this node\n");
    case WEIR_VERDICT_UNKNOWN:
        break;
    }
    return output_text(output, "%s\n",
                       row->is_self        ? "equal (this node)"
                       : row->is_connected ? "has not said yet what it holds"
                                           : "cannot be reached");
}

int cluster_print_verdicts(struct output *output, const struct cluster_table *table)
{
    struct weir_bytes text = table->status->text;
    int err = 0;
    for (size_t i = 0; err == 0 && i < table->members_count; i++) {
        const struct weir_member *row = &table->members[i];
        if (counts(row)) {
            err = print_verdict(output, row);
        }
        if (err == 0 && lag(row) > 0) {
            err =
                output_text(output, "this node is behind by up to %" PRIu64 " events of actor %u\n",
                            lag(row), row->actor);
        }
    }
    if (err == 0 && text.length > 0) {
        err = output_text(output, "%.*s\n", (int)text.length, (const char *)text.data);
    }
    return err;
}

// --- JSON --------------------------------------------------------------------------------------

static int append_number_or_null(struct output *output, const char *name, uint64_t number)
{
    return number > 0 ? output_text(output, "%s%" PRIu64, name, number)
                      : output_text(output, "%snull", name);
}

static int append_diverged(struct output *output, const struct weir_member *row)
{
    return row->verdict == WEIR_VERDICT_DIVERGED
               ? output_text(output, ",\"diverged\":{\"actor\":%u,\"since\":%" PRIu64 "}}",
                             row->diverged_actor, row->diverged_since)
               : output_text(output, ",\"diverged\":null}");
}

static int append_row(struct output *output, const struct weir_member *row)
{
    int err =
        output_text(output,
                    "{\"actor\":%u,\"node\":\"%s\",\"state\":\"%s\",\"is_self\":%s,"
                    "\"is_connected\":%s,\"is_source_direct\":%s",
                    row->actor, row->node, state_name(row->state), row->is_self ? "true" : "false",
                    row->is_connected ? "true" : "false", row->is_source_direct ? "true" : "false");
    err = err != 0 ? err : append_number_or_null(output, ",\"source\":", row->source);
    err = err != 0 ? err : status_append_field(&output->buffer, ",\"address\":", row->address);
    err = err != 0 ? err : status_append_field(&output->buffer, ",\"version\":", row->version);
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

static int append_rows(struct output *output, const struct cluster_table *table, bool has_all)
{
    bool is_first = true;
    int err = json_append(&output->buffer, ",\"members\":[");
    for (size_t i = 0; err == 0 && i < table->members_count; i++) {
        const struct weir_member *row = &table->members[i];
        if (has_all || counts(row)) {
            err = is_first ? 0 : json_append(&output->buffer, ",");
            err = err != 0 ? err : append_row(output, row);
            is_first = false;
        }
    }
    return err != 0 ? err : json_append(&output->buffer, "]");
}

static int append_alarms(struct buffer *out, const struct cluster_table *table)
{
    int err = json_append(out, ",\"alarms\":[");
    for (size_t i = 0; err == 0 && i < table->alarms_count; i++) {
        const struct weir_alarm *alarm = &table->alarms[i];
        err = status_append_field(out, i > 0 ? ",{\"code\":" : "{\"code\":", alarm->code);
        err = err != 0 ? err : status_append_field(out, ",\"text\":", alarm->text);
        err = err != 0 ? err : json_append(out, "}");
    }
    return err != 0 ? err : json_append(out, "]");
}

static int append_head(struct output *output, const struct weir_cluster_status *cluster)
{
    struct buffer *out = &output->buffer;
    int err = status_append_field(out, "{\"cluster\":{\"name\":", cluster->cluster_name);
    err = err != 0
              ? err
              : output_text(output, ",\"uuid\":\"%s\"},\"node\":{\"uuid\":\"%s\",\"actor\":%u}",
                            cluster->cluster, cluster->node, cluster->actor);
    err = err != 0 ? err : status_append_field(out, ",\"phase\":", cluster->phase);
    err = err != 0
              ? err
              : output_text(output, ",\"may_produce\":%s", cluster->may_produce ? "true" : "false");
    return err != 0 ? err : status_append_field(out, ",\"why_not\":", cluster->why_not);
}

int cluster_print_status_json(struct output *output, const struct cluster_table *table)
{
    const struct weir_cluster_status *cluster = table->status;
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
    err = err != 0 ? err : status_append_field(out, ",\"text\":", cluster->text);
    err = err != 0 ? err : append_rows(output, table, true);
    err = err != 0 ? err : append_alarms(out, table);
    return err != 0 ? err : json_append(out, "}\n");
}

int cluster_print_verdicts_json(struct output *output, const struct cluster_table *table)
{
    int err = output_text(output, "{\"equal\":%s", cluster_are_equal(table) ? "true" : "false");
    err = err != 0 ? err : status_append_field(&output->buffer, ",\"text\":", table->status->text);
    err = err != 0 ? err : append_rows(output, table, false);
    return err != 0 ? err : json_append(&output->buffer, "}\n");
}
