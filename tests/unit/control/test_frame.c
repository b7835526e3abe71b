// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "control/frame.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static int near, far; /* two ends of a stream, neither of which waits */

static void open_stream(void)
{
	int ends[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
	near = ends[0];
	far = ends[1];
}

static void close_stream(void)
{
	close(near);
	close(far);
}

static void put(const char *octets, size_t count)
{
	cr_assert_eq(write(far, octets, count), (ssize_t)count);
}

TestSuite(frame_read, .init = open_stream, .fini = close_stream);
TestSuite(frame_write, .init = open_stream, .fini = close_stream);

Test(frame_read, takes_one_frame_and_no_octet_more)
{
	struct frame_reader reader;

	put("\0\0\0\x05helloNEXT", 13);
	frame_reader_init(&reader, 16);
	cr_assert_eq(frame_read(&reader, near), 0);
	cr_assert_eq(reader.body_bytes, 5);
	cr_assert_str_eq(reader.body, "hello");
	char next[8] = "";
	cr_assert_eq(read(near, next, sizeof(next)), 4);
	cr_assert_str_eq(next, "NEXT");
	frame_reader_reset(&reader);
}

Test(frame_read, keeps_its_place_at_every_octet)
{
	static const char octets[] = "\0\0\0\x02{}";
	struct frame_reader reader;

	frame_reader_init(&reader, 16);
	cr_assert_eq(frame_read(&reader, near), -EAGAIN);
	for (size_t i = 0; i < 5; i++) {
		put(octets + i, 1);
		cr_assert_eq(frame_read(&reader, near), -EAGAIN);
	}
	put(octets + 5, 1);
	cr_assert_eq(frame_read(&reader, near), 0);
	cr_assert_str_eq(reader.body, "{}");
	frame_reader_reset(&reader);
}

Test(frame_read, is_ready_for_the_next_frame_after_a_reset)
{
	struct frame_reader reader;

	put("\0\0\0\x01"
	    "a"
	    "\0\0\0\x02"
	    "bc",
	    11);
	frame_reader_init(&reader, 2);
	cr_assert_eq(frame_read(&reader, near), 0);
	frame_reader_reset(&reader);
	cr_assert_null(reader.body);
	cr_assert_eq(frame_read(&reader, near), 0);
	cr_assert_str_eq(reader.body, "bc");
	frame_reader_reset(&reader);
}

Test(frame_read, tells_an_end_between_frames_from_one_within)
{
	struct frame_reader reader;

	put("\0\0\0\x03"
	    "ab",
	    6);
	shutdown(far, SHUT_WR);
	frame_reader_init(&reader, 16);
	cr_assert_eq(frame_read(&reader, near), -EPROTO);
	frame_reader_reset(&reader);
	cr_assert_eq(frame_read(&reader, near), -ENODATA);
}

Test(frame_read, an_end_within_the_length_is_within_a_frame)
{
	struct frame_reader reader;

	put("\0\0", 2);
	shutdown(far, SHUT_WR);
	frame_reader_init(&reader, 16);
	cr_assert_eq(frame_read(&reader, near), -EPROTO);
}

Test(frame_read, the_limit_itself_is_allowed_and_one_more_is_not)
{
	struct frame_reader reader;

	put("\0\0\0\x04"
	    "abcd"
	    "\0\0\0\x05",
	    12);
	frame_reader_init(&reader, 4);
	cr_assert_eq(frame_read(&reader, near), 0);
	frame_reader_reset(&reader);
	cr_assert_eq(frame_read(&reader, near), -EMSGSIZE);
	cr_assert_null(reader.body);
}

Test(frame_read, the_greatest_length_is_refused)
{
	struct frame_reader reader;

	put("\xff\xff\xff\xff", 4);
	frame_reader_init(&reader, FRAME_REPLY_MAX);
	cr_assert_eq(frame_read(&reader, near), -EMSGSIZE);
}

Test(frame_read, an_empty_frame_is_refused)
{
	struct frame_reader reader;

	put("\0\0\0\0", 4);
	frame_reader_init(&reader, 16);
	cr_assert_eq(frame_read(&reader, near), -EBADMSG);
}

static void interrupt(int signal)
{
	if (write(far, "\0\0\0\x01x", 5) < 0)
		_exit(1);
}

/* The frame is sent by a signal handler, out of the very read() that waits for it. */
Test(frame_read, goes_on_after_a_signal)
{
	struct sigaction action = {.sa_handler = interrupt};
	struct itimerval soon = {.it_value.tv_usec = 20000};
	struct frame_reader reader;

	fcntl(near, F_SETFL, 0);
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &soon, NULL);
	frame_reader_init(&reader, 16);
	cr_assert_eq(frame_read(&reader, near), 0);
	cr_assert_str_eq(reader.body, "x");
	frame_reader_reset(&reader);
}

Test(frame_read, a_receive_timeout_reads_as_nothing_yet)
{
	struct timeval patience = {.tv_usec = 1000};
	struct frame_reader reader;

	fcntl(near, F_SETFL, 0);
	setsockopt(near, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	frame_reader_init(&reader, 16);
	cr_assert_eq(frame_read(&reader, near), -EAGAIN);
}

Test(frame_write, puts_the_length_big_endian_before_the_body)
{
	struct frame_writer writer;
	char body[258], octets[300];

	memset(body, 'b', sizeof(body));
	cr_assert_eq(frame_writer_init(&writer, body, sizeof(body)), 0);
	cr_assert_eq(frame_write(&writer, near), 0);
	cr_assert_eq(read(far, octets, sizeof(octets)), 262);
	cr_assert_arr_eq(octets, "\0\0\x01\x02", 4);
	cr_assert_arr_eq(octets + 4, body, 258);
}

Test(frame_write, keeps_its_place_when_the_socket_is_full)
{
	enum { BYTES = 4 << 20 };
	char *body = malloc(BYTES);
	struct frame_writer writer;
	struct frame_reader reader;
	int sent = -EAGAIN, got = -EAGAIN;

	for (size_t i = 0; i < BYTES; i++)
		body[i] = (char)(i * 2654435761u >> 24);
	frame_writer_init(&writer, body, BYTES);
	frame_reader_init(&reader, FRAME_REPLY_MAX);
	cr_assert_eq(frame_write(&writer, near), -EAGAIN);
	while (sent == -EAGAIN || got == -EAGAIN) {
		got = frame_read(&reader, far);
		sent = frame_write(&writer, near);
	}
	cr_assert_eq(sent, 0);
	cr_assert_eq(got, 0);
	cr_assert_eq(reader.body_bytes, BYTES);
	cr_assert_eq(memcmp(reader.body, body, BYTES), 0);
	frame_reader_reset(&reader);
	free(body);
}

Test(frame_write, a_reader_that_is_gone_is_an_error_and_no_signal)
{
	struct frame_writer writer;

	shutdown(far, SHUT_RD);
	frame_writer_init(&writer, "x", 1);
	cr_assert_eq(frame_write(&writer, near), -EPIPE);
}

Test(frame_write, the_longest_reply_is_allowed_and_one_octet_more_is_not)
{
	struct frame_writer writer;

	cr_assert_eq(frame_writer_init(&writer, "", FRAME_REPLY_MAX), 0);
	cr_assert_arr_eq(writer.header, "\x04\0\0\0", 4);
	cr_assert_eq(frame_writer_init(&writer, "", FRAME_REPLY_MAX + 1), -EMSGSIZE);
}
