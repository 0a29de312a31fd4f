// One step: the event is taken apart, the files are called in turn, then those whose time has come,
// then what was left for the end: links that ended, the clock, alarms for the log.
//
// The list of actions is bounded. A call of a file's function pushes at most ACTIONS_PER_CALL; no
// event calls more functions than fit, and ticks are called only while there is room. What finds
// no room is due at once. A link that is dropped stays in the table until the end of the step, so
// that nobody's pointer dangles; `is_ended` keeps it from being used.

#include "replication/replica.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "replication/replica_state.h"

static_assert(9 * ACTIONS_PER_CALL + ACTIONS_RESERVED <= REPLICA_ACTIONS_MAX,
              "every function that an event concerns may push");

// --- Life --------------------------------------------------------------------------------------

static int files_new(struct replica *replica)
{
    static int (*const news[])(struct replica *) = {
        links_new,   notes_new,    sources_new,  promises_new, counters_new,
        joining_new, starting_new, retiring_new, forking_new,
    };
    for (size_t i = 0; i < sizeof news / sizeof *news; i++) {
        int err = news[i](replica);
        if (err) {
            return err;
        }
    }
    return 0;
}

int replica_new(const struct replica_config *config, struct replica **replica_out)
{
    assert(config->peers_count <= PEER_ADDRESSES_MAX);
    struct replica *replica = calloc(1, sizeof *replica);
    if (!replica) {
        return ERR_MEMORY;
    }
    replica->config = *config;
    for (uint32_t i = 0; i < config->peers_count; i++) {
        replica->peers[i] = config->peers[i];
    }
    replica->config.peers = replica->peers;
    replica->config.heads = NULL;
    replica->now = config->now;
    random_init(&replica->random, config->seed);
    replica->cluster = config->cluster;
    memcpy(replica->cluster_name, config->cluster_name, sizeof replica->cluster_name);
    replica->actor = config->actor;
    replica->clock = config->clock;
    int err = 0;
    for (uint32_t i = 0; err == 0 && i < config->heads_count; i++) {
        const struct strand_head *head = &config->heads[i];
        err = strands_set(&replica->held, &replica->hashes, &replica->hashes_capacity, head->actor,
                          head->last, &head->hash);
    }
    err = err ? err : files_new(replica);
    if (err) {
        replica_free(replica);
        return err;
    }
    *replica_out = replica;
    return 0;
}

void replica_free(struct replica *replica)
{
    if (!replica) {
        return;
    }
    links_free(replica);
    notes_free(replica);
    sources_free(replica);
    promises_free(replica);
    counters_free(replica);
    joining_free(replica);
    starting_free(replica);
    retiring_free(replica);
    forking_free(replica);
    membership_deinit(&replica->members);
    version_vector_deinit(&replica->held);
    free(replica->hashes);
    arena_free(replica);
    free(replica);
}

// --- Events ------------------------------------------------------------------------------------

static void on_record(struct replica *replica, const struct replica_record *record)
{
    joining_record(replica, record->key, record->value);
    starting_record(replica, record->key, record->value);
    retiring_record(replica, record->key, record->value);
    forking_record(replica, record->key, record->value);
    promises_record(replica, record->key, record->value);
}

static int on_member_event(struct replica *replica, const struct member_event *event)
{
    int outcome = membership_apply(&replica->members, event);
    if (outcome < 0) {
        return outcome;
    }
    joining_member_event(replica, event);
    retiring_member_event(replica, event);
    forking_member_event(replica, event);
    links_membership_changed(replica);
    promises_membership_changed(replica);
    return 0;
}

static void on_start(struct replica *replica)
{
    replica->has_started = true;
    joining_start(replica);
    starting_start(replica);
    links_start(replica);
    promises_membership_changed(replica);
}

static void on_link_up(struct replica *replica, const struct replica_link_up *up)
{
    struct link *link = links_up(replica, up);
    if (!link) {
        return;
    }
    if (!starting_link_up(replica, link, up->hello)) {
        push_drop(replica, link->id, REFUSAL_DUPLICATE,
                  "this start of the node has been succeeded");
        return;
    }
    links_accepted(replica, link);
    if (link->is_ended) {
        return;
    }
    joining_link_up(replica, link, up->hello);
    notes_link_up(replica, link);
    promises_link_up(replica, link);
    sources_noted(replica, link);
}

static void on_ask(struct replica *replica, struct link *link, const struct peer_ask *ask)
{
    struct peer_answer answer = {.token = ask->token, .actor = ask->actor};
    if (link->is_newcomer && ask->kind != ASK_ADMIT && ask->kind != ASK_JOINED) {
        answer.result = ANSWER_REFUSED;
        answer.text = bytes_of_text("only members may ask this");
        answer_send(replica, link, &answer);
        return;
    }
    switch (ask->kind) {
    case ASK_ADMIT:
    case ASK_CONSENT:
    case ASK_JOINED:
    case ASK_HOLDS:
        joining_ask(replica, link, ask);
        break;
    case ASK_HEAD: // with a counter: of a fork
        starting_ask(replica, link, ask);
        forking_ask(replica, link, ask);
        break;
    case ASK_FENCE:
    case ASK_RETIRE:
        retiring_ask(replica, link, ask);
        break;
    case ASK_NOTE:
        notes_send_whole(replica, link);
        answer_send(replica, link, &answer);
        break;
    case ASK_CHUNK: // the driver's
        break;
    }
}

