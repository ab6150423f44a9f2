package httpclient

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/providers"
)

func TestDo_SendsTheRequestAsDocumented(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ base, path, wantURI string }{
		{"", "/api/send/", "/api/send/"},
		{"/", "/api/send/", "/api/send/"},
		{"/gw/sms/", "/api/send/", "/gw/sms/api/send/"},
		{"/a%2Fb", "/api", "/a%2Fb/api"},
		{"", "/user-board/?api", "/user-board/?api"},
	} {
		type seen struct {
			method, uri, contentType, body string
			header                         http.Header
		}
		got := make(chan seen, 1)
		s := serve(t, func(c *rawConn) {
			if r, body, ok := c.request(); ok {
				got <- seen{r.Method, r.RequestURI, r.Header.Get("Content-Type"), body, r.Header}
				c.say("HTTP/1.1 200 OK\r\nRetry-After: 3\r\nX-A: b\r\nContent-Length: 4\r\n\r\nsent")
			}
		})
		r := form()
		r.Path = tc.path
		r.Header = http.Header{"Apikey": {"k"}, "idempotency-key": {"k"}, "X-Idempotency-Key": {"k"}}
		reply, err := client(t, "http://"+s.addr+tc.base, nil).Do(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		if reply.Status != 200 || string(reply.Body) != "sent" || reply.Header.Get("X-A") != "b" || reply.RetryAfter != 3*time.Second {
			t.Errorf("got the reply %+v, want status 200, body \"sent\" and a wait of 3 s", reply)
		}
		g := <-got
		if g.method != "POST" || g.uri != tc.wantURI || g.contentType != FormContentType || g.body != string(r.Body) {
			t.Errorf("request %+v, want URI %s", g, tc.wantURI)
		}
		for name := range g.header {
			if strings.Contains(strings.ToLower(name), "idempotency") {
				t.Errorf("the header %s was sent, want no idempotency header", name)
			}
		}
		if g.header.Get("Apikey") != "k" || g.header.Get("Accept-Encoding") != "" {
			t.Errorf("got the headers %v, want the Apikey and no Accept-Encoding", g.header)
		}
	}
}

func TestDo_NeverSendsTwice(t *testing.T) {
	t.Parallel()
	// The first call leaves an idle connection. The second call uses this connection and fails.
	// After such a failure, net/http itself would repeat some requests.
	for name, end := range map[string]func(c *rawConn){
		"closed":            func(*rawConn) {},
		"reset":             (*rawConn).reset,
		"half a status":     func(c *rawConn) { c.say("HTTP/1.1 20") },
		"not HTTP":          func(c *rawConn) { c.say("hello\r\n\r\n") },
		"endless 1xx":       func(c *rawConn) { c.say(strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 100)) },
		"headers too large": func(c *rawConn) { c.say("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 2*maxReplyHeader) + "\r\n\r\n") },
	} {
		for kind, second := range map[string]Request{
			"POST":              form(),
			"POST with key":     {Op: "x send", Path: "/", Body: []byte("a"), Header: http.Header{"Idempotency-Key": {"k"}}},
			"POST without body": {Op: "x send", Path: "/"},
			"GET":               {Op: "x send", Path: "/", Method: http.MethodGet},
		} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				t.Parallel()
				s := serve(t, func(c *rawConn) {
					if _, _, ok := c.request(); !ok {
						return
					}
					c.say(okReply)
					if _, _, ok := c.request(); ok {
						end(c)
					}
				})
				c := s.client(t, nil)
				if _, err := c.Do(t.Context(), form()); err != nil {
					t.Fatal(err)
				}
				_, err := c.Do(t.Context(), second)
				wantNoAnswer(t, err)
				s.wantRequests(t, 2)
			})
		}
	}
}

func TestDo_FollowsNoRedirect(t *testing.T) {
	t.Parallel()
	for _, status := range []int{301, 302, 303, 307, 308} {
		s := serve(t, func(c *rawConn) {
			for {
				if _, _, ok := c.request(); !ok {
					return
				}
				c.say(fmt.Sprintf("HTTP/1.1 %d Moved\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n", status))
			}
		})
		reply, err := s.client(t, nil).Do(t.Context(), form())
		if err != nil || reply.Status != status {
			t.Errorf("status %d: got the reply %+v and the error %v, want the reply with this status", status, reply, err)
		}
		s.wantRequests(t, 1)
	}
}

