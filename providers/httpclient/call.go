// Package httpclient has the HTTP client of all gateways. A Client sends each request at most once:
// it never repeats a request and never follows a redirect. A Client also knows whether any byte of a
// request can have left this machine. So its error for a failed call says "not sent" only if the
// request was certainly not sent. Otherwise the outcome is unknown. The package also writes forms,
// reads the JSON objects, amounts and callbacks of gateways, and keeps secrets out of errors.
//
// Only the packages of gateways import httpclient. The worker uses a gateway through the contract in
// package providers.
package httpclient

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"time"

	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/providers/internal/dial"
)

// These are the defaults of ClientConfig. DefaultMaxReply is in bytes (16 MiB).
const (
	DefaultTimeout     = 30 * time.Second
	DefaultConcurrency = 8
	DefaultMaxReply    = 16 << 20
)

// FormContentType is the Content-Type of a form in a request's body.
const FormContentType = "application/x-www-form-urlencoded"

const (
	dialTimeout = 10 * time.Second // dialTimeout is the time limit for opening a connection, TCP and TLS together.
	// idleTimeout is shorter than the 5 s after which Apache closes an idle connection by default.
	// The client must close an idle connection before the server closes it. If the server closes
	// the connection while a request is on its way, the outcome of the request is unknown. Opening
	// a new connection takes only about 0.1 s.
	idleTimeout = 4 * time.Second
	// wireBuffer is the size of the read and write buffers in bytes. It is large enough for a call of
	// 500 recipients, so that the client needs one write for the call, and a few reads for the reply.
	wireBuffer = 32 << 10
	// maxReplyHeader is the maximum size of a reply's headers in bytes. The limit is far more than
	// any gateway sends, and far less than the 10 MB that net/http allows.
	maxReplyHeader = 64 << 10
)

// Client is the HTTP client of all providers. A Client sends a request at most once. If a request
// gets no answer, the Client knows whether any byte of the request was written. It follows no
// redirects, keeps no cookies and never retries. It is safe for concurrent use.
type Client struct {
	base      url.URL
	timeout   time.Duration
	maxReply  int64
	now       func() time.Time
	scrubber  *strings.Replacer
	transport *http.Transport
}

// ClientConfig configures a Client. If a field has the zero value, its default applies.
type ClientConfig struct {
	// BaseURL is the scheme, the host and an optional path prefix; Request.Path is appended to it.
	// BaseURL is required. Its scheme must be https unless the host is loopback or AllowHTTP is
	// set. BaseURL must not hold a login, query or fragment.
	BaseURL string
	// Timeout is the time limit of a whole call, from the dial to the last byte of the reply.
	// Timeout must not be negative. Default: DefaultTimeout.
	Timeout time.Duration
	// Concurrency is the usual number of calls in flight at once. The Client keeps at most this
	// number of connections open between calls. Concurrency must not be negative. Default:
	// DefaultConcurrency.
	Concurrency int
	// MaxReply is the maximum size of a reply's body in bytes. Default: DefaultMaxReply.
	MaxReply int64
	// AllowHTTP permits a plain http base URL to a host that is not loopback.
	AllowHTTP bool
	// Secrets are masked in every error.
	Secrets []providers.Secret
	// RootCAs are the certificate authorities that verify the gateway's certificate. Default: the
	// certificate authorities of the system.
	RootCAs *x509.CertPool
	// Now returns the current time. The Client compares that time with the deadline before it
	// writes the first byte of a request. Default: time.Now.
	Now func() time.Time
}

