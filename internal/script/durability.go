package script

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/prefix"
)

// Durability defines where a change must be stored before Tuma acts on it: in the append-only file of
// the Redis server that made the change, or at a number of that server's replicas. With the zero
// value, Tuma acts as soon as Redis has answered.
type Durability struct {
	// Fsync is true if the change must be in the append-only file on disk.
	Fsync bool
	// Replicas is how many replicas must have received the change.
	Replicas int
}

// ErrNotDurable means that the change was made, but that Redis has not confirmed in time that the
// change survives a crash. The caller must not act on the change. If the caller repeats the
// request, it waits for the confirmation again.
var ErrNotDurable = errors.New("not durable yet")

// These constants are the maximum time until a change is durable. With "appendfsync everysec", Redis begins to
// write to the disk up to a second after the change. Both times must be below the read timeout of go-redis, 3 s.
const (
	replicasTimeout = time.Second
	fsyncTimeout    = 2 * time.Second
)

// timeout returns how long a change may take to become durable.
func (d Durability) timeout() time.Duration {
	if d.Replicas > 0 {
		return replicasTimeout
	}
	return fsyncTimeout
}

// maxReplicas bounds N in "replicas:N".
const maxReplicas = 16

// ParseDurability parses "none", "fsync" or "replicas:N", with N from 1 to 16.
func ParseDurability(text string) (Durability, error) {
	if text == "none" {
		return Durability{}, nil
	}
	if text == "fsync" {
		return Durability{Fsync: true}, nil
	}
	if count, ok := strings.CutPrefix(text, "replicas:"); ok {
		if n, err := strconv.Atoi(count); err == nil && n >= 1 && n <= maxReplicas && strconv.Itoa(n) == count {
			return Durability{Replicas: n}, nil
		}
	}
	return Durability{}, fmt.Errorf("%.40q must be none, fsync or replicas:N with N from 1 to %d", text, maxReplicas)
}

// String reverses ParseDurability.
func (d Durability) String() string {
	switch {
	case d.Replicas > 0:
		return "replicas:" + strconv.Itoa(d.Replicas)
	case d.Fsync:
		return "fsync"
	}
	return "none"
}

// barrier returns a Redis command that waits until the earlier writes on the same connection are
// durable. It returns nil if Redis' answer alone guarantees durability.
func (r *Runner) barrier() []any {
	switch d := r.durability; {
	case d.Replicas > 0:
		return []any{"WAIT", d.Replicas, d.timeout().Milliseconds()}
	case d.Fsync && !r.noWaitAOF.Load():
		return []any{"WAITAOF", 1, 0, d.timeout().Milliseconds()}
	}
	return nil
}

// runDurable runs a script on the master of its keys, and waits until the changes are durable. If the
// error is ErrNotDurable, it also returns the script's answer.
func (r *Runner) runDurable(ctx context.Context, s *redis.Script, keys []string, args ...any) (any, error) {
	node, err := r.master(ctx, keys[0])
	if err != nil {
		return nil, err
	}
	return r.commit(ctx, node, s, keys, args)
}

// The function "acknowledged" returns the number of servers in the answer of WAIT or WAITAOF. WAIT
// answers with this number. WAITAOF answers with a list, whose first number is about the server itself.
func acknowledged(v any) int {
	if list, ok := v.([]any); ok && len(list) > 0 {
		v = list[0]
	}
	n, _ := v.(int64)
	return int(n)
}

// master returns the client of the one server that holds a key. A barrier waits only for writes
// on the same connection, so it must be sent to the same server as the script.
func (r *Runner) master(ctx context.Context, key string) (*redis.Client, error) {
	switch rdb := r.rdb.(type) {
	case *redis.Client:
		return rdb, nil
	case *redis.ClusterClient:
		// The hook of the cluster client does not run for MasterForKey, nor for commands to a node. So add the prefix to
		// the key here, and give the client of the node a hook.
		before := prefix.Of(rdb)
		node, err := rdb.MasterForKey(ctx, before+key)
		if err != nil {
			return nil, err
		}
		return node, prefix.Add(node, before)
	}
	return nil, fmt.Errorf("durability %s does not work with a redis client of type %T", r.durability, r.rdb)
}