func TestDo_NoAnswerAfterTheFirstByteIsUnknown(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		script func(c *rawConn)
		is     error
	}{
		"closed":             {func(c *rawConn) { c.request() }, nil},
		"reset":              {func(c *rawConn) { c.request(); c.reset() }, nil},
		"closed in the body": {func(c *rawConn) { _, _ = c.r.ReadString('\n'); c.reset() }, nil},
		"reply cut":          {func(c *rawConn) { c.request(); c.say("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsent") }, io.ErrUnexpectedEOF},
		"chunked reply cut": {func(c *rawConn) {
			c.request()
			c.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nsent\r\n")
		}, io.ErrUnexpectedEOF},
		"reply headers cut": {func(c *rawConn) { c.request(); c.say("HTTP/1.1 200 OK\r\nContent-Le") }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, tc.script)
			_, err := s.client(t, nil).Do(t.Context(), form())
			e := wantNoAnswer(t, err)
			if tc.is != nil && !errors.Is(e, tc.is) {
				t.Errorf("got the error %v, want the cause %v", e, tc.is)
			}
			if n := s.conns.Load(); n != 1 {
				t.Errorf("got %d connections, want 1", n)
			}
		})
	}
}

func TestDo_HangingGatewayIsUnknown(t *testing.T) {
	t.Parallel()
	for name, scriptHead := range map[string]string{"no answer": "", "half an answer": "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsent"} {
		t.Run(name+", cancelled", func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			s := serve(t, func(c *rawConn) {
				c.request()
				c.say(scriptHead)
				cancel()
				_, _ = io.Copy(io.Discard, c)
			})
			_, err := s.client(t, nil).Do(ctx, form())
			if e := wantNoAnswer(t, err); !errors.Is(e, context.Canceled) {
				t.Errorf("got the error %v, want a cancellation", e)
			}
			s.wantRequests(t, 1)
		})
		t.Run(name+", timeout", func(t *testing.T) {
			t.Parallel()
			s := serve(t, func(c *rawConn) {
				c.request()
				c.say(scriptHead)
				_, _ = io.Copy(io.Discard, c)
			})
			_, err := s.client(t, func(cfg *ClientConfig) { cfg.Timeout = 200 * time.Millisecond }).Do(t.Context(), form())
			if e := wantNoAnswer(t, err); !errors.Is(e, context.DeadlineExceeded) {
				t.Errorf("got the error %v, want a passed deadline", e)
			}
			s.wantRequests(t, 1)
		})
	}
}

