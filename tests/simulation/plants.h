// The planted bugs by name.
#pragma once

#include "proto/base/planted.h"

const char *plant_name(enum planted plant);

// PLANTED_NONE: there is none of that name.
enum planted plant_of_name(const char *name);
