// The line is rewritten in place, five times a second, and removed at the end.

#include "client-cli/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

void progress_init(struct progress *progress, bool would_disturb, struct instant now)
{
    *progress = (struct progress){
        .is_wanted = !would_disturb && isatty(STDERR_FILENO),
        .started = now,
        .next = instant_add(now, duration_ms(1000)),
    };
}

void progress_update(struct progress *progress, uint64_t events, struct instant now)
{
    if (!progress->is_wanted || !instant_reached(progress->next, now)) {
        return;
    }
    double seconds = (double)(now.ns - progress->started.ns) / 1e9;
    fprintf(stderr, "\r\033[K%" PRIu64 " events, %.0f per second, %.0f s", events,
            (double)events / seconds, seconds);
    fflush(stderr);
    progress->is_visible = true;
    progress->next = instant_add(now, duration_ms(200));
}

void progress_clear(struct progress *progress)
{
    if (progress->is_visible) {
        fputs("\r\033[K", stderr);
        fflush(stderr);
        progress->is_visible = false;
    }
}
