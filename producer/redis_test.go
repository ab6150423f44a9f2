package producer_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/test/redistest"
	"github.com/tuma-sms/tuma/producer"
)

func TestNew_RefusesClientsThatLoseOrDelayData(t *testing.T) {
	t.Parallel()
	cluster := func(o redis.ClusterOptions) redis.UniversalClient {
		o.Addrs = []string{"127.0.0.1:1"}
		return redis.NewClusterClient(&o)
	}
	failover := func(o redis.FailoverOptions) redis.UniversalClient {
		o.MasterName, o.SentinelAddrs = "m", []string{"127.0.0.1:1"}
		return redis.NewFailoverClusterClient(&o)
	}
	for name, tt := range map[string]struct {
		client redis.UniversalClient
		want   string // part of the expected error; it is empty if the client must be accepted
	}{
		"none":                          {nil, "is nil"},
		"a nil pointer":                 {(*redis.Client)(nil), "is nil"},
		"a ring":                        {redis.NewRing(&redis.RingOptions{Addrs: map[string]string{"a": "127.0.0.1:1"}}), "redis.Ring is not supported"},
		"a cluster, ReadOnly":           {cluster(redis.ClusterOptions{ReadOnly: true}), "reads from replicas"},
		"a cluster, RouteByLatency":     {cluster(redis.ClusterOptions{RouteByLatency: true}), "reads from replicas"},
		"a cluster, RouteRandomly":      {cluster(redis.ClusterOptions{RouteRandomly: true}), "reads from replicas"},
		"universal, to a cluster":       {redis.NewUniversalClient(&redis.UniversalOptions{Addrs: []string{"a:1", "b:1"}, RouteRandomly: true}), "reads from replicas"},
		"sentinel with RouteByLatency":  {failover(redis.FailoverOptions{RouteByLatency: true}), "reads from replicas"},
		"sentinel with a cluster":       {failover(redis.FailoverOptions{}), ""},
		"a cluster":                     {cluster(redis.ClusterOptions{}), ""},
		"one server":                    {redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"}), ""},
		"universal, to one":             {redis.NewUniversalClient(&redis.UniversalOptions{Addrs: []string{"a:1"}}), ""},
		"a sentinel client of a master": {redis.NewFailoverClient(&redis.FailoverOptions{MasterName: "m", SentinelAddrs: []string{"127.0.0.1:1"}}), ""},
	} {
		_, err := producer.New(tt.client)
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("%s: New returned %v, want no error", name, err)
		case tt.want != "" && (!errors.Is(err, producer.ErrInvalid) || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n")):
			t.Errorf("%s: New returned %v, want an ErrInvalid of one line that contains %q", name, err, tt.want)
		}
		if c, ok := tt.client.(*redis.Client); tt.client != nil && (!ok || c != nil) {
			_ = tt.client.Close() // New has opened no connection, so an error of Close does not matter
		}
	}
}

func TestNew_PrefixIsCheckedAndBelongsToTheClient(t *testing.T) {
	t.Parallel()
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	defer client.Close()
	for _, bad := range []string{"a b", "{a}", "a\n", "tuma:", "asynq:x", strings.Repeat("x", 65)} {
		if _, err := producer.New(client, producer.WithPrefix(bad)); !errors.Is(err, producer.ErrInvalid) || !strings.Contains(err.Error(), "prefix") {
			t.Errorf("prefix %q: got %v, want an ErrInvalid", bad, err)
		}
	}
	for range 2 {
		if _, err := producer.New(client, producer.WithPrefix("one:")); err != nil {
			t.Errorf("a second producer with the same prefix: %v", err)
		}
	}
	for _, other := range []string{"two:", ""} {
		if _, err := producer.New(client, producer.WithPrefix(other)); !errors.Is(err, producer.ErrInvalid) {
			t.Errorf("prefix %q for a client with the prefix one: got %v, want an ErrInvalid", other, err)
		}
	}
}

// waitResult has the results of a call of Wait.
type waitResult struct {
	status producer.Status
	err    error
}

// startWait calls Wait for the campaign "c" in the background.
func startWait(ctx context.Context, c *producer.Client) <-chan waitResult {
	out := make(chan waitResult, 1)
	go func() {
		s, err := c.Wait(ctx, "c")
		out <- waitResult{s, err}
	}()
	return out
}

func TestWait_RidesOutARedisThatIsAway(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.WithAOF("always"))
	b := newTestClientAt(t, server)
	b.serve("kobo-main")
	b.enqueue(validCampaign(), 3)
	waiting := startWait(t.Context(), b.Client)
	server.Kill()
	// After two failed pings, at least one read of Wait has also failed.
	for failed := 0; failed < 2; {
		if b.rdb.Ping(t.Context()).Err() != nil {
			failed++
		}
	}
	select {
	case got := <-waiting:
		t.Fatalf("Wait returned %+v while Redis was away, want it to wait", got)
	default:
	}
	server.Restart()
	if _, err := b.Cancel(t.Context(), "c"); err != nil {
		t.Fatal(err)
	}
	if got := <-waiting; got.err != nil || got.status.State != producer.Cancelled || got.status.Skipped != 3 {
		t.Errorf("Wait returned %+v, want the cancelled campaign", got)
	}
}

func TestWait_ReturnsTheLastStatusWithAnError(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	b := newTestClientAt(t, server)
	b.serve("kobo-main")
	b.enqueue(validCampaign(), 3)

	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if got := <-startWait(ctx, b.Client); !errors.Is(got.err, context.DeadlineExceeded) || got.status.Pending != 3 || got.status.ID != "c" {
		t.Errorf("Wait until a deadline returned %+v, want DeadlineExceeded with the status of 3 pending recipients", got)
	}

	// The test deletes all keys of Redis. Wait must then return an error, because a repeated
	// read cannot help.
	waiting := startWait(t.Context(), b.Client)
	for at := hmgets(t, b.rdb); hmgets(t, b.rdb) < at+6; { // wait until Wait has read the status at least twice
	}
	if err := b.rdb.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if got := <-waiting; !errors.Is(got.err, producer.ErrNotFound) || got.status.Pending != 3 {
		t.Errorf("Wait for a campaign that disappeared returned %+v, want ErrNotFound with the last status", got)
	}

	// The deadline passes while Redis cannot be reached.
	server.Kill()
	ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if got := <-startWait(ctx, b.Client); !errors.Is(got.err, context.DeadlineExceeded) {
		t.Errorf("Wait without Redis returned %+v, want DeadlineExceeded", got)
	}
}

// hmgets returns how many HMGET commands Redis has run.
func hmgets(t *testing.T, rdb *redis.Client) int {
	t.Helper()
	stats, err := rdb.InfoMap(t.Context(), "commandstats").Result()
	if err != nil {
		t.Fatal(err)
	}
	calls, _, _ := strings.Cut(strings.TrimPrefix(stats["Commandstats"]["cmdstat_hmget"], "calls="), ",")
	n, _ := strconv.Atoi(calls)
	return n
}

func TestWait_WrongPasswordEndsAtOnce(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.WithPassword("secret"))
	rdb := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer rdb.Close()
	c, err := producer.New(rdb, producer.WithPollInterval(time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	if got := <-startWait(t.Context(), c); got.err == nil || !strings.Contains(got.err.Error(), "NOAUTH") {
		t.Errorf("Wait without the password returned %+v, want the error NOAUTH", got)
	}
	_ = rdb.Close()
	if got := <-startWait(t.Context(), c); !errors.Is(got.err, redis.ErrClosed) {
		t.Errorf("Wait with a closed client returned %+v, want redis.ErrClosed", got)
	}
}
