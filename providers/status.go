package providers

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxRetryAfter bounds what a gateway may ask for: longer than an hour is more
// likely a mistake, and a human should not have to wait for it to pass.
const maxRetryAfter = time.Hour

// StatusVerdict says what an HTTP status means for the call it answers: nil for
// 2xx, whose body is the answer, and a verdict for every other status from 100 to
// 599. A status the table does not know is Unknown. retryAfter is kept as
// information whatever the status.
//
//	400 413 422          rejected,  call:    refused
//	401 403              retryable, account: credentials
//	402                  retryable, account: credit
//	429                  retryable, account: throttled
//	404 405 415          retryable, account: configuration; unknown unless errorsInBody
//	3xx                  unknown,   account: configuration
//	1xx, other 4xx, 5xx  unknown,   call:    gateway
//
// With errorsInBody the gateway answers 2xx even for its errors: what says 404, 405 or
// 415 is a web server that has nothing at this address, a wrong base URL or a parked
// domain, and cannot have taken a message. A redirect says less: it is also how many a
// form answers when it has done its work.
func StatusVerdict(op string, status int, retryAfter time.Duration, errorsInBody bool) *Error {
	if status >= 200 && status < 300 {
		return nil
	}
	e := &Error{Op: op, Code: "http " + strconv.Itoa(status), RetryAfter: retryAfter}
	switch {
	case status == http.StatusBadRequest, status == http.StatusRequestEntityTooLarge, status == http.StatusUnprocessableEntity:
		e.Outcome, e.Scope, e.Cause = Rejected, Call, CauseRefused
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		e.Outcome, e.Scope, e.Cause = Retryable, Account, CauseCredentials
	case status == http.StatusPaymentRequired:
		e.Outcome, e.Scope, e.Cause = Retryable, Account, CauseCredit
	case status == http.StatusTooManyRequests:
		e.Outcome, e.Scope, e.Cause = Retryable, Account, CauseThrottled
	case status == http.StatusNotFound, status == http.StatusMethodNotAllowed, status == http.StatusUnsupportedMediaType:
		e.Outcome, e.Scope, e.Cause = Unknown, Account, CauseConfiguration
		if errorsInBody {
			e.Outcome = Retryable
		}
	case status >= 300 && status < 400:
		e.Outcome, e.Scope, e.Cause = Unknown, Account, CauseConfiguration
	default:
		e.Outcome, e.Scope, e.Cause = Unknown, Call, CauseGateway
	}
	return e
}

// ParseRetryAfter reads a Retry-After header, in seconds or as an HTTP date, and
// returns how long from now it asks to wait: between 0 and an hour, and 0 for what
// is no such header.
func ParseRetryAfter(value string, now time.Time) time.Duration {
	value = strings.TrimSpace(value)
	if value == "" {
		return 0
	}
	if isDigits(value) {
		seconds, err := strconv.ParseInt(value, 10, 64)
		if err != nil || seconds > int64(maxRetryAfter/time.Second) {
			return maxRetryAfter
		}
		return time.Duration(seconds) * time.Second
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), maxRetryAfter)
}

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// NotUnderstood is the verdict on a reply that is not what the gateway documents:
// Unknown for the call. It tells the reply's kind and size and nothing of its
// text, which may repeat the request.
func (r *Reply) NotUnderstood(op string) *Error {
	kind := "text"
	body := strings.TrimSpace(string(r.Body[:min(len(r.Body), 64)]))
	switch {
	case body == "":
		kind = "empty"
	case body[0] == '<':
		kind = "HTML or XML"
	case body[0] == '{' || body[0] == '[':
		kind = "JSON"
	}
	return &Error{
		Op: op, Outcome: Unknown, Scope: Call, Cause: CauseNotUnderstood, Code: "http " + strconv.Itoa(r.Status),
		Err: fmt.Errorf("a reply of %d bytes (%s) is not what the gateway documents", len(r.Body), kind),
	}
}
