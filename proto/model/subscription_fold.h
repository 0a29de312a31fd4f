// What the events of one durable subscription amount to, in whatever order they come
// (docs/subscriptions.md, "Which of several states holds"). Two folds that were given the same
// events are equal.
#pragma once

#include "proto/model/subscription_event.h"

struct subscription_fold;

int subscription_fold_new(struct subscription_fold **fold_out) MUST_CHECK;
void subscription_fold_free(struct subscription_fold *fold);

// Takes one event that was decoded, copied; one that was taken before changes nothing. ERR_LIMIT:
// one of a definition that is longer than SUBSCRIPTION_EVENT_BYTES_MAX. It and ERR_MEMORY leave it
// as it was.
int subscription_fold_add(struct subscription_fold *fold,
                          const struct subscription_event *event) MUST_CHECK;

// Whether there is a subscription: the id of the event that made its generation, else none
// (event_id_is_none), also when the last word is DELETED.
struct event_id subscription_fold_generation(const struct subscription_fold *fold);

// Of the generation; views into the fold until the next add. Only while there is one. (The fold
// keeps its bytes alone: there are many folds.)
void subscription_fold_definition(const struct subscription_fold *fold,
                                  struct subscription_definition *definition_out);

// The start, and the last checkpoint of each writer in this generation, united. Only while there
// is one; `position` must be empty. ERR_MEMORY: it has a part of it.
int subscription_fold_position(const struct subscription_fold *fold,
                               struct position *position) MUST_CHECK;

// Creations that are void because another holds: how many, and the highest.
uint32_t subscription_fold_void(const struct subscription_fold *fold, struct event_id *last_out);

size_t subscription_fold_bytes(const struct subscription_fold *fold); // memory that it takes
