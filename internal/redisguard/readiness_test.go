package redisguard

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"github.com/tuma-sms/tuma/internal/test/redistest"
)

// The type "failing" is a hook that lets some commands fail.
type failing struct{ commands []string }

// DialHook implements redis.Hook.
func (f *failing) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook implements redis.Hook.
func (f *failing) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if slices.Contains(f.commands, cmd.Name()) {
			err := errors.New("the connection was cut")
			cmd.SetErr(err)
			return err
		}
		return next(ctx, cmd)
	}
}

// ProcessPipelineHook implements redis.Hook.
func (f *failing) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// The log line about the end of an outage has the field "restarted" only if the worker has read the run_id before and
// after this outage. A run_id that the worker read before an earlier outage does not count.
func TestReadiness_SaysRestartedOnlyIfItKnows(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	faults := &failing{}
	rdb := server.Client()
	rdb.AddHook(faults)
	var log bytes.Buffer
	r := &Readiness{Redis: rdb, Log: zerolog.New(&log)}
	// The function "outage" notes a failure and then a success. It returns the field "restarted" of the log line.
	outage := func(restart bool, unreadable ...string) any {
		t.Helper()
		log.Reset()
		r.Note(errors.New("connection refused"))
		if restart {
			server.Restart()
		}
		faults.commands = unreadable
		if err := r.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
		faults.commands = nil
		lines := bytes.Split(bytes.TrimSpace(log.Bytes()), []byte("\n"))
		var fields map[string]any
		if err := json.Unmarshal(lines[len(lines)-1], &fields); err != nil || fields["message"] != "redis accepts writes again" {
			t.Fatalf("the last log line is %q (%v), want that Redis accepts writes again", lines[len(lines)-1], err)
		}
		return fields["restarted"]
	}
	if err := r.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i, tt := range []struct {
		restart    bool
		unreadable []string
		want       any
	}{
		{restart: true, want: true},
		{want: false},
		{restart: true, unreadable: []string{"info"}, want: nil},
		{want: nil}, // the run_id before this outage is not known
		{restart: true, want: true},
	} {
		if got := outage(tt.restart, tt.unreadable...); got != tt.want {
			t.Errorf("outage %d %+v: the line has restarted=%v, want %v", i, tt, got, tt.want)
		}
	}
}
