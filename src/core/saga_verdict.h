/* What a store's verdict means to a saga. */
#ifndef SAGAD_CORE_SAGA_VERDICT_H
#define SAGAD_CORE_SAGA_VERDICT_H

#include "core/saga.h"

/* The code that tells a client why this verdict ended its saga. */
enum code saga_verdict_code(enum saga_verdict verdict);

/* No number of tries would change it. */
bool saga_verdict_is_hopeless(enum saga_verdict verdict);

#endif
