// Asking before something is done that cannot be undone.
#pragma once

#include <stdbool.h>

#include "client-cli/command.h"

// Asks on a terminal; elsewhere `is_sure` (--yes) must say it. 0: yes. Else the exit status, after
// saying why.
int confirm(const struct cli *cli, const char *question, bool is_sure);