// NewClient returns a Client. The returned error joins a *FieldError for each mistake in base_url,
// timeout and concurrency.
//
// The client does not use HTTP/2. With only one request at a time on a connection, the client knows
// whether a request was written. A broken connection then makes the outcome of only one call unknown.
// The client uses the proxy that the environment names, but not for loopback addresses.
func NewClient(cfg ClientConfig) (*Client, error) {
	base, err := parseBase(cfg.BaseURL, cfg.AllowHTTP)
	if cfg.Timeout < 0 {
		err = errors.Join(err, providers.Mistake("timeout", "must not be negative"))
	}
	if cfg.Concurrency < 0 {
		err = errors.Join(err, providers.Mistake("concurrency", "must not be negative"))
	}
	if err != nil {
		return nil, err
	}
	c := &Client{base: *base, timeout: cfg.Timeout, maxReply: cfg.MaxReply, now: cfg.Now, scrubber: newScrubber(cfg.Secrets)}
	if c.timeout == 0 {
		c.timeout = DefaultTimeout
	}
	if c.maxReply == 0 {
		c.maxReply = DefaultMaxReply
	}
	if c.now == nil {
		c.now = time.Now
	}
	concurrency := cfg.Concurrency
	if concurrency == 0 {
		concurrency = DefaultConcurrency
	}
	c.transport = newTransport(concurrency, cfg.RootCAs)
	return c, nil
}

