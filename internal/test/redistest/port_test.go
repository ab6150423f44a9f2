package redistest

import (
	"errors"
	"net"
	"testing"
)

func TestStart_NoticesATakenPort(t *testing.T) {
	t.Parallel()
	s := Start(t)
	mine := s.port
	t.Run("by another Redis", func(t *testing.T) {
		second := Start(t)
		second.Kill()
		second.port = mine
		if err := second.begin(); !errors.Is(err, errPortTaken) {
			t.Errorf("begin on the port of another server: got %v, want errPortTaken", err)
		}
		if second.PID() != 0 {
			t.Error("a server that could not listen has a pid")
		}
	})
	t.Run("by something else", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		second := Start(t)
		second.Kill()
		second.port = l.Addr().(*net.TCPAddr).Port
		if err := second.begin(); !errors.Is(err, errPortTaken) {
			t.Errorf("begin on a port in use: got %v, want errPortTaken", err)
		}
	})
	if err := s.Client().Ping(t.Context()).Err(); err != nil {
		t.Errorf("ping the first server: %v", err)
	}
}