static void on_answer(struct replica *replica, struct link *link, const struct peer_answer *answer)
{
    struct ask *found = ask_find(replica, link->id, answer->token);
    if (!found) {
        return;
    }
    struct ask ask = *found;
    switch (ask.kind) {
    case ASK_ADMIT:
    case ASK_CONSENT:
    case ASK_JOINED:
    case ASK_HOLDS:
        joining_answer(replica, link, &ask, answer);
        break;
    case ASK_HEAD: // with a counter: of a fork
        starting_answer(replica, link, &ask, answer);
        forking_answer(replica, link, &ask, answer);
        break;
    case ASK_FENCE:
    case ASK_RETIRE:
        retiring_answer(replica, link, &ask, answer);
        break;
    case ASK_NOTE:
        verifying_answer(replica, link, &ask);
        break;
    case ASK_CHUNK:
        break;
    }
    if (found->token == ask.token) {
        ask_free(found);
    }
}

static void on_message(struct replica *replica, link_id id, const struct peer_message *message)
{
    struct link *link = link_find(replica, id);
    if (!link || link->is_ended) {
        return; // late, of a connection that was given up
    }
    link->heard = replica->now;
    switch (message->kind) {
    case PEER_NOTE:
        notes_received(replica, link, &message->note);
        return;
    case PEER_PROMISES:
        if (!link->is_newcomer) {
            promises_received(replica, link, &message->promises);
        }
        return;
    case PEER_MEMBERS:
        if (!link->is_newcomer) {
            links_members(replica, link, &message->members);
            starting_members(replica, link, &message->members);
        }
        return;
    case PEER_CREDIT:
        if (!link->is_newcomer) {
            notes_credit(replica, link, &message->credit);
        }
        return;
    case PEER_ASK:
        on_ask(replica, link, &message->ask);
        return;
    case PEER_ANSWER:
        on_answer(replica, link, &message->answer);
        return;
    case PEER_HELLO: // the rest is the driver's
    case PEER_PROOF:
    case PEER_PULL:
    case PEER_UNPULL:
    case PEER_CHUNKS:
    case PEER_HEARTBEAT:
    case PEER_REFUSE:
    case PEER_FORWARD:
    case PEER_FORWARDED:
    case PEER_FORWARD_END:
        return;
    }
}

static void on_applied(struct replica *replica, const struct replica_applied *applied)
{
    struct link *link = link_find(replica, applied->link);
    if (link) {
        link->heard = replica->now;
        link->chunks_heard = replica->now;
    }
    if (applied->outcome == APPLIED) {
        replica->counts.events_applied += applied->events;
    } else if (applied->outcome == APPLIED_DUPLICATE) {
        replica->counts.events_duplicate += applied->events;
    } else if (applied->outcome == APPLIED_FORK) {
        forking_applied(replica, applied);
    }
    sources_applied(replica, applied);
}

static int on_committed(struct replica *replica, const struct replica_committed *committed)
{
    for (uint32_t i = 0; i < committed->count; i++) {
        const struct strand_head *head = &committed->heads[i];
        int err = strands_set(&replica->held, &replica->hashes, &replica->hashes_capacity,
                              head->actor, head->last, &head->hash);
        if (err) {
            return err; // given again: what is set already is set to the same
        }
    }
    if (committed->clock > replica->clock) {
        replica->clock = committed->clock;
    }
    promises_committed(replica, committed);
    notes_committed(replica);
    starting_committed(replica);
    retiring_committed(replica);
    sources_committed(replica, committed);
    return 0;
}

static void on_command(struct replica *replica, const struct replica_command *command)
{
    switch (command->kind) {
    case COMMAND_RETIRE:
    case COMMAND_LEAVE:
        retiring_command(replica, command);
        return;
    case COMMAND_VERIFY:
    case COMMAND_RESCUE:
    case COMMAND_LOST:
    case COMMAND_FORGIVE:
        forking_command(replica, command);
        return;
    }
}

