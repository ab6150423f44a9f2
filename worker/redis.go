package worker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"
)

// ErrRedisUnfit: this Redis may forget, or cannot run the scripts.
var ErrRedisUnfit = errors.New("this redis is not fit for sending")

// CheckRedis reads from INFO whether a Redis keeps what it is told: version 7.0
// or later, no eviction, append-only file on, a master. Everything that is wrong
// comes in one error, an ErrRedisUnfit; with unsafe it comes as warnings. What
// cannot be read is a warning. An error of the connection is returned as it is, and one
// of CheckWritable also with unsafe.
func CheckRedis(ctx context.Context, rdb redis.UniversalClient, unsafe bool) (warnings []string, err error) {
	if err := rdb.Ping(ctx).Err(); err != nil {
		return nil, fmt.Errorf("check redis: %w", err)
	}
	if err := CheckWritable(ctx, rdb); err != nil {
		return nil, err
	}
	info := map[string]string{}
	for _, section := range []string{"server", "memory", "persistence", "replication"} {
		got, err := rdb.InfoMap(ctx, section).Result()
		if err != nil {
			continue // told below as "cannot tell"
		}
		for _, fields := range got {
			for k, v := range fields {
				info[k] = v
			}
		}
	}
	wrong, warnings := checkInfo(info)
	if len(wrong) == 0 {
		return warnings, nil
	}
	if unsafe {
		for _, x := range wrong {
			warnings = append(warnings, "redis.unsafe is set: "+x)
		}
		return warnings, nil
	}
	return warnings, fmt.Errorf("%w: %s (redis.unsafe: true accepts it, for trials only)", ErrRedisUnfit, strings.Join(wrong, "; "))
}

// hashSlots is how many a Redis cluster has.
const hashSlots = 16384

// CheckWritable says, with an ErrRedisUnfit, whether a Redis can be written to at all: it
// is no read-only replica, and no cluster that does not serve all its hash slots. What a
// Redis does not tell is no reason to refuse it.
func CheckWritable(ctx context.Context, rdb redis.UniversalClient) error {
	info := map[string]string{}
	for _, section := range []string{"replication", "cluster"} {
		got, err := rdb.InfoMap(ctx, section).Result()
		if err != nil {
			return nil //nolint:nilerr // INFO is forbidden
		}
		for _, fields := range got {
			maps.Copy(info, fields)
		}
	}
	if info["role"] == "slave" && info["slave_read_only"] == "1" {
		return fmt.Errorf("%w: it is a read-only replica: connect to its master, %s", ErrRedisUnfit, net.JoinHostPort(info["master_host"], info["master_port"]))
	}
	if info["cluster_enabled"] != "1" {
		return nil
	}
	text, err := rdb.ClusterInfo(ctx).Result()
	if err != nil {
		return nil //nolint:nilerr // CLUSTER is forbidden
	}
	cluster := map[string]string{}
	for line := range strings.Lines(text) {
		k, v, _ := strings.Cut(strings.TrimSpace(line), ":")
		cluster[k] = v
	}
	ok, err := strconv.Atoi(cluster["cluster_slots_ok"])
	if err != nil {
		return nil //nolint:nilerr // it does not tell
	}
	if ok < hashSlots {
		return fmt.Errorf("%w: its cluster serves %d of %d hash slots, state %s: redis-cli --cluster check tells which nodes are missing",
			ErrRedisUnfit, ok, hashSlots, cluster["cluster_state"])
	}
	if _, aware := rdb.(*redis.ClusterClient); !aware && cluster["cluster_size"] != "1" {
		return fmt.Errorf("%w: it is one of %s masters of a cluster, and is spoken to as if it were alone: use redis-cluster:// in its URL",
			ErrRedisUnfit, cluster["cluster_size"])
	}
	return nil
}

func checkInfo(info map[string]string) (wrong, warnings []string) {
	checks := []struct {
		field string
		good  func(string) bool
		say   string
	}{
		{"redis_version", atLeast7, "its version is %s, 7.0 or later is needed"},
		{"maxmemory_policy", func(v string) bool { return v == "noeviction" }, "maxmemory-policy is %s and may evict what has to be sent: set it to noeviction"},
		{"aof_enabled", func(v string) bool { return v == "1" }, "it has no append-only file and forgets when it stops: set appendonly yes"},
		{"role", func(v string) bool { return v == "master" }, "it is a %s, not a master"},
	}
	for _, c := range checks {
		v, ok := info[c.field]
		switch {
		case !ok || v == "":
			warnings = append(warnings, "cannot tell "+c.field+" of this redis")
		case !c.good(v) && strings.Contains(c.say, "%s"):
			wrong = append(wrong, fmt.Sprintf(c.say, v))
		case !c.good(v):
			wrong = append(wrong, c.say)
		}
	}
	return wrong, warnings
}

func atLeast7(v string) bool {
	major, _, _ := strings.Cut(v, ".")
	n, err := strconv.Atoi(major)
	return err == nil && n >= 7
}

// memoryWatch knows whether Redis has room for another claim.
type memoryWatch struct{ over atomic.Bool }

// claimShare is the share of maxmemory above which nothing is claimed: settles
// always find room, and a call must not begin that could not be written down.
const claimShare = 0.95

func (m *memoryWatch) full() bool { return m.over.Load() }

func (m *memoryWatch) read(ctx context.Context, rdb redis.UniversalClient, log zerolog.Logger) {
	info, err := rdb.InfoMap(ctx, "memory").Result()
	if err != nil {
		return // a Redis that does not tell is not known to be full
	}
	used, err1 := strconv.ParseFloat(info["Memory"]["used_memory"], 64)
	most, err2 := strconv.ParseFloat(info["Memory"]["maxmemory"], 64)
	full := err1 == nil && err2 == nil && most > 0 && used > claimShare*most
	if full != m.over.Swap(full) {
		log.Warn().Bool("full", full).Float64("used_bytes", used).Float64("max_bytes", most).Msg("redis memory: claims stop while it is full")
	}
}
