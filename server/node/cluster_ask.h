// A client's request about the cluster, on its way to the driver and back. For server/node only.
#pragma once

struct request;
struct session;

// Takes an admitted request: answers it, now or later.
void cluster_ask_submit(struct session *session, const struct request *request);