func newTransport(concurrency int, roots *x509.CertPool) *http.Transport {
	secure := &tls.Config{
		MinVersion:         tls.VersionTLS12,
		RootCAs:            roots,
		ClientSessionCache: tls.NewLRUClientSessionCache(concurrency),
		NextProtos:         []string{"http/1.1"},
	}
	plainDialer := &net.Dialer{Timeout: dialTimeout}
	tlsDialer := &tls.Dialer{NetDialer: plainDialer, Config: secure}
	gated := func(open func(ctx context.Context, network, addr string) (net.Conn, error)) func(context.Context, string, string) (net.Conn, error) {
		return func(ctx context.Context, network, addr string) (net.Conn, error) {
			if err := dial.Refusal(network, addr); err != nil {
				return nil, err
			}
			conn, err := open(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			return &gateConn{Conn: conn}, nil
		}
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            gated(plainDialer.DialContext),
		DialTLSContext:         gated(tlsDialer.DialContext),
		TLSClientConfig:        secure, // used only with a proxy: then the transport itself creates the TLS connection
		TLSHandshakeTimeout:    dialTimeout,
		Protocols:              protocols,
		DisableCompression:     true, // replies are small; without compression, MaxReply limits the bytes that the gateway sends
		MaxIdleConnsPerHost:    concurrency,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: maxReplyHeader,
		WriteBufferSize:        wireBuffer,
		ReadBufferSize:         wireBuffer,
	}
}

// parseBase parses a base URL and returns it without a slash at its end. Its error does not contain
// the URL, which may hold a password.
func parseBase(raw string, allowHTTP bool) (*url.URL, error) {
	u, err := url.Parse(raw)
	switch {
	case raw == "":
		return nil, providers.Mistake("base_url", "is missing")
	case err != nil:
		return nil, providers.Mistake("base_url", "must be a URL, e.g. https://gateway.example")
	case u.Scheme != "https" && u.Scheme != "http", u.Hostname() == "":
		return nil, providers.Mistake("base_url", "must begin with https:// and a host")
	case u.User != nil:
		return nil, providers.Mistake("base_url", "must not hold a login")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, providers.Mistake("base_url", "must not hold a query or a fragment")
	case u.Scheme == "http" && !allowHTTP && !loopback(u.Hostname()):
		return nil, providers.Mistake("base_url", "plain http is refused; use https, or set allow_http: true")
	}
	u.Host = strings.TrimSuffix(strings.ToLower(u.Host), map[string]string{"https": ":443", "http": ":80"}[u.Scheme])
	u.Path = strings.TrimRight(u.Path, "/")
	u.RawPath = strings.TrimRight(u.RawPath, "/")
	return u, nil
}

func loopback(host string) bool {
	return strings.EqualFold(host, "localhost") || net.ParseIP(host).IsLoopback()
}

// Fingerprint returns the value for Info.Fingerprint: 16 hex digits of a hash of the provider's name,
// the client's base URL and the user.
func (c *Client) Fingerprint(provider, user string) string {
	sum := sha256.Sum256([]byte(provider + "\x00" + c.base.String() + "\x00" + user))
	return hex.EncodeToString(sum[:8])
}

// Request is one HTTP request to a gateway.
type Request struct {
	// Op names the operation in errors, e.g. "kobo send".
	Op string
	// Method is the HTTP method. Default: POST.
	Method string
	// Path is appended to the base URL. Path begins with a slash and may have a query.
	Path string
	// ContentType is the Content-Type of Body. It is sent only if Body is not empty.
	ContentType string
	// Body is the request's body. The caller must not change Body, not even after Do has returned,
	// because after an early answer the transport may still read Body.
	Body []byte
	// Header holds additional headers. Idempotency-Key and X-Idempotency-Key are not sent, because
	// net/http would repeat a POST that has one of these headers.
	Header http.Header
	// ErrorsInBody states that the gateway answers 2xx even for its errors, according to its
	// documentation or to public code. ErrorsInBody changes the meaning of some statuses; see
	// StatusVerdict.
	ErrorsInBody bool
}

// Reply is a gateway's HTTP answer, with any status.
type Reply struct {
	// Status is the HTTP status.
	Status int
	// Header holds the answer's headers.
	Header http.Header
	// Body is the complete body of the answer, at most ClientConfig.MaxReply bytes. It is UTF-8, without
	// a byte order mark and without the diagnostics of PHP. For a status other than 2xx, Body is empty
	// if the whole body could not be read.
	Body []byte
	// RetryAfter is the wait that the Retry-After header requested. It is 0 if the answer requested
	// no wait.
	RetryAfter time.Duration
	// Framed reports whether the reply has a Content-Length or is chunked, so that Body is
	// certainly complete. Otherwise the body ends where the connection ends, and may be incomplete.
	Framed bool
	// errorsInBody is Request.ErrorsInBody.
	errorsInBody bool
}

// Do sends one request to the gateway, at most once, and returns the answer with any status.
// StatusVerdict translates a status. Every error is an *Error without secrets. If certainly no byte
// of the request was written, the error is Retryable with Scope Account. Otherwise the error is
// Unknown with Scope Call.
//
// The deadline is the earlier of two times: the deadline of ctx, and the end of the client's
// timeout. Right before the first byte, Do compares the deadline with the wall clock and with the
// monotonic clock. If the deadline has passed on one of these clocks, Do does not send the request.
func (c *Client) Do(ctx context.Context, r Request) (*Reply, error) {
	deadline := time.Now().Add(c.timeout)
	if sooner, ok := ctx.Deadline(); ok && sooner.Before(deadline) {
		deadline = sooner
	} else {
		var stop context.CancelFunc
		ctx, stop = context.WithDeadline(ctx, deadline)
		defer stop()
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	a := &attempt{deadline: deadline, now: c.now, cancel: cancel}
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: a.gotConn})

	// An http.Client would follow redirects and could add a login. RoundTrip does neither.
	resp, err := c.transport.RoundTrip(c.request(ctx, r))
	if err != nil {
		return nil, c.noAnswer(r.Op, a, err)
	}
	defer func() { _ = resp.Body.Close() }()
	reply := &Reply{Status: resp.StatusCode, Header: resp.Header, Framed: resp.ContentLength >= 0 || len(resp.TransferEncoding) > 0, errorsInBody: r.ErrorsInBody}
	reply.RetryAfter = ParseRetryAfter(resp.Header.Get("Retry-After"), c.now())
	if resp.StatusCode < 200 {
		return reply, nil // after a status 101 no body follows, and a read would block
	}
	body, err := c.readBody(resp)
	if err == nil {
		reply.Body = readable(body, resp.Header.Get("Content-Type"))
	}
	if err != nil && resp.StatusCode < 300 {
		cause := providers.CauseNoAnswer
		if errors.Is(err, providers.ErrReplyTooLong) {
			cause = providers.CauseNotUnderstood
		}
		return nil, &providers.Error{Op: r.Op, Outcome: providers.Unknown, Scope: providers.Call, Cause: cause, Err: c.scrub(mute(err))}
	}
	return reply, nil
}

