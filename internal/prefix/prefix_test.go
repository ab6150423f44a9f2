package prefix_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/prefix"
	"github.com/tuma-sms/tuma/internal/test/redistest"
)

func TestCheck_RefusesWhatKeysAndRightsCannotHave(t *testing.T) {
	t.Parallel()
	for text, ok := range map[string]bool{
		"": true, "staging:": true, "a/b.c-d_E9": true, strings.Repeat("x", 64): true, "xtuma:": true,
		strings.Repeat("x", 65): false, "a b": false, " ": false, "a\n": false, "a\x00": false, "{a}": false, "a{": false, "a}": false,
		"a*": false, "a?": false, "[a]": false, "ä": false, "\xff": false, `a"`: false, "tuma:": false, "tuma:x:": false, "asynq:": false,
	} {
		if err := prefix.Check(text); (err == nil) != ok {
			t.Errorf("Check(%q): got %v, want success %t", text, err, ok)
		}
	}
}

// environment returns two clients: a client with the prefix "one:", and a client that reads the actual keys in Redis.
func environment(t *testing.T) (rdb, plain *redis.Client) {
	t.Helper()
	s := redistest.Start(t)
	rdb, plain = s.Client(), s.Client()
	if err := prefix.Add(rdb, "one:"); err != nil {
		t.Fatal(err)
	}
	return rdb, plain
}

