// What every fuzz target defines: takes any bytes, aborts if something that must hold does not.
#pragma once

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length); // always 0
