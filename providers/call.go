package providers

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

	"github.com/tuma-sms/tuma/providers/internal/dial"
)

// Defaults of ClientConfig.
const (
	DefaultTimeout     = 30 * time.Second
	DefaultConcurrency = 8
	DefaultMaxReply    = 16 << 20
)

// FormContentType is the Content-Type of a form in a request's body.
const FormContentType = "application/x-www-form-urlencoded"

const (
	dialTimeout = 10 * time.Second // TCP and TLS together
	// idleTimeout is shorter than the 5 s after which Apache's default closes a
	// connection that is kept alive. We close first: a request that meets the
	// server's close on the wire would be unknown, a new handshake costs 0.1 s.
	idleTimeout = 4 * time.Second
	// wireBuffer takes a call of 500 recipients, so that it is one write and its
	// reply a few reads.
	wireBuffer = 32 << 10
	// maxReplyHeader is far above any gateway's headers and far below the 10 MB
	// that net/http would take.
	maxReplyHeader = 64 << 10
)

// Client is the one way in which providers speak HTTP. It puts a request to the
// gateway at most once, and when there is no answer it knows whether the request
// can have left. It follows no redirect, keeps no cookie, never waits and never
// tries again. It is safe for concurrent use.
type Client struct {
	base      url.URL
	timeout   time.Duration
	maxReply  int64
	now       func() time.Time
	scrubber  *strings.Replacer
	transport *http.Transport
}

// ClientConfig sets a Client up.
type ClientConfig struct {
	// BaseURL is scheme, host and any prefix, to which documented paths are
	// appended. It must be https unless the host is loopback or AllowHTTP is set,
	// and holds no login, query or fragment.
	BaseURL string
	// Timeout bounds a whole call, from the dial to the last byte of the reply.
	// Default: DefaultTimeout.
	Timeout time.Duration
	// Concurrency is how many calls are usually in flight, and so how many
	// connections are kept open between calls. Default: DefaultConcurrency.
	Concurrency int
	// MaxReply is the most bytes a reply may have. Default: DefaultMaxReply.
	MaxReply int64
	// AllowHTTP permits a plain http base URL to a host that is not loopback.
	AllowHTTP bool
	// Secrets are cut out of every error.
	Secrets []Secret
	// RootCAs verify the gateway's certificate. Default: the system's.
	RootCAs *x509.CertPool
	// Now is the clock that deadlines are checked against before the first byte.
	// Default: time.Now.
	Now func() time.Time
}

// NewClient returns a Client. Its error joins a *FieldError for each mistake in
// base_url, timeout and concurrency.
//
// HTTP/2 is off: one request a connection is what makes its bytes countable, and
// what keeps one broken connection from making several calls unknown at once. A
// proxy named by the environment is used, except to loopback.
func NewClient(cfg ClientConfig) (*Client, error) {
	base, err := parseBase(cfg.BaseURL, cfg.AllowHTTP)
	if cfg.Timeout < 0 {
		err = errors.Join(err, Mistake("timeout", "must not be negative"))
	}
	if cfg.Concurrency < 0 {
		err = errors.Join(err, Mistake("concurrency", "must not be negative"))
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
		TLSClientConfig:        secure, // through a proxy the transport makes the TLS itself
		TLSHandshakeTimeout:    dialTimeout,
		Protocols:              protocols,
		DisableCompression:     true, // replies are small, and MaxReply then counts what came over the wire
		MaxIdleConnsPerHost:    concurrency,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: maxReplyHeader,
		WriteBufferSize:        wireBuffer,
		ReadBufferSize:         wireBuffer,
	}
}

// parseBase reads a base URL and returns it without a slash at its end. Its error
// does not repeat the text: somebody may have put a password in it.
func parseBase(raw string, allowHTTP bool) (*url.URL, error) {
	u, err := url.Parse(raw)
	switch {
	case raw == "":
		return nil, Mistake("base_url", "is missing")
	case err != nil:
		return nil, Mistake("base_url", "is not a URL")
	case u.Scheme != "https" && u.Scheme != "http", u.Hostname() == "":
		return nil, Mistake("base_url", "must begin with https:// and a host")
	case u.User != nil:
		return nil, Mistake("base_url", "must not hold a login")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, Mistake("base_url", "must not hold a query or a fragment")
	case u.Scheme == "http" && !allowHTTP && !loopback(u.Hostname()):
		return nil, Mistake("base_url", "plain http is refused; use https, or set allow_http: true")
	}
	u.Host = strings.TrimSuffix(strings.ToLower(u.Host), map[string]string{"https": ":443", "http": ":80"}[u.Scheme])
	u.Path = strings.TrimRight(u.Path, "/")
	u.RawPath = strings.TrimRight(u.RawPath, "/")
	return u, nil
}

func loopback(host string) bool {
	return strings.EqualFold(host, "localhost") || net.ParseIP(host).IsLoopback()
}

// Fingerprint names the login that a call of this client goes to, in 16 hex
// digits: a hash of the provider's name, the base URL and the user.
func (c *Client) Fingerprint(provider, user string) string {
	sum := sha256.Sum256([]byte(provider + "\x00" + c.base.String() + "\x00" + user))
	return hex.EncodeToString(sum[:8])
}

// Request is one HTTP request to a gateway.
type Request struct {
	// Op says in errors what is being done: "kobo send".
	Op string
	// Method is the HTTP method. Default: POST.
	Method string
	// Path begins with a slash and is appended to the base URL; it may have a query.
	Path string
	// ContentType describes Body.
	ContentType string
	// Body is what is sent. It must not be changed afterwards, not even when Do
	// has returned: after an early answer the transport may still be reading it.
	Body []byte
	// Header is sent too. The names Idempotency-Key and X-Idempotency-Key are
	// left out: net/http takes them as leave to send a POST again by itself.
	Header http.Header
	// ErrorsInBody says that the gateway answers 2xx even for its errors, by its page or
	// by all that is known of it. See StatusVerdict.
	ErrorsInBody bool
}

