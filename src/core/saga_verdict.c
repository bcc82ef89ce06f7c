#include "saga_verdict.h"

#include "base/must.h"

enum code saga_verdict_code(enum saga_verdict verdict)
{
	switch (verdict) {
	case SAGA_PERMANENT:
		return CODE_STORE_REFUSED;
	case SAGA_MISCONFIGURED:
		return CODE_STORE_MISCONFIGURED;
	case SAGA_OK:
	case SAGA_TRANSIENT:
	case SAGA_OUTAGE:
	case SAGA_DOUBT:
		return CODE_STORE_UNAVAILABLE;
	}
	MUST(!"a verdict that is none");
	return CODE_INTERNAL;
}

bool saga_verdict_is_hopeless(enum saga_verdict verdict)
{
	return verdict == SAGA_PERMANENT || verdict == SAGA_MISCONFIGURED;
}
