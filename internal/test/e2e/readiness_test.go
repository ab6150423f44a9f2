package e2e

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/producer"
)

// readyz requests /readyz and returns the status and the text. The status is 0 if the worker does not answer.
func (f *deployment) readyz(address string) (status int, text string) {
	f.t.Helper()
	req, err := http.NewRequestWithContext(f.t.Context(), http.MethodGet, "http://"+address+"/readyz", nil)
	if err != nil {
		f.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, ""
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		f.t.Error(err)
	}
	return resp.StatusCode, string(body)
}

// freeAddress returns an address of this machine at which no program listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// The method "warnings" returns the log lines of the workers at warn level and above. It leaves out the lines about
// the memory of Redis.
func (f *deployment) warnings() (out []string) {
	f.t.Helper()
	for line := range strings.Lines(f.read("worker.log")) {
		if strings.Contains(line, "redis memory: ") {
			continue
		}
		if strings.Contains(line, `"level":"warn"`) || strings.Contains(line, `"level":"error"`) {
			out = append(out, line)
		}
	}
	return out
}

// A running worker must notice that Redis refuses writes, and must continue when Redis accepts them
// again. /readyz must fail during this outage, and succeed before and after it. A campaign before the
// outage and a campaign after it must be sent.
func TestReadyz_RedisThatRefusesWrites(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		harm func(*testing.T, *redis.Client) (repair func())
		says string
	}{
		"rights under tuma: alone": {func(t *testing.T, admin *redis.Client) func() {
			return orders(t, admin, "ACL SETUSER tuma resetkeys ~tuma:*", "ACL SETUSER tuma ~asynq:*")
		}, "under asynq:*: NOPERM"},
		"one replica too few": {func(t *testing.T, admin *redis.Client) func() {
			return orders(t, admin, "CONFIG SET min-replicas-to-write 1", "CONFIG SET min-replicas-to-write 0")
		}, "NOREPLICAS"},
		"no memory": {func(t *testing.T, admin *redis.Client) func() {
			return orders(t, admin, "CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0")
		}, "OOM"},
		"it became a replica": {func(t *testing.T, admin *redis.Client) func() {
			return orders(t, admin, "REPLICAOF 127.0.0.1 1", "REPLICAOF NO "+"ONE")
		}, "READONLY"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newDeployment(t, simulator.Options{})
			address := freeAddress(t)
			f.spawn("--listen", address)
			ready := func() bool { status, _ := f.readyz(address); return status == http.StatusOK }
			f.eventually(20*time.Second, "the worker to be ready", ready)
			f.enqueue(1, producer.Campaign{ID: "before"})
			f.wait("before", time.Minute)
			before := len(f.warnings())

			repair := tt.harm(t, f.redis.Client())
			began := time.Now()
			status, text := 0, ""
			f.eventually(20*time.Second, "/readyz to fail", func() bool { status, text = f.readyz(address); return status == http.StatusServiceUnavailable })
			if took := time.Since(began); took > 2*time.Second || !strings.Contains(text, tt.says) {
				t.Errorf("/readyz failed after %s with %q, want 503 within 2 s and a text with %q", took, text, tt.says)
			}
			if _, errOut, exit := f.tuma("check"); exit != 1 || !strings.Contains(errOut, tt.says) && !strings.Contains(errOut, "read-only replica") {
				t.Errorf("tuma check: exit %d, %s; want exit 1 and %q", exit, errOut, tt.says)
			}
			// /readyz must fail for six more seconds, while the sweeper, the publisher and the queues fail too.
			for deadline := time.Now().Add(6 * time.Second); time.Now().Before(deadline); {
				if ready() {
					t.Fatal("/readyz succeeds although Redis refuses writes")
				}
				<-time.After(100 * time.Millisecond)
			}
			repair()
			f.eventually(20*time.Second, "the worker to be ready again", ready)
			f.enqueue(2, producer.Campaign{ID: "after"})
			f.wait("after", time.Minute)
			if n := f.acceptedMessages(1) + f.acceptedMessages(2); n != 2*recipientsEach {
				t.Errorf("the gateway accepted %d messages, want %d", n, 2*recipientsEach)
			}
			if lines := f.warnings()[before:]; len(lines) != 2 || !strings.Contains(lines[0], tt.says) || !strings.Contains(lines[1], "redis accepts writes again") {
				t.Errorf("got the log lines\n%swant one when Redis begins to refuse writes, and one when it is over", strings.Join(lines, ""))
			}
		})
	}
}

// The function "orders" sends the Redis command in the parameter "now" immediately. It returns a function that
// sends the command in the parameter "later".
func orders(t *testing.T, rdb *redis.Client, now, later string) func() {
	t.Helper()
	send := func(command string) {
		t.Helper()
		var args []any
		for word := range strings.FieldsSeq(command) {
			args = append(args, word)
		}
		if err := rdb.Do(t.Context(), args...).Err(); err != nil {
			t.Errorf("%s: %v", command, err)
		}
	}
	send(now)
	return func() { t.Helper(); send(later) }
}

// A worker that is started while Redis is down must wait for Redis. Meanwhile /readyz must fail and
// SIGTERM must end the worker. With --wait-redis=false the worker must end with an error instead.
func TestWorker_StartedBeforeRedis(t *testing.T) {
	t.Parallel()
	f := newDeployment(t, simulator.Options{})
	f.redis.Kill()
	address := freeAddress(t)
	f.spawn("--listen", address)
	f.eventually(20*time.Second, "/readyz to fail", func() bool {
		status, text := f.readyz(address)
		return status == http.StatusServiceUnavailable && strings.Contains(text, "waits for redis") && strings.Contains(text, "connection refused")
	})
	stopped := f.spawn()
	f.eventually(20*time.Second, "two workers to wait", func() bool { return strings.Count(f.read("worker.log"), "waiting for it") == 2 })
	began := time.Now()
	if f.drain(stopped); time.Since(began) > 2*time.Second {
		t.Errorf("a worker that waits for Redis ended after %s", time.Since(began))
	}
	if _, errOut, exit := f.tuma("worker", "--wait-redis=false"); exit != 1 || !strings.Contains(errOut, "cannot reach Redis at ") || strings.Count(errOut, "\n") != 1 {
		t.Errorf("--wait-redis=false: exit %d, %s", exit, errOut)
	}
	f.redis.Restart()
	f.eventually(20*time.Second, "the worker to be ready", func() bool { status, _ := f.readyz(address); return status == http.StatusOK })
	f.enqueue(1, producer.Campaign{ID: "c"})
	f.wait("c", time.Minute)
	f.compare("c", recipientsEach)
}
