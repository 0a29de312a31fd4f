// Consumers of durable subscriptions, as the session that they belong to sees them: what a client
// says goes to the first loop by letters, what the group says comes back the same way
// (docs/subscriptions.md, "Who does what"). For server/node only.
#pragma once

#include "proto/base/list.h"
#include "proto/model/request.h"
#include "server/node/service.h"

struct consumer;
struct consumer_letter;
struct node;
struct seat;

// ATTACH, ACK, NACK and SUBSCRIPTIONS, admitted: answered now or later, once.
void consumer_submit(struct session *session, const struct request *request);

struct consumer *session_consumer(const struct session *session, uint64_t id); // NULL: none
uint64_t consumer_id_of(const struct consumer *consumer);
void consumer_add_credit(struct consumer *consumer, uint64_t bytes);

// The client wants no more. END follows the answers to the ACKs and NACKs before it.
void consumer_stop(struct consumer *consumer);
void consumers_answered(struct session *session); // an answer was taken: those that wait may end

void consumers_close(struct session *session);     // the session ends
void consumers_shut_down(struct session *session); // the node does

// The next item of one that was in the list of those that are ready. False: it has none.
bool consumer_take(struct list_node *ready_link, struct session_item *item_out);

// What the group has said, to those whose service this is. Each turn.
void consumer_letters_deliver(struct service *service);

// The first loop alone: where it keeps what it knows of the consumer; NULL at first.
struct seat *consumer_seat(const struct consumer *consumer);
void consumer_set_seat(struct consumer *consumer, struct seat *seat);
