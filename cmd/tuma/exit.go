package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
	"github.com/spf13/cobra"

	"github.com/tuma-sms/tuma/internal/config"
	"github.com/tuma-sms/tuma/producer"
)

// Exit statuses. Scripts rely on them.
const (
	exitDone = 0
	// exitFailed: the command was used correctly but failed.
	exitFailed = 1
	// exitMisuse: the command line, the input or the configuration is wrong.
	exitMisuse = 2
	// exitNotAll: with --wait, the campaign ended, or was paused or cancelled, and not all
	// recipients were accepted.
	exitNotAll = 3
)

// exitStatus maps an error to the exit status of the process.
func exitStatus(err error) int {
	var wrong misuseError
	var broken *config.Error
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, errNotAll):
		return exitNotAll
	case errors.As(err, &wrong), errors.As(err, &broken), errors.Is(err, producer.ErrInvalid), errors.Is(err, producer.ErrConflict),
		errors.Is(err, producer.ErrNotFound), errors.Is(err, producer.ErrUnknownAccount):
		return exitMisuse
	}
	return exitFailed
}

// errNotAll is the error of a command that has waited for a campaign, and has found that not all
// recipients were accepted. The error is not printed, because the command has already printed the
// campaign's last status.
var errNotAll = errors.New("not all recipients were accepted")

// misuseError is a mistake that the user can correct: in a flag, an argument or a file.
type misuseError struct {
	err error
	// help is the command whose --help the message refers to, or empty if the message does not
	// refer to a help text.
	help string
}

// misuse returns a misuseError.
func misuse(format string, args ...any) error { return misuseError{err: fmt.Errorf(format, args...)} }

// misuseOf returns a misuseError that refers to the help of c.
func misuseOf(c *cobra.Command, format string, args ...any) error {
	return misuseError{err: fmt.Errorf(format, args...), help: c.CommandPath()}
}

// Error returns the message, followed by a reference to the command's help.
func (e misuseError) Error() string {
	var inner misuseError
	if e.help == "" || errors.As(e.err, &inner) {
		return e.err.Error()
	}
	// Some messages of cobra have several lines.
	text := strings.Join(strings.Fields(e.err.Error()), " ")
	return text + " (see " + e.help + " --help)"
}

// Unwrap returns the wrapped error.
func (e misuseError) Unwrap() error { return e.err }

// printError writes an error to standard error, one line for each mistake.
func (a *app) printError(err error) {
	if err == nil || errors.Is(err, errNotAll) {
		return
	}
	for _, line := range errorLines(err) {
		_, _ = fmt.Fprintln(a.err, "tuma: "+line)
	}
}

// errorLines returns the lines to print for an error, with advice on what to do.
func errorLines(err error) []string {
	if parts := joinedErrors(err); len(parts) > 1 {
		var lines []string
		for _, part := range parts {
			lines = append(lines, errorLines(part)...)
		}
		return lines
	}
	var wrong misuseError
	if errors.As(err, &wrong) {
		// The text of the misuseError already names file and line. So errorLines does not print
		// the texts of the errors that wrap the misuseError.
		return strings.Split(wrong.Error(), "\n")
	}
	if fields := fieldErrors(err); len(fields) > 0 {
		var lines []string
		for _, f := range fields {
			lines = append(lines, flagName(f.Field)+": "+f.Problem)
		}
		return lines
	}
	text := err.Error()
	switch {
	case redis.HasErrorPrefix(err, "READONLY"):
		return []string{text + " Set TUMA_REDIS_URL, or redis.url in tuma.yaml, to the master of this replica"}
	case redis.HasErrorPrefix(err, "CLUSTERDOWN"):
		return []string{text + ": the Redis Cluster does not serve all hash slots; run redis-cli --cluster check for details"}
	case errors.Is(err, producer.ErrConflict):
		text += "; nothing was enqueued: use another --id, or send the original content under this id"
	case errors.Is(err, producer.ErrPurged):
		text += "; to send the same text again, send a new message or campaign"
	case errors.Is(err, producer.ErrNotFound):
		text += "; 'tuma list' shows all campaigns"
	case errors.Is(err, producer.ErrUnknownAccount):
		text += "; 'tuma accounts' shows all accounts"
	case isLoginError(err):
		text = strings.TrimSuffix(text, ".") + "; add the login of Redis to the URL in TUMA_REDIS_URL or redis.url: redis://USER:PASSWORD@HOST:6379/0"
	}
	return strings.Split(text, "\n")
}

// joinedErrors returns the errors from which errors.Join has made err. It returns nil for any other
// error.
func joinedErrors(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return nil
	}
	var texts []string
	for _, part := range joined.Unwrap() {
		texts = append(texts, part.Error())
	}
	if strings.Join(texts, "\n") != err.Error() {
		return nil
	}
	return joined.Unwrap()
}

// fieldErrors returns every *producer.FieldError in the tree of err.
func fieldErrors(err error) []*producer.FieldError {
	if f, ok := err.(*producer.FieldError); ok { //nolint:errorlint // the tree is walked node by node
		return []*producer.FieldError{f}
	}
	switch e := err.(type) { //nolint:errorlint // the tree is walked node by node
	case interface{ Unwrap() error }:
		return fieldErrors(e.Unwrap())
	case interface{ Unwrap() []error }:
		var all []*producer.FieldError
		for _, inner := range e.Unwrap() {
			all = append(all, fieldErrors(inner)...)
		}
		return all
	}
	return nil
}

// flagName returns the flag that sets a field of the campaign, such as "--max-messages".
func flagName(field string) string {
	if field == "recipients" {
		return field
	}
	return "--" + strings.ReplaceAll(field, "_", "-")
}
