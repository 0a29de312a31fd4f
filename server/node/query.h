// Queries: requests that are answered once from the store (get, last, neighbor, namespaces). For
// server/node only.
#pragma once

struct request;
struct session;

// Takes an admitted request: answers it, now or later.
void query_submit(struct session *session, const struct request *request);

// Starts queued ones as far as what runs, and what is not taken yet, allows.
void queries_start(struct session *session);

// Drops what is not in the store; what is, comes back to nobody.
void queries_close(struct session *session);
