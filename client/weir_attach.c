// Attachments: what a program asks for and says of events, and what nodes say to it.
//
// What a node says of an attachment, but for its events, is taken past all that waits to be handed
// out, so that acknowledgements find their way while a program waits for them. It is told later,
// from the list `telling`. Events of a connection that is lost are not handed out any more: they
// come again.

#include <assert.h>

#include "client/weir_state.h"
#include "proto/base/limits.h"

enum { OUTPUT_AHEAD = 256 * 1024 };

// --- What the program says ---------------------------------------------------------------------

struct standing *weir_find_attachment(const struct weir *weir, uint64_t number)
{
    struct standing *walked = weir->walked; // whose events are being handed out: the usual case
    if (walked && walked->number == number && walked->attachment && !walked->is_over) {
        return walked;
    }
    LIST_FOR_EACH((struct list_node *)&weir->standings, node)
    {
        struct standing *standing = container_of(node, struct standing, node);
        if (standing->number == number) {
            return standing->attachment && !standing->is_over ? standing : NULL;
        }
    }
    return NULL;
}

int weir_attach(struct weir *weir, const struct weir_attach_options *options,
                uint64_t *attachment_out)
{
    struct reason reason = {0};
    struct standing *standing;
    int err = weir_may_stand(weir);
    if (err != 0) {
        return err;
    }
    err = standing_new_attached(options, weir->number_last + 1, &standing, &reason);
    if (err != 0) {
        return weir_refused(weir, err, &reason);
    }
    return weir_stand(weir, standing, attachment_out);
}

static void mark_sending(struct weir *weir, struct attachment *attachment)
{
    if (list_is_empty(&attachment->sending)) {
        list_append(&weir->sending, &attachment->sending);
    }
    weir->acks_due = weir->acks_due || attachment->acks.is_flushing;
}

static void mark_telling(struct weir *weir, struct attachment *attachment)
{
    if (list_is_empty(&attachment->telling)) {
        list_append(&weir->telling, &attachment->telling);
    }
}

int weir_detach(struct weir *weir, uint64_t number)
{
    struct standing *standing = weir_find_attachment(weir, number);
    if (!standing || standing->is_stopping) {
        return 0;
    }
    standing->is_stopping = true;
    mark_sending(weir, standing->attachment);
    if (!standing->core) {
        weir_note_ends(weir, standing);
    }
    return 0;
}

static bool is_event_id(struct weir_id id)
{
    return id.actor != 0 && id.counter != 0 && id.counter <= COUNTER_MAX;
}

// The attachment, and the id; 0, or the outcome of the call.
static int take_call(struct weir *weir, uint64_t number, struct weir_id id,
                     struct standing **standing_out, struct event_id *event_out)
{
    *standing_out = weir_find_attachment(weir, number);
    if (!*standing_out) {
        return WEIR_NOTHING;
    }
    if (!is_event_id(id)) {
        return reason_set(&weir->reason, ERR_INVALID, "zeros, or too much, is no event's id");
    }
    *event_out = (struct event_id){.counter = id.counter, .actor = id.actor};
    return 0;
}

// Something was said of the event: it is not acknowledged by itself any more.
static int end_call(struct weir *weir, struct standing *standing, struct event_id event, int err)
{
    if (err != 0) {
        return reason_set(&weir->reason, err, "%s",
                          err == ERR_BUSY ? "too many acknowledgements wait for their answers"
                                          : err_text(err));
    }
    if (weir->held == standing && event_id_compare(weir->held_id, event) == 0) {
        weir->held = NULL;
    }
    mark_sending(weir, standing->attachment);
    return 0;
}

int weir_ack(struct weir *weir, uint64_t number, struct weir_id id)
{
    struct standing *standing;
    struct event_id event;
    int err = take_call(weir, number, id, &standing, &event);
    if (err != 0) {
        return err;
    }
    err = acks_add(&standing->attachment->acks, event, weir->now);
    if (err == 0) {
        handed_remove(&standing->attachment->handed, event);
    }
    return end_call(weir, standing, event, err);
}

int weir_ack_up_to(struct weir *weir, uint64_t number, struct weir_id id)
{
    struct standing *standing;
    struct event_id event;
    int err = take_call(weir, number, id, &standing, &event);
    if (err != 0) {
        return err;
    }
    struct attachment *attachment = standing->attachment;
    uint32_t runs = handed_up_to(&attachment->handed, event);
    if (runs == 0) {
        return reason_set(&weir->reason, ERR_NOT_FOUND,
                          "the event was not handed out, or is acknowledged already");
    }
    err = acks_reserve(&attachment->acks, runs, weir->now);
    for (uint32_t i = 0; i < runs && err == 0; i++) {
        acks_add_range(&attachment->acks, handed_take(&attachment->handed, event));
    }
    return end_call(weir, standing, event, err);
}

