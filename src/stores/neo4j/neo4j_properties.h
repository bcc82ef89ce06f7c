/* A client's JSON object as properties that Neo4j can hold; neo4j_codec.h says how. No I/O. */
#ifndef SAGAD_STORES_NEO4J_NEO4J_PROPERTIES_H
#define SAGAD_STORES_NEO4J_NEO4J_PROPERTIES_H

#include "base/must.h"
#include "base/str.h"

#include <yyjson.h>

/* On what they are written. */
enum neo4j_owner { NEO4J_MENTION, NEO4J_RELATIONSHIP };

/* Adds the members of `json` (an object's text; absent: none) to `map`. 0, -ENOMEM, or -EINVAL: not an object. The text
 * may go afterwards: what is needed is copied. */
int neo4j_properties_add(yyjson_mut_doc *doc, yyjson_mut_val *map, enum neo4j_owner owner, struct str json) WARN_UNUSED;

#endif
