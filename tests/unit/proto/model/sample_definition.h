// Random definitions of durable subscriptions; their texts are constants.
#pragma once

#include <check.h>

#include "proto/base/random.h"
#include "proto/model/subscription_definition.h"

static inline struct bytes sample_text(struct random *random, size_t length_min)
{
    static const char TEXT[] = "/orders/**/some-namespace-that-is-longer-than-others";
    return bytes_of(TEXT, length_min + random_below(random, sizeof TEXT - length_min));
}

static inline uint32_t sample_number(struct random *random)
{
    return (uint32_t)(random_u64(random) >> (33 + random_below(random, 31))) + 1;
}

// Sound; half of what has a default has it.
static inline void sample_definition(struct random *random,
                                     struct subscription_definition *definition)
{
    subscription_definition_init(definition);
    definition->entries_count = (uint32_t)random_below(random, 4);
    if (random_below(random, 16) == 0) {
        definition->entries_count = PATTERNS_MAX;
    }
    for (uint32_t i = 0; i < definition->entries_count; i++) {
        definition->entries[i].text = sample_text(random, 1);
        definition->entries[i].is_exact = random_below(random, 2);
    }
    definition->is_transient = random_below(random, 4) == 0;
    definition->attributes_count = (uint32_t)random_below(random, 3);
    for (uint32_t i = 0; i < definition->attributes_count; i++) {
        definition->attributes[i].name = sample_text(random, 1);
        definition->attributes[i].value = sample_text(random, 0);
    }
    definition->timestamp_min_ms = random_u64(random) >> random_below(random, 64);
    definition->is_stable_order = random_below(random, 2);
    definition->key = (enum group_key_kind)random_below(random, GROUP_KEY_ATTRIBUTE + 1);
    if (definition->key == GROUP_KEY_COMPONENTS) {
        definition->key_components = 1 + (uint32_t)random_below(random, GROUP_COMPONENTS_MAX);
    } else if (definition->key == GROUP_KEY_ATTRIBUTE) {
        definition->key_attribute = sample_text(random, 1);
    }
    if (random_below(random, 2) == 0) {
        definition->concurrency = 1 + (uint32_t)random_below(random, GROUP_CONSUMERS_MAX);
        definition->attempts = sample_number(random) - 1;
        definition->ack_wait_ms = sample_number(random);
        definition->checkpoint_every = sample_number(random);
        definition->checkpoint_after_ms = sample_number(random);
        definition->queue = sample_number(random);
    }
    struct reason reason = {0};
    ck_assert_msg(subscription_definition_check(definition, &reason) == 0, "%s", reason.text);
}
