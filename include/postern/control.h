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
 *   <- {"file":{"id":N, ...}}                                     any number: see below
 *   <- {"ok":true,"result":VALUE}  or  {"ok":false,"error":"what happened and what to do"}
 *
 * The last line may have "status", one of the CONTROL_STATUS_ words: what kind of failure it is, for
 * programs; with "ok":true, why the result is not all that there is.
 *
 * Arguments are strings; a switch is true. "generation":N sends the request to the worker of that
 * generation instead of the current one. The command "help" answers with the table of commands:
 * an array of {"name","help","args":[{"name","kind","optional","confirm","writes","file",
 * "or_directory","help"}],"each_generation","changes"}; kind is one of the CONTROL_KIND_ words. "file": an
 * option whose value travels as a file does; "or_directory": a file that may be a directory.
 *
 * Commands of the supervisor itself (it runs no module code): status, generations, reload, stop,
 * reopen-logs. All others go to the current worker; so does "help", which joins both tables. With
 * the argument "own" it is answered by the supervisor, with its own table alone.
 *
 * A directory argument's value is its path, for sentences only. The server cannot open it; it asks
 * the client, which answers each question before the next is asked, within a minute:
 *
 *   <- {"file":{"id":1,"argument":"target","how":"create","path":"a/b"}}
 *   -> {"file":{"id":1,"ok":true}}                 with one descriptor (SCM_RIGHTS)
 *   -> {"file":{"id":1,"errno":2}}                 a number of errno.h
 *
 * how is one of the CONTROL_HOW_ words. path is relative to the directory, "" itself; octets that
 * are not printable ASCII, and "%", are written %XX. "rename" has the new path in "to"; it and
 * "remove" are answered without a descriptor. The client opens nothing outside of the directory: it
 * follows no link, no "..", no mount; and changes nothing unless the argument's row says "writes".
 *
 * The server checks the peer's credentials: root, the supervisor's own user, or a member of the
 * configured group.
 *
 * Change log
 *   1  first version; "status" was added compatibly; "file" lines and the kind "directory" were added compatibly: a client that
 *      does not know the kind refuses the word, so no such line ever reaches it
 */
#ifndef POSTERN_CONTROL_H
#define POSTERN_CONTROL_H

#define CONTROL_VERSION     1
#define CONTROL_SOCKET_NAME "control.sock" /* in the run directory */
#define CONTROL_REQUEST_MAX 65536          /* octets of a request line */
#define CONTROL_FILES_MAX   4
#define CONTROL_HELP_OWN    "own"

#define CONTROL_KIND_TEXT      "text"
#define CONTROL_KIND_NUMBER    "number"
#define CONTROL_KIND_FILE      "file"
#define CONTROL_KIND_OPTION    "option"
#define CONTROL_KIND_SWITCH    "switch"
#define CONTROL_KIND_SECRET    "secret"
#define CONTROL_KIND_INPUT     "input"
#define CONTROL_KIND_DIRECTORY "directory"

#define CONTROL_STATUS_NOT_FOUND "not-found" /* the account */
#define CONTROL_STATUS_GONE      "gone"
#define CONTROL_STATUS_DENIED    "denied"
#define CONTROL_STATUS_BUSY      "busy"
#define CONTROL_STATUS_FULL      "full" /* the disk */
#define CONTROL_STATUS_TEMPORARY "temporary"
#define CONTROL_STATUS_DAMAGED   "damaged"
#define CONTROL_STATUS_INVALID   "invalid"
#define CONTROL_STATUS_NO_MEMORY "no-memory"
#define CONTROL_STATUS_TOO_LARGE "too-large"
#define CONTROL_STATUS_EXISTS    "exists"
#define CONTROL_STATUS_CANCELLED "cancelled"
#define CONTROL_STATUS_QUOTA     "quota"

#define CONTROL_HOW_READ      "read"
#define CONTROL_HOW_CREATE    "create"
#define CONTROL_HOW_WRITE     "write"
#define CONTROL_HOW_DIRECTORY "directory"
#define CONTROL_HOW_RENAME    "rename"
#define CONTROL_HOW_REMOVE    "remove"

#endif
