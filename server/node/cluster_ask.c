// Which requests make sense is decided by the replica; here is only the way to it.

#include "server/node/cluster_ask.h"

#include <stdlib.h>

#include "server/node/cluster_mailbox.h"
#include "server/node/service_state.h"
#include "server/node/session.h"

struct cluster_ask {
    struct session *session;
    uint64_t id;
};

static void ask_done(void *context, struct cluster_reply *reply)
{
    struct cluster_ask *ask = context;
    struct session *session = ask->session;
    struct answer answer = {.id = ask->id, .kind = REPLY_CLUSTER, .cluster = reply};
    if (!reply) {
        session_answer_error(session, ask->id, WIRE_BUSY, "out of memory");
    } else if (reply->result == 0) {
        session_answer(session, &answer);
    } else {
        bool is_closed = reply->result == ERR_CLOSED;
        session_answer_error(session, ask->id, is_closed ? WIRE_SHUTTING_DOWN : WIRE_REFUSED, "%s",
                             reply->text.text);
        cluster_reply_free(reply);
    }
    free(ask);
    session_landed(session);
}

void cluster_ask_submit(struct session *session, const struct request *request)
{
    struct cluster_ask *ask = malloc(sizeof *ask);
    if (!ask) {
        session_answer_error(session, request->id, WIRE_BUSY, "out of memory");
        return;
    }
    *ask = (struct cluster_ask){.session = session, .id = request->id};
    session_launched(session);
    int err = cluster_request(session->service, &request->cluster, ask_done, ask);
    if (err) {
        bool is_alone = err == ERR_UNSUPPORTED;
        session_answer_error(session, request->id, wire_error_of(err), "%s",
                             is_alone ? "this node runs without a cluster" : err_text(err));
        free(ask);
        session_landed(session);
    }
}