static int dispatch(struct replica *replica, const struct replica_event *event)
{
    switch (event->kind) {
    case REPLICA_RECORD_FOUND:
        on_record(replica, &event->record);
        return 0;
    case REPLICA_MEMBER_EVENT:
        return on_member_event(replica, &event->member);
    case REPLICA_START:
        on_start(replica);
        return 0;
    case REPLICA_TICK:
        return 0;
    case REPLICA_LINK_UP:
        on_link_up(replica, &event->link_up);
        return 0;
    case REPLICA_LINK_DOWN:
        links_down(replica, &event->link_down);
        return 0;
    case REPLICA_MESSAGE:
        on_message(replica, event->message.link, event->message.message);
        return 0;
    case REPLICA_APPLIED:
        on_applied(replica, &event->applied);
        return 0;
    case REPLICA_COMMITTED:
        return on_committed(replica, &event->committed);
    case REPLICA_PROMISED:
        promises_made(replica, &event->promised);
        retiring_promised(replica);
        return 0;
    case REPLICA_SAVED:
        joining_saved(replica, event->saved.key);
        retiring_saved(replica, event->saved.key);
        return 0;
    case REPLICA_BECAME:
        joining_became(replica);
        starting_became(replica);
        retiring_became(replica);
        forking_became(replica);
        links_became(replica);
        promises_membership_changed(replica);
        return 0;
    case REPLICA_KEPT:
        joining_kept(replica);
        return 0;
    case REPLICA_RAISED:
        if (event->raised > replica->clock) {
            replica->clock = event->raised;
        }
        promises_clock_raised(replica);
        return 0;
    case REPLICA_FOUND:
        forking_found(replica, &event->found);
        return 0;
    case REPLICA_REISSUED:
        forking_reissued(replica);
        return 0;
    case REPLICA_COMMAND:
        on_command(replica, &event->command);
        return 0;
    case REPLICA_WANTS:
        replica->wants = event->wants;
        notes_committed(replica);
        promises_clock_raised(replica);
        return 0;
    }
    return 0;
}

// --- A step ------------------------------------------------------------------------------------

struct file_clock {
    void (*tick)(struct replica *replica);
    struct instant (*deadline)(const struct replica *replica);
};

static const struct file_clock clocks[] = {
    {links_tick, links_deadline},       {joining_tick, joining_deadline},
    {starting_tick, starting_deadline}, {retiring_tick, retiring_deadline},
    {forking_tick, forking_deadline},   {notes_tick, notes_deadline},
    {promises_tick, promises_deadline}, {sources_tick, sources_deadline},
};

static void tick(struct replica *replica)
{
    for (size_t i = 0; replica->has_started && i < sizeof clocks / sizeof *clocks; i++) {
        if (!instant_reached(clocks[i].deadline(replica), replica->now)) {
            continue;
        }
        if (!has_room(replica)) {
            replica->is_unfinished = true;
            return;
        }
        clocks[i].tick(replica);
    }
}

// Links that ended, by whatever cause: everybody is told while they are still there.
static void sweep(struct replica *replica)
{
    for (uint32_t i = 0; i < replica->links_count;) {
        struct link *link = &replica->links[i];
        if (!link->is_ended) {
            i++;
            continue;
        }
        uint32_t room = REPLICA_ACTIONS_MAX - ACTIONS_RESERVED - replica->actions->count;
        if (replica->actions->count > REPLICA_ACTIONS_MAX - ACTIONS_RESERVED ||
            room < 4 * ACTIONS_PER_CALL) {
            replica->is_unfinished = true;
            return;
        }
        sources_link_down(replica, link->id);
        joining_link_down(replica, link);
        starting_link_down(replica, link);
        retiring_link_down(replica, link);
        forking_link_down(replica, link);
        for (uint32_t k = 0; k < ASKS_MAX; k++) {
            if (replica->asks[k].link == link->id) {
                ask_free(&replica->asks[k]);
            }
        }
        links_remove(replica, link);
    }
}

static void finish(struct replica *replica)
{
    sweep(replica);
    if (replica->raise_to > 0) {
        push(replica, REPLICA_RAISE_CLOCK)->counter = replica->raise_to;
        replica->raise_to = 0;
    }
    for (uint32_t i = 0; i < replica->alarms_count; i++) {
        struct alarm *alarm = &replica->alarms[i];
        if (alarm->is_said) {
            continue;
        }
        if (replica->actions->count == REPLICA_ACTIONS_MAX) {
            replica->is_unfinished = true;
            return;
        }
        push_report(replica, SEVERITY_ERROR, "%s: %s", alarm->code, alarm->text.text);
        alarm->is_said = true;
    }
}

int replica_step(struct replica *replica, const struct replica_event *event,
                 struct replica_actions *actions)
{
    actions->count = 0;
    arena_reset(replica);
    replica->now = event->now;
    replica->actions = actions;
    replica->is_unfinished = false;
    int err = dispatch(replica, event);
    if (err == 0) {
        tick(replica);
        finish(replica);
    } else {
        actions->count = 0;
        replica->is_unfinished = true;
    }
    replica->actions = NULL;
    return err;
}

struct instant replica_deadline(const struct replica *replica)
{
    if (!replica->has_started) {
        return INSTANT_NEVER;
    }
    struct instant due = replica->is_unfinished ? replica->now : INSTANT_NEVER;
    for (size_t i = 0; i < sizeof clocks / sizeof *clocks; i++) {
        due = instant_earlier(due, clocks[i].deadline(replica));
    }
    return due;
}
