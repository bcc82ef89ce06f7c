/* systemd's journal in its own protocol (sd_journal_sendv(3)): the text as MESSAGE, and each field under a name of its
 * own, so that `journalctl SAGA_ID=...` finds all that was said of a saga. */
#ifndef SAGAD_SAGAD_JOURNALD_H
#define SAGAD_SAGAD_JOURNALD_H

#include "base/log.h"

/* Sends one event. 0, or negative: the journal can't be reached, or this build can't (-ENOSYS). */
int journald_send(const struct log_event *event) WARN_UNUSED;

/* syslog(3)'s number of a level. */
int journald_priority(enum log_level level);

#endif
