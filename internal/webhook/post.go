package webhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"
)

// Attempt is the outcome of one request to an endpoint.
type Attempt struct {
	// Delivered is true if the receiver answered with a status from 200 to 299.
	Delivered bool `json:"delivered"`
	// Status is the HTTP status of the answer. It is 0 if the receiver did not answer.
	Status int `json:"status,omitempty"`
	// Error is the reason why the message was not delivered. It contains no text from the
	// receiver's answer.
	Error string `json:"error,omitempty"`
	// Milliseconds is how long the request took.
	Milliseconds int64 `json:"milliseconds"`
	// retryAfter is the wait in the header Retry-After. It is 0 if the answer has no such
	// header.
	retryAfter time.Duration
}

// maxRetryAfter is the longest wait that a receiver can request.
const maxRetryAfter = time.Hour

// sender sends messages. It is safe for concurrent use.
type sender struct {
	guarded, private *http.Client
	timeout          time.Duration
}

func newSender(resolver *net.Resolver) *sender {
	return &sender{guarded: newClient(resolver, false), private: newClient(resolver, true), timeout: requestTimeout}
}

// The method "close" closes the idle connections.
func (s *sender) close() {
	s.guarded.CloseIdleConnections()
	s.private.CloseIdleConnections()
}

// The method "send" signs one message with the time in the parameter "at", and sends the message.
func (s *sender) send(ctx context.Context, e *Endpoint, id string, at time.Time, body []byte) Attempt {
	began := time.Now()
	a := s.post(ctx, e, id, at, body)
	a.Milliseconds = time.Since(began).Milliseconds()
	return a
}

func (s *sender) post(ctx context.Context, e *Endpoint, id string, at time.Time, body []byte) Attempt {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, e.URL, bytes.NewReader(body))
	if err != nil {
		return Attempt{Error: "the URL cannot be used"} // the error contains the URL
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "Tuma-Webhooks")
	if err := sign(r.Header, e.Secrets, id, at, body); err != nil {
		return Attempt{Error: err.Error()}
	}
	client := s.guarded
	if e.AllowPrivate {
		client = s.private
	}
	res, err := client.Do(r)
	if err != nil {
		return Attempt{Error: reasonOf(err)}
	}
	defer res.Body.Close()
	_, _ = io.CopyN(io.Discard, res.Body, maxAnswer) // read a short answer to its end, so that its connection can be used again
	a := Attempt{Status: res.StatusCode, Delivered: res.StatusCode >= 200 && res.StatusCode <= 299, retryAfter: retryAfter(res.Header)}
	switch {
	case a.Delivered:
	case res.StatusCode >= 300 && res.StatusCode <= 399:
		a.Error = fmt.Sprintf("the receiver answered %d: redirects are not followed", res.StatusCode)
	default:
		a.Error = fmt.Sprintf("the receiver answered %d", res.StatusCode)
	}
	return a
}

// reasonOf returns the reason why a request got no answer. The reason does not contain the URL.
func reasonOf(err error) string {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	dns, notFound := errors.AsType[*net.DNSError](err)
	switch {
	case errors.Is(err, errPrivate):
		return errPrivate.Error()
	case errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded):
		return "no answer in time"
	case notFound && dns.IsNotFound:
		return "the name of the host does not exist"
	}
	return fmt.Sprintf("no answer: %.120s", err)
}

// The function "retryAfter" returns the seconds of the header Retry-After, up to maxRetryAfter.
func retryAfter(h http.Header) time.Duration {
	n, err := strconv.Atoi(h.Get("Retry-After"))
	if err != nil || n < 0 {
		return 0
	}
	return min(time.Duration(min(n, 1<<20))*time.Second, maxRetryAfter)
}
