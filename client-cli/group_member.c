// What the library tells about an attachment, in words. Whatever happens to connections, events
// that were not acknowledged come again: so nothing here is an error but what ends it.

#include "client-cli/group_member.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

enum {
    LEAVE_TIMEOUT_MS = 10000,
    BUSY_TIMEOUT_MS = 10000,
    BUSY_STEP_MS = 10,
    SILENCE_MS_MIN = 2000,
    SILENCE_MS_MAX = 20000
};

// With heartbeats a dead node is noticed sooner.
static uint32_t silence_ms(uint32_t heartbeat_ms)
{
    uint64_t ms = 4 * (uint64_t)heartbeat_ms;
    return ms == 0 || ms > SILENCE_MS_MAX ? SILENCE_MS_MAX
           : ms < SILENCE_MS_MIN          ? SILENCE_MS_MIN
                                          : (uint32_t)ms;
}

int group_member_open(struct group_member *member, const struct cli *cli, int signal_fd,
                      bool reconnects, const struct weir_attach_options *options)
{
    *member = (struct group_member){.cli = cli, .name = options->name, .wakes = {.fd = -1}};
    if (wakes_open(&member->wakes) != 0 ||
        wakes_add(&member->wakes, signal_fd, false, GROUP_MEMBER_SIGNAL) != 0) {
        cli_say("cannot set up: %s", strerror(errno));
        return STATUS_FAILURE;
    }
    struct cli woken = *cli;
    woken.wake_fd = member->wakes.fd;
    int status = cli_open(&woken, reconnects ? WEIR_RECONNECT_LATER : WEIR_RECONNECT_NEVER,
                          silence_ms(options->heartbeat_ms), &member->weir);
    if (status != 0) {
        return status;
    }
    int err = weir_attach(member->weir, options, &member->number);
    return err != 0 ? cli_failed(member->weir, err) : 0;
}

void group_member_close(struct group_member *member)
{
    weir_free(member->weir);
    wakes_close(&member->wakes);
}

static void on_attached(struct group_member *member, const struct weir_attached *attached)
{
    const struct cli *cli = member->cli;
    if (member->is_attached) {
        if (member->is_lost) {
            cli_say("connected again, going on with %s", member->name);
        }
    } else if (attached->is_created) {
        cli_say("created the subscription %s", member->name);
    } else {
        cli_say("the subscription %s was there already%s", member->name,
                attached->remark && member->says_remark
                    ? ": its start and options are those of its creation"
                    : "");
    }
    cli_say_verbose(cli, "coordinated by %s", attached->coordinator);
    member->is_attached = true;
    member->is_lost = false;
}

static void on_disconnected(struct group_member *member, const struct weir_connection *connection)
{
    if (!member->is_lost) {
        cli_say("%s; connecting again",
                connection->text ? connection->text : weir_err_text(connection->err));
        member->is_lost = true;
    }
}

static int on_end(struct group_member *member, const struct weir_end *end)
{
    member->has_ended = true;
    switch (end->reason) {
    case WEIR_END_DELETED:
        cli_say("the subscription %s was deleted", member->name);
        return STATUS_NOT_FOUND;
    case WEIR_END_ERROR:
        cli_say("%s", end->text ? end->text : weir_err_text(end->err));
        return cli_status(end->err);
    case WEIR_END_REACHED:
    case WEIR_END_STOPPED:
        break;
    }
    return STATUS_OK;
}

static void on_acked(struct group_member *member, const struct weir_acked *acked)
{
    uint64_t missing = acked->events > acked->counted ? acked->events - acked->counted : 0;
    if (missing == 0 || acked->is_repeated) {
        return; // what is repeated was probably counted the first time
    }
    member->refused += missing;
    if (acked->ranges_count > 0) {
        char id[WEIR_ID_TEXT_SIZE];
        const struct weir_id_range *range = &acked->ranges[0];
        weir_id_format((struct weir_id){.counter = range->first, .actor = range->actor}, id);
        cli_say("%" PRIu64 " of %" PRIu64 " events from %s on %s: %s", missing, acked->events, id,
                acked->is_nack ? "were not refused" : "were not acknowledged",
                acked->text ? acked->text : "they are not in flight here any more");
    }
}

