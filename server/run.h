// Builds a node from its configuration, runs it until it is told to stop, and takes it apart.
#pragma once

struct config;
struct machine;

// Returns the exit status of the process: 0 stopped, 1 cannot start. Does not return after a fatal
// error of the store: then nothing is closed, and the process ends with 1.
int run(const struct config *config, const struct machine *machine);
