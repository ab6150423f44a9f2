package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/producer"
)

// The exit statuses; scripts rely on them.
const (
	exitDone = 0
	// exitFailed: the command was right and could not be carried out.
	exitFailed = 1
	// exitMisuse: the command line, the input or the configuration has to be changed.
	exitMisuse = 2
	// exitNotAll: with --wait, the campaign ended, or was paused or cancelled, with
	// recipients that were not accepted.
	exitNotAll = 3
)

// exitStatus is the one place where errors become exit statuses.
func exitStatus(err error) int {
	var wrong misuseError
	var broken *configError
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

// errNotAll ends a wait for a campaign that has not had all recipients accepted.
// What there is to say has been said with its last status.
var errNotAll = errors.New("not all recipients were accepted")

// misuseError is the user's to put right: a flag, an argument, a file.
type misuseError struct {
	err error
	// help is the command whose help tells more, or empty.
	help string
}

// misuse makes a misuseError.
func misuse(format string, args ...any) error { return misuseError{err: fmt.Errorf(format, args...)} }

// Error says what is wrong and where to read on.
func (e misuseError) Error() string {
	var inner misuseError
	if e.help == "" || errors.As(e.err, &inner) {
		return e.err.Error()
	}
	// cobra's suggestions come on lines of their own.
	text := strings.Join(strings.Fields(e.err.Error()), " ")
	return text + " (see " + e.help + " --help)"
}

// Unwrap returns what is wrong.
func (e misuseError) Unwrap() error { return e.err }

// complain tells people what went wrong, a line a mistake.
func (a *app) printError(err error) {
	if err == nil || errors.Is(err, errNotAll) {
		return
	}
	for _, line := range errorLines(err) {
		_, _ = fmt.Fprintln(a.err, "tuma: "+line)
	}
}

// explain says what went wrong and what to do about it.
func errorLines(err error) []string {
	var wrong misuseError
	if errors.As(err, &wrong) {
		// Inside of what the library makes of it stands our own sentence, with file and line.
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
		return []string{text + " Say where its master is with TUMA_REDIS_URL or redis.url in tuma.yaml"}
	case redis.HasErrorPrefix(err, "CLUSTERDOWN"):
		return []string{text + ": its cluster does not serve all hash slots; redis-cli --cluster check tells more"}
	case errors.Is(err, producer.ErrConflict):
		text += "; nothing was enqueued: take another --id, or send what was sent under this one"
	case errors.Is(err, producer.ErrNotFound):
		text += "; see tuma list"
	case errors.Is(err, producer.ErrUnknownAccount):
		text += "; see tuma accounts"
	case redis.HasErrorPrefix(err, "NOAUTH"), redis.HasErrorPrefix(err, "WRONGPASS"):
		text += "; put the login of Redis into redis.url or TUMA_REDIS_URL"
	}
	return strings.Split(text, "\n")
}

// fieldErrors finds every mistake in a campaign.
func fieldErrors(err error) []*producer.FieldError {
	if f, ok := err.(*producer.FieldError); ok { //nolint:errorlint // the tree is walked node by node
		return []*producer.FieldError{f}
	}
	switch e := err.(type) { //nolint:errorlint // the same
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

// flagOf is what a campaign's field is called on the command line.
func flagName(field string) string {
	if field == "recipients" {
		return field
	}
	return "--" + strings.ReplaceAll(field, "_", "-")
}
