package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/tuma-sms/tuma/internal/keys"
	"github.com/tuma-sms/tuma/internal/outage"
	"github.com/tuma-sms/tuma/internal/recipients"
	"github.com/tuma-sms/tuma/internal/webhook"
	"github.com/tuma-sms/tuma/producer"
)

func init() { //nolint:gochecknoinits // huma reads these variables of its package when an operation is registered
	huma.DefaultArrayNullable = false // a list without elements is empty, never null
	make := huma.NewError
	// The problems of huma repeat the wrong value. That value may be a phone number or the text of a message.
	huma.NewError = func(status int, message string, errs ...error) huma.StatusError {
		out := make(status, message, errs...)
		if m, ok := out.(*huma.ErrorModel); ok {
			for _, d := range m.Errors {
				d.Value = nil
			}
		}
		return out
	}
}

// writeProblem writes a problem without huma.
func writeProblem(w http.ResponseWriter, p huma.StatusError) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.GetStatus())
	_ = json.NewEncoder(w).Encode(p) // the caller is gone
}

// writeJSON writes a value as JSON.
func writeJSON(w http.ResponseWriter, v any) error { return json.NewEncoder(w).Encode(v) }

// statuses has the HTTP statuses of the library's errors. The first entry that matches applies.
var statuses = []struct {
	err    error
	status int
}{
	{keys.ErrSpent, http.StatusTooManyRequests}, {errUploads, http.StatusServiceUnavailable}, {errStreams, http.StatusServiceUnavailable}, {errReports, http.StatusServiceUnavailable},
	{errTooLarge, http.StatusRequestEntityTooLarge},
	{errTooSlow, http.StatusRequestTimeout}, {errMedia, http.StatusUnsupportedMediaType}, {errForbidden, http.StatusForbidden},
	{producer.ErrNotFound, http.StatusNotFound}, {producer.ErrConflict, http.StatusUnprocessableEntity},
	{producer.ErrUnknownAccount, http.StatusUnprocessableEntity}, {producer.ErrInvalid, http.StatusUnprocessableEntity},
	{producer.ErrDone, http.StatusConflict}, {producer.ErrStopped, http.StatusConflict}, {producer.ErrBegun, http.StatusConflict},
	{producer.ErrNotEnded, http.StatusConflict}, {producer.ErrNothingToRetry, http.StatusConflict}, {producer.ErrPurged, http.StatusConflict},
	{producer.ErrPlanning, http.StatusConflict}, {producer.ErrBusy, http.StatusConflict},
	{webhook.ErrConfigured, http.StatusConflict}, {webhook.ErrChanged, http.StatusConflict},
	{producer.ErrFull, http.StatusServiceUnavailable}, {producer.ErrNotDurable, http.StatusServiceUnavailable},
}

// The method "problem" converts an error of the library to the problem that the caller gets. In the mistakes of the
// problem, fields have the names that the library uses.
func (a *API) problem(err error) error {
	var list *recipients.Error
	if errors.As(err, &list) {
		return huma.NewError(http.StatusUnprocessableEntity, "the list of recipients cannot be read", &huma.ErrorDetail{Location: "body.recipients", Message: list.Error()})
	}
	var already huma.StatusError
	if errors.As(err, &already) {
		return already
	}
	for _, s := range statuses {
		if !errors.Is(err, s.err) {
			continue
		}
		fields := fieldsOf(err)
		if len(fields) == 0 {
			return retryLater(huma.NewError(s.status, err.Error()), s.status, err)
		}
		details := make([]error, len(fields))
		for i, f := range fields {
			details[i] = &huma.ErrorDetail{Location: "body." + f.Field, Message: f.Problem}
		}
		return huma.NewError(s.status, "the request has mistakes", details...)
	}
	if outage.Away(err) {
		return retryLater(huma.NewError(http.StatusServiceUnavailable, "Redis does not answer at the moment"), http.StatusServiceUnavailable, err)
	}
	if errors.Is(err, context.Canceled) {
		// The client has closed its connection, and gets no answer.
		return retryLater(huma.NewError(http.StatusServiceUnavailable, "the request was cancelled"), http.StatusServiceUnavailable, err)
	}
	a.failures.Error().Err(err).Msg("request failed")
	return huma.NewError(http.StatusInternalServerError, "the request failed; the log of tuma serve has the reason")
}

// retryLater adds the header Retry-After to a temporary problem. After keys.ErrSpent, the request can succeed only on the
// next day.
func retryLater(p huma.StatusError, status int, err error) error {
	if status != http.StatusServiceUnavailable && status != http.StatusTooManyRequests {
		return p
	}
	wait := 2 * time.Second
	if errors.Is(err, keys.ErrSpent) {
		wait = untilTomorrow(time.Now())
	}
	return huma.ErrorWithHeaders(p, http.Header{"Retry-After": {strconv.Itoa(int(wait / time.Second))}})
}

// untilTomorrow returns the time until the next day in UTC begins, rounded up to seconds. Daily limits begin anew then. In
// the first minute of a day it returns a minute: the clock of Redis decides, and there the day may not have begun.
func untilTomorrow(now time.Time) time.Duration {
	today := now.UTC().Truncate(24 * time.Hour)
	if now.Sub(today) < time.Minute {
		return time.Minute
	}
	return (today.Add(24*time.Hour).Sub(now) + time.Second - 1).Truncate(time.Second)
}

// writeFailure writes the problem for an error that a middleware has returned.
func (a *API) writeFailure(ctx huma.Context, err error) {
	status, text := http.StatusInternalServerError, "the request failed"
	var p huma.StatusError
	if errors.As(a.problem(err), &p) {
		status, text = p.GetStatus(), p.Error()
	}
	_ = huma.WriteErr(a.huma, ctx, status, text)
}

// fieldsOf returns every mistake in the tree of err.
func fieldsOf(err error) (out []*producer.FieldError) {
	switch x := err.(type) { //nolint:errorlint // the tree is walked node by node
	case *producer.FieldError:
		return []*producer.FieldError{x}
	case interface{ Unwrap() []error }:
		for _, e := range x.Unwrap() {
			out = append(out, fieldsOf(e)...)
		}
	case interface{ Unwrap() error }:
		return fieldsOf(x.Unwrap())
	}
	return out
}
