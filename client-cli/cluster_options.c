// One table says of each action what it needs, so that nothing is sent that makes no sense.

#include "client-cli/cluster_options.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "client-cli/parse.h"
#include "proto/base/limits.h"

enum { OPTION_OUTPUT = 0x200, OPTION_FORCE, OPTION_YES, OPTION_WAIT };

static const struct action {
    const char *name;
    enum weir_cluster_kind kind;
    uint32_t words; // behind it: actor, range
    bool is_dangerous;
} actions[] = {
    {"status", WEIR_CLUSTER_STATUS, 0, false},   {"verify", WEIR_CLUSTER_VERIFY, 0, false},
    {"retire", WEIR_CLUSTER_RETIRE, 1, true},    {"leave", WEIR_CLUSTER_LEAVE, 0, true},
    {"rescue", WEIR_CLUSTER_RESCUE, 0, true},    {"lost", WEIR_CLUSTER_LOST, 2, true},
    {"forgive", WEIR_CLUSTER_FORGIVE, 1, false},
};

static const struct argp_option option_table[] = {
    {"wait", OPTION_WAIT, "DURATION", 0, "verify: ask again until all are equal, so long at most",
     0},
    {"force", OPTION_FORCE, NULL, 0,
     "retire: without the members that cannot be asked; what only they hold may come late", 0},
    {"yes", OPTION_YES, NULL, 0,
     "retire, leave, rescue, lost: do it without being asked on a terminal", 0},
    {"output", OPTION_OUTPUT, "FORMAT", 0, "human or json (default: human)", 1},
    {0},
};

static const struct action *action_of(const struct cluster_options *options)
{
    for (size_t i = 0; options->action && i < sizeof actions / sizeof actions[0]; i++) {
        if (strcmp(actions[i].name, options->action) == 0) {
            return &actions[i];
        }
    }
    return NULL;
}

static void set_action(struct cluster_options *options, char *text, struct argp_state *state)
{
    options->action = text;
    const struct action *action = action_of(options);
    if (!action) {
        argp_error(state,
                   "'%s' is not an action: status, verify, retire, leave, rescue, lost or forgive",
                   text);
        return;
    }
    options->request.kind = action->kind;
    options->is_dangerous = action->is_dangerous;
}

// "5..9", or "5" for one.
static bool parse_range(const char *text, uint64_t *first_out, uint64_t *last_out)
{
    char first[24];
    const char *dots = strstr(text, "..");
    size_t length = dots ? (size_t)(dots - text) : strlen(text);
    if (length >= sizeof first) {
        return false;
    }
    memcpy(first, text, length);
    first[length] = '\0';
    return parse_number(first, 1, COUNTER_MAX, first_out) &&
           parse_number(dots ? dots + 2 : first, *first_out, COUNTER_MAX, last_out);
}

static void set_word(struct cluster_options *options, char *text, struct argp_state *state)
{
    struct weir_cluster_action *request = &options->request;
    const struct action *action = action_of(options);
    if (!action) {
        set_action(options, text, state);
        return;
    }
    if (options->words == action->words) {
        argp_error(state, "'%s' is too much for %s", text, action->name);
    }
    uint64_t actor;
    if (options->words == 0) {
        if (!parse_number(text, 1, ACTORS_MAX, &actor)) {
            argp_error(state, "'%s' is not an actor: a number from 1 to %d", text, ACTORS_MAX);
        }
        request->actor = (uint16_t)actor;
    } else if (!parse_range(text, &request->first, &request->last)) {
        argp_error(state, "'%s' is not a range of the actor's events: FIRST..LAST", text);
    }
    options->words++;
}

