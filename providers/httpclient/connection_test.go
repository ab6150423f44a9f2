package httpclient

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
)

func TestDo_WithoutAConnectionNotSent(t *testing.T) {
	t.Parallel()
	t.Run("refused", func(t *testing.T) {
		t.Parallel()
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addr := l.Addr().String()
		_ = l.Close()
		_, err = client(t, "http://"+addr, nil).Do(t.Context(), form())
		if e := wantNotSent(t, err); !errors.Is(e, syscall.ECONNREFUSED) {
			t.Errorf("got the error %v, want a refused connection", e)
		}
	})
	t.Run("context over", func(t *testing.T) {
		t.Parallel()
		s := serve(t, func(c *rawConn) { c.request() })
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := s.client(t, nil).Do(ctx, form())
		if e := wantNotSent(t, err); !errors.Is(e, context.Canceled) {
			t.Errorf("got the error %v, want a cancellation", e)
		}
		s.wantRequests(t, 0)
	})
}

func TestWithoutATLSConnectionNothingIsSent(t *testing.T) {
	t.Parallel()
	t.Run("cancelled in the TLS handshake", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		s := serve(t, func(c *rawConn) {
			_, _ = c.Read(make([]byte, 1)) // the handshake has begun
			cancel()
			_, _ = io.Copy(io.Discard, c)
		})
		c := client(t, "https://"+s.addr, nil)
		_, err := c.Do(ctx, form())
		wantNotSent(t, err)
		c.CloseIdle()
	})
	t.Run("certificate not trusted", func(t *testing.T) {
		t.Parallel()
		s := httptest.NewUnstartedServer(http.NotFoundHandler())
		s.Config.ErrorLog = quiet
		s.StartTLS()
		t.Cleanup(s.Close)
		_, err := client(t, s.URL, nil).Do(t.Context(), form())
		if e := wantNotSent(t, err); !strings.Contains(e.Error(), "certificate") {
			t.Errorf("got the error %v, want one about the certificate", e)
		}
	})
	t.Run("TLS 1.1", func(t *testing.T) {
		t.Parallel()
		s := httptest.NewUnstartedServer(http.NotFoundHandler())
		s.Config.ErrorLog = quiet
		s.TLS = &tls.Config{MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}
		s.StartTLS()
		t.Cleanup(s.Close)
		_, err := client(t, s.URL, trust(s)).Do(t.Context(), form())
		if e := wantNotSent(t, err); !strings.Contains(e.Error(), "protocol version") {
			t.Errorf("got the error %v, want one about the protocol version", e)
		}
	})
	t.Run("a web server without TLS", func(t *testing.T) {
		t.Parallel()
		s := httptest.NewServer(http.NotFoundHandler())
		t.Cleanup(s.Close)
		_, err := client(t, strings.Replace(s.URL, "http:", "https:", 1), nil).Do(t.Context(), form())
		wantNotSent(t, err)
	})
}

func trust(s *httptest.Server) func(*ClientConfig) {
	return func(cfg *ClientConfig) {
		cfg.RootCAs = x509.NewCertPool()
		cfg.RootCAs.AddCert(s.Certificate())
	}
}

func TestDo_TLSUsesHTTP11AndKeepsConnections(t *testing.T) {
	t.Parallel()
	var conns atomic.Int64
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Proto)
	}))
	s.EnableHTTP2 = true
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			conns.Add(1)
		}
	}
	s.StartTLS()
	t.Cleanup(s.Close)
	c := client(t, s.URL, trust(s))
	for range 3 {
		reply, err := c.Do(t.Context(), form())
		if err != nil || string(reply.Body) != "HTTP/1.1" {
			t.Fatalf("got the reply %+v and the error %v, want the body HTTP/1.1", reply, err)
		}
	}
	if n := conns.Load(); n != 1 {
		t.Errorf("got %d connections for three calls, want 1", n)
	}
}
