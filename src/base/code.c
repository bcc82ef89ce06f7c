#include "code.h"

#include "must.h"

#include <string.h>

static const struct {
	const char *name;
	enum code_class class;
	int jsonrpc;
} code_table[CODE_COUNT] = {
	[CODE_NONE] = {"none", CODE_CLASS_CALLER, 0},
	[CODE_PARSE_ERROR] = {"parse_error", CODE_CLASS_CALLER, -32700},
	[CODE_INVALID_REQUEST] = {"invalid_request", CODE_CLASS_CALLER, -32600},
	[CODE_UNKNOWN_METHOD] = {"unknown_method", CODE_CLASS_CALLER, -32601},
	[CODE_UNKNOWN_FIELD] = {"unknown_field", CODE_CLASS_CALLER, -32602},
	[CODE_MISSING_FIELD] = {"missing_field", CODE_CLASS_CALLER, -32602},
	[CODE_INVALID_FIELD] = {"invalid_field", CODE_CLASS_CALLER, -32602},
	[CODE_LIMIT_EXCEEDED] = {"limit_exceeded", CODE_CLASS_CALLER, -32602},
	[CODE_LINE_TOO_LONG] = {"line_too_long", CODE_CLASS_CALLER, -32600},
	[CODE_OVERLOADED] = {"overloaded", CODE_CLASS_TRANSIENT, -32000},
	[CODE_SHUTTING_DOWN] = {"shutting_down", CODE_CLASS_TRANSIENT, -32000},
	[CODE_NOT_READY] = {"not_ready", CODE_CLASS_TRANSIENT, -32000},
	[CODE_FORBIDDEN] = {"forbidden", CODE_CLASS_CALLER, -32000},
	[CODE_CONFLICT] = {"conflict", CODE_CLASS_CALLER, -32000},
	[CODE_KEY_REUSED] = {"key_reused", CODE_CLASS_CALLER, -32000},
	[CODE_DEADLINE_EXCEEDED] = {"deadline_exceeded", CODE_CLASS_TRANSIENT, -32000},
	[CODE_STORE_UNAVAILABLE] = {"store_unavailable", CODE_CLASS_TRANSIENT, -32000},
	[CODE_STORE_REFUSED] = {"store_refused", CODE_CLASS_CALLER, -32000},
	[CODE_STORE_MISCONFIGURED] = {"store_misconfigured", CODE_CLASS_OPERATOR, -32000},
	[CODE_IN_DOUBT] = {"in_doubt", CODE_CLASS_TRANSIENT, -32000},
	[CODE_TIME_WENT_BACK] = {"time_went_back", CODE_CLASS_OPERATOR, -32000},
	[CODE_JOURNAL_FAILED] = {"journal_failed", CODE_CLASS_OPERATOR, -32000},
	[CODE_SCHEMA_MISMATCH] = {"schema_mismatch", CODE_CLASS_OPERATOR, -32000},
	[CODE_NOT_FOUND] = {"not_found", CODE_CLASS_CALLER, -32000},
	[CODE_CANCELLED] = {"cancelled", CODE_CLASS_CALLER, -32000},
	[CODE_RESOLVED] = {"resolved", CODE_CLASS_CALLER, -32000},
	[CODE_CONFIGURATION_INVALID] = {"configuration_invalid", CODE_CLASS_OPERATOR, -32000},
	[CODE_INTERNAL] = {"internal", CODE_CLASS_TRANSIENT, -32603},
};

const char *code_name(enum code code)
{
	MUST((unsigned)code < CODE_COUNT);
	return code_table[code].name;
}

enum code code_of_name(const char *name)
{
	for (unsigned i = 0; i < CODE_COUNT; i++)
		if (strcmp(code_table[i].name, name) == 0)
			return (enum code)i;
	return CODE_INTERNAL;
}

enum code_class code_class(enum code code)
{
	MUST((unsigned)code < CODE_COUNT);
	return code_table[code].class;
}

const char *code_class_name(enum code code)
{
	switch (code_class(code)) {
	case CODE_CLASS_CALLER:
		return "caller";
	case CODE_CLASS_TRANSIENT:
		return "transient";
	case CODE_CLASS_OPERATOR:
		return "operator";
	}
	MUST(!"a class that is none");
	return "";
}

bool code_is_retriable(enum code code)
{
	return code_class(code) != CODE_CLASS_CALLER;
}

int code_jsonrpc(enum code code)
{
	MUST((unsigned)code < CODE_COUNT);
	return code_table[code].jsonrpc;
}
