/*
 * supervisor_control.c - the control socket's clients: who may come in, how long and how much they
 * may send, and their answers. The requests' meaning is in supervisor_commands.c.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <jansson.h>

#include "control_failure.h"
#include "json_text.h"
#include "supervisor.h"

/* ---- the socket -------------------------------------------------------------------------------- */

static int set_address(const struct supervisor *sv, struct sockaddr_un *un)
{
	int n;

	*un = (struct sockaddr_un){.sun_family = AF_UNIX};
	n = snprintf(un->sun_path, sizeof(un->sun_path), "%s/" CONTROL_SOCKET_NAME, sv->dirs.run);
	return n > 0 && (size_t)n < sizeof(un->sun_path) ? 0 : -1;
}

int control_open(struct supervisor *sv, char *err, size_t errlen)
{
	struct sockaddr_un un;
	mode_t before;

	if (set_address(sv, &un) < 0) {
		snprintf(err, errlen, "%s: the path is too long for a socket (at most %zu octets)",
			 sv->dirs.run, sizeof(un.sun_path) - sizeof(CONTROL_SOCKET_NAME));
		return -1;
	}
	/* We hold the instance's lock: whatever lies there is of a server that is gone. */
	(void)unlink(un.sun_path);
	sv->control = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	before = umask(0117);
	if (sv->control < 0 || bind(sv->control, (struct sockaddr *)&un, sizeof(un)) < 0 ||
	    listen(sv->control, 32) < 0) {
		snprintf(err, errlen, "%s: cannot make the control socket: %s", un.sun_path,
			 strerror(errno));
		umask(before);
		return -1;
	}
	umask(before);
	return 0;
}

/* The directory may be writable for the worker: whatever has the name now, only a socket is given
 * to the group. */
void control_set_group(struct supervisor *sv, const struct child *c)
{
	gid_t group = c->has_group ? c->control_group : getegid();
	struct sockaddr_un un;
	struct stat st;
	int fd;

	sv->control_group_known = c->has_group;
	sv->control_group = c->control_group;
	if (set_address(sv, &un) < 0)
		return;
	fd = open(un.sun_path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode) && st.st_gid != group &&
	    fchownat(fd, "", (uid_t)-1, group, AT_EMPTY_PATH) < 0)
		supervisor_log(sv, PSTN_WARNING, "control",
			       "%s: cannot be given to the control group: %s", un.sun_path,
			       strerror(errno));
	if (fd >= 0)
		close(fd);
}

/* ---- who may ----------------------------------------------------------------------------------- */

static bool in_group(int fd, gid_t primary, gid_t wanted)
{
	gid_t groups[256];
	socklen_t size = sizeof(groups);

	if (primary == wanted)
		return true;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) < 0)
		return false;
	for (size_t i = 0; i < size / sizeof(groups[0]); i++)
		if (groups[i] == wanted)
			return true;
	return false;
}

static bool may_ask(const struct supervisor *sv, const struct client *c)
{
	return c->uid == 0 || c->uid == geteuid() ||
	       (sv->control_group_known && in_group(c->fd, c->gid, sv->control_group));
}

static struct client *free_client(struct supervisor *sv)
{
	for (int i = 0; i < CLIENTS_MAX; i++)
		if (sv->clients[i].fd < 0)
			return &sv->clients[i];
	return NULL;
}

static void turn_away(int fd, const char *sentence, int status)
{
	char line[256];
	int n = snprintf(line, sizeof(line), "{\"ok\":false,\"error\":\"%s\",\"status\":\"%s\"}\n",
			 sentence, control_status_word(status));

	(void)send(fd, line, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT);
	close(fd);
}

static void welcome(struct supervisor *sv, int fd)
{
	struct client *c = free_client(sv);
	struct ucred cred;
	socklen_t size = sizeof(cred);
	bool permitted = false;

	if (!c) {
		turn_away(fd, "too many control connections; try again soon", PSTN_E_BUSY);
		return;
	}
	*c = (struct client){.fd = fd, .deadline = supervisor_now() + CLIENT_TIMEOUT};
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size) == 0) {
		c->uid = cred.uid;
		c->gid = cred.gid;
		c->pid = cred.pid;
		permitted = may_ask(sv, c) && control_input_open(&c->in) == 0;
	}
	if (!permitted) {
		c->fd = -1;
		turn_away(fd,
			  "not permitted: be root, the user that runs posternd, or in the "
			  "group that server.control.group names",
			  PSTN_E_DENIED);
	}
}

void control_accept(struct supervisor *sv)
{
	for (int i = 0; i < 16; i++) {
		int fd = accept4(sv->control, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd < 0)
			return;
		welcome(sv, fd);
	}
}

/* ---- answers ----------------------------------------------------------------------------------- */

static void drop(struct client *c)
{
	control_input_clear(&c->in);
	close(c->fd);
	free(c->out);
	*c = (struct client){.fd = -1};
}