bool group_member_notice(struct group_member *member, const struct weir_notice *notice,
                         int *status_out)
{
    switch (notice->kind) {
    case WEIR_NOTICE_ATTACHED:
        on_attached(member, notice->attached);
        return false;
    case WEIR_NOTICE_DISCONNECTED:
        on_disconnected(member, notice->connection);
        return false;
    case WEIR_NOTICE_ACKED:
        on_acked(member, notice->acked);
        return false;
    case WEIR_NOTICE_MARK:
        if (notice->mark->kind == WEIR_MARK_MOVED) {
            cli_say_verbose(member->cli,
                            "%s is coordinated by another node now: what is in "
                            "flight may come again",
                            member->name);
        } else if (notice->mark->kind == WEIR_MARK_CAUGHT_UP) {
            cli_say_verbose(member->cli, "caught up");
        }
        return false;
    case WEIR_NOTICE_END:
        *status_out = on_end(member, notice->end);
        return true;
    case WEIR_NOTICE_EVENT:
    case WEIR_NOTICE_PRODUCED:
    case WEIR_NOTICE_SUBSCRIBED:
    case WEIR_NOTICE_CONNECTED:
    case WEIR_NOTICE_RESULT:
        break;
    }
    return false;
}

static int acknowledge_once(struct group_member *member,
                            const struct acknowledgement *acknowledgement)
{
    struct weir *weir = member->weir;
    uint64_t number = member->number;
    switch (acknowledgement->kind) {
    case ACK_ONE:
        return weir_ack(weir, number, acknowledgement->id);
    case ACK_UP_TO:
        return weir_ack_up_to(weir, number, acknowledgement->id);
    case ACK_NOT:
        return weir_nack(weir, number, acknowledgement->id, acknowledgement->delay_ms,
                         acknowledgement->reason);
    }
    return WEIR_ERR_INVALID;
}

int group_member_acknowledge(struct group_member *member,
                             const struct acknowledgement *acknowledgement)
{
    int64_t until_ns = weir_clock() + BUSY_TIMEOUT_MS * INT64_C(1000000);
    int outcome = acknowledge_once(member, acknowledgement);
    while (outcome == WEIR_ERR_BUSY && weir_clock() < until_ns) {
        // Each call sends and receives what it can, also when something else wakes it.
        int waited = weir_wait_acked(member->weir, member->number, BUSY_STEP_MS);
        outcome = waited < 0 ? waited : acknowledge_once(member, acknowledgement);
    }
    return outcome;
}

void group_member_leave(struct group_member *member)
{
    struct weir *weir = member->weir;
    if (!weir || !member->is_attached || member->has_ended) {
        return;
    }
    wakes_clear(&member->wakes);
    int64_t until_ns = weir_clock() + LEAVE_TIMEOUT_MS * INT64_C(1000000);
    int outcome = weir_wait_acked(weir, member->number, LEAVE_TIMEOUT_MS);
    if (outcome >= 0) {
        outcome = weir_detach(weir, member->number);
    }
    int status;
    bool is_over = outcome < 0;
    while (!is_over) {
        const struct weir_notice *notice;
        int64_t left_ms = (until_ns - weir_clock()) / 1000000;
        outcome = weir_wait_next(weir, left_ms > 0 ? left_ms : 0, &notice);
        is_over = outcome != 0 || group_member_notice(member, notice, &status);
    }
    if (outcome < 0) {
        (void)cli_failed(member->weir, outcome);
    } else if (outcome == WEIR_LATE && weir_acks_pending(weir, member->number) > 0) {
        cli_say("the last acknowledgements have no answer: their events may come again");
    }
}
