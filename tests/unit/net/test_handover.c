/* One server in the place of another: clients find the one or the other, and both keep to what is theirs. */
#include "rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int replace(const struct rig *older)
{
	struct err err = {""};
	int fd = -1;

	if (server_replace(&older->config, &fd, &err) != 0)
		fail_msg("%s", err.text);
	return fd;
}

static bool is_readable(int fd, int wait_ms)
{
	struct pollfd one = {.fd = fd, .events = POLLIN};

	return poll(&one, 1, wait_ms) > 0;
}

static void clients_wait_for_the_next_and_the_older_ones_stay(void **state)
{
	struct rig older, next;
	int early, late, fd;

	(void)state;
	rig_prepare(&older);
	rig_start(&older);
	early = dial(older.path);
	say(early, "a\n", 2);
	expect(early, "a\n");
	fd = replace(&older);
	late = dial(older.path);
	say(late, "b\n", 2);
	assert_false(is_readable(late, 100)); /* nobody serves it yet */
	say(early, "c\n", 2);
	expect(early, "c\n"); /* and the older server goes on */
	close(early);
	rig_end(&older);
	assert_int_equal(access(older.path, F_OK), 0); /* the file isn't the older one's any more */
	rig_prepare(&next);
	next.config.fd = fd;
	next.config.path = older.path;
	rig_start(&next);
	expect(late, "b\n");
	close(late);
	rig_end(&next);
	assert_int_equal(access(older.path, F_OK), -1); /* it was the next one's */
	rig_remove(&next);
	rig_remove(&older);
}

static void the_lock_decides_who_may_serve(void **state)
{
	struct rig older, next;
	struct err err;

	(void)state;
	rig_prepare(&older);
	rig_start(&older);
	rig_prepare(&next);
	next.config.fd = replace(&older);
	next.config.path = older.path;
	assert_int_equal(server_create(&next.loop, &next.config, &next.events, &next.server, &err), -EADDRINUSE);
	assert_non_null(strstr(err.text, "another daemon holds"));
	close(next.config.fd);
	rig_cancel(&next);
	rig_end(&older);
	assert_int_equal(unlink(older.path), 0);
	rig_remove(&older);
}

static void mode_and_leftovers_are_seen_to(void **state)
{
	struct rig older;
	char beside[128];
	struct stat found;

	(void)state;
	rig_prepare(&older);
	rig_start(&older);
	snprintf(beside, sizeof(beside), "%s.new", older.path);
	fclose(fopen(beside, "w"));
	older.config.mode = 0640;
	close(replace(&older));
	assert_int_equal(stat(older.path, &found), 0);
	assert_int_equal(found.st_mode & 07777, 0640);
	assert_int_equal(access(beside, F_OK), -1);
	rig_end(&older);
	assert_int_equal(unlink(older.path), 0);
	rig_remove(&older);
}

static void a_folder_that_is_missing_is_named(void **state)
{
	const struct server_config config = {.path = "/no/such/folder/s", .mode = 0600, .socket_gid = (gid_t)-1};
	struct err err;
	int fd = -1;

	(void)state;
	assert_int_equal(server_replace(&config, &fd, &err), -ENOENT);
	assert_non_null(strstr(err.text, "/no/such/folder/s.new"));
	assert_int_equal(fd, -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(clients_wait_for_the_next_and_the_older_ones_stay),
		cmocka_unit_test(the_lock_decides_who_may_serve),
		cmocka_unit_test(mode_and_leftovers_are_seen_to),
		cmocka_unit_test(a_folder_that_is_missing_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
