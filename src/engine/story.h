/* A saga in one line of the log: how it ended, how long each of its states took, what it tried at each store. Ids,
 * counts, times and the stores' own error texts; never anything of the document. */
#ifndef SAGAD_ENGINE_STORY_H
#define SAGAD_ENGINE_STORY_H

#include "engine/run.h"

/* Logs the end of a saga with its whole story: that it failed, or was slow, or, when asked for, that all is well. */
void story_tell(const struct run *run, const struct outcome *outcome);

#endif
