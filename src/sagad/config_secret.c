/* Secrets that stand in files of their own. */
#include "config_load.h"
#include "config_value.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECRET_FILE_BYTES 4096

/* A relative name is a credential that systemd put into a folder for this service (systemd.exec(5), LoadCredential=).
 * 0 and an owned path, or -EINVAL, or -ENOMEM. */
static int secret_path(const char *name, char **out_path, struct err *err)
{
	const char *folder = getenv("CREDENTIALS_DIRECTORY");
	int n;

	if (name[0] == '/')
		n = asprintf(out_path, "%s", name);
	else if (folder != NULL && *folder != '\0')
		n = asprintf(out_path, "%s/%s", folder, name);
	else
		return err_set(
			err, -EINVAL,
			"'%s' is relative, so it names a systemd credential, but "
			"$CREDENTIALS_DIRECTORY is not set: give an absolute path, or LoadCredential=%s:PATH in the "
			"unit",
			name, name);
	return n < 0 ? err_set(err, -ENOMEM, "out of memory") : 0;
}

static int secret_file_check(int fd, const char *path, struct err *err)
{
	struct stat info;

	if (fstat(fd, &info) != 0)
		return err_set(err, -EINVAL, "%s: %s", path, strerror(errno));
	if (!S_ISREG(info.st_mode))
		return err_set(err, -EINVAL, "%s is no regular file", path);
	if ((info.st_mode & S_IROTH) != 0)
		return err_set(err, -EINVAL, "everybody on this machine can read %s: chmod o-rwx %s", path, path);
	if (info.st_size > SECRET_FILE_BYTES)
		return err_set(err, -EINVAL, "%s is longer than a secret (%d bytes)", path, SECRET_FILE_BYTES);
	return 0;
}

/* Reads it without the newline at its end. 0 and *out_n_bytes, or -EINVAL. */
static int secret_file_read(const char *path, char *out_text, size_t *out_n_bytes, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t n_read = 0;
	int rc;

	if (fd < 0)
		return err_set(err, -EINVAL, "%s cannot be read: %s", path, strerror(errno));
	rc = secret_file_check(fd, path, err);
	if (rc == 0) {
		n_read = read(fd, out_text, SECRET_FILE_BYTES);
		if (n_read < 0)
			rc = err_set(err, -EINVAL, "%s cannot be read: %s", path, strerror(errno));
	}
	(void)close(fd); /* read only */
	if (rc != 0)
		return rc;
	while (n_read > 0 && (out_text[n_read - 1] == '\n' || out_text[n_read - 1] == '\r'))
		n_read--;
	if (n_read == 0)
		return err_set(err, -EINVAL, "%s is empty", path);
	*out_n_bytes = (size_t)n_read;
	return 0;
}

static size_t secret_key_of(const struct config_key *file_key)
{
	size_t i = 0;

	while (config_keys[i].type != CONFIG_SECRET || config_keys[i].offset != file_key->secret_offset)
		i++;
	return i;
}

static void secret_fault(struct config_loader *loader, size_t index, const char *text)
{
	struct buf place = {0};

	config_place(&loader->config->origins[index], &place);
	config_fault(loader, place.at != NULL ? place.at : "", "%s.%s: %s", config_keys[index].section,
		     config_keys[index].name, text);
	loader->is_out_of_memory |= place.failed;
	buf_fini(&place);
}

static void secret_load(struct config_loader *loader, size_t file_index, size_t secret_index)
{
	const char *name = *config_value_text(loader->config, config_keys[file_index].offset);
	char text[SECRET_FILE_BYTES], *path = NULL;
	size_t n_bytes = 0;
	struct err err;
	int rc = secret_path(name, &path, &err);

	if (rc == 0)
		rc = secret_file_read(path, text, &n_bytes, &err);
	if (rc == 0)
		config_assign(loader, secret_index, (struct str){text, n_bytes}, &loader->config->origins[file_index]);
	else
		secret_fault(loader, file_index, err.text);
	explicit_bzero(text, sizeof(text));
	free(path);
}

/* A service's secret has no key of its own: its file is said in the service's group. */
static void service_secret_load(struct config_loader *loader, struct config_service *service)
{
	size_t index = config_key_find(str_of("sagas"), str_of("services"));
	char text[SECRET_FILE_BYTES + 1], *path = NULL;
	size_t n_bytes = 0;
	struct err err;
	int rc = secret_path(service->secret_file, &path, &err);

	if (rc == 0)
		rc = secret_file_read(path, text, &n_bytes, &err);
	for (size_t i = 0; rc == 0 && i < n_bytes; i++)
		if (iscntrl((unsigned char)text[i])) /* it goes into a header */
			rc = err_set(&err, -EINVAL, "%s has a control character at byte %zu", path, i + 1);
	if (rc == 0) {
		free(service->secret);
		service->secret = strndup(text, n_bytes);
		loader->is_out_of_memory |= service->secret == NULL;
	} else {
		err_prefix(&err, "service '%s': secret_file: ", service->name);
		secret_fault(loader, index, err.text);
	}
	explicit_bzero(text, sizeof(text));
	free(path);
}

void config_secrets_read(struct config_loader *loader)
{
	struct config_services *services = &loader->config->sagas.services;

	for (uint32_t i = 0; i < services->n; i++)
		if (services->at[i].secret_file[0] != '\0')
			service_secret_load(loader, &services->at[i]);
	for (size_t i = 0; i < config_n_keys; i++) {
		size_t secret;
		enum config_origin_kind file_from = loader->config->origins[i].kind, secret_from;

		if (config_keys[i].type != CONFIG_SECRET_FILE ||
		    **config_value_text(loader->config, config_keys[i].offset) == '\0')
			continue;
		secret = secret_key_of(&config_keys[i]);
		secret_from = loader->config->origins[secret].kind;
		if (secret_from == file_from)
			secret_fault(loader, i, "the secret itself is given, too: keep one of them");
		else if (secret_from < file_from)
			secret_load(loader, i, secret);
	}
}