// Call sends one request like Do but returns a reply only for a 2xx status. For any other status it
// returns the *Error of StatusVerdict.
func (c *Client) Call(ctx context.Context, r Request) (*Reply, error) {
	reply, err := c.Do(ctx, r)
	if err != nil {
		return nil, err
	}
	if e := reply.statusVerdict(r.Op); e != nil {
		return nil, e
	}
	return reply, nil
}

// CloseIdle closes the connections that are not in use by a call.
func (c *Client) CloseIdle() { c.transport.CloseIdleConnections() }

// Scrub returns the text in which "[secret]" replaces every secret of the client and the login of
// every URL.
func (c *Client) Scrub(text string) string { return c.scrubber.Replace(cutUserinfo(text)) }

func (c *Client) scrub(err error) error {
	return &scrubbedError{text: c.Scrub(err.Error()), is: func(target error) bool { return errors.Is(err, target) }}
}

// request builds the HTTP request. GetBody remains nil, so that the transport cannot send the body
// twice.
func (c *Client) request(ctx context.Context, r Request) *http.Request {
	u := c.base
	path, query, _ := strings.Cut(r.Path, "?")
	u.Path += path
	if u.RawPath != "" {
		u.RawPath += path
	}
	u.RawQuery = query
	header := make(http.Header, len(r.Header)+2)
	for name, values := range r.Header {
		switch name = http.CanonicalHeaderKey(name); name {
		case "Idempotency-Key", "X-Idempotency-Key":
		default:
			header[name] = values
		}
	}
	header["User-Agent"] = []string{"tuma"}
	req := blank.WithContext(ctx) // returns a copy
	req.Method, req.URL, req.Host, req.Header, req.Body = r.Method, &u, u.Host, header, http.NoBody
	if req.Method == "" {
		req.Method = http.MethodPost
	}
	if len(r.Body) > 0 {
		header["Content-Type"] = []string{r.ContentType}
		req.ContentLength = int64(len(r.Body))
		req.Body = io.NopCloser(bytes.NewReader(r.Body)) // for a bytes.Reader, net/http writes headers and body in one write
	}
	return req
}

// blank is a request without content. Every request is made from a copy of blank.
var blank = http.Request{Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}

// mute returns errors about connections and deadlines unchanged, and replaces all other errors by
// errNoHTTP. The reason is that for an invalid reply, the error text of net/http repeats the reply,
// which may hold phone numbers and messages.
func mute(err error) error {
	var connection net.Error
	if errors.As(err, &connection) {
		return err
	}
	for _, known := range []error{io.EOF, io.ErrUnexpectedEOF, context.Canceled, context.DeadlineExceeded, net.ErrClosed, providers.ErrReplyTooLong} {
		if errors.Is(err, known) {
			return err
		}
	}
	return errNoHTTP
}

var errNoHTTP = errors.New("the connection ended or the reply is not valid HTTP")

// noAnswer returns the error for a call without an answer. The error is Retryable if certainly no
// byte of the request was written, and Unknown otherwise.
func (c *Client) noAnswer(op string, a *attempt, err error) *providers.Error {
	if !a.seal() {
		return &providers.Error{Op: op, Outcome: providers.Unknown, Scope: providers.Call, Cause: providers.CauseNoAnswer, Err: c.scrub(mute(err))}
	}
	if a.late.Load() {
		err = errLate
	}
	return &providers.Error{Op: op, Outcome: providers.Retryable, Scope: providers.Account, Cause: providers.CauseConnection, Err: c.scrub(err)}
}

func (c *Client) readBody(resp *http.Response) ([]byte, error) {
	if resp.ContentLength > c.maxReply {
		return nil, fmt.Errorf("%w: its Content-Length is %d bytes, at most %d are allowed", providers.ErrReplyTooLong, resp.ContentLength, c.maxReply)
	}
	if n := resp.ContentLength; n >= 0 {
		body := make([]byte, n)
		got, err := io.ReadFull(resp.Body, body)
		return body[:got], err
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, c.maxReply+1))
	if err == nil && int64(len(body)) > c.maxReply {
		err = fmt.Errorf("%w: more than %d bytes", providers.ErrReplyTooLong, c.maxReply)
	}
	return body, err
}