static void check_together(const struct cluster_options *options, struct argp_state *state)
{
    const struct action *action = action_of(options);
    if (!action) {
        return;
    }
    if (options->words < action->words) {
        argp_error(state,
                   options->words == 0 ? "%s: the actor is missing"
                                       : "%s: the range is missing: FIRST..LAST",
                   action->name);
    }
    if (options->request.is_forced && action->kind != WEIR_CLUSTER_RETIRE) {
        argp_error(state, "--force is for retire, not for %s", action->name);
    }
    if (options->waits && action->kind != WEIR_CLUSTER_VERIFY) {
        argp_error(state, "--wait is for verify, not for %s", action->name);
    }
    if (options->is_sure && !action->is_dangerous) {
        argp_error(state, "--yes is not for %s, which does no harm", action->name);
    }
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct cluster_options *options = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = options->connection;
        return 0;
    case OPTION_WAIT:
        options->waits = true;
        if (!parse_duration_ms(argument, &options->wait_ms) || options->wait_ms > INT32_MAX) {
            argp_error(state, "--wait: '%s' is not a duration (500ms, 20s, 1m)", argument);
        }
        return 0;
    case OPTION_FORCE:
        options->request.is_forced = true;
        return 0;
    case OPTION_YES:
        options->is_sure = true;
        return 0;
    case OPTION_OUTPUT:
        if (!format_parse(argument, false, &options->format)) {
            argp_error(state, "'%s' is not an output: human or json", argument);
        }
        return 0;
    case ARGP_KEY_ARG:
        set_word(options, argument, state);
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "what to do is missing: status, verify, retire, leave, rescue, lost or "
                          "forgive");
        return 0;
    case ARGP_KEY_END:
        check_together(options, state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_child children[] = {{&connection_options_argp, 0, NULL, 0}, {0}};

const struct argp cluster_argp = {
    .options = option_table,
    .parser = parse,
    .args_doc = "status\n"
                "verify [--wait DURATION]\n"
                "retire ACTOR [--force] [--yes]\n"
                "leave [--yes]\n"
                "rescue [--yes]\n"
                "lost ACTOR FIRST..LAST [--yes]\n"
                "forgive ACTOR",
    .doc = "See how a cluster is, and decide what no program may decide.\v"
           "status   members, links, who is how far behind, the frontier, alarms\n"
           "verify   whether all members hold the same; exit status 6 if not\n"
           "retire   an actor that is gone for good: nobody waits for it any more\n"
           "leave    take this node out of its cluster, in order\n"
           "rescue   this node, whose strand forked or was copied, goes on as a new actor\n"
           "lost     no copy is left of these events anywhere: pass over them\n"
           "forgive  take in an actor again whose counter came from nowhere\n\n"
           "Examples:\n"
           "  weir cluster status\n"
           "  weir cluster verify --wait 30s\n"
           "  weir -H a cluster retire 3\n"
           "  weir cluster status --output json | jq '.alarms[]'",
    .children = children,
};

void cluster_options_question(const struct cluster_options *options,
                              char out[CLUSTER_QUESTION_LENGTH])
{
    const struct weir_cluster_action *request = &options->request;
    out[0] = '\0';
    switch (request->kind) {
    case WEIR_CLUSTER_RETIRE:
        snprintf(out, CLUSTER_QUESTION_LENGTH,
                 "Actor %u will never produce again, and events that only it holds are lost%s. "
                 "Retire it?",
                 request->actor,
                 request->is_forced ? "; what only members that are away hold may come late" : "");
        break;
    case WEIR_CLUSTER_LEAVE:
        snprintf(out, CLUSTER_QUESTION_LENGTH,
                 "This node stops producing, its actor is retired, and it cannot come back with "
                 "this data. Leave the cluster?");
        break;
    case WEIR_CLUSTER_RESCUE:
        snprintf(out, CLUSTER_QUESTION_LENGTH,
                 "This node gives up its actor and goes on under a new one; what only its branch "
                 "has is produced again there. Rescue it?");
        break;
    case WEIR_CLUSTER_LOST:
        snprintf(out, CLUSTER_QUESTION_LENGTH,
                 "Events %" PRIu64 " to %" PRIu64 " of actor %u are passed over on every node, "
                 "also if a copy turns up. Give them up?",
                 request->first, request->last, request->actor);
        break;
    case WEIR_CLUSTER_STATUS:
    case WEIR_CLUSTER_VERIFY:
    case WEIR_CLUSTER_FORGIVE:
        break;
    }
}
