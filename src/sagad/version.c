#include "version.h"

#include "sagad/notify.h"

#include <curl/curl.h>
#include <hiredis/hiredis.h>
#include <libconfig.h>
#include <libpq-fe.h>
#include <microhttpd.h>
#include <nettle/version.h>
#include <pg_config.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <uv.h>
#include <yyjson.h>

/* `loaded` is NULL for a library that doesn't tell at run time. */
static void library(FILE *out, const char *name, const char *built, const char *loaded)
{
	fprintf(out, "  %-13s built with %-12s", name, built);
	if (loaded != NULL)
		fprintf(out, " runs with %s", loaded);
	fputc('\n', out);
}

static void print_databases(FILE *out)
{
	char built[32], loaded[32];
	int pq = PQlibVersion();

	(void)snprintf(loaded, sizeof(loaded), "%d.%d", pq / 10000, pq % 10000); /* both are short, as all below */
	library(out, "libpq", PG_VERSION, loaded);
	(void)snprintf(built, sizeof(built), "%d.%d.%d", HIREDIS_MAJOR, HIREDIS_MINOR, HIREDIS_PATCH);
	library(out, "hiredis", built, NULL);
	library(out, "SQLite", SQLITE_VERSION, sqlite3_libversion());
}

static void print_others(FILE *out)
{
	char built[32], loaded[32];
	uint32_t json = yyjson_version();

	(void)snprintf(built, sizeof(built), "%d.%d.%d", UV_VERSION_MAJOR, UV_VERSION_MINOR, UV_VERSION_PATCH);
	library(out, "libuv", built, uv_version_string());
	library(out, "libcurl", LIBCURL_VERSION, curl_version_info(CURLVERSION_NOW)->version);
	(void)snprintf(loaded, sizeof(loaded), "%u.%u.%u", json >> 16, json >> 8 & 0xff, json & 0xff);
	library(out, "yyjson", YYJSON_VERSION_STRING, loaded);
	(void)snprintf(built, sizeof(built), "%d.%d", NETTLE_VERSION_MAJOR, NETTLE_VERSION_MINOR);
	(void)snprintf(loaded, sizeof(loaded), "%d.%d", nettle_version_major(), nettle_version_minor());
	library(out, "nettle", built, loaded);
	(void)snprintf(built, sizeof(built), "%x.%x.%x", MHD_VERSION >> 24, MHD_VERSION >> 16 & 0xff,
		       MHD_VERSION >> 8 & 0xff); /* each two digits, as decimals */
	library(out, "libmicrohttpd", built, MHD_get_version());
	(void)snprintf(built, sizeof(built), "%d.%d.%d", LIBCONFIG_VER_MAJOR, LIBCONFIG_VER_MINOR,
		       LIBCONFIG_VER_REVISION);
	library(out, "libconfig", built, NULL);
}

/* Only what somebody might expect and this build lacks, or has. */
static void print_abilities(FILE *out)
{
	const curl_version_info_data *curl = curl_version_info(CURLVERSION_NOW);
	bool has_https = (curl->features & CURL_VERSION_SSL) != 0;

	fprintf(out, "  %-24s %s\n",
		"systemd notification:", notify_is_built() ? "yes" : "no (built without libsystemd)");
	fprintf(out, "  %-24s %s\n", "PostgreSQL over TLS:",
		PQsslAttribute(NULL, "library") != NULL ? "yes" : "no (libpq was built without it)");
	fprintf(out, "  %-24s %s\n",
		"Qdrant, Neo4j over TLS:", has_https ? "yes" : "no (libcurl was built without it)");
	fprintf(out, "  %-24s %s\n", "Redis over TLS:",
		SAGAD_REDIS_TLS ? "yes" : "no (built without hiredis_ssl, which hiredis 1.0 and later have)");
}

void version_print(FILE *out)
{
	fprintf(out, "sagad %s\n", SAGAD_VERSION);
	print_databases(out);
	print_others(out);
	print_abilities(out);
}
