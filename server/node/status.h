// What a node says about itself. For server/node only.
#pragma once

#include "proto/model/reply.h"

struct service;

// Views stay valid until the next call.
void status_fill(struct service *service, struct reply_status *status_out);
