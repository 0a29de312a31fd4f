// Each delivery is judged when it comes, by what the coordinator must have known when it handed it
// out: so nothing is said of what was under way, or of a process that stood still meanwhile.
#include <inttypes.h>
#include <stdio.h>

#include "tests/simulation/group_consumer.h"
#include "tests/simulation/ledger.h"
#include "tests/simulation/machine.h"
#include "tests/simulation/memory.h"

#define GRACE_NS ((int64_t)1500000000)
#define KNOWN_NS ((int64_t)50000000)         // what the log holds its node knows so much later
#define FORWARDED_NS ((int64_t)3000000000)   // a link is dead before what it carries is so late
#define IDLE_NS ((int64_t)9000000000)        // a group without consumers is let go a little later
#define BEHIND_END_NS ((int64_t)10000000000) // what was sent before an end may be read so late

static int64_t now_of(const struct ledger *ledger)
{
    return ledger->world->schedule.now.ns;
}

// --- Coordinators ------------------------------------------------------------------------------

// The group that this machine hosts now; 0: it may be one or another.
static uint64_t epoch_of(struct ledger *ledger, unsigned coordinator)
{
    if (coordinator == COORDINATOR_UNKNOWN) {
        return 0;
    }
    struct ledger_view *view = &ledger->views[coordinator];
    const struct machine *machine = ledger->world->machines[coordinator];
    if (view->life != machine->life || view->epoch == 0) {
        view->life = machine->life;
        view->epoch = ++ledger->epoch;
        view->attached = 0;
    }
    int64_t changed_ns = view->changed_ns;
    if (machine->frozen_until.ns > changed_ns && changed_ns > 0) {
        changed_ns = machine->frozen_until.ns;
    }
    return changed_ns > 0 && changed_ns + GRACE_NS > now_of(ledger) ? 0 : view->epoch;
}

uint64_t ledger_attached(struct ledger *ledger, unsigned coordinator)
{
    if (coordinator != COORDINATOR_UNKNOWN) {
        struct ledger_view *view = &ledger->views[coordinator];
        (void)epoch_of(ledger, coordinator);
        if (view->attached == 0 && now_of(ledger) - view->idle_ns > IDLE_NS) {
            view->epoch = ++ledger->epoch;
        }
        view->attached++;
    }
    return ++ledger->attachment;
}

// Answers overtake the mark MOVED, and a connection may end before it: what was answered shortly
// before may have been done by the next coordinator already, not by this one.
static void doubt_answers(struct ledger *ledger, unsigned machine, uint64_t attachment)
{
    for (uint32_t actor = 0; actor < ledger->actors; actor++) {
        for (uint32_t i = 0; i < ledger->items_capacity[actor]; i++) {
            struct ledger_item *item = &ledger->items[actor][i];
            if (item->acked_for == attachment &&
                (now_of(ledger) < item->acked_ns + GRACE_NS ||
                 ledger_is_disturbed(ledger->world, machine, item->acked_ns))) {
                item->acked_epoch = 0;
            }
        }
    }
}

void ledger_detached(struct ledger *ledger, unsigned coordinator, unsigned machine,
                     uint64_t attachment)
{
    doubt_answers(ledger, machine, attachment);
    if (coordinator != COORDINATOR_UNKNOWN) {
        struct ledger_view *view = &ledger->views[coordinator];
        view->attached -= view->attached > 0;
        view->idle_ns = now_of(ledger);
    }
}

static bool was_held_up(const struct ledger *ledger, const struct ledger_delivery *delivery,
                        int64_t since_ns)
{
    return ledger_was_held_up(ledger->world, (unsigned)delivery->coordinator, delivery->machine,
                              since_ns);
}

// Whether what it did since then may have come late.
static bool is_late(const struct ledger *ledger, const struct ledger_delivery *delivery,
                    int64_t since_ns)
{
    return now_of(ledger) < since_ns + GRACE_NS || was_held_up(ledger, delivery, since_ns);
}

// --- What is given -----------------------------------------------------------------------------

static bool is_same(const struct history_event *known, const struct ledger_delivery *delivery)
{
    return known->name != NAME_SYSTEM && delivery->data.length >= EVENT_MARK_LENGTH &&
           load_be64(delivery->data.data) == known->produce &&
           load_be32((const uint8_t *)delivery->data.data + 8) == known->place &&
           bytes_equal(delivery->name, bytes_of_text(HISTORY_NAMES[known->name]));
}

static void complain(struct ledger *ledger, const struct ledger_delivery *delivery,
                     const char *check, const char *what)
{
    world_violation(ledger->world, check,
                    "consumer %u of %s at machine %u gets event %" PRIu64
                    ".%u (attempt %u, coordinator %d), %s",
                    delivery->consumer, ledger->name, delivery->machine, delivery->id.counter,
                    delivery->id.actor, delivery->attempt, (int)delivery->coordinator, what);
}

