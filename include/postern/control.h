/*
 * postern/control.h - the control protocol, spoken over the instance's UNIX stream socket.
 *
 * One request per connection. The client sends one JSON object and a newline; descriptors for file
 * and input arguments travel with its first octet (SCM_RIGHTS), in the order of the "files" array.
 * The server answers with JSON objects, a line each, and closes:
 *
 *   -> {"version":1,"command":"mailbox deliver","args":{"user":"a@b"},"files":["message"]}
 *   <- {"progress":{"done":10,"total":200,"unit":"messages"}}     any number
 *   <- {"note":"text for the person"}                             any number
 *   <- {"bytes":"<base64>"}                                       any number: raw output
 *   <- {"ok":true,"result":VALUE}  or  {"ok":false,"error":"what happened and what to do"}
 *
 * Arguments are strings; a switch is true. "generation":N sends the request to the worker of that
 * generation instead of the current one. The command "help" answers with the table of commands:
 * an array of {"name","help","args":[{"name","kind","optional","confirm","help"}],
 * "each_generation","changes"}; kind is one of the CONTROL_KIND_ words.
 *
 * Commands of the supervisor itself (it runs no module code): status, generations, reload, stop,
 * reopen-logs. All others go to the current worker; so does "help", which joins both tables. With
 * the argument "own" it is answered by the supervisor, with its own table alone.
 * The server checks the peer's credentials: root, the supervisor's own user, or a member of the
 * configured group.
 *
 * Change log
 *   1  first version
 */
#ifndef POSTERN_CONTROL_H
#define POSTERN_CONTROL_H

#define CONTROL_VERSION     1
#define CONTROL_SOCKET_NAME "control.sock" /* in the run directory */
#define CONTROL_REQUEST_MAX 65536          /* octets of a request line */
#define CONTROL_FILES_MAX   4
#define CONTROL_HELP_OWN    "own"

#define CONTROL_KIND_TEXT   "text"
#define CONTROL_KIND_NUMBER "number"
#define CONTROL_KIND_FILE   "file"
#define CONTROL_KIND_OPTION "option"
#define CONTROL_KIND_SWITCH "switch"
#define CONTROL_KIND_SECRET "secret"
#define CONTROL_KIND_INPUT  "input"

#endif
