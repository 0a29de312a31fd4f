// What an answer says, in the words of the public API.
#pragma once

#include "client/requests.h"

// Fills asked->result from asked->reply.
void result_fill(struct asked *asked);
