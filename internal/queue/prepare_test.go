package queue

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/test/redistest"
)

// contents returns all keys of a Redis with their values, without the times of the tasks.
func contents(t *testing.T, rdb *redis.Client) map[string]any {
	t.Helper()
	out := map[string]any{}
	for _, key := range rdb.Keys(t.Context(), "*").Val() {
		switch kind := rdb.Type(t.Context(), key).Val(); kind {
		case "hash":
			fields := rdb.HGetAll(t.Context(), key).Val()
			if fields["pending_since"] == "" {
				t.Errorf("the task %s has the fields %v, want pending_since", key, fields)
			}
			delete(fields, "pending_since")
			out[key] = fields
		case "list":
			out[key] = rdb.LRange(t.Context(), key, 0, -1).Val()
		case "set":
			out[key] = rdb.SMembers(t.Context(), key).Val()
		default:
			t.Errorf("the key %s is a %s", key, kind)
		}
	}
	return out
}

// A prepared wake-up must write the same as asynq's own client. The test fails if another version of
// asynq sends other commands.
func TestPrepare_WritesWhatAsynqWrites(t *testing.T) {
	t.Parallel()
	name := SendQueue("kobo-main", true)
	p := Pointer{Campaign: "c", Wake: 1}
	asynqs, ours := redistest.Start(t).Client(), redistest.Start(t).Client()
	task, options, err := p.task(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := asynq.NewClientFromRedisClient(asynqs).EnqueueContext(t.Context(), task, options...); err != nil {
		t.Fatal(err)
	}

	q := New(ours)
	send := func(p Pointer) error {
		prepared, err := q.Prepare(t.Context(), name, p)
		if err != nil {
			t.Fatal(err)
		}
		_, err = ours.Pipelined(t.Context(), func(pipe redis.Pipeliner) error {
			prepared.Add(t.Context(), pipe)
			return nil
		})
		if err == nil {
			prepared.Done()
		}
		return err
	}
	if err := send(p); err == nil || !strings.HasPrefix(err.Error(), "NOSCRIPT") {
		t.Fatalf("a Redis without asynq's script: error %v, want NOSCRIPT", err)
	}
	if err := q.Wake(t.Context(), name, Pointer{Campaign: "other", Wake: 1}); err != nil { // Redis has the script now
		t.Fatal(err)
	}
	ours.Del(t.Context(), ours.Keys(t.Context(), "*").Val()...)
	for range 2 { // the second changes nothing
		if err := send(p); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(contents(t, asynqs), contents(t, ours)); diff != "" {
		t.Error(diff)
	}
	if place, err := q.Find(t.Context(), name, p); err != nil || place != Waiting {
		t.Errorf("the wake-up is %v, %v; want it waiting", place, err)
	}
	prepared, err := q.Prepare(t.Context(), name, Pointer{Campaign: "d", Wake: 1})
	if err != nil || len(prepared.commands) != 1 {
		t.Errorf("a queue that was announced takes %d commands, %v; want one", len(prepared.commands), err)
	}
}

func TestPrepare_RefusesCommandsThatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	var list []redis.Cmder
	rdb := redis.NewClient(&redis.Options{Addr: "recorder", Protocol: 2})
	rdb.AddHook(recorder{})
	ctx := context.WithValue(t.Context(), recorded{}, &list)
	if err := rdb.Get(ctx, "key").Err(); err == nil {
		t.Error("a GET is answered")
	}
	if _, err := rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error { pipe.Incr(ctx, "key"); return nil }); err == nil {
		t.Error("a pipeline is answered")
	}
	if len(list) > 0 {
		t.Errorf("recorded %v, want nothing", list)
	}
}

// New must not look up the address of the recorder in DNS. Otherwise a producer would wait if DNS does not answer.
func TestNew_AsksNoDNS(t *testing.T) { // not parallel: it changes net.DefaultResolver
	rdb := redistest.Start(t).Client()
	queries := redistest.CountDNS(t)
	New(rdb)
	if n := queries(); n != 0 {
		t.Errorf("New tried %d DNS queries, want 0", n)
	}
}
