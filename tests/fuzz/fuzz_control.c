/*
 * fuzz_control.c - whatever a client sends to the control socket, in pieces.
 *
 * Input: the length of the pieces, then the octets. With libFuzzer, or compiled with -DREPLAY to
 * run given files.
 */
#include "control_input.h"
#include "control_request.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void judge(const char *text)
{
	struct control_request r;
	char err[256] = "";

	if (control_request_parse(&r, text, strlen(text), err, sizeof(err)) < 0) {
		if (!*err || r.root)
			abort();
		return;
	}
	if (!r.command || r.nfiles > CONTROL_FILES_MAX)
		abort();
	(void)control_request_arg(&r, "user");
	control_request_clear(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct control_input in;
	enum control_got got = CONTROL_PART;
	char err[128] = "";
	int ends[2];

	if (size < 1 || socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0)
		return 0;
	if (control_input_open(&in) < 0)
		abort();
	for (size_t at = 1; at < size && got == CONTROL_PART;) {
		size_t n = data[0] * 16u + 1 < size - at ? data[0] * 16u + 1 : size - at;
		if (write(ends[1], data + at, n) != (ssize_t)n)
			abort();
		at += n;
		got = control_input_read(&in, ends[0], 0, err, sizeof(err));
	}
	if (got == CONTROL_WHOLE)
		judge(in.text);
	if (got == CONTROL_BAD && !*err)
		abort();
	control_input_clear(&in);
	close(ends[0]);
	close(ends[1]);
	return 0;
}

#ifdef REPLAY
int main(int argc, char *argv[])
{
	static uint8_t bytes[CONTROL_REQUEST_MAX * 2];

	for (int i = 1; i < argc; i++) {
		FILE *f = fopen(argv[i], "rb");
		if (!f)
			return 1;
		size_t n = fread(bytes, 1, sizeof(bytes), f);
		fclose(f);
		(void)LLVMFuzzerTestOneInput(bytes, n);
	}
	return 0;
}
#endif
