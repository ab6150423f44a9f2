package main

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// TestNotifySystemd takes the place of systemd and receives the messages of a worker. It checks the
// message before Redis answers, the message when Redis first answers, and the message when the
// worker stops. The test sets an environment variable, so it does not run in parallel.
func TestNotifySystemd(t *testing.T) {
	address := &net.UnixAddr{Name: filepath.Join(t.TempDir(), "notify"), Net: "unixgram"}
	socket, err := net.ListenUnixgram("unixgram", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = socket.Close() }()
	t.Setenv("NOTIFY_SOCKET", address.Name)
	receive := func() string {
		t.Helper()
		if err := socket.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		message := make([]byte, 512)
		n, err := socket.Read(message)
		if err != nil {
			t.Fatal(err)
		}
		return string(message[:n])
	}

	var up atomic.Bool
	ready := func(context.Context) error {
		if up.Load() {
			return nil
		}
		return errors.New("redis does not answer")
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	done := make(chan struct{})
	go func() {
		defer close(done)
		notifySystemd(ctx, ready, zerolog.Nop())
	}()
	if got := receive(); got != "STATUS=waiting for redis" {
		t.Errorf("a worker that starts sent %q, want only its status", got)
	}
	up.Store(true)
	if got := receive(); !strings.HasPrefix(got, "READY=1\n") {
		t.Errorf("a worker that is ready sent %q, want READY=1", got)
	}
	stop()
	if got := receive(); !strings.HasPrefix(got, "STOPPING=1\n") {
		t.Errorf("a worker that stops sent %q, want STOPPING=1", got)
	}
	<-done
}
