// What goes wrong during a run: chosen by the seed, each for a while, all of it mended at the end.
#pragma once

#include "tests/simulation/world.h"

struct faults;

struct faults *faults_new(struct world *world);
void faults_free(struct faults *faults);
void faults_start(struct faults *faults);
// Everything is healed: paths, clocks, disks; who is down starts, who is frozen goes on.
void faults_end(struct faults *faults);