func keysOf(t *testing.T, rdb *redis.Client) []string {
	t.Helper()
	keys, err := rdb.Keys(t.Context(), "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(keys)
	return keys
}

func TestAdd_ChangesTheKeysOfEachKindOfCommand(t *testing.T) {
	t.Parallel()
	rdb, plain := environment(t)
	ctx := t.Context()
	if err := rdb.Set(ctx, "tuma:a", "1", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if err := rdb.Rename(ctx, "tuma:a", "tuma:b").Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.HSet(ctx, "tuma:h", "tuma:field", "tuma:value")
		p.RPush(ctx, "asynq:{q}:l", "x")
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := rdb.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.XAdd(ctx, &redis.XAddArgs{Stream: "tuma:s", Values: []string{"a", "b"}})
		p.Set(ctx, "tuma:d", "1", 0)
		p.Del(ctx, "tuma:b", "tuma:d")
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	sets := redis.NewScript(`redis.call('SET', KEYS[1], ARGV[1]) redis.call('SET', KEYS[2] .. ':x', ARGV[2]) return KEYS`)
	if err := sets.Run(ctx, rdb, []string{"tuma:e", "tuma:f"}, "tuma:value", "asynq:{value}").Err(); err != nil {
		t.Fatal(err)
	}
	builds := redis.NewScript(`return redis.call('SET', ARGV[2] .. 'id', ARGV[1])`)
	if err := builds.Run(ctx, rdb, []string{"asynq:{q}:p"}, "a value", "asynq:{q}:t:").Err(); err != nil {
		t.Fatal(err)
	}
	want := []string{"one:asynq:{q}:l", "one:asynq:{q}:t:id", "one:tuma:e", "one:tuma:f:x", "one:tuma:h", "one:tuma:s"}
	if got := keysOf(t, plain); !slices.Equal(got, want) {
		t.Errorf("got the keys %q, want %q", got, want)
	}
	if got := plain.HGet(ctx, "one:tuma:h", "tuma:field").Val(); got != "tuma:value" {
		t.Errorf("got the field %q: a field and a value must have no prefix", got)
	}
	if got := plain.MGet(ctx, "one:tuma:e", "one:tuma:f:x").Val(); fmt.Sprint(got) != "[tuma:value asynq:{value}]" {
		t.Errorf("got the values %v: arguments of a script of Tuma must have no prefix", got)
	}
	if n, err := rdb.Exists(ctx, "tuma:e", "tuma:h", "tuma:none").Result(); n != 2 || err != nil {
		t.Errorf("EXISTS: got %d, %v, want 2", n, err)
	}
}

// A client may send the same command object several times: an iterator does so with SCAN. Each time, the hook must add
// the prefix exactly once.
func TestAdd_RestoresTheCommand(t *testing.T) {
	t.Parallel()
	rdb, plain := environment(t)
	cmd := redis.NewStatusCmd(t.Context(), "set", "tuma:a", "1")
	for range 3 {
		if err := rdb.Process(t.Context(), cmd); err != nil {
			t.Fatal(err)
		}
	}
	if got := cmd.Args()[1]; got != "tuma:a" {
		t.Errorf("after its end the command has the key %v, want tuma:a", got)
	}
	for i := range 300 {
		if err := plain.Set(t.Context(), fmt.Sprintf("one:tuma:n:%d", i), "1", 0).Err(); err != nil {
			t.Fatal(err)
		}
		if err := plain.Set(t.Context(), fmt.Sprintf("two:tuma:n:%d", i), "1", 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
	n, all := 0, rdb.Scan(t.Context(), 0, "tuma:n:*", 10).Iterator()
	for ; all.Next(t.Context()); n++ {
		if !strings.HasPrefix(all.Val(), "tuma:n:") {
			t.Fatalf("SCAN returned %s, want the name without the prefix", all.Val())
		}
	}
	if err := all.Err(); err != nil || n != 300 {
		t.Errorf("SCAN: got %d keys, %v, want 300", n, err)
	}
}

func TestAdd_RefusesWhatMayEscape(t *testing.T) {
	t.Parallel()
	rdb, plain := environment(t)
	ctx := t.Context()
	for _, args := range [][]any{
		{"set", "other", "1"},
		{"set", "one:tuma:a", "1"},
		{"set", []byte("tuma:a"), "1"},
		{"set"},
		{"del", "tuma:a", "other"},
		{"rename", "tuma:a", "other"},
		{"flushall"},
		{"flushdb"},
		{"keys", "tuma:*"},
		{"scan", 0},
		{"scan", 0, "count", 10},
		{"scan", 0, "match", "*"},
		{"migrate", "host", "1", "tuma:a", "0", "1"},
		{"sort", "tuma:a", "by", "other*"},
		{"eval", "return 1", 0},
		{"eval", "return 1", 2, "tuma:a"},
		{"eval", "return 1"},
		{"eval", "return 1", 1, "other"},
		{"publish", "other", "x"},
		{"a-command-of-a-later-redis", "tuma:a"},
	} {
		err := rdb.Do(ctx, args...).Err()
		if err == nil || !strings.Contains(err.Error(), "serves only Tuma") {
			t.Errorf("%v: got %v, want a refusal", args, err)
		}
	}
	_, err := rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.Set(ctx, "tuma:a", "1", 0)
		p.Set(ctx, "other", "1", 0)
		return nil
	})
	if err == nil {
		t.Error("a pipeline with a foreign key succeeded")
	}
	if got := keysOf(t, plain); len(got) != 0 {
		t.Errorf("refused commands wrote the keys %q", got)
	}
	if err := rdb.Set(ctx, "tuma:a", "1", 0).Err(); err != nil {
		t.Errorf("after the refusals: %v", err)
	}
}

func TestAdd_OncePerClient(t *testing.T) {
	t.Parallel()
	rdb, plain := environment(t)
	for range 3 {
		if err := prefix.Add(rdb, "one:"); err != nil {
			t.Errorf("the same prefix again: %v", err)
		}
	}
	for _, other := range []string{"two:", ""} {
		if err := prefix.Add(rdb, other); err == nil {
			t.Errorf("Add(%q) succeeded for a client with another prefix", other)
		}
	}
	if err := prefix.Add(plain, ""); err != nil || prefix.Of(plain) != "" || prefix.Of(rdb) != "one:" {
		t.Errorf("got %v, prefixes %q and %q, want none and one:", err, prefix.Of(plain), prefix.Of(rdb))
	}
	if err := prefix.Add(prefix.Subscriber(plain, "x:"), "x:"); err == nil {
		t.Error("Add accepted a client that it cannot identify")
	}
	if err := rdb.Set(t.Context(), "tuma:a", "1", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if got := keysOf(t, plain); !slices.Equal(got, []string{"one:tuma:a"}) {
		t.Errorf("got the keys %q, want one:tuma:a", got)
	}
}

func TestSubscriber_ListensUnderThePrefix(t *testing.T) {
	t.Parallel()
	rdb, plain := environment(t)
	if prefix.Subscriber(plain, "") != redis.UniversalClient(plain) {
		t.Error("without a prefix, Subscriber returned another client")
	}
	sub := prefix.Subscriber(rdb, "one:").Subscribe(t.Context(), "asynq:cancel")
	defer func() { _ = sub.Close() }()
	if _, err := sub.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := plain.Publish(t.Context(), "asynq:cancel", "of another environment").Err(); err != nil {
		t.Fatal(err)
	}
	if err := rdb.Publish(t.Context(), "asynq:cancel", "own").Err(); err != nil {
		t.Fatal(err)
	}
	m, err := sub.ReceiveMessage(t.Context())
	if err != nil || m.Channel != "one:asynq:cancel" || m.Payload != "own" {
		t.Errorf("got %v, %v, want the own message on one:asynq:cancel", m, err)
	}
}

// asynq builds keys in Go and in Lua. This test runs all functions of asynq that Tuma uses. It logs in as a Redis user
// that may access only keys with the prefix. It fails if a new release of asynq builds a key in a way that the hook does
// not see.
func TestAdd_AsynqHasNoKeyOutside(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, redistest.WithUser("tuma", "secret", "~one:*", "&one:*", "+@all", "-@dangerous", "+info"))
	rdb := s.Client(s.AsUser)
	if err := prefix.Add(rdb, "one:"); err != nil {
		t.Fatal(err)
	}
	client, inspector := asynq.NewClientFromRedisClient(rdb), asynq.NewInspectorFromRedisClient(rdb)
	handled := make(chan string, 10)
	failed := false
	server := asynq.NewServerFromRedisClient(prefix.Subscriber(rdb, "one:"), asynq.Config{Concurrency: 1, Queues: map[string]int{"q": 1},
		TaskCheckInterval: 5 * time.Millisecond, DelayedTaskCheckInterval: 10 * time.Millisecond, LogLevel: asynq.FatalLevel,
		RetryDelayFunc: func(int, error, *asynq.Task) time.Duration { return time.Millisecond }})
	if err := server.Start(asynq.HandlerFunc(func(_ context.Context, task *asynq.Task) error {
		if task.Type() == "fails once" && !failed {
			failed = true
			return fmt.Errorf("on purpose")
		}
		handled <- task.Type()
		return nil
	})); err != nil {
		t.Fatal(err)
	}
	defer server.Shutdown()
	for kind, options := range map[string][]asynq.Option{
		"plain": {asynq.TaskID("a")}, "later": {asynq.ProcessIn(20 * time.Millisecond)}, "unique": {asynq.Unique(time.Minute)}, "fails once": nil,
	} {
		if _, err := client.EnqueueContext(t.Context(), asynq.NewTask(kind, nil), append(options, asynq.Queue("q"))...); err != nil {
			t.Fatalf("enqueue %s: %v", kind, err)
		}
	}
	var got []string
	for len(got) < 4 {
		select {
		case kind := <-handled:
			got = append(got, kind)
		case <-time.After(20 * time.Second):
			t.Fatalf("handled only %q", got)
		}
	}
	if _, err := client.EnqueueContext(t.Context(), asynq.NewTask("waits", nil), asynq.Queue("q"), asynq.TaskID("w"), asynq.ProcessIn(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if info, err := inspector.GetTaskInfo("q", "w"); err != nil || info.State != asynq.TaskStateScheduled {
		t.Errorf("GetTaskInfo: got %v, %v, want a scheduled task", info, err)
	}
	if err := inspector.DeleteTask("q", "w"); err != nil {
		t.Error(err)
	}
	for _, key := range keysOf(t, s.Client()) {
		if !strings.HasPrefix(key, "one:asynq:") {
			t.Errorf("asynq wrote the key %s", key)
		}
	}
	log, err := s.Client().ACLLog(t.Context(), 10).Result()
	if err != nil || len(log) != 0 {
		t.Errorf("Redis refused commands: %v, %v", log, err)
	}
}
