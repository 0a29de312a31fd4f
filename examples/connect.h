// Begins to connect to an address of libweir; what both event loop examples need.
#pragma once

// A socket that does not block; -1 and errno when there is none. It is connected, or in error, when
// it is writable.
int connect_begin(const char *address);

// 0, or the errno of a connection that came to nothing.
int connect_error(int fd);