int weir_nack(struct weir *weir, uint64_t number, struct weir_id id, uint32_t delay_ms,
              const char *reason)
{
    struct standing *standing;
    struct event_id event;
    int err = take_call(weir, number, id, &standing, &event);
    if (err != 0) {
        return err;
    }
    err = acks_refuse(&standing->attachment->acks, event, delay_ms, reason, weir->now);
    if (err == 0) {
        handed_remove(&standing->attachment->handed, event);
    }
    return end_call(weir, standing, event, err);
}

uint64_t weir_acks_pending(const struct weir *weir, uint64_t number)
{
    const struct standing *standing = weir_find_attachment(weir, number);
    const struct acks *acks = standing ? &standing->attachment->acks : NULL;
    return acks ? acks->waiting_events + acks->sent_events : 0;
}

int weir_ack_held(struct weir *weir)
{
    struct standing *standing = weir->held;
    weir->held = NULL;
    if (!standing || standing->is_over) {
        return 0;
    }
    int err = acks_add(&standing->attachment->acks, weir->held_id, weir->now);
    if (err == ERR_MEMORY) {
        return reason_set(&weir->reason, err, "no memory to acknowledge an event");
    }
    handed_remove(&standing->attachment->handed, weir->held_id); // BUSY: it comes again
    mark_sending(weir, standing->attachment);
    return 0;
}

// --- What is sent ------------------------------------------------------------------------------

void weir_flush_acks(struct weir *weir)
{
    LIST_FOR_EACH(&weir->sending, node)
    {
        acks_flush(&container_of(node, struct attachment, sending)->acks);
    }
}

// What it has acknowledged, then that it wants no more. Whether nothing is left.
static bool send_of(struct weir *weir, struct attachment *attachment, struct core *core)
{
    struct standing *standing = attachment->standing;
    struct acks *acks = &attachment->acks;
    if (standing->core != core) {
        return false;
    }
    bool ends = standing->is_stopping && weir->held != standing && !attachment->is_stop_sent;
    if (ends) {
        acks_flush(acks);
    }
    if (attachment->is_attached &&
        acks_send(acks, core, standing->core_id, standing->number, OUTPUT_AHEAD, weir->now) != 0) {
        return false; // too many are under way, or there is no memory now: later
    }
    bool is_empty = list_is_empty(&acks->waiting);
    if (ends && (is_empty || !attachment->is_attached)) {
        attachment->is_stop_sent = core_stop(core, standing->core_id) == 0;
    }
    return is_empty && (!standing->is_stopping || attachment->is_stop_sent);
}

void weir_send_acks(struct weir *weir, struct core *core)
{
    weir->acks_due = false;
    LIST_FOR_EACH(&weir->sending, node)
    {
        if (send_of(weir, container_of(node, struct attachment, sending), core)) {
            list_remove(node);
        }
    }
}

struct instant weir_acks_deadline(const struct weir *weir)
{
    struct instant deadline = weir->retry_at;
    LIST_FOR_EACH((struct list_node *)&weir->sending, node)
    {
        const struct attachment *attachment = container_of(node, struct attachment, sending);
        if (attachment->is_attached) {
            deadline = instant_earlier(deadline, acks_deadline(&attachment->acks));
        }
    }
    return deadline;
}

// --- What nodes say ----------------------------------------------------------------------------

void weir_on_acked(struct weir *weir, const struct notice *notice)
{
    struct standing *standing = weir_find_attachment(weir, notice->tag);
    if (!standing) {
        return;
    }
    struct attachment *attachment = standing->attachment;
    acks_answered(&attachment->acks, notice->id, &notice->reply, weir->now);
    weir->is_good = weir->is_good || notice->reply.kind == REPLY_ACKED;
    mark_sending(weir, attachment);
    mark_telling(weir, attachment);
}

// No core serves it any more.
static void left(struct weir *weir, struct standing *standing)
{
    attachment_moved(standing->attachment, standing->core, true);
    standing->core = NULL;
    if (weir->walked == standing) {
        weir->walk = NULL;
    }
    mark_sending(weir, standing->attachment);
}

static void end(struct weir *weir, struct standing *standing, enum weir_end_reason reason, int err,
                struct bytes text)
{
    standing_end(standing, reason, err, text);
    weir->ends_due++;
    mark_telling(weir, standing->attachment);
}