// It is in the log, and wanted.
static bool judge_event(struct ledger *ledger, const struct ledger_delivery *delivery,
                        struct ledger_place *place_out)
{
    if (!ledger_find(ledger, delivery->id, place_out)) {
        complain(ledger, delivery, "groups", "which nobody issued");
        return false;
    }
    const struct history_event *event =
        &history_strand(&ledger->world->history, place_out->actor)->events[place_out->index];
    if (!ledger_matches(ledger, event)) {
        complain(ledger, delivery, "groups", "which does not match");
    } else if (!is_same(event, delivery)) {
        complain(ledger, delivery, "identity", "which is not what was issued");
    }
    return ledger_matches(ledger, event);
}

// What was acknowledged comes again only from who could not know of it.
static void judge_again(struct ledger *ledger, const struct ledger_delivery *delivery,
                        const struct ledger_item *item, uint64_t epoch)
{
    int64_t before_ns = now_of(ledger) - GRACE_NS;
    if (before_ns < delivery->asked_ns - KNOWN_NS) {
        before_ns = delivery->asked_ns - KNOWN_NS; // all it gets was handed out later
    }
    if (epoch != 0 && item->acked_epoch == epoch && !is_late(ledger, delivery, item->acked_ns)) {
        complain(ledger, delivery, "repeats",
                 "which was acknowledged at that coordinator, without any change");
        return;
    }
    if (delivery->coordinator == COORDINATOR_UNKNOWN || was_held_up(ledger, delivery, before_ns)) {
        return;
    }
    const struct ledger_record *now = ledger_generation(ledger, delivery->coordinator, INT64_MAX);
    const struct ledger_record *before =
        ledger_generation(ledger, delivery->coordinator, before_ns);
    if (!now || now != before) {
        return;
    }
    if (version_vector_covers(&now->position.vector, delivery->id)) {
        complain(ledger, delivery, "groups", "which is before the start");
    } else if (item->counts_until_ns > 0 &&
               ledger_is_covered(ledger, delivery->coordinator, now->id, delivery->id, before_ns)) {
        complain(ledger, delivery, "repeats",
                 "which a checkpoint that the coordinator holds says is done");
    }
}

bool ledger_may_be_done(const struct ledger_item *item)
{
    return item->parked_ns > 0 || item->unknown > 0 ||
           (item->counts_until_ns > 0 && item->counts_until_ns + GRACE_NS > item->given_ns);
}

bool ledger_may_be_refused(const struct ledger_item *item)
{
    return item->nacked_ns > 0 && item->nacked_ns + GRACE_NS > item->given_ns;
}

// Attempts may have been made of which its consumers know nothing: what a link had taken that died,
// or a connection. It was parked then, or comes again.
static bool may_have_gone_unseen(const struct ledger *ledger, const struct ledger_item *item)
{
    const struct group_consumer *holder = ledger->consumers[item->holder];
    return ledger->definition.attempts > 0 &&
           (item->nacked_ns > item->given_ns || now_of(ledger) > item->given_ns + GRACE_NS ||
            group_consumer_attachment(holder) != item->attachment);
}

// Of one key nothing is handed out for the first time to one consumer while another has something
// of it, or something of it is to come again; but for what was done at another coordinator.
static void judge_owner(struct ledger *ledger, const struct ledger_delivery *delivery,
                        const struct ledger_item *item, uint64_t epoch)
{
    uint32_t attempts = ledger->definition.attempts;
    bool is_forwarded = delivery->coordinator != delivery->machine;
    int64_t until_ns = now_of(ledger) - (is_forwarded ? FORWARDED_NS : 0);
    const struct ledger_record *generation =
        ledger_generation(ledger, delivery->coordinator, INT64_MAX);
    for (uint32_t i = 0; i < ledger->open_count; i++) {
        struct ledger_item *other = ledger_item(ledger, ledger->open[i]);
        bool may_be_parked = attempts > 0 && other->attempt >= attempts;
        if (other != item && other->given_ns <= until_ns && !may_be_parked &&
            other->key == item->key && other->epoch == epoch &&
            other->attachment != delivery->attachment && !ledger_may_be_done(other) &&
            (!generation || other->counts_until_ns < generation->at_ns)) {
            if (may_have_gone_unseen(ledger, other)) {
                other->overtaken_epoch = epoch;
                other->overtaken_ns = now_of(ledger);
                continue;
            }
            struct event_id id = ledger_id(ledger, ledger->open[i]);
            char what[160];
            snprintf(what, sizeof what,
                     "while %" PRIu64 ".%u of the same key, given to consumer %u at %.6f s "
                     "(attempt %u), is not done",
                     id.counter, id.actor, other->holder, (double)other->given_ns / 1e9,
                     other->attempt);
            complain(ledger, delivery, "key", what);
            return;
        }
    }
}

