// Plain write, no stdio: the caller must know what has left the process and what has not, because
// a cursor file never runs ahead of it.

#include "client-cli/output.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "client-cli/command.h"

void output_init(struct output *output, const volatile sig_atomic_t *signal)
{
    *output = (struct output){.signal = signal, .is_terminal = isatty(STDOUT_FILENO)};
}

void output_deinit(struct output *output)
{
    buffer_deinit(&output->buffer);
}

int output_flush(struct output *output)
{
    size_t written = 0;
    int outcome = 0;
    while (written < output->buffer.length && outcome == 0) {
        ssize_t count =
            write(STDOUT_FILENO, output->buffer.data + written, output->buffer.length - written);
        if (count >= 0) {
            written += (size_t)count;
        } else if (errno == EINTR) {
            outcome = *output->signal ? OUTPUT_INTERRUPTED : 0;
        } else if (errno == EPIPE) {
            outcome = OUTPUT_CLOSED;
        } else {
            outcome = ERR_IO;
            cli_say("cannot write to standard output: %s", strerror(errno));
        }
    }
    buffer_consume(&output->buffer, written);
    return outcome;
}

int output_text(struct output *output, const char *format, ...)
{
    va_list arguments;
    char *text;
    va_start(arguments, format);
    int length = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (length < 0) {
        return ERR_MEMORY;
    }
    int err = buffer_append(&output->buffer, bytes_of(text, (size_t)length));
    free(text);
    return err;
}

int output_end(struct output *output, int err)
{
    if (err != 0) {
        cli_say("%s", err_text(err));
        return cli_status(err);
    }
    int outcome = output_flush(output);
    if (outcome == OUTPUT_INTERRUPTED) {
        return STATUS_SIGNAL + *output->signal;
    }
    return outcome < 0 ? cli_status(outcome) : STATUS_OK;
}