static void on_refused(struct weir *weir, struct standing *standing, const struct reply *reply)
{
    struct attachment *attachment = standing->attachment;
    int err = refusal_err(reply->error.code);
    if (err == ERR_CLOSED) {
        weir_begin_leaving(weir, "the node is shutting down");
        weir_check_leaving(weir);
    } else if (reply->error.code == WIRE_REFUSED) { // by a node that cannot forward it
        weir->is_refused = true; // lest two attachments send it to and fro without a pause
        weir_begin_leaving(weir, "another node coordinates the durable subscription");
        weir_check_leaving(weir);
    } else if (attachment_retries(attachment, (enum wire_error)reply->error.code, weir->now)) {
        weir->retry_at = instant_earlier(weir->retry_at, attachment->retry_at);
    } else {
        end(weir, standing, WEIR_END_ERROR, err, reply->error.text);
    }
}

static void on_ended(struct weir *weir, struct standing *standing, uint32_t reason)
{
    if (reason == END_SHUTDOWN) {
        weir_begin_leaving(weir, "the node is shutting down");
        weir_check_leaving(weir);
        return;
    }
    enum weir_end_reason said = reason == END_STOPPED   ? WEIR_END_STOPPED
                                : reason == END_DELETED ? WEIR_END_DELETED
                                                        : WEIR_END_REACHED;
    end(weir, standing, said, 0, (struct bytes){0});
}

static void on_moved(struct weir *weir, struct standing *standing, const struct reply *reply)
{
    struct attachment *attachment = standing->attachment;
    attachment_moved(attachment, standing->core, false);
    attachment->is_moved_due = true;
    attachment->moved = (struct weir_mark){.kind = WEIR_MARK_MOVED, .passed = reply->mark.passed};
    mark_sending(weir, attachment);
    mark_telling(weir, attachment);
}

bool weir_on_attachment(struct weir *weir, struct standing *standing, const struct notice *notice)
{
    const struct reply *reply = &notice->reply;
    if (!standing || !standing->attachment) {
        return false;
    }
    if (notice->kind == NOTICE_ATTACHED) {
        attachment_attached(standing->attachment, reply);
        mark_sending(weir, standing->attachment);
        mark_telling(weir, standing->attachment);
    } else if (notice->kind == NOTICE_MARK && reply->mark.kind == MARK_MOVED) {
        on_moved(weir, standing, reply);
    } else if (notice->kind == NOTICE_END || notice->kind == NOTICE_REFUSED) {
        if (notice->kind == NOTICE_END && reply->end.reason != END_SHUTDOWN) {
            attachment_give_up(standing->attachment);
        }
        left(weir, standing);
        if (notice->kind == NOTICE_END) {
            on_ended(weir, standing, reply->end.reason);
        } else {
            on_refused(weir, standing, reply);
        }
        weir_resume(weir); // what the program has stopped meanwhile is over
    } else {
        return false;
    }
    return true;
}

void weir_lose_attachments(struct weir *weir, const struct core *core)
{
    LIST_FOR_EACH(&weir->standings, node)
    {
        struct standing *standing = container_of(node, struct standing, node);
        if (standing->attachment && standing->core == core) {
            left(weir, standing);
        }
    }
}

// --- What is handed out ------------------------------------------------------------------------

bool weir_hands_out(struct weir *weir, struct standing *standing, struct event_id id)
{
    struct attachment *attachment = standing->attachment;
    if (!attachment) {
        return true;
    }
    if (standing->is_stopping) {
        return false;
    }
    // What the program has acknowledged already came again before the node knew of it. Said now it
    // is certain to count.
    if (acks_is_repeated(&attachment->acks, id) &&
        acks_add(&attachment->acks, id, weir->now) == 0) {
        mark_sending(weir, attachment);
        return false;
    }
    handed_add(&attachment->handed, id, attachment->attempt > 1);
    if (attachment->is_automatic) {
        weir->held = standing;
        weir->held_id = id;
    }
    return true;
}

int weir_next_told(struct weir *weir)
{
    LIST_FOR_EACH(&weir->telling, node)
    {
        struct attachment *attachment = container_of(node, struct attachment, telling);
        weir->notice = (struct weir_notice){.subscription = attachment->standing->number,
                                            .context = attachment->standing->context};
        if (attachment->is_attached_due) {
            attachment->is_attached_due = false;
            weir->attached = attachment->news;
            weir->notice.kind = WEIR_NOTICE_ATTACHED;
            weir->notice.attached = &weir->attached;
            return 0;
        }
        if (attachment->is_moved_due) {
            attachment->is_moved_due = false;
            weir->mark = attachment->moved;
            weir->notice.kind = WEIR_NOTICE_MARK;
            weir->notice.mark = &weir->mark;
            return 0;
        }
        if (acks_take(&attachment->acks, &weir->acked)) {
            weir->notice.kind = WEIR_NOTICE_ACKED;
            weir->notice.acked = &weir->acked;
            return 0;
        }
        list_remove(node);
    }
    return WEIR_NOTHING;
}