// What was overtaken is parked, and does not come again.
static void judge_overtaken(struct ledger *ledger, const struct ledger_delivery *delivery,
                            struct ledger_item *item, uint64_t epoch)
{
    bool is_forwarded = delivery->coordinator != delivery->machine;
    int64_t since_ns = item->overtaken_ns;
    if (epoch != 0 && item->overtaken_epoch == epoch &&
        now_of(ledger) > since_ns + (is_forwarded ? FORWARDED_NS : 0) &&
        !ledger_is_disturbed(ledger->world, delivery->machine, since_ns)) {
        char what[120];
        snprintf(what, sizeof what,
                 "when one of the same key was given to another consumer at %.6f s before it",
                 (double)since_ns / 1e9);
        complain(ledger, delivery, "key", what);
    }
    item->overtaken_epoch = 0;
}

// It was done by what another consumer said while it was under way, and so did not hold its key
// when a later one was handed out.
static bool is_overtaken_when_done(const struct ledger *ledger,
                                   const struct ledger_delivery *delivery,
                                   const struct ledger_item *item, int64_t later_ns)
{
    return ledger_may_be_done(item) && was_held_up(ledger, delivery, later_ns);
}

static void judge_order(struct ledger *ledger, const struct ledger_delivery *delivery,
                        const struct ledger_item *item, uint64_t epoch)
{
    struct ledger_view *view = &ledger->views[delivery->coordinator];
    if (view->first_epoch != epoch) {
        memset(view->first_last, 0, sizeof view->first_last);
        memset(view->first_by_actor, 0, sizeof view->first_by_actor);
        view->first_epoch = epoch;
    }
    struct event_id *last = &view->first_last[item->key];
    uint16_t actor = delivery->id.actor;
    uint64_t *last_of_actor =
        actor < LEDGER_ACTORS_MAX ? &view->first_by_actor[item->key][actor] : NULL;
    bool is_behind = last_of_actor && delivery->id.counter < *last_of_actor;
    if (is_behind ||
        (ledger->definition.is_stable_order && event_id_compare(delivery->id, *last) < 0)) {
        int64_t later_ns =
            is_behind ? view->first_by_actor_ns[item->key][actor] : view->first_ns[item->key];
        if (is_overtaken_when_done(ledger, delivery, item, later_ns)) {
            return;
        }
        char what[160];
        snprintf(what, sizeof what,
                 "behind a later one of the same key: %" PRIu64 ".%u, %" PRIu64 " of its actor",
                 last->counter, last->actor, last_of_actor ? *last_of_actor : 0);
        complain(ledger, delivery, "key", what);
    }
    *last = delivery->id;
    view->first_ns[item->key] = now_of(ledger);
    if (last_of_actor) {
        *last_of_actor = delivery->id.counter;
        view->first_by_actor_ns[item->key][actor] = now_of(ledger);
    }
}

static void note_open(struct ledger *ledger, struct ledger_item *item, struct ledger_place place)
{
    if (item->place == 0) {
        ledger->open = memory_grow(ledger->open, &ledger->open_capacity, ledger->open_count + 1,
                                   sizeof *ledger->open);
        ledger->open[ledger->open_count++] = place;
        item->place = ledger->open_count;
    }
}

static void note_closed(struct ledger *ledger, struct ledger_item *item)
{
    if (item->place > 0) {
        struct ledger_place moved = ledger->open[--ledger->open_count];
        ledger->open[item->place - 1] = moved;
        ledger_item(ledger, moved)->place = item->place;
        item->place = 0;
    }
}

// It was handed out before the coordinator's last start, or before the reset or creation that holds
// there now: it is before that one's start, or comes to who was attached before and has not heard
// of the mark MOVED yet. It is nothing of the group that there is.
static bool is_of_earlier(const struct ledger *ledger, const struct ledger_delivery *delivery)
{
    if (delivery->coordinator == COORDINATOR_UNKNOWN) {
        return false;
    }
    if (ledger->world->machines[delivery->coordinator]->life != delivery->life) {
        return true;
    }
    const struct ledger_record *generation =
        ledger_generation(ledger, delivery->coordinator, INT64_MAX);
    return generation && (version_vector_covers(&generation->position.vector, delivery->id) ||
                          generation->held_ns[delivery->coordinator] > delivery->attached_ns);
}

