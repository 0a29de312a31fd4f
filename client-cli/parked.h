// What the node adds to an event that it parks.
#pragma once

#include "client/weir.h"

// Whether the attribute says which event this one was before it was parked: the id as 10 bytes,
// which nobody can read. Only the node writes to namespaces of parked events.
bool parked_was(const struct weir_event *event, const struct weir_attribute *attribute,
                char out[WEIR_ID_TEXT_SIZE]);