static void flush(struct client *c)
{
	while (c->out_sent < c->out_size) {
		ssize_t n = send(c->fd, c->out + c->out_sent, c->out_size - c->out_sent,
				 MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			drop(c);
			return;
		}
		c->out_sent += (size_t)n;
		if (c->deadline)
			c->deadline = supervisor_now() + CLIENT_TIMEOUT;
	}
	if (c->state == CLIENT_ENDING)
		drop(c);
}

/* Takes over `answer`. The last one of a connection has ended set. */
static void say(struct client *c, json_t *answer, bool ended)
{
	char *text = answer ? json_dumps(answer, JSON_COMPACT) : NULL;
	size_t n = text ? strlen(text) : 0;
	char *out = text && c->out_size + n + 1 <= CLIENT_OUTPUT_MAX
			? realloc(c->out, c->out_size + n + 1)
			: NULL;

	json_decref(answer);
	if (out) {
		memcpy(out + c->out_size, text, n);
		out[c->out_size + n] = '\n';
		c->out = out;
		c->out_size += n + 1;
	}
	free(text);
	if (ended) {
		c->state = CLIENT_ENDING;
		c->deadline = supervisor_now() + CLIENT_TIMEOUT;
	}
	flush(c);
}

void client_note(struct supervisor *sv, struct client *c, const char *text)
{
	(void)sv;
	say(c, json_pack("{s:o}", "note", json_text(text)), false);
}

void client_error(struct supervisor *sv, struct client *c, const char *text)
{
	(void)sv;
	say(c, control_failure(text, 0), true);
}

void client_later(struct supervisor *sv, struct client *c, const char *text)
{
	(void)sv;
	say(c, control_failure(text, PSTN_E_TEMPORARY), true);
}

void client_ok(struct supervisor *sv, struct client *c, json_t *result)
{
	(void)sv;
	say(c, json_pack("{s:b, s:o}", "ok", 1, "result", result ? result : json_null()), true);
}

void client_part(struct supervisor *sv, struct client *c, json_t *result)
{
	(void)sv;
	say(c,
	    json_pack("{s:b, s:o, s:s}", "ok", 1, "result", result ? result : json_null(), "status",
		      CONTROL_STATUS_TEMPORARY),
	    true);
}

/* ---- requests ---------------------------------------------------------------------------------- */

/* An id begins with its session's generation in base 32 ("8.3f"): `kick` finds its worker by it. */
static struct child *child_of_session(const struct supervisor *sv, const char *id)
{
	static const char digits[] = "0123456789abcdefghjkmnpqrstvwxyz";
	const char *digit;
	uint64_t generation = 0;

	for (; *id && (digit = strchr(digits, *id)); id++)
		generation = generation << 5 | (uint64_t)(digit - digits);
	return *id == '.' ? child_of_generation(sv, generation) : NULL;
}

static struct child *find_worker(const struct supervisor *sv, const struct control_request *r)
{
	const char *id = control_request_arg(r, "id");
	struct child *worker = NULL;

	if (r->generation)
		return child_of_generation(sv, r->generation);
	if (id && strcmp(r->command, "kick") == 0)
		worker = child_of_session(sv, id);
	return worker ? worker : sv->current;
}

/* clients_timers() asks again, until it is false. */
static bool hold(struct client *c)
{
	uint64_t now = supervisor_now();

	if (c->state == CLIENT_READING) {
		c->state = CLIENT_HELD;
		c->deadline = now + CLIENT_HOLD;
	}
	return now < c->deadline;
}

static void hand_over(struct supervisor *sv, struct client *c, const struct control_request *r)
{
	struct child *worker = find_worker(sv, r);
	struct link_message *m = &sv->message;

	if (!worker || worker->link < 0 || worker->state == CHILD_CANDIDATE) {
		if (r->generation)
			client_error(sv, c,
				     "there is no such generation; posternctl generations lists "
				     "them");
		else
			client_later(sv, c,
				     "no worker serves at the moment; posternctl status tells why");
		return;
	}
	link_begin(m, LINK_CONTROL);
	link_put_number(m, c->uid);
	link_put_text(m, c->in.text);
	link_put_number(m, ++sv->last_ticket);
	link_put_fd(m, c->fd);
	for (unsigned i = 0; i < c->in.nfiles; i++)
		link_put_fd(m, c->in.files[i]);
	int sent = link_send(worker->link, m, false);
	link_wipe(m);
	if (sent < 0) {
		if (!hold(c))
			client_later(sv, c, "the worker does not listen; try again soon");
		return;
	}
	c->state = CLIENT_HANDED;
	c->deadline = supervisor_now() + CLIENT_TIMEOUT;
	c->generation = worker->generation;
	c->ticket = sv->last_ticket;
}