func TestDo_ReplySizeIsBounded(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		reply string
		cause providers.Cause // empty: no error
	}{
		"announced, fits":     {"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n12345678", ""},
		"chunked, fits":       {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n12345678\r\n0\r\n\r\n", ""},
		"until closed, fits":  {"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n12345678", ""},
		"announced, too long": {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n123456789", providers.CauseNotUnderstood},
		"chunked, too long":   {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n123456789\r\n0\r\n\r\n", providers.CauseNotUnderstood},
		"petabytes announced": {"HTTP/1.1 200 OK\r\nContent-Length: 9000000000000000\r\n\r\n1", providers.CauseNotUnderstood},
		"error, too long":     {"HTTP/1.1 503 No\r\nContent-Length: 9\r\n\r\n12345678", ""},
	} {
		s := serve(t, func(c *rawConn) { c.request(); c.say(tc.reply) })
		reply, err := s.client(t, func(cfg *ClientConfig) { cfg.MaxReply = 8 }).Do(t.Context(), form())
		switch {
		case tc.cause != "":
			wantVerdict(t, err, providers.Unknown, providers.Call, tc.cause)
		case err != nil:
			t.Errorf("%s: got the error %v, want none", name, err)
		case reply.Status == 200 && string(reply.Body) != "12345678":
			t.Errorf("%s: got the body %q, want 12345678", name, reply.Body)
		}
	}
}

func TestDo_StatusCountsWithoutTheWholeBody(t *testing.T) {
	t.Parallel()
	for _, head := range []string{"HTTP/1.1 429 Slow\r\nRetry-After: 7\r\n", "HTTP/1.1 401 No\r\nRetry-After: 7\r\n", "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\nRetry-After: 7\r\n"} {
		hold := make(chan struct{})
		s := serve(t, func(c *rawConn) {
			c.request()
			c.say(head + "Content-Length: 100\r\n\r\nhalf")
			if strings.Contains(head, " 101 ") {
				<-hold // after a 101 the connection stays open
			}
		})
		reply, err := s.client(t, nil).Do(t.Context(), form())
		close(hold)
		if err != nil || reply.RetryAfter != 7*time.Second || !strings.Contains(head, fmt.Sprint(reply.Status)) {
			t.Errorf("%q: got the reply %+v and the error %v, want this status and a wait of 7 s", head, reply, err)
		}
	}
}

func TestBaseURL(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		base  string
		allow bool
		want  string // part of the expected mistake; it is empty if the settings are valid
	}{
		{"https://example.com", false, ""},
		{"https://example.com/prefix/", false, ""},
		{"http://localhost:8080", false, ""},
		{"http://127.8.9.10:1", false, ""},
		{"http://[::1]:1", false, ""},
		{"http://example.com", true, ""},
		{"http://example.com", false, "plain http"},
		{"http://localhost.example.com", false, "plain http"},
		{"http://10.0.0.1", false, "plain http"},
		{"", false, "missing"},
		{"example.com", false, "https://"},
		{"ftp://example.com", false, "https://"},
		{"https://", false, "https://"},
		{"https://:443", false, "https://"},
		{"https://joe:hunter2@example.com", false, "login"},
		{"https://example.com/?pass=hunter2", false, "query"},
		{"https://example.com/?", false, "query"},
		{"https://example.com/#hunter2", false, "fragment"},
		{"https://joe:hunter2@exa mple.com", false, "must be a URL"},
	} {
		_, err := NewClient(ClientConfig{BaseURL: tc.base, AllowHTTP: tc.allow})
		if tc.want == "" {
			if err != nil {
				t.Errorf("%q: got the error %v, want none", tc.base, err)
			}
			continue
		}
		e, ok := errors.AsType[*providers.FieldError](err)
		if !ok || e.Field != "base_url" || !strings.Contains(e.Error(), tc.want) || strings.Contains(e.Error(), "hunter") {
			t.Errorf("%q: got %v, want %q", tc.base, err, tc.want)
		}
	}
	_, err := NewClient(ClientConfig{BaseURL: "x", Timeout: -1, Concurrency: -1})
	if got := fields(err); !slices.Equal(got, []string{"base_url", "timeout", "concurrency"}) {
		t.Errorf("got mistakes in %v, want them in base_url, timeout and concurrency", got)
	}
}

func TestFingerprint_DiffersByLogin(t *testing.T) {
	t.Parallel()
	print := func(base, provider, user string) string {
		return client(t, base, nil).Fingerprint(provider, user)
	}
	one := print("https://example.com", "kobo", "joe")
	for _, same := range []string{"https://EXAMPLE.com/", "https://example.com:443", "HTTPS://example.com:443//"} {
		if got := print(same, "kobo", "joe"); got != one {
			t.Errorf("%s: got %s, want %s", same, got, one)
		}
	}
	prints := []string{
		one, print("https://example.com/gw", "kobo", "joe"), print("https://example.com:8443", "kobo", "joe"),
		print("https://example.com", "kobo", "ann"), print("https://example.com", "qserve", "joe"),
	}
	for i, p := range prints {
		if len(p) != 16 || slices.Contains(prints[:i], p) {
			t.Errorf("got the fingerprints %v, want different ones of 16 digits", prints)
		}
	}
}

func TestScrub_TransportErrorsHideSecrets(t *testing.T) {
	t.Parallel()
	c := client(t, "https://example.com", nil)
	c.transport.DialTLSContext = func(context.Context, string, string) (net.Conn, error) {
		return nil, &url.Error{Op: "Post", URL: "https://x/?pass=" + url.QueryEscape(hunter), Err: errors.New(hunter)}
	}
	_, err := c.Do(t.Context(), form())
	e := wantNotSent(t, err)
	if !strings.Contains(e.Error(), "pass=[secret]") {
		t.Errorf("got the error %v, want pass=[secret] in its text", e)
	}
}

func TestDo_ErrorDoesNotRepeatANonHTTPReply(t *testing.T) {
	t.Parallel()
	for _, reply := range []string{
		"HTTP/1.1 2547123 45678\r\n\r\n", "2547123 45678 Hello\r\n\r\n", "HTTP/1.1 200 OK\r\nHello 254712345678\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 254712345678x\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: Hello 254712345678\r\n\r\nHello",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n254712345678Hello\r\n",
	} {
		s := serve(t, func(c *rawConn) {
			c.request()
			c.say(reply)
		})
		_, err := s.client(t, nil).Do(t.Context(), form())
		e, ok := errors.AsType[*providers.Error](err)
		if !ok || e.Outcome != providers.Unknown || strings.Contains(err.Error(), "254712") || strings.Contains(err.Error(), "Hello") || strings.Contains(err.Error(), "2547123") {
			t.Errorf("the reply %q: got the error %v, want unknown, without numbers or text of the reply", reply, err)
		}
	}
}