// Reply is a gateway's answer, of whatever status.
type Reply struct {
	// Status is the HTTP status.
	Status int
	// Header holds the answer's headers.
	Header http.Header
	// Body is the whole body of a 2xx, at most MaxReply bytes. Of any other status
	// it is what came of it: there the status is the answer.
	Body []byte
	// RetryAfter is how long the gateway asked to be left alone; 0 if it did not.
	RetryAfter time.Duration
	// Framed says that the reply told its length or its end, so that Body is surely all of
	// it. A body that ends with the connection may have been cut.
	Framed bool
}

// Do puts one request to the gateway, at most once, and returns its answer
// whatever the status; StatusVerdict says what a status means. Any error is an
// *Error without secrets: Retryable for the account when certainly no byte of the
// request was written, Unknown for the call in every other case. The context's
// deadline, or the client's timeout if that is earlier, is checked by the wall
// clock and the monotonic one right before the first byte; what is late is not sent.
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

	// Not http.Client: RoundTrip follows no redirect and adds no login.
	resp, err := c.transport.RoundTrip(c.request(ctx, r))
	if err != nil {
		return nil, c.noAnswer(r.Op, a, err)
	}
	defer func() { _ = resp.Body.Close() }()
	reply := &Reply{Status: resp.StatusCode, Header: resp.Header, Framed: resp.ContentLength >= 0 || len(resp.TransferEncoding) > 0}
	reply.RetryAfter = ParseRetryAfter(resp.Header.Get("Retry-After"), c.now())
	if resp.StatusCode < 200 {
		return reply, nil // 101: what follows is not a body, and would not end
	}
	reply.Body, err = c.readBody(resp)
	if err != nil && resp.StatusCode < 300 {
		cause := CauseNoAnswer
		if errors.Is(err, errTooLong) {
			cause = CauseNotUnderstood
		}
		return nil, &Error{Op: r.Op, Outcome: Unknown, Scope: Call, Cause: cause, Err: c.scrub(mute(err))}
	}
	return reply, nil
}

// Call puts one request to the gateway like Do, and returns only a 2xx; any other
// status is the *Error that StatusVerdict makes of it.
func (c *Client) Call(ctx context.Context, r Request) (*Reply, error) {
	reply, err := c.Do(ctx, r)
	if err != nil {
		return nil, err
	}
	if e := StatusVerdict(r.Op, reply.Status, reply.RetryAfter, r.ErrorsInBody); e != nil {
		return nil, e
	}
	return reply, nil
}

// CloseIdle closes the connections that no call is using.
func (c *Client) CloseIdle() { c.transport.CloseIdleConnections() }

// Scrub returns text with every secret of the client replaced.
func (c *Client) Scrub(text string) string { return c.scrubber.Replace(cutUserinfo(text)) }

func (c *Client) scrub(err error) error {
	return &scrubbedError{text: c.Scrub(err.Error()), is: func(target error) bool { return errors.Is(err, target) }}
}

// request makes the HTTP request. GetBody stays nil: without it the transport has
// no means of sending the body twice.
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
	req := blank.WithContext(ctx) // a context goes into a copy only: this is the one there is
	req.Method, req.URL, req.Host, req.Header, req.Body = r.Method, &u, u.Host, header, http.NoBody
	if req.Method == "" {
		req.Method = http.MethodPost
	}
	if len(r.Body) > 0 {
		header["Content-Type"] = []string{r.ContentType}
		req.ContentLength = int64(len(r.Body))
		req.Body = io.NopCloser(bytes.NewReader(r.Body)) // known to the transport: one write with the headers
	}
	return req
}

// blank is what every request has.
var blank = http.Request{Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}

// mute passes on the errors that tell of a connection or a time, and replaces all
// others: net/http's words for a reply that is no HTTP repeat the reply, and that
// may repeat numbers and texts.
func mute(err error) error {
	var connection net.Error
	if errors.As(err, &connection) {
		return err
	}
	for _, known := range []error{io.EOF, io.ErrUnexpectedEOF, context.Canceled, context.DeadlineExceeded, net.ErrClosed, errTooLong} {
		if errors.Is(err, known) {
			return err
		}
	}
	return errNoHTTP
}

var errNoHTTP = errors.New("the connection ended, or what came over it is no HTTP")

// noAnswer is the error of a call without an answer: not sent if that is certain.
func (c *Client) noAnswer(op string, a *attempt, err error) *Error {
	if !a.seal() {
		return &Error{Op: op, Outcome: Unknown, Scope: Call, Cause: CauseNoAnswer, Err: c.scrub(mute(err))}
	}
	if a.late.Load() {
		err = errLate
	}
	return &Error{Op: op, Outcome: Retryable, Scope: Account, Cause: CauseConnection, Err: c.scrub(err)}
}

var errTooLong = errors.New("the reply is too long")

func (c *Client) readBody(resp *http.Response) ([]byte, error) {
	if resp.ContentLength > c.maxReply {
		return nil, fmt.Errorf("%w: %d bytes announced, %d allowed", errTooLong, resp.ContentLength, c.maxReply)
	}
	if n := resp.ContentLength; n >= 0 {
		body := make([]byte, n)
		got, err := io.ReadFull(resp.Body, body)
		return body[:got], err
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, c.maxReply+1))
	if err == nil && int64(len(body)) > c.maxReply {
		err = fmt.Errorf("%w: more than %d bytes", errTooLong, c.maxReply)
	}
	return body, err
}