static bool is_ours(const struct supervisor *sv, const struct control_request *r)
{
	static const char *const ours[] = {"status", "generations", "reload", "stop",
					   "reopen-logs"};

	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		if (strcmp(r->command, ours[i]) == 0)
			return true;
	/* A candidate reads the file with the rights that a reload would have. */
	if (strcmp(r->command, "config check") == 0 && r->nfiles == 0 && r->generation == 0)
		return sv->options->mode != MODE_SINGLE;
	if (strcmp(r->command, "help") != 0)
		return false;
	return !sv->current || sv->current->link < 0 || control_request_arg(r, CONTROL_HELP_OWN);
}

/* For the moment between two workers: a delivery that comes then is not to fail. When starting fails
 * again and again, people want to hear of it at once. */
static bool has_to_wait(const struct supervisor *sv, const struct control_request *r)
{
	bool serves = sv->current && sv->current->link >= 0;
	bool for_us = is_ours(sv, r) && strcmp(r->command, "help") != 0;

	return !serves && !for_us && r->generation == 0 && !sv->stopping &&
	       sv->restart_at <= supervisor_now() + CLIENT_HOLD / 5;
}

static void carry_out(struct supervisor *sv, struct client *c, const struct control_request *r)
{
	if (is_ours(sv, r))
		supervisor_command(sv, c, r);
	else
		hand_over(sv, c, r);
}

static void serve(struct supervisor *sv, struct client *c)
{
	struct control_request r;
	char err[256];

	if (control_request_parse(&r, c->in.text, strlen(c->in.text), err, sizeof(err)) < 0) {
		client_error(sv, c, err);
		return;
	}
	if (r.nfiles != c->in.nfiles)
		client_error(sv, c, "\"files\" does not name as many as there are descriptors");
	else if (!has_to_wait(sv, &r) || !hold(c))
		carry_out(sv, c, &r);
	control_request_clear(&r);
}

static void read_request(struct supervisor *sv, struct client *c)
{
	char err[128];

	switch (control_input_read(&c->in, c->fd, MSG_DONTWAIT, err, sizeof(err))) {
	case CONTROL_GONE:
		drop(c);
		break;
	case CONTROL_PART:
		break;
	case CONTROL_WHOLE:
		serve(sv, c);
		break;
	case CONTROL_BAD:
		client_error(sv, c, err);
	}
}

void client_event(struct supervisor *sv, struct client *c, bool readable)
{
	if (c->fd < 0)
		return;
	if (readable && c->state == CLIENT_READING)
		read_request(sv, c);
	else if (readable && c->out_sent == c->out_size)
		drop(c); /* it hung up; what it asked for goes on */
	else
		flush(c);
}

void clients_took(struct supervisor *sv, const struct child *worker, uint64_t ticket)
{
	for (int i = 0; i < CLIENTS_MAX; i++) {
		struct client *c = &sv->clients[i];
		if (c->fd >= 0 && c->state == CLIENT_HANDED && c->ticket == ticket &&
		    c->generation == worker->generation)
			drop(c);
	}
}

void clients_take_back(struct supervisor *sv, unsigned generation)
{
	for (int i = 0; i < CLIENTS_MAX; i++) {
		struct client *c = &sv->clients[i];
		if (c->fd >= 0 && c->state == CLIENT_HANDED && c->generation == generation) {
			c->state = CLIENT_READING;
			serve(sv, c);
		}
	}
}

static void run_out(struct supervisor *sv, struct client *c)
{
	if (c->state == CLIENT_HANDED)
		client_later(sv, c, "the worker does not listen; try again soon");
	else
		drop(c);
}

void clients_timers(struct supervisor *sv)
{
	uint64_t now = supervisor_now();

	for (int i = 0; i < CLIENTS_MAX; i++) {
		struct client *c = &sv->clients[i];
		if (c->fd >= 0 && c->state == CLIENT_HELD)
			serve(sv, c);
		else if (c->fd >= 0 && c->deadline && now >= c->deadline)
			run_out(sv, c);
	}
}

uint64_t clients_next(const struct supervisor *sv)
{
	uint64_t due = 0;

	for (int i = 0; i < CLIENTS_MAX; i++) {
		const struct client *c = &sv->clients[i];
		if (c->fd >= 0 && c->deadline && (due == 0 || c->deadline < due))
			due = c->deadline;
	}
	return due;
}

void control_close(struct supervisor *sv)
{
	struct sockaddr_un un;

	for (int i = 0; i < CLIENTS_MAX; i++) {
		struct client *c = &sv->clients[i];
		if (c->fd >= 0 && c->state != CLIENT_STOPPING)
			drop(c);
	}
	if (sv->control < 0)
		return;
	if (set_address(sv, &un) == 0)
		(void)unlink(un.sun_path);
	close(sv->control);
	sv->control = -1;
}

void control_farewell(struct supervisor *sv)
{
	for (int i = 0; i < CLIENTS_MAX; i++) {
		struct client *c = &sv->clients[i];
		if (c->fd >= 0)
			client_ok(sv, c, json_string("posternd has stopped"));
		if (c->fd >= 0)
			drop(c);
	}
}
