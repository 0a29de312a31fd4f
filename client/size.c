// A longer struct is taken if what is unknown in it is zero, because zero is the default.

#include "client/size.h"

#include <string.h>

int size_read(const void *from, size_t size_first, void *out, size_t out_size,
              struct reason *reason)
{
    size_t size;
    memcpy(&size, from, sizeof size);
    if (size < size_first) {
        return reason_set(reason, ERR_INVALID,
                          "a struct whose size is not set: its first member must be its sizeof");
    }
    for (size_t i = out_size; i < size; i++) {
        if (((const char *)from)[i] != 0) {
            return reason_set(reason, ERR_UNSUPPORTED,
                              "an option that this version of libweir (%s) does not know",
                              WEIR_VERSION);
        }
    }
    memset(out, 0, out_size);
    memcpy(out, from, size < out_size ? size : out_size);
    return 0;
}
