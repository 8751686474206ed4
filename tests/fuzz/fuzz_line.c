/*
 * fuzz_line.c - the line cutter, fed in parts of any size, agrees with the model.
 *
 * Input: limit, then (part length, ...) implied by the octets themselves: each part's length is
 * taken from the octet before it. With libFuzzer, or compiled with -DREPLAY to run given files.
 */
#include "../unit/line_model.h"

#include <stdint.h>
#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct line_story model = {0};
	struct line_reader r = {0};
	const char *bytes = (const char *)data + 2;
	size_t n, at = 0;
	unsigned part;

	if (size < 2)
		return 0;
	n = size - 2;
	part = data[1];
	r.cutter.limit = 2u + data[0];
	while (at < n) {
		size_t length = part % 97 + 1;

		if (length > n - at)
			length = n - at;
		if (!line_feed(&r, bytes + at, length))
			abort();
		at += length;
		part = (unsigned char)bytes[at - 1] + part * 31;
	}
	line_model(bytes, n, r.cutter.limit, &model);
	if (!story_equal(&model, &r.story))
		abort();
	free(model.text);
	line_reader_clear(&r);
	return 0;
}

#ifdef REPLAY
int main(int argc, char **argv)
{
	static uint8_t data[1 << 20];

	for (int i = 1; i < argc; i++) {
		FILE *in = fopen(argv[i], "rb");

		if (!in) {
			perror(argv[i]);
			return 1;
		}
		LLVMFuzzerTestOneInput(data, fread(data, 1, sizeof(data), in));
		fclose(in);
	}
	return 0;
}
#endif