bool ledger_give(struct ledger *ledger, const struct ledger_delivery *delivery,
                 struct ledger_place *place_out)
{
    struct world *world = ledger->world;
    uint32_t attempts = ledger->definition.attempts;
    if (!judge_event(ledger, delivery, place_out)) {
        return false;
    }
    struct ledger_item *item = ledger_item(ledger, *place_out);
    uint64_t epoch = epoch_of(ledger, delivery->coordinator);
    if (delivery->attempt == 0 || (attempts > 0 && delivery->attempt > attempts)) {
        complain(ledger, delivery, "groups", "more often than it may be handed out");
    } else if (item->attachment == delivery->attachment && delivery->attempt <= item->attempt) {
        complain(ledger, delivery, "groups", "with an attempt that it has had already");
    }
    bool is_outdated = epoch != 0 && item->epoch == epoch && delivery->attempt <= item->attempt;
    if (!is_outdated) {
        judge_again(ledger, delivery, item, epoch);
        epoch = is_of_earlier(ledger, delivery) ? 0 : epoch;
        judge_overtaken(ledger, delivery, item, epoch);
        if (ledger->definition.key != GROUP_KEY_NONE && delivery->attempt == 1 && epoch != 0) {
            judge_owner(ledger, delivery, item, epoch);
            judge_order(ledger, delivery, item, epoch);
        }
        item->epoch = epoch;
        item->given_ns = now_of(ledger);
        item->holder = delivery->consumer;
        item->attempt = delivery->attempt;
        item->attachment = delivery->attachment;
        note_open(ledger, item, *place_out);
    }
    ledger->given++;
    return !world->violation.check;
}

// --- What is said ------------------------------------------------------------------------------

void ledger_ack(struct ledger *ledger, struct ledger_place place)
{
    struct ledger_item *item = ledger_item(ledger, place);
    item->unknown++;
    note_closed(ledger, item);
}

static struct ledger_item *take_answer(struct ledger *ledger, struct ledger_place place,
                                       int64_t counts_until_ns)
{
    struct ledger_item *item = ledger_item(ledger, place);
    item->unknown--;
    if (item->counts_until_ns < counts_until_ns) {
        item->counts_until_ns = counts_until_ns;
    }
    return item;
}

void ledger_acked(struct ledger *ledger, struct ledger_place place, unsigned coordinator,
                  uint64_t counted_for)
{
    struct ledger_item *item = take_answer(ledger, place, now_of(ledger));
    uint64_t epoch = counted_for > 0 ? epoch_of(ledger, coordinator) : 0;
    if (epoch != 0) {
        item->acked_epoch = epoch;
        item->acked_ns = now_of(ledger);
        item->acked_for = counted_for;
    }
    ledger->acked++;
}

void ledger_not_acked(struct ledger *ledger, struct ledger_place place)
{
    take_answer(ledger, place, 0);
}

void ledger_ack_lost(struct ledger *ledger, struct ledger_place place)
{
    take_answer(ledger, place, now_of(ledger) + BEHIND_END_NS);
}

void ledger_nack(struct ledger *ledger, struct ledger_place place)
{
    ledger_item(ledger, place)->nacked_ns = now_of(ledger);
}

// --- What is written ---------------------------------------------------------------------------

void ledger_judge_checkpoint(struct ledger *ledger, const struct ledger_record *checkpoint)
{
    struct event_id undone;
    for (uint32_t i = 0; i < ledger->changes.count; i++) {
        const struct ledger_record *generation = &ledger->changes.items[i];
        if (event_id_compare(generation->id, checkpoint->generation) == 0 &&
            ledger_first_undone(ledger, generation, &checkpoint->position, &undone)) {
            world_violation(ledger->world, "ahead",
                            "checkpoint %" PRIu64 ".%u of %s says that event %" PRIu64
                            ".%u is done, which nobody acknowledged",
                            checkpoint->id.counter, checkpoint->id.actor, ledger->name,
                            undone.counter, undone.actor);
        }
    }
}

void ledger_judge_parked(struct ledger *ledger, struct event_id was, struct bytes attempts)
{
    struct ledger_place place;
    char expected[16];
    int length = snprintf(expected, sizeof expected, "%u", ledger->definition.attempts);
    if (!ledger_find(ledger, was, &place) ||
        !bytes_equal(attempts, bytes_of(expected, (size_t)length))) {
        world_violation(ledger->world, "groups",
                        "%s parks event %" PRIu64 ".%u after %.*s attempts, not %s", ledger->name,
                        was.counter, was.actor, (int)attempts.length,
                        attempts.length > 0 ? (const char *)attempts.data : "", expected);
        return;
    }
    ledger_item(ledger, place)->parked_ns = now_of(ledger);
}
