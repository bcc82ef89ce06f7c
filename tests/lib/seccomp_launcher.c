/* Runs a program under a list of allowed system calls, as systemd's SystemCallFilter= does.
 *
 *   seccomp_launcher errno|kill FILE PROGRAM [ARGUMENT...]
 *
 * FILE has a name a line. `errno`: anything else gets EPERM, as in the unit; `kill`: it ends the program with SIGSYS,
 * so that a test finds what the daemon doesn't say. A name that this kernel or library doesn't know is passed over:
 * systemd does the same. */
#include <errno.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int allow_all(scmp_filter_ctx filter, FILE *file)
{
	char name[128];
	int n_known = 0;

	while (fscanf(file, "%127s", name) == 1) {
		int number = seccomp_syscall_resolve_name(name);

		if (number == __NR_SCMP_ERROR)
			continue;
		if (seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 0) != 0)
			fprintf(stderr, "seccomp_launcher: no rule for %s\n", name);
		else
			n_known++;
	}
	return n_known;
}

int main(int argc, char **argv)
{
	FILE *file = argc > 3 ? fopen(argv[2], "re") : NULL;
	scmp_filter_ctx filter;

	if (file == NULL) {
		fprintf(stderr, "usage: seccomp_launcher errno|kill FILE PROGRAM [ARGUMENT...]\n");
		return 125;
	}
	filter = seccomp_init(strcmp(argv[1], "kill") == 0 ? SCMP_ACT_KILL_PROCESS : SCMP_ACT_ERRNO(EPERM));
	if (filter == NULL || allow_all(filter, file) < 100 || seccomp_load(filter) != 0) {
		fprintf(stderr, "seccomp_launcher: the filter can't be loaded\n");
		return 125;
	}
	seccomp_release(filter);
	(void)fclose(file); /* read only */
	execv(argv[3], &argv[3]);
	fprintf(stderr, "seccomp_launcher: %s: %s\n", argv[3], strerror(errno));
	return 126;
}
